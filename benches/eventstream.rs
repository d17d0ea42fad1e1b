//! What looking at streamed answers costs: per frame, and against the checksum alone.
//!
//! `cargo bench --bench eventstream -- --quick` for figures, `-- --test` to see that each still runs.

use std::hint::black_box;

use aws_smithy_eventstream::frame::{DecodedFrame, MessageFrameDecoder, write_message_to};
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use outcrop::wire::eventstream::cut::{Cutter, Found};
use outcrop::wire::eventstream::header::MessageKind;

const STREAM_BYTES: usize = 1024 * 1024;
/// What one read of the network may bring.
const READ_BYTES: usize = 16_384;

/// A frame with Bedrock's headers, of about `length` bytes.
fn frame(length: usize) -> Vec<u8> {
    let headers = [
        (":event-type", "chunk"),
        (":content-type", "application/json"),
        (":message-type", "event"),
    ];
    let payload = vec![b'x'; length.saturating_sub(16 + 75)];
    let message = headers.into_iter().fold(Message::new(payload), |message, (name, value)| {
        message.add_header(Header::new(name, HeaderValue::String(value.into())))
    });
    let mut encoded = Vec::new();
    write_message_to(&message, &mut encoded).expect("within the format's bounds");
    encoded
}

/// Frames in whole input: how many.
fn cut(wire: &[u8]) -> usize {
    let (mut cutter, mut rest, mut count) = (Cutter::new(), wire, 0);
    while !rest.is_empty() {
        let step = cutter.step(rest).expect("sound");
        count += usize::from(matches!(step.found, Found::Frame(_) | Found::Ends));
        rest = &rest[step.consumed..];
    }
    count
}

/// The same, and which of them are chunks.
fn cut_and_classify(wire: &[u8]) -> usize {
    let (mut cutter, mut rest, mut count) = (Cutter::new(), wire, 0);
    while !rest.is_empty() {
        let step = cutter.step(rest).expect("sound");
        if let Found::Frame(frame) = step.found {
            let kind = frame.kind().expect("readable");
            count += usize::from(kind == MessageKind::Event { event_type: Some("chunk") });
        }
        rest = &rest[step.consumed..];
    }
    count
}

fn aws(wire: &[u8]) -> usize {
    let (mut decoder, mut rest, mut count) = (MessageFrameDecoder::new(), wire, 0);
    while let DecodedFrame::Complete(message) = decoder.decode_frame(&mut rest).expect("sound") {
        black_box(message);
        count += 1;
    }
    count
}

fn one_frame(c: &mut Criterion) {
    for length in [120, 400, 1024, 65_536] {
        let wire = frame(length);
        let mut group = c.benchmark_group(format!("one frame of {length} B"));
        group.throughput(Throughput::Bytes(wire.len() as u64));
        group.bench_function("cut", |b| b.iter(|| cut(black_box(&wire))));
        group.bench_function("cut and classify", |b| b.iter(|| cut_and_classify(black_box(&wire))));
        group.bench_function("crc32fast alone", |b| b.iter(|| crc32fast::hash(black_box(&wire))));
        group.bench_function("aws-smithy-eventstream", |b| b.iter(|| aws(black_box(&wire))));
        group.finish();
    }
}

fn streams(c: &mut Criterion) {
    for length in [400, 65_536] {
        let wire = frame(length).repeat(STREAM_BYTES / length);
        let mut group = c.benchmark_group(format!("1 MiB in frames of {length} B"));
        group.throughput(Throughput::Bytes(wire.len() as u64));
        group.bench_function("cut", |b| b.iter(|| cut(black_box(&wire))));
        group.bench_with_input(
            BenchmarkId::new("cut, in reads of", READ_BYTES),
            &wire,
            |b, wire| {
                b.iter(|| {
                    let mut cutter = Cutter::new();
                    for read in black_box(wire).chunks(READ_BYTES) {
                        let mut rest = read;
                        while !rest.is_empty() {
                            rest = &rest[cutter.step(rest).expect("sound").consumed..];
                        }
                    }
                    cutter.is_between_frames()
                });
            },
        );
        group.bench_function("crc32fast alone", |b| {
            b.iter(|| black_box(&wire).chunks(length).fold(0, |sum, it| sum ^ crc32fast::hash(it)));
        });
        group.bench_function("aws-smithy-eventstream", |b| b.iter(|| aws(black_box(&wire))));
        group.finish();
    }
}

criterion_group!(benches, one_frame, streams);
criterion_main!(benches);
