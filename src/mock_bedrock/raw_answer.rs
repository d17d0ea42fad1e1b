//! Answers that an honest HTTP server would not write: rendered here, byte by byte.

use super::amz_date;
use super::answer::{Answer, Payload};
use super::directive::{Directives, Framing, Place};
use super::socket::Ending;
use bytes::Bytes;
use http::StatusCode;
use std::time::{SystemTime, UNIX_EPOCH};

/// An interim answer (RFC 9110 §15.2).
pub fn interim(status: u16) -> Bytes {
    let bytes: &[u8] = match status {
        103 => b"HTTP/1.1 103 Early Hints\r\nLink: </stand-in>; rel=preconnect\r\n\r\n",
        _ => b"HTTP/1.1 100 Continue\r\n\r\n",
    };
    Bytes::from_static(bytes)
}

/// The bytes of an answer that hyper would not send, and what follows them; `None` if hyper would.
pub fn render(
    answer: &Answer,
    asked: &Directives,
    now: SystemTime,
) -> Option<(Bytes, Option<Ending>)> {
    let cut = asked.cut.filter(|(place, _)| matches!(place, Place::InHead | Place::InContent));
    let content = match &answer.payload {
        Payload::Whole(content) => content.clone(),
        Payload::Stream(_) if matches!(cut, Some((Place::InHead, _))) => Bytes::new(),
        Payload::Stream(_) => return None,
    };
    let lies = asked.surplus > 0 || asked.short_content > 0;
    if cut.is_none() && !lies && asked.framing != Framing::Close {
        return None;
    }
    let mut bytes = head(answer, now);
    match asked.framing {
        Framing::Close => bytes.extend_from_slice(b"Connection: close\r\n\r\n"),
        Framing::Length | Framing::Chunked => {
            let told = content.len() + asked.short_content;
            bytes.extend_from_slice(format!("Content-Length: {told}\r\n\r\n").as_bytes());
        }
    }
    if let Some((Place::InHead, ending)) = cut {
        bytes.truncate(bytes.len() / 2);
        return Some((bytes.into(), Some(ending)));
    }
    if let Some((_, ending)) = cut {
        bytes.extend_from_slice(&content[..content.len() / 2]);
        return Some((bytes.into(), Some(ending)));
    }
    bytes.extend_from_slice(&content);
    bytes.extend(std::iter::repeat_n(b'!', asked.surplus));
    let ends = asked.framing == Framing::Close || asked.short_content > 0;
    Some((bytes.into(), ends.then_some(Ending::Close)))
}

/// Status line, Date and the answer's fields, each line ended; no empty line yet.
fn head(answer: &Answer, now: SystemTime) -> Vec<u8> {
    let reason =
        StatusCode::from_u16(answer.status).ok().and_then(|status| status.canonical_reason());
    let unix_s = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let date = amz_date::imf_fixdate(unix_s);
    let mut head =
        format!("HTTP/1.1 {} {}\r\nDate: {date}\r\n", answer.status, reason.unwrap_or_default())
            .into_bytes();
    for (name, value) in &answer.fields {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head
}
