//! A path's own parts → the path that goes upstream.
//!
//! Each segment is percent-decoded once and encoded again, so that what AWS sees, what is signed and what
//! was looked at here are one thing, however the client wrote it. A slash at the end is kept: AWS's
//! session operations have it.

use crate::wire::percent;

/// No path that goes anywhere; the text says why, for who sent it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BadPath(pub &'static str);

/// Appends `path`, which begins with a slash, as it goes upstream.
///
/// # Errors
/// [`BadPath`]: a broken escape, an empty segment, or one that a reader of paths would resolve.
pub fn write_upstream(path: &str, out: &mut Vec<u8>) -> Result<(), BadPath> {
    let mut segments = path.split('/').skip(1).peekable();
    let mut decoded = Vec::new();
    while let Some(segment) = segments.next() {
        out.push(b'/');
        decoded.clear();
        percent::decode(segment.as_bytes(), &mut decoded)
            .map_err(|_| BadPath("The target's percent-encoding is broken."))?;
        match decoded.as_slice() {
            b"" if segments.peek().is_none() => {}
            b"" => return Err(BadPath("The target's path holds an empty segment.")),
            b"." | b".." => return Err(BadPath("The target's path holds a dot segment.")),
            segment => percent::encode_segment(segment, out),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, expected: Result<&str, &str>) {
        let mut out = b"/base".to_vec();
        let written = write_upstream(path, &mut out).map(|()| String::from_utf8(out).unwrap());
        let expected = expected.map(|path| format!("/base{path}"));
        assert_eq!(
            written.map_err(|bad| bad.0),
            expected.map_err(str::to_owned).map_err(|e| {
                let known = ["percent-encoding", "empty", "dot"].into_iter().find(|it| *it == e);
                match known.expect("one of the three") {
                    "percent-encoding" => "The target's percent-encoding is broken.",
                    "empty" => "The target's path holds an empty segment.",
                    _ => "The target's path holds a dot segment.",
                }
            }),
            "{path}"
        );
    }

    #[test]
    fn parts_are_encoded_once_however_they_came() {
        check("/guardrail/a:b/version/1/apply", Ok("/guardrail/a%3Ab/version/1/apply"));
        check("/tags/arn%3aaws%2Fx", Ok("/tags/arn%3Aaws%2Fx"));
        check("/tags/%61", Ok("/tags/a"));
        check("/tags/%2541", Ok("/tags/%2541"));
        check("/tags/%0d%0A%00%FF", Ok("/tags/%0D%0A%00%FF"));
        check("/sessions/", Ok("/sessions/"));
        check("/sessions/a/", Ok("/sessions/a/"));
        check("/", Ok("/"));
        check("/a/...", Ok("/a/..."));
    }

    #[test]
    fn what_a_reader_would_resolve_goes_nowhere() {
        for path in ["/a/../b", "/a/%2e%2E", "/./a", "/a/%2e/"] {
            check(path, Err("dot"));
        }
        for path in ["//a", "/a//b", "//"] {
            check(path, Err("empty"));
        }
        for path in ["/%", "/a/%4", "/a/%zz/b"] {
            check(path, Err("percent-encoding"));
        }
    }
}
