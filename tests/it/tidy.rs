//! The house rules that neither rustc nor clippy checks, over every file of `src/`.
//!
//! Layers from the paths a file names, what each layer may touch, lengths, words. The checker is a
//! pure function of (path, text), so it is tested first on small bad samples: a rule that cannot fail
//! is no rule ([`samples`]). It reads Rust by its [`outline`] only. Function length is clippy's
//! (`too_many_lines`).

mod outline;
mod samples;

use outline::{blank, is_word, line_of, words};
use std::fmt::Write as _;
use std::path::Path;

/// Lowest first. A layer uses those strictly before it; those with equal rank never use each other.
const LAYERS: &[(&str, u8)] = &[
    ("units", 0),
    ("secret", 0),
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
/// Test modules in files of their own; they may read recordings from `tests/vectors`.
const TEST_FILES: &[&str] = &["properties.rs", "tests.rs"];
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
        let climbs = prefix == climb;
        for (start, _) in code.match_indices(prefix) {
            if code[..start].ends_with(is_word) {
                continue;
            }
            let mut at = start + prefix.len();
            // An inline module climbs once more.
            while climbs && code[at..].starts_with("super::") {
                at += "super::".len();
            }
            let mut names = Vec::new();
            heads(code, at, &mut names);
            // In an inline module the last `super` may be this file: what is no layer is its own.
            found.extend(names.into_iter().filter(|(_, name)| !climbs || layer_of(name).is_some()));
        }
    }
    found.retain(|(_, name)| !matches!(*name, "" | "self"));
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
        let is_test = path.rsplit('/').next().is_some_and(|file| TEST_FILES.contains(&file));
        for word in OUTSIDE_WORLD.iter().filter(|word| !(is_test && **word == "std::fs")) {
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

/// Whether the comments and attributes directly above the statement that reaches to line `line` (from 1)
/// argue safety.
fn argued(text: &str, line: usize) -> bool {
    let lines: Vec<&str> = text.lines().take(line).collect();
    let above = lines[..line - 1].iter().rev().map(|line| line.trim());
    above
        .skip_while(|line| {
            !line.is_empty() && !line.starts_with('/') && !line.ends_with([';', '{', '}'])
        })
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
