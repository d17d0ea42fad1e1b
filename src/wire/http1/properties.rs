//! What must hold for any bytes: segmentation changes nothing, and a naive reader agrees.
//!
//! One body for the fuzz targets and for the tests over `tests/vectors`.

use super::content::{ContentError, ContentReader};
use super::framing::{self, Framing};
use super::head::{self, FieldStorage, Fields, HeadError, Version};
use super::{oracle, strict};

/// Longer inputs are cut at this many places only, so that a run stays quick.
const CUTS_MAX: usize = 600;

type Verdict = Result<Option<(oracle::Head, Option<Framing>)>, HeadError>;

fn verdict_on_request(input: &[u8]) -> Verdict {
    let mut storage = FieldStorage::new();
    let Some(head) = head::parse_request(input, &mut storage)? else { return Ok(None) };
    let framing = framing::of_request(head.version, &head.fields).ok();
    let copy = copied((head.method, head.target), head.version, &head.fields, head.length);
    Ok(Some((copy, framing)))
}

fn verdict_on_answer(input: &[u8]) -> Verdict {
    let mut storage = FieldStorage::new();
    let Some(head) = head::parse_answer(input, &mut storage)? else { return Ok(None) };
    let framing = framing::of_answer("POST", head.status, head.version, &head.fields).ok();
    let status = head.status.to_string();
    let copy = copied((&status, head.reason), head.version, &head.fields, head.length);
    Ok(Some((copy, framing)))
}

fn copied(
    (first, second): (&str, &str),
    version: Version,
    fields: &Fields<'_, '_>,
    length: usize,
) -> oracle::Head {
    let fields = fields.iter().map(|(name, value)| (name.to_owned(), value.to_vec())).collect();
    oracle::Head { start_line: (first.to_owned(), second.to_owned()), version, fields, length }
}

/// Any bytes as a request's head.
pub fn fuzz_request_head(data: &[u8]) {
    check_head(data, verdict_on_request, oracle::request);
}

/// Any bytes as an answer's head.
pub fn fuzz_answer_head(data: &[u8]) {
    check_head(data, verdict_on_answer, oracle::answer);
}

fn check_head(
    data: &[u8],
    verdict: fn(&[u8]) -> Verdict,
    oracle: fn(&[u8]) -> Option<oracle::Head>,
) {
    let whole = verdict(data);
    assert_ne!(whole, Err(HeadError::Malformed(strict::UNEXPLAINED)), "the walker is laxer");
    let accepted = whole.as_ref().ok().and_then(Option::as_ref).map(|(head, _)| head);
    assert_eq!(accepted, oracle(data).as_ref(), "the oracle disagrees");
    for end in cuts(data.len()) {
        match verdict(&data[..end]) {
            Ok(None) => {}
            decided => assert_eq!(decided, whole, "decided otherwise after {end} bytes"),
        }
    }
}

fn cuts(length: usize) -> impl Iterator<Item = usize> {
    (0..=length).step_by(1 + length / CUTS_MAX)
}

/// What reading content gave: the bytes, how many were consumed for them, and whether that was all.
type Content = Result<(Vec<u8>, usize, bool), ContentError>;

/// The first byte chooses the framing; the rest is content and what comes after it.
pub fn fuzz_content(data: &[u8]) {
    let Some((selector, wire)) = data.split_first() else { return };
    let framing = match selector {
        0 => Framing::UntilClose,
        1..=127 => Framing::Length(u64::from(*selector)),
        _ => Framing::Chunked,
    };
    let whole = read_content(framing, [wire]);
    for cut in cuts(wire.len()) {
        let (left, right) = wire.split_at(cut);
        assert_eq!(read_content(framing, [left, right]), whole, "cut at {cut}");
    }
    assert_eq!(read_content(framing, wire.chunks(1)), whole, "byte by byte");
    if framing == Framing::Chunked {
        let done = whole.ok().filter(|(_, _, is_done)| *is_done);
        let done = done.map(|(content, consumed, _)| (content, consumed));
        assert_eq!(done, oracle::chunked(wire), "the oracle disagrees");
    }
}

fn read_content<'a>(framing: Framing, pieces: impl IntoIterator<Item = &'a [u8]>) -> Content {
    let mut reader = ContentReader::new(framing);
    let (mut content, mut consumed) = (Vec::new(), 0);
    for piece in pieces {
        let mut rest = piece;
        while !rest.is_empty() && !reader.is_done() {
            let step = reader.step(rest)?;
            assert!((1..=rest.len()).contains(&step.consumed), "each step makes progress");
            content.extend_from_slice(&rest[step.data]);
            rest = &rest[step.consumed..];
            consumed += step.consumed;
        }
    }
    Ok((content, consumed, reader.is_done()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    /// Recordings up to this size are cut at every pair of places.
    const PAIRS_BYTES_MAX: usize = 260;

    fn vectors(folder: &str) -> Vec<(String, Vec<u8>)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/http1").join(folder);
        let entries = std::fs::read_dir(folder).expect("the folder is part of the repository");
        let paths = entries.map(|entry| entry.expect("readable").path());
        let read = paths.map(|path| {
            (path.display().to_string(), std::fs::read(&path).expect("a recording is readable"))
        });
        read.collect()
    }

    /// A whole message as a connection would read it: head, content, and how many bytes it took.
    fn read_message(
        pieces: &[&[u8]],
        verdict: fn(&[u8]) -> Verdict,
    ) -> Option<(oracle::Head, Content)> {
        let mut received = Vec::new();
        for (at, piece) in pieces.iter().enumerate() {
            received.extend_from_slice(piece);
            if let Some((head, framing)) = verdict(&received).ok()? {
                let after = received.split_off(head.length);
                let rest = std::iter::once(&after[..]).chain(pieces[at + 1..].iter().copied());
                return Some((head, read_content(framing?, rest)));
            }
        }
        None
    }

    /// Whether the recording is a message that is taken; the same at any cut.
    fn check_message(name: &str, wire: &[u8], verdict: fn(&[u8]) -> Verdict) -> bool {
        let whole = read_message(&[wire], verdict);
        let second = |first| {
            let end = if wire.len() <= PAIRS_BYTES_MAX { wire.len() } else { first };
            first..=end
        };
        for (a, b) in (0..=wire.len()).flat_map(|a| second(a).map(move |b| (a, b))) {
            let pieces = [&wire[..a], &wire[a..b], &wire[b..]];
            assert_eq!(read_message(&pieces, verdict), whole, "{name} cut at {a} and {b}");
        }
        let bytes: Vec<&[u8]> = wire.chunks(1).collect();
        assert_eq!(read_message(&bytes, verdict), whole, "{name} byte by byte");
        whole.is_some_and(|(_, content)| content.is_ok())
    }

    #[test]
    fn recorded_requests_read_the_same_however_they_are_cut() {
        let mut taken = 0;
        for (name, wire) in vectors("requests") {
            fuzz_request_head(&wire);
            taken += usize::from(check_message(&name, &wire, verdict_on_request));
        }
        assert_eq!(taken, 10, "the others are there to be refused");
    }

    #[test]
    fn recorded_answers_read_the_same_however_they_are_cut() {
        let mut taken = 0;
        for (name, wire) in vectors("answers") {
            fuzz_answer_head(&wire);
            taken += usize::from(check_message(&name, &wire, verdict_on_answer));
        }
        assert_eq!(taken, 10, "the others are there to be refused");
    }

    #[test]
    fn recorded_content_reads_the_same_however_it_is_cut() {
        vectors("content").iter().for_each(|(_, wire)| fuzz_content(wire));
    }

    proptest! {
        // Findings are kept in tests/vectors, not where proptest would put them.
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        /// One byte of a recorded request replaced, removed or repeated.
        #[test]
        fn damaged_requests_read_the_same(which: prop::sample::Index, at: prop::sample::Index, byte: u8, kind in 0..3) {
            fuzz_request_head(&damaged(&vectors("requests"), which, at, byte, kind));
        }

        #[test]
        fn damaged_answers_read_the_same(which: prop::sample::Index, at: prop::sample::Index, byte: u8, kind in 0..3) {
            fuzz_answer_head(&damaged(&vectors("answers"), which, at, byte, kind));
        }

        #[test]
        fn damaged_content_reads_the_same(which: prop::sample::Index, at: prop::sample::Index, byte: u8, kind in 0..3) {
            fuzz_content(&damaged(&vectors("content"), which, at, byte, kind));
        }
    }

    fn damaged(
        vectors: &[(String, Vec<u8>)],
        which: prop::sample::Index,
        at: prop::sample::Index,
        byte: u8,
        kind: i32,
    ) -> Vec<u8> {
        let mut wire = which.get(vectors).1.clone();
        let at = at.index(wire.len());
        match kind {
            0 => wire[at] = byte,
            1 => drop(wire.remove(at)),
            _ => wire.insert(at, wire[at]),
        }
        wire
    }
}
