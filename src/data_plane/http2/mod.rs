//! HTTP/2 from clients: the crate `h2` reads and writes its frames, and each stream is an exchange like any other.
//!
//! ```text
//!   socket ⇄ Inbox, Outbox ⇄ wire ⇄ h2 ─┬─ stream: head, content ⇄ exchange     a task each, with a panic of its own
//!                                        └─ stream …
//! ```
//!
//! With prior knowledge: the preface tells it from HTTP/1.1 on the same port, and `Upgrade: h2c` is ignored.
//! There is one road, `exchange`, and it knows of this only that content ends with its stream. What a connection
//! may ask of us is bounded here and in `h2`: streams, heads, windows, resets, frames that cost and bring nothing.

mod head;
mod stream;
mod wire;

use std::{
    cell::Cell,
    future::{Future, poll_fn},
    net::IpAddr,
    pin::{Pin, pin},
    rc::Rc,
    task::Poll,
    time::{Duration, Instant},
};

use bytes::Bytes;
use h2::{
    Reason, RecvStream,
    server::{Builder, Connection, SendResponse},
};
use http::Request;
pub use stream::Stream;

use self::wire::{Outbox, Wire};
use crate::{
    boundary::notice::Event,
    data_plane::{inbox::Inbox, worker::Worker},
    limits::{
        CLIENT_IDLE_MS_MAX, HEAD_BYTES_MAX, HEAD_MS_MAX, HTTP2_CONNECTION_WINDOW_BYTES,
        HTTP2_PENDING_RESETS_MAX, HTTP2_RESETS_MAX, HTTP2_STREAM_WINDOW_BYTES, HTTP2_STREAMS_MAX,
        LINGER_MS_MAX, SEND_BYTES_MAX,
    },
    net::{
        clock,
        line::Line,
        runtime::{self, Contained, timeout, timeout_at},
    },
};

/// What a client that speaks HTTP/2 begins with (RFC 9113 §3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What the streams of one connection share.
pub struct Session {
    /// Where it came from.
    pub address: IpAddr,
    /// Requests that came on it.
    pub requests: Cell<u64>,
    /// Streams under way.
    active: Cell<usize>,
    /// Since when there is none.
    quiet_since: Cell<Instant>,
    /// Streams that the client gave up.
    resets: Cell<u32>,
    /// It is to take no more, and to end with its last stream.
    is_leaving: Cell<bool>,
    /// And the client was told so.
    has_said_so: Cell<bool>,
}

impl Session {
    /// No request may follow.
    pub fn leave(&self) {
        self.is_leaving.set(true);
    }

    /// Until when it is kept without a stream.
    fn patience(&self) -> Instant {
        let ms = if self.has_said_so.get() { LINGER_MS_MAX } else { CLIENT_IDLE_MS_MAX };
        let since = if self.active.get() > 0 { clock::now() } else { self.quiet_since.get() };
        since + Duration::from_millis(ms)
    }

    /// A client that asks and takes back costs work and gets none: not for ever.
    fn counts_reset(&self) {
        self.resets.set(self.resets.get() + 1);
        if self.resets.get() >= HTTP2_RESETS_MAX {
            self.leave();
        }
    }
}

/// Serves a connection whose first bytes, the preface, are in `inbox`, to its end.
pub async fn serve(inbox: &Inbox, line: &Line, address: IpAddr, worker: &Rc<Worker>) {
    let outbox = Outbox::default();
    let mut sending = pin!(outbox.run(line));
    let mut streams = pin!(accept_streams(Wire { inbox, outbox: &outbox }, address, worker));
    let mut are_over = false;
    poll_fn(|context| {
        loop {
            let _never_ready = sending.as_mut().poll(context);
            are_over = are_over || streams.as_mut().poll(context).is_ready();
            if are_over && outbox.is_over() {
                return Poll::Ready(());
            }
            if !outbox.has_order() {
                return Poll::Pending;
            }
        }
    })
    .await;
}

/// What comes next of a connection.
enum Next {
    /// Boxed: the answer to the other question is nothing.
    Stream(Box<(Request<RecvStream>, SendResponse<Bytes>)>),
    End,
}

async fn accept_streams(wire: Wire<'_>, address: IpAddr, worker: &Rc<Worker>) {
    let session = Rc::new(Session {
        address,
        requests: Cell::new(0),
        active: Cell::new(0),
        quiet_since: Cell::new(clock::now()),
        resets: Cell::new(0),
        is_leaving: Cell::new(false),
        has_said_so: Cell::new(false),
    });
    let handshake = pin!(builder().handshake(wire));
    let handshake = timeout(Duration::from_millis(HEAD_MS_MAX), handshake).await;
    let Ok(Ok(mut connection)) = handshake else { return };
    loop {
        let next = pin!(next(&mut connection, &session, worker));
        match timeout_at(session.patience(), next).await {
            Ok(Next::Stream(asked)) => begin(*asked, &session, worker),
            Ok(Next::End) => return,
            Err(_elapsed) if clock::now() < session.patience() => {}
            Err(_elapsed) if session.has_said_so.get() => return,
            Err(_elapsed) => session.leave(),
        }
    }
}

fn builder() -> Builder {
    let head_bytes_max = u32::try_from(HEAD_BYTES_MAX).expect("a bound of 32 bits");
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(HTTP2_STREAMS_MAX)
        .max_header_list_size(head_bytes_max)
        .initial_window_size(HTTP2_STREAM_WINDOW_BYTES)
        .initial_connection_window_size(HTTP2_CONNECTION_WINDOW_BYTES)
        .max_send_buffer_size(SEND_BYTES_MAX)
        .max_pending_accept_reset_streams(HTTP2_PENDING_RESETS_MAX)
        .max_concurrent_reset_streams(HTTP2_PENDING_RESETS_MAX);
    builder
}

/// The next stream, or the connection's end. Says once to the client that it is leaving, if it is.
async fn next(
    connection: &mut Connection<Wire<'_>, Bytes>,
    session: &Session,
    worker: &Worker,
) -> Next {
    poll_fn(|context| {
        if !session.has_said_so.get() && (session.is_leaving.get() || worker.is_draining()) {
            session.quiet_since.set(clock::now());
            connection.graceful_shutdown();
            session.has_said_so.set(true);
        }
        connection.poll_accept(context).map(|accepted| match accepted {
            Some(Ok(asked)) => Next::Stream(Box::new(asked)),
            // The codec has told the client what was wrong, or there is nobody to tell.
            Some(Err(_)) | None => Next::End,
        })
    })
    .await
}

fn begin(
    (request, mut respond): (Request<RecvStream>, SendResponse<Bytes>),
    session: &Rc<Session>,
    worker: &Rc<Worker>,
) {
    // Those that the client gave up and that have not ended yet count here, and in h2 no more.
    if session.active.get() >= 2 * HTTP2_STREAMS_MAX as usize {
        return respond.send_reset(Reason::REFUSED_STREAM);
    }
    let under_way = UnderWay::new(worker, session);
    runtime::spawn(async move {
        let UnderWay { worker, session } = &under_way;
        let streams = (request, respond);
        let exchange: Pin<Box<_>> = Box::pin(stream::serve(streams, session.clone(), worker));
        if !Contained(exchange).await {
            worker.counters.panics.add(1);
            worker.notices.tell(None, Event::Panicked);
        }
    });
}

/// A stream's task, which the core's end waits for.
struct UnderWay {
    worker: Rc<Worker>,
    session: Rc<Session>,
}

impl UnderWay {
    fn new(worker: &Rc<Worker>, session: &Rc<Session>) -> Self {
        worker.begin_stream();
        session.active.set(session.active.get() + 1);
        Self { worker: worker.clone(), session: session.clone() }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.session.active.set(self.session.active.get() - 1);
        self.session.quiet_since.set(clock::now());
        self.worker.end_stream();
    }
}
