//! Lines as they look, to programs and to people.

use std::path::PathBuf;

use super::{super::*, east, entry, team};
use crate::{
    bedrock::{
        fault::ErrorName,
        operation::Action,
        usage::{Told, Usage},
    },
    boundary::ledger::entry::{Charge, Marks, Outcome, UnknownCost},
    units::Tokens,
};

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
    let who = Who { deployment: Some(&east), key: Some(&team), names: None };
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
    for absent in ["prompt_tokens", "input_tokens", "spend", "cost_pico"] {
        assert!(line.get(absent).is_none(), "{absent}: {line}");
    }
    assert_eq!((&line["completion_tokens"], &line["usage_partial"]), (&5.into(), &true.into()));
}

#[test]
fn each_field_is_documented() {
    let documented = include_str!("../../../../docs/access_log.md");
    let usage = Usage {
        cache_write_unsplit: Some(Tokens(1)),
        images: Some(1),
        input_images: Some(1),
        video_seconds: Some(1),
        audio_seconds: Some(1),
        search_queries: Some(1),
        guardrail_units: Some(1),
        partial: true,
        told: Some(Told {
            input: Some(Tokens(1)),
            output: Some(Tokens(1)),
            cache_read: Some(Tokens(1)),
            cache_write: Some(Tokens(1)),
        }),
        ..entry().usage
    };
    let marks = [
        Marks::STREAM_EXCEPTION,
        Marks::LONG_CONTEXT,
        Marks::ASSUMES_5M,
        Marks::CALL_ID_CUT,
        Marks::UNREAD_EVENTS,
    ];
    let marks = marks.into_iter().fold(entry().marks, |all, mark| all.with(mark, true));
    let error = ErrorName::of(b"ThrottlingException");
    let (known, east, team) = (Entry { usage, marks, error, ..entry() }, east(), team());
    let unknown = Entry { charge: Charge::Unknown(UnknownCost::NoRate), ..known };
    let who = Who { deployment: Some(&east), key: Some(&team), names: None };
    for entry in [known, unknown] {
        let line: serde_json::Value = serde_json::from_str(&json(&entry, who)).unwrap();
        let marks = line["marks"].as_array().unwrap();
        assert_eq!(marks.len(), 6, "all of them");
        let words = marks.iter().map(|word| word.as_str().unwrap());
        for name in line.as_object().unwrap().keys().map(String::as_str).chain(words) {
            assert!(documented.contains(&format!("`{name}`")), "{name}");
        }
    }
}

#[test]
fn hostile_names_forge_no_line() {
    let hostile = "x\r\n{\"forged\":1}\u{1b}[2J\u{7f}\u{9b}31m\"\\\u{202e}é";
    let mut east = east();
    (east.model_group, east.id) = (hostile.into(), hostile.into());
    let team = KeyName { api_key: hostile.into(), alias: hostile.into() };
    let who = Who { deployment: Some(&east), key: Some(&team), names: None };
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
    let who = Who { deployment: Some(&east), key: None, names: None };
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
