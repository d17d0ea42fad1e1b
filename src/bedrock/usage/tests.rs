//! Every family × operation, as `tests/vectors/usage` has it: counts and cost, however the content is cut.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::{BodyUsage, Family, FieldUsage, ServiceTier, StreamUsage, Told, Usage};
use crate::bedrock::operation::Action;
use crate::bedrock::price::{Cost, Overrides, Question, lookup, price};
use crate::units::Tokens;

fn cases() -> Vec<(String, Value)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/usage");
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = paths.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let cases = files.flat_map(|path| {
        let text = std::fs::read_to_string(&path).unwrap();
        let cases: Vec<Value> = serde_json::from_str(&text).unwrap();
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        cases.into_iter().map(move |case| (format!("{stem}: {}", text_of(&case, "name")), case))
    });
    cases.collect()
}

fn text_of<'v>(case: &'v Value, key: &str) -> &'v str {
    case[key].as_str().unwrap_or_default()
}

fn expected(case: &Value) -> Usage {
    let count = |from: &Value, key: &str| from.get(key).map(|number| number.as_u64().unwrap());
    let usage = &case["usage"];
    let tokens = |key: &str| count(usage, key).map(Tokens);
    let told = usage.get("told").map(|told| {
        let tokens = |key: &str| count(told, key).map(Tokens);
        Told {
            input: tokens("input"),
            output: tokens("output"),
            cache_read: tokens("cache_read"),
            cache_write: tokens("cache_write"),
        }
    });
    Usage {
        input: tokens("input"),
        output: tokens("output"),
        cache_read: tokens("cache_read"),
        cache_write_5m: tokens("cache_write_5m"),
        cache_write_1h: tokens("cache_write_1h"),
        cache_write_unsplit: tokens("cache_write_unsplit"),
        images: count(usage, "images"),
        search_queries: count(usage, "search_queries"),
        service_tier: case.get("tier").map(|tier| ServiceTier::from_word(tier.as_str().unwrap())),
        told,
        partial: usage.get("partial").is_some(),
        ..Usage::default()
    }
}

fn fields(case: &Value) -> FieldUsage {
    let fields: &Map<String, Value> = case["fields"].as_object().unwrap();
    FieldUsage::of(fields.iter().map(|(name, value)| (&**name, value.as_str().unwrap().as_bytes())))
}

fn payload(event: &Value) -> (&[u8], Vec<u8>) {
    let (event_type, text) = (event[0].as_str().unwrap(), event[1].as_str().unwrap());
    let payload = match event_type {
        "chunk" => format!(r#"{{"bytes":"{}","p":"abcdefghijkl"}}"#, STANDARD.encode(text)),
        _ => text.to_owned(),
    };
    (event_type.as_bytes(), payload.into_bytes())
}

fn read(case: &Value, cut: usize) -> Usage {
    let action = Action::ALL.into_iter().find(|action| action.segment() == text_of(case, "action"));
    let family = Family::of(text_of(case, "model"));
    if let Some(events) = case["events"].as_array() {
        let mut stream = StreamUsage::new(family);
        stream.on_fields(fields(case).counts());
        for (event_type, payload) in events.iter().map(payload) {
            stream.on_event(event_type, &payload);
        }
        assert_eq!(stream.unread_events(), 0);
        return stream.settle();
    }
    let content = text_of(case, "content").as_bytes();
    let mut body = BodyUsage::new(action.unwrap(), family);
    let (left, right) = content.split_at(cut.min(content.len()));
    body.feed(left);
    body.feed(right);
    body.settle(&fields(case))
}

fn cost(case: &Value, usage: &Usage) -> String {
    let (model, region) = (text_of(case, "model"), text_of(case, "region"));
    let overrides = Overrides::default();
    let question = Question { model, region, base_model: None, overrides: &overrides, map: None };
    match lookup(&question).map(|priced| price(usage, &priced.rate)) {
        Ok(Cost::Known(bill)) => bill.total.to_string(),
        Ok(Cost::Unknown(_)) | Err(_) => "unknown".to_owned(),
    }
}

#[test]
fn every_family_is_counted_and_priced() {
    let cases = cases();
    assert!(cases.len() > 80, "the vectors were not found: {}", cases.len());
    for (name, case) in &cases {
        let usage = read(case, 0);
        assert_eq!(usage, expected(case), "{name}");
        assert_eq!(cost(case, &usage), text_of(case, "cost"), "{name}");
        for cut in 0..=text_of(case, "content").len() {
            assert_eq!(read(case, cut), usage, "{name} cut at {cut}");
        }
    }
}

#[test]
fn an_event_reads_the_same_however_its_json_is_written() {
    let event =
        r#"{ "amazon-bedrock-invocationMetrics" : {"outputTokenCount":2,"inputTokenCount":1} }"#;
    let encoded = STANDARD.encode(event);
    for payload in [
        format!(r#"{{"bytes":"{encoded}"}}"#),
        format!(r#"{{ "p":"ab\"", "bytes" : "{encoded}" }}"#),
        format!(r#"{{"bytes":"","bytes":"{encoded}","p":""}}"#),
    ] {
        let mut stream = StreamUsage::new(Family::Claude);
        stream.on_event(b"chunk", payload.as_bytes());
        let usage = stream.settle();
        assert_eq!(
            (usage.input, usage.output, usage.partial),
            (Some(Tokens(1)), Some(Tokens(2)), false)
        );
    }
}

#[test]
fn long_events_are_decoded_in_blocks() {
    for text_bytes in [0, 1500, 1535, 1536, 1537, 100_000] {
        let event = format!(
            r#"{{"x":"{}","amazon-bedrock-invocationMetrics":{{"inputTokenCount":1,"outputTokenCount":2}}}}"#,
            "y".repeat(text_bytes)
        );
        let mut stream = StreamUsage::new(Family::Nova);
        let payload = format!(r#"{{"bytes":"{}","p":"a"}}"#, STANDARD.encode(event));
        stream.on_event(b"chunk", payload.as_bytes());
        assert_eq!((stream.is_final(), stream.unread_events()), (true, 0), "{text_bytes}");
    }
}

#[test]
fn what_is_no_event_is_counted_as_unread() {
    for payload in
        ["", "{}", "{\"bytes\":\"####\"}", "{\"bytes\":\"e30\"}", "{\"bytes\":\"eyJ4\"}", "[1]"]
    {
        let mut stream = StreamUsage::new(Family::Claude);
        stream.on_event(b"chunk", payload.as_bytes());
        assert_eq!((stream.unread_events(), stream.is_final()), (1, false), "{payload}");
        assert_eq!(stream.settle(), Usage { partial: true, ..Usage::default() });
    }
}

#[test]
fn any_lines_are_survived() {
    for (_, case) in cases() {
        for family in 0..9 {
            let mut lines = vec![family];
            for event in case["events"].as_array().into_iter().flatten() {
                lines.extend_from_slice(if event[0] == "metadata" { b"m" } else { b"" });
                lines.extend_from_slice(event[1].as_str().unwrap().as_bytes());
                lines.push(b'\n');
            }
            super::properties::fuzz_stream(&lines);
        }
    }
}

proptest::proptest! {
    // Findings are kept in tests/vectors, not where proptest would put them.
    #![proptest_config(proptest::test_runner::Config { failure_persistence: None, cases: 500, ..Default::default() })]

    #[test]
    fn damaged_events_are_survived(
        family: u8,
        which: proptest::sample::Index,
        at: proptest::sample::Index,
        byte: u8,
        number: u64,
    ) {
        let cases = cases();
        let (_, case) = which.get(&cases);
        let mut lines = vec![family];
        for event in case["events"].as_array().into_iter().flatten() {
            lines.extend_from_slice(if event[0] == "metadata" { b"m" } else { b"" });
            lines.extend_from_slice(event[1].as_str().unwrap().replace("50", &number.to_string()).as_bytes());
            lines.push(b'\n');
        }
        let at = at.index(lines.len());
        lines[at] = byte;
        super::properties::fuzz_stream(&lines);
    }
}
