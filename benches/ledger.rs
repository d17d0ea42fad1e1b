//! What a core pays per request to have it accounted for.
//!
//! `cargo bench --bench ledger -- --quick` for figures, `-- --test` to see that each still runs.

use std::{fs, hint::black_box};

use criterion::{Criterion, criterion_group, criterion_main};
use outcrop::{
    bedrock::usage::Usage,
    boundary::ledger::{
        Shape,
        entry::{Charge, DeploymentRef, Entry, KeptCallId, KeyRef, Outcome},
        open,
    },
    control_plane::{
        access_log::{Colour, Who, write_json, write_text},
        metrics::Metrics,
        names::{DeploymentName, KeyName, Names},
    },
    units::{PicoUsd, RequestId, Tokens, UnixMicros},
};

fn begun() -> Entry {
    Entry {
        request_id: RequestId::from_bits(7 << 100),
        call_id: KeptCallId::new(b"0b2c6fd1-5a2a-4d64-9e24-2e7be36ac4ff"),
        started: UnixMicros(1_800_000_000_000_000),
        deployment: DeploymentRef(0xd00d),
        key: KeyRef(0xbee),
        client: Some([127, 0, 0, 1].into()),
        ..Entry::default()
    }
}

fn ended() -> Entry {
    let usage = Usage { input: Some(Tokens(812)), output: Some(Tokens(99)), ..Usage::default() };
    let charge = Charge::Known(PicoUsd(123_456_789));
    Entry { outcome: Outcome::Whole, status: 200, usage, charge, ..begun() }
}

fn requests(c: &mut Criterion) {
    let folder = std::env::temp_dir().join(format!("outcrop-bench-ledger-{}", std::process::id()));
    let mut opened = open(&folder, 1, Shape::default()).expect("room on the disk");
    let (writer, mut reader) = opened.rings.pop().expect("one");
    let (begun, ended) = (begun(), ended());
    let mut entries = Vec::new();
    let mut free = |entries: &mut Vec<Entry>| {
        while reader.read(4096, entries) {
            entries.clear();
        }
        entries.clear();
        reader.free(reader.position());
    };
    let mut group = c.benchmark_group("ledger");
    group.bench_function("encode", |b| b.iter(|| black_box(&ended).encode(black_box(7))));
    // The ring is emptied outside the measurement: that is another core's work.
    group.bench_function("begin, finish", |b| {
        b.iter_custom(|count| {
            let mut total = std::time::Duration::ZERO;
            let mut left = count;
            while left > 0 {
                let batch = left.min(20_000);
                let start = outcrop::net::clock::now();
                for _ in 0..batch {
                    let ticket = writer.begin(black_box(&begun));
                    writer.finish(ticket, black_box(&ended));
                }
                total += outcrop::net::clock::now() - start;
                left -= batch;
                free(&mut entries);
            }
            total
        });
    });
    assert_eq!(writer.lost(), 0, "else the figure is of something else");
    group.bench_function("read, per entry of 1,000", |b| {
        b.iter_custom(|count| {
            let mut total = std::time::Duration::ZERO;
            for _ in 0..count.div_ceil(1000) {
                (0..1000).for_each(|_| writer.push(&ended));
                let start = outcrop::net::clock::now();
                free(&mut entries);
                total += outcrop::net::clock::now() - start;
            }
            total
        });
    });
    group.finish();
    let _ = fs::remove_dir_all(&folder);
}

/// What its readers pay per entry: the access log's two forms, and the metrics.
fn readers(c: &mut Criterion) {
    let mut names = Names::in_memory();
    let deployment = DeploymentName {
        id: "claude-east".into(),
        model_group: "claude".into(),
        model: "us.anthropic.claude-sonnet-4-20250514-v1:0".into(),
        region: "us-east-1".into(),
        api_base: "https://bedrock-runtime.us-east-1.amazonaws.com".into(),
    };
    let key = KeyName { api_key: "0".repeat(64), alias: "team".into() };
    let deployment = names.add_deployment(&deployment).expect("no file");
    let key = names.add_key(&key).expect("no file");
    let entry = Entry { deployment, key, ..ended() };
    let (who, mut out) = (Who::of(&entry, &names), Vec::with_capacity(4096));
    let mut group = c.benchmark_group("an entry as");
    group.bench_function("a line of JSON", |b| {
        b.iter(|| {
            out.clear();
            write_json(black_box(&entry), who, &mut out);
        });
    });
    group.bench_function("a line of text", |b| {
        b.iter(|| {
            out.clear();
            write_text(black_box(&entry), who, Colour::Plain, &mut out);
        });
    });
    let mut metrics = Metrics::default();
    group.bench_function("metrics", |b| {
        b.iter(|| metrics.observe(std::slice::from_ref(black_box(&entry)), &names));
    });
    group.finish();
}

criterion_group!(benches, requests, readers);
criterion_main!(benches);
