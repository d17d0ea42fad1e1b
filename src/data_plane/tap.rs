//! The relay's silent reader: looks at content as it passes, changes none of it, and reads what it used.
//!
//! ```text
//!   event stream   frames → checksums → events → usage      a broken frame breaks the message
//!   SSE            lines → usage                        OpenAI's; nothing in them can break the message
//!   JSON           a few numbers of it  → usage             never held, read up to a bound
//! ```
//!
//! Clients check frames themselves, but most of them take a stream that ends cleanly for a whole one.
//! So a stream that breaks (a checksum, a length, an end within a frame) must not end cleanly here: what
//! came before the break has gone or goes, the break itself does not, and the message is left truncated.
//!
//! One tap per scratch, begun anew for each answer: nothing is allocated in the steady state.

use crate::{
    bedrock::{
        fault::ErrorName,
        operation::{Action, ModelPlace},
        price::Rate,
        usage::{BodyUsage, Counts, Family, FieldUsage, SseUsage, StreamUsage, Usage},
    },
    limits::{CUT_FRAME_BYTES_MAX, USAGE_CONFIRM_BYTES_MAX, USAGE_SCAN_BYTES_MAX},
    wire::eventstream::{
        cut::{Cutter, Found},
        frame::{Frame, FrameError, parse_frame},
        header::MessageKind,
    },
};

/// The content type of a stream of frames.
const EVENT_STREAM: &str = "application/vnd.amazon.eventstream";
/// The content type of server-sent events.
const SSE: &str = "text/event-stream";
/// And of everything else whose usage can be read.
const JSON: &str = "application/json";

/// Follows one answer's content.
#[derive(Default)]
pub struct Tap {
    reader: Reader,
    /// What the head's fields said.
    fields: FieldUsage,
    /// What is there of a frame that the network cut.
    cut_frame: Vec<u8>,
    /// The stream's own word that it failed.
    exception: Option<ErrorName>,
    /// Of a stream, once it is whole.
    first_frame: Option<FirstFrame>,
    family: Family,
    /// A frame passed that was too large to be kept.
    has_passed_over: bool,
}

#[derive(Default)]
#[expect(
    clippy::large_enum_variant,
    reason = "one in each scratch; a box would be an allocation per request"
)]
enum Reader {
    #[default]
    Nothing,
    Stream {
        cutter: Cutter,
        usage: StreamUsage,
        usual: Usual,
    },
    Lines(SseUsage),
    Body {
        usage: BodyUsage,
        /// Bytes that may still be looked at.
        left: usize,
    },
}

/// What a tap needs to know of an answer.
pub struct Opening<'h> {
    /// Which of Bedrock's actions was asked for.
    pub action: Action,
    /// How the model counts.
    pub family: Family,
    /// `content-type`.
    pub content_type: Option<&'h [u8]>,
    /// Whether `content-encoding` names a coding: what is compressed is not read.
    pub is_encoded: bool,
    /// The answer reports success. An error uses nothing.
    pub is_success: bool,
    /// The token counts among the head's fields.
    pub fields: FieldUsage,
}

/// What a stream begins with.
#[derive(Clone, Copy, Debug)]
pub struct FirstFrame {
    /// Its exception's name, if it is one.
    pub exception: Option<ErrorName>,
}

/// What a tap has read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading {
    /// As far as it was told.
    pub usage: Usage,
    /// The content was a stream of frames.
    pub is_stream: bool,
    /// The stream ended with this exception.
    pub exception: Option<ErrorName>,
    /// Events that could have had usage were not what AWS sends.
    pub has_unread_events: bool,
}

impl Tap {
    /// Begins an answer; forgets the one before.
    pub fn begin(&mut self, opening: &Opening<'_>) {
        self.cut_frame.clear();
        if self.cut_frame.capacity() > CUT_FRAME_BYTES_MAX {
            self.cut_frame = Vec::new();
        }
        self.exception = None;
        self.first_frame = None;
        self.has_passed_over = false;
        self.fields = opening.fields;
        self.family = opening.family;
        let is = |wanted| is_type(opening.content_type, wanted);
        self.reader = if is(EVENT_STREAM) && !opening.is_encoded {
            let mut usage = StreamUsage::new(opening.family);
            usage.on_fields(opening.fields.counts());
            if opening.action.model_place() == ModelPlace::Nowhere {
                usage.is_of_service();
            }
            Reader::Stream { cutter: Cutter::new(), usage, usual: Usual::default() }
        } else if is(SSE) && !opening.is_encoded {
            Reader::Lines(SseUsage::new(opening.fields.counts()))
        } else if is(JSON) && opening.is_success && !opening.is_encoded {
            let counts = opening.fields.counts();
            // What is only to be confirmed is worth less time than what is to be found.
            let is_told = counts.input.is_some() && counts.output.is_some();
            let left = if is_told { USAGE_CONFIRM_BYTES_MAX } else { USAGE_SCAN_BYTES_MAX };
            Reader::Body { usage: BodyUsage::new(opening.action, opening.family), left }
        } else {
            Reader::Nothing
        };
    }

    #[cfg(test)]
    pub(super) fn of_stream() -> Self {
        let usage = StreamUsage::new(Family::Claude);
        let reader = Reader::Stream { cutter: Cutter::new(), usage, usual: Usual::default() };
        Self { reader, ..Self::default() }
    }

    /// Looks at the content that comes next.
    ///
    /// # Errors
    /// How many of its bytes may be passed on, and why not the others. A tap that failed must be asked no
    /// more than what it has read.
    pub fn look(&mut self, content: &[u8]) -> Result<(), (usize, &'static str)> {
        match &mut self.reader {
            Reader::Nothing => Ok(()),
            Reader::Lines(usage) => {
                usage.feed(content);
                Ok(())
            }
            Reader::Body { usage, left } => {
                let seen = content.len().min(*left);
                usage.feed(&content[..seen]);
                *left -= seen;
                Ok(())
            }
            Reader::Stream { cutter, usage, usual } => {
                let mut seen = 0;
                while seen < content.len() {
                    let piece = &content[seen..];
                    let step = match cutter.step(piece) {
                        Ok(step) => step,
                        Err(error) => return Err((seen, reason(&error))),
                    };
                    seen += step.consumed;
                    let piece = &piece[..step.consumed];
                    let cut_frame = &mut self.cut_frame;
                    match step.found {
                        Found::Frame(frame) => {
                            on_frame(&frame, usage, usual, &mut self.exception);
                            let exception = self.exception;
                            self.first_frame.get_or_insert(FirstFrame { exception });
                        }
                        Found::Begins => {
                            cut_frame.clear();
                            cut_frame.extend_from_slice(piece);
                        }
                        Found::Continues if cut_frame.len() < CUT_FRAME_BYTES_MAX => {
                            cut_frame.extend_from_slice(piece);
                        }
                        Found::Continues => self.has_passed_over = true,
                        Found::Ends => {
                            cut_frame.extend_from_slice(piece);
                            // `None`: too large to be kept.
                            match parse_frame(cut_frame) {
                                Ok(Some(frame)) => {
                                    on_frame(&frame, usage, usual, &mut self.exception);
                                }
                                _ => self.has_passed_over = true,
                            }
                            let exception = self.exception;
                            self.first_frame.get_or_insert(FirstFrame { exception });
                        }
                    }
                }
                Ok(())
            }
        }
    }

    /// Whether the content is a stream of frames.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        matches!(self.reader, Reader::Stream { .. })
    }

    /// The stream's first frame, once it is whole.
    #[must_use]
    pub fn first_frame(&self) -> Option<FirstFrame> {
        self.first_frame
    }

    /// Whether the stream may end here.
    #[must_use]
    pub fn may_end(&self) -> bool {
        match &self.reader {
            Reader::Stream { cutter, .. } => cutter.is_between_frames(),
            Reader::Nothing | Reader::Lines(_) | Reader::Body { .. } => true,
        }
    }

    /// Whether the content can add nothing to what the head's fields tell, as far as `rate` makes a
    /// difference: how much of the input was cached, and under which service tier.
    #[must_use]
    pub fn fields_tell_all(&self, rate: &Rate) -> bool {
        if matches!(self.reader, Reader::Lines(_)) {
            return false;
        }
        let counts = self.fields.counts();
        let is_cache_told = counts.cache_read.is_some() && counts.cache_write.is_some();
        let has_cache =
            matches!(self.family, Family::Claude | Family::Nova | Family::OpenAi | Family::Unknown);
        (is_cache_told || !has_cache) && (counts.tier.is_some() || !rate.has_tiers())
    }

    /// What the head's fields alone tell; nothing of a stream's.
    #[must_use]
    pub fn usage_by_fields(&self) -> Usage {
        match &self.reader {
            Reader::Stream { .. } | Reader::Lines(_) => Usage::default(),
            Reader::Nothing | Reader::Body { .. } => {
                Counts::settle(self.fields.counts(), Counts::default())
            }
        }
    }

    /// What was read so far.
    #[must_use]
    pub fn reading(&self) -> Reading {
        let nothing = Reading { exception: self.exception, ..Reading::default() };
        match &self.reader {
            Reader::Nothing => Reading { usage: self.usage_by_fields(), ..nothing },
            Reader::Lines(usage) => Reading { usage: usage.settle(), is_stream: true, ..nothing },
            Reader::Body { usage, .. } => Reading { usage: usage.settle(&self.fields), ..nothing },
            Reader::Stream { usage, .. } => Reading {
                usage: usage.settle(),
                is_stream: true,
                has_unread_events: usage.unread_events() > 0 || self.has_passed_over,
                ..nothing
            },
        }
    }
}

fn is_type(value: Option<&[u8]>, wanted: &str) -> bool {
    let Some((start, rest)) = value.and_then(|value| value.split_at_checked(wanted.len())) else {
        return false;
    };
    let ends = matches!(rest.first(), None | Some(b';' | b' ' | b'\t'));
    ends && start.eq_ignore_ascii_case(wanted.as_bytes())
}

/// The headers that the last event came with: the next one's are mostly the same, byte for byte.
struct Usual {
    headers: [u8; USUAL_BYTES_MAX],
    length: usize,
    /// Its type; empty if it tells nothing of usage.
    event_type: [u8; EVENT_TYPE_BYTES_MAX],
    type_length: usize,
}

/// Longer headers are read anew in each frame; AWS's have less.
const USUAL_BYTES_MAX: usize = 128;
/// Of the types that are read.
const EVENT_TYPE_BYTES_MAX: usize = 8;

impl Default for Usual {
    fn default() -> Self {
        Self {
            headers: [0; USUAL_BYTES_MAX],
            length: 0,
            event_type: [0; EVENT_TYPE_BYTES_MAX],
            type_length: 0,
        }
    }
}

impl Usual {
    /// The type of an event with these headers, if they are the usual ones.
    fn event_type(&self, headers: &[u8]) -> Option<&[u8]> {
        let is_usual = self.length > 0 && self.headers[..self.length] == *headers;
        is_usual.then_some(&self.event_type[..self.type_length])
    }

    fn learn(&mut self, headers: &[u8], event_type: &[u8]) {
        let event_type = if StreamUsage::reads(event_type) { event_type } else { b"" };
        if headers.len() <= USUAL_BYTES_MAX && event_type.len() <= EVENT_TYPE_BYTES_MAX {
            self.headers[..headers.len()].copy_from_slice(headers);
            self.event_type[..event_type.len()].copy_from_slice(event_type);
            (self.length, self.type_length) = (headers.len(), event_type.len());
        }
    }
}

fn on_frame(
    frame: &Frame<'_>,
    usage: &mut StreamUsage,
    usual: &mut Usual,
    exception: &mut Option<ErrorName>,
) {
    if let Some(event_type) = usual.event_type(frame.raw_headers()) {
        if !event_type.is_empty() {
            usage.on_event(event_type, frame.payload());
        }
        return;
    }
    match frame.kind() {
        Ok(MessageKind::Event { event_type: Some(event_type) }) => {
            usual.learn(frame.raw_headers(), event_type.as_bytes());
            usage.on_event(event_type.as_bytes(), frame.payload());
        }
        Ok(
            MessageKind::Exception { exception_type: name } | MessageKind::Error { code: name, .. },
        ) => {
            *exception = Some(ErrorName::of(name.unwrap_or("unnamed").as_bytes()));
        }
        // Clients skip it, or fail by themselves: headers decide nothing about where frames end.
        Ok(MessageKind::Event { event_type: None } | MessageKind::Other) | Err(_) => {}
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
    use crate::units::Tokens;

    fn opened(content_type: Option<&str>) -> Tap {
        let mut tap = Tap::default();
        tap.begin(&Opening {
            action: Action::Converse,
            family: Family::Claude,
            content_type: content_type.map(str::as_bytes),
            is_encoded: false,
            is_success: true,
            fields: FieldUsage::default(),
        });
        tap
    }

    #[test]
    fn only_event_streams_are_followed() {
        let is_followed = |value: &str| matches!(opened(Some(value)).reader, Reader::Stream { .. });
        assert!(is_followed("application/vnd.amazon.eventstream"));
        assert!(is_followed("Application/VND.amazon.EventStream; charset=x"));
        assert!(!is_followed("application/vnd.amazon.eventstreams"));
        assert!(!is_followed("application/json"));
        assert!(!is_followed(""));
        assert!(matches!(opened(None).reader, Reader::Nothing));
    }

    /// Frames with the headers of the one before, and with others in between, are read as if each were the first.
    #[test]
    fn usual_headers_change_nothing() {
        let recorded = [
            &include_bytes!("../../tests/vectors/eventstream/whole/chunk.bin")[..],
            include_bytes!("../../tests/vectors/eventstream/whole/throttling_exception.bin"),
        ];
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..200 {
            let order: Vec<&[u8]> = (0..6).map(|_| recorded[random.usize(0..2)]).collect();
            let mut tap = Tap::of_stream();
            tap.look(&order.concat()).unwrap();
            let (reading, mut usage, mut exception) =
                (tap.reading(), StreamUsage::new(Family::Claude), None);
            for bytes in &order {
                let frame = parse_frame(bytes).unwrap().unwrap();
                on_frame(&frame, &mut usage, &mut Usual::default(), &mut exception);
            }
            assert_eq!(reading.usage, usage.settle());
            assert_eq!(reading.exception.is_some(), exception.is_some());
        }
    }

    #[test]
    fn json_is_read_however_it_is_cut_and_no_further_than_the_bound() {
        let content = br#"{"output":{},"usage":{"inputTokens":11,"outputTokens":264}}"#;
        for cut in 0..=content.len() {
            let mut tap = opened(Some("application/json"));
            tap.look(&content[..cut]).unwrap();
            tap.look(&content[cut..]).unwrap();
            let usage = tap.reading().usage;
            assert_eq!((usage.input, usage.output), (Some(Tokens(11)), Some(Tokens(264))), "{cut}");
        }
        let mut tap = opened(Some("application/json"));
        tap.look(br#"{"padding":""#).unwrap();
        let padding = vec![b'x'; 1 << 20];
        (0..=USAGE_SCAN_BYTES_MAX >> 20).for_each(|_| tap.look(&padding).unwrap());
        tap.look(br#"","usage":{"inputTokens":1,"outputTokens":2}}"#).unwrap();
        assert_eq!((tap.reading().usage.output, tap.reading().usage.partial), (None, true));
    }
}
