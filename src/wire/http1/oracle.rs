//! Naive readers that the real ones are held against: they search, split and copy, with the whole
//! input at hand. They share only character classes and limits with the code they judge.

use std::ops::Range;

use super::head::Version;
use super::strict::{is_host, is_text, is_token};
use crate::limits::{
    CHUNK_EXTENSION_BYTES_MAX, FIELDS_MAX, HEAD_BYTES_MAX, TARGET_BYTES_MAX, TRAILER_BYTES_MAX,
};

/// Names as sent, and values without the whitespace around them.
type CopiedFields = Vec<(String, Vec<u8>)>;

/// A head with its slices copied: method and target, or status and reason.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Head {
    pub(super) start_line: (String, String),
    pub(super) version: Version,
    pub(super) fields: CopiedFields,
    pub(super) length: usize,
}

/// A whole and acceptable request head at the start of `data`.
pub(super) fn request(data: &[u8]) -> Option<Head> {
    let skipped = if data.starts_with(b"\r\n") { 2 } else { 0 };
    let (line, fields, length) = head(&data[skipped..])?;
    let [method, target, version] = line.split(' ').collect::<Vec<_>>().try_into().ok()?;
    let version = version_of(version)?;
    let is_method = !method.is_empty() && method.chars().all(|c| c.is_ascii() && is_token(c as u8));
    let is_target = (1..=TARGET_BYTES_MAX).contains(&target.len())
        && target.chars().all(|c| c.is_ascii_graphic());
    let hosts: Vec<_> = fields.iter().filter(|it| it.0.eq_ignore_ascii_case("host")).collect();
    let is_addressed = match hosts[..] {
        [] => version == Version::Http10,
        [(_, host)] => is_host(host),
        _ => false,
    };
    let length = skipped + length;
    let is_fit = is_method && is_target && is_addressed && length <= HEAD_BYTES_MAX;
    let start_line = (method.to_owned(), target.to_owned());
    is_fit.then_some(Head { start_line, version, fields, length })
}

/// A whole and acceptable answer head at the start of `data`.
pub(super) fn answer(data: &[u8]) -> Option<Head> {
    let (line, fields, length) = head(data)?;
    let (version, rest) = line.split_once(' ')?;
    let version = version_of(version)?;
    let (status, reason) = rest.split_once(' ').unwrap_or((rest, ""));
    let is_status = status.len() == 3 && status.chars().all(|c| c.is_ascii_digit());
    let is_known = is_status && (100..=599).contains(&status.parse::<u16>().ok()?);
    let is_reason = reason.chars().all(|c| !c.is_ascii() || is_text(c as u8));
    let reason = if reason.is_ascii() { reason } else { "" };
    let start_line = (status.to_owned(), reason.to_owned());
    let is_fit = is_known && is_reason && length <= HEAD_BYTES_MAX;
    is_fit.then_some(Head { start_line, version, fields, length })
}

/// Start line, as Latin-1, fields, and length of a head.
fn head(data: &[u8]) -> Option<(String, CopiedFields, usize)> {
    let end = data.windows(4).position(|four| four == b"\r\n\r\n")?;
    let text: String = data[..end].iter().map(|byte| char::from(*byte)).collect();
    let mut lines = text.split("\r\n");
    let start_line = lines.next()?.to_owned();
    let mut fields = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(':')?;
        let value: Vec<u8> = value.chars().map(|c| u8::try_from(c).expect("Latin-1")).collect();
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii() && is_token(c as u8));
        if !is_name || !value.iter().all(|byte| is_text(*byte)) {
            return None;
        }
        fields.push((name.to_owned(), value.trim_ascii().to_vec()));
    }
    (fields.len() <= FIELDS_MAX).then_some((start_line, fields, end + 4))
}

fn version_of(text: &str) -> Option<Version> {
    match text {
        "HTTP/1.0" => Some(Version::Http10),
        "HTTP/1.1" => Some(Version::Http11),
        _ => None,
    }
}

/// Content and length of whole and acceptable chunked content at the start of `wire`.
pub(super) fn chunked(wire: &[u8]) -> Option<(Vec<u8>, usize)> {
    let line = |at: usize| -> Option<Range<usize>> {
        let length = wire.get(at..)?.windows(2).position(|two| two == b"\r\n")?;
        Some(at..at + length)
    };
    let (mut content, mut at, mut extensions, mut trailers) = (Vec::new(), 0, 0, 0);
    loop {
        let head = &wire[line(at)?];
        at += head.len() + 2;
        let digits = head.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let (digits, extension) = head.split_at(digits);
        let is_extension = matches!(extension, [] | [b';', ..]);
        if !is_extension || !extension.iter().all(|byte| is_text(*byte)) || digits.len() > 16 {
            return None;
        }
        extensions += extension.len();
        let size = u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        if size == 0 {
            break;
        }
        let end = at.checked_add(usize::try_from(size).ok()?)?;
        content.extend_from_slice(wire.get(at..end)?);
        wire[end..].starts_with(b"\r\n").then_some(())?;
        at = end + 2;
    }
    loop {
        let field = &wire[line(at)?];
        at += field.len() + 2;
        if field.is_empty() {
            break;
        }
        trailers += field.len() + 2;
        let (name, value) = field.split_at(field.iter().position(|byte| *byte == b':')?);
        let is_name = !name.is_empty() && name.iter().all(|byte| is_token(*byte));
        if !is_name || !value.iter().all(|byte| is_text(*byte)) {
            return None;
        }
    }
    let is_bounded = extensions <= CHUNK_EXTENSION_BYTES_MAX && trailers <= TRAILER_BYTES_MAX;
    is_bounded.then_some((content, at))
}
