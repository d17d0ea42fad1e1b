//! One owned receive buffer: `consumed ≤ filled ≤ capacity`.
//!
//! Completion I/O takes a buffer whole and gives it back, so it must be owned; what a read appends
//! lands behind what is already there. Invariant: bytes before `consumed` are never seen again.

/// Bytes received and not yet consumed, with room behind them.
#[derive(Debug, Default)]
pub struct Buffer {
    bytes: Vec<u8>,
    consumed: usize,
}

impl Buffer {
    /// An empty buffer with room for `capacity` bytes.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self { bytes: Vec::with_capacity(capacity), consumed: 0 }
    }

    /// What was received and not yet consumed.
    #[must_use]
    pub fn filled(&self) -> &[u8] {
        &self.bytes[self.consumed..]
    }

    /// The same, for decryption in place.
    pub fn filled_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.consumed..]
    }

    /// Whether nothing is left to consume.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.consumed == self.bytes.len()
    }

    /// Marks the first `count` bytes of [`Self::filled`] as seen.
    pub fn consume(&mut self, count: usize) {
        assert!(count <= self.bytes.len() - self.consumed, "consumed more than was filled");
        self.consumed += count;
        if self.is_empty() {
            self.clear();
        }
    }

    /// Forgets everything, keeps the room.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.consumed = 0;
    }

    /// Makes room for at least `room` more bytes: moves what is left to the front, and grows only if
    /// that does not do.
    pub fn reserve(&mut self, room: usize) {
        if self.bytes.capacity() - self.bytes.len() < room {
            self.bytes.drain(..self.consumed);
            self.consumed = 0;
            self.bytes.reserve(room);
        }
    }

    /// Appends a copy of `bytes`.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The vector below, for the layer that lends it to the kernel. It may append, and nothing else.
    pub fn storage_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// The vector below, read-only.
    #[must_use]
    pub fn storage(&self) -> &Vec<u8> {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consumed_bytes_are_gone_and_room_is_reused() {
        let mut buffer = Buffer::with_capacity(8);
        buffer.extend(b"abcdef");
        buffer.consume(4);
        assert_eq!(buffer.filled(), b"ef");
        buffer.reserve(6);
        assert_eq!(buffer.filled(), b"ef");
        assert_eq!(buffer.storage().capacity(), 8, "moved, not grown");
        buffer.consume(2);
        assert!(buffer.is_empty());
    }

    #[test]
    #[should_panic(expected = "consumed more than was filled")]
    fn consuming_too_much_is_our_bug() {
        Buffer::with_capacity(8).consume(1);
    }
}
