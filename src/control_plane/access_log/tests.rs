//! Lines as they look, and a log whose destination misbehaves.

use std::{
    fs,
    io::{Read as _, pipe},
    path::PathBuf,
};

use super::{writer::Sink, *};
use crate::{
    bedrock::{
        fault::ErrorName,
        operation::Action,
        usage::{ServiceTier, Told, Usage},
    },
    boundary::ledger::entry::{Charge, KeptCallId, Marks, Outcome, Timing, UnknownCost},
    limits::ACCESS_LOG_QUEUE_BYTES_MAX,
    net::clock,
    units::{PicoUsd, RequestId, Tokens, UnixMicros},
};

const PATIENCE: Duration = Duration::from_secs(30);

fn entry() -> Entry {
    Entry {
        request_id: RequestId::from_bits(0x0199_0000_0000_7000_8000_0000_0000_0001),
        call_id: KeptCallId::new(b"mine-7"),
        upstream_request_id: Some(RequestId::from_bits(0xabc)),
        started: UnixMicros(1_795_396_123_000_456),
        client: Some("192.0.2.7".parse().unwrap()),
        action: Some(Action::ConverseStream),
        outcome: Outcome::Whole,
        status: 200,
        usage: Usage {
            input: Some(Tokens(1200)),
            output: Some(Tokens(88)),
            cache_read: Some(Tokens(300)),
            cache_write_1h: Some(Tokens(20)),
            cache_write_5m: Some(Tokens(0)),
            service_tier: Some(ServiceTier::Flex),
            told: Some(Told { output: Some(Tokens(89)), ..Told::default() }),
            ..Usage::default()
        },
        charge: Charge::Known(PicoUsd(123_000_000)),
        marks: Marks::STREAM.with(Marks::REUSED, true),
        timing: Timing {
            total_us: 1_234_567,
            overhead_us: 45,
            first_byte_us: 200_001,
            first_content_us: 210_000,
        },
        request_bytes: 512,
        answer_bytes: 70_000,
        attempts: 1,
        core: 3,
        ..Entry::default()
    }
}

fn east() -> DeploymentName {
    DeploymentName {
        id: "east-1".into(),
        model_group: "claude".into(),
        model: "us.anthropic.claude-sonnet-4-20250514-v1:0".into(),
        region: "us-east-1".into(),
        api_base: "https://h".into(),
    }
}

fn team() -> KeyName {
    KeyName { api_key: "88dc28d0".into(), alias: "team".into() }
}

fn json(entry: &Entry, who: Who<'_>) -> String {
    let mut out = Vec::new();
    write_json(entry, who, &mut out);
    String::from_utf8(out).unwrap()
}

fn text(entry: &Entry, who: Who<'_>, colour: Colour) -> String {
    let mut out = Vec::new();
    write_text(entry, who, colour, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_line_of_json() {
    let (east, team) = (east(), team());
    let who = Who { deployment: Some(&east), key: Some(&team) };
    let line = json(&entry(), who);
    let expected = concat!(
        r#"{"time":"2026-11-23T01:08:43.000456Z","request_id":"01990000-0000-7000-8000-000000000001","#,
        r#""litellm_call_id":"mine-7","amzn_request_id":"00000000-0000-0000-0000-000000000abc","#,
        r#""api_key":"88dc28d0","api_key_alias":"team","requester_ip_address":"192.0.2.7","#,
        r#""call_type":"converse-stream","model_group":"claude","#,
        r#""model":"us.anthropic.claude-sonnet-4-20250514-v1:0","model_id":"east-1","region":"us-east-1","#,
        r#""api_base":"https://h","outcome":"whole","status":200,"stream":true,"attempts":1,"#,
        r#""duration_ms":1234.567,"overhead_ms":0.045,"ttfb_ms":200.001,"ttft_ms":210.000,"#,
        r#""request_bytes":512,"answer_bytes":70000,"prompt_tokens":1520,"completion_tokens":88,"#,
        r#""total_tokens":1608,"input_tokens":1200,"output_tokens":88,"cache_read_tokens":300,"#,
        r#""cache_write_5m_tokens":0,"cache_write_1h_tokens":20,"told_output_tokens":89,"#,
        r#""service_tier":"flex","spend":"0.000123","cost_pico":123000000,"marks":["reused"],"core":3}"#,
        "\n"
    );
    assert_eq!(line, expected);
    serde_json::from_str::<serde_json::Value>(&line).unwrap();
}

#[test]
fn what_is_unknown_is_absent_and_never_0() {
    let bare = Entry { outcome: Outcome::NoAnswer, ..Entry::default() };
    let line: serde_json::Value = serde_json::from_str(&json(&bare, Who::default())).unwrap();
    let names: Vec<&str> = line.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "answer_bytes",
        "attempts",
        "core",
        "duration_ms",
        "outcome",
        "request_bytes",
        "request_id",
        "spend_unknown",
        "stream",
        "time",
    ];
    assert_eq!(names, expected);
    assert_eq!(line["spend_unknown"], "no_usage");
    let refused = Entry { outcome: Outcome::Refused, ..bare };
    let line: serde_json::Value = serde_json::from_str(&json(&refused, Who::default())).unwrap();
    assert!(line.get("spend").is_none() && line.get("spend_unknown").is_none(), "{line}");
    let partial = Entry {
        usage: Usage { output: Some(Tokens(5)), partial: true, ..Usage::default() },
        charge: Charge::Unknown(UnknownCost::NoCount),
        ..bare
    };
    let line: serde_json::Value = serde_json::from_str(&json(&partial, Who::default())).unwrap();
    for absent in ["prompt_tokens", "total_tokens", "input_tokens", "spend", "cost_pico"] {
        assert!(line.get(absent).is_none(), "{absent}: {line}");
    }
    assert_eq!((&line["completion_tokens"], &line["usage_partial"]), (&5.into(), &true.into()));
}

#[test]
fn hostile_names_forge_no_line() {
    let hostile = "x\r\n{\"forged\":1}\u{1b}[2J\u{7f}\u{9b}31m\"\\\u{202e}é";
    let mut east = east();
    (east.model_group, east.id) = (hostile.into(), hostile.into());
    let team = KeyName { api_key: hostile.into(), alias: hostile.into() };
    let who = Who { deployment: Some(&east), key: Some(&team) };
    let line = json(&entry(), who);
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (&value["model_group"], &value["api_key_alias"]),
        (&hostile.into(), &hostile.into())
    );
    for line in [line, text(&entry(), who, Colour::Plain)] {
        let line = line.strip_suffix('\n').unwrap();
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
}

#[test]
fn lines_for_people() {
    let east = east();
    let who = Who { deployment: Some(&east), key: None };
    let line = text(&entry(), who, Colour::Plain);
    let expected = "2026-11-23 01:08:43.000 200 converse-stream claude               east-1             \
                    1.235s  ttft  0.210s  in    1520 out      88  $0.000123\n";
    assert_eq!(line, expected);
    let cut = Entry {
        action: Some(Action::InvokeWithResponseStream),
        outcome: Outcome::AnswerCut,
        error: ErrorName::of(b"ModelStreamErrorException"),
        usage: Usage { partial: true, ..Usage::default() },
        charge: Charge::Unknown(UnknownCost::NoUsage),
        attempts: 2,
        ..entry()
    };
    let line = text(&cut, who, Colour::Plain);
    let expected = "2026-11-23 01:08:43.000 200 invoke-stream   claude               east-1             \
                    1.235s  ttft  0.210s  in       ? out       ?  $? no_usage  ModelStreamErrorException  \
                    answer_cut  usage_partial  attempts 2\n";
    assert_eq!(line, expected);
    let refused = Entry { outcome: Outcome::Refused, started: entry().started, ..Entry::default() };
    let line = text(&refused, Who::default(), Colour::Plain);
    let expected = "2026-11-23 01:08:43.000 --- -               -                    -                       \
                    -  ttft       -  in       - out       -  $-  refused\n";
    assert_eq!(line, expected);
    let line = text(&refused, Who::default(), Colour::Coloured);
    assert!(
        line.contains("\u{1b}[31m---\u{1b}[0m") && line.contains("\u{1b}[31mrefused"),
        "{line:?}"
    );
    assert!(text(&entry(), who, Colour::Coloured).contains("\u{1b}[32m200\u{1b}[0m"));
}

#[test]
fn where_lines_go() {
    use config::AccessLog as To;
    let path = PathBuf::from("/x");
    let check = |to: To, json_logs, is_terminal, expected| {
        assert_eq!(plan(&to, json_logs, is_terminal, Colour::Plain), expected, "{to:?}");
    };
    let text = Some((Form::Text(Colour::Plain), None));
    let json = Some((Form::Json, None));
    check(To::Auto, false, true, text.clone());
    check(To::Auto, false, false, None);
    check(To::Auto, true, true, json.clone());
    check(To::Auto, true, false, json.clone());
    check(To::Off, true, true, None);
    check(To::Stdout, false, false, json.clone());
    check(To::Stdout, false, true, text);
    check(To::Stdout, true, true, json);
    check(To::File(path.clone()), false, true, Some((Form::Json, Some(path))));
}

/// Entries whose `request_bytes` counts them.
fn numbered(range: std::ops::Range<u32>) -> Vec<Entry> {
    range.map(|number| Entry { request_bytes: number, ..entry() }).collect()
}

fn numbers(lines: &str) -> Vec<u32> {
    assert!(lines.is_empty() || lines.ends_with('\n'), "whole lines");
    let number = |line: &str| {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        u32::try_from(value["request_bytes"].as_u64().unwrap()).unwrap()
    };
    lines.lines().map(number).collect()
}

fn scratch(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("outcrop-log-{name}-{}", std::process::id()));
    let _ = fs::remove_file(&path);
    path
}

#[test]
fn a_pipe_that_nobody_reads_stops_nobody() {
    let (mut reader, writer) = pipe().unwrap();
    let mut log = AccessLog::to(Form::Json, Sink::pipe(writer)).unwrap();
    let names = Names::in_memory();
    let batch = numbered(0..1000);
    let (mut recorded, started) = (0_u64, clock::now());
    while log.dropped() == 0 {
        log.record(&batch, &names);
        recorded += 1000;
    }
    log.record(&batch, &names);
    recorded += 1000;
    let took = clock::now().duration_since(started);
    assert!(took < PATIENCE, "{took:?} for {recorded} lines");
    assert!(!log.flush(Duration::from_millis(20)), "nobody reads, so nothing is done in time");
    let mut said = Vec::new();
    let now = clock::now();
    log.publish(now, &mut |line: &str| said.push(line.to_owned()));
    log.record(&batch, &names);
    recorded += 1000;
    log.publish(now, &mut |line: &str| said.push(line.to_owned()));
    assert_eq!(said.len(), 1, "{said:?}");
    let later = now + Duration::from_millis(NOTICES_EVERY_MS);
    log.publish(later, &mut |line: &str| said.push(line.to_owned()));
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[1].starts_with("access log: 1000 lines were dropped, for stdout"), "{said:?}");

    let reading = std::thread::spawn(move || {
        let mut all = String::new();
        reader.read_to_string(&mut all).unwrap();
        all
    });
    assert!(log.flush(PATIENCE), "somebody reads");
    let dropped = log.dropped();
    drop(log);
    let all = reading.join().unwrap();
    let lines = u64::try_from(all.lines().count()).unwrap();
    assert_eq!(lines + dropped, recorded, "written or counted");
    assert!(all.len() > ACCESS_LOG_QUEUE_BYTES_MAX / 2 && all.ends_with("}\n"));
}

#[test]
fn a_fifo_that_nobody_reads_stops_nobody() {
    let path = scratch("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    assert!(Sink::file(path.clone()).is_err(), "no reader: refused, not waited for");
    let reader = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let mut log = AccessLog::to(Form::Json, Sink::file(path.clone()).unwrap()).unwrap();
    log.record(&numbered(0..1000), &Names::in_memory());
    assert!(!log.flush(Duration::from_millis(20)));
    assert_eq!(log.write_errors(), 0, "a full pipe is no error");
    drop((log, reader));
    fs::remove_file(&path).unwrap();
}

#[test]
fn reopening_under_load_loses_and_repeats_nothing() {
    const ROTATIONS: u32 = 50;
    const LINES: u32 = 400;
    let path = scratch("rotated");
    let mut log = AccessLog::to(Form::Json, Sink::file(path.clone()).unwrap()).unwrap();
    let names = Names::in_memory();
    for rotation in 0..ROTATIONS {
        let first = rotation * 2 * LINES;
        log.record(&numbered(first..first + LINES), &names);
        // As logrotate does: rename, while lines are still coming, then tell.
        assert!(log.flush(PATIENCE));
        fs::rename(&path, path.with_extension(rotation.to_string())).unwrap();
        log.record(&numbered(first + LINES..first + 2 * LINES), &names);
        log.reopen();
    }
    assert!(log.flush(PATIENCE));
    for rotation in 0..ROTATIONS {
        let old = path.with_extension(rotation.to_string());
        let first = rotation * 2 * LINES;
        let expected: Vec<u32> = (first..first + 2 * LINES).collect();
        assert_eq!(numbers(&fs::read_to_string(&old).unwrap()), expected, "before and not after");
        fs::remove_file(old).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), "");
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777 & !0o640, 0, "{mode:o}");
    assert_eq!((log.dropped(), log.write_errors()), (0, 0));
    fs::remove_file(&path).unwrap();
}

#[test]
fn a_file_that_cannot_be_reopened_is_written_on() {
    let folder = scratch("folder");
    fs::create_dir(&folder).unwrap();
    let path = folder.join("log");
    let mut log = AccessLog::to(Form::Json, Sink::file(path).unwrap()).unwrap();
    let names = Names::in_memory();
    let moved = folder.with_extension("moved");
    fs::rename(&folder, &moved).unwrap();
    log.reopen();
    log.record(&numbered(0..3), &names);
    assert!(log.flush(PATIENCE));
    assert_eq!(numbers(&fs::read_to_string(moved.join("log")).unwrap()), [0, 1, 2]);
    let mut said = Vec::new();
    log.publish(clock::now(), &mut |line: &str| said.push(line.to_owned()));
    assert!(said.len() == 1 && said[0].contains("cannot reopen"), "{said:?}");
    fs::remove_dir_all(&moved).unwrap();
}

#[test]
fn a_full_disk_is_said_counted_and_left_by_reopening() {
    let link = scratch("full");
    std::os::unix::fs::symlink("/dev/full", &link).unwrap();
    let mut log = AccessLog::to(Form::Json, Sink::file(link.clone()).unwrap()).unwrap();
    log.record(&numbered(0..500), &Names::in_memory());
    assert!(!log.flush(Duration::from_millis(50)), "it is full");
    assert!(log.write_errors() > 0);
    let mut said = Vec::new();
    log.publish(clock::now(), &mut |line: &str| said.push(line.to_owned()));
    assert!(said.len() == 1 && said[0].contains("cannot write to"), "{said:?}");
    fs::remove_file(&link).unwrap();
    log.reopen();
    assert!(log.flush(PATIENCE), "the queue goes to the new file");
    assert_eq!(numbers(&fs::read_to_string(&link).unwrap()), (0..500).collect::<Vec<_>>());
    log.publish(clock::now(), &mut |line: &str| said.push(line.to_owned()));
    assert!(said.len() == 2 && said[1].contains("again"), "{said:?}");
    assert_eq!(log.dropped(), 0);
    fs::remove_file(&link).unwrap();
}

/// `cargo test --release --lib -- --ignored --nocapture a_line_costs`.
#[test]
#[ignore = "a measurement"]
fn a_line_costs() {
    const LINES: u32 = 1_000_000;
    let (east, team) = (east(), team());
    let who = Who { deployment: Some(&east), key: Some(&team) };
    let (entry, mut out) = (entry(), Vec::with_capacity(4096));
    for form in ["json", "text"] {
        let started = clock::now();
        for _ in 0..LINES {
            out.clear();
            match form {
                "json" => write_json(std::hint::black_box(&entry), who, &mut out),
                _ => write_text(std::hint::black_box(&entry), who, Colour::Plain, &mut out),
            }
        }
        let ns = clock::now().duration_since(started).as_nanos() / u128::from(LINES);
        println!("{form}: {ns} ns per line of {} B", out.len());
    }
}
