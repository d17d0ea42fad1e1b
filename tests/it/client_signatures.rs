//! Clients that sign with a credential of ours: AWS's own signers make the signature, we check it.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use outcrop::{
    control_plane::config::DriverChoice, mock_bedrock::Options, policy::auth::ClientCredential,
};

use crate::client_operations::{all_well, calls, passthrough_to};
use crate::clients::current_python;
use crate::http::{Answer, request};
use crate::proxy::{BEARER, Deployment, KEY, MODEL, Pair, Proxy, under_both_drivers};

const ID: &str = "TEAM-A-0001";
const SECRET: &str = "a-secret-of-team-a-that-nobody-sends";
const CLIENTS: &str = "outcrop:\n  client_credentials:\n  - access_key_id: TEAM-A-0001\n    \
                       secret_access_key: a-secret-of-team-a-that-nobody-sends\n";
const TARGET: &str = "/bedrock/model/claude/converse";

under_both_drivers!(
    who_signs_well_is_let_in_and_named,
    who_signs_wrong_learns_only_that,
    one_byte_changed_anywhere_is_refused,
    an_access_key_id_alone_is_no_key_if_that_is_said,
);

/// A request that AWS's crate signed for this host.
fn signed(line: (&str, &str), credential: (&str, &str), content: &[u8], at: SystemTime) -> Vec<u8> {
    signed_with(line, credential, &[], content, at)
}

/// The same with further fields, signed, and with the content's hash in one of them if there are any.
fn signed_with(
    (method, target): (&str, &str),
    (id, secret): (&str, &str),
    further: &[(&str, &str)],
    content: &[u8],
    at: SystemTime,
) -> Vec<u8> {
    let mut settings = SigningSettings::default();
    if !further.is_empty() {
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    let identity = Credentials::new(id, secret, None, None, "test").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("eu-central-1")
        .name("bedrock")
        .time(at)
        .settings(settings)
        .build()
        .expect("all is set")
        .into();
    let fields = [("host", "proxy.test"), ("content-type", "application/json")];
    let fields = fields.iter().chain(further).copied();
    let url = format!("http://proxy.test{target}");
    let body = SignableBody::Bytes(content);
    let signable = SignableRequest::new(method, url, fields, body).expect("a request");
    let (instructions, _) = sign(signable, &params).expect("a signature").into_parts();
    let mut made = String::from("Content-Type: application/json\r\n");
    for (name, value) in further.iter().copied().chain(instructions.headers()) {
        made.push_str(&format!("{name}: {value}\r\n"));
    }
    request(&format!("{method} {target} HTTP/1.1"), &made, content)
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(outcrop::net::clock::unix_now().0)
}

fn ask(proxy: &Proxy, bytes: &[u8]) -> Answer {
    proxy.connect().ask(bytes)
}

fn pair(driver: DriverChoice, outcrop: &str) -> Pair {
    Pair::with(driver, Options::default(), |one| vec![one], outcrop)
}

fn who_signs_well_is_let_in_and_named(driver: DriverChoice) {
    let pair = pair(driver, CLIENTS);
    let derived = ClientCredential::derived(KEY);
    let own = (derived.access_key_id.as_str(), derived.secret_access_key.expose());
    for (key, target, content) in [
        ((ID, SECRET), TARGET, &b"{\"a\":1}"[..]),
        (own, TARGET, b"{}"),
        ((ID, SECRET), "/bedrock/model/claude/invoke?b=%2F&a=1", b""),
        ((ID, SECRET), "/bedrock/model/cl%61ude/converse", &[b'x'; 100_000]),
    ] {
        let answer = ask(&pair.proxy, &signed(("POST", target), key, content, now()));
        assert_eq!(answer.head.status, 200, "{target}: {answer:?}");
        let seen = pair.stand_in.record().last().expect("a request");
        assert_eq!(seen.content_length, content.len() as u64);
    }
    let rows = pair.proxy.rows(4);
    let names: Vec<_> = rows.iter().map(|row| row["api_key_alias"].as_str()).collect();
    let (team, master) = (Some(ID), Some("litellm_proxy_master_key"));
    assert_eq!(names, [team, master, team, team]);
}

fn who_signs_wrong_learns_only_that(driver: DriverChoice) {
    let pair = pair(driver, CLIENTS);
    let now = now();
    let good = signed(("POST", TARGET), (ID, SECRET), b"{\"a\":1}", now);
    let wrong = |bytes: &[u8], error: &str| {
        let mut client = pair.proxy.connect();
        client.ask(bytes).check_fault(403, error);
        // The message was read to its end: the connection serves on.
        let answer = client.ask(request(&format!("POST {TARGET} HTTP/1.1"), BEARER, b"{}"));
        assert_eq!(answer.head.status, 200);
    };
    let sent = |pair: &Pair| pair.stand_in.record().requests();
    let mut well = 0;
    let replaced = |from: &str, to: &str| {
        let text = String::from_utf8(good.clone()).expect("UTF-8");
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1).into_bytes()
    };
    let invalid = "InvalidSignatureException";
    for (bytes, error) in [
        (signed(("POST", TARGET), (ID, "another-secret-altogether-here"), b"{}", now), invalid),
        (replaced("{\"a\":1}", "{\"a\":2}"), invalid),
        (replaced("/converse", "/invoke"), invalid),
        (replaced("Host: proxy.test", "Host: proxy.tesu"), invalid),
        (replaced("application/json", "application/jsoN"), invalid),
        (replaced("Content-Type:", "x-amzn-bedrock-trace: ENABLED\r\nContent-Type:"), invalid),
        (replaced("/eu-central-1/", "/eu-central-2/"), invalid),
        (replaced("SignedHeaders=", "Signed="), "IncompleteSignatureException"),
        (
            signed(("POST", TARGET), (ID, SECRET), b"", now - Duration::from_secs(310)),
            "RequestExpired",
        ),
        (
            signed(("POST", TARGET), (ID, SECRET), b"", now + Duration::from_secs(310)),
            "RequestInTheFuture",
        ),
        // Not even what is no model, or no path, is told to who signs wrong.
        (
            signed(
                ("POST", "/bedrock/model/none/converse"),
                (ID, "another-secret-here-too"),
                b"{}",
                now,
            ),
            invalid,
        ),
        (
            signed(("POST", "/bedrock/nothing"), (ID, "another-secret-here-too"), b"{}", now),
            invalid,
        ),
        (signed(("GET", "/v1/models"), (ID, SECRET), b"", now), "AccessDeniedException"),
    ] {
        wrong(&bytes, error);
        well += 1;
        assert_eq!(sent(&pair), well, "none of it reached AWS");
    }
    let none = signed(("POST", "/bedrock/model/none/converse"), (ID, SECRET), b"{}", now);
    ask(&pair.proxy, &none).check_fault(404, "ResourceNotFoundException");
    assert_eq!(ask(&pair.proxy, &good).head.status, 200);
}

/// In the method, the path, the query, any field that is signed, its name, the content, or any part of the
/// signature: that request goes no further, and the client is told of its signature, or that it has none.
fn one_byte_changed_anywhere_is_refused(driver: DriverChoice) {
    let pair = pair(driver, CLIENTS);
    let line = ("POST", "/bedrock/model/claude/invoke?a=1&b=%2Fx");
    let further = [("x-amzn-bedrock-trace", "ENABLED"), ("x-amz-source-arn", "arn:aws:x")];
    let good = signed_with(line, (ID, SECRET), &further, br#"{"a":1}"#, now());
    assert_eq!(ask(&pair.proxy, &good).head.status, 200);
    let text = str::from_utf8(&good).expect("ASCII");
    // Not signed: the version, and what frames the message. Host's name is how HTTP knows it.
    let spans = [" HTTP/1.1\r\nHost:", "Content-Length: 7"].map(|part| {
        let at = text.find(part).expect("a part of the head");
        at..at + part.len()
    });
    let mut client = pair.proxy.connect();
    let mut changed = 0;
    for (at, byte) in good.iter().enumerate() {
        let is_signed = byte.is_ascii_alphanumeric() || b"/?=&;{\"".contains(byte);
        if !is_signed || spans.iter().any(|span| span.contains(&at)) {
            continue;
        }
        let mut bytes = good.clone();
        bytes[at] = another(*byte);
        let answer = client.ask(&bytes);
        let what = bytes.escape_ascii();
        assert_eq!(answer.head.status, 403, "{what}: {answer:?}");
        let error = answer.head.field("x-amzn-errortype").expect("an error's name");
        let names = [
            "InvalidSignatureException",
            "IncompleteSignatureException",
            "UnrecognizedClientException",
            "MissingAuthenticationTokenException",
            "AccessDeniedException",
            "RequestExpired",
            "RequestInTheFuture",
        ];
        assert!(names.contains(&error), "{what}: {error}");
        changed += 1;
    }
    assert!(changed > 450, "{changed} bytes");
    assert_eq!(pair.stand_in.record().requests(), 1, "none of them reached AWS");
}

/// Of the same kind, so that the message still is one: a digit for a digit, a letter for a letter.
fn another(byte: u8) -> u8 {
    match byte {
        b'0'..=b'8' | b'a'..=b'y' | b'A'..=b'E' | b'G'..=b'Y' => byte + 1,
        b'9' | b'F' | b'Z' | b'z' => byte - 1,
        _ => b'x',
    }
}

fn an_access_key_id_alone_is_no_key_if_that_is_said(driver: DriverChoice) {
    let by_id = signed(("POST", TARGET), (KEY, "anything-at-all"), b"{}", now());
    let lenient = pair(driver, CLIENTS);
    assert_eq!(ask(&lenient.proxy, &by_id).head.status, 200, "as LiteLLM takes it");
    let strict = pair(driver, &format!("{CLIENTS}  require_verified_signature: true\n"));
    ask(&strict.proxy, &by_id).check_fault(403, "UnrecognizedClientException");
    let good = signed(("POST", TARGET), (ID, SECRET), b"{}", now());
    assert_eq!(ask(&strict.proxy, &good).head.status, 200);
    let bearer = request(&format!("POST {TARGET} HTTP/1.1"), BEARER, b"{}");
    assert_eq!(ask(&strict.proxy, &bearer).head.status, 200);
}

#[test]
fn boto3_signs_for_every_service_and_is_checked() {
    let Some(python) = current_python() else { return };
    let stand_in =
        outcrop::mock_bedrock::StandIn::start(Options { tls: false, ..Options::default() });
    let stand_in = stand_in.expect("a stand-in");
    let deployments = [Deployment::plain(stand_in.address()).named(MODEL)];
    let outcrop = format!("{}  require_verified_signature: true\n", passthrough_to(&stand_in));
    let proxy = Proxy::start(DriverChoice::Epoll, None, &deployments, &outcrop);
    let pair = ClientCredential::derived(KEY);
    let (id, secret) = (&pair.access_key_id, pair.secret_access_key.expose());
    assert_eq!(calls(&python, &proxy, id, secret), all_well());
    let sent = stand_in.record().requests();
    for (id, secret, error) in [
        (id.as_str(), "another-secret", "InvalidSignatureException"),
        (KEY, "any", "UnrecognizedClientException"),
    ] {
        let report = calls(&python, &proxy, id, secret);
        for (call, outcome) in report.as_object().expect("a report") {
            assert_eq!(outcome["error"]["code"], error, "{call}: {outcome}");
            assert_eq!(outcome["error"]["status"], 403, "{call}: {outcome}");
        }
    }
    assert_eq!(stand_in.record().requests(), sent);
}
