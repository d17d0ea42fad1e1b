//! THE ROAD: one request from its head to the last byte of its answer.
//!
//! ```text
//!   read_head → judge ─┬─ fault or page → answer here
//!                      └─ operation → read_content (hashed as it comes) → pick a deployment
//!                           → connect or reuse → sign, send → answer's head → relay content
//! ```

use std::{io, pin::pin, time::Duration};

use crate::{
    bedrock::{fault::Fault, operation::Action},
    boundary::{notice::Event, snapshot::Snapshot},
    data_plane::{
        connection::Client,
        dispatch::{self, Attempt},
        errand,
        inbox::Gone,
        intake::{CallId, Intake, Purpose},
        outflow::ClientFraming,
        relay::{self, Answer, HeadContext, NoAnswer, Relayed},
        reply::{self, Frame},
        request::{Early, discard_content, read_content, read_head},
        scratch::Scratch,
        upstream::Upstream,
        worker::Worker,
    },
    limits::CLIENT_STALL_MS_MAX,
    net::clock,
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

/// Serves one request, whose first bytes are there.
pub async fn exchange(client: &Client<'_>, worker: &Worker, scratch: &mut Scratch) -> After {
    let snapshot = worker.snapshot();
    let intake = match read_head(client, worker, &snapshot, scratch).await {
        Ok(intake) => intake,
        Err(Early::Gone) => return After::Gone,
        Err(Early::Fault(fault)) => {
            let call_id = CallId::fresh(worker.request_id());
            let frame = Frame {
                call_id: &call_id,
                keeps_alive: false,
                is_head: false,
                now: clock::unix_now(),
            };
            reply::write_fault(fault, &frame, &mut scratch.out);
            return finish(client, scratch, After::Close).await;
        }
    };
    match &intake.purpose {
        Err(fault) => refuse(client, worker, scratch, &intake, *fault).await,
        Ok(Purpose::Page(page)) => {
            let keeps_alive =
                may_continue(worker, &intake) && discard_content(client, intake.framing).await;
            let frame = frame(&intake, keeps_alive);
            reply::write_page(
                *page,
                &snapshot.pages,
                worker.is_draining(),
                &frame,
                &mut scratch.out,
            );
            finish(client, scratch, after(keeps_alive)).await
        }
        Ok(Purpose::Admin(page)) => {
            errand::exchange(client, worker, &snapshot, scratch, &intake, *page).await
        }
        Ok(Purpose::Operation { group, action }) => {
            let hash = match read_content(client, worker, &snapshot, &intake, scratch).await {
                Ok(hash) => hash,
                Err(Early::Gone) => return After::Gone,
                Err(Early::Fault(fault)) => {
                    return answer_fault(client, scratch, &intake, fault, false).await;
                }
            };
            let index = group.pick(worker.random());
            let operation =
                Operation { snapshot: &snapshot, index, action: *action, content_sha256: hash };
            operate(client, worker, scratch, &intake, &operation).await
        }
    }
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
    loop {
        let mut upstream = match pooled.take() {
            Some(upstream) => upstream,
            None => match client
                .inbox
                // Boxed: rare, and its state is larger than all the rest of an exchange.
                .unless_gone(Box::pin(Upstream::connect(endpoint, &worker.tls, &worker.spares)))
                .await
            {
                Err(_gone) => return After::Gone,
                Ok(Ok(upstream)) => upstream,
                Ok(Err(error)) => {
                    let fault = error.fault();
                    worker.notices.tell(Some(&deployment.id), error.event());
                    let keeps_alive = may_continue(worker, intake);
                    return answer_fault(client, scratch, intake, fault, keeps_alive).await;
                }
            },
        };
        let attempt = attempt(client, worker, scratch, intake, operation, &mut upstream).await;
        match attempt {
            Err(_gone) => return After::Gone,
            Ok(Err(NoAnswer::Nothing(_))) if upstream.is_reused => upstream.retire(&worker.spares),
            Ok(Err(no_answer)) => {
                worker.notices.tell(Some(&deployment.id), no_answer.event());
                upstream.retire(&worker.spares);
                let (fault, keeps_alive) = (no_answer.fault(), may_continue(worker, intake));
                return answer_fault(client, scratch, intake, fault, keeps_alive).await;
            }
            Ok(Ok(answer)) => {
                return relay(client, worker, scratch, operation, upstream, answer).await;
            }
        }
    }
}

/// Signs and sends the request, and waits for the answer's head.
async fn attempt(
    client: &Client<'_>,
    worker: &Worker,
    scratch: &mut Scratch,
    intake: &Intake<'_>,
    operation: &Operation<'_>,
    upstream: &mut Upstream,
) -> Result<Result<Answer, NoAnswer>, Gone> {
    let deployment = &operation.snapshot.deployments[operation.index];
    let Scratch { forwarded, content, head, answer, out, .. } = scratch;
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
    let context = HeadContext { intake, deployment, is_draining };
    let exchange = async {
        // An upstream that answers early may stop reading: what it says counts, not that we were cut short.
        let sent = upstream.send(head, content, answer).await;
        if sent.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            return Err(NoAnswer::TimedOut);
        }
        let mut answer = relay::receive_head(upstream, &context, answer, out).await?;
        answer.upstream_keeps_alive &= sent.is_ok();
        Ok(answer)
    };
    client.inbox.unless_gone(pin!(exchange)).await
}

/// Relays the content, and keeps the upstream connection if it can be used again.
async fn relay(
    client: &Client<'_>,
    worker: &Worker,
    scratch: &mut Scratch,
    operation: &Operation<'_>,
    mut upstream: Box<Upstream>,
    mut answer: Answer,
) -> After {
    let deployment = &operation.snapshot.deployments[operation.index];
    let flow = &mut answer.flow;
    match relay::relay_content(client, &mut upstream, flow, &mut scratch.out).await {
        Relayed::Whole => {
            let is_usable =
                answer.upstream_keeps_alive && !flow.has_surplus() && !upstream.has_leftover();
            if is_usable {
                worker.pool.give(deployment.endpoint.index, upstream, &worker.spares);
            } else {
                upstream.retire(&worker.spares);
            }
            after(answer.client_keeps_alive)
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
