//! What a request (or the owner, for all requests) asks the stand-in to do: `key=value; key=value`.
//!
//! In the field `x-amzn-bedrock-mock`, which a proxy forwards as any `X-Amzn-Bedrock-*`, or through
//! [`super::StandIn::set_fault`]; the field's directives then amend the owner's. The grammar:
//!
//! ```text
//! delay_ms=N                     wait before the head
//! status=N [type=NAME] [retry_after=S]   an AWS error; throttle = status=429
//! frames=N frame_bytes=N         text deltas of an answer, payload bytes of each of their frames
//! frame_gap_ms=N first_frame_gap_ms=N frames_per_write=N   pace; gate = each frame waits for release
//! answer_bytes=N framing=length|chunked|close   content of exactly N bytes, and how its end is told
//! echo=sha256                    the answer tells the SHA-256 of the content received
//! input=N told_input=N           input tokens; what the body tells of them, if that is to differ
//! cache_read=N cache_write=N     cached tokens in the usage
//! cache_write_1h=N unsplit       how many of the latter for an hour; nobody says for how long
//! tier=default|flex|priority|reserved   the service tier that the answer names
//! images=N results=N             images in an answer; results of a rerank
//! close=accept|before_head|in_head|in_content|idle|after_frames:K   and reset=… likewise, with RST
//! stall=head|frames:K            then nothing, with the connection open
//! exception=first|mid[:TYPE]     an exception frame first, or after half of the frames
//! bad_crc=K bad_prelude=K        frame K (from 1) with a wrong checksum
//! interim=100|103                an interim answer first
//! surplus[=N] short_content[=N]  N bytes more, or fewer, than content-length says
//! early                          answer before the content is read (nothing is verified)
//! ```

use super::socket::Ending;
use std::fmt;

/// How the end of content is told.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Framing {
    /// Content-Length.
    #[default]
    Length,
    /// Transfer-Encoding: chunked.
    Chunked,
    /// The connection closes.
    Close,
}

/// Where an answer breaks off.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Place {
    /// Right after the TCP connection is accepted.
    Accept,
    /// Instead of the answer.
    BeforeHead,
    /// In the middle of the head.
    InHead,
    /// In the middle of the content; of a stream, within a frame.
    InContent,
    /// After this many frames of a stream.
    AfterFrames(usize),
    /// After a complete answer that did not announce it.
    Idle,
}

/// Where an exception frame comes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Moment {
    /// Instead of the first frame.
    First,
    /// After half of the frames.
    Mid,
}

/// Everything that can be asked for.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "each field is the directive of its name, explained above")]
pub struct Directives {
    pub delay_ms: u64,
    pub status: Option<u16>,
    pub error_name: Option<String>,
    pub retry_after: Option<u32>,
    pub frames: Option<usize>,
    pub frame_bytes: Option<usize>,
    pub frame_gap_ms: u64,
    pub first_frame_gap_ms: u64,
    pub frames_per_write: usize,
    pub gate: bool,
    pub answer_bytes: Option<usize>,
    pub framing: Framing,
    pub echo: bool,
    pub input: Option<u64>,
    pub told_input: Option<u64>,
    pub cache_read: u64,
    pub cache_write: u64,
    pub cache_write_1h: u64,
    pub unsplit: bool,
    pub tier: Option<&'static str>,
    pub images: Option<usize>,
    pub results: Option<usize>,
    pub cut: Option<(Place, Ending)>,
    pub exception: Option<(Moment, String)>,
    pub bad_crc: Option<usize>,
    pub bad_prelude: Option<usize>,
    pub interim: Option<u16>,
    pub surplus: usize,
    pub short_content: usize,
    pub early: bool,
}

/// A directive that the stand-in does not know, or whose value is wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DirectiveError(pub String);

impl fmt::Display for DirectiveError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the stand-in has no directive '{}'", self.0)
    }
}

impl std::error::Error for DirectiveError {}

/// Frames, content and other sizes asked for are at most this: a test's typing error must not fill memory.
const SIZE_MAX: usize = 256 * 1024 * 1024;
/// AWS's words in `X-Amzn-Bedrock-Service-Tier`.
const TIERS: [&str; 4] = ["default", "flex", "priority", "reserved"];

impl Directives {
    /// `text` alone.
    pub fn parse(text: &str) -> Result<Self, DirectiveError> {
        let mut directives = Self::default();
        directives.amend(text)?;
        Ok(directives)
    }

    /// `text` on top of what is already asked for.
    pub fn amend(&mut self, text: &str) -> Result<(), DirectiveError> {
        for directive in text.split(';').map(str::trim).filter(|directive| !directive.is_empty()) {
            let (key, value) = directive.split_once('=').unwrap_or((directive, ""));
            self.set(key.trim(), value.trim())
                .ok_or_else(|| DirectiveError(directive.to_owned()))?;
        }
        Ok(())
    }

    fn set(&mut self, key: &str, value: &str) -> Option<()> {
        let size = || value.parse().ok().filter(|size| *size <= SIZE_MAX);
        match key {
            "delay_ms" => self.delay_ms = value.parse().ok()?,
            "status" => {
                self.status = Some(value.parse().ok().filter(|status| (400..600).contains(status))?)
            }
            "throttle" => self.status = Some(429),
            "type" => self.error_name = Some(value.to_owned()),
            "retry_after" => self.retry_after = Some(value.parse().ok()?),
            "frames" => {
                self.frames = Some(size().filter(|frames| (1..=1_000_000).contains(frames))?)
            }
            "frame_bytes" => self.frame_bytes = Some(size()?),
            "frame_gap_ms" => self.frame_gap_ms = value.parse().ok()?,
            "first_frame_gap_ms" => self.first_frame_gap_ms = value.parse().ok()?,
            "frames_per_write" => self.frames_per_write = value.parse().ok()?,
            "gate" => self.gate = value != "off",
            "answer_bytes" => self.answer_bytes = Some(size()?),
            "framing" => self.framing = framing(value)?,
            "echo" => self.echo = (value == "sha256").then_some(true)?,
            "input" => self.input = Some(value.parse().ok()?),
            "told_input" => self.told_input = Some(value.parse().ok()?),
            "cache_read" => self.cache_read = value.parse().ok()?,
            "cache_write" => self.cache_write = value.parse().ok()?,
            "cache_write_1h" => self.cache_write_1h = value.parse().ok()?,
            "unsplit" => self.unsplit = true,
            "tier" => {
                self.tier = Some(TIERS.into_iter().find(|tier| *tier == value)?);
            }
            "images" => self.images = Some(size()?),
            "results" => self.results = Some(size()?),
            "close" => self.cut = Some((place(value)?, Ending::Close)),
            "reset" => self.cut = Some((place(value)?, Ending::Reset)),
            "stall" if value == "head" => self.cut = Some((Place::BeforeHead, Ending::Stall)),
            "stall" if value == "in_content" => self.cut = Some((Place::InContent, Ending::Stall)),
            "stall" => {
                self.cut = Some((Place::AfterFrames(numbered("frames", value)?), Ending::Stall))
            }
            "exception" => self.exception = Some(exception(value)?),
            "bad_crc" => self.bad_crc = Some(value.parse().ok()?),
            "bad_prelude" => self.bad_prelude = Some(value.parse().ok()?),
            "interim" => {
                self.interim =
                    Some(value.parse().ok().filter(|status| matches!(status, 100 | 103))?)
            }
            "surplus" => self.surplus = if value.is_empty() { 16 } else { size()? },
            "short_content" => self.short_content = if value.is_empty() { 16 } else { size()? },
            "early" => self.early = true,
            _ => return None,
        }
        Some(())
    }
}

fn framing(value: &str) -> Option<Framing> {
    Some(match value {
        "length" => Framing::Length,
        "chunked" => Framing::Chunked,
        "close" => Framing::Close,
        _ => return None,
    })
}

fn place(value: &str) -> Option<Place> {
    Some(match value {
        "accept" => Place::Accept,
        "before_head" => Place::BeforeHead,
        "in_head" => Place::InHead,
        "in_content" => Place::InContent,
        "idle" => Place::Idle,
        _ => Place::AfterFrames(numbered("after_frames", value)?),
    })
}

fn numbered(name: &str, value: &str) -> Option<usize> {
    value.strip_prefix(name)?.strip_prefix(':')?.parse().ok()
}

fn exception(value: &str) -> Option<(Moment, String)> {
    let (moment, name) = value.split_once(':').unwrap_or((value, "throttlingException"));
    let moment = match moment {
        "first" => Moment::First,
        "mid" => Moment::Mid,
        _ => return None,
    };
    Some((moment, name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_parse_or_name_what_is_wrong() {
        let asked = Directives::parse(
            "frames=3; gate; close=after_frames:2 ;exception=mid:modelStreamErrorException",
        )
        .unwrap();
        assert_eq!((asked.frames, asked.gate), (Some(3), true));
        assert_eq!(asked.cut, Some((Place::AfterFrames(2), Ending::Close)));
        assert_eq!(asked.exception, Some((Moment::Mid, "modelStreamErrorException".to_owned())));
        assert_eq!(
            Directives::parse("stall=head").unwrap().cut,
            Some((Place::BeforeHead, Ending::Stall))
        );
        assert_eq!(Directives::parse("").unwrap(), Directives::default());
        for wrong in [
            "nonsense",
            "frames=0",
            "frames=x",
            "close=somewhere",
            "status=200",
            "stall=frames",
            "echo=md5",
            "tier=free",
        ] {
            assert_eq!(Directives::parse(wrong), Err(DirectiveError(wrong.to_owned())));
        }
    }

    #[test]
    fn a_field_amends_the_owner() {
        let mut directives = Directives::parse("status=503; delay_ms=5").unwrap();
        directives.amend("status=429").unwrap();
        assert_eq!((directives.status, directives.delay_ms), (Some(429), 5));
    }
}
