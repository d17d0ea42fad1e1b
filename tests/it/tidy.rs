//! The house rules that neither rustc nor clippy checks, over every file of `src/`.
//!
//! Layers from the paths a file names, what each layer may touch, lengths, words. The checker is a
//! pure function of (path, text), so it is tested first on small bad samples: a rule that cannot fail
//! is no rule. It reads Rust by its tokens' outlines only: comments and literals are blanked
//! ([`blank`]), then names are matched as whole words. Function length is clippy's (`too_many_lines`).

use std::fmt::Write as _;
use std::path::Path;

/// Lowest first. A layer uses those strictly before it; those with equal rank never use each other.
const LAYERS: &[(&str, u8)] = &[
    ("units", 0),
    ("limits", 1),
    ("buffer", 2),
    ("wire", 3),
    ("bedrock", 4),
    ("policy", 5),
    ("boundary", 6),
    ("net", NET),
    ("data_plane", PLANES),
    ("control_plane", PLANES),
    ("mock_bedrock", PLANES),
    ("demo", TOP),
    ("main", TOP),
    ("lib", TOP),
];
/// I/O starts here.
const NET: u8 = 7;
const PLANES: u8 = 8;
/// May name everything.
const TOP: u8 = 9;

/// Hard; 400 is the aim.
const LINES_MAX: usize = 500;
/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] =
    &["util", "utils", "common", "helper", "helpers", "manager", "managers", "types", "misc"];
/// What a decision or a protocol core must get as an argument instead (style, rule 2).
const OUTSIDE_WORLD: &[&str] = &[
    "std::env",
    "std::fs",
    "std::process",
    "std::thread",
    "getrandom",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "Mutex",
    "RwLock",
    "async",
];
const CLOCKS: &[&str] = &["Instant::now", "SystemTime::now", ".elapsed"];

#[test]
fn src_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &root, &mut files);
    assert!(files.len() > 15, "the tree was not found: {} files", files.len());
    let mut findings: Vec<String> =
        files.iter().flat_map(|(path, text)| check(path, text)).collect();
    findings.extend(check_stand_in_clock(&files));
    let list = findings.iter().fold(String::new(), |mut list, finding| {
        let _ = writeln!(list, "  {finding}");
        list
    });
    assert!(findings.is_empty(), "{} findings:\n{list}", findings.len());
}

/// Every `.rs` below `folder`, with its path from `root` in forward slashes.
fn collect(root: &Path, folder: &Path, files: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            collect(root, &path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let relative = path.strip_prefix(root).expect("below the root");
            let text = std::fs::read_to_string(&path).expect("UTF-8");
            files.push((relative.to_string_lossy().replace('\\', "/"), text));
        }
    }
    files.sort();
}

/// Each way in which the file `path` (from `src/`) breaks a rule, as `src/path:line: what`.
fn check(path: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let code = blank(text);
    let mut find = |line: usize, what: String| findings.push(format!("src/{path}:{line}: {what}"));

    if !text.starts_with("//!") {
        find(1, "does not open with //!: what, why, invariants, source".into());
    }
    let lines = text.lines().count();
    if lines > LINES_MAX {
        find(lines, format!("{lines} lines; {LINES_MAX} is the most"));
    }
    for word in path.trim_end_matches(".rs").split(['/', '_']) {
        if EMPTY_NAMES.contains(&word) {
            find(1, format!("the name {word} says nothing"));
        }
    }
    for marker in ["TODO", "FIXME"] {
        for at in words(text, marker) {
            find(line_of(text, at), format!("{marker}: do it, or state the limit as a fact"));
        }
    }
    let Some((layer, rank)) = layer_of(path) else {
        find(1, "is in no layer of tests/it/tidy.rs".into());
        return findings;
    };
    for (at, name) in uses(path, &code) {
        if let Some(what) = judge_use(path, layer, rank, name) {
            find(line_of(&code, at), what);
        }
    }
    for (at, what) in touches(path, layer, rank, text, &code) {
        find(line_of(&code, at), what);
    }
    findings
}

/// The layer of a file, by its first folder or its own name.
fn layer_of(path: &str) -> Option<(&'static str, u8)> {
    let first = path.split('/').next().unwrap_or(path).trim_end_matches(".rs");
    LAYERS.iter().copied().find(|(name, _)| *name == first)
}

/// Why a file of `layer` may not name `crate::name`; `None` if it may.
fn judge_use(path: &str, layer: &str, rank: u8, name: &str) -> Option<String> {
    if rank == TOP || name == layer {
        return None;
    }
    let Some((_, other)) = LAYERS.iter().find(|(known, rank)| known == &name && *rank < TOP) else {
        return Some(format!("crate::{name} is no layer"));
    };
    // The one exception: the supervisor starts the cores. It hands them a snapshot and a flag.
    let supervisor = path.starts_with("control_plane/supervisor");
    if *other < rank || (supervisor && name == "data_plane") {
        return None;
    }
    Some(format!("{layer} uses {name}, which is not below it"))
}

/// Where `code` names a child of the crate's root: through `crate::`, `outcrop::`, or `super::` as often
/// as the file is deep. Groups (`crate::{a, b::c}`) give each of their heads.
fn uses<'a>(path: &str, code: &'a str) -> Vec<(usize, &'a str)> {
    let folders = path.trim_end_matches(".rs").trim_end_matches("/mod").split('/').count();
    let climb = "super::".repeat(folders);
    let mut found = Vec::new();
    for prefix in ["crate::", "outcrop::", climb.as_str()] {
        for (start, _) in code.match_indices(prefix) {
            if code[..start].ends_with(|c: char| is_word(c)) {
                continue;
            }
            // An inline module climbs once more.
            let mut at = start + prefix.len();
            while prefix == climb && code[at..].starts_with("super::") {
                at += "super::".len();
            }
            heads(code, at, &mut found);
        }
    }
    found.retain(|(_, name)| !matches!(*name, "" | "super" | "self"));
    // A `super::` path that ends in anything but a layer is about this file, not the root.
    found.retain(|(at, name)| !code[..*at].ends_with("super::") || layer_of(name).is_some());
    found
}

/// The first names of the use tree at `at`: one, or those of a `{…}` group.
fn heads<'a>(code: &'a str, at: usize, found: &mut Vec<(usize, &'a str)>) {
    let at = at + (code[at..].len() - code[at..].trim_start().len());
    if !code[at..].starts_with('{') {
        let end = code[at..].find(|c: char| !is_word(c)).map_or(code.len(), |n| at + n);
        found.push((at, &code[at..end]));
        return;
    }
    let (mut depth, mut fresh) = (0_usize, false);
    for (offset, c) in code[at..].char_indices() {
        match c {
            '{' => {
                depth += 1;
                fresh = depth == 1;
            }
            '}' if depth == 1 => return,
            '}' => depth -= 1,
            ',' if depth == 1 => fresh = true,
            c if fresh && is_word(c) => {
                heads(code, at + offset, found);
                fresh = false;
            }
            _ => {}
        }
    }
}

/// What the file touches that its layer must not.
fn touches(path: &str, layer: &str, rank: u8, text: &str, code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut forbid = |word: &str, why: &str| {
        found.extend(words(code, word).into_iter().map(|at| (at, format!("{word}: {why}"))));
    };
    if rank < NET {
        forbid(".await", "I/O starts at net");
        forbid("async fn", "I/O starts at net");
    }
    if rank < NET && layer != "boundary" {
        for word in OUTSIDE_WORLD {
            forbid(word, "below net the outside world is an argument");
        }
    }
    if layer != "net" {
        forbid("monoio", "only net names it, so that a core's runtime can be changed");
    }
    if path != "net/clock.rs" && layer != "mock_bedrock" {
        for clock in CLOCKS {
            forbid(clock, "only net/clock.rs reads a clock");
        }
    }
    if layer != "net" && layer != "boundary" {
        forbid("unsafe", "only net and boundary may, with an argument");
    }
    for at in words(code, "unsafe") {
        if !argued(text, line_of(code, at)) {
            found.push((at, "unsafe without a // SAFETY: argument above it".into()));
        }
    }
    found
}

/// Whether the comments and attributes directly above line `line` (from 1) argue safety.
fn argued(text: &str, line: usize) -> bool {
    let lines: Vec<&str> = text.lines().take(line).collect();
    let above = lines[..line - 1].iter().rev().map(|line| line.trim_start());
    above
        .take_while(|line| line.starts_with("//") || line.starts_with("#["))
        .any(|line| line.starts_with("// SAFETY:") || line.starts_with("/// # Safety"))
}

/// The stand-in plays AWS, which has a clock of its own: one file of it may read one.
fn check_stand_in_clock(files: &[(String, String)]) -> Option<String> {
    let readers: Vec<&str> = files
        .iter()
        .filter(|(path, _)| path.starts_with("mock_bedrock/"))
        .filter(|(_, text)| CLOCKS.iter().any(|clock| !words(&blank(text), clock).is_empty()))
        .map(|(path, _)| path.as_str())
        .collect();
    (readers.len() > 1).then(|| format!("one file of mock_bedrock may read a clock: {readers:?}"))
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Offsets at which `word` stands as a whole in `text`.
fn words(text: &str, word: &str) -> Vec<usize> {
    let opens_open = word.starts_with(is_word);
    text.match_indices(word)
        .map(|(at, _)| at)
        .filter(|at| !(opens_open && text[..*at].ends_with(is_word)))
        .filter(|at| !text[at + word.len()..].starts_with(is_word))
        .collect()
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// `text` with comments and the insides of literals as spaces; offsets and lines stay.
fn blank(text: &str) -> String {
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

#[cfg(test)]
mod samples {
    use super::*;

    /// (path, text after the opening line, what the finding must say).
    const BAD: &[(&str, &str, &str)] = &[
        ("wire/a.rs", "use crate::bedrock::model;", "wire uses bedrock"),
        ("wire/a.rs", "use crate::{limits, policy::auth};", "wire uses policy"),
        (
            "wire/a.rs",
            "use crate::{\n    limits::{A, B},\n    net,\n};",
            "src/wire/a.rs:4: wire uses net",
        ),
        ("wire/http1/a.rs", "use super::super::super::bedrock::x;", "wire uses bedrock"),
        ("wire/mod.rs", "use super::{units, boundary};", "wire uses boundary"),
        ("wire/a.rs", "mod tests { use super::super::super::net; }", "wire uses net"),
        ("units.rs", "fn a() { crate::limits::b() }", "units uses limits"),
        ("data_plane/a.rs", "use crate::control_plane::config;", "data_plane uses control_plane"),
        ("data_plane/supervisor.rs", "use crate::control_plane;", "data_plane uses control_plane"),
        ("control_plane/a.rs", "use crate::data_plane::worker;", "control_plane uses data_plane"),
        ("control_plane/supervisor.rs", "use crate::mock_bedrock;", "uses mock_bedrock"),
        ("mock_bedrock/a.rs", "use crate::control_plane;", "mock_bedrock uses control_plane"),
        ("net/a.rs", "use crate::data_plane;", "net uses data_plane"),
        ("net/a.rs", "use crate::unheard_of;", "is no layer"),
        ("net/a.rs", "use crate::main;", "is no layer"),
        ("other.rs", "", "is in no layer"),
        ("wire/a.rs", "fn a() { b().await }", ".await"),
        ("policy/a.rs", "async fn a() {}", "async"),
        ("boundary/a.rs", "pub async fn a() {}", "async fn"),
        ("policy/a.rs", "fn a() { std::env::var(b) }", "std::env"),
        ("wire/a.rs", "fn a(lock: &Mutex<u8>) {}", "Mutex"),
        ("bedrock/a.rs", "fn a() { getrandom::fill(b) }", "getrandom"),
        ("data_plane/a.rs", "use monoio::net::TcpStream;", "monoio"),
        ("policy/a.rs", "fn a() { std::time::Instant::now() }", "reads a clock"),
        ("net/tcp.rs", "fn a() { SystemTime::now() }", "reads a clock"),
        ("data_plane/a.rs", "fn a(b: Instant) { b.elapsed() }", "reads a clock"),
        ("data_plane/a.rs", "// SAFETY: none.\nunsafe { a() }", "only net and boundary"),
        ("net/a.rs", "fn a() { unsafe { b() } }", "without a // SAFETY:"),
        ("net/a.rs", "// SAFETY: for c.\nc();\nunsafe { b() }", "without a // SAFETY:"),
        ("wire/util.rs", "", "says nothing"),
        ("wire/http_helper.rs", "", "says nothing"),
        ("net/common/mod.rs", "", "says nothing"),
        ("net/a.rs", "// TODO later", "TODO"),
        ("net/a.rs", "/* FIXME: x */", "FIXME"),
    ];

    /// Looks like a breach, is none.
    const GOOD: &[(&str, &str)] = &[
        ("wire/a.rs", "use crate::{buffer, limits::{A, B}, units, wire::http1};"),
        ("wire/http1/a.rs", "use super::super::sigv4; use super::head; use crate::wire;"),
        ("wire/http1/a.rs", "mod tests { use super::super::super::sigv4; use super::*; }"),
        ("units.rs", "mod tests { use super::*; use super::RequestId; }"),
        ("control_plane/supervisor.rs", "use crate::data_plane::worker;"),
        ("main.rs", "use outcrop::{control_plane, mock_bedrock};"),
        ("wire/a.rs", "/// Never `.await` here; `Instant::now` neither.\nfn a() {}"),
        ("wire/a.rs", "const A: &str = \".await \\\" unsafe crate::net\";"),
        ("wire/a.rs", "const A: &[u8] = br#\"monoio \" std::env\"#;"),
        ("wire/a.rs", "fn a<'a>(b: &'a str) -> char { let _ = '\"'; '\\'' } // .await"),
        ("wire/a.rs", "/* crate::net /* nested */ .await */ fn a() {}"),
        ("wire/a.rs", "pub(crate) fn unsafe_looking(mutexes: u8) {}"),
        ("net/clock.rs", "fn a() { Instant::now() }"),
        ("net/a.rs", "async fn a() { monoio::b().await }"),
        ("net/a.rs", "// SAFETY: b has no conditions.\n#[expect(unsafe_code)]\nunsafe { b() }"),
        ("mock_bedrock/a.rs", "fn a() { SystemTime::now() }"),
        ("wire/typescript.rs", "fn a() { let manager = 1; }"),
    ];

    fn opened(text: &str) -> String {
        format!("//! A sample.\n{text}\n")
    }

    #[test]
    fn each_rule_can_fail() {
        for (path, text, said) in BAD {
            let findings = check(path, &opened(text));
            assert!(findings.iter().any(|f| f.contains(said)), "{path} {text:?}: {findings:?}");
        }
        assert!(check("wire/a.rs", "fn a() {}\n")[0].contains("//!"), "opening line");
        let long = opened(&"//\n".repeat(LINES_MAX));
        assert!(check("wire/a.rs", &long)[0].contains("is the most"), "length");
    }

    #[test]
    fn no_rule_fails_on_what_is_allowed() {
        for (path, text) in GOOD {
            let findings = check(path, &opened(text));
            assert!(findings.is_empty(), "{path} {text:?}: {findings:?}");
        }
        let just = opened(&"//\n".repeat(LINES_MAX - 2));
        assert_eq!(check("wire/a.rs", &just), [""; 0]);
    }

    #[test]
    fn one_file_of_the_stand_in_reads_a_clock() {
        let file = |path: &str| (path.to_owned(), opened("fn a() { SystemTime::now() }"));
        assert!(check_stand_in_clock(&[file("mock_bedrock/a.rs")]).is_none());
        let two = [file("mock_bedrock/a.rs"), file("mock_bedrock/b.rs")];
        assert!(check_stand_in_clock(&two).is_some());
    }

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
