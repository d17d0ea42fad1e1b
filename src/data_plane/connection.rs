//! One client connection: head, exchange, next head.
//!
//! Two futures share the connection's task: the standing receive and the road. They are polled
//! together, so that neither has to wake the other, and both live as long as the connection.

use std::{
    cell::Cell,
    future::{Future, poll_fn},
    io, mem,
    net::IpAddr,
    pin::pin,
    rc::Rc,
    task::Poll,
    time::Duration,
};

use crate::{
    bedrock::fault::Fault,
    buffer::Buffer,
    data_plane::{
        exchange::{After, exchange, refuse_head},
        http2::{self, PREFACE, Stream},
        inbox::Inbox,
        worker::Worker,
    },
    limits::{
        CLIENT_IDLE_MS_MAX, FLOW_BUFFER_BYTES, HEAD_MS_MAX, IDLE_BUFFER_BYTES, LINGER_BYTES_MAX,
        LINGER_MS_MAX,
    },
    net::{
        clock,
        line::Line,
        runtime::{timeout, timeout_at},
        tcp::Socket,
    },
    wire::http1::head::Version,
};

/// The client's side of an exchange.
pub struct Client<'c> {
    /// What it sent.
    pub inbox: &'c Inbox,
    /// Where its connection came from.
    pub address: IpAddr,
    way: Way<'c>,
    /// That it has sent.
    requests: &'c Cell<u64>,
}

/// The way to it.
enum Way<'c> {
    /// A connection of its own.
    Line(&'c Line),
    /// A stream among others.
    Stream(&'c Stream),
}

impl<'c> Client<'c> {
    /// At the other end of a stream.
    #[must_use]
    pub fn of_stream(inbox: &'c Inbox, stream: &'c Stream) -> Self {
        let session = stream.session();
        let (address, requests) = (session.address, &session.requests);
        Self { inbox, address, way: Way::Stream(stream), requests }
    }

    /// It has sent one more request; whether another one of at most `max` may follow.
    pub fn counts_one_more(&self, max: Option<u64>) -> bool {
        self.requests.set(self.requests.get() + 1);
        let may_follow = max.is_none_or(|max| self.requests.get() < max);
        if let (Way::Stream(stream), false) = (&self.way, may_follow) {
            stream.session().leave();
        }
        may_follow
    }

    /// In which its answer is to be, if its request's head says `said`.
    #[must_use]
    pub fn version(&self, said: Version) -> Version {
        match self.way {
            Way::Line(_) => said,
            Way::Stream(_) => Version::Http2,
        }
    }

    /// Sends `bytes[from..]`; the vector comes back empty or not, but with its room.
    ///
    /// # Errors
    /// The client is gone, or took nothing for `stall`.
    pub async fn send(&self, bytes: &mut Vec<u8>, from: usize, stall: Duration) -> io::Result<()> {
        match self.way {
            Way::Line(line) => {
                let (result, returned) = line.send(mem::take(bytes), from, stall).await;
                *bytes = returned;
                result
            }
            Way::Stream(stream) => stream.send(&bytes[from..], stall).await,
        }
    }
}

/// Serves one connection to its end.
///
/// `is_let_in` is false for one too many: it is told so.
pub async fn serve(socket: Socket, (address, is_let_in): (IpAddr, bool), worker: Rc<Worker>) {
    let ticket = poll_fn(|context| Poll::Ready(worker.enter(context.waker().clone()))).await;
    let _leave = Leave { worker: &worker, ticket };
    let Some(line) = secured(socket, &worker).await else { return };
    let inbox = Inbox::default();
    let mut standing = pin!(inbox.run(&line));
    let requests = Cell::new(0);
    let client = Client { inbox: &inbox, address, way: Way::Line(&line), requests: &requests };
    let mut road = pin!(serve_requests(&client, &line, &worker, is_let_in));
    poll_fn(|context| {
        if worker.is_over() {
            // To a client of HTTP/1.0, a close in order would say that its answer is whole.
            line.reset_on_close();
            return Poll::Ready(());
        }
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
}

/// The connection, once it is secured if it is to be; what is no TLS is told so.
async fn secured(socket: Socket, worker: &Worker) -> Option<Line> {
    let Some(tls) = worker.server_tls() else { return Some(Line::Plain(socket)) };
    let stall = Duration::from_millis(HEAD_MS_MAX);
    // Boxed: an idle connection is not to carry the room that a handshake takes.
    let mut securing = Box::pin(Line::secure(socket, &tls, stall));
    let mut waiting = pin!(timeout(stall, securing.as_mut()));
    let ended = poll_fn(|context| match waiting.as_mut().poll(context) {
        Poll::Ready(ended) => Poll::Ready(ended.ok()),
        Poll::Pending if worker.closes_idle() => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    });
    match ended.await? {
        Ok(line) => Some(line),
        Err((_error, Some(socket))) => {
            let (sent, _) = socket.send(NO_TLS.to_vec(), 0, stall).await;
            if sent.is_ok() {
                socket.finish_sending();
                let rest = Buffer::with_capacity(FLOW_BUFFER_BYTES);
                let _ended = timeout(stall, pin!(socket.receive(rest))).await;
            }
            None
        }
        Err((_error, None)) => None,
    }
}

/// To a client that speaks plain HTTP where TLS is spoken, as its kind of server would say it.
const NO_TLS: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nx-amzn-errortype: \
    ValidationException\r\ncontent-length: 64\r\nconnection: close\r\n\r\n\
    {\"message\":\"This port speaks TLS: use https:// in the address.\"}";

struct Leave<'w> {
    worker: &'w Worker,
    ticket: usize,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.worker.leave(self.ticket);
    }
}

async fn serve_requests(client: &Client<'_>, line: &Line, worker: &Rc<Worker>, is_let_in: bool) {
    if !is_let_in {
        let mut scratch = worker.spares.take_scratch();
        let after = refuse_head(client, worker, &mut scratch, Fault::Overloaded).await;
        worker.spares.give_scratch(scratch);
        if after == After::Close {
            linger(client, line).await;
        }
        return;
    }
    let mut is_first = true;
    while idle(client, worker).await {
        if mem::take(&mut is_first) && speaks_http2(client).await {
            // Boxed: its state is larger than all the rest, and most connections have none of it.
            Box::pin(http2::serve(client.inbox, line, client.address, worker)).await;
            return linger(client, line).await;
        }
        let mut scratch = worker.spares.take_scratch();
        let after = exchange(client, worker, &mut scratch).await;
        worker.spares.give_scratch(scratch);
        match after {
            After::Next => {}
            After::Close => return linger(client, line).await,
            After::Cut => return line.reset_on_close(),
            After::Gone => return,
        }
    }
    // Idle ones are to close: what was sent ahead is not served, and must not turn our close into a reset that
    // overtakes the last answer.
    if client.inbox.is_empty() {
        line.announce_end(Duration::from_millis(LINGER_MS_MAX)).await;
    } else {
        linger(client, line).await;
    }
}

/// Whether what begins is HTTP/2's preface. No request of HTTP/1.1 is kept waiting for longer than it takes to
/// be told from it.
async fn speaks_http2(client: &Client<'_>) -> bool {
    let deadline = clock::now() + Duration::from_millis(HEAD_MS_MAX);
    loop {
        let (is_whole, may_become) =
            client.inbox.with(|bytes| (bytes.starts_with(PREFACE), PREFACE.starts_with(bytes)));
        if is_whole || !may_become {
            return is_whole;
        }
        let more = pin!(client.inbox.receive(IDLE_BUFFER_BYTES));
        if !matches!(timeout_at(deadline, more).await, Ok(Ok(()))) {
            return false; // and whoever reads a head says so
        }
    }
}

/// Waits for a request's first byte. False if none will be taken.
async fn idle(client: &Client<'_>, worker: &Worker) -> bool {
    // Old clients end content with a CRLF that nobody counts (RFC 9112 §2.2): it begins no request.
    while wait(client, worker).await {
        if client.inbox.with(|bytes| bytes != b"\r\n") {
            return true;
        }
        client.inbox.consume(2);
    }
    false
}

async fn wait(client: &Client<'_>, worker: &Worker) -> bool {
    if !client.inbox.is_empty() {
        return !worker.closes_idle();
    }
    client.inbox.rest();
    let mut first = pin!(client.inbox.receive(IDLE_BUFFER_BYTES));
    let first = poll_fn(|context| match first.as_mut().poll(context) {
        Poll::Ready(received) => Poll::Ready(received.is_ok()),
        Poll::Pending if worker.closes_idle() => Poll::Ready(false),
        Poll::Pending => Poll::Pending,
    });
    timeout(Duration::from_millis(CLIENT_IDLE_MS_MAX), pin!(first)).await.unwrap_or(false)
}

/// Closes so that the last answer is not lost (RFC 9112 §9.6): a socket closed with bytes unread resets
/// the connection, and the reset may overtake the answer.
async fn linger(client: &Client<'_>, line: &Line) {
    line.finish_sending(Duration::from_millis(LINGER_MS_MAX)).await;
    let deadline = clock::now() + Duration::from_millis(LINGER_MS_MAX);
    let mut dropped = 0;
    while dropped <= LINGER_BYTES_MAX {
        dropped += client.inbox.forget();
        if !matches!(
            timeout_at(deadline, pin!(client.inbox.receive(FLOW_BUFFER_BYTES))).await,
            Ok(Ok(()))
        ) {
            return;
        }
    }
}
