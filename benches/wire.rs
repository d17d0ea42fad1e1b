//! What the wire layer costs per request: heads, content, signatures, usage, price.
//!
//! `cargo bench --bench wire -- --quick` for figures, `-- --test` to see that each still runs.

use std::hint::black_box;
use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign as aws_sign};
use aws_sigv4::sign::v4::SigningParams;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use outcrop::bedrock::operation::Action;
use outcrop::bedrock::price::{Overrides, Question, lookup, price};
use outcrop::bedrock::usage::{BodyUsage, Counts, Family, FieldUsage, StreamUsage};
use outcrop::units::UnixSeconds;
use outcrop::wire::http1::chunked::{CHUNK_HEAD_BYTES_MAX, LAST_CHUNK, write_chunk_head};
use outcrop::wire::http1::content::ContentReader;
use outcrop::wire::http1::framing::{self, Framing};
use outcrop::wire::http1::head::{FieldStorage, parse_answer, parse_request};
use outcrop::wire::sigv4::{
    AmzDate, Presented, Scope, Signable, SignedField, SigningKey, Unverified, canonical_path, sign,
};
use ring::digest;

const REQUEST: &[u8] = include_bytes!("../tests/vectors/http1/requests/boto3_invoke.http");
const ANSWER: &[u8] = include_bytes!("../tests/vectors/http1/answers/invoke_stream.http");
const NOW: u64 = 1_751_371_200;
const HOST: &str = "bedrock-runtime.us-east-1.amazonaws.com";
const PATH: &str = "/model/anthropic.claude-3-5-haiku-20241022-v1%3A0/invoke";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

fn heads(c: &mut Criterion) {
    let mut group = c.benchmark_group("head");
    group.bench_function("request, boto3", |b| {
        b.iter(|| {
            let mut storage = FieldStorage::new();
            let head = parse_request(black_box(REQUEST), &mut storage).expect("valid");
            head.expect("whole").length
        });
    });
    group.bench_function("request, boto3, with framing", |b| {
        b.iter(|| {
            let mut storage = FieldStorage::new();
            let head = parse_request(black_box(REQUEST), &mut storage).expect("valid");
            let head = head.expect("whole");
            framing::of_request(head.version, &head.fields)
        });
    });
    group.bench_function("answer, stream", |b| {
        b.iter(|| {
            let mut storage = FieldStorage::new();
            let head = parse_answer(black_box(ANSWER), &mut storage).expect("valid");
            head.expect("whole").length
        });
    });
    group.finish();
}

/// 64 KiB in 300 chunks.
fn content(c: &mut Criterion) {
    const CHUNKS: usize = 300;
    let data = vec![b'x'; 65_536 / CHUNKS];
    let mut wire = Vec::new();
    for _ in 0..CHUNKS {
        let mut room = [0; CHUNK_HEAD_BYTES_MAX];
        let start = write_chunk_head(&mut room, data.len());
        wire.extend_from_slice(&room[start..]);
        wire.extend_from_slice(&data);
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(LAST_CHUNK);
    let mut group = c.benchmark_group("content");
    group.throughput(Throughput::Bytes(wire.len() as u64));
    group.bench_function("64 KiB in 300 chunks", |b| {
        b.iter(|| {
            let mut reader = ContentReader::new(Framing::Chunked);
            let (mut rest, mut length) = (black_box(&wire[..]), 0);
            while !reader.is_done() {
                let step = reader.step(rest).expect("valid");
                length += step.data.len();
                rest = &rest[step.consumed..];
            }
            length
        });
    });
    group.finish();
}

fn signatures(c: &mut Criterion) {
    let token = "t".repeat(400);
    let body = vec![b'x'; 200];
    let mut group = c.benchmark_group("sign 200 B");
    for (name, token) in [("no token", None), ("token of 400 B", Some(&*token))] {
        group.bench_function(format!("ours, {name}"), |b| ours(b, &body, token, false));
        group.bench_function(format!("ours, {name}, hash of content"), |b| {
            ours(b, &body, token, true);
        });
        group.bench_function(format!("aws-sigv4, {name}"), |b| theirs(b, &body, token));
    }
    group.finish();
    c.bench_function("signing key", |b| {
        b.iter(|| SigningKey::derive(black_box(SECRET), b"20250701", "us-east-1", "bedrock"));
    });
    c.bench_function("AmzDate", |b| b.iter(|| AmzDate::at(black_box(UnixSeconds(NOW)))));
    c.bench_function("canonical path", |b| {
        let mut out = Vec::new();
        b.iter(|| {
            out.clear();
            canonical_path(black_box(PATH.as_bytes()), &mut out);
            out.len()
        });
    });
}

/// A client's signature over 1 KiB of content: its hash, the canonical request, and the comparison.
fn checks(c: &mut Criterion) {
    let content = vec![b'x'; 1024];
    let hash = digest::digest(&digest::SHA256, &content);
    let date = AmzDate::at(UnixSeconds(NOW));
    let key = SigningKey::derive(SECRET, date.date(), "us-east-1", "bedrock");
    let (mut path, mut authorization) = (Vec::new(), Vec::new());
    canonical_path(PATH.as_bytes(), &mut path);
    let fields = [
        ("content-type", "application/json".as_bytes()),
        ("host", HOST.as_bytes()),
        ("x-amz-date", date.as_bytes()),
    ];
    let fields = fields.map(|(name, value)| SignedField { name, value });
    let request = Signable {
        method: "POST",
        canonical_path: &path,
        canonical_query: b"",
        fields: &fields,
        content_sha256: hash.as_ref().try_into().expect("32 bytes"),
    };
    let scope = Scope { access_key_id: "OCKA", region: "us-east-1", service: "bedrock" };
    sign(&request, &scope, &date, &key, &mut authorization);
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nhost: {HOST}\r\naccept-encoding: identity\r\ncontent-type: application/json\r\n\
         x-amz-date: 20250701T120000Z\r\nuser-agent: Boto3/1.44\r\nauthorization: {}\r\n\r\n",
        String::from_utf8_lossy(&authorization)
    );
    let mut storage = FieldStorage::new();
    let head = parse_request(head.as_bytes(), &mut storage).expect("a head").expect("whole");
    let mut unverified = Unverified::default();
    c.bench_function("a client's signature checked, 1 KiB", |b| {
        b.iter(|| {
            let (method, path, query, fields) = (head.method, head.target, "", head.fields);
            let now = UnixSeconds(NOW);
            unverified.take(&Presented { method, path, query, fields, now }).expect("a claim");
            let hash = digest::digest(&digest::SHA256, black_box(&content));
            let hash = hash.as_ref().try_into().expect("32 bytes");
            unverified.check(hash, &key).expect("the signature is right");
        });
    });
}

fn ours(b: &mut criterion::Bencher<'_>, body: &[u8], token: Option<&str>, hashes: bool) {
    let date = AmzDate::at(UnixSeconds(NOW));
    let key = SigningKey::derive(SECRET, date.date(), "us-east-1", "bedrock");
    let mut path = Vec::new();
    canonical_path(PATH.as_bytes(), &mut path);
    let mut fields = vec![
        SignedField { name: "content-type", value: b"application/json" },
        SignedField { name: "host", value: HOST.as_bytes() },
        SignedField { name: "x-amz-date", value: date.as_bytes() },
    ];
    fields
        .extend(token.map(|it| SignedField { name: "x-amz-security-token", value: it.as_bytes() }));
    let scope = Scope { access_key_id: "AKIDEXAMPLE", region: "us-east-1", service: "bedrock" };
    let mut hash = [7; 32];
    let mut out = Vec::new();
    b.iter(|| {
        if hashes {
            let digest = digest::digest(&digest::SHA256, black_box(body));
            hash.copy_from_slice(digest.as_ref());
        }
        let request = Signable {
            method: "POST",
            canonical_path: &path,
            canonical_query: b"",
            fields: black_box(&fields),
            content_sha256: &hash,
        };
        out.clear();
        sign(&request, &scope, &date, &key, &mut out);
        out.len()
    });
}

fn theirs(b: &mut criterion::Bencher<'_>, body: &[u8], token: Option<&str>) {
    let token = token.map(str::to_owned);
    let identity = Credentials::new("AKIDEXAMPLE", SECRET, token, None, "bench").into();
    let uri = format!("https://{HOST}{PATH}");
    b.iter(|| {
        let parameters = SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name("bedrock")
            .time(UNIX_EPOCH + Duration::from_secs(NOW))
            .settings(SigningSettings::default())
            .build()
            .expect("all parameters are there")
            .into();
        let fields = [("content-type", "application/json")].into_iter();
        let content = SignableBody::Bytes(black_box(body));
        let request = SignableRequest::new("POST", &*uri, fields, content).expect("valid");
        aws_sign(request, &parameters).expect("signed").signature().len()
    });
}

/// Answers of 64 KiB: text without and with escapes, and numbers; the usage stands at the end.
fn bodies(c: &mut Criterion) {
    let usage = r#""usage":{"input_tokens":4,"cache_creation_input_tokens":9,"cache_read_input_tokens":0,"output_tokens":9}}"#;
    let plain = "the quick brown fox jumps over ".repeat(2100);
    let escaped = r#"a line with a \"quote\" in it, and its end\n"#.repeat(1500);
    let numbers = "0.0123456,".repeat(6500);
    let text = |text: &str| format!(r#"{{"content":[{{"type":"text","text":"{text}"}}],{usage}"#);
    let bodies = [
        ("plain text", Family::Claude, text(&plain)),
        ("text with escapes", Family::Claude, text(&escaped)),
        (
            "embedding",
            Family::Titan,
            format!(r#"{{"embedding":[{numbers}0],"inputTextTokenCount":8}}"#),
        ),
    ];
    let mut group = c.benchmark_group("usage of 64 KiB");
    for (name, family, body) in &bodies {
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(*name, |b| {
            b.iter(|| {
                let mut usage = BodyUsage::new(Action::Invoke, *family);
                usage.feed(black_box(body.as_bytes()));
                usage.settle(&FieldUsage::default())
            });
        });
    }
    group.finish();
}

/// One event of a stream, and what a whole answer's cost takes.
fn events(c: &mut Criterion) {
    use base64::Engine as _;
    let payload = |event: &str| {
        let encoded = base64::engine::general_purpose::STANDARD.encode(event);
        format!(r#"{{"bytes":"{encoded}","p":"abcdefghijklmn"}}"#)
    };
    let delta = payload(
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":264}}"#,
    );
    let text = payload(
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hello"}}"#,
    );
    let mut group = c.benchmark_group("event");
    for (name, payload) in [("message_delta", &delta), ("text, passed over", &text)] {
        let mut usage = StreamUsage::new(Family::Claude);
        group.bench_function(name, |b| {
            b.iter(|| usage.on_event(b"chunk", black_box(payload.as_bytes())))
        });
    }
    group.finish();
    let overrides = Overrides::default();
    let model = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
    let question =
        Question { model, region: "us-east-1", base_model: None, overrides: &overrides, map: None };
    c.bench_function("price look-up", |b| {
        b.iter(|| lookup(black_box(&question)).expect("listed").rate)
    });
    let rate = lookup(&question).expect("listed").rate;
    let billed =
        Counts { input: Some(100), output: Some(264), cache_read: Some(2000), ..Counts::default() };
    let usage = Counts::settle(billed, billed);
    c.bench_function("cost of one answer", |b| {
        b.iter(|| price(black_box(&usage), black_box(&rate)))
    });
}

criterion_group!(benches, heads, content, signatures, checks, bodies, events);
criterion_main!(benches);
