//! What only the control plane can answer, through a core: metrics, spend, prices.

use outcrop::control_plane::config::DriverChoice;
use serde_json::{Value, json};

use crate::http::{Answer, Client, End, chunked_request, request};
use crate::proxy::{BEARER, Deployment, INVOKE, MODEL, Pair, Proxy, under_both_drivers};
use crate::running::free_port;

under_both_drivers!(
    metrics_are_for_those_with_a_key,
    metrics_may_be_opened_to_all,
    a_price_is_asked_for_in_any_framing,
    a_wrong_question_is_refused_as_aws_would,
    pages_take_their_turn_among_requests,
    a_page_that_nobody_waits_for_harms_nobody,
);

const CALCULATE: &str = "POST /spend/calculate HTTP/1.1";

/// A proxy that has nobody to ask.
fn alone(driver: DriverChoice, settings: &str) -> Proxy {
    let at = ([127, 0, 0, 1], free_port()).into();
    Proxy::start(driver, None, &[Deployment::plain(at)], settings)
}

fn get(target: &str, fields: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

fn check_metrics(answer: &Answer) {
    assert_eq!((answer.head.status, answer.end), (200, End::Clean), "{answer:?}");
    let field = |name| answer.head.field(name);
    assert_eq!(field("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(field("x-litellm-call-id").is_some() && field("date").is_some());
    let text = String::from_utf8(answer.content.clone()).expect("UTF-8");
    assert!(text.contains("outcrop_build_info{version=\""), "{text}");
    assert!(text.ends_with('\n') && text.lines().all(|line| !line.is_empty()), "{text}");
}

fn metrics_are_for_those_with_a_key(driver: DriverChoice) {
    let proxy = alone(driver, "");
    let mut client = proxy.connect();
    client.ask(get("/metrics", "")).check_fault(403, "MissingAuthenticationTokenException");
    for target in ["/metrics", "/metrics/", "/metrics?x=y"] {
        check_metrics(&client.ask(get(target, BEARER)));
    }
    // RFC 9110 §9.3.2: GET's fields, no content, and the next answer in its place.
    client.send(get("/metrics", BEARER).replace("GET", "HEAD"));
    let head = client.head().expect("a head");
    assert!(head.status == 200 && head.field("content-length").is_some_and(|it| it != "0"));
    let wrong = client.ask(request("POST /metrics HTTP/1.1", BEARER, b"{}"));
    wrong.check_fault(405, "UnknownOperationException");
    assert_eq!(wrong.head.field("allow"), Some("GET, HEAD"));
    check_metrics(&client.ask(get("/metrics", BEARER)));
}

fn metrics_may_be_opened_to_all(driver: DriverChoice) {
    let open = "litellm_settings:\n  require_auth_for_metrics_endpoint: false\n";
    let proxy = alone(driver, open);
    let mut client = proxy.connect();
    check_metrics(&client.ask(get("/metrics", "")));
    check_metrics(&client.ask(get("/metrics", "api-key: wrong\r\n")));
    for target in ["/spend/logs", "/global/spend/report"] {
        client.ask(get(target, "")).check_fault(403, "MissingAuthenticationTokenException");
    }
}

fn cost(answer: &Answer) -> Value {
    assert_eq!((answer.head.status, answer.end), (200, End::Clean), "{answer:?}");
    answer.check_own();
    answer.json()["cost"].clone()
}

fn a_price_is_asked_for_in_any_framing(driver: DriverChoice) {
    let proxy = alone(driver, "");
    let mut client = proxy.connect();
    let usage = json!({"prompt_tokens": 1000, "completion_tokens": 10});
    for model in ["claude", MODEL] {
        let content = json!({"model": model, "usage": usage}).to_string().into_bytes();
        // $0.80 and $4 a million tokens.
        let answer = client.ask(request(CALCULATE, BEARER, &content));
        assert_eq!(cost(&answer), "0.00084", "{answer:?}");
        let chunked = chunked_request(CALCULATE, BEARER, &content, &[7], ("", ""));
        assert_eq!(cost(&client.ask(chunked)), "0.00084");
    }
    client
        .ask(request(CALCULATE, "", b"{}"))
        .check_fault(403, "MissingAuthenticationTokenException");
}

fn a_wrong_question_is_refused_as_aws_would(driver: DriverChoice) {
    let proxy = alone(driver, "");
    let mut client = proxy.connect();
    let refused = |client: &mut Client, target: &str, part: &str| {
        let answer = client.ask(get(target, BEARER));
        answer.check_fault(400, "ValidationException");
        let message = answer.json()["message"].to_string();
        assert!(message.contains(part), "{message}");
    };
    refused(&mut client, "/global/spend/report?group_by=team", "model, deployment, api_key or day");
    refused(&mut client, "/spend/logs?limit=0", "limit");
    client
        .ask(get(CALCULATE.split(' ').nth(1).expect("a path"), BEARER))
        .check_fault(405, "UnknownOperationException");
    client.ask(request(CALCULATE, BEARER, b"{")).check_fault(400, "ValidationException");
    let large = format!("{BEARER}Content-Length: {}\r\n", (1 << 20) + 1);
    client.send(format!("{CALCULATE}\r\nHost: a\r\n{large}\r\n"));
    let head = client.head().expect("a refusal before the content");
    assert_eq!(head.status, 413);
    // Content of unknown length is counted as it comes.
    let mut client = proxy.connect();
    let large = vec![b' '; (1 << 20) + 1];
    let answer = client.ask(chunked_request(CALCULATE, BEARER, &large, &[1 << 16], ("", "")));
    answer.check_fault(413, "RequestEntityTooLargeException");
}

fn pages_take_their_turn_among_requests(driver: DriverChoice) {
    let pair = Pair::start(driver);
    let mut client = pair.proxy.connect();
    let content = json!({"model": "claude", "usage": {"prompt_tokens": 1, "completion_tokens": 0}});
    let all = [
        request(INVOKE, BEARER, b"{}"),
        request(CALCULATE, BEARER, content.to_string().as_bytes()),
        get("/metrics", BEARER).into(),
        request(INVOKE, BEARER, b"{}"),
        get("/global/spend/report?group_by=x", BEARER).into(),
    ];
    client.send(all.concat());
    assert_eq!(client.answer().head.status, 200);
    assert_eq!(cost(&client.answer()), "0.0000008");
    check_metrics(&client.answer());
    assert_eq!(client.answer().head.status, 200);
    client.answer().check_fault(400, "ValidationException");
}

fn a_page_that_nobody_waits_for_harms_nobody(driver: DriverChoice) {
    let proxy = alone(driver, "");
    for _ in 0..200 {
        let mut client = proxy.connect();
        client.send(get("/metrics", BEARER));
    }
    check_metrics(&proxy.connect().ask(get("/metrics", BEARER)));
}
