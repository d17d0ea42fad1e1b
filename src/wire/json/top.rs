//! One string of a document's outermost object, whatever else is in it: the model that a request names.
//!
//! The document is walked once, not judged: AWS will judge it. But what is found is what AWS finds, or
//! nothing: a name that is there twice is nobody's, since readers differ on which of two counts.

/// The text of the outermost object's string member `key`, unescaped. `None` if there is none, or two, or the
/// document is no JSON object as far as it was looked at, or an escape is more than a character.
#[must_use]
pub fn top_level_string(document: &[u8], key: &str) -> Option<Vec<u8>> {
    let mut walk = Walk { rest: document };
    walk.expect(b'{')?;
    let mut found = None;
    if walk.peek()? == b'}' {
        return None;
    }
    loop {
        let name = unescaped(walk.string()?)?;
        walk.expect(b':')?;
        if name == key.as_bytes() {
            let value = unescaped(walk.string()?)?;
            if found.replace(value).is_some() {
                return None;
            }
        } else {
            walk.skip()?;
        }
        match walk.next()? {
            b',' => {}
            b'}' => return found,
            _ => return None,
        }
    }
}

struct Walk<'d> {
    rest: &'d [u8],
}

impl<'d> Walk<'d> {
    fn peek(&mut self) -> Option<u8> {
        let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        let start = self.rest.iter().position(|byte| !blank(byte))?;
        self.rest = &self.rest[start..];
        Some(self.rest[0])
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.rest = &self.rest[1..];
        Some(byte)
    }

    fn expect(&mut self, wanted: u8) -> Option<()> {
        (self.next()? == wanted).then_some(())
    }

    /// What stands between the quotes of the string that comes next.
    fn string(&mut self) -> Option<&'d [u8]> {
        self.expect(b'"')?;
        let mut at = 0;
        loop {
            at += memchr::memchr2(b'"', b'\\', self.rest.get(at..)?)?;
            if self.rest[at] == b'"' {
                let text = &self.rest[..at];
                self.rest = &self.rest[at + 1..];
                return Some(text);
            }
            at += 2;
        }
    }

    /// Passes one value over: strings are strings, brackets are counted, all else ends where a value may.
    fn skip(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'"' => {
                    self.string()?;
                }
                b'{' | b'[' => {
                    self.next()?;
                    depth += 1;
                    continue;
                }
                b'}' | b']' => {
                    self.next()?;
                    depth = depth.checked_sub(1)?;
                }
                b',' | b':' if depth > 0 => {
                    self.next()?;
                    continue;
                }
                b',' | b':' => return None,
                _ => {
                    let ends = |byte: &u8| b",:{}[]\" \t\r\n".contains(byte);
                    let end = self.rest.iter().position(ends)?;
                    self.rest = &self.rest[end..];
                }
            }
            if depth == 0 {
                return Some(());
            }
        }
    }
}

/// With the escapes of JSON (RFC 8259 §7) that stand for one ASCII character.
fn unescaped(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        let (escape, tail) = rest.split_first()?;
        rest = tail;
        out.push(match escape {
            b'"' | b'\\' | b'/' => *escape,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let (digits, tail) = rest.split_at_checked(4)?;
                rest = tail;
                let code = u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
                if !code.is_ascii() || digits.contains(&b'+') {
                    return None;
                }
                code
            }
            _ => return None,
        });
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(document: &str, expected: Option<&str>) {
        let found = top_level_string(document.as_bytes(), "model");
        assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{document}");
    }

    #[test]
    fn the_outermost_member_counts_wherever_it_stands() {
        check(r#"{"model":"a"}"#, Some("a"));
        check(
            r#" { "x" : [ {"model":"no"} , "model" , "}" ] , "model" : "a" , "y" : null } "#,
            Some("a"),
        );
        check(
            r#"{"model":"a","messages":[{"content":"\"model\":\"b\""}],"n":-1.5e3,"b":true}"#,
            Some("a"),
        );
        check(r#"{"o":{"model":"no","p":{"q":[[]]}},"model":"arn:aws:x\/y"}"#, Some("arn:aws:x/y"));
        check(r#"{"\u006dodel":"\u0061"}"#, Some("a"));
    }

    #[test]
    fn what_readers_would_differ_about_is_nothing() {
        for document in [
            "",
            "{",
            "{}",
            "[]",
            "null",
            "\"model\"",
            r#"{"Model":"a"}"#,
            r#"{"model":1}"#,
            r#"{"model":null}"#,
            r#"{"model":{"model":"a"}}"#,
            r#"{"model":["a"]}"#,
            r#"{"model":"a","model":"b"}"#,
            r#"{"model":"a","\u006dodel":"a"}"#,
            r#"{"model":"a""#,
            r#"{"model":"a","#,
            r#"{"model":"a" "x":1}"#,
            r#"{"model":"\u00e9"}"#,
            r#"{"model":"\u+061"}"#,
            r#"{"model":"\x"}"#,
            r#"{"x":,"model":"a"}"#,
            r#"{"x"}"#,
            r#"{model:"a"}"#,
        ] {
            check(document, None);
        }
    }

    #[test]
    fn serde_finds_the_same_in_any_prefix_that_it_takes() {
        let document = r#"{"messages":[{"role":"user","content":"hi \"model\""}],"model":"m.a-1:0","t":{"a":[1,{}]}}"#;
        let value: serde_json::Value = serde_json::from_str(document).unwrap();
        check(document, value["model"].as_str());
        for end in 0..document.len() {
            check(&document[..end], None);
        }
    }
}
