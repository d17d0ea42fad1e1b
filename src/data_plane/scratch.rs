//! Buffers of one exchange, kept by the core between exchanges: nothing is allocated per request once
//! a core is warm, and an idle connection holds none of this.

use std::cell::RefCell;

use crate::{
    buffer::Buffer,
    data_plane::{account::Account, intake::Forwarded, tap::Tap},
    limits::{FLOW_BUFFER_BYTES, SPARE_BUFFERS_MAX},
    wire::sigv4::Unverified,
};

/// Vectors that grew beyond this are freed rather than kept.
pub const KEPT_BYTES_MAX: usize = 256 * 1024;

/// What one exchange writes into.
#[derive(Default)]
pub struct Scratch {
    /// The model's name, decoded.
    pub name: Vec<u8>,
    /// The client's fields that go to AWS.
    pub forwarded: Forwarded,
    /// The client's signature, if it is one to be checked.
    pub unverified: Unverified,
    /// The request's content, whole: it is hashed before a byte of it leaves, and kept for a second attempt.
    pub content: Vec<u8>,
    /// The head that goes upstream.
    pub head: Vec<u8>,
    /// The answer's head as it arrives.
    pub answer: Vec<u8>,
    /// What goes to the client next.
    pub out: Vec<u8>,
    /// Looks at the answer's content.
    pub tap: Tap,
    /// The request's account.
    pub account: Account,
}

impl Scratch {
    fn clear(&mut self) {
        self.forwarded.clear();
        let vectors =
            [&mut self.name, &mut self.content, &mut self.head, &mut self.answer, &mut self.out];
        for vector in vectors {
            if vector.capacity() > KEPT_BYTES_MAX {
                *vector = Vec::new();
            }
            vector.clear();
        }
    }
}

/// A core's spare scratches and flow buffers.
#[derive(Default)]
pub struct Spares {
    // Boxed so that taking one moves a pointer and not seven vectors.
    #[expect(clippy::vec_box, reason = "moved in and out for every request")]
    scratches: RefCell<Vec<Box<Scratch>>>,
    buffers: RefCell<Vec<Buffer>>,
}

impl Spares {
    /// A scratch with nothing in it.
    pub fn take_scratch(&self) -> Box<Scratch> {
        self.scratches.borrow_mut().pop().unwrap_or_default()
    }

    /// Gives a scratch back; what it held is forgotten.
    pub fn give_scratch(&self, mut scratch: Box<Scratch>) {
        let mut spare = self.scratches.borrow_mut();
        if spare.len() < SPARE_BUFFERS_MAX {
            scratch.clear();
            spare.push(scratch);
        }
    }

    /// An empty buffer of at least [`FLOW_BUFFER_BYTES`].
    pub fn take_buffer(&self) -> Buffer {
        self.buffers.borrow_mut().pop().unwrap_or_else(|| Buffer::with_capacity(FLOW_BUFFER_BYTES))
    }

    /// Gives a buffer back. One that is smaller (lost to a cancelled operation) is freed.
    pub fn give_buffer(&self, mut buffer: Buffer) {
        let mut spare = self.buffers.borrow_mut();
        let capacity = buffer.storage().capacity();
        if spare.len() < SPARE_BUFFERS_MAX
            && (FLOW_BUFFER_BYTES..=KEPT_BYTES_MAX).contains(&capacity)
        {
            buffer.clear();
            spare.push(buffer);
        }
    }
}
