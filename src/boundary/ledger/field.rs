//! Numbers in and out of an entry's bytes: little-endian, one behind the other.

use super::entry::ENTRY_BYTES;

/// Fills an entry's bytes from the front.
pub(super) struct Writer {
    bytes: [u8; ENTRY_BYTES],
    length: usize,
}

impl Default for Writer {
    fn default() -> Self {
        Self { bytes: [0; ENTRY_BYTES], length: 0 }
    }
}

impl Writer {
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.bytes[self.length..self.length + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }

    pub(super) fn length(&self) -> usize {
        self.length
    }

    pub(super) fn filled(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    pub(super) fn finish(self) -> [u8; ENTRY_BYTES] {
        assert!(self.length == ENTRY_BYTES, "an entry is full");
        self.bytes
    }
}

/// Takes an entry's bytes from the front. Reading past the end is our own bug.
pub(super) struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn bytes(&mut self, count: usize) -> &'b [u8] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }
}

macro_rules! numbers {
    ($($number:ident),+) => {
        impl Writer {
            $(pub(super) fn $number(&mut self, number: $number) {
                self.bytes(&number.to_le_bytes());
            })+
        }
        impl Reader<'_> {
            $(pub(super) fn $number(&mut self) -> $number {
                let bytes = self.bytes(size_of::<$number>());
                $number::from_le_bytes(bytes.try_into().expect("as long as asked"))
            })+
        }
    };
}
numbers!(u8, u16, u32, u64, u128);
