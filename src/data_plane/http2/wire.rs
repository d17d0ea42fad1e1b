//! A connection's bytes as the HTTP/2 codec wants them: read and written without waiting.
//!
//! ```text
//!   Inbox  ── what the client sent, received as for HTTP/1.1 ──▶ poll_read
//!   Outbox ◀── poll_write, up to a bound;  run() hands it to the kernel, all that is there at once
//! ```
//!
//! The codec never sees the socket. What it writes counts as sent once it is in the outbox, as if that were a
//! part of the kernel's buffer; its bound is the codec's back-pressure.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    io, mem,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{
    data_plane::inbox::Inbox,
    limits::{CLIENT_STALL_MS_MAX, FLOW_BUFFER_BYTES, OUTBOX_BYTES_MAX},
    net::line::Line,
};

/// What is on its way to the client.
#[derive(Default)]
pub struct Outbox {
    waiting: RefCell<Vec<u8>>,
    /// Some are with the kernel.
    is_sending: Cell<bool>,
    has_failed: Cell<bool>,
}

impl Outbox {
    /// Sends whatever waits. Never ends; dropping it kills the connection.
    pub async fn run(&self, line: &Line) {
        let stall = Duration::from_millis(CLIENT_STALL_MS_MAX);
        let mut spare = Vec::new();
        loop {
            // The task's other half writes, and polls again.
            poll_fn(|_| if self.has_order() { Poll::Ready(()) } else { Poll::Pending }).await;
            let bytes = mem::replace(&mut *self.waiting.borrow_mut(), spare);
            self.is_sending.set(true);
            let (result, returned) = line.send(bytes, 0, stall).await;
            self.is_sending.set(false);
            if result.is_err() {
                self.has_failed.set(true);
                return std::future::pending().await;
            }
            spare = returned;
            spare.clear();
        }
    }

    /// Whether something waits that [`Self::run`] could take: then it must be polled before the task may rest.
    pub fn has_order(&self) -> bool {
        !self.is_sending.get() && !self.has_failed.get() && !self.waiting.borrow().is_empty()
    }

    /// Whether the kernel has all of it, or never will.
    pub fn is_over(&self) -> bool {
        self.has_failed.get() || (!self.is_sending.get() && self.waiting.borrow().is_empty())
    }
}

/// Both directions.
pub struct Wire<'c> {
    /// What the client sent.
    pub inbox: &'c Inbox,
    /// What it gets.
    pub outbox: &'c Outbox,
}

impl AsyncRead for Wire<'_> {
    fn poll_read(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.inbox.is_empty() {
            // Without a waker: who receives is polled in the same task, and then we are again.
            return match self.inbox.order(FLOW_BUFFER_BYTES / 2) {
                Ok(()) => Poll::Pending,
                Err(_gone) => Poll::Ready(Ok(())),
            };
        }
        let count = self.inbox.with(|bytes| {
            let count = bytes.len().min(room.remaining());
            room.put_slice(&bytes[..count]);
            count
        });
        self.inbox.consume(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.outbox.has_failed.get() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let mut waiting = self.outbox.waiting.borrow_mut();
        let room = OUTBOX_BYTES_MAX.saturating_sub(waiting.len()).min(bytes.len());
        if room == 0 && !bytes.is_empty() {
            return Poll::Pending;
        }
        waiting.extend_from_slice(&bytes[..room]);
        Poll::Ready(Ok(room))
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.outbox.has_failed.get() {
            true => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            false => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(context)
    }
}
