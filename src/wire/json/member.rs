//! One string of a small object that is wholly there: the `bytes` of an event's payload.

use memchr::memchr2;

/// The text between the quotes of the string that member `key` of a flat object holds, escapes and all.
/// Of equal keys the last counts. `None` if there is no such string.
///
/// Flat: members before it may hold strings, numbers, words; where an object or array stands, the search
/// ends. AWS's payload of `chunk` is `{"bytes":"…","p":"…"}`.
#[must_use]
pub fn string_member<'a>(object: &'a [u8], key: &str) -> Option<&'a [u8]> {
    let mut rest = trimmed(object).strip_prefix(b"{")?;
    let mut found = None;
    loop {
        let (name, after) = string(trimmed(rest))?;
        let value = trimmed(trimmed(after).strip_prefix(b":")?);
        let after = match string(value) {
            Some((text, after)) => {
                if name == key.as_bytes() {
                    found = Some(text);
                }
                after
            }
            None if value.starts_with(b"{") || value.starts_with(b"[") => return None,
            None => {
                if name == key.as_bytes() {
                    found = None;
                }
                let end = value.iter().position(|byte| matches!(byte, b',' | b'}'))?;
                &value[end..]
            }
        };
        match trimmed(after).split_first()? {
            (b',', next) => rest = next,
            (b'}', _) => return found,
            _ => return None,
        }
    }
}

fn trimmed(text: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    let start = text.iter().position(|byte| !blank(byte)).unwrap_or(text.len());
    &text[start..]
}

/// The string that `text` begins with, and what follows it.
fn string(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let inner = text.strip_prefix(b"\"")?;
    let mut at = 0;
    loop {
        at += memchr2(b'"', b'\\', inner.get(at..)?)?;
        if inner[at] == b'"' {
            return Some((&inner[..at], &inner[at + 1..]));
        }
        at += 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_gives_its_bytes() {
        let check = |text: &str, expected: Option<&str>| {
            let found = string_member(text.as_bytes(), "bytes");
            assert_eq!(found, expected.map(str::as_bytes), "{text}");
        };
        check(r#"{"bytes":"QQ==","p":"abc"}"#, Some("QQ=="));
        check(r#" { "p" : "a\"bytes\":\"x" , "n":1, "bytes" : "QQ==" } "#, Some("QQ=="));
        check(r#"{"bytes":"a","bytes":"b"}"#, Some("b"));
        check(r#"{"bytes":"a","bytes":null}"#, None);
        check(r#"{"bytes":"\u0041\\"}"#, Some(r"\u0041\\"));
        for broken in [
            "",
            "{",
            "{}",
            "[]",
            "null",
            r#"{"bytes"}"#,
            r#"{"bytes":}"#,
            r#"{"bytes":"a"#,
            r#"{"bytes":"a\"#,
            r#"{"bytes":"a""#,
            r#"{"p":{"bytes":"a"}}"#,
            r#"{"bytes":1"#,
            r#"{"p":"a" "bytes":"b"}"#,
        ] {
            check(broken, None);
        }
    }
}
