//! Small breaches of every rule, and what looks like one but is none.

use super::{LINES_MAX, check, check_stand_in_clock};

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
    ("wire/a.rs", "mod tests { fn a() { std::fs::read(b) } }", "std::fs"),
    ("wire/tests.rs", "fn a() { std::env::var(b) }", "std::env"),
    ("secret.rs", "use crate::units;", "secret uses units"),
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
    ("net/a.rs", "// SAFETY: a.\nfn a() {\nlet c =\nunsafe { b() };", "without a // SAFETY:"),
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
    (
        "wire/http1/a.rs",
        "mod tests { use super::super::super::sigv4; use super::{LINES_MAX, check, check_stand_in_clock}; }",
    ),
    (
        "units.rs",
        "mod tests { use super::*; use super::RequestId; use super::{UnixSeconds, a::b}; }",
    ),
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
    ("net/a.rs", "// SAFETY: b has none.\nlet c: u8 =\n(0..1).map(|_| unsafe { b() });"),
    ("wire/http1/properties.rs", "fn a() { std::fs::read(b) }"),
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
