//! Where frames end, however the network cut the stream.
//!
//! The relay forwards bytes the instant they arrive, yet tokens must be counted exactly; so the cutter
//! only measures. A frame that lies whole in what was received, which is the rule, is verified in one
//! pass and named in place. One that the network cut is followed piece by piece:
//!
//! ```text
//!  received    received          received
//! ├────────┤ ├──────────┤ ├───────────────────┤
//! [ frame ][ frame          frame ][ frame ][ f…
//!  Frame   Begins Continues  Ends    Frame   Begins
//! ```
//!
//! Invariants: every byte is seen once; at most the prelude's 12 bytes or the checksum's 4 are copied,
//! when a cut goes through them; no allocation. The last byte of a broken frame is never consumed, so a
//! caller that forwards only what was consumed cannot pass one as good.

use super::frame::{Frame, FrameError, check, parse_frame};
use super::prelude::{CHECKSUM_BYTES, PRELUDE_BYTES, Prelude};

/// What one call of [`Cutter::step`] found at the start of its input.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Step<'a> {
    /// Bytes done with, at least one: all of them belong to what was found.
    pub consumed: usize,
    /// A frame or a piece of one.
    pub found: Found<'a>,
}

/// What the consumed bytes are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Found<'a> {
    /// A whole frame, verified.
    Frame(Frame<'a>),
    /// The start of a frame whose end has not been received.
    Begins,
    /// More of it, and still not its end.
    Continues,
    /// The last of it. With all its pieces it is a whole frame, verified.
    Ends,
}

/// Follows one stream of frames.
#[derive(Clone, Debug)]
pub struct Cutter {
    progress: Progress,
}

/// How far into a frame the stream is.
#[derive(Clone, Debug)]
enum Progress {
    /// Nothing of the prelude: between frames.
    Prelude(Gathered<PRELUDE_BYTES>),
    /// `remaining` bytes of headers and payload are due.
    Body {
        frame_bytes: usize,
        remaining: usize,
        hasher: crc32fast::Hasher,
    },
    Checksum {
        frame_bytes: usize,
        declared: Gathered<CHECKSUM_BYTES>,
        computed: u32,
    },
}

impl Cutter {
    /// At the start of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self { progress: Progress::BETWEEN }
    }

    /// Follows `input`, the bytes after those already consumed, and not none. Names one frame or one
    /// piece, so call again with the rest until nothing is left.
    ///
    /// # Errors
    /// [`FrameError`] if the frame is broken: nothing of `input` was consumed, and nothing after what
    /// was consumed can be trusted.
    #[inline]
    pub fn step<'a>(&mut self, input: &'a [u8]) -> Result<Step<'a>, FrameError> {
        assert!(!input.is_empty(), "an empty input has no piece of a frame");
        if !self.is_between_frames() {
            return self.follow(input);
        }
        match parse_frame(input)? {
            Some(frame) => Ok(Step { consumed: frame.bytes().len(), found: Found::Frame(frame) }),
            None => self.follow(input),
        }
    }

    /// Whether the stream may end here. Elsewhere, a close truncates a frame.
    #[must_use]
    pub fn is_between_frames(&self) -> bool {
        self.progress.is_between()
    }

    /// Length of the frame under way, once its prelude is there: tells whether it is worth keeping.
    #[must_use]
    pub fn frame_bytes(&self) -> Option<usize> {
        match self.progress {
            Progress::Prelude(_) => None,
            Progress::Body { frame_bytes, .. } | Progress::Checksum { frame_bytes, .. } => {
                Some(frame_bytes)
            }
        }
    }

    /// To the end of the frame, or of `input`.
    fn follow<'a>(&mut self, input: &[u8]) -> Result<Step<'a>, FrameError> {
        let begins = self.is_between_frames();
        // A copy, so that an error leaves everything as it was.
        let mut progress = self.progress.clone();
        let mut consumed = 0;
        while consumed < input.len() {
            let taken;
            (progress, taken) = progress.on_bytes(&input[consumed..])?;
            consumed += taken;
            if progress.is_between() {
                break;
            }
        }
        let found = match (begins, progress.is_between()) {
            (true, ends) => {
                assert!(!ends, "a whole frame is found as such");
                Found::Begins
            }
            (false, true) => Found::Ends,
            (false, false) => Found::Continues,
        };
        self.progress = progress;
        Ok(Step { consumed, found })
    }
}

impl Default for Cutter {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress {
    const BETWEEN: Self = Self::Prelude(Gathered::NOTHING);

    fn is_between(&self) -> bool {
        matches!(self, Self::Prelude(prelude) if prelude.count == 0)
    }

    /// Takes what it can of `input`; how much that was.
    fn on_bytes(self, input: &[u8]) -> Result<(Self, usize), FrameError> {
        Ok(match self {
            Self::Prelude(mut gathered) => {
                let taken = gathered.gather(input);
                let Some(bytes) = gathered.whole() else {
                    return Ok((Self::Prelude(gathered), taken));
                };
                let prelude = Prelude::read(bytes)?;
                let frame_bytes = prelude.frame_bytes;
                let remaining = frame_bytes - PRELUDE_BYTES - CHECKSUM_BYTES;
                (Self::Body { frame_bytes, remaining, hasher: prelude.hasher() }, taken)
            }
            Self::Body { frame_bytes, remaining, mut hasher } => {
                let taken = remaining.min(input.len());
                hasher.update(&input[..taken]);
                let remaining = remaining - taken;
                if remaining > 0 {
                    return Ok((Self::Body { frame_bytes, remaining, hasher }, taken));
                }
                let (declared, computed) = (Gathered::NOTHING, hasher.finalize());
                (Self::Checksum { frame_bytes, declared, computed }, taken)
            }
            Self::Checksum { frame_bytes, mut declared, computed } => {
                let taken = declared.gather(input);
                let Some(bytes) = declared.whole() else {
                    return Ok((Self::Checksum { frame_bytes, declared, computed }, taken));
                };
                check(u32::from_be_bytes(*bytes), computed)?;
                (Self::BETWEEN, taken)
            }
        })
    }
}

/// `N` bytes that may come one by one.
#[derive(Clone, Copy, Debug)]
struct Gathered<const N: usize> {
    bytes: [u8; N],
    count: usize,
}

impl<const N: usize> Gathered<N> {
    const NOTHING: Self = Self { bytes: [0; N], count: 0 };

    /// Takes what is missing, as far as it is there; how much that was.
    fn gather(&mut self, input: &[u8]) -> usize {
        let taken = (N - self.count).min(input.len());
        self.bytes[self.count..self.count + taken].copy_from_slice(&input[..taken]);
        self.count += taken;
        taken
    }

    fn whole(&self) -> Option<&[u8; N]> {
        (self.count == N).then_some(&self.bytes)
    }
}
