//! Event-stream frames, by AWS's own encoder (guide §2), and frames spoilt on request.

use super::directive::{Directives, Moment};
use super::family::{Family, Saying, converse, events};
use super::target::Operation;
use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use base64::Engine;
use bytes::Bytes;

/// Bedrock's padding: a prefix of this, of varying length.
const PADDING: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// The frames of a whole stream. `payload_bytes`: pad each payload to exactly this, if it is not longer.
pub fn encode(
    operation: Operation,
    family: Family,
    saying: &Saying<'_>,
    payload_bytes: Option<usize>,
) -> Vec<Bytes> {
    let encode = |(ordinal, (name, head, tail)): (usize, (&'static str, String, String))| {
        let around = head.len() + tail.len() + r#""p":"""#.len();
        let wanted =
            payload_bytes.map_or(padding_bytes(ordinal), |wanted| wanted.saturating_sub(around));
        let padding: String = PADDING.chars().cycle().take(wanted).collect();
        event(name, format!(r#"{head}"p":"{padding}"{tail}"#))
    };
    let parts = match operation {
        Operation::ConverseStream => converse::events(saying),
        _ => events(family, saying).iter().map(|event| chunk(event)).collect(),
    };
    parts.into_iter().enumerate().map(encode).collect()
}

/// Length of the padding of a frame: varies as Bedrock's does, but is the same each time.
fn padding_bytes(ordinal: usize) -> usize {
    (ordinal * 23 + 11) % (PADDING.len() + 1)
}

fn chunk(event: &str) -> (&'static str, String, String) {
    let encoded = base64::engine::general_purpose::STANDARD.encode(event);
    ("chunk", format!(r#"{{"bytes":"{encoded}","#), "}".to_owned())
}

/// One event frame; headers in Bedrock's order.
pub fn event(name: &str, payload: impl Into<Bytes>) -> Bytes {
    let headers =
        [(":event-type", name), (":content-type", "application/json"), (":message-type", "event")];
    frame(headers, payload)
}

/// One exception frame.
pub fn exception(name: &str, payload: impl Into<Bytes>) -> Bytes {
    let headers = [
        (":exception-type", name),
        (":content-type", "application/json"),
        (":message-type", "exception"),
    ];
    frame(headers, payload)
}

fn frame(headers: [(&'static str, &str); 3], payload: impl Into<Bytes>) -> Bytes {
    let message = headers.into_iter().fold(Message::new(payload), |message, (name, value)| {
        message.add_header(Header::new(name, HeaderValue::String(value.to_owned().into())))
    });
    let mut encoded = Vec::new();
    write_message_to(&message, &mut encoded).expect("our frames are far below the format's bounds");
    encoded.into()
}

/// Spoils a stream's frames as asked: exceptions end it, checksums lie.
pub fn spoil(frames: &mut Vec<Bytes>, asked: &Directives) {
    if let Some((moment, name)) = &asked.exception {
        frames.truncate(if *moment == Moment::First { 0 } else { frames.len() / 2 });
        let payload =
            serde_json::json!({ "message": format!("The stand-in was asked for {name}.") });
        frames.push(exception(name, payload.to_string()));
    }
    let mut flip = |ordinal: Option<usize>, offset: fn(usize) -> usize| {
        let Some(frame) = ordinal.and_then(|ordinal| frames.get_mut(ordinal.checked_sub(1)?))
        else {
            return;
        };
        let mut bytes = frame.to_vec();
        let offset = offset(bytes.len());
        bytes[offset] ^= 0xff;
        *frame = bytes.into();
    };
    flip(asked.bad_crc, |length| length - 1);
    flip(asked.bad_prelude, |_| 11);
}

#[cfg(test)]
#[path = "frames_tests.rs"]
mod tests;
