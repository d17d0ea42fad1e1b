//! What must hold for any request: our signature is the one AWS's own crate makes.
//!
//! One body for the fuzz targets and for the tests. Not compared, because the crate differs from what
//! is on the wire: queries that do not decode to UTF-8 (it replaces what it cannot read), and fields
//! that it never signs.

use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign as aws_sign};
use aws_sigv4::sign::v4::SigningParams;
use ring::digest;

use super::{
    AmzDate, Scope, Signable, SignedField, SigningKey, access_key_id, canonical_path,
    canonical_query, sign,
};
use crate::units::UnixSeconds;
use crate::wire::percent;

/// A request to be signed twice.
#[derive(Clone, Debug, Default)]
pub(super) struct Case {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: Option<String>,
    pub(super) fields: Vec<(String, String)>,
    pub(super) token: Option<String>,
    pub(super) now: u64,
    pub(super) content: Vec<u8>,
}

const ACCESS_KEY_ID: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const HOST: &str = "bedrock-runtime.eu-west-3.amazonaws.com";
const REGION: &str = "eu-west-3";

/// Signs with both and compares. `None` if the case is not one the crate can be given.
pub(super) fn check(case: &Case) -> Option<()> {
    let theirs = theirs(case)?;
    assert_eq!(String::from_utf8_lossy(&ours(case)), theirs, "{case:?}");
    Some(())
}

fn theirs(case: &Case) -> Option<String> {
    // The crate replaces what does not decode to UTF-8; we sign the bytes that AWS gets.
    std::str::from_utf8(&decoded(case.query.as_deref().unwrap_or(""))).ok()?;
    let query = case.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
    let uri = format!("https://{HOST}{}{query}", case.path);
    let parsed: http::Uri = uri.parse().ok()?;
    if parsed.path() != case.path || parsed.query() != case.query.as_deref() {
        return None;
    }
    let credentials = Credentials::new(ACCESS_KEY_ID, SECRET, case.token.clone(), None, "test");
    let identity = credentials.into();
    let parameters = SigningParams::builder()
        .identity(&identity)
        .region(REGION)
        .name("bedrock")
        .time(UNIX_EPOCH + Duration::from_secs(case.now))
        .settings(SigningSettings::default())
        .build()
        .expect("all parameters are there");
    let fields = case.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let content = SignableBody::Bytes(&case.content);
    let request = SignableRequest::new(&case.method, &uri, fields, content).ok()?;
    let (instructions, _) = aws_sign(request, &parameters.into()).ok()?.into_parts();
    let mut headers = instructions.headers();
    headers.find(|(name, _)| *name == "authorization").map(|(_, value)| value.to_owned())
}

/// Escapes that are well formed, decoded; all else as it is.
fn decoded(query: &str) -> Vec<u8> {
    let hex = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (bytes, mut out, mut at) = (query.as_bytes(), Vec::new(), 0);
    while at < bytes.len() {
        let escape = match &bytes[at..] {
            [b'%', high, low, ..] => hex(*high).zip(hex(*low)),
            _ => None,
        };
        out.push(escape.map_or(bytes[at], |(high, low)| high << 4 | low));
        at += if escape.is_some() { 3 } else { 1 };
    }
    out
}

fn ours(case: &Case) -> Vec<u8> {
    let date = AmzDate::at(UnixSeconds(case.now));
    let names: Vec<String> = case.fields.iter().map(|(name, _)| name.to_lowercase()).collect();
    let mut fields = vec![
        SignedField { name: "host", value: HOST.as_bytes() },
        SignedField { name: "x-amz-date", value: date.as_bytes() },
    ];
    if let Some(token) = &case.token {
        fields.push(SignedField { name: "x-amz-security-token", value: token.as_bytes() });
    }
    let values = case.fields.iter().map(|(_, value)| value.as_bytes());
    fields.extend(names.iter().zip(values).map(|(name, value)| SignedField { name, value }));
    fields.sort_by_key(|field| field.name);
    let (mut path, mut query) = (Vec::new(), Vec::new());
    canonical_path(case.path.as_bytes(), &mut path);
    canonical_query(case.query.as_deref().unwrap_or("").as_bytes(), &mut query);
    let hash = digest::digest(&digest::SHA256, &case.content);
    let request = Signable {
        method: &case.method,
        canonical_path: &path,
        canonical_query: &query,
        fields: &fields,
        content_sha256: hash.as_ref().try_into().expect("32 bytes"),
    };
    let scope = Scope { access_key_id: ACCESS_KEY_ID, region: REGION, service: "bedrock" };
    let key = SigningKey::derive(SECRET, date.date(), REGION, "bedrock");
    let mut out = Vec::new();
    sign(&request, &scope, &date, &key, &mut out);
    out
}

/// Bytes as a request, signed with both.
pub fn fuzz_sigv4(data: &[u8]) {
    if let Some(case) = case_of(data) {
        let _ = check(&case); // a case that the crate cannot be given is no finding
    }
}

/// Parts end at LF, in the order path, query, token, date, fields up to an empty line, content.
fn case_of(data: &[u8]) -> Option<Case> {
    let mut parts = std::str::from_utf8(data).ok()?.split('\n');
    let path = format!("/{}", parts.next()?);
    let query = parts.next().filter(|query| !query.is_empty()).map(str::to_owned);
    let token = parts.next().filter(|token| !token.is_empty() && !token.contains(' '));
    let token = token.map(str::to_owned);
    let now = parts.next().and_then(|now| now.parse().ok()).unwrap_or(0).min(253_402_300_799);
    let fields = parts.by_ref().take_while(|line| !line.is_empty()).enumerate();
    let fields = fields.map(|(at, value)| (format!("X-Amz-Field-{}", at % 3), value.to_owned()));
    let fields = fields.collect();
    let content = parts.next().unwrap_or("").into();
    let (mut canonical, mut decoded) = (Vec::new(), Vec::new());
    canonical_query(query.as_deref().unwrap_or("").as_bytes(), &mut canonical);
    percent::decode(&canonical, &mut decoded).expect("what we encode decodes");
    std::str::from_utf8(&decoded).ok()?;
    Some(Case { method: "POST".to_owned(), path, query, fields, token, now, content })
}

/// Bytes as the value of `authorization`, and as a key within one.
pub fn fuzz_access_key_id(data: &[u8]) {
    if let Some(id) = access_key_id(data) {
        assert!(!id.is_empty() && id.len() < data.len());
    }
    let is_key = !data.is_empty() && !data.contains(&b',') && data.trim_ascii() == data;
    if is_key && !data.starts_with(b"Bearer ") {
        for prefix in [&b""[..], b"Bearer "] {
            let scope = b"/20261122/us-east-1/bedrock/aws4_request, SignedHeaders=host";
            let value = [b"AWS4-HMAC-SHA256 Credential=", prefix, data, scope].concat();
            assert_eq!(access_key_id(&value), Some(data));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn recorded_authorizations_are_read() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/sigv4/authorization");
        for entry in std::fs::read_dir(folder).expect("the folder is part of the repository") {
            let path = entry.expect("readable").path();
            fuzz_access_key_id(&std::fs::read(path).expect("a recording is readable"));
        }
    }

    /// Segments of what model ids, ARNs and odd clients put into a path.
    fn segment() -> impl Strategy<Value = String> {
        prop_oneof![
            "[A-Za-z0-9._~:%@!$&'()*+,;=-]{0,12}",
            Just(".".to_owned()),
            Just("..".to_owned()),
            Just(String::new()),
            Just("anthropic.claude-3-5-haiku-20241022-v1%3A0".to_owned()),
            Just("arn:aws:bedrock:us-east-1:123456789012:inference-profile%2Fabc".to_owned()),
        ]
    }

    prop_compose! {
        fn case()(
            method in "GET|POST|PUT|DELETE|PATCH",
            segments in prop::collection::vec(segment(), 0..6),
            query in prop::option::of("([a-c~-]|%4[1-9]|%C3%A9|%2[0-9bB]|%zz|[=&+%*.]){1,24}"),
            fields in prop::collection::vec(("(x-amz-|X-Amzn-Bedrock-)[a-c]", " {0,3}[ -~\t]{0,20}"), 0..6),
            token in prop::option::of("[A-Za-z0-9+/=]{1,400}"),
            now in 0_u64..=253_402_300_799,
            content in prop::collection::vec(any::<u8>(), 0..300),
        ) -> Case {
            Case { method, path: format!("/{}", segments.join("/")), query, fields, token, now, content }
        }
    }

    proptest! {
        // Findings are kept in tests/vectors, not where proptest would put them.
        #![proptest_config(ProptestConfig { cases: 1000, max_global_rejects: 4000, failure_persistence: None, ..Default::default() })]

        #[test]
        fn we_sign_what_the_aws_crate_signs(case in case()) {
            prop_assume!(check(&case).is_some());
        }
    }

    #[test]
    fn recorded_requests_reach_the_comparison() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/sigv4/requests");
        for entry in std::fs::read_dir(folder).expect("the folder is part of the repository") {
            let path = entry.expect("readable").path();
            let case = case_of(&std::fs::read(&path).expect("a recording is readable"));
            assert_eq!(case.as_ref().and_then(check), Some(()), "{}", path.display());
        }
    }
}
