//! A naive reader that the real one is held against: the whole stream at hand, checksums bit by bit,
//! everything copied. It shares only the limits and the names of errors with the code it judges.

use super::frame::FrameError;
use crate::limits::{FRAME_BYTES_MAX, FRAME_BYTES_MIN, FRAME_HEADERS_BYTES_MAX};

/// What reading a stream gave.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Reading {
    /// The whole ones.
    pub(super) frames: Vec<Vec<u8>>,
    /// At a frame's end (true), inside one (false), or broken.
    pub(super) end: Result<bool, FrameError>,
}

/// Reads a stream to its end, or to the first frame that cannot be trusted.
pub(super) fn read(wire: &[u8]) -> Reading {
    let (mut frames, mut at) = (Vec::new(), 0);
    while at < wire.len() {
        match first(&wire[at..]) {
            Ok(Some(length)) => {
                frames.push(wire[at..at + length].to_vec());
                at += length;
            }
            Ok(None) => return Reading { frames, end: Ok(false) },
            Err(error) => return Reading { frames, end: Err(error) },
        }
    }
    Reading { frames, end: Ok(true) }
}

/// Length of the frame that `wire` starts with, if it is all there.
fn first(wire: &[u8]) -> Result<Option<usize>, FrameError> {
    let [Some(frame_bytes), Some(headers_bytes), Some(declared)] =
        [0, 4, 8].map(|at| word(wire, at))
    else {
        return Ok(None);
    };
    let computed = crc32(&wire[..8]);
    if declared != computed {
        return Err(FrameError::PreludeChecksum { declared, computed });
    }
    let length = usize::try_from(frame_bytes).expect("64 bits");
    if !(FRAME_BYTES_MIN..=FRAME_BYTES_MAX).contains(&length) {
        return Err(FrameError::Length { declared_bytes: frame_bytes });
    }
    let headers = usize::try_from(headers_bytes).expect("64 bits");
    if headers > FRAME_HEADERS_BYTES_MAX || headers + FRAME_BYTES_MIN > length {
        return Err(FrameError::HeadersLength { declared_bytes: headers_bytes, frame_bytes });
    }
    if length > wire.len() {
        return Ok(None);
    }
    let declared = word(wire, length - 4).expect("it is all there");
    let computed = crc32(&wire[..length - 4]);
    if declared != computed {
        return Err(FrameError::Checksum { declared, computed });
    }
    Ok(Some(length))
}

fn word(wire: &[u8], at: usize) -> Option<u32> {
    let bytes = wire.get(at..at + 4)?;
    Some(bytes.iter().fold(0, |word, byte| word << 8 | u32::from(*byte)))
}

/// CRC-32 by its definition: reflected, polynomial 0x04C11DB7, complemented at both ends.
fn crc32(bytes: &[u8]) -> u32 {
    let mut state = u32::MAX;
    for byte in bytes {
        state ^= u32::from(*byte);
        for _ in 0..8 {
            let is_odd = state & 1 == 1;
            state >>= 1;
            if is_odd {
                state ^= 0xedb8_8320;
            }
        }
    }
    !state
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_every_table() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
    }
}
