//! Answers that come whole: tokens and cost, to the pico-dollar, however the network brings them.

use outcrop::control_plane::config::DriverChoice;
use serde_json::{Value, json};

use super::books::{
    Books, CACHE_READ, CACHE_WRITE, CONVERSE, CONVERSE_STREAM, INPUT, OUTPUT, check, dollars, mock,
};
use crate::http::{Answer, End, request};
use crate::proxy::{
    BEARER, ByHand, Deployment, INVOKE, KEY, MODEL, Proxy, STREAM, under_both_drivers,
};

under_both_drivers!(
    every_action_in_every_framing,
    a_body_cut_anywhere,
    a_body_beyond_the_scan,
    a_body_that_is_compressed,
    call_ids_of_clients,
    heads_tell_what_is_known,
    a_model_without_a_price,
    an_application_profile,
    without_a_ledger,
);

const STREAM_TYPE: &str = "application/vnd.amazon.eventstream";

fn every_action_in_every_framing(driver: DriverChoice) {
    let (books, stand_in) = Books::with_stand_in(driver, "");
    let shapes = [
        (INVOKE, "invoke", ""),
        (INVOKE, "invoke", "framing=chunked;"),
        (INVOKE, "invoke", "framing=close;"),
        (CONVERSE, "converse", ""),
        (CONVERSE, "converse", "framing=chunked;"),
        (CONVERSE, "converse", "framing=close;"),
        (STREAM, "invoke-with-response-stream", ""),
        (STREAM, "invoke-with-response-stream", "frames_per_write=100;"),
        (CONVERSE_STREAM, "converse-stream", ""),
    ];
    let mut answers = Vec::new();
    for (line, _, framing) in shapes {
        for (output, directives) in
            [(8, "frames=8"), (3, "frames=3; cache_read=1000; cache_write=5")]
        {
            let answer = books.ask(line, &format!("{framing}{directives}"));
            assert_eq!((answer.head.status, answer.end), (200, End::Clean), "{line} {framing}");
            answers.push((line, output, answer));
        }
    }
    let rows = books.rows(2 * shapes.len());
    for ((row, (line, output, answer)), at) in rows.iter().zip(&answers).zip(0..) {
        let is_cached = *output == 3;
        let (read, write) = if is_cached { (1000, 5) } else { (0, 0) };
        let cost = 10 * INPUT + output * OUTPUT + read * CACHE_READ + write * CACHE_WRITE;
        let is_stream = [STREAM, CONVERSE_STREAM].contains(line);
        // Converse says for how long only of what was written.
        let is_split = [INVOKE, STREAM].contains(line) || is_cached;
        let writes =
            if is_split { [json!(write), Value::Null] } else { [Value::Null, json!(write)] };
        check(
            row,
            &json!({
                "call_type": shapes[at / 2].1, "outcome": "whole", "status": "success",
                "http_status": 200, "error": null, "attempts": 1, "stream": is_stream,
                "input_tokens": 10, "completion_tokens": output, "cache_read_tokens": read,
                "cache_write_5m_tokens": writes[0], "cache_write_unsplit_tokens": writes[1],
                "prompt_tokens": 10 + read + write, "total_tokens": 10 + read + write + output,
                "cost_pico": cost, "spend": dollars(cost), "unknown_cost": null,
                "usage_partial": false, "request_bytes": 40, "answer_bytes": answer.content.len(),
                "upstream_request_id": answer.head.field("x-amzn-requestid"),
                "litellm_call_id": null, "core": 0,
            }),
        );
        check_names(row, &format!("https://localhost:{}", stand_in.address().port()));
        check_times(row, is_stream);
    }
    let total: u64 = rows.iter().map(|row| row["cost_pico"].as_u64().expect("known")).sum();
    assert_eq!(books.metric("outcrop_spend_pico_usd_total", ""), total);
}

fn check_names(row: &Value, api_base: &str) {
    check(
        row,
        &json!({
            "model": MODEL, "model_group": "claude", "region": "us-east-1", "api_base": api_base,
            "api_key": "litellm_proxy_master_key", "custom_llm_provider": "bedrock",
            "requester_ip_address": "127.0.0.1",
        }),
    );
    assert!(!row.to_string().contains(KEY));
}

/// Nothing ends before it begins, and our part is part of the whole.
fn check_times(row: &Value, is_stream: bool) {
    let us = |name: &str| row[name].as_u64().expect(name);
    assert!(us("overhead_us") <= us("total_us"), "{row:#}");
    assert!(us("first_byte_us") >= 1 && us("first_byte_us") <= us("first_content_us"), "{row:#}");
    assert!(us("first_content_us") <= us("total_us"), "{row:#}");
    assert!(row["startTime"].as_str() <= row["completionStartTime"].as_str(), "{row:#}");
    assert!(row["completionStartTime"].as_str() <= row["endTime"].as_str(), "{row:#}");
    assert!(us("request_duration_ms") == us("total_us") / 1000, "{is_stream} {row:#}");
}

/// What the stand-in answers to 40 bytes.
fn recorded(driver: DriverChoice, line: &str) -> Answer {
    let (books, _stand_in) = Books::with_stand_in(driver, "");
    let answer = books.ask(line, "frames=2; cache_read=7; cache_write=5");
    assert_eq!((answer.head.status, answer.end), (200, End::Clean));
    answer
}

/// Each byte goes alone: the next is not sent before the client has the last.
fn a_body_cut_anywhere(driver: DriverChoice) {
    let upstream = ByHand::start();
    let books = Books::start(driver, None, &[Deployment::plain(upstream.address())], "");
    let mut client = books.connect();
    let shapes = [
        (INVOKE, "application/json"),
        (CONVERSE, "application/json"),
        (STREAM, STREAM_TYPE),
        (CONVERSE_STREAM, STREAM_TYPE),
    ];
    let mut hand = None;
    for (line, content_type) in shapes {
        let recorded = recorded(driver, line).content;
        client.send(request(line, BEARER, &[b'x'; 40]));
        let hand = hand.get_or_insert_with(|| upstream.accept());
        hand.request();
        hand.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n"
        ));
        client.head().expect("a head");
        for byte in &recorded {
            hand.send([b"1\r\n", &[*byte][..], b"\r\n"].concat());
            assert_eq!(client.chunk(), Ok(vec![*byte]));
        }
        hand.send("0\r\n\r\n");
        assert_eq!(client.chunk(), Ok(vec![]));
    }
    let cost = 10 * INPUT + 2 * OUTPUT + 7 * CACHE_READ + 5 * CACHE_WRITE;
    for (row, (line, _)) in books.rows(shapes.len()).iter().zip(shapes) {
        let expected = json!({
            "call_type": line.rsplit(['/', ' ']).nth(2), "outcome": "whole", "input_tokens": 10, "completion_tokens": 2, "cache_read_tokens": 7,
            "cost_pico": cost, "usage_partial": false, "status": "success",
        });
        check(row, &expected);
    }
}

/// The head's fields tell what is too far down in the content; without them nothing does.
fn a_body_beyond_the_scan(driver: DriverChoice) {
    let (books, _stand_in) = Books::with_stand_in(driver, "");
    let told = outcrop::limits::USAGE_CONFIRM_BYTES_MAX;
    // Words of eight bytes, on average: the usage stands behind all of them.
    let frames = told / 4;
    let answer = books.ask(INVOKE, &format!("frames={frames}"));
    assert!(answer.content.len() > told && answer.end == End::Clean);
    let bytes = outcrop::limits::USAGE_SCAN_BYTES_MAX + (1 << 20);
    let large = books.ask(CONVERSE, &format!("answer_bytes={bytes}"));
    assert_eq!((large.content.len(), large.end), (bytes, End::Clean));
    let rows = books.rows(2);
    let output = frames as u64;
    check(
        &rows[0],
        &json!({
            "input_tokens": 10, "completion_tokens": output, "cost_pico": 10 * INPUT + output * OUTPUT,
            "usage_partial": false, "outcome": "whole", "told_output_tokens": null,
        }),
    );
    check(
        &rows[1],
        &json!({
            "input_tokens": null, "completion_tokens": null, "total_tokens": null, "cost_pico": null,
            "spend": null, "unknown_cost": "no_usage", "usage_partial": true, "outcome": "whole",
            "status": "success", "answer_bytes": bytes,
        }),
    );
    assert_eq!(books.metric("outcrop_unknown_cost_total", "reason=\"no_usage\""), 1);
}

fn a_body_that_is_compressed(driver: DriverChoice) {
    let upstream = ByHand::start();
    let books = Books::start(driver, None, &[Deployment::plain(upstream.address())], "");
    let mut client = books.connect();
    let fields = "x-amzn-bedrock-input-token-count: 11\r\nx-amzn-bedrock-output-token-count: 7\r\n";
    let mut hand = None;
    // Not gzip at all: whoever looked into it would find other numbers, or fall over.
    let lie = br#"{"usage":{"input_tokens":1,"output_tokens":1,"inputTokens":1,"outputTokens":1}}"#;
    for (line, fields) in [(INVOKE, fields), (CONVERSE, "")] {
        client.send(request(line, BEARER, &[b'x'; 40]));
        let hand = hand.get_or_insert_with(|| upstream.accept());
        hand.request();
        hand.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n{fields}\
             Content-Length: {}\r\n\r\n",
            lie.len()
        ));
        hand.send(lie);
        let answer = client.answer();
        assert_eq!((answer.content.as_slice(), answer.end), (&lie[..], End::Clean));
    }
    let rows = books.rows(2);
    let cost = 11 * INPUT + 7 * OUTPUT;
    check(&rows[0], &json!({"input_tokens": 11, "completion_tokens": 7, "cost_pico": cost}));
    check(&rows[1], &json!({"input_tokens": null, "cost_pico": null, "unknown_cost": "no_usage"}));
}

fn call_ids_of_clients(driver: DriverChoice) {
    let (books, _stand_in) = Books::with_stand_in(driver, "");
    let uuid = "0193a5f4-9c1d-7cc2-b1d3-5f6a7b8c9d0e";
    let long = "a-call-id-that-is-longer-than-a-uuid-by-far";
    let mut client = books.connect();
    for id in [uuid, long] {
        let fields = format!("{BEARER}x-litellm-call-id: {id}\r\n");
        let answer = client.ask(request(INVOKE, &fields, b"{}"));
        assert_eq!(answer.head.field("x-litellm-call-id"), Some(id), "the client gets all of it");
    }
    let rows = books.rows(2);
    check(&rows[0], &json!({"litellm_call_id": uuid}));
    check(&rows[1], &json!({"litellm_call_id": &long[..36]}));
    let is_marked = |row: &Value| row["marks"].to_string().contains("call_id_cut");
    assert!(!is_marked(&rows[0]) && is_marked(&rows[1]), "{rows:#?}");
    let ask = format!("GET /spend/logs?request_id={uuid} HTTP/1.1\r\nHost: x\r\n{BEARER}\r\n");
    let found = client.ask(ask).json();
    assert_eq!(found.as_array().map(Vec::len), Some(1), "{found:#}");
}

fn heads_tell_what_is_known(driver: DriverChoice) {
    let (books, stand_in) = Books::with_stand_in(driver, "");
    let base = format!("https://localhost:{}", stand_in.address().port());
    for (line, directives) in [
        (INVOKE, ""),
        (STREAM, "frames=3"),
        (CONVERSE, "frames=40000"),
        (INVOKE, "throttle"),
        (INVOKE, "delay_ms=20; frames=1"),
    ] {
        let answer = books.ask(line, directives);
        let field = |name| answer.head.field(name);
        assert_eq!(field("x-litellm-model-api-base"), Some(&*base), "{line} {directives}");
        let overhead = field("x-litellm-overhead-duration-ms").expect("it is known by now");
        let (ms, us) = overhead.split_once('.').expect("a decimal");
        let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        assert!(is_number(ms) && is_number(us) && us.len() == 3, "{overhead}");
        assert!(ms.parse::<u64>().is_ok_and(|ms| ms < 20_000), "{overhead}");
        let known = answer.head.status == 200 && line == INVOKE;
        assert_eq!(field("x-litellm-response-cost").is_some(), known, "{line} {directives}");
    }
    let answer = books.connect().ask(request(INVOKE, "", b"{}"));
    for name in ["model-api-base", "overhead-duration-ms", "response-cost"] {
        assert_eq!(answer.head.field(&format!("x-litellm-{name}")), None, "AWS was not asked");
    }
    books.rows(5);
}

fn report(books: &Books) -> Value {
    let ask = "GET /global/spend/report?group_by=deployment HTTP/1.1\r\nHost: x\r\n";
    let answer = books.connect().ask(format!("{ask}{BEARER}\r\n"));
    assert_eq!(answer.head.status, 200, "{}", answer.content.escape_ascii());
    answer.json()
}

fn a_model_without_a_price(driver: DriverChoice) {
    let unlisted =
        |it: Deployment| vec![it.of("bedrock/anthropic.claude-unlisted-v9:0").with_id("unlisted")];
    let (books, _stand_in) = Books::with_deployments(driver, unlisted, "");
    assert_eq!(books.ask(INVOKE, "frames=4").head.field("x-litellm-response-cost"), None);
    books.ask(STREAM, "frames=4");
    books.rows(2);
    assert_eq!(books.metric("outcrop_unknown_cost_total", "reason=\"no_rate\""), 2);
    let metrics = books.metrics();
    let spend = metrics.lines().filter(|line| line.starts_with("outcrop_spend_pico_usd_total{"));
    assert!(
        !spend.into_iter().any(|line| line.contains("unlisted")),
        "unknown is not 0: {metrics}"
    );
    books.ask(INVOKE, "status=500");
    let rows = books.rows(3);
    for row in &rows[..2] {
        check(
            row,
            &json!({
                "input_tokens": 10, "completion_tokens": 4, "cost_pico": null, "spend": null,
                "unknown_cost": "no_rate", "status": "success",
            }),
        );
    }
    check(&rows[2], &json!({"cost_pico": 0, "spend": "0", "unknown_cost": null}));
    let report = report(&books);
    let expected = json!({
        "spend": "0", "requests": 3, "unknown": 2, "input_tokens": 20, "output_tokens": 8,
    });
    check(&report["total"], &expected);
    check(&report["data"][0], &json!({"group": "unlisted", "unknown": 2}));
}

/// Its id says nothing of the model: what it costs, and how its answers are read, is `base_model`'s.
fn an_application_profile(driver: DriverChoice) {
    const PROFILE: &str =
        "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3d4e5f6";
    let profile =
        |it: Deployment| vec![it.of(&format!("bedrock/{PROFILE}")).info("base_model", MODEL)];
    let (books, stand_in) = Books::with_deployments(driver, profile, "");
    for line in [INVOKE, CONVERSE, STREAM, CONVERSE_STREAM] {
        let answer = books.ask(line, "frames=6; cache_read=11");
        assert_eq!((answer.head.status, answer.end), (200, End::Clean), "{line}");
    }
    assert!(stand_in.record().seen().iter().all(|seen| seen.model_id == PROFILE));
    let cost = 10 * INPUT + 6 * OUTPUT + 11 * CACHE_READ;
    for row in books.rows(4) {
        check(
            &row,
            &json!({
                "model": PROFILE, "model_group": "claude", "input_tokens": 10,
                "completion_tokens": 6, "cache_read_tokens": 11, "cost_pico": cost,
            }),
        );
    }
}

fn without_a_ledger(driver: DriverChoice) {
    let upstream = ByHand::start();
    let off = "outcrop:\n  ledger:\n    enabled: false\n";
    let proxy = Proxy::start(driver, None, &[Deployment::plain(upstream.address())], off);
    let mut client = proxy.connect();
    client.send(request(INVOKE, &mock("frames=1"), b"{}"));
    let mut hand = upstream.accept();
    hand.request();
    hand.answer(b"served");
    assert_eq!(client.answer().content, b"served");
    for page in ["/spend/logs", "/global/spend/report"] {
        let ask = format!("GET {page} HTTP/1.1\r\nHost: x\r\n{BEARER}\r\n");
        let answer = client.ask(ask);
        assert_eq!(answer.head.status, 503, "{}", answer.content.escape_ascii());
        let message = answer.json()["message"].to_string();
        assert!(message.contains("outcrop.ledger.enabled"), "{message}");
    }
    let metrics = client.ask(format!("GET /metrics HTTP/1.1\r\nHost: x\r\n{BEARER}\r\n"));
    assert_eq!(metrics.head.status, 200);
}
