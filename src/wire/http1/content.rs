//! Where content ends, however the network cut it: which bytes are content, and which frame it.
//!
//! The reader only measures; the caller relays the ranges it names straight from the receive buffer.
//! Invariant: every byte is seen once, and each call consumes at least one until the content is whole.

use std::ops::Range;

use super::chunked::ChunkedReader;
use super::framing::Framing;

/// What one call of [`ContentReader::step`] found at the start of its input.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Step {
    /// Bytes done with: content and framing.
    pub consumed: usize,
    /// Which of them are content; may be empty.
    pub data: Range<usize>,
}

/// The framing is broken, and nothing after it can be trusted: 400 and close, or 502 or a visible cut
/// for an answer. The text says what was wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ContentError(pub &'static str);

/// The sender closed before the content was whole (RFC 9112 §8). It must not pass as complete.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Truncated;

/// Follows the content of one message.
#[derive(Clone, Debug)]
pub struct ContentReader(Progress);

#[derive(Clone, Debug)]
enum Progress {
    Length { remaining: u64 },
    Chunked(ChunkedReader),
    UntilClose,
}

impl ContentReader {
    /// For content that ends as `framing` says.
    #[must_use]
    pub fn new(framing: Framing) -> Self {
        Self(match framing {
            Framing::Length(length) => Progress::Length { remaining: length },
            Framing::Chunked => Progress::Chunked(ChunkedReader::new()),
            Framing::UntilClose => Progress::UntilClose,
        })
    }

    /// Follows `input`, the bytes after those already consumed. Names at most one run of content, so
    /// call again with the rest until [`Self::is_done`] or nothing is left. Bytes after the content
    /// are not consumed.
    ///
    /// # Errors
    /// [`ContentError`] if the framing is broken. A reader that failed must be asked no more.
    pub fn step(&mut self, input: &[u8]) -> Result<Step, ContentError> {
        match &mut self.0 {
            Progress::Length { remaining } => {
                let length = bounded(*remaining, input.len());
                *remaining -= length as u64;
                Ok(Step { consumed: length, data: 0..length })
            }
            Progress::Chunked(reader) => reader.step(input),
            Progress::UntilClose => Ok(Step { consumed: input.len(), data: 0..input.len() }),
        }
    }

    /// Whether the content is whole. Never, if it lasts until the sender closes.
    #[must_use]
    pub fn is_done(&self) -> bool {
        match &self.0 {
            Progress::Length { remaining } => *remaining == 0,
            Progress::Chunked(reader) => reader.is_done(),
            Progress::UntilClose => false,
        }
    }

    /// The sender's FIN, after all it sent went through [`Self::step`].
    ///
    /// # Errors
    /// [`Truncated`] if content is missing.
    pub fn on_close(&self) -> Result<(), Truncated> {
        let is_whole = self.is_done() || matches!(self.0, Progress::UntilClose);
        if is_whole { Ok(()) } else { Err(Truncated) }
    }

    /// How many bytes are still to come, if the head said how many there are.
    #[must_use]
    pub fn remaining(&self) -> Option<u64> {
        match &self.0 {
            Progress::Length { remaining } => Some(*remaining),
            Progress::Chunked(_) | Progress::UntilClose => None,
        }
    }
}

/// The smaller of what is due and what is here.
pub(super) fn bounded(due: u64, here: usize) -> usize {
    usize::try_from(due).map_or(here, |due| due.min(here))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `wire` whole: content, bytes left over, and whether a close is fine then.
    fn check(
        framing: Framing,
        wire: &str,
        content: &str,
        left: &str,
        close: Result<(), Truncated>,
    ) {
        let mut reader = ContentReader::new(framing);
        let (mut found, mut rest) = (Vec::new(), wire.as_bytes());
        while !rest.is_empty() && !reader.is_done() {
            let step = reader.step(rest).expect("valid framing");
            found.extend_from_slice(&rest[step.data]);
            rest = &rest[step.consumed..];
        }
        assert_eq!((&found[..], rest), (content.as_bytes(), left.as_bytes()), "{wire}");
        assert_eq!(reader.on_close(), close, "{wire}");
    }

    #[test]
    fn content_ends_where_the_framing_says() {
        check(Framing::Length(0), "GET", "", "GET", Ok(()));
        check(Framing::Length(3), "abcdef", "abc", "def", Ok(()));
        check(Framing::Length(4), "abc", "abc", "", Err(Truncated));
        check(Framing::UntilClose, "abc", "abc", "", Ok(()));
        check(Framing::Chunked, "3\r\nabc\r\n0\r\n\r\nGET", "abc", "GET", Ok(()));
        check(Framing::Chunked, "3\r\nabc\r\n0\r\n\r", "abc", "", Err(Truncated));
        check(Framing::Chunked, "", "", "", Err(Truncated));
    }

    #[test]
    fn what_is_due_is_known_for_a_length_only() {
        let mut reader = ContentReader::new(Framing::Length(5));
        assert_eq!(reader.step(b"ab"), Ok(Step { consumed: 2, data: 0..2 }));
        assert_eq!(reader.remaining(), Some(3));
        assert_eq!(ContentReader::new(Framing::Length(u64::MAX)).remaining(), Some(u64::MAX));
        assert_eq!(ContentReader::new(Framing::Chunked).remaining(), None);
        assert_eq!(ContentReader::new(Framing::UntilClose).remaining(), None);
    }
}
