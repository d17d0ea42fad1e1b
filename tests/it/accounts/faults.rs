//! What goes wrong at AWS's side or on the way there: still one row each, and what was told by then.

use outcrop::control_plane::config::DriverChoice;
use outcrop::mock_bedrock::{RawStep, RawUpstream};
use serde_json::{Value, json};

use super::books::{Books, CONVERSE, CONVERSE_STREAM, INPUT, OUTPUT, check};
use crate::http::{End, request};
use crate::proxy::{BEARER, ByHand, Deployment, INVOKE, STREAM, under_both_drivers};
use crate::running::free_port;

under_both_drivers!(
    errors_cost_nothing,
    an_exception_in_a_stream_is_named,
    a_corrupt_stream_is_said_to_be_one,
    a_stream_that_ends_within_a_frame,
    an_answer_that_is_cut,
    no_answer_at_all,
    no_connection_at_all,
    a_stale_connection_makes_one_row,
    what_is_refused_has_a_line_and_no_row,
);

/// What of a Claude stream's usage is known after its first frame, `message_start`: the input, and the one
/// token that it announces as begun.
const BEGUN: u64 = 10 * INPUT + OUTPUT;

fn errors_cost_nothing(driver: DriverChoice) {
    let (books, _stand_in) = Books::with_stand_in(driver, "");
    let errors = [
        ("throttle", 429, "ThrottlingException"),
        ("status=400", 400, "ValidationException"),
        ("status=403", 403, "AccessDeniedException"),
        ("status=424", 424, "ModelErrorException"),
        ("status=500", 500, "InternalServerException"),
        ("status=503", 503, "ServiceUnavailableException"),
    ];
    for (directives, status, _) in errors {
        for line in [INVOKE, STREAM, CONVERSE] {
            let answer = books.ask(line, directives);
            assert_eq!((answer.head.status, answer.end), (status, End::Clean), "{directives}");
        }
    }
    for (row, at) in books.rows(18).iter().zip(0..) {
        let (_, status, error) = errors[at / 3];
        let expected = json!({
            "outcome": "whole", "status": "failure", "http_status": status, "error": error,
            "cost_pico": 0, "spend": "0", "unknown_cost": null, "input_tokens": null,
            "total_tokens": null, "usage_partial": false, "attempts": 1, "stream": false,
        });
        check(row, &expected);
    }
    assert_eq!(books.metric("outcrop_unknown_cost_total", ""), 0);
    let failed = "litellm_deployment_failure_responses_total";
    assert_eq!(books.metric(failed, "exception_class=\"ThrottlingException\""), 3);
}

fn an_exception_in_a_stream_is_named(driver: DriverChoice) {
    let (books, _stand_in) = Books::with_stand_in(driver, "");
    let cases = [
        (STREAM, "first:throttlingException", "ThrottlingException", None),
        (STREAM, "mid:modelStreamErrorException", "ModelStreamErrorException", Some(BEGUN)),
        (CONVERSE_STREAM, "first:validationException", "ValidationException", None),
        // Converse tells nothing before its end.
        (CONVERSE_STREAM, "mid:internalServerException", "InternalServerException", None),
    ];
    for (line, directives, ..) in cases {
        let answer = books.ask(line, &format!("frames=8; exception={directives}"));
        assert_eq!((answer.head.status, answer.end), (200, End::Clean), "{directives}");
    }
    for (row, (.., error, cost)) in books.rows(cases.len()).iter().zip(cases) {
        let expected = json!({
            "outcome": "whole", "status": "failure", "http_status": 200, "error": error,
            "stream": true, "usage_partial": true, "cost_pico": cost,
            "input_tokens": cost.map(|_| 10),
            "unknown_cost": if cost.is_none() { json!("no_usage") } else { Value::Null },
        });
        check(row, &expected);
        assert!(row["marks"].to_string().contains("stream_exception"), "{row:#}");
    }
    assert_eq!(books.metric("outcrop_stream_exceptions_total", ""), 4);
    assert_eq!(books.metric("outcrop_partial_usage_total", ""), 4);
    assert_eq!(books.metric("litellm_proxy_failed_requests_metric_total", ""), 4);
}

fn a_corrupt_stream_is_said_to_be_one(driver: DriverChoice) {
    let two = |it: Deployment| vec![it.with_id("one")];
    let (books, _stand_in) = Books::with_deployments(driver, two, "");
    let cases = [
        (STREAM, "bad_crc=1", None),
        (STREAM, "bad_prelude=1", None),
        (STREAM, "bad_crc=2", Some((10, 1))),
        (STREAM, "bad_prelude=7", Some((10, 1))),
        // AWS's own count is in the frame that broke; the model's came before.
        (STREAM, "frames=8; bad_crc=13", Some((10, 8))),
        (CONVERSE_STREAM, "frames=8; bad_crc=12", None),
        (CONVERSE_STREAM, "bad_prelude=2", None),
    ];
    let mut passed = Vec::new();
    for (line, directives, _) in cases {
        let answer = books.ask(line, directives);
        // Before its first frame is there, the client can still be told.
        if directives.ends_with("=1") {
            answer.check_fault(502, "InternalServerException");
            passed.push((0, 502, json!("InternalServerException")));
        } else {
            assert_eq!(answer.head.status, 200, "{directives}");
            assert_ne!(answer.end, End::Clean, "{directives}");
            passed.push((answer.content.len(), 200, Value::Null));
        }
    }
    for ((row, (.., usage)), passed) in books.rows(cases.len()).iter().zip(cases).zip(passed) {
        let cost = usage.map(|(input, output)| input * INPUT + output * OUTPUT);
        let (passed, status, error) = passed;
        let expected = json!({
            "outcome": "stream_corrupt", "status": "failure", "http_status": status, "error": error,
            "stream": true, "usage_partial": true, "answer_bytes": passed, "cost_pico": cost,
            "input_tokens": usage.map(|it| it.0), "completion_tokens": usage.map(|it| it.1),
        });
        check(row, &expected);
    }
    let label = "model_id=\"one\"";
    assert_eq!(books.metric("outcrop_corrupt_streams_total", label), cases.len() as u64);
    assert_eq!(books.metric("outcrop_outcomes_total", "stream_corrupt"), cases.len() as u64);
}

/// By HTTP it is whole, in each of the ways in which content can end.
fn a_stream_that_ends_within_a_frame(driver: DriverChoice) {
    let (recorder, _stand_in) = Books::with_stand_in(driver, "");
    let whole = recorder.ask(STREAM, "frames=8").content;
    let upstream = ByHand::start();
    let books = Books::start(driver, None, &[Deployment::plain(upstream.address())], "");
    let part = &whole[..whole.len() - 1];
    let typed = "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.amazon.eventstream\r\n";
    let length = part.len();
    let framings = [
        (format!("Content-Length: {length}\r\n\r\n"), ""),
        (format!("Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n"), "\r\n0\r\n\r\n"),
        ("\r\n".to_owned(), ""),
    ];
    let mut passed = Vec::new();
    for (head, last) in &framings {
        let mut client = books.connect();
        client.send(request(STREAM, BEARER, &[b'x'; 40]));
        let mut hand = upstream.accept();
        hand.request();
        hand.send([typed.as_bytes(), head.as_bytes(), part, last.as_bytes()].concat());
        drop(hand);
        let answer = client.answer();
        assert_ne!(answer.end, End::Clean, "{head}");
        assert!(answer.content.len() <= length, "{head}");
        passed.push(answer.content.len());
    }
    for (row, passed) in books.rows(framings.len()).iter().zip(passed) {
        let expected = json!({
            "outcome": "stream_corrupt", "status": "failure", "input_tokens": 10,
            "completion_tokens": 8, "usage_partial": true, "answer_bytes": passed,
            "cost_pico": 10 * INPUT + 8 * OUTPUT,
        });
        check(row, &expected);
    }
}

fn an_answer_that_is_cut(driver: DriverChoice) {
    let (books, _stand_in) = Books::with_stand_in(driver, "");
    let all = Some(10 * INPUT + 8 * OUTPUT);
    // The head's fields came whole, so the count is whole.
    let cases = [
        (INVOKE, "close=in_content", all, false),
        (INVOKE, "reset=in_content", all, false),
        (INVOKE, "short_content=1", all, false),
        (CONVERSE, "close=in_content", None, true),
        (CONVERSE, "reset=in_content", None, true),
        (STREAM, "close=in_content", Some(BEGUN), true),
        (STREAM, "reset=in_content", Some(BEGUN), true),
        (STREAM, "close=after_frames:1", Some(BEGUN), true),
        (STREAM, "close=after_frames:13", all, false),
        (CONVERSE_STREAM, "close=after_frames:11", None, true),
        (CONVERSE_STREAM, "close=after_frames:12", all, false),
    ];
    for (line, directives, ..) in cases {
        let answer = books.ask(line, &format!("frames=8; {directives}"));
        assert_eq!(answer.head.status, 200, "{directives}");
        // Between two frames the stream itself says that it broke off.
        let is_told = directives.contains("after_frames");
        assert_eq!(answer.end == End::Clean, is_told, "{directives}");
        let content = answer.content.escape_ascii().to_string();
        assert_eq!(content.contains("modelStreamErrorException"), is_told, "{directives}");
    }
    for (row, (.., cost, is_partial)) in books.rows(cases.len()).iter().zip(cases) {
        let expected = json!({
            "outcome": "answer_cut", "status": "failure", "http_status": 200, "attempts": 1,
            "cost_pico": cost, "usage_partial": is_partial, "input_tokens": cost.map(|_| 10),
            "unknown_cost": if cost.is_none() { json!("no_usage") } else { Value::Null },
        });
        check(row, &expected);
    }
    books.ask(STREAM, "close=after_frames:0").check_fault(502, "InternalServerException");
    let row = books.rows(cases.len() + 1).pop().expect("a row");
    let expected = json!({
        "outcome": "answer_cut", "status": "failure", "http_status": 502, "cost_pico": null,
        "usage_partial": true, "answer_bytes": 0, "unknown_cost": "no_usage",
    });
    check(&row, &expected);
}

fn no_answer_at_all(driver: DriverChoice) {
    let (books, stand_in) = Books::with_stand_in(driver, "");
    let cases = ["close=before_head", "reset=before_head", "close=in_head", "reset=in_head"];
    for directives in cases {
        for line in [INVOKE, STREAM] {
            books.ask(line, directives).check_fault(502, "InternalServerException");
        }
    }
    for row in books.rows(8) {
        let expected = json!({
            "outcome": "no_answer", "status": "failure", "http_status": 502,
            "error": "InternalServerException", "cost_pico": null, "spend": null,
            "unknown_cost": "no_usage", "attempts": 1, "answer_bytes": 0, "upstream_request_id": null,
            "input_tokens": null, "first_byte_us": null,
        });
        check(&row, &expected);
    }
    assert_eq!(stand_in.record().requests(), 8);
    assert_eq!(books.metric("outcrop_unknown_cost_total", "reason=\"no_usage\""), 8);
    assert_eq!(books.metric("outcrop_outcomes_total", "no_answer"), 8);
}

/// AWS saw nothing: the store has nothing to say.
fn no_connection_at_all(driver: DriverChoice) {
    let nobody = ([127, 0, 0, 1], free_port()).into();
    let books = Books::start(driver, None, &[Deployment::plain(nobody).with_id("nobody")], "");
    for _ in 0..2 {
        books.ask(INVOKE, "").check_fault(503, "ServiceUnavailableException");
    }
    for line in books.lines(2) {
        let expected = json!({
            "outcome": "not_sent", "status": 503, "error": "ServiceUnavailableException",
            "model_id": "nobody", "call_type": "invoke", "request_bytes": 40,
        });
        check(&line, &expected);
        assert!(line.get("spend_unknown").is_none(), "it cost nothing: {line:#}");
    }
    assert_eq!(books.rows(0), [Value::Null; 0]);
    assert_eq!(books.metric("outcrop_outcomes_total", "not_sent"), 2);
    assert_eq!(books.metric("outcrop_unknown_cost_total", ""), 0);
    assert_eq!(books.metric("litellm_deployment_failure_responses_total", "nobody"), 2);
}

fn a_stale_connection_makes_one_row(driver: DriverChoice) {
    use RawStep::{Close, ReadRequest, Reset, Write};
    let json = r#"{"usage":{"input_tokens":3,"output_tokens":2}}"#;
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length:";
    let ok = format!("{head} {}\r\n\r\n{json}", json.len());
    let scripts = vec![
        vec![ReadRequest, Write(ok.clone().into()), ReadRequest, Close],
        vec![ReadRequest, Write(ok.into()), ReadRequest, Reset],
        vec![ReadRequest, Close],
    ];
    let upstream = RawUpstream::start_each(None, scripts).expect("an upstream");
    let books = Books::start(driver, None, &[Deployment::plain(upstream.address())], "");
    for status in [200, 200, 502] {
        assert_eq!(books.ask(INVOKE, "").head.status, status);
    }
    assert_eq!(upstream.requests().len(), 5, "both of those that met a close came twice");
    let rows = books.rows(3);
    let cost = 3 * INPUT + 2 * OUTPUT;
    check(&rows[0], &json!({"attempts": 1, "outcome": "whole", "cost_pico": cost}));
    check(&rows[1], &json!({"attempts": 2, "outcome": "whole", "cost_pico": cost}));
    let lost = json!({
        "attempts": 2, "outcome": "no_answer", "cost_pico": null, "unknown_cost": "no_usage",
    });
    check(&rows[2], &lost);
    assert_eq!(books.metric("outcrop_spend_pico_usd_total", ""), 2 * cost);
    assert_eq!(books.lines(3).len(), 3);
}

fn what_is_refused_has_a_line_and_no_row(driver: DriverChoice) {
    let (books, stand_in) = Books::with_stand_in(driver, "");
    let unknown = INVOKE.replace("claude", "no-such-model");
    let no_length =
        format!("{INVOKE}\r\nHost: x\r\n{BEARER}Content-Length: -1\r\n\r\n").into_bytes();
    let large =
        format!("{INVOKE}\r\nHost: x\r\n{BEARER}Content-Length: 99999999\r\n\r\n").into_bytes();
    let cases = [
        (request(INVOKE, "api-key: sk-wrong\r\n", b"{}"), 403, false),
        (request(INVOKE, "", b"{}"), 403, false),
        (request(&unknown, BEARER, b"{}"), 404, true),
        (b"NO HEAD\r\n\r\n".to_vec(), 400, false),
        (no_length, 400, false),
        (large, 413, true),
        (request(&INVOKE.replace("POST", "GET"), BEARER, b""), 405, true),
    ];
    let mut errors = Vec::new();
    for (bytes, status, _) in &cases {
        let answer = books.connect().ask(bytes);
        assert_eq!(answer.head.status, *status, "{}", bytes.escape_ascii());
        errors.push(answer.head.field("x-amzn-errortype").expect("a name").to_owned());
    }
    let pages = format!("GET /health/liveliness HTTP/1.1\r\nHost: x\r\n{BEARER}\r\n");
    assert_eq!(books.connect().ask(pages).head.status, 200);
    for ((line, (_, status, is_known)), error) in books.lines(7).iter().zip(cases).zip(errors) {
        let outcome = json!({"outcome": "refused", "status": status, "error": error});
        check(line, &outcome);
        assert_eq!(line.get("api_key").is_some(), is_known, "{line:#}");
        assert!(line.get("spend_unknown").is_none() && line.get("request_id").is_some());
        assert_eq!(line["requester_ip_address"], "127.0.0.1");
        assert!(!line.to_string().contains("no-such-model"), "what a client made up: {line:#}");
    }
    assert_eq!(books.rows(0), [Value::Null; 0]);
    assert_eq!(books.metric("outcrop_outcomes_total", "refused"), 7);
    assert_eq!(stand_in.record().requests(), 0);
}
