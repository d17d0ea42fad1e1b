//! What AWS's own signer made is taken; with one byte changed anywhere it is not.

use super::*;
use crate::wire::http1::head::{FieldStorage, parse_request};

const NOW: UnixSeconds = UnixSeconds(1_751_371_200); // 20250701T120000Z
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const CONTENT: &[u8] = br#"{"messages":[{"role":"user","content":"hi"}]}"#;

/// A head that our signer signed, which botocore's vectors and AWS's crate hold right.
fn signed_head() -> String {
    signed_head_with("host")
}

/// The same by a signer that calls the host so, among the names that it signs.
fn signed_head_with(host_name: &'static str) -> String {
    let (target, host) = ("/bedrock/model/a.b-v1%3A0/invoke?x=1&a=%2F", "127.0.0.1:4000");
    let (path, query) = target.split_once('?').unwrap();
    let (mut canonical, mut canonical_query_) = (Vec::new(), Vec::new());
    canonical_path(path.as_bytes(), &mut canonical);
    canonical_query(query.as_bytes(), &mut canonical_query_);
    let mut all = [
        ("content-type", "application/json"),
        (host_name, host),
        ("x-amz-date", "20250701T120000Z"),
        ("x-amzn-bedrock-guardrailidentifier", "gr-1"),
    ];
    all.sort_unstable();
    let fields = all.map(|(name, value)| SignedField { name, value: value.as_bytes() });
    let hash = digest(&SHA256, CONTENT);
    let signable = Signable {
        method: "POST",
        canonical_path: &canonical,
        canonical_query: &canonical_query_,
        fields: &fields,
        content_sha256: hash.as_ref().try_into().unwrap(),
    };
    let scope = Scope { access_key_id: "OC/1", region: "eu-west-1", service: "bedrock" };
    let date = AmzDate::at(NOW);
    let key = SigningKey::derive(SECRET, date.date(), "eu-west-1", "bedrock");
    let mut authorization = Vec::new();
    super::super::sign(&signable, &scope, &date, &key, &mut authorization);
    let mut head = format!("POST {target} HTTP/1.1\r\n");
    for (name, value) in all {
        let name = if name == host_name { "host" } else { name };
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let authorization = String::from_utf8(authorization).unwrap();
    format!("{head}amz-sdk-request: attempt=1\r\nauthorization: {authorization}\r\n\r\n")
}

fn verify(head: &str, content: &[u8], secret: &str, now: UnixSeconds) -> Result<(), Refused> {
    let mut storage = FieldStorage::new();
    let head = parse_request(head.as_bytes(), &mut storage).unwrap().unwrap();
    let (path, query) = head.target.split_once('?').unwrap_or((head.target, ""));
    let presented = Presented { method: head.method, path, query, fields: head.fields, now };
    let mut unverified = Unverified::default();
    unverified.take(&presented)?;
    let (day, region) = unverified.scope().unwrap();
    let key = SigningKey::derive(secret, day, region, "bedrock");
    let hash = digest(&SHA256, content);
    unverified.check(hash.as_ref().try_into().unwrap(), &key)
}

#[test]
fn what_was_signed_is_taken_and_its_secret_must_be_right() {
    let head = signed_head();
    assert_eq!(verify(&head, CONTENT, SECRET, NOW), Ok(()));
    assert_eq!(verify(&head, CONTENT, &SECRET[1..], NOW), Err(Refused::Mismatch));
    assert_eq!(verify(&head, &CONTENT[1..], SECRET, NOW), Err(Refused::Mismatch));
    assert_eq!(verify(&head, b"", SECRET, NOW), Err(Refused::Mismatch));
}

/// As the JS SDK signs over HTTP/2, where the host has that name; it comes here as `host`.
#[test]
fn the_host_may_be_signed_as_the_authority() {
    let head = signed_head_with(":authority");
    assert!(head.contains("SignedHeaders=:authority;content-type;x-amz-date;"), "{head}");
    assert_eq!(verify(&head, CONTENT, SECRET, NOW), Ok(()));
    let elsewhere = head.replacen("host: 127.0.0.1:4000", "host: 127.0.0.1:4001", 1);
    assert_eq!(verify(&elsewhere, CONTENT, SECRET, NOW), Err(Refused::Mismatch));
}

#[test]
fn one_byte_changed_in_any_signed_part_is_refused() {
    let head = signed_head();
    // Of the whole head but the field that is not signed, and the algorithm and key id, which say who asks.
    let unsigned = head.find("amz-sdk-request").unwrap()..head.find("authorization").unwrap();
    let names = head.find("Credential=").unwrap()..head.find("/20250701/").unwrap();
    let mut refused = 0;
    for at in 0..head.len() - 4 {
        if unsigned.contains(&at) || names.contains(&at) {
            continue;
        }
        for byte in [head.as_bytes()[at] ^ 1, b'x', b'0'] {
            let mut changed = head.clone().into_bytes();
            if changed[at] == byte || !(b' '..0x7f).contains(&byte) {
                continue;
            }
            changed[at] = byte;
            let Ok(changed) = String::from_utf8(changed) else { continue };
            let mut storage = FieldStorage::new();
            if !matches!(parse_request(changed.as_bytes(), &mut storage), Ok(Some(_))) {
                continue; // no head at all
            }
            let verdict = verify(&changed, CONTENT, SECRET, NOW);
            // A field's name in another case, and the version, are not signed by anybody.
            let same = changed.eq_ignore_ascii_case(&head) || !changed.contains(" HTTP/1.1\r\n");
            assert!(verdict.is_err() || same, "{at}: {changed}");
            refused += usize::from(verdict.is_err());
        }
    }
    assert!(refused > 800, "{refused}");
    for at in 0..CONTENT.len() {
        let mut changed = CONTENT.to_vec();
        changed[at] ^= 1;
        assert_eq!(verify(&head, &changed, SECRET, NOW), Err(Refused::Mismatch));
    }
}

#[test]
fn clocks_may_differ_by_five_minutes() {
    let head = signed_head();
    for (now, expected) in [
        (NOW.0 + 300, Ok(())),
        (NOW.0 - 300, Ok(())),
        (NOW.0 + 301, Err(Refused::Expired)),
        (NOW.0 - 301, Err(Refused::Early)),
        (0, Err(Refused::Early)),
    ] {
        assert_eq!(verify(&head, CONTENT, SECRET, UnixSeconds(now)), expected, "{now}");
    }
}

#[test]
fn nothing_that_bedrock_heeds_can_be_added_or_doubled() {
    let head = signed_head();
    let with = |line: &str| head.replacen("amz-sdk-request: attempt=1", line, 1);
    for line in
        ["x-amzn-bedrock-trace: ENABLED", "x-amz-security-token: t", "X-Amz-Source-Arn: arn:aws:x"]
    {
        assert_eq!(verify(&with(line), CONTENT, SECRET, NOW), Err(Refused::Unsigned), "{line}");
    }
    assert_eq!(
        verify(&with("x-amzn-bedrock-guardrailidentifier: gr-2"), CONTENT, SECRET, NOW),
        Err(Refused::Mismatch)
    );
    for line in ["x-amz-date: 20250701T120000Z", "authorization: AWS4-HMAC-SHA256 x"] {
        assert!(verify(&with(line), CONTENT, SECRET, NOW).is_err(), "{line}");
    }
    for (from, to) in [
        ("SignedHeaders=content-type;host;", "SignedHeaders=host;content-type;"),
        ("SignedHeaders=content-type;host;", "SignedHeaders=content-type;"),
        ("SignedHeaders=content-type;", "SignedHeaders=content-type;content-type;"),
        ("SignedHeaders=content-type;", "SignedHeaders=content-type;gone;"),
        ("/bedrock/aws4_request", "/s3/aws4_request"),
        ("/eu-west-1/", "//"),
        ("Signature=", "Signature=00"),
        ("Signature=", "Signed="),
        ("Credential=", "Credential=a, Credential="),
        ("/20250701/", "/20250702/"),
    ] {
        assert!(head.contains(from));
        assert!(verify(&head.replacen(from, to, 1), CONTENT, SECRET, NOW).is_err(), "{to}");
    }
}

#[test]
fn a_declared_hash_must_be_the_contents_own() {
    // Without it the hash counts all the same; botocore declares none. UNSIGNED-PAYLOAD is not Bedrock's.
    let head = signed_head();
    let line = "x-amz-content-sha256: UNSIGNED-PAYLOAD";
    let declared = head.replacen("amz-sdk-request: attempt=1", line, 1);
    assert_eq!(verify(&declared, CONTENT, SECRET, NOW), Err(Refused::Mismatch));
}
