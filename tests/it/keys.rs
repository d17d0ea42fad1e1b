//! What clients may send as a key, and what of a request goes no further than the proxy.

use outcrop::control_plane::config::DriverChoice;
use outcrop::mock_bedrock::Seen;

use crate::http::request;
use crate::proxy::{BEARER, INVOKE, KEY, Pair, under_both_drivers};

under_both_drivers!(
    a_key_may_come_in_every_form_and_goes_no_further,
    a_wrong_or_missing_key_reaches_nobody,
    only_what_means_something_to_bedrock_goes_on,
    fields_for_bedrock_arrive_byte_for_byte,
    a_field_of_ours_cannot_be_named_away,
);

/// The forms of the right key, each a header section's lines.
fn forms() -> Vec<String> {
    let signature = "SignedHeaders=host;x-amz-date, Signature=00ff";
    let scope = "20261122/eu-west-1/bedrock/aws4_request";
    vec![
        format!("Authorization: Bearer {KEY}\r\n"),
        format!("authorization: bearer  {KEY}\r\n"),
        format!("x-litellm-api-key: {KEY}\r\n"),
        format!("X-LiteLLM-API-Key: Bearer {KEY}\r\n"),
        format!("api-key: {KEY}\r\n"),
        format!("x-api-key: {KEY}\r\n"),
        format!("X-Api-Key: {KEY}\r\nAuthorization:\r\n"),
        format!("x-litellm-api-key: {KEY}\r\nAuthorization: Bearer sk-of-somebody\r\n"),
        format!(
            "Authorization: AWS4-HMAC-SHA256 Credential={KEY}/{scope}, {signature}\r\n\
             X-Amz-Date: 20261122T000000Z\r\nX-Amz-Security-Token: a-token-of-the-client\r\n\
             X-Amz-Content-SHA256: UNSIGNED-PAYLOAD\r\n"
        ),
    ]
}

/// Nothing of what only the proxy may know is in what the stand-in saw.
fn check_clean(seen: &Seen) {
    assert_eq!(seen.anomalies, [""; 0]);
    for (name, value) in &seen.fields {
        assert!(!value.contains(KEY), "{name} carries the key");
        let known = [
            "host",
            "user-agent",
            "content-length",
            "content-type",
            "accept",
            "authorization",
            "x-amz-date",
            "anthropic-beta",
            "amz-sdk-invocation-id",
            "amz-sdk-request",
        ];
        let expected = known.contains(&name.as_str()) || name.starts_with("x-amzn-bedrock-");
        assert!(expected, "{name}: {value} is nothing for AWS");
    }
    let authorization = seen.field("authorization").expect("a signature");
    assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIAOUTCROPSTANDIN00/"));
    assert_eq!(authorization.matches("us-east-1").count(), 1, "{authorization}");
}

fn a_key_may_come_in_every_form_and_goes_no_further(driver: DriverChoice) {
    let pair = Pair::start(driver);
    let mut client = pair.proxy.connect();
    for form in forms() {
        let answer = client.ask(request(INVOKE, &form, b"{}"));
        assert_eq!(answer.head.status, 200, "{form}");
        check_clean(&pair.stand_in.record().last().expect("a request"));
    }
}

fn a_wrong_or_missing_key_reaches_nobody(driver: DriverChoice) {
    let pair = Pair::start(driver);
    let mut client = pair.proxy.connect();
    let missing = "MissingAuthenticationTokenException";
    let (wrong, wrong_id) = ("AccessDeniedException", "UnrecognizedClientException");
    let basic = format!("Authorization: Digest {KEY}\r\n");
    let (longer, shorter) = (format!("api-key: {KEY}0\r\n"), format!("api-key: {}\r\n", &KEY[1..]));
    let cases = [
        ("", missing),
        ("Authorization:\r\n", missing),
        ("Cookie: key=1\r\n", missing),
        ("Authorization: Bearer\r\n", wrong),
        ("Authorization: Bearer sk-1234\r\n", wrong),
        ("Authorization: Bearer sk-of-us, sk-1234\r\n", wrong),
        ("Authorization: AWS4-HMAC-SHA256 Credential=\r\n", wrong_id),
        (&basic, wrong),
        (&longer, wrong),
        (&shorter, wrong),
    ];
    for (fields, error_type) in cases {
        let answer = client.ask(request(INVOKE, fields, b"{}"));
        answer.check_fault(403, error_type);
        let content = String::from_utf8_lossy(&answer.content).into_owned();
        assert!(!content.contains("sk-"), "an error repeats no key: {content}");
    }
    let twice = client.ask(request(INVOKE, &BEARER.repeat(2), b"{}"));
    twice.check_fault(400, "ValidationException");
    client.check_closed();
    assert_eq!(pair.stand_in.record().connections(), 0, "not even a connection was made");
}

fn only_what_means_something_to_bedrock_goes_on(driver: DriverChoice) {
    let pair = Pair::start(driver);
    let others = "Cookie: session=1\r\nX-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: https\r\n\
        X-Forwarded-Host: evil.test\r\nForwarded: for=10.0.0.1\r\nVia: 1.1 lb\r\nX-Real-IP: 10.0.0.1\r\n\
        X-LiteLLM-Tags: a\r\nx-litellm-call-id: call-1\r\nX-Amz-Date: 20200101T000000Z\r\n\
        X-Amz-Target: evil\r\nX-Amz-Security-Token: t\r\nX-Amzn-Trace-Id: Root=1\r\nTE: trailers\r\n\
        Keep-Alive: timeout=5\r\nUpgrade: h2c\r\nConnection: keep-alive, X-Mine\r\nX-Mine: 1\r\n\
        Proxy-Authorization: Basic eDp5\r\nTrailer: X-T\r\nAccept-Encoding: gzip\r\n\
        User-Agent: Boto3/1.44\r\nX-Stainless-Lang: python\r\nSec-Fetch-Mode: cors\r\nRange: bytes=0-1\r\n\
        If-None-Match: *\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nOrigin: https://a.test\r\n";
    let fields = format!("{BEARER}{others}Content-Type: application/json\r\n");
    let answer = pair.proxy.connect().ask(request(INVOKE, &fields, b"{}"));
    assert_eq!(answer.head.status, 200, "{answer:?}");
    let seen = pair.stand_in.record().last().expect("a request");
    check_clean(&seen);
    assert_eq!(seen.fields.len(), 6, "{:?}", seen.fields);
    let host = format!("localhost:{}", pair.stand_in.address().port());
    assert_eq!(seen.field("host"), Some(host.as_str()), "the deployment's, not the client's");
    assert!(seen.field("user-agent").is_some_and(|agent| agent.starts_with("outcrop/")));
}

fn fields_for_bedrock_arrive_byte_for_byte(driver: DriverChoice) {
    let pair = Pair::start(driver);
    let values = [
        ("Content-Type", "application/json; charset=utf-8 ; x=\"a, b\""),
        ("Accept", "application/json;q=0.5, */*"),
        ("X-Amzn-Bedrock-Accept", "application/json"),
        ("X-Amzn-Bedrock-Trace", "ENABLED_FULL"),
        ("x-amzn-bedrock-GuardrailIdentifier", "arn:aws:bedrock:us-east-1:1:guardrail/x"),
        ("X-AMZN-BEDROCK-GUARDRAILVERSION", "DRAFT"),
        ("X-Amzn-Bedrock-PerformanceConfig-Latency", "optimized"),
        ("X-Amzn-Bedrock-Request-Metadata", "{\"team\":\"caf\u{e9}  x\",\"n\":\"1\"}"),
        ("anthropic-beta", "context-1m-2025-08-07"),
        ("amz-sdk-invocation-id", "9f2c"),
        ("amz-sdk-request", "attempt=1; max=3"),
    ];
    let lines: String = values.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let answer = pair.proxy.connect().ask(request(INVOKE, &format!("{BEARER}{lines}"), b"{}"));
    assert_eq!(answer.head.status, 200, "{answer:?}");
    let seen = pair.stand_in.record().last().expect("a request");
    check_clean(&seen);
    for (name, value) in values {
        assert_eq!(seen.field(&name.to_ascii_lowercase()), Some(value));
    }
    assert_eq!(seen.fields.len(), values.len() + 5, "and ours: {:?}", seen.fields);
}

fn a_field_of_ours_cannot_be_named_away(driver: DriverChoice) {
    let pair = Pair::start(driver);
    for named in ["content-type", "x-amzn-bedrock-trace"] {
        let fields = format!("{BEARER}Connection: {named}\r\n{named}: x\r\n");
        let answer = pair.proxy.connect().ask(request(INVOKE, &fields, b"{}"));
        answer.check_fault(400, "ValidationException");
    }
    for named in ["authorization", "host", "content-length", "x-amz-date"] {
        let fields = format!("{BEARER}Connection: {named}\r\n");
        let answer = pair.proxy.connect().ask(request(INVOKE, &fields, b"{}"));
        if answer.head.status == 200 {
            check_clean(&pair.stand_in.record().last().expect("a request"));
        } else {
            answer.check_fault(400, "ValidationException");
        }
    }
}
