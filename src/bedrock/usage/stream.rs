//! Usage from the events of a stream.
//!
//! InvokeModelWithResponseStream hides each event's JSON in base64: `{"bytes":"eyJ0…","p":"abc"}`. It
//! is decoded block by block on the stack, straight into the scanner, so that no event is ever copied as
//! a whole. Most events are text and say nothing of usage: their first bytes tell, see [`is_text`].

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::body::take;
use super::shape;
use super::{Counts, Family, Usage};
use crate::limits::BASE64_BLOCK_BYTES;
use crate::wire::json::{Paths, Scanner, string_member};

/// The type of InvokeModelWithResponseStream's events.
const CHUNK: &[u8] = b"chunk";
/// The type of ConverseStream's event that has the usage.
const METADATA: &[u8] = b"metadata";

/// The type of an agent's events that have the usage of one step, if the client asked for traces.
const TRACE: &[u8] = b"trace";

/// How payloads begin that cannot have usage, as AWS writes them: `{"type":"content_block_delta",` of
/// Claude and `{"contentBlockDelta":` of Nova. Both texts are whole groups of base64.
const TEXT_STARTS: [&[u8]; 2] = [
    b"{\"bytes\":\"eyJ0eXBlIjoiY29udGVudF9ibG9ja19kZWx0YSIs",
    b"{\"bytes\":\"eyJjb250ZW50QmxvY2tEZWx0YSI6",
];

/// Follows one stream. Fixed size; feed it the events of either operation.
#[derive(Clone, Copy, Debug)]
pub struct StreamUsage {
    family: Family,
    billed: Counts,
    told: Counts,
    is_final: bool,
    /// Its chunks hold what a model says; an agent's hold text.
    is_of_model: bool,
    unread_events: u64,
}

impl StreamUsage {
    /// Before the first event of an answer by a model of `family`.
    #[must_use]
    pub fn new(family: Family) -> Self {
        let none = Counts::default();
        let (is_final, is_of_model) = (false, true);
        Self { family, billed: none, told: none, is_final, is_of_model, unread_events: 0 }
    }

    /// Takes what the header fields said, such as the service tier.
    pub fn on_fields(&mut self, fields: Counts) {
        self.billed = fields;
    }

    /// Whether events of this type tell of usage, or may.
    #[must_use]
    pub fn reads(event_type: &[u8]) -> bool {
        matches!(event_type, CHUNK | TRACE | METADATA)
    }

    /// One event whose message type is `event`: its `:event-type` and its whole payload.
    pub fn on_event(&mut self, event_type: &[u8], payload: &[u8]) {
        match event_type {
            CHUNK if self.is_of_model && !is_text(payload) => self.on_chunk(payload),
            TRACE => {
                let scanner = scanned(shape::agent(), payload);
                let mut step = Counts::default();
                take(&scanner, &mut Counts::default(), &mut step);
                self.told.input = sum(self.told.input, step.input);
                self.told.output = sum(self.told.output, step.output);
                self.unread_events += u64::from(!scanner.is_whole());
            }
            METADATA => {
                let scanner = scanned(shape::converse(), payload);
                take(&scanner, &mut Counts::default(), &mut self.told);
                self.is_final = scanner.is_whole() && self.told.output.is_some();
                self.unread_events += u64::from(!scanner.is_whole());
            }
            _ => {}
        }
    }

    /// It is no model's own: nothing has the last word on usage, and what traces tell is all there is.
    pub fn is_of_service(&mut self) {
        (self.is_final, self.is_of_model) = (true, false);
    }

    fn on_chunk(&mut self, payload: &[u8]) {
        let scanner = string_member(payload, "bytes")
            .and_then(|encoded| decoded(shape::chunk(self.family), encoded));
        let Some(scanner) = scanner else {
            self.unread_events += 1;
            return;
        };
        take(&scanner, &mut self.billed, &mut self.told);
        self.is_final |= self.billed.output.is_some();
    }

    /// The usage, when the stream has ended or will not go on.
    #[must_use]
    pub fn settle(&self) -> Usage {
        let mut usage = Counts::settle(self.billed, self.told);
        usage.partial = !self.is_final;
        usage
    }

    /// Whether the last word on usage was said: AWS's metrics, or Converse's metadata.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.is_final
    }

    /// Events that could have had usage but were not what AWS sends.
    #[must_use]
    pub fn unread_events(&self) -> u64 {
        self.unread_events
    }
}

/// Whether a `chunk` is text for sure. If AWS writes its JSON otherwise one day, this costs time, not truth.
#[must_use]
pub fn is_text(payload: &[u8]) -> bool {
    TEXT_STARTS.iter().any(|start| payload.starts_with(start))
}

fn sum(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    [one, other].into_iter().flatten().reduce(u64::saturating_add)
}

fn scanned(paths: Paths, document: &[u8]) -> Scanner {
    let mut scanner = Scanner::new(paths);
    scanner.feed(document);
    scanner
}

/// A scan of what `encoded` holds; `None` if it is no base64 of a JSON document.
fn decoded(paths: Paths, encoded: &[u8]) -> Option<Scanner> {
    let mut scanner = Scanner::new(paths);
    let mut block = [0; BASE64_BLOCK_BYTES / 4 * 3];
    for piece in encoded.chunks(BASE64_BLOCK_BYTES) {
        let length = STANDARD.decode_slice(piece, &mut block).ok()?;
        scanner.feed(&block[..length]);
    }
    scanner.is_whole().then_some(scanner)
}
