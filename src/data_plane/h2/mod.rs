//! HTTP/2 from clients: another codec on the same road.
//!
//! ```text
//!   socket ══ Inbox ══▶ Pipe ──▶ crate h2 ──▶ one stream: Incoming ──▶ Inbox ──▶ exchange
//!   socket ◀═ Outbox ══ Pipe ◀── crate h2 ◀── Outgoing (flow control) ◀── Client::send ◀──┘
//! ```
//!
//! Each stream is a client's connection of its own to the rest of the house: its request is written as the head
//! and content that HTTP/1.1 would have, read by the same strict parser, and its answer is taken apart again.
//! That the two speak of one length, one end and one cut is so by construction: `exchange` knows nothing of it.
//! All futures of a connection are one task, so that its end is theirs.

mod incoming;
mod outgoing;
mod pipe;
mod render;

use std::{
    cell::Cell,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{Stream as _, stream::FuturesUnordered};
use h2::{
    RecvStream,
    server::{Builder, Connection, SendResponse},
};
use http::Request;

pub use self::outgoing::Outgoing;
use self::{
    incoming::Incoming,
    pipe::{Outbox, Pipe},
};
use super::{
    connection::{Client, Transport},
    exchange::exchange,
    inbox::Inbox,
    worker::Worker,
};
use crate::{
    boundary::notice::Event,
    limits::{
        CLIENT_IDLE_MS_MAX, FLOW_BUFFER_BYTES, H2_CONNECTION_WINDOW_BYTES, H2_RESETS_MAX,
        H2_STREAM_WINDOW_BYTES, H2_STREAMS_MAX, HEAD_BYTES_MAX, HEAD_MS_MAX,
    },
    net::{
        clock,
        runtime::{Contained, sleep, timeout_at},
    },
};

/// What a client that knows us to speak HTTP/2 begins with (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Whether the client begins with the preface of HTTP/2; waits for as much as decides it.
pub async fn is_spoken(inbox: &Inbox) -> bool {
    let deadline = clock::now() + Duration::from_millis(HEAD_MS_MAX);
    loop {
        let decided = inbox.with(|bytes| {
            let seen = bytes.len().min(PREFACE.len());
            match bytes[..seen] == PREFACE[..seen] {
                true if seen < PREFACE.len() => None,
                is_same => Some(is_same),
            }
        });
        if let Some(decided) = decided {
            return decided;
        }
        let more = timeout_at(deadline, pin!(inbox.receive(FLOW_BUFFER_BYTES))).await;
        if !matches!(more, Ok(Ok(()))) {
            return false;
        }
    }
}

/// Serves a connection whose preface is there, to its end.
pub async fn serve(client: &Client<'_>, worker: &Worker) {
    let Transport::Line(line) = client.transport else { return };
    let outbox = Outbox::default();
    let mut sending = pin!(outbox.run(line));
    let pipe = Pipe { inbox: client.inbox, outbox: &outbox };
    let mut streams = pin!(async {
        streams(client, worker, pipe).await;
        outbox.emptied().await;
    });
    poll_fn(|context| {
        loop {
            if streams.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
            let before = outbox.turns();
            let _never_ready = sending.as_mut().poll(context);
            // What was sent makes room, which nobody else tells.
            if outbox.turns() == before {
                return Poll::Pending;
            }
        }
    })
    .await;
}

type Codec<'c> = Connection<Pipe<'c>, Bytes>;
type Served<'c> = Pin<Box<dyn Future<Output = ()> + 'c>>;

async fn streams<'c>(client: &'c Client<'_>, worker: &'c Worker, pipe: Pipe<'c>) {
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(H2_STREAMS_MAX)
        .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).expect("64 KiB"))
        .initial_window_size(H2_STREAM_WINDOW_BYTES)
        .initial_connection_window_size(H2_CONNECTION_WINDOW_BYTES)
        .max_send_buffer_size(FLOW_BUFFER_BYTES)
        .max_pending_accept_reset_streams(H2_RESETS_MAX)
        .max_local_error_reset_streams(Some(H2_RESETS_MAX));
    let handshake = pin!(builder.handshake::<_, Bytes>(pipe));
    let deadline = clock::now() + Duration::from_millis(HEAD_MS_MAX);
    let Ok(Ok(mut codec)) = timeout_at(deadline, handshake).await else { return };
    let mut running: FuturesUnordered<Contained<Served<'c>>> = FuturesUnordered::new();
    let mut requests = 0;
    let mut is_closing = false;
    loop {
        let idle_until =
            running.is_empty().then(|| clock::now() + Duration::from_millis(CLIENT_IDLE_MS_MAX));
        let next = next(&mut codec, &mut running, worker, (idle_until, is_closing));
        match next.await {
            Next::Stream(request, respond) => {
                requests += 1;
                running.push(Contained(Box::pin(stream(client, worker, request, respond))));
                let max = worker.snapshot().bounds.requests_per_connection_max;
                if max.is_some_and(|max| requests >= max) && !is_closing {
                    is_closing = true;
                    codec.graceful_shutdown();
                }
            }
            Next::Close => {
                is_closing = true;
                codec.graceful_shutdown();
            }
            Next::Panicked => {
                worker.counters.panics.add(1);
                worker.notices.tell(None, Event::Panicked);
            }
            Next::Ended => return,
            Next::Idle => {}
        }
    }
}

enum Next {
    Stream(Request<RecvStream>, SendResponse<Bytes>),
    /// No further streams are wanted.
    Close,
    /// Nobody has asked for anything for too long.
    Idle,
    Panicked,
    /// The connection is over.
    Ended,
}

async fn next(
    codec: &mut Codec<'_>,
    running: &mut FuturesUnordered<Contained<Served<'_>>>,
    worker: &Worker,
    (idle_until, is_closing): (Option<Instant>, bool),
) -> Next {
    let idle = async {
        match idle_until {
            Some(until) => sleep(until.saturating_duration_since(clock::now())).await,
            None => std::future::pending().await,
        }
    };
    let mut idle = pin!(idle);
    poll_fn(|context| {
        let ended = poll_running(running, context);
        if ended == Some(false) {
            return Poll::Ready(Next::Panicked);
        }
        match codec.poll_accept(context) {
            Poll::Ready(Some(Ok((request, respond)))) => {
                return Poll::Ready(Next::Stream(request, respond));
            }
            Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(Next::Ended),
            Poll::Pending => {}
        }
        if !is_closing && worker.is_draining() {
            return Poll::Ready(Next::Close);
        }
        // The last one that was under way has ended: from now on it is idle.
        if idle_until.is_none() && running.is_empty() {
            return Poll::Ready(Next::Idle);
        }
        match idle.as_mut().poll(context) {
            Poll::Ready(()) if is_closing => Poll::Ready(Next::Ended),
            Poll::Ready(()) => Poll::Ready(Next::Close),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Lets those that can go on; whether one ended by itself, `false` if it panicked.
fn poll_running(
    running: &mut FuturesUnordered<Contained<Served<'_>>>,
    context: &mut Context<'_>,
) -> Option<bool> {
    loop {
        match Pin::new(&mut *running).poll_next(context) {
            Poll::Ready(Some(true)) => {}
            Poll::Ready(Some(false)) => return Some(false),
            Poll::Ready(None) | Poll::Pending => return None,
        }
    }
}

/// Serves one request.
async fn stream(
    connection: &Client<'_>,
    worker: &Worker,
    request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
) {
    let is_head = request.method() == http::Method::HEAD;
    let outgoing = Outgoing::new(respond, is_head);
    let mut incoming = Incoming::new(request, &outgoing);
    let (inbox, requests) = (Inbox::default(), Cell::new(0));
    let client = Client {
        inbox: &inbox,
        address: connection.address,
        transport: Transport::Stream(&outgoing),
        requests: &requests,
    };
    let road = async {
        if client.inbox.receive(FLOW_BUFFER_BYTES).await.is_err() {
            return;
        }
        let mut scratch = worker.spares.take_scratch();
        let _after = exchange(&client, worker, &mut scratch).await;
        worker.spares.give_scratch(scratch);
    };
    let mut road = pin!(road);
    let mut standing = pin!(inbox.run(&mut incoming));
    poll_fn(|context| {
        loop {
            let _never_ready = standing.as_mut().poll(context);
            if road.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
            if !inbox.has_order() {
                return Poll::Pending;
            }
        }
    })
    .await;
    // Whatever is not whole must not look so.
    outgoing.end();
}
