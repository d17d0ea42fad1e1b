//! What must hold for any bytes: segmentation changes nothing, and serde_json finds the same numbers.
//!
//! One body for the fuzz target and for the tests.

use serde_json::Value;

use super::{Path, Paths, Scanner, Step, Take, oracle};
use Step::{Each, Key};

const TTLS: &[&str] = &["5m", "1h"];
/// One path of each kind, with keys short enough that a fuzzer meets them.
const PATHS: Paths = Paths::new(&[
    path(0, &[Key("a")], Take::Number),
    path(1, &[Key("u"), Key("a")], Take::Number),
    path(2, &[Key("u"), Key("c"), Key("b")], Take::Number),
    path(3, &[Key("r"), Each, Key("n")], Take::Number),
    path(4, &[Key("i"), Each], Take::Count),
    path(5, &[Key("i"), Each], Take::Number),
    path(6, &[Key("u"), Key("d"), Each, Key("t")], Take::Word(TTLS)),
    path(7, &[Key("u"), Key("d"), Each, Key("n")], Take::NumberIf { guard: 6, equals: 0 }),
    path(8, &[Key("u"), Key("d"), Each, Key("n")], Take::NumberIf { guard: 6, equals: 1 }),
    path(9, &[Key("s")], Take::Word(TTLS)),
    path(10, &[Each, Key("n")], Take::Number),
    path(11, &[Key("s"), Key("t")], Take::Word(TTLS)),
]);
/// Longer inputs are cut at this many places only, so that a run stays quick.
const CUTS_MAX: usize = 300;
/// A run of bytes this long may be a token that is beyond the scanner.
const TOKEN_BYTES_MAX: usize = crate::limits::JSON_TOKEN_BYTES_MAX;

const fn path(label: u8, steps: &'static [Step], take: Take) -> Path {
    Path { steps, take, label }
}

fn scan<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (bool, Vec<Option<u64>>) {
    let mut scanner = Scanner::new(PATHS);
    pieces.into_iter().for_each(|piece| scanner.feed(piece));
    (scanner.is_whole(), (0..PATHS.list().len()).map(|at| scanner.value(at)).collect())
}

/// Any bytes as a document.
pub fn fuzz_json(data: &[u8]) {
    let whole = scan([data]);
    for cut in (0..=data.len()).step_by(1 + data.len() / CUTS_MAX) {
        let (left, right) = data.split_at(cut);
        assert_eq!(scan([left, right]), whole, "cut at {cut}");
    }
    assert_eq!(scan(data.chunks(1)), whole, "byte by byte");
    let Ok(document) = serde_json::from_slice::<Value>(data) else { return };
    // A document that is a number alone has no end that could be seen.
    let (is_whole, found) = whole;
    assert!(is_whole || document.is_number() || document.is_boolean() || document.is_null());
    let beyond = |byte: &u8| !matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
    if data.split(beyond).any(|run| run.len() > TOKEN_BYTES_MAX) {
        return;
    }
    for (at, (ours, theirs)) in found.iter().zip(oracle::values(PATHS, &document)).enumerate() {
        assert!(is_near(*ours, theirs), "path {at}: {ours:?}, serde_json says {theirs:?}");
    }
}

/// serde_json may miss a float by its last bit.
fn is_near(ours: Option<u64>, theirs: Option<u64>) -> bool {
    match (ours, theirs) {
        (Some(ours), Some(theirs)) => ours.abs_diff(theirs) <= ours >> 50,
        (ours, theirs) => ours == theirs,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, at: usize, expected: Option<u64>) {
        fuzz_json(text.as_bytes());
        assert_eq!(scan([text.as_bytes()]).1[at], expected, "{text}");
    }

    #[test]
    fn numbers_are_found_where_they_are_and_nowhere_else() {
        check(r#"{"a":7}"#, 0, Some(7));
        check(r#" { "x" : {"a":1,"u":{"a":2}} , "a" : 28.0 } "#, 0, Some(28));
        check(r#"{"u":{"a":3,"c":{"b":4}}}"#, 2, Some(4));
        check(r#"{"t":"\"a\":9}{\\","a":1}"#, 0, Some(1));
        check(r#"{"\u0061":5}"#, 0, Some(5));
        check(r#"{"\u00e1":5,"\ud83d\ude00a":6}"#, 0, None);
        check(r#"{"a":null}"#, 0, None);
        check(r#"{"a":"7"}"#, 0, None);
        check(r#"{"a":-1}"#, 0, None);
        check(r#"{"a":[7]}"#, 0, None);
        check(r#"{"a":18446744073709551616}"#, 0, Some(u64::MAX));
        check(r#"[{"a":1}]"#, 0, None);
        check("\"[DONE]\"", 0, None);
    }

    #[test]
    fn of_equal_keys_the_last_wins() {
        check(r#"{"a":1,"a":2}"#, 0, Some(2));
        check(r#"{"a":1,"a":null}"#, 0, None);
        check(r#"{"u":{"a":1},"u":{"c":{}}}"#, 1, None);
        check(r#"{"r":[{"n":1}],"r":[{"n":2}]}"#, 3, Some(2));
        check(r#"{"r":[{"n":1,"n":5},{"n":2}]}"#, 3, Some(7));
        check(r#"{"i":[1,2],"i":3}"#, 4, None);
    }

    #[test]
    fn arrays_are_summed_counted_and_sorted_by_their_words() {
        check(r#"{"r":[{"n":1},{"n":2.0},{"m":9},[{"n":4}]]}"#, 3, Some(3));
        check(r#"{"r":[]}"#, 3, None);
        check(r#"{"i":[]}"#, 4, Some(0));
        check(r#"{"i":["a",{},[1,[2]],null]}"#, 4, Some(4));
        let details = r#"{"u":{"d":[{"n":5,"t":"5m"},{"t":"1h","n":6},{"n":7},{"n":1,"t":"5m"}]}}"#;
        check(details, 7, Some(6));
        check(details, 8, Some(6));
        check(r#"{"s":"1h"}"#, 9, Some(1));
        check(r#"{"s":"\u0031h"}"#, 9, Some(1));
        check(r#"{"s":"2h"}"#, 9, Some(2));
        check(r#"[{"n":1},{"n":2}]"#, 10, Some(3));
    }

    #[test]
    fn broken_structure_gives_nothing() {
        for broken in [
            r#"{"a":1]"#,
            r#"{"a":1}{"#,
            r#"{"a":1,}"#,
            r#"{"a" 1}"#,
            r#"{"a":1 2}"#,
            r#"{"a":1,"\x":2}"#,
        ] {
            check(broken, 0, None);
        }
        assert_eq!(
            scan([&br#"{"a":1,"x""#[..]]),
            (false, vec![Some(1); 1].into_iter().chain([None; 11]).collect())
        );
    }

    #[test]
    fn nesting_costs_no_memory() {
        let deep = [b"{\"x\":".as_slice(), &b"[{\"a\":".repeat(100_000)].concat();
        assert!(!scan([&deep[..]]).0);
        let closed =
            [&b"{\"x\":"[..], &b"[".repeat(100_000), &b"]".repeat(100_000), b",\"a\":3}"].concat();
        assert_eq!(scan([&closed[..]]).1[0], Some(3));
    }

    /// Documents made of the keys that the paths know, so that most of them hit.
    fn documents() -> impl Strategy<Value = String> {
        let keys =
            prop::sample::select(vec!["a", "u", "c", "b", "r", "n", "i", "d", "t", "s", "\\u0061"]);
        let leaf = prop_oneof![
            any::<u64>().prop_map(|n| n.to_string()),
            (0..1000_u32, 0..10_u32).prop_map(|(n, tenth)| format!("{n}.{tenth}")),
            prop::sample::select(vec![
                "null",
                "true",
                "\"5m\"",
                "\"1h\"",
                "\"x\\\"{\"",
                "-3",
                "1e2",
                "[]",
                "{}",
                "\"\\\\\"",
            ])
            .prop_map(str::to_owned),
        ];
        leaf.prop_recursive(5, 60, 6, move |inner| {
            let member = (keys.clone(), inner.clone())
                .prop_map(|(key, value)| format!("\"{key}\": {value}"));
            prop_oneof![
                prop::collection::vec(member, 0..6)
                    .prop_map(|all| format!("{{{}}}", all.join(","))),
                prop::collection::vec(inner, 0..4).prop_map(|all| format!("[{}]", all.join(" ,"))),
            ]
        })
    }

    proptest! {
        // Findings are kept in tests/vectors, not where proptest would put them.
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1000, ..Default::default() })]

        #[test]
        fn serde_finds_the_same(text in documents()) {
            fuzz_json(text.as_bytes());
        }

        #[test]
        fn damaged_documents_read_the_same_at_any_cut(text in documents(), at: prop::sample::Index, byte: u8) {
            let mut text = text.into_bytes();
            let at = at.index(text.len());
            text[at] = byte;
            fuzz_json(&text);
        }
    }
}
