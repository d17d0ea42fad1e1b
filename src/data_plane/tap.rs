//! The relay's silent reader: looks at an event stream's frames as they pass, and changes none.
//!
//! Clients check frames themselves, but most of them take a stream that ends cleanly for a whole one.
//! So a stream that breaks (a checksum, a length, an end within a frame) must not end cleanly here: what
//! came before the break has gone or goes, the break itself does not, and the message is left truncated.

use crate::wire::eventstream::{cut::Cutter, frame::FrameError};

/// The content type of a stream of frames.
const EVENT_STREAM: &[u8] = b"application/vnd.amazon.eventstream";

/// Follows one answer's frames.
#[derive(Default)]
pub struct Tap {
    cutter: Cutter,
}

impl Tap {
    /// One for an answer with this content type, if that is a stream of frames.
    #[must_use]
    pub fn for_content_type(value: Option<&[u8]>) -> Option<Self> {
        let (start, rest) = value?.split_at_checked(EVENT_STREAM.len())?;
        let ends = matches!(rest.first(), None | Some(b';' | b' ' | b'\t'));
        (ends && start.eq_ignore_ascii_case(EVENT_STREAM)).then(Self::default)
    }

    /// Looks at the content that comes next.
    ///
    /// # Errors
    /// How many of its bytes may be passed on, and why not the others. A tap that failed must be asked no
    /// more.
    pub fn look(&mut self, content: &[u8]) -> Result<(), (usize, &'static str)> {
        let mut seen = 0;
        while seen < content.len() {
            match self.cutter.step(&content[seen..]) {
                Ok(step) => seen += step.consumed,
                Err(error) => return Err((seen, reason(&error))),
            }
        }
        Ok(())
    }

    /// Whether the stream may end here.
    #[must_use]
    pub fn may_end(&self) -> bool {
        self.cutter.is_between_frames()
    }
}

fn reason(error: &FrameError) -> &'static str {
    match error {
        FrameError::PreludeChecksum { .. } => "the checksum of a frame's prelude is wrong",
        FrameError::Length { .. } => "a frame's length is impossible",
        FrameError::HeadersLength { .. } => "the length of a frame's headers is impossible",
        FrameError::Checksum { .. } => "the checksum of a frame is wrong",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_event_streams_are_followed() {
        let is_followed = |value: &str| Tap::for_content_type(Some(value.as_bytes())).is_some();
        assert!(is_followed("application/vnd.amazon.eventstream"));
        assert!(is_followed("Application/VND.amazon.EventStream; charset=x"));
        assert!(!is_followed("application/vnd.amazon.eventstreams"));
        assert!(!is_followed("application/json"));
        assert!(!is_followed(""));
        assert!(Tap::for_content_type(None).is_none());
    }
}
