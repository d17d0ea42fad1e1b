//! What is answered: content encoded once per shape and kept, and the fields around it.

use super::aws_error::AwsError;
use super::directive::Directives;
use super::family::{self, Family, INVOCATION_LATENCY_MS, Saying, Usage, converse};
use super::frames;
use super::target::Operation;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// Text deltas of an answer unless asked otherwise.
pub const DELTAS_DEFAULT: usize = 8;
/// Images of an answer, or results of a rerank, unless asked otherwise.
const PIECES_DEFAULT: usize = 1;
/// A thread keeps this many bytes of prepared answers. Hit: they are made anew.
const KEPT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// JSON-safe; one of them is longer in bytes than in characters.
const WORDS: [&str; 8] =
    ["The ", "outcrop ", "is ", "a ", "na\u{ef}ve ", "stand-in ", "for ", "Bedrock. "];

/// What an answer's content is.
#[derive(Clone, Debug)]
pub enum Payload {
    /// Sent as it is.
    Whole(Bytes),
    /// Frames of an event stream.
    Stream(Rc<[Bytes]>),
}

/// An answer before it is put on the wire.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Fields, without Date and framing.
    pub fields: HeaderMap,
    /// Content.
    pub payload: Payload,
}

#[derive(Eq, Hash, PartialEq)]
struct Key {
    operation: Operation,
    family: Family,
    usage: Usage,
    tier: Option<&'static str>,
    frame_bytes: Option<usize>,
    answer_bytes: Option<usize>,
}

/// Prepared answers of one thread.
#[derive(Default)]
pub struct Answers {
    kept: RefCell<(usize, HashMap<Key, Answer>)>,
}

impl Answers {
    /// The answer to `operation` on `model_id`, for content of these bytes and this SHA-256.
    pub fn answer(
        &self,
        operation: Operation,
        model_id: &str,
        content: (u64, &str),
        asked: &Directives,
    ) -> Result<Answer, AwsError> {
        let validation = |message| AwsError::bedrock(400, "ValidationException", message);
        let family = Family::of(model_id)
            .ok_or_else(|| validation("The provided model identifier is invalid."))?;
        if !family.converses() && operation.is_converse() {
            return Err(validation(
                "This action doesn't support the model that you provided. Try again with a supported text or chat model.",
            ));
        }
        if !family.streams() && operation.is_stream() {
            return Err(validation("The model is unsupported for streaming."));
        }
        let (length, sha256) = content;
        let deltas = if family.speaks() { asked.frames.unwrap_or(DELTAS_DEFAULT) } else { 0 };
        let input = asked.input.unwrap_or(length.div_ceil(4));
        let mut usage = Usage { input, output: deltas as u64, ..Usage::default() };
        usage.told_input = asked.told_input;
        if family.caches() {
            (usage.cache_read, usage.cache_write) = (asked.cache_read, asked.cache_write);
            (usage.cache_write_1h, usage.unsplit) = (asked.cache_write_1h, asked.unsplit);
        }
        usage.pieces = match family {
            Family::Rerank => asked.results.unwrap_or(PIECES_DEFAULT),
            Family::Canvas | Family::Stability => asked.images.unwrap_or(PIECES_DEFAULT),
            _ => 0,
        };
        let key = Key {
            operation,
            family,
            usage,
            tier: asked.tier,
            frame_bytes: asked.frame_bytes,
            answer_bytes: asked.answer_bytes,
        };
        if asked.echo && !operation.is_stream() {
            return Ok(make(&key, Some(sha256)));
        }
        if let Some(answer) = self.kept.borrow().1.get(&key) {
            return Ok(answer.clone());
        }
        let answer = make(&key, None);
        self.keep(key, &answer);
        Ok(answer)
    }

    fn keep(&self, key: Key, answer: &Answer) {
        let bytes = match &answer.payload {
            Payload::Whole(content) => content.len(),
            Payload::Stream(frames) => frames.iter().map(Bytes::len).sum(),
        };
        let mut kept = self.kept.borrow_mut();
        if kept.0 + bytes > KEPT_BYTES_MAX {
            *kept = (0, HashMap::new());
        }
        if bytes <= KEPT_BYTES_MAX {
            kept.0 += bytes + size_of::<Key>() + size_of::<Answer>();
            kept.1.insert(key, answer.clone());
        }
    }
}

fn make(key: &Key, echo: Option<&str>) -> Answer {
    let deltas = deltas(key);
    let caches = key.family.caches();
    let saying = Saying { deltas: &deltas, usage: key.usage, caches, tier: key.tier };
    let mut fields = HeaderMap::new();
    if let Some(tier) = key.tier
        && !key.operation.is_converse()
    {
        let name = HeaderName::from_static("x-amzn-bedrock-service-tier");
        fields.insert(name, HeaderValue::from_static(tier));
    }
    if key.operation.is_stream() {
        fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/vnd.amazon.eventstream"));
        if key.operation == Operation::InvokeModelWithResponseStream {
            let name = HeaderName::from_static("x-amzn-bedrock-content-type");
            fields.insert(name, HeaderValue::from_static("application/json"));
        }
        let frames = frames::encode(key.operation, key.family, &saying, key.frame_bytes);
        return Answer { status: 200, fields, payload: Payload::Stream(frames.into()) };
    }
    fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if key.operation == Operation::InvokeModel {
        count_fields(&mut fields, key.family, key.usage);
    }
    let content = match (key.answer_bytes, key.operation) {
        (Some(bytes), _) => exactly(bytes, echo),
        (None, Operation::Converse) => with_echo(converse::whole(&saying), echo),
        (None, _) => with_echo(family::whole(key.family, &saying), echo),
    };
    Answer { status: 200, fields, payload: Payload::Whole(content.into()) }
}

/// The text; filled up so that each frame's payload comes near what was asked (padding does the rest).
fn deltas(key: &Key) -> Vec<String> {
    let fill = match (key.frame_bytes, key.operation) {
        (Some(bytes), Operation::InvokeModelWithResponseStream) => {
            (bytes / 4 * 3).saturating_sub(256)
        }
        (Some(bytes), Operation::ConverseStream) => bytes.saturating_sub(96),
        _ => 0,
    };
    let filler = "x".repeat(fill);
    let words = WORDS.iter().cycle().take(usize::try_from(key.usage.output).unwrap_or(usize::MAX));
    words.map(|word| format!("{word}{filler}")).collect()
}

/// Token counts, only on InvokeModel's whole answers (guide §3.1).
fn count_fields(fields: &mut HeaderMap, family: Family, usage: Usage) {
    let mut put = |name, count: u64| {
        fields.insert(HeaderName::from_static(name), HeaderValue::from(count));
    };
    put("x-amzn-bedrock-invocation-latency", INVOCATION_LATENCY_MS);
    if !family.counts_tokens() {
        return;
    }
    put("x-amzn-bedrock-input-token-count", usage.input);
    if family.speaks() {
        put("x-amzn-bedrock-output-token-count", usage.output);
    }
    if family.caches() {
        put("x-amzn-bedrock-cache-read-input-token-count", usage.cache_read);
        put("x-amzn-bedrock-cache-write-input-token-count", usage.cache_write);
    }
}

fn with_echo(mut json: String, echo: Option<&str>) -> String {
    if let Some(sha256) = echo
        && json.pop() == Some('}')
    {
        json.push_str(&format!(r#","sha256":"{sha256}"}}"#));
    }
    json
}

/// JSON of exactly `bytes`: an object with the echo and a pattern, or ones where that has no room.
fn exactly(bytes: usize, echo: Option<&str>) -> String {
    let echo = echo.map(|sha256| format!(r#""sha256":"{sha256}","#)).unwrap_or_default();
    let around = r#"{"pad":""}"#.len();
    let (echo, room) = match (bytes.checked_sub(around + echo.len()), bytes.checked_sub(around)) {
        (Some(room), _) => (echo.as_str(), room),
        (None, Some(room)) => ("", room),
        (None, None) => return "1".repeat(bytes),
    };
    let pattern: String =
        ('0'..='9').chain('a'..='z').chain('A'..='Y').cycle().take(room).collect();
    format!(r#"{{{echo}"pad":"{pattern}"}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_has_exactly_the_bytes_asked_for() {
        for bytes in (0..200).chain([16_383, 16_384, 16_385, 1 << 20]) {
            let content = exactly(bytes, Some(&"f".repeat(64)));
            assert_eq!(content.len(), bytes);
            assert!(bytes == 0 || serde_json::from_str::<serde_json::Value>(&content).is_ok());
            assert_eq!(content.contains("ffff"), bytes >= 86, "{bytes}");
        }
    }

    #[test]
    fn frames_have_exactly_the_payload_asked_for() {
        let answers = Answers::default();
        for operation in [Operation::InvokeModelWithResponseStream, Operation::ConverseStream] {
            for bytes in [1_000, 4_096, 65_537] {
                let asked = Directives::parse(&format!("frames=3; frame_bytes={bytes}")).unwrap();
                let answer =
                    answers.answer(operation, "anthropic.claude-x", (4, ""), &asked).unwrap();
                let Payload::Stream(frames) = answer.payload else { panic!("a stream") };
                for frame in frames.iter() {
                    let headers = u32::from_be_bytes(frame[4..8].try_into().unwrap()) as usize;
                    assert_eq!(frame.len() - 16 - headers, bytes);
                }
            }
        }
    }
}
