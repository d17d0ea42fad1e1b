//! Rust source by its outline: comments and literals blanked, then names found as whole words.
//!
//! Enough to see who names what; no parser. Offsets and lines of the source stay those of the outline.

/// Whether `c` may stand in a name.
pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Offsets at which `word` stands as a whole in `text`.
pub fn words(text: &str, word: &str) -> Vec<usize> {
    let opens_open = word.starts_with(is_word);
    text.match_indices(word)
        .map(|(at, _)| at)
        .filter(|at| !(opens_open && text[..*at].ends_with(is_word)))
        .filter(|at| !text[at + word.len()..].starts_with(is_word))
        .collect()
}

/// The line of offset `at`, from 1.
pub fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// `text` with comments and the insides of literals as spaces; offsets and lines stay.
pub fn blank(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let opaque = opaque_bytes(rest, code.ends_with(is_word));
        let taken = if opaque > 0 { opaque } else { rest.chars().next().map_or(1, char::len_utf8) };
        for c in rest[..taken].chars() {
            match c {
                '\n' => code.push('\n'),
                _ if opaque > 0 => code.extend(std::iter::repeat_n(' ', c.len_utf8())),
                c => code.push(c),
            }
        }
        rest = &rest[taken..];
    }
    code
}

/// How many bytes of a comment or literal `rest` begins with; 0 if neither.
fn opaque_bytes(rest: &str, after_word: bool) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment_bytes(rest);
    }
    let raw = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'));
    if let Some(raw) = raw.filter(|_| !after_word) {
        let hashes = raw.bytes().take_while(|byte| *byte == b'#').count();
        if raw[hashes..].starts_with('"') {
            let close = format!("\"{}", "#".repeat(hashes));
            let open = rest.len() - raw.len() + hashes + 1;
            return rest[open..].find(&close).map_or(rest.len(), |n| open + n + close.len());
        }
    }
    match rest.as_bytes()[0] {
        b'"' => quoted_bytes(rest),
        // A character literal, not a lifetime: 'x' or '\…'.
        b'\'' if rest[1..].starts_with('\\') => quoted_bytes(rest),
        b'\'' => {
            let mut inside = rest[1..].chars();
            let width = inside.next().map_or(0, char::len_utf8);
            if inside.next() == Some('\'') { width + 2 } else { 0 }
        }
        _ => 0,
    }
}

fn block_comment_bytes(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        let step = if here.starts_with(b"/*") {
            depth += 1;
            2
        } else if here.starts_with(b"*/") {
            depth -= 1;
            2
        } else {
            1
        };
        at += step;
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// From an opening quote to its like, escapes skipped.
fn quoted_bytes(rest: &str) -> usize {
    let quote = rest.as_bytes()[0];
    let mut escaped = false;
    for (at, byte) in rest.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            byte if byte == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

mod tests {
    use super::*;

    #[test]
    fn blanking_keeps_offsets_and_lines() {
        let text = "a /* é\n */ \"b\\\"c\" 'd' '\\n' &'e r#\"f\"g\"# // h\ni";
        let code = blank(text);
        assert_eq!(code.len(), text.len());
        assert_eq!(code.matches('\n').count(), text.matches('\n').count());
        let left: String = code.split_whitespace().collect();
        assert_eq!(left, "a&'ei");
    }
}
