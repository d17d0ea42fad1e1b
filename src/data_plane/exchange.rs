//! THE ROAD: one request from its head to the last byte of its answer.
//!
//! ```text
//!   read_head → judge ─┬─ fault or page → answer here
//!                      └─ operation → read_content (hashed as it comes) → pick a deployment
//!                           → connect or reuse → sign, send → answer's head → relay content
//! ```

use std::{
    pin::pin,
    time::{Duration, Instant},
};

use ring::digest::{Context, SHA256};

use crate::{
    bedrock::{fault::Fault, operation::Action},
    boundary::{notice::Event, snapshot::Snapshot},
    buffer::Buffer,
    data_plane::{
        connection::Client,
        dispatch::{self, Attempt},
        intake::{self, CallId, Intake, Purpose},
        outflow::ClientFraming,
        relay::{self, Answer, HeadContext, NoAnswer, Relayed},
        reply::{self, Frame},
        scratch::Scratch,
        upstream::Upstream,
        worker::Worker,
    },
    limits::{
        CLIENT_STALL_MS_MAX, CONTENT_IDLE_MS_MAX, CONTENT_RESERVE_BYTES_MAX, FLOW_BUFFER_BYTES,
        HEAD_MS_MAX, IDLE_BUFFER_BYTES, UNREAD_CONTENT_BYTES_MAX, UNREAD_CONTENT_MS_MAX,
    },
    net::{
        clock,
        runtime::{timeout, timeout_at},
    },
    wire::http1::{
        content::ContentReader,
        framing::Framing,
        head::{FieldStorage, parse_request},
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

/// Why an exchange ends early.
enum Early {
    /// The client is told.
    Fault(Fault),
    /// There is nobody to tell.
    Gone,
}

impl From<Fault> for Early {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
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
        Ok(Purpose::Operation { group, action }) => {
            let hash = match read_content(client, worker, &snapshot, &intake, scratch).await {
                Ok(hash) => hash,
                Err(Early::Gone) => return After::Gone,
                Err(Early::Fault(fault)) => {
                    return refuse_unread(client, scratch, &intake, fault).await;
                }
            };
            let index = group.pick(worker.random());
            let operation =
                Operation { snapshot: &snapshot, index, action: *action, content_sha256: hash };
            operate(client, worker, scratch, &intake, &operation).await
        }
    }
}

/// Receives until a head is whole, and judges it.
async fn read_head<'s>(
    client: &Client<'_>,
    worker: &Worker,
    snapshot: &'s Snapshot,
    scratch: &mut Scratch,
) -> Result<Intake<'s>, Early> {
    let mut deadline: Option<Instant> = None;
    loop {
        let judged = client.inbox.with(|bytes| {
            let mut storage = FieldStorage::new();
            let head = match parse_request(bytes, &mut storage) {
                Ok(Some(head)) => head,
                Ok(None) => return Ok(None),
                Err(error) => return Err(intake::fault_of(&error)),
            };
            let Scratch { name, forwarded, .. } = &mut *scratch;
            let intake = intake::judge(&head, snapshot, worker.request_id(), name, forwarded)?;
            Ok(Some((intake, head.length)))
        });
        if let Some((intake, length)) = judged? {
            client.inbox.consume(length);
            return Ok(intake);
        }
        let deadline =
            *deadline.get_or_insert_with(|| clock::now() + Duration::from_millis(HEAD_MS_MAX));
        match timeout_at(deadline, pin!(client.inbox.receive(IDLE_BUFFER_BYTES))).await {
            Ok(Ok(())) => {}
            Ok(Err(_gone)) => return Err(Early::Gone),
            Err(_elapsed) => return Err(Fault::RequestTimeout.into()),
        }
    }
}

/// Receives content whole, hashing it as it comes.
async fn read_content(
    client: &Client<'_>,
    worker: &Worker,
    snapshot: &Snapshot,
    intake: &Intake<'_>,
    scratch: &mut Scratch,
) -> Result<[u8; 32], Early> {
    let mut reader = ContentReader::new(intake.framing);
    let mut hash = Context::new(&SHA256);
    let mut small: Option<Buffer> = None;
    let mut owes_continue = intake.expects_continue && client.inbox.is_empty();
    let content = &mut scratch.content;
    content.clear();
    content.reserve(
        reader.remaining().map_or(0, |length| {
            usize::try_from(length).unwrap_or(0).min(CONTENT_RESERVE_BYTES_MAX)
        }),
    );
    let result = loop {
        let consumed =
            client.inbox.with(|bytes| take_content(&mut reader, bytes, &mut hash, content));
        match consumed {
            Ok(consumed) => client.inbox.consume(consumed),
            Err(fault) => break Err(fault.into()),
        }
        if content.len() as u64 > snapshot.content_bytes_max {
            break Err(Fault::ContentTooLarge.into());
        }
        if reader.is_done() {
            break Ok(());
        }
        if std::mem::take(&mut owes_continue) {
            scratch.out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
            if client.send(&mut scratch.out, 0, CLIENT_STALL).await.is_err() {
                break Err(Early::Gone);
            }
            scratch.out.clear();
        }
        if small.is_none() && reader.remaining().is_none_or(|left| left > IDLE_BUFFER_BYTES as u64)
        {
            small = client.inbox.replace_buffer(worker.spares.take_buffer());
        }
        match timeout(
            Duration::from_millis(CONTENT_IDLE_MS_MAX),
            pin!(client.inbox.receive(FLOW_BUFFER_BYTES / 2)),
        )
        .await
        {
            Ok(Ok(())) => {}
            Ok(Err(_gone)) => break Err(Early::Gone),
            Err(_elapsed) => break Err(Fault::RequestTimeout.into()),
        }
    };
    if let Some(large) = small.and_then(|mut small| {
        small.clear();
        client.inbox.replace_buffer(small)
    }) {
        worker.spares.give_buffer(large);
    }
    result?;
    Ok(hash.finish().as_ref().try_into().expect("SHA-256 has 32 bytes"))
}

fn take_content(
    reader: &mut ContentReader,
    bytes: &[u8],
    hash: &mut Context,
    content: &mut Vec<u8>,
) -> Result<usize, Fault> {
    let mut consumed = 0;
    while consumed < bytes.len() && !reader.is_done() {
        let rest = &bytes[consumed..];
        let step = reader.step(rest).map_err(|error| Fault::BadRequest(error.0))?;
        let data = &rest[step.data];
        hash.update(data);
        content.extend_from_slice(data);
        consumed += step.consumed;
    }
    Ok(consumed)
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
                    return answer_fault(client, worker, scratch, intake, fault).await;
                }
            },
        };
        let attempt = attempt(client, worker, scratch, intake, operation, &mut upstream).await;
        match attempt {
            Err(_gone) => return After::Gone,
            Ok(Err(NoAnswer::Nothing(_))) if upstream.is_reused => upstream.retire(&worker.spares),
            Ok(Err(no_answer)) => {
                worker.notices.tell(Some(&deployment.id), no_answer.event());
                return answer_fault(client, worker, scratch, intake, no_answer.fault()).await;
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
) -> Result<Result<Answer, NoAnswer>, super::inbox::Gone> {
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
    let context = HeadContext { intake, deployment_id: &deployment.id, is_draining };
    let exchange = async {
        // An upstream that answers early may stop reading: what it says counts, not that we were cut short.
        let sent = upstream.send(head, content, answer).await;
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
    let with_head = &scratch.answer[answer.head_length..];
    let flow = &mut answer.flow;
    match relay::relay_content(client, &mut upstream, flow, with_head, &mut scratch.out).await {
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
    reply::write_fault(fault, &frame(intake, keeps_alive), &mut scratch.out);
    finish(client, scratch, after(keeps_alive)).await
}

/// Answers a request of whose content an unknown rest is still to come.
async fn refuse_unread(
    client: &Client<'_>,
    scratch: &mut Scratch,
    intake: &Intake<'_>,
    fault: Fault,
) -> After {
    scratch.out.clear();
    reply::write_fault(fault, &frame(intake, false), &mut scratch.out);
    finish(client, scratch, After::Close).await
}

/// Answers a request whose content was read with a fault.
async fn answer_fault(
    client: &Client<'_>,
    worker: &Worker,
    scratch: &mut Scratch,
    intake: &Intake<'_>,
    fault: Fault,
) -> After {
    let keeps_alive = may_continue(worker, intake) && !fault.ends_connection();
    scratch.out.clear();
    reply::write_fault(fault, &frame(intake, keeps_alive), &mut scratch.out);
    finish(client, scratch, after(keeps_alive)).await
}

/// Reads and drops content that nobody wants, so that it is never taken for the next request. False if
/// there is too much of it, or it does not come.
async fn discard_content(client: &Client<'_>, framing: Framing) -> bool {
    let mut reader = ContentReader::new(framing);
    if reader.remaining().is_some_and(|length| length > UNREAD_CONTENT_BYTES_MAX as u64) {
        return false;
    }
    let deadline = clock::now() + Duration::from_millis(UNREAD_CONTENT_MS_MAX);
    let mut seen = 0;
    while !reader.is_done() {
        if client.inbox.is_empty()
            && !matches!(
                timeout_at(deadline, pin!(client.inbox.receive(IDLE_BUFFER_BYTES))).await,
                Ok(Ok(()))
            )
        {
            return false;
        }
        let step = client.inbox.with(|bytes| reader.step(bytes));
        let Ok(step) = step else { return false };
        client.inbox.consume(step.consumed);
        seen += step.consumed;
        if seen > UNREAD_CONTENT_BYTES_MAX {
            return false;
        }
    }
    true
}

fn may_continue(worker: &Worker, intake: &Intake<'_>) -> bool {
    intake.keeps_alive && !worker.is_draining()
}

fn frame<'a>(intake: &'a Intake<'_>, keeps_alive: bool) -> Frame<'a> {
    Frame { call_id: &intake.call_id, keeps_alive, is_head: intake.is_head, now: clock::unix_now() }
}

fn after(keeps_alive: bool) -> After {
    if keeps_alive { After::Next } else { After::Close }
}

/// Sends what was written.
async fn finish(client: &Client<'_>, scratch: &mut Scratch, then: After) -> After {
    match client.send(&mut scratch.out, 0, CLIENT_STALL).await {
        Ok(()) => then,
        Err(_gone) => After::Gone,
    }
}
