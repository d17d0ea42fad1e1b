//! THE ROAD: one request from its head to the last byte of its answer.
//!
//! ```text
//!   read_head → judge ─┬─ fault or page → answer here
//!                      └─ operation → read_content (hashed as it comes) → pick a deployment
//!                           → connect or reuse → sign, send → answer's head → relay content
//!                                                                    → ledger entry, however it ended
//! ```

use std::{
    io,
    pin::pin,
    time::{Duration, Instant},
};

use crate::{
    bedrock::{fault::Fault, operation::Action},
    boundary::{
        ledger::entry::{KeyRef, Outcome},
        notice::Event,
        snapshot::Snapshot,
    },
    data_plane::{
        account::Asker,
        answer::{self, Answer, HeadContext, NoAnswer, Sinks},
        connection::Client,
        dispatch::{self, Attempt},
        errand,
        intake::{CallId, Intake, Purpose},
        outflow::ClientFraming,
        relay::{self, Audience, Relayed},
        reply::{self, Frame},
        request::{Early, discard_content, read_content, read_head},
        scratch::Scratch,
        upstream::Upstream,
        worker::Worker,
    },
    limits::{ABANDONED_MS_MAX, CLIENT_STALL_MS_MAX},
    net::{
        clock,
        runtime::{Elapsed, timeout_at},
    },
};

const CLIENT_STALL: Duration = Duration::from_millis(CLIENT_STALL_MS_MAX);

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum After {
    /// The next request may come.
    Next,
    /// It ends in order.
    Close,
    /// It ends so that the client cannot take what it has for the whole.
    Cut,
    /// The client left.
    Gone,
}

/// Serves one request, whose first bytes are there, and closes its account.
pub async fn exchange(client: &Client<'_>, worker: &Worker, scratch: &mut Scratch) -> After {
    worker.counters.in_flight.add(1);
    let _ends = InFlight(worker);
    let after = serve(client, worker, scratch).await;
    scratch.account.close();
    after
}

/// However an exchange ends, it is counted as ended.
struct InFlight<'w>(&'w Worker);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.counters.in_flight.sub(1);
    }
}

async fn serve(client: &Client<'_>, worker: &Worker, scratch: &mut Scratch) -> After {
    let snapshot = worker.snapshot();
    let intake = match read_head(client, worker, &snapshot, scratch).await {
        Ok(intake) => intake,
        Err(Early::Gone) => return After::Gone,
        Err(Early::Fault(fault)) => return refuse_head(client, worker, scratch, fault).await,
    };
    let key = if intake.is_admitted { snapshot.key } else { KeyRef::default() };
    let call_id = intake.call_id.chosen();
    let asker = Asker { call_id, key, address: Some(client.address), core: worker.number };
    scratch.account.open(worker.ledger.as_ref(), intake.birth, &asker);
    worker.counters.requests.add(1);
    match &intake.purpose {
        Err(fault) => refuse(client, worker, scratch, &intake, *fault).await,
        Ok(Purpose::Page(page)) => {
            scratch.account.is_page();
            let keeps_alive =
                may_continue(worker, &intake) && discard_content(client, intake.framing).await;
            let frame = frame(&intake, keeps_alive);
            let is_draining = worker.is_draining();
            let status =
                reply::write_page(*page, &snapshot.pages, is_draining, &frame, &mut scratch.out);
            scratch.account.paged(status);
            finish(client, scratch, after(keeps_alive)).await
        }
        Ok(Purpose::Admin(page)) => {
            scratch.account.is_page();
            errand::exchange(client, worker, &snapshot, scratch, &intake, *page).await
        }
        Ok(Purpose::Operation { group, action }) => {
            scratch.account.asked(*action);
            let hash = match read_content(client, worker, &snapshot, &intake, scratch).await {
                Ok(hash) => hash,
                Err(Early::Gone) => {
                    scratch.account.ends(Outcome::Incomplete);
                    return After::Gone;
                }
                Err(Early::Fault(fault)) => {
                    return answer_fault(client, scratch, &intake, fault, false).await;
                }
            };
            scratch.account.received(scratch.content.len());
            let index = group.pick(worker.random());
            scratch.account.picked(&snapshot.deployments[index]);
            let operation =
                Operation { snapshot: &snapshot, index, action: *action, content_sha256: hash };
            operate(client, worker, scratch, &intake, &operation).await
        }
    }
}

/// Answers what is no request, as far as it came.
async fn refuse_head(
    client: &Client<'_>,
    worker: &Worker,
    scratch: &mut Scratch,
    fault: Fault,
) -> After {
    let birth = worker.birth();
    let (key, core) = (KeyRef::default(), worker.number);
    let asker = Asker { call_id: None, key, address: Some(client.address), core };
    scratch.account.open(worker.ledger.as_ref(), birth, &asker);
    scratch.account.faulted(fault);
    let call_id = CallId::fresh(birth.id);
    let now = clock::unix_now();
    let frame = Frame { call_id: &call_id, keeps_alive: false, is_head: false, now };
    reply::write_fault(fault, &frame, &mut scratch.out);
    finish(client, scratch, After::Close).await
}

/// A request that is to be sent upstream.
struct Operation<'a> {
    snapshot: &'a Snapshot,
    index: usize,
    action: Action,
    content_sha256: [u8; 32],
}

/// Sends the request to its deployment and relays the answer. A reused connection that upstream closed
/// meanwhile, before a byte of an answer, gets the request one more time, on a fresh one.
async fn operate(
    client: &Client<'_>,
    worker: &Worker,
    scratch: &mut Scratch,
    intake: &Intake<'_>,
    operation: &Operation<'_>,
) -> After {
    let deployment = &operation.snapshot.deployments[operation.index];
    let endpoint = &deployment.endpoint;
    let mut pooled = worker.pool.take(endpoint.index, clock::now(), &worker.spares);
    let mut connected_us = 0;
    loop {
        let mut upstream = match pooled.take() {
            Some(upstream) => upstream,
            None => {
                let started = clock::now();
                // Boxed: rare, and its state is larger than all the rest of an exchange.
                let connecting = Upstream::connect(endpoint, &worker.tls, &worker.spares);
                let connected = client.inbox.unless_gone(Box::pin(connecting)).await;
                let passed = clock::now().saturating_duration_since(started);
                connected_us = u32::try_from(passed.as_micros()).unwrap_or(u32::MAX);
                match connected {
                    Err(_gone) => {
                        scratch.account.leaves();
                        return After::Gone;
                    }
                    Ok(Ok(upstream)) => upstream,
                    Ok(Err(error)) => {
                        let fault = error.fault();
                        worker.notices.tell(Some(&deployment.id), error.event());
                        let keeps_alive = may_continue(worker, intake);
                        return answer_fault(client, scratch, intake, fault, keeps_alive).await;
                    }
                }
            }
        };
        // Nothing is awaited between this look and the room's being taken.
        if operation.snapshot.refuses_unaccounted
            && !scratch.account.was_sent()
            && worker.is_ledger_full()
        {
            worker.pool.give(endpoint.index, upstream, &worker.spares);
            let keeps_alive = may_continue(worker, intake);
            return answer_fault(client, scratch, intake, Fault::Unaccountable, keeps_alive).await;
        }
        scratch.account.sending(connected_us, upstream.is_reused);
        let way = if upstream.is_reused {
            &worker.counters.upstream_reuses
        } else {
            &worker.counters.upstream_connects
        };
        way.add(1);
        match attempt(client, worker, scratch, intake, operation, &mut upstream).await {
            Attempted::Abandoned => {
                scratch.account.leaves();
                return After::Gone;
            }
            Attempted::Failed(NoAnswer::Nothing(_)) if upstream.is_reused => {
                upstream.retire(&worker.spares);
            }
            Attempted::Failed(no_answer) => {
                worker.notices.tell(Some(&deployment.id), no_answer.event());
                upstream.retire(&worker.spares);
                let (fault, keeps_alive) = (no_answer.fault(), may_continue(worker, intake));
                return answer_fault(client, scratch, intake, fault, keeps_alive).await;
            }
            Attempted::Answered { answer, gone_until } => {
                let what = (upstream, answer, gone_until);
                return relay(client, worker, scratch, operation, what).await;
            }
        }
    }
}

/// What came of sending a request.
enum Attempted {
    /// The client left, and so the request was given up.
    Abandoned,
    /// No answer.
    Failed(NoAnswer),
    /// An answer's head; the client may have left meanwhile, and its usage still be wanted.
    Answered { answer: Answer, gone_until: Option<Instant> },
}

/// Signs and sends the request, and waits for the answer's head.
async fn attempt(
    client: &Client<'_>,
    worker: &Worker,
    scratch: &mut Scratch,
    intake: &Intake<'_>,
    operation: &Operation<'_>,
    upstream: &mut Upstream,
) -> Attempted {
    let deployment = &operation.snapshot.deployments[operation.index];
    let Scratch { forwarded, content, head, answer, out, tap, account, .. } = scratch;
    head.clear();
    answer.clear();
    out.clear();
    let attempt = Attempt {
        generation: operation.snapshot.generation,
        index: operation.index,
        deployment,
        action: operation.action,
        forwarded,
        content_length: content.len() as u64,
        content_sha256: &operation.content_sha256,
        now: clock::unix_now(),
    };
    dispatch::write_head(&attempt, &mut worker.signing.borrow_mut(), head);
    let is_draining = worker.is_draining();
    let (action, overhead_us) = (operation.action, account.overhead_us());
    let context = HeadContext { intake, deployment, action, overhead_us, is_draining };
    let exchange = async {
        // An upstream that answers early may stop reading: what it says counts, not that we were cut short.
        let sent = upstream.send(head, content, answer).await;
        if sent.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            return Err(NoAnswer::TimedOut);
        }
        let mut sinks = Sinks { answer, out, tap };
        let mut answer = answer::receive_head(upstream, &context, &mut sinks).await?;
        answer.upstream_keeps_alive &= sent.is_ok();
        Ok(answer)
    };
    let mut exchange = pin!(exchange);
    let mut gone_until = None;
    let answer = match client.inbox.unless_gone(exchange.as_mut()).await {
        Ok(answer) => answer,
        Err(_gone) if operation.snapshot.drains_abandoned => {
            let deadline = clock::now() + Duration::from_millis(ABANDONED_MS_MAX);
            gone_until = Some(deadline);
            match timeout_at(deadline, exchange).await {
                Ok(answer) => answer,
                Err(Elapsed) => return Attempted::Abandoned,
            }
        }
        Err(_gone) => return Attempted::Abandoned,
    };
    match answer {
        Ok(answer) => {
            account.answered(answer.status, answer.error, answer.upstream_id);
            Attempted::Answered { answer, gone_until }
        }
        Err(_) if gone_until.is_some() => Attempted::Abandoned,
        Err(no_answer) => Attempted::Failed(no_answer),
    }
}

/// Relays the content, and keeps the upstream connection if it can be used again.
async fn relay(
    client: &Client<'_>,
    worker: &Worker,
    scratch: &mut Scratch,
    operation: &Operation<'_>,
    (mut upstream, mut answer, gone_until): (Box<Upstream>, Answer, Option<Instant>),
) -> After {
    let deployment = &operation.snapshot.deployments[operation.index];
    let flow = &mut answer.flow;
    let drains = operation.snapshot.drains_abandoned;
    let mut audience = Audience { client, drains, left: gone_until.map(|until| (until, 0)) };
    let relayed =
        relay::relay_content(&mut audience, &mut upstream, (deployment, flow), scratch).await;
    let Scratch { account, tap, .. } = scratch;
    account.carried(audience.left.map_or(flow.carried(), |(_, carried)| carried));
    let outcome = match relayed {
        Relayed::Whole => Outcome::Whole,
        Relayed::Drained => Outcome::Drained,
        Relayed::Cut(_) if flow.is_corrupt() => Outcome::StreamCorrupt,
        Relayed::Cut(_) => Outcome::AnswerCut,
        Relayed::ClientGone => Outcome::ClientGone,
    };
    if !matches!(relayed, Relayed::Whole | Relayed::Drained) {
        account.settle(&tap.reading(), deployment.rate.as_deref()); // which those have been
    }
    account.ends(outcome);
    match relayed {
        Relayed::Whole | Relayed::Drained => {
            let is_usable =
                answer.upstream_keeps_alive && !flow.has_surplus() && !upstream.has_leftover();
            if is_usable {
                worker.pool.give(deployment.endpoint.index, upstream, &worker.spares);
            } else {
                upstream.retire(&worker.spares);
            }
            if outcome == Outcome::Drained { After::Gone } else { after(answer.client_keeps_alive) }
        }
        Relayed::Cut(what) => {
            worker.notices.tell(Some(&deployment.id), Event::AnswerCut(what));
            // Where our close is what ends content, only a reset tells the client that it did not end.
            if answer.client_framing == ClientFraming::UntilClose {
                After::Cut
            } else {
                After::Gone
            }
        }
        Relayed::ClientGone => After::Gone,
    }
}

/// Answers a request whose content is still to come with a fault.
async fn refuse(
    client: &Client<'_>,
    worker: &Worker,
    scratch: &mut Scratch,
    intake: &Intake<'_>,
    fault: Fault,
) -> After {
    // A client that waits for 100 Continue and hears no is free to send its content or not; we cannot
    // tell, so the connection ends.
    let keeps_alive = may_continue(worker, intake)
        && !fault.ends_connection()
        && !intake.expects_continue
        && discard_content(client, intake.framing).await;
    answer_fault(client, scratch, intake, fault, keeps_alive).await
}

/// Answers with a fault.
pub(super) async fn answer_fault(
    client: &Client<'_>,
    scratch: &mut Scratch,
    intake: &Intake<'_>,
    fault: Fault,
    keeps_alive: bool,
) -> After {
    scratch.out.clear();
    scratch.account.faulted(fault);
    reply::write_fault(fault, &frame(intake, keeps_alive), &mut scratch.out);
    finish(client, scratch, after(keeps_alive)).await
}

/// Whether the client may send another request on this connection.
pub(super) fn may_continue(worker: &Worker, intake: &Intake<'_>) -> bool {
    intake.keeps_alive && !worker.is_draining()
}

/// What an answer of ours to this request depends on.
pub(super) fn frame<'a>(intake: &'a Intake<'_>, keeps_alive: bool) -> Frame<'a> {
    Frame { call_id: &intake.call_id, keeps_alive, is_head: intake.is_head, now: clock::unix_now() }
}

/// What becomes of a connection whose answer is whole.
pub(super) fn after(keeps_alive: bool) -> After {
    if keeps_alive { After::Next } else { After::Close }
}

/// Sends what was written.
pub(super) async fn finish(client: &Client<'_>, scratch: &mut Scratch, then: After) -> After {
    match client.send(&mut scratch.out, 0, CLIENT_STALL).await {
        Ok(()) => then,
        Err(_gone) => After::Gone,
    }
}
