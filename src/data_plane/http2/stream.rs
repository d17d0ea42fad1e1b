//! One stream: its request into an inbox, as HTTP/1.1 would have brought it, and the answer out of `send`.
//!
//! ```text
//!   HEADERS ─ head ─▶ ┌───────┐            ┌──────────┐ ─ head ─▶ HEADERS
//!   DATA ── chunks ─▶ │ Inbox │ exchange ─▶│  Stream  │ ────────▶ DATA, as far as the client's windows go
//!   RST_STREAM ─────▶ └───────┘ Gone       └──────────┘ ─ After ▶ END_STREAM, or RST_STREAM if it is not whole
//! ```
//!
//! Content is taken from the codec, and its window given back, when the exchange asks for it.

use std::{
    cell::RefCell,
    future::poll_fn,
    io, mem,
    pin::pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream, server::SendResponse};
use http::Request;

use crate::{
    data_plane::{
        connection::Client,
        exchange::{After, exchange},
        http2::{
            Session,
            head::{read_answer, write_request},
        },
        inbox::Inbox,
        worker::Worker,
    },
    limits::SEND_BYTES_MAX,
    net::runtime::timeout,
    wire::http1::chunked::{CHUNK_HEAD_BYTES_MAX, LAST_CHUNK, write_chunk_head},
};

/// The client's side of one exchange.
pub struct Stream {
    sending: RefCell<Sending>,
    session: Rc<Session>,
}

/// How far the answer has come.
enum Sending {
    /// Its head is to be sent.
    Head(SendResponse<Bytes>),
    /// Its content.
    Content(SendStream<Bytes>),
    /// Nothing more.
    Over,
}

/// Serves one stream to its end.
pub async fn serve(
    (request, mut respond): (Request<RecvStream>, SendResponse<Bytes>),
    session: Rc<Session>,
    worker: &Worker,
) {
    let (parts, content) = request.into_parts();
    let inbox = Inbox::default();
    let mut head = Vec::new();
    let Ok(is_chunked) = write_request(&parts, !content.is_end_stream(), &mut head) else {
        return respond.send_reset(Reason::PROTOCOL_ERROR);
    };
    drop(parts);
    inbox.put(&[&head]);
    drop(head);
    let stream = Stream { sending: RefCell::new(Sending::Head(respond)), session };
    let mut feed = Feed { content, is_chunked, is_whole: false, is_wanted: false };
    let client = Client::of_stream(&inbox, &stream);
    let mut road = pin!(async {
        let mut scratch = worker.spares.take_scratch();
        let after = exchange(&client, worker, &mut scratch).await;
        worker.spares.give_scratch(scratch);
        after
    });
    let after = poll_fn(|context| {
        if worker.is_over() {
            return Poll::Ready(None); // its account says that it was interrupted
        }
        loop {
            feed.poll(&inbox, &stream, context);
            if let Poll::Ready(after) = road.as_mut().poll(context) {
                return Poll::Ready(Some(after));
            }
            if !inbox.has_order() {
                return Poll::Pending;
            }
        }
    });
    if let Some(after) = after.await {
        stream.end(after);
    }
}

impl Stream {
    /// The connection that it is one of.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Sends what HTTP/1.1 would have been sent: a head, if none was, and content without coding. Waits until
    /// the client's windows, and the room that the codec has for it, have taken all.
    ///
    /// # Errors
    /// The stream is over, or took nothing for `stall`.
    pub async fn send(&self, mut bytes: &[u8], stall: Duration) -> io::Result<()> {
        while !bytes.is_empty() {
            if let Some(length) = self.send_head(bytes)? {
                bytes = &bytes[length..];
                continue;
            }
            let wanted = bytes.len().min(SEND_BYTES_MAX);
            let room = pin!(poll_fn(|context| self.poll_room(wanted, context)));
            let room = timeout(stall, room).await.map_err(|_| io::ErrorKind::TimedOut)??;
            let (now, later) = bytes.split_at(room.min(wanted));
            self.send_data(Bytes::copy_from_slice(now), false)?;
            bytes = later;
        }
        Ok(())
    }

    /// Sends the head that `bytes` begin with, and returns its length. `None`: it was sent before.
    fn send_head(&self, bytes: &[u8]) -> io::Result<Option<usize>> {
        let mut sending = self.sending.borrow_mut();
        let Sending::Head(respond) = &mut *sending else { return Ok(None) };
        let (answer, length) = read_answer(bytes).map_err(|_| io::ErrorKind::InvalidData)?;
        if answer.status().is_informational() {
            respond.send_informational(answer).map_err(gone)?;
        } else {
            let content = respond.send_response(answer, false).map_err(gone)?;
            *sending = Sending::Content(content);
        }
        Ok(Some(length))
    }

    /// How many bytes may be sent, at least one.
    fn poll_room(&self, wanted: usize, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut sending = self.sending.borrow_mut();
        let Sending::Content(content) = &mut *sending else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        content.reserve_capacity(wanted);
        match content.capacity() {
            0 => content.poll_capacity(context).map(|room| match room {
                Some(room) => room.map_err(gone),
                None => Err(io::ErrorKind::BrokenPipe.into()),
            }),
            room => Poll::Ready(Ok(room)),
        }
    }

    fn send_data(&self, data: Bytes, is_last: bool) -> io::Result<()> {
        match &mut *self.sending.borrow_mut() {
            Sending::Content(content) => content.send_data(data, is_last).map_err(gone),
            Sending::Head(_) | Sending::Over => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Ends it: in order only if the answer is whole.
    fn end(&self, after: After) {
        match (mem::replace(&mut *self.sending.borrow_mut(), Sending::Over), after) {
            (Sending::Content(mut content), After::Next | After::Close) => {
                // It fails if the client has reset it, which is its own affair.
                let _ = content.send_data(Bytes::new(), true);
            }
            (Sending::Content(mut content), After::Cut | After::Gone) => {
                content.send_reset(Reason::INTERNAL_ERROR);
            }
            (Sending::Head(mut respond), _) => respond.send_reset(Reason::INTERNAL_ERROR),
            (Sending::Over, _) => {}
        }
    }

    /// Whether the client has reset the stream, or the connection has ended.
    fn is_gone(&self, context: &mut Context<'_>) -> bool {
        match &mut *self.sending.borrow_mut() {
            Sending::Head(respond) => respond.poll_reset(context).is_ready(),
            Sending::Content(content) => content.poll_reset(context).is_ready(),
            Sending::Over => false,
        }
    }
}

fn gone(error: h2::Error) -> io::Error {
    error.into_io().unwrap_or_else(|| io::ErrorKind::ConnectionReset.into())
}

/// Brings a request's content into its inbox.
struct Feed {
    content: RecvStream,
    /// Its head does not tell its length: it goes in chunks.
    is_chunked: bool,
    is_whole: bool,
    /// More was ordered, and has not come.
    is_wanted: bool,
}

impl Feed {
    fn poll(&mut self, inbox: &Inbox, stream: &Stream, context: &mut Context<'_>) {
        self.is_wanted |= inbox.take_order();
        if !inbox.has_ended() && stream.is_gone(context) {
            stream.session.counts_reset();
            inbox.end();
        }
        while self.is_wanted && !self.is_whole && !inbox.has_ended() {
            match self.content.poll_data(context) {
                Poll::Pending => return,
                Poll::Ready(Some(Ok(data))) => {
                    self.is_wanted = data.is_empty();
                    self.put(&data, inbox);
                    // It fails if the stream is over, which the next look tells.
                    let _ = self.content.flow_control().release_capacity(data.len());
                }
                Poll::Ready(Some(Err(_))) => inbox.end(),
                Poll::Ready(None) => {
                    self.is_whole = true;
                    if self.is_chunked {
                        self.is_wanted = false;
                        inbox.put(&[LAST_CHUNK]);
                    }
                }
            }
        }
    }

    fn put(&self, data: &[u8], inbox: &Inbox) {
        if data.is_empty() {
            return; // a chunk without data would be the last
        }
        if self.is_chunked {
            let mut room = [0; CHUNK_HEAD_BYTES_MAX];
            let gap = write_chunk_head(&mut room, data.len());
            inbox.put(&[&room[gap..], data, b"\r\n"]);
        } else {
            inbox.put(&[data]);
        }
    }
}
