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

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `wire` whole: content, or the fault.
    fn read(wire: &[u8]) -> Result<Vec<u8>, ContentError> {
        let mut reader = ChunkedReader::new();
        let (mut content, mut rest) = (Vec::new(), wire);
        while !rest.is_empty() && !reader.is_done() {
            let step = reader.step(rest)?;
            content.extend_from_slice(&rest[step.data]);
            rest = &rest[step.consumed..];
        }
        assert!(reader.is_done() && rest.is_empty(), "all of it");
        Ok(content)
    }

    fn check(wire: &str, expected: Result<&str, &'static str>) {
        let expected = expected.map(|content| content.as_bytes().to_vec()).map_err(ContentError);
        assert_eq!(read(wire.as_bytes()), expected, "{wire}");
    }

    #[test]
    fn valid_chunks_give_their_content() {
        check("0\r\n\r\n", Ok(""));
        check("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", Ok("hello world"));
        check("0000000000000001\r\nx\r\n0000000000000000\r\n\r\n", Ok("x"));
        check("a;n=v;q=\"x;y\\t\"\r\n0123456789\r\n0;\r\n\r\n", Ok("0123456789"));
        check("A\r\n0\r\n\r\n56789\r\n0\r\nX: y\r\nEmpty:\r\n\r\n", Ok("0\r\n\r\n56789"));
    }

    #[test]
    fn sizes_are_hexadecimal_digits_and_nothing_else() {
        for size in ["", ";a", " 1", "+1", "-1", "_1", "g", "\u{661}"] {
            check(&format!("{size}\r\nx\r\n0\r\n\r\n"), Err("no chunk size"));
        }
        for size in ["0x1", "1 ", "1_0", "1\t", "1,1", "1\n"] {
            check(&format!("{size}\r\nx\r\n0\r\n\r\n"), Err("invalid chunk size"));
        }
        check("00000000000000001\r\nx", Err("chunk size of too many digits"));
        check("10000000000000001\r\nx", Err("chunk size of too many digits"));
    }

    #[test]
    fn lines_end_in_crlf() {
        check("1\nx\n0\n\n", Err("invalid chunk size"));
        check("1\rx", Err("CR without LF"));
        check("1;a\nb\r\n", Err("invalid chunk extension"));
        check("1;a\rb\r\n", Err("CR without LF"));
        check("1;a\0\r\n", Err("invalid chunk extension"));
        check("1\r\nx\n0\r\n\r\n", Err("more data than the chunk size"));
        check("1\r\nx\r0\r\n\r\n", Err("more data than the chunk size"));
        check("1\r\nxy\r\n0\r\n\r\n", Err("more data than the chunk size"));
        check("0\r\n\n", Err("invalid trailer name"));
        check("0\r\n\rx", Err("CR without LF"));
        check("0\r\na: b\n\r\n", Err("invalid trailer value"));
        check("0\r\na: b\rc", Err("CR without LF"));
        check("0\r\na: \0", Err("invalid trailer value"));
        check("0\r\n: b\r\n\r\n", Err("invalid trailer name"));
        check("0\r\na : b\r\n\r\n", Err("invalid trailer name"));
        check("0\r\na: b\r\n c\r\n\r\n", Err("invalid trailer name"));
    }

    #[test]
    fn extensions_and_trailers_are_bounded_in_total() {
        let half = ";".repeat(CHUNK_EXTENSION_BYTES_MAX / 2);
        check(&format!("1{half}\r\nx\r\n0{half}\r\n\r\n"), Ok("x"));
        let over = format!("1{half}\r\nx\r\n0{half};\r\n\r\n");
        check(&over, Err("chunk extensions too long"));
        let trailers = |bytes: usize| format!("0\r\na:{}\r\nb:\r\n\r\n", "c".repeat(bytes - 8));
        check(&trailers(TRAILER_BYTES_MAX), Ok(""));
        check(&trailers(TRAILER_BYTES_MAX + 1), Err("trailers too long"));
    }

    #[test]
    fn a_fault_does_not_hide_the_data_before_it() {
        let mut reader = ChunkedReader::new();
        assert_eq!(reader.step(b"2\r\nabX"), Ok(Step { consumed: 5, data: 3..5 }));
        assert_eq!(reader.step(b"X"), Err(ContentError("more data than the chunk size")));
    }

    #[test]
    fn what_is_written_is_read_back() {
        for length in [1, 0xf, 0x10, 0x1f4, 4096, 65_535] {
            let mut room = [0; CHUNK_HEAD_BYTES_MAX];
            let start = write_chunk_head(&mut room, length);
            let data = vec![b'x'; length];
            let wire = [&room[start..], &data, b"\r\n", LAST_CHUNK].concat();
            assert_eq!(read(&wire), Ok(data));
        }
        let mut room = [0; CHUNK_HEAD_BYTES_MAX];
        assert_eq!(write_chunk_head(&mut room, usize::MAX), 0);
        assert_eq!(&room, b"ffffffffffffffff\r\n");
    }

    #[test]
    #[should_panic(expected = "a chunk without data ends the content")]
    fn an_empty_chunk_is_our_bug() {
        let _ = write_chunk_head(&mut [0; CHUNK_HEAD_BYTES_MAX], 0);
    }
}
