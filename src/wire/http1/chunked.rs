//! The chunked coding, read strictly and written (RFC 9112 §7.1).
//!
//! ```text
//!        ┌──────────────────────────────────────────────────────┐
//!        ▼            ";"                                        │ CR LF
//! ──► Size ─────────────────► Extension                       DataEnd
//!      │ CR                      │ CR                            ▲
//!      ▼                         ▼                               │ all bytes
//!    SizeLf ◄────────────────────┘ ── LF, size > 0 ──► Data ─────┘
//!      │ LF, size 0
//!      ▼                 token            ":"             CR           LF
//!    TrailerStart ────────► TrailerName ────► TrailerValue ─► TrailerLf ─► TrailerStart
//!      │ CR      LF
//!      └─► EndLf ──► Done
//! ```
//!
//! Lines end in CRLF and nothing else: readers that take a bare LF in one place and not in another
//! are how chunks are smuggled. Extensions and trailers are dropped, each within a bound.

use super::content::{ContentError, Step, bounded};
use super::strict::{is_text, is_token};
use crate::limits::{CHUNK_EXTENSION_BYTES_MAX, TRAILER_BYTES_MAX};

/// Ends chunked content that has no trailers.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
/// What [`write_chunk_head`] may write: 16 digits hold any length, CRLF ends them.
pub const CHUNK_HEAD_BYTES_MAX: usize = 16 + 2;
/// Digits of a chunk size: they hold 64 bits, so no size overflows.
const SIZE_DIGITS_MAX: u8 = 16;

/// Writes `length` in hexadecimal and CRLF to the end of `room`; returns where in it they start.
///
/// # Panics
/// If `length` is 0: that would be the last chunk.
#[must_use]
pub fn write_chunk_head(room: &mut [u8; CHUNK_HEAD_BYTES_MAX], length: usize) -> usize {
    assert!(length > 0, "a chunk without data ends the content");
    let mut start = CHUNK_HEAD_BYTES_MAX - 2;
    room[start..].copy_from_slice(b"\r\n");
    let mut rest = length;
    while rest > 0 {
        start -= 1;
        room[start] = b"0123456789abcdef"[rest & 0xf];
        rest >>= 4;
    }
    start
}

/// Follows chunked content.
#[derive(Clone, Debug)]
pub(super) struct ChunkedReader {
    state: State,
    extension_bytes: usize,
    trailer_bytes: usize,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Size { size: u64, digits: u8 },
    Extension { size: u64 },
    SizeLf { size: u64 },
    Data { remaining: u64 },
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
    Done,
}

impl State {
    const CHUNK: Self = Self::Size { size: 0, digits: 0 };
}

impl ChunkedReader {
    pub(super) fn new() -> Self {
        Self { state: State::CHUNK, extension_bytes: 0, trailer_bytes: 0 }
    }

    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Framing, at most one run of data, framing: stops before a second run, and before a fault, so
    /// that what comes before a fault is named whether or not the fault came with it.
    pub(super) fn step(&mut self, input: &[u8]) -> Result<Step, ContentError> {
        let mut data = 0..0;
        let mut at = 0;
        while let Some(&byte) = input.get(at) {
            match self.state {
                State::Done => break,
                State::Data { .. } if !data.is_empty() => break,
                State::Data { remaining } => {
                    let length = bounded(remaining, input.len() - at);
                    data = at..at + length;
                    at += length;
                    let remaining = remaining - length as u64;
                    self.state =
                        if remaining == 0 { State::DataCr } else { State::Data { remaining } };
                }
                state => match self.after(state, byte) {
                    Ok(next) => {
                        self.state = next;
                        at += 1;
                    }
                    Err(_) if at > 0 => break,
                    Err(fault) => return Err(fault),
                },
            }
        }
        Ok(Step { consumed: at, data })
    }

    /// The state after one byte of framing.
    fn after(&mut self, state: State, byte: u8) -> Result<State, ContentError> {
        use State::*;
        Ok(match (state, byte) {
            (Size { size, digits }, _) if byte.is_ascii_hexdigit() => {
                if digits == SIZE_DIGITS_MAX {
                    return Err(ContentError("chunk size of too many digits"));
                }
                Size { size: size << 4 | u64::from(hex_value(byte)), digits: digits + 1 }
            }
            (Size { digits: 0, .. }, _) => return Err(ContentError("no chunk size")),
            (Size { size, .. }, b'\r') => SizeLf { size },
            (Size { size, .. }, b';') => self.extended(size)?,
            (Size { .. }, _) => return Err(ContentError("invalid chunk size")),
            (Extension { size }, b'\r') => SizeLf { size },
            (Extension { size }, _) if is_text(byte) => self.extended(size)?,
            (Extension { .. }, _) => return Err(ContentError("invalid chunk extension")),
            (SizeLf { size: 0 }, b'\n') => TrailerStart,
            (SizeLf { size }, b'\n') => Data { remaining: size },
            (DataCr, b'\r') => DataLf,
            (DataLf, b'\n') => State::CHUNK,
            (DataCr | DataLf, _) => return Err(ContentError("more data than the chunk size")),
            (TrailerStart, b'\r') => EndLf,
            (TrailerStart | TrailerName, _) if is_token(byte) => self.trailed(TrailerName)?,
            (TrailerName, b':') => self.trailed(TrailerValue)?,
            (TrailerStart | TrailerName, _) => return Err(ContentError("invalid trailer name")),
            (TrailerValue, b'\r') => self.trailed(TrailerLf)?,
            (TrailerValue, _) if is_text(byte) => self.trailed(TrailerValue)?,
            (TrailerValue, _) => return Err(ContentError("invalid trailer value")),
            (TrailerLf, b'\n') => self.trailed(TrailerStart)?,
            (EndLf, b'\n') => Done,
            (SizeLf { .. } | TrailerLf | EndLf, _) => return Err(ContentError("CR without LF")),
            (Data { .. } | Done, _) => unreachable!("not framing; step looks at it first"),
        })
    }

    fn extended(&mut self, size: u64) -> Result<State, ContentError> {
        self.extension_bytes += 1;
        if self.extension_bytes > CHUNK_EXTENSION_BYTES_MAX {
            return Err(ContentError("chunk extensions too long"));
        }
        Ok(State::Extension { size })
    }

    fn trailed(&mut self, next: State) -> Result<State, ContentError> {
        self.trailer_bytes += 1;
        if self.trailer_bytes > TRAILER_BYTES_MAX {
            return Err(ContentError("trailers too long"));
        }
        Ok(next)
    }
}

/// The value of a hexadecimal digit.
fn hex_value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}
