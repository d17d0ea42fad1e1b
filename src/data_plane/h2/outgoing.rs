//! A stream's answer: the bytes that HTTP/1.1 would have, taken apart into frames.
//!
//! The road's own framing says when the answer is whole: an end that comes before is a reset
//! (RFC 9113 §8.1), never the stream's regular end.

use std::{
    cell::RefCell,
    future::poll_fn,
    io,
    pin::pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use h2::{Reason, SendStream, server::SendResponse};
use http::{HeaderValue, Response, StatusCode, header};

use crate::{
    net::runtime::timeout,
    wire::http1::{
        content::ContentReader,
        framing,
        head::{AnswerHead, FieldStorage, parse_answer},
    },
};

/// Where a stream's road sends to.
pub struct Outgoing(RefCell<State>);

struct State {
    respond: SendResponse<Bytes>,
    /// Since the head was sent.
    stream: Option<SendStream<Bytes>>,
    /// Of a head that is not whole.
    head: Vec<u8>,
    reader: ContentReader,
    is_head: bool,
    is_whole: bool,
}

/// Fields that are a connection's own (RFC 9113 §8.2.2).
const CONNECTIONS_OWN: [header::HeaderName; 4] =
    [header::CONNECTION, header::TRANSFER_ENCODING, header::UPGRADE, header::PROXY_AUTHENTICATE];

impl Outgoing {
    /// Of a request that `respond` answers; `is_head`: without content.
    pub fn new(respond: SendResponse<Bytes>, is_head: bool) -> Self {
        let reader = ContentReader::new(framing::Framing::UntilClose);
        let (stream, head, is_whole) = (None, Vec::new(), false);
        Self(RefCell::new(State { respond, stream, head, reader, is_head, is_whole }))
    }

    /// Sends what HTTP/1.1 would send. Waits until the client's windows have room.
    ///
    /// # Errors
    /// The stream is gone, or its client took nothing for `stall`.
    pub async fn send(&self, mut bytes: &[u8], stall: Duration) -> io::Result<()> {
        if self.0.borrow().stream.is_none() {
            let rest = self.0.borrow_mut().take_head(bytes)?;
            bytes = &bytes[bytes.len() - rest..];
        }
        while !bytes.is_empty() {
            let step = self.0.borrow_mut().reader.step(bytes);
            let step = step.map_err(|error| io::Error::other(error.0))?;
            let (data, is_last) = (&bytes[step.data], self.0.borrow().reader.is_done());
            self.send_data(data, is_last, stall).await?;
            bytes = &bytes[step.consumed..];
            if is_last {
                break;
            }
        }
        Ok(())
    }

    async fn send_data(&self, mut data: &[u8], is_last: bool, stall: Duration) -> io::Result<()> {
        if data.is_empty() && is_last {
            return self.0.borrow_mut().put(Bytes::new(), true);
        }
        while !data.is_empty() {
            let room = pin!(poll_fn(|context| self.0.borrow_mut().poll_room(data.len(), context)));
            let room = timeout(stall, room).await.map_err(|_| io::ErrorKind::TimedOut)??;
            let (piece, rest) = data.split_at(room.min(data.len()));
            data = rest;
            self.0.borrow_mut().put(Bytes::copy_from_slice(piece), is_last && data.is_empty())?;
        }
        Ok(())
    }

    /// Waits until the client gives the stream up, or its connection ends.
    pub async fn given_up(&self) {
        poll_fn(|context| {
            let mut state = self.0.borrow_mut();
            let State { respond, stream, .. } = &mut *state;
            let polled = match stream {
                Some(stream) => stream.poll_reset(context),
                None => respond.poll_reset(context),
            };
            polled.map(|_| ())
        })
        .await;
    }

    /// No more comes. What is not whole is reset.
    pub fn end(&self) {
        let mut state = self.0.borrow_mut();
        if state.is_whole {
            return;
        }
        let State { respond, stream, .. } = &mut *state;
        match stream {
            Some(stream) => stream.send_reset(Reason::INTERNAL_ERROR),
            None => respond.send_reset(Reason::INTERNAL_ERROR),
        }
    }
}

impl State {
    /// Takes `bytes` up to the head's end, and sends the head if it is whole. How many follow it.
    fn take_head(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.head.extend_from_slice(bytes);
        let all = std::mem::take(&mut self.head);
        let mut seen = 0;
        loop {
            let mut storage = FieldStorage::new();
            let head = parse_answer(&all[seen..], &mut storage);
            let head = head.map_err(|_| io::Error::other("an answer of ours has no head"))?;
            let Some(head) = head else {
                self.head = all[seen..].to_vec();
                return Ok(0);
            };
            seen += head.length;
            if head.status >= 200 {
                self.send_head(&head)?;
                return Ok(all.len() - seen);
            }
        }
    }

    fn send_head(&mut self, head: &AnswerHead<'_, '_>) -> io::Result<()> {
        let method = if self.is_head { "HEAD" } else { "POST" };
        let framing = framing::of_answer(method, head.status, head.version, &head.fields);
        let framing = framing.map_err(|_| io::Error::other("an answer of ours has no end"))?;
        self.reader = ContentReader::new(framing);
        self.is_whole = self.reader.is_done();
        let mut answer = Response::new(());
        *answer.status_mut() = StatusCode::from_u16(head.status).map_err(io::Error::other)?;
        for (name, value) in head.fields.iter() {
            let name = header::HeaderName::try_from(name).map_err(io::Error::other)?;
            let is_connections_own = CONNECTIONS_OWN.contains(&name)
                || name.as_str() == "keep-alive"
                || name.as_str() == "proxy-connection";
            if !is_connections_own {
                let value = HeaderValue::from_bytes(value).map_err(io::Error::other)?;
                answer.headers_mut().append(name, value);
            }
        }
        let sent = self.respond.send_response(answer, self.is_whole);
        self.stream = Some(sent.map_err(io::Error::other)?);
        Ok(())
    }

    fn put(&mut self, data: Bytes, is_last: bool) -> io::Result<()> {
        let Some(stream) = &mut self.stream else { return Err(io::ErrorKind::NotConnected.into()) };
        stream.send_data(data, is_last).map_err(io::Error::other)?;
        self.is_whole |= is_last;
        Ok(())
    }

    fn poll_room(&mut self, wanted: usize, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        let Some(stream) = &mut self.stream else { return Poll::Ready(Err(gone())) };
        stream.reserve_capacity(wanted);
        loop {
            if stream.capacity() > 0 {
                return Poll::Ready(Ok(stream.capacity()));
            }
            match stream.poll_capacity(context) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(Err(gone())),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
