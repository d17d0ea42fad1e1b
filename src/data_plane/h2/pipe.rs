//! A connection's bytes as the codec wants them: read and written by polling, over buffers that the kernel is lent.

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
    limits::{CLIENT_STALL_MS_MAX, FLOW_BUFFER_BYTES},
    net::line::Line,
};

/// What waits to be sent. Written while the send before is under way, so that small frames leave together.
#[derive(Default)]
pub struct Outbox {
    waiting: RefCell<Vec<u8>>,
    is_sending: Cell<bool>,
    has_failed: Cell<bool>,
    turns: Cell<u64>,
}

impl Outbox {
    /// Sends whatever waits. Never ends; dropping it kills the connection.
    pub async fn run(&self, line: &Line) {
        let mut spare = Vec::new();
        loop {
            let bytes = poll_fn(|_| {
                let mut waiting = self.waiting.borrow_mut();
                if waiting.is_empty() || self.has_failed.get() {
                    return Poll::Pending; // the task's other half writes, and polls again
                }
                self.is_sending.set(true);
                Poll::Ready(mem::replace(&mut *waiting, mem::take(&mut spare)))
            });
            let bytes = bytes.await;
            let stall = Duration::from_millis(CLIENT_STALL_MS_MAX);
            let (result, mut sent) = line.send(bytes, 0, stall).await;
            sent.clear();
            spare = sent;
            self.is_sending.set(false);
            self.has_failed.set(self.has_failed.get() || result.is_err());
            self.turns.set(self.turns.get() + 1);
        }
    }

    /// How many sends have ended.
    pub fn turns(&self) -> u64 {
        self.turns.get()
    }

    fn is_empty(&self) -> bool {
        self.waiting.borrow().is_empty() && !self.is_sending.get()
    }

    /// Waits until all is sent, or cannot be.
    pub async fn emptied(&self) {
        poll_fn(|_| match self.is_empty() || self.has_failed.get() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
    }
}

/// Both directions of a connection. Whoever polls it also polls what stands behind inbox and outbox.
pub struct Pipe<'c> {
    pub inbox: &'c Inbox,
    pub outbox: &'c Outbox,
}

impl AsyncRead for Pipe<'_> {
    fn poll_read(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.inbox.is_empty() {
            if self.inbox.has_ended() {
                return Poll::Ready(Ok(()));
            }
            self.inbox.order(FLOW_BUFFER_BYTES);
            return Poll::Pending;
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

impl AsyncWrite for Pipe<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.outbox.has_failed.get() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let mut waiting = self.outbox.waiting.borrow_mut();
        let count = FLOW_BUFFER_BYTES.saturating_sub(waiting.len()).min(bytes.len());
        if count == 0 && !bytes.is_empty() {
            return Poll::Pending;
        }
        waiting.extend_from_slice(&bytes[..count]);
        Poll::Ready(Ok(count))
    }

    /// What is written leaves by itself, together with what is written until then.
    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.outbox.has_failed.get() {
            true => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            false => Poll::Ready(Ok(())),
        }
    }

    /// The connection's own task closes it, when the rest is sent.
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(context)
    }
}
