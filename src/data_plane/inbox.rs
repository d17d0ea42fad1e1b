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
    pin::Pin,
    task::Poll,
};

use crate::{
    buffer::Buffer,
    limits::{HEAD_BYTES_MAX, IDLE_BUFFER_BYTES},
    net::line::Line,
};

/// The client sends no more: it closed, half-closed, or its connection failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Gone;

/// See the file's comment.
#[derive(Default)]
pub struct Inbox {
    /// Without storage while it is lent.
    buffer: RefCell<Buffer>,
    /// Bytes received and not consumed, lent or not.
    length: Cell<usize>,
    order: Cell<Order>,
    /// A receive is with the kernel.
    is_posted: Cell<bool>,
    has_ended: Cell<bool>,
}

/// What the standing receive is asked for.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
enum Order {
    #[default]
    Nothing,
    /// This much room behind what is there. Nobody looks at it until bytes have come.
    More(usize),
    /// Some room elsewhere, if something is there: it may be looked at.
    Watch,
}

impl Inbox {
    /// Receives whenever bytes are ordered. Never ends; dropping it kills the connection.
    pub async fn run(&self, line: &Line) {
        loop {
            let buffer = poll_fn(|_| match self.order.take() {
                Order::Nothing => Poll::Pending, // the task's other half places an order and polls again
                order => Poll::Ready(self.lend(order)),
            });
            let buffer = buffer.await;
            let (result, buffer) = line.receive(buffer).await;
            self.take_back(buffer);
            if !matches!(result, Ok(count) if count > 0) {
                self.has_ended.set(true);
                return std::future::pending().await;
            }
        }
    }

    fn lend(&self, order: Order) -> Buffer {
        self.is_posted.set(true);
        let mut buffer = self.buffer.borrow_mut();
        match order {
            Order::Watch if !buffer.is_empty() => return Buffer::with_capacity(IDLE_BUFFER_BYTES),
            Order::More(room) => buffer.reserve(room),
            Order::Watch | Order::Nothing => buffer.reserve(IDLE_BUFFER_BYTES),
        }
        mem::take(&mut *buffer)
    }

    fn take_back(&self, received: Buffer) {
        self.is_posted.set(false);
        let mut buffer = self.buffer.borrow_mut();
        if buffer.is_empty() {
            *buffer = received;
        } else {
            buffer.extend(received.filled());
        }
        self.length.set(buffer.filled().len());
    }

    /// Waits until at least one more byte is there.
    ///
    /// # Errors
    /// [`Gone`]; what came before it can still be looked at.
    pub async fn receive(&self, room: usize) -> Result<(), Gone> {
        let before = self.length.get();
        if !self.is_posted.get() {
            self.order.set(Order::More(room));
        }
        poll_fn(|_| match self.length.get() > before {
            true => Poll::Ready(Ok(())),
            false if self.has_ended.get() => Poll::Ready(Err(Gone)),
            false => Poll::Pending,
        })
        .await
    }

    /// `future`, unless the client goes away first; then the caller drops `future`, and so kills the
    /// connections that it used. Takes a pinned reference, as [`crate::net::runtime::timeout`] does.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn unless_gone<F: Future + Unpin>(&self, mut future: F) -> Result<F::Output, Gone> {
        poll_fn(|context| {
            if let Poll::Ready(output) = Pin::new(&mut future).poll(context) {
                return Poll::Ready(Ok(output));
            }
            if self.has_ended.get() {
                return Poll::Ready(Err(Gone));
            }
            // What a client may send ahead of its turn is bounded; beyond it, its going is not noticed.
            if !self.is_posted.get() && self.length.get() < HEAD_BYTES_MAX {
                self.order.set(Order::Watch);
            }
            Poll::Pending
        })
        .await
    }

    /// Whether an order waits to be taken: then [`Self::run`] must be polled before the task may rest.
    #[must_use]
    pub fn has_order(&self) -> bool {
        self.order.get() != Order::Nothing && !self.has_ended.get()
    }

    /// Shows the bytes that are there. Not while a receive that [`Self::receive`] ordered is posted.
    pub fn with<R>(&self, look: impl FnOnce(&[u8]) -> R) -> R {
        let buffer = self.buffer.borrow();
        assert!(buffer.filled().len() == self.length.get(), "looked at bytes that are lent");
        look(buffer.filled())
    }

    /// Marks the first `count` bytes as seen.
    pub fn consume(&self, count: usize) {
        self.buffer.borrow_mut().consume(count);
        self.length.set(self.length.get() - count);
    }

    /// Consumes all that is there, unless it is lent; returns how much that was.
    pub fn forget(&self) -> usize {
        let mut buffer = self.buffer.borrow_mut();
        let count = buffer.filled().len();
        buffer.clear();
        self.length.set(self.length.get() - count);
        count
    }

    /// Orders bytes, as [`Self::receive`] does, for who does not wait: it is polled again when they are there.
    ///
    /// # Errors
    /// [`Gone`].
    pub fn order(&self, room: usize) -> Result<(), Gone> {
        if self.has_ended.get() {
            return Err(Gone);
        }
        if !self.is_posted.get() {
            self.order.set(Order::More(room));
        }
        Ok(())
    }

    /// In the place of [`Self::run`], for bytes that come otherwise: whether some are ordered. From then on
    /// they count as posted, until they are put.
    pub fn take_order(&self) -> bool {
        let is_ordered = self.order.take() != Order::Nothing;
        self.is_posted.set(self.is_posted.get() || is_ordered);
        is_ordered
    }

    /// Puts bytes, in pieces.
    pub fn put(&self, pieces: &[&[u8]]) {
        let mut buffer = self.buffer.borrow_mut();
        buffer.reserve(pieces.iter().map(|piece| piece.len()).sum());
        pieces.iter().for_each(|piece| buffer.extend(piece));
        self.length.set(buffer.filled().len());
        self.is_posted.set(false);
    }

    /// No more will come.
    pub fn end(&self) {
        self.has_ended.set(true);
    }

    /// Whether no more will come.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.has_ended.get()
    }

    /// Whether no byte is there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length.get() == 0
    }

    /// Puts `other`, which holds nothing, in the place of the buffer; what that held moves along.
    /// `None`, and `other` is freed, while a receive is posted.
    pub fn replace_buffer(&self, mut other: Buffer) -> Option<Buffer> {
        if self.is_posted.get() {
            return None;
        }
        let mut buffer = self.buffer.borrow_mut();
        other.extend(buffer.filled());
        Some(mem::replace(&mut *buffer, other))
    }

    /// Frees the room that a large head, or requests sent ahead, needed: an idle connection is cheap.
    pub fn rest(&self) {
        let mut buffer = self.buffer.borrow_mut();
        if buffer.is_empty() && buffer.storage().capacity() > 2 * IDLE_BUFFER_BYTES {
            *buffer = Buffer::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_connection_keeps_no_large_buffer() {
        let inbox = Inbox::default();
        let capacity = || inbox.buffer.borrow().storage().capacity();
        for (bytes, is_kept) in [(IDLE_BUFFER_BYTES, true), (HEAD_BYTES_MAX, false)] {
            inbox.take_back(Buffer::with_capacity(bytes));
            inbox.buffer.borrow_mut().extend(b"GET");
            inbox.length.set(3);
            inbox.rest();
            assert!(capacity() >= bytes, "not while it holds something");
            inbox.consume(3);
            inbox.rest();
            assert_eq!(capacity() >= bytes, is_kept, "{bytes}");
        }
    }
}
