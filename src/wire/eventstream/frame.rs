//! One whole frame, verified, as a view of the bytes it came in; and all that can be wrong with one.

use super::header::{HeaderError, Headers, MessageKind};
use super::prelude::{CHECKSUM_BYTES, PRELUDE_BYTES, Prelude};

/// Why a stream can be relayed no further: upstream, or the path from it, broke a frame, and where the
/// next one starts cannot be known. The client must see a truncated message, never a clean end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FrameError {
    /// The checksum of the two lengths disagrees with them.
    PreludeChecksum {
        /// As the frame says.
        declared: u32,
        /// As its bytes say.
        computed: u32,
    },
    /// A length that no frame has: under [`FRAME_BYTES_MIN`](crate::limits::FRAME_BYTES_MIN) or over
    /// [`FRAME_BYTES_MAX`](crate::limits::FRAME_BYTES_MAX).
    Length {
        /// As the frame says.
        declared_bytes: u32,
    },
    /// More headers than the frame holds, or than
    /// [`FRAME_HEADERS_BYTES_MAX`](crate::limits::FRAME_HEADERS_BYTES_MAX).
    HeadersLength {
        /// As the frame says.
        declared_bytes: u32,
        /// Of the frame.
        frame_bytes: u32,
    },
    /// The checksum of the frame disagrees with its bytes.
    Checksum {
        /// As the frame says.
        declared: u32,
        /// As its bytes say.
        computed: u32,
    },
}

/// A whole frame whose checksums hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Frame<'a> {
    bytes: &'a [u8],
    headers_bytes: usize,
}

impl<'a> Frame<'a> {
    /// All of it, from its length to its checksum.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Its headers, in the order sent. They are bounded, but only [`Headers`] looks into them.
    #[must_use]
    pub fn headers(&self) -> Headers<'a> {
        Headers::new(self.raw_headers())
    }

    /// Its headers as they were sent: what is the same in two frames means the same.
    #[must_use]
    pub fn raw_headers(&self) -> &'a [u8] {
        &self.bytes[PRELUDE_BYTES..PRELUDE_BYTES + self.headers_bytes]
    }

    /// What follows the headers: JSON, for all that Bedrock sends.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        let end = self.bytes.len() - CHECKSUM_BYTES;
        &self.bytes[PRELUDE_BYTES + self.headers_bytes..end]
    }

    /// Event, exception or error, and of which type.
    ///
    /// # Errors
    /// [`HeaderError`] if the headers cannot be read, or could be read two ways.
    pub fn kind(&self) -> Result<MessageKind<'a>, HeaderError> {
        self.headers().kind()
    }
}

/// The frame at the start of `bytes`; bytes after it are left alone. `None` while its end is not there.
///
/// # Errors
/// [`FrameError`], as soon as it shows: a bad prelude needs no more than its twelve bytes.
#[inline]
pub fn parse_frame(bytes: &[u8]) -> Result<Option<Frame<'_>>, FrameError> {
    let Some(opening) = bytes.first_chunk() else { return Ok(None) };
    let prelude = Prelude::read(opening)?;
    let Some(bytes) = bytes.get(..prelude.frame_bytes) else { return Ok(None) };
    let (covered, declared) =
        bytes.split_last_chunk().expect("a prelude declares no frame without a checksum");
    check(u32::from_be_bytes(*declared), prelude.checksum_of(covered))?;
    Ok(Some(Frame { bytes, headers_bytes: prelude.headers_bytes }))
}

/// The headers of the frame that `begun` starts with, whose end may be far away; `None` while they are
/// not all there. They are not verified yet: good for deciding what to keep, not for believing it.
///
/// # Errors
/// [`FrameError`] if the prelude is broken.
pub fn peek_headers(begun: &[u8]) -> Result<Option<Headers<'_>>, FrameError> {
    let Some((opening, rest)) = begun.split_first_chunk() else { return Ok(None) };
    let prelude = Prelude::read(opening)?;
    Ok(rest.get(..prelude.headers_bytes).map(Headers::new))
}

#[inline]
pub(super) fn check(declared: u32, computed: u32) -> Result<(), FrameError> {
    if declared == computed { Ok(()) } else { Err(FrameError::Checksum { declared, computed }) }
}
