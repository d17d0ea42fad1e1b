//! The twelve bytes that open a frame, and what a frame may claim in them.
//!
//! Their checksum is judged before their lengths: a flipped bit must not send the reader megabytes away.

use super::frame::FrameError;
use crate::limits::{FRAME_BYTES_MAX, FRAME_BYTES_MIN, FRAME_HEADERS_BYTES_MAX};

/// Both lengths and their checksum.
pub(super) const PRELUDE_BYTES: usize = 12;
/// The checksum that closes a frame.
pub(super) const CHECKSUM_BYTES: usize = 4;
/// What the prelude's checksum covers.
const LENGTHS_BYTES: usize = 8;

const _: () = assert!(FRAME_BYTES_MIN == PRELUDE_BYTES + CHECKSUM_BYTES);

/// Lengths that may be trusted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Prelude {
    /// Of the whole frame, this prelude and both checksums included.
    pub(super) frame_bytes: usize,
    pub(super) headers_bytes: usize,
    /// Of both lengths: where the frame's own checksum goes on from.
    checksum: u32,
}

impl Prelude {
    #[inline]
    pub(super) fn read(bytes: &[u8; PRELUDE_BYTES]) -> Result<Self, FrameError> {
        let word =
            |at| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let (frame, headers, declared) = (word(0), word(4), word(LENGTHS_BYTES));
        let computed = crc32fast::hash(&bytes[..LENGTHS_BYTES]);
        if computed != declared {
            return Err(FrameError::PreludeChecksum { declared, computed });
        }
        let (frame_bytes, headers_bytes) = (frame as usize, headers as usize);
        if !(FRAME_BYTES_MIN..=FRAME_BYTES_MAX).contains(&frame_bytes) {
            return Err(FrameError::Length { declared_bytes: frame });
        }
        if headers_bytes > FRAME_HEADERS_BYTES_MAX || headers_bytes > frame_bytes - FRAME_BYTES_MIN
        {
            return Err(FrameError::HeadersLength { declared_bytes: headers, frame_bytes: frame });
        }
        Ok(Self { frame_bytes, headers_bytes, checksum: computed })
    }

    /// The checksum over the frame's start up to and including this prelude, to be continued. One pass
    /// over the frame is enough: the prelude's checksum is the state after its first eight bytes.
    #[inline]
    pub(super) fn hasher(&self) -> crc32fast::Hasher {
        let mut hasher = crc32fast::Hasher::new_with_initial(self.checksum);
        hasher.update(&self.checksum.to_be_bytes());
        hasher
    }

    /// The checksum of a whole frame; `bytes` are all of it up to that checksum.
    #[inline]
    pub(super) fn checksum_of(&self, bytes: &[u8]) -> u32 {
        let mut hasher = crc32fast::Hasher::new_with_initial(self.checksum);
        hasher.update(&bytes[LENGTHS_BYTES..]);
        hasher.finalize()
    }
}
