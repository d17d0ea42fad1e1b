//! Frames made for tests and fuzzing: arbitrary bytes with checksums that hold, and messages for AWS's
//! own encoder.

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::DateTime;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};

/// Of names and strings, before bytes that are no UTF-8 grow threefold: names stay below 256.
const TEXT_BYTES_MAX: u8 = 80;

/// A frame around `headers` and `payload`.
pub(super) fn frame(headers: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut frame = prelude(16 + headers.len() + payload.len(), headers.len()).to_vec();
    frame.extend_from_slice(headers);
    frame.extend_from_slice(payload);
    let checksum = crc32fast::hash(&frame);
    frame.extend_from_slice(&checksum.to_be_bytes());
    frame
}

/// A prelude that claims these lengths, under a checksum that holds.
pub(super) fn prelude(frame_bytes: usize, headers_bytes: usize) -> [u8; 12] {
    let mut prelude = [0; 12];
    for (at, length) in [(0, frame_bytes), (4, headers_bytes)] {
        let length = u32::try_from(length).expect("a length of 32 bits");
        prelude[at..at + 4].copy_from_slice(&length.to_be_bytes());
    }
    repair(&mut prelude);
    prelude
}

/// Makes the last four bytes the checksum of those before.
fn repair(bytes: &mut [u8]) {
    let (covered, checksum) = bytes.split_last_chunk_mut().expect("room for a checksum");
    *checksum = crc32fast::hash(covered).to_be_bytes();
}

/// `data` with the checksum of each prelude repaired, as far as its lengths lead.
pub(super) fn with_sound_preludes(data: &[u8]) -> Vec<u8> {
    let (mut wire, mut at) = (data.to_vec(), 0);
    while let Some(prelude) = wire.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<12>()) {
        repair(prelude);
        at += length_at(&wire, at).max(1);
    }
    wire
}

/// `data` as a stream of whole frames, and the start of one: lengths that do not fit are reduced.
pub(super) fn with_sound_frames(data: &[u8]) -> Vec<u8> {
    let (mut wire, mut at) = (data.to_vec(), 0);
    while wire.len() - at >= 16 {
        let (frame_bytes, headers_bytes) = (length_at(&wire, at), length_at(&wire, at + 4));
        let frame_bytes = reduce(frame_bytes, 16, wire.len() - at);
        let headers_bytes = reduce(headers_bytes, 0, frame_bytes - 16);
        wire[at..at + 12].copy_from_slice(&prelude(frame_bytes, headers_bytes));
        repair(&mut wire[at..at + frame_bytes]);
        at += frame_bytes;
    }
    if let Some(rest) = wire[at..].first_chunk_mut() {
        *rest = prelude(16, 0);
    }
    wire
}

fn length_at(wire: &[u8], at: usize) -> usize {
    let word = wire[at..].first_chunk().expect("the caller looked");
    usize::try_from(u32::from_be_bytes(*word)).expect("64 bits")
}

/// `length`, or another between the bounds if it is not.
fn reduce(length: usize, least: usize, most: usize) -> usize {
    if (least..=most).contains(&length) { length } else { least + length % (most - least + 1) }
}

/// `message` as AWS encodes it.
pub(super) fn encode(message: &Message) -> Vec<u8> {
    let mut encoded = Vec::new();
    write_message_to(message, &mut encoded).expect("within the format's bounds");
    encoded
}

/// A message of any headers, chosen by `data`.
pub(super) fn message(data: &[u8]) -> Message {
    let mut draw = Draw(data);
    let mut headers = Vec::new();
    for _ in 0..draw.byte() % 12 {
        let name = draw.text();
        let value = match draw.byte() % 10 {
            0 => HeaderValue::Bool(true),
            1 => HeaderValue::Bool(false),
            2 => HeaderValue::Byte(i8::from_be_bytes(draw.array())),
            3 => HeaderValue::Int16(i16::from_be_bytes(draw.array())),
            4 => HeaderValue::Int32(i32::from_be_bytes(draw.array())),
            5 => HeaderValue::Int64(i64::from_be_bytes(draw.array())),
            6 => HeaderValue::ByteArray(draw.run().to_vec().into()),
            7 => HeaderValue::String(draw.text().into()),
            8 => HeaderValue::Timestamp(DateTime::from_millis(i64::from_be_bytes(draw.array()))),
            _ => HeaderValue::Uuid(u128::from_be_bytes(draw.array())),
        };
        headers.push(Header::new(name, value));
    }
    Message::new_from_parts(headers, draw.0.to_vec())
}

/// Bytes to choose by; zeros when there are no more.
struct Draw<'a>(&'a [u8]);

impl<'a> Draw<'a> {
    fn byte(&mut self) -> u8 {
        let [byte] = self.array();
        byte
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let (taken, rest) = self.0.split_at(N.min(self.0.len()));
        array[..taken.len()].copy_from_slice(taken);
        self.0 = rest;
        array
    }

    fn run(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte() % TEXT_BYTES_MAX);
        let (run, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        run
    }

    fn text(&mut self) -> String {
        String::from_utf8_lossy(self.run()).into_owned()
    }
}
