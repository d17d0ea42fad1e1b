//! Recorded frames, corrupted ones, and every limit at its edge.

use std::path::Path;

use aws_smithy_types::event_stream::{Header, HeaderValue as AwsValue, Message};
use proptest::prelude::*;

use super::cut::{Cutter, Found};
use super::frame::{FrameError, parse_frame, peek_headers};
use super::header::{HeaderError, HeaderValue, MessageKind};
use super::oracle::Reading;
use super::properties::{self, check_against_aws, check_stream, read};
use super::specimen;
use crate::limits::{FRAME_BYTES_MAX, FRAME_BYTES_MIN, FRAME_HEADERS_BYTES_MAX};

/// Recordings up to this size are cut at every pair of places.
const PAIRS_BYTES_MAX: usize = 260;

fn vectors(folder: &str) -> Vec<(String, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/eventstream");
    let entries = std::fs::read_dir(root.join(folder)).expect("part of the repository");
    let paths = entries.map(|entry| entry.expect("readable").path());
    let mut read: Vec<_> = paths
        .map(|path| {
            let name = path.file_stem().expect("a file").to_string_lossy().into_owned();
            (name, std::fs::read(&path).expect("a recording is readable"))
        })
        .collect();
    read.sort();
    read
}

fn vector(folder: &str, name: &str) -> Vec<u8> {
    let found = vectors(folder).into_iter().find(|(each, _)| each == name);
    found.expect("part of the repository").1
}

/// However the recording is cut, it reads the same; its frames, and how it ended.
fn check(name: &str, wire: &[u8]) -> Reading {
    let whole = check_stream(wire);
    check_against_aws(wire);
    if wire.len() <= PAIRS_BYTES_MAX {
        for (a, b) in (0..=wire.len()).flat_map(|b| (0..=b).map(move |a| (a, b))) {
            let pieces = [&wire[..a], &wire[a..b], &wire[b..]];
            assert_eq!(read(pieces), whole, "{name} cut at {a} and {b}");
        }
    }
    whole
}

#[test]
fn recorded_frames_are_whole_however_they_are_cut() {
    let mut count = 0;
    for (name, wire) in vectors("whole") {
        let Reading { frames, end } = check(&name, &wire);
        assert_eq!(end, Ok(name != "cut_off"), "{name}");
        count += frames.len();
        for frame in frames {
            let frame = parse_frame(&frame).expect("sound").expect("whole");
            assert!(frame.headers().all(|header| header.is_ok()), "{name}");
            assert!(frame.kind().is_ok(), "{name}");
        }
    }
    assert_eq!(count, 26, "18 alone, and 2, 5 and 1 in streams");
}

#[test]
fn corrupted_frames_are_refused_for_what_is_wrong_with_them() {
    let mut refused = Vec::new();
    for (name, wire) in vectors("broken") {
        let Reading { frames, end } = check(&name, &wire);
        assert_eq!(frames.len(), usize::from(name == "checksum_of_second"), "{name}");
        refused.push((name, end.expect_err("broken")));
    }
    let named: Vec<_> = refused.iter().map(|(name, error)| (&name[..], error)).collect();
    use FrameError::{Checksum, HeadersLength, Length, PreludeChecksum};
    assert!(
        matches!(
            named[..],
            [
                ("checksum", Checksum { declared: 0xdead_beef, computed: 0x01a0_5860 }),
                ("checksum_of_second", Checksum { .. }),
                ("headers", Checksum { declared: 0x8d9c_08b1, .. }),
                ("headers_beyond_frame", HeadersLength { declared_bytes: 14, frame_bytes: 29 }),
                ("headers_length", PreludeChecksum { declared: 0x07fd_8396, .. }),
                ("length", PreludeChecksum { declared: 0xfd52_8c5a, .. }),
                ("length_15", Length { declared_bytes: 15 }),
                ("length_4_gib", Length { declared_bytes: u32::MAX }),
                ("payload", Checksum { declared: 0xc365_3936, .. }),
                (
                    "prelude_checksum",
                    PreludeChecksum { declared: 0xdead_beef, computed: 0x8bb4_95fb }
                ),
            ]
        ),
        "{named:#?}"
    );
}

#[test]
fn unreadable_headers_cost_the_meaning_and_not_the_stream() {
    let recordings = vectors("unreadable");
    let mut named = Vec::new();
    for (name, wire) in &recordings {
        let Reading { frames, end } = check(name, wire);
        assert_eq!((frames.len(), end), (1, Ok(true)), "{name}");
        named.push((&name[..], parse_frame(wire).expect("sound").expect("whole").kind()));
    }
    let expected = [
        ("duplicate_message_type", Err(HeaderError::Repeated)),
        ("name_length", Err(HeaderError::Truncated)),
        // Clients that decode every name would refuse it; nothing here depends on it.
        ("name_not_utf8", Ok(MessageKind::Other)),
        ("one_byte", Err(HeaderError::Truncated)),
        ("value_length", Err(HeaderError::Truncated)),
        ("value_length_cut_off", Err(HeaderError::Truncated)),
        ("value_not_utf8", Err(HeaderError::Text)),
        ("value_type", Err(HeaderError::ValueType(0x60))),
    ];
    assert_eq!(named, expected);
}

#[test]
fn golden_bytes_of_the_guide() {
    let hex = |frame: &[u8]| frame.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(hex(&vector("whole", "empty")), "000000100000000005c248eb7d98c8ff");
    let chunk = vector("whole", "chunk");
    assert!(hex(&chunk).starts_with("000000750000004bb51e28ce0b3a6576656e742d74797065"));
    assert!(hex(&chunk).ends_with("227d8bcd2fab"));
    let frame = parse_frame(&chunk).expect("sound").expect("whole");
    assert_eq!(frame.payload(), br#"{"bytes":"e30=","p":"abc"}"#);
    let exception = vector("whole", "throttling_exception");
    assert!(hex(&exception).starts_with("0000008100000061d31117850f3a657863657074696f6e"));
    assert!(hex(&exception).ends_with("2278227d42bf4153"));
    let frame = parse_frame(&exception).expect("sound").expect("whole");
    assert_eq!(frame.payload(), br#"{"message": "x"}"#);
}

#[test]
fn a_frame_says_what_it_is_in_any_order() {
    let check = |name: &str, kind: MessageKind<'_>| {
        let wire = vector("whole", name);
        let frame = parse_frame(&wire).expect("sound").expect("whole");
        assert_eq!(frame.kind(), Ok(kind), "{name}");
        let begun = &wire[..wire.len() - 4 - frame.payload().len()];
        let headers = peek_headers(begun).expect("sound").expect("all there");
        assert_eq!(headers.kind(), Ok(kind), "{name}, begun");
    };
    check("chunk", MessageKind::Event { event_type: Some("chunk") });
    check("initial_response", MessageKind::Event { event_type: Some("initial-response") });
    let throttling = Some("throttlingException");
    check("throttling_exception", MessageKind::Exception { exception_type: throttling });
    let stream_error = Some("modelStreamErrorException");
    check("reordered_exception", MessageKind::Exception { exception_type: stream_error });
    check("error", MessageKind::Error { code: Some("code"), message: Some("message") });
    check("empty", MessageKind::Other);
    check("all_header_types", MessageKind::Other);
}

#[test]
fn a_type_in_no_text_is_no_type() {
    let event = |value: AwsValue| {
        let message = Message::new("")
            .add_header(Header::new(":message-type", AwsValue::String("event".into())))
            .add_header(Header::new(":event-type", value));
        specimen::encode(&message)
    };
    let wire = event(AwsValue::Int32(7));
    let frame = parse_frame(&wire).expect("sound").expect("whole");
    assert_eq!(frame.kind(), Ok(MessageKind::Event { event_type: None }));
    let wire = event(AwsValue::String("é".into()));
    let frame = parse_frame(&wire).expect("sound").expect("whole");
    assert_eq!(frame.kind(), Ok(MessageKind::Event { event_type: Some("é") }));
}

#[test]
fn all_ten_types_of_value() {
    let wire = vector("whole", "mixed_headers");
    let frame = parse_frame(&wire).expect("sound").expect("whole");
    let headers: Result<Vec<_>, _> = frame.headers().collect();
    let headers: Vec<_> = headers.expect("readable").iter().map(|it| (it.name, it.value)).collect();
    let uuid = 0xb79b_c914_de21_4e13_b8b2_bc47_e85b_7f0b_u128.to_be_bytes();
    let expected: [(&[u8], _); 10] = [
        (b"true", HeaderValue::Bool(true)),
        (b"false", HeaderValue::Bool(false)),
        (b"byte", HeaderValue::Byte(50)),
        (b"short", HeaderValue::Int16(20_000)),
        (b"int", HeaderValue::Int32(500_000)),
        (b"long", HeaderValue::Int64(50_000_000_000)),
        (b"bytes", HeaderValue::Bytes(b"some bytes")),
        (b"str", HeaderValue::String(b"some str")),
        (b"time", HeaderValue::TimestampMs(5_000_000_000)),
        (b"uuid", HeaderValue::Uuid(&uuid)),
    ];
    assert_eq!(headers, expected);
}

#[test]
fn limits_at_their_edges() {
    let verdict = |frame_bytes: usize, headers_bytes: usize| {
        let prelude = specimen::prelude(frame_bytes, headers_bytes);
        let begins = Cutter::new().step(&prelude).map(|step| step.found == Found::Begins);
        assert_eq!(read(prelude.chunks(1)).end.err(), begins.err(), "byte by byte");
        begins
    };
    let word = |length: usize| u32::try_from(length).expect("a length of 32 bits");
    let length = |bytes: usize| Err(FrameError::Length { declared_bytes: word(bytes) });
    let headers = |headers: usize, frame: usize| {
        let (declared_bytes, frame_bytes) = (word(headers), word(frame));
        Err(FrameError::HeadersLength { declared_bytes, frame_bytes })
    };
    // Its twelve bytes are a prelude, and four are due.
    assert_eq!(verdict(FRAME_BYTES_MIN, 0), Ok(true));
    assert_eq!(verdict(FRAME_BYTES_MIN - 1, 0), length(FRAME_BYTES_MIN - 1));
    assert_eq!(verdict(0, 0), length(0));
    assert_eq!(verdict(FRAME_BYTES_MAX, 0), Ok(true));
    assert_eq!(verdict(FRAME_BYTES_MAX + 1, 0), length(FRAME_BYTES_MAX + 1));
    assert_eq!(verdict(100, 84), Ok(true));
    assert_eq!(verdict(100, 85), headers(85, 100));
    assert_eq!(verdict(FRAME_BYTES_MAX, FRAME_HEADERS_BYTES_MAX), Ok(true));
    let over = FRAME_HEADERS_BYTES_MAX + 1;
    assert_eq!(verdict(FRAME_BYTES_MAX, over), headers(over, FRAME_BYTES_MAX));
}

#[test]
fn the_longest_frame_passes_whole_and_in_reads() {
    let section = b"\x01n\x00".repeat(FRAME_HEADERS_BYTES_MAX / 3);
    let payload = vec![7; FRAME_BYTES_MAX - FRAME_BYTES_MIN - section.len()];
    let wire = specimen::frame(&section, &payload);
    assert_eq!(wire.len(), FRAME_BYTES_MAX);
    let frame = parse_frame(&wire).expect("sound").expect("whole");
    assert_eq!(frame.headers().count(), FRAME_HEADERS_BYTES_MAX / 3);
    let mut cutter = Cutter::new();
    for read in wire.chunks(65_536) {
        assert_eq!(cutter.step(read).expect("sound").consumed, read.len());
    }
    assert!(cutter.is_between_frames());
}

#[test]
#[should_panic(expected = "an empty input")]
fn a_step_over_nothing_is_our_bug() {
    let _ = Cutter::new().step(b"");
}

#[test]
fn recordings_hold_for_every_fuzz_target() {
    for folder in ["whole", "broken", "unreadable", "headers"] {
        for (_, wire) in vectors(folder) {
            properties::fuzz_raw(&wire);
            properties::fuzz_preludes(&wire);
            properties::fuzz_frames(&wire);
            properties::fuzz_headers(&wire);
            properties::fuzz_headers(&[&[3], &wire[..]].concat());
            properties::fuzz_round_trip(&wire);
            properties::fuzz_split(&wire);
            properties::fuzz_aws(&wire);
        }
    }
}

proptest! {
    // Findings are kept in tests/vectors, not where proptest would put them.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn what_aws_encodes_reads_the_same(data: Vec<u8>) {
        properties::fuzz_round_trip(&data);
    }

    /// One byte of a recording replaced, with no, one or both checksums made to hold.
    #[test]
    fn damaged_frames_read_as_aws_reads_them(which: prop::sample::Index, at: prop::sample::Index, byte: u8) {
        let (_, mut wire) = which.get(&vectors("whole")).clone();
        let at = at.index(wire.len());
        wire[at] = byte;
        properties::fuzz_raw(&wire);
        properties::fuzz_preludes(&wire);
        properties::fuzz_frames(&wire);
        properties::fuzz_aws(&wire);
    }
}
