//! Keys and other fields (C18, C19): who is let in, and that nothing goes to AWS but the allow-list.

use super::rig::{INVOKE, KEY, Proxy, check_refused, check_well, invoke, plain};

/// Fields that the proxy itself sends, and those a client may.
const KNOWN_UPSTREAM: [&str; 10] = [
    "host",
    "user-agent",
    "content-length",
    "x-amz-date",
    "authorization",
    "content-type",
    "accept",
    "content-encoding",
    "amz-sdk-invocation-id",
    "amz-sdk-request",
];

fn with_fields(fields: &str) -> Vec<u8> {
    format!("POST {INVOKE} HTTP/1.1\r\nHost: x\r\n{fields}Content-Length: 2\r\n\r\n{{}}")
        .into_bytes()
}

fn status(proxy: &Proxy, request: &[u8], case: &str) -> u16 {
    let mut client = proxy.client();
    client.send(request);
    let answer = client.answer().whole(case);
    if answer.status != 200 {
        answer.check_fault(case);
    }
    answer.status
}

#[test]
fn only_the_right_key_is_let_in() {
    let (stand_in, proxy) = plain();
    for fields in [
        String::new(),
        "Authorization:\r\n".to_owned(),
        "Authorization: Bearer\r\n".to_owned(),
        "Authorization: Bearer \r\n".to_owned(),
        format!("Authorization: {KEY}\r\n"),
        format!("Authorization: Bearer{KEY}\r\n"),
        format!("Authorization: Token {KEY}\r\n"),
        format!("Authorization: Bearer {}\r\n", &KEY[..KEY.len() - 1]),
        format!("Authorization: Bearer {KEY}x\r\n"),
        format!("Authorization: Bearer {KEY} x\r\n"),
        format!("Authorization: Bearer {KEY}, Bearer {KEY}\r\n"),
        format!("Authorization: Bearer \"{KEY}\"\r\n"),
        format!("Authorization: Bearer {}\r\n", KEY.to_uppercase()),
        format!("Authorization: Bearer {KEY}\u{e9}\r\n"),
        format!("Authorization: Bearer \u{e9}{KEY}\r\n"),
        format!("Authorization: Bearer {}\r\n", KEY.repeat(500)),
        format!("Authorization: Bearer x\r\nx-api-key: {KEY}\r\n"),
        "Authorization: AWS4-HMAC-SHA256\r\n".to_owned(),
        "Authorization: AWS4-HMAC-SHA256 Credential=/20261122/us-east-1/bedrock/aws4_request\r\n".to_owned(),
        format!("Authorization: AWS4-HMAC-SHA256 Credential={KEY}\r\n"),
        "Authorization: AWS4-HMAC-SHA256 Credential=AKIAOUTCROPSTANDIN00/20261122/us-east-1/bedrock/aws4_request, SignedHeaders=host, Signature=0\r\n".to_owned(),
        format!("Cookie: key={KEY}\r\n"),
        format!("Proxy-Authorization: Bearer {KEY}\r\n"),
        format!("X_Api_Key: {KEY}\r\n"),
        format!("X-Amz-Security-Token: {KEY}\r\n"),
    ] {
        assert_eq!(status(&proxy, &with_fields(&fields), &fields), 403, "{fields}");
    }
    for target in
        [format!("{INVOKE}?api-key={KEY}"), format!("{INVOKE}?Authorization=Bearer%20{KEY}")]
    {
        let request = format!("POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(status(&proxy, request.as_bytes(), &target), 403, "{target}");
    }
    let trailer = format!(
        "POST {INVOKE} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: Authorization\r\n\r\n\
         2\r\n{{}}\r\n0\r\nAuthorization: Bearer {KEY}\r\n\r\n"
    );
    assert_eq!(status(&proxy, trailer.as_bytes(), "a key in a trailer"), 403);
    assert_eq!(stand_in.record().requests(), 0);
    check_well(&(stand_in, proxy));
}

#[test]
fn a_key_that_is_there_twice_or_broken_is_no_key() {
    let pair = plain();
    for fields in [
        format!("Authorization: Bearer {KEY}\r\nAuthorization: Bearer {KEY}\r\n"),
        format!("Authorization: Bearer x\r\nauthorization: Bearer {KEY}\r\n"),
        format!("Authorization: Bearer {KEY}\0\r\n"),
        format!("Authorization: Bearer {KEY}\r\n x\r\n"),
        format!("x-api-key: {KEY}\r\nX-API-KEY: y\r\n"),
    ] {
        check_refused(&pair, &fields, &with_fields(&fields), &[400]);
    }
    check_well(&pair);
}

#[test]
fn nothing_goes_to_aws_but_the_allow_list() {
    let pair = plain();
    let (stand_in, proxy) = &pair;
    let fields = format!(
        "X-Amz-Date: 19700101T000000Z\r\nX-Amz-Security-Token: stolen\r\nX-Amz-Content-Sha256: UNSIGNED-PAYLOAD\r\n\
         X-Amz-Target: Evil\r\nx-amz-user-agent: evil\r\nX-Amzn-Trace-Id: Root=1\r\nx-amzn-requestid: mine\r\n\
         X-Amzn-BedrockEvil: x\r\nX_Amzn_Bedrock_Evil: x\r\nX-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Host: evil\r\n\
         Forwarded: for=evil\r\nVia: 1.1 evil\r\nX-Original-URL: /evil\r\nX-HTTP-Method-Override: DELETE\r\n\
         Cookie: secret=1\r\nUser-Agent: evil\r\nReferer: evil\r\nOrigin: evil\r\nRange: bytes=0-0\r\n\
         If-None-Match: *\r\nAccept-Encoding: gzip\r\nExpect: 100-continue\r\nTE: trailers\r\nTrailer: x\r\n\
         Keep-Alive: timeout=1\r\nProxy-Connection: close\r\nProxy-Authorization: Basic x\r\nUpgrade: h2c\r\n\
         x-litellm-api-key: {KEY}\r\napi-key: {KEY}\r\nx-api-key: {KEY}\r\nx-litellm-tags: a\r\n\
         Connection: keep-alive, X-Amz-Date, Host, Authorization, Content-Length, close\r\n\
         Content-Type: application/json\r\nAccept: */*\r\nContent-Length: 2\r\n"
    );
    let mut client = proxy.client();
    client.send(&invoke(&fields, "{}"));
    assert_eq!(client.answer().whole("all of them").status, 200);
    client.check_closed("Connection: close");
    let seen = stand_in.record().last().expect("a request");
    for (name, value) in &seen.fields {
        assert!(KNOWN_UPSTREAM.contains(&name.as_str()), "{name}: {value}");
        assert!(!value.contains(KEY) && !value.contains("evil"), "{name}: {value}");
    }
    assert_eq!(seen.anomalies, Vec::<String>::new());
    check_well(&pair);
}

#[test]
fn a_connection_field_cannot_take_away_what_aws_is_to_see() {
    let pair = plain();
    for (named, line) in [
        ("content-type", "Content-Type: application/json\r\n"),
        ("CONTENT-TYPE", "Content-Type: application/json\r\n"),
        ("close, x-amzn-bedrock-guardrailidentifier", "X-Amzn-Bedrock-GuardrailIdentifier: g\r\n"),
        ("x,,\tX-Amzn-Bedrock-Trace ,y", "X-Amzn-Bedrock-Trace: ENABLED\r\n"),
        ("accept", "Accept: */*\r\n"),
    ] {
        let fields = format!("{line}Connection: {named}\r\nContent-Length: 2\r\n");
        check_refused(&pair, named, &invoke(&fields, "{}"), &[400]);
    }
    check_well(&pair);
}

#[test]
fn values_reach_aws_as_they_are_or_not_at_all() {
    let pair = plain();
    let (stand_in, proxy) = &pair;
    for (name, value, arrives) in [
        ("X-Amzn-Bedrock-Trace", "ENABLED", "ENABLED"),
        ("x-AMZN-bedrock-A", " \t spaces  within \t ", "spaces  within"),
        ("X-Amzn-Bedrock-A", "comma, \"quote\", \\", "comma, \"quote\", \\"),
        ("X-Amzn-Bedrock-A", "x: y; %0d%0aEvil: 1", "x: y; %0d%0aEvil: 1"),
        ("X-Amzn-Bedrock-", "odd name", "odd name"),
        ("X-Amzn-Bedrock-!#$%&'*+.^_`|~", "odd name", "odd name"),
        ("X-Amzn-Bedrock-A", "", ""),
    ] {
        let request = invoke(&format!("{name}: {value}\r\nContent-Length: 2\r\n"), "{}");
        assert_eq!(status(proxy, &request, value), 200, "{name}: {value}");
        let seen = stand_in.record().last().expect("a request");
        assert_eq!(seen.field(&name.to_ascii_lowercase()), Some(arrives), "{name}");
    }
    for value in
        ["a\rb", "a\nb", "a\r\n b", "a\r\nEvil\0: x", "\0", "\x08", "\x1b", "\x7f", "a\x0bb"]
    {
        let fields = format!("X-Amzn-Bedrock-A: {value}\r\nContent-Length: 2\r\n");
        check_refused(&pair, value, &invoke(&fields, "{}"), &[400]);
    }
    // Of one name several times: signed as one list, and accepted.
    let twice = invoke("X-Amzn-Bedrock-A: 1\r\nx-amzn-bedrock-a: 2\r\nContent-Length: 2\r\n", "{}");
    assert_eq!(status(proxy, &twice, "twice"), 200);
    check_well(&pair);
}

#[test]
fn a_call_id_is_echoed_only_if_it_is_plain() {
    let (stand_in, proxy) = plain();
    let long = "x".repeat(129);
    for (id, is_echoed) in [
        ("mine-1", true),
        ("\"<script>", true),
        ("", false),
        ("a b", false),
        ("\u{e9}", false),
        (&long, false),
    ] {
        let mut client = proxy.client();
        client.send(&invoke(&format!("x-litellm-call-id: {id}\r\nContent-Length: 2\r\n"), "{}"));
        let answer = client.answer().whole(id);
        assert_eq!(answer.field("x-litellm-call-id") == Some(id), is_echoed, "{id}");
    }
    check_well(&(stand_in, proxy));
}
