//! What a client has sent and we have not yet consumed, with a receive standing ready behind it.
//!
//! ```text
//!   run() ── lends the buffer to the kernel, gives it back ──┐
//!                                                            ▼
//!   exchange ── receive() waits for bytes · with() looks at them · consume() · ended()
//! ```
//!
//! The receive for the next bytes is posted while an answer is still being waited for, so that a client
//! that goes away is noticed at once and no extra operation is spent: it is the receive of the next
//! head. [`Inbox::run`] and the exchange are polled in one task; neither needs to wake the other.

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    mem,
    pin::pin,
    task::Poll,
};

use crate::{
    buffer::Buffer,
    limits::{HEAD_BYTES_MAX, IDLE_BUFFER_BYTES},
    net::tcp::Socket,
};

/// The client sends no more: it closed, half-closed, or its connection failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Gone;

/// See the file's comment.
#[derive(Default)]
pub struct Inbox {
    /// Empty storage while it is lent.
    buffer: RefCell<Buffer>,
    /// Room asked for by whoever wants more bytes; 0 when nobody does.
    order: Cell<usize>,
    /// A receive is with the kernel.
    posted: Cell<bool>,
    ended: Cell<bool>,
}

impl Inbox {
    /// Receives whenever bytes are ordered. Never ends before the client does; dropping it kills the
    /// connection.
    pub async fn run(&self, socket: &Socket) {
        while !self.ended.get() {
            let buffer = poll_fn(|_| match self.order.get() {
                0 => Poll::Pending, // the task's other half places an order and polls again
                room => Poll::Ready(self.lend(room)),
            });
            let buffer = buffer.await;
            let (result, buffer) = socket.receive(buffer).await;
            self.take_back(buffer);
            if !matches!(result, Ok(count) if count > 0) {
                self.ended.set(true);
            }
        }
        std::future::pending().await
    }

    /// Bytes that are not consumed are not moved: a second buffer goes out instead.
    fn lend(&self, room: usize) -> Buffer {
        self.order.set(0);
        self.posted.set(true);
        let mut buffer = self.buffer.borrow_mut();
        if buffer.is_empty() {
            buffer.reserve(room);
            mem::take(&mut *buffer)
        } else {
            Buffer::with_capacity(room)
        }
    }

    fn take_back(&self, received: Buffer) {
        self.posted.set(false);
        let mut buffer = self.buffer.borrow_mut();
        if buffer.is_empty() {
            *buffer = received;
        } else {
            buffer.extend(received.filled());
        }
    }

    /// Waits until at least one more byte is there.
    ///
    /// # Errors
    /// [`Gone`]; what came before it can still be looked at.
    pub async fn receive(&self, room: usize) -> Result<(), Gone> {
        let before = self.len();
        if !self.posted.get() && !self.ended.get() {
            self.order.set(room);
        }
        poll_fn(|_| {
            if self.len() > before {
                Poll::Ready(Ok(()))
            } else if self.ended.get() {
                Poll::Ready(Err(Gone))
            } else {
                Poll::Pending
            }
        })
        .await
    }

    /// `future`, unless the client goes away first; then `future` is dropped.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn unless_gone<F: Future>(&self, future: F) -> Result<F::Output, Gone> {
        let mut future = pin!(future);
        poll_fn(|context| {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Ok(output));
            }
            if self.ended.get() {
                return Poll::Ready(Err(Gone));
            }
            self.watch();
            Poll::Pending
        })
        .await
    }

    /// Keeps a receive posted, while what a client may send ahead of its turn is bounded.
    fn watch(&self) {
        if !self.posted.get() && self.len() < HEAD_BYTES_MAX {
            self.order.set(IDLE_BUFFER_BYTES);
        }
    }

    /// Whether an order waits to be taken: then [`Self::run`] must be polled before the task may rest.
    #[must_use]
    pub fn has_order(&self) -> bool {
        self.order.get() > 0 && !self.posted.get() && !self.ended.get()
    }

    /// Shows the bytes that are there.
    pub fn with<R>(&self, look: impl FnOnce(&[u8]) -> R) -> R {
        look(self.buffer.borrow().filled())
    }

    /// Marks the first `count` bytes as seen.
    pub fn consume(&self, count: usize) {
        self.buffer.borrow_mut().consume(count);
    }

    /// How many bytes are there.
    #[must_use]
    pub fn len(&self) -> usize {
        self.buffer.borrow().filled().len()
    }

    /// Whether no byte is there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the client sends no more.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended.get()
    }

    /// Puts a buffer with more (or less) room in the place of one that holds nothing, and returns the
    /// old one.
    pub fn exchange_buffer(&self, other: Buffer) -> Buffer {
        let mut buffer = self.buffer.borrow_mut();
        let mut other = other;
        other.extend(buffer.filled());
        mem::replace(&mut *buffer, other)
    }
}
