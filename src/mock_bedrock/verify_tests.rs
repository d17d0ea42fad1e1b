//! What is signed with AWS's signer is let in; one byte changed anywhere signed is not.

use super::*;
use http::{HeaderName, HeaderValue};
use serde_json::Value;

const DATE: u64 = 1_751_371_200; // 20250701T120000Z

fn sha256(content: &[u8]) -> String {
    ring::digest::digest(&ring::digest::SHA256, content)
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn verifier(session_token: Option<&str>) -> Verifier {
    Verifier {
        region: "us-east-1".to_owned(),
        access_key_id: "AKID".to_owned(),
        secret_access_key: "secret".to_owned(),
        session_token: session_token.map(str::to_owned),
        api_keys: vec!["bedrock-api-key-x".to_owned()],
    }
}

/// A request signed by AWS's signer as the SDK for Bedrock is set up.
struct Signed {
    target: String,
    fields: HeaderMap,
    content: Vec<u8>,
}

impl Signed {
    fn new(target: &str, content: &[u8], token: Option<&str>) -> Self {
        let mut fields = HeaderMap::new();
        fields.insert("content-type", HeaderValue::from_static("application/json"));
        fields.insert("x-amzn-bedrock-trace", HeaderValue::from_static("ENABLED"));
        let identity =
            Credentials::new("AKID", "secret", token.map(str::to_owned), None, "test").into();
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Double;
        let params =
            v4::SigningParams::builder().identity(&identity).region("us-east-1").name("bedrock");
        let params = params
            .time(UNIX_EPOCH + Duration::from_secs(DATE))
            .settings(settings)
            .build()
            .unwrap()
            .into();
        let url = format!("https://bedrock-runtime.us-east-1.amazonaws.com{target}");
        let pairs = fields.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
        let signable =
            SignableRequest::new("POST", &url, pairs, SignableBody::Bytes(content)).unwrap();
        let (instructions, _) = sign(signable, &params).unwrap().into_parts();
        for (name, value) in instructions.headers() {
            fields.insert(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        fields.insert("host", HeaderValue::from_static("bedrock-runtime.us-east-1.amazonaws.com"));
        Self { target: target.to_owned(), fields, content: content.to_owned() }
    }

    fn judged(&self, token: Option<&str>, now_s: u64) -> Result<Verdict, AwsError> {
        let content_sha256 = sha256(&self.content);
        let request = Presented {
            method: "POST",
            target: &self.target,
            fields: &self.fields,
            content_sha256: &content_sha256,
        };
        verifier(token).verify(&request, Some(UNIX_EPOCH + Duration::from_secs(now_s)))
    }

    fn replace(mut self, name: &'static str, from: &str, to: &str) -> Self {
        let value = self.fields[name].to_str().unwrap().replacen(from, to, 1);
        self.fields.insert(name, HeaderValue::from_str(&value).unwrap());
        self
    }
}

fn sample() -> Signed {
    Signed::new("/model/us.anthropic.claude-x-v1%3A0/invoke?b=2&a=1", b"{\"a\":1}", None)
}

#[test]
fn vectors_made_by_botocore_are_let_in() {
    let text = include_str!("../../tests/vectors/sigv4/bedrock.json");
    let vectors: Vec<Value> = serde_json::from_str(text).unwrap();
    assert!(!vectors.is_empty());
    for vector in vectors {
        let text = |key: &str| vector[key].as_str().unwrap_or_default();
        let (host, target) = text("url").strip_prefix("https://").unwrap().split_once('/').unwrap();
        let target = format!("/{target}");
        let mut fields = HeaderMap::new();
        let mut put = |name: &str, value: &str| {
            fields.insert(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        };
        vector["headers"]
            .as_object()
            .unwrap()
            .iter()
            .for_each(|(name, value)| put(name, value.as_str().unwrap()));
        put("host", host);
        put("x-amz-date", text("amz_date"));
        vector["session_token"]
            .as_str()
            .into_iter()
            .for_each(|token| put("x-amz-security-token", token));
        let (key, region, service) = (text("access_key"), text("region"), text("service"));
        let scope = format!("{key}/{}/{region}/{service}/aws4_request", &text("amz_date")[..8]);
        let (signed, signature) = (text("signed_headers"), text("signature"));
        put(
            "authorization",
            &format!(
                "AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={signed}, Signature={signature}"
            ),
        );
        let content_sha256 = sha256(text("body").as_bytes());
        let method = text("method");
        let request =
            Presented { method, target: &target, fields: &fields, content_sha256: &content_sha256 };
        let verifier = Verifier {
            region: region.to_owned(),
            access_key_id: key.to_owned(),
            secret_access_key: text("secret_key").to_owned(),
            session_token: vector["session_token"].as_str().map(str::to_owned),
            api_keys: Vec::new(),
        };
        assert_eq!(verifier.verify(&request, None), Ok(Verdict::Signed), "{}", text("name"));
    }
}

#[test]
fn one_byte_changed_in_any_signed_part_is_refused() {
    assert_eq!(sample().judged(None, DATE), Ok(Verdict::Signed));
    let mut target = sample();
    target.target = target.target.replace("a=1", "a=2");
    let mut path = sample();
    path.target = path.target.replace("%3A", ":");
    let mut content = sample();
    content.content.push(b' ');
    let changed = [
        target,
        path,
        content,
        sample().replace("host", "us-east-1", "us-east-2"),
        sample().replace("content-type", "json", "jsom"),
        sample().replace("x-amzn-bedrock-trace", "ENABLED", "DISABLED"),
        sample().replace("x-amz-date", "120000Z", "120001Z"),
        sample().replace("authorization", "Signature=", "Signature=0"),
        sample().replace("authorization", "content-type;", ""),
        sample().replace("authorization", "/us-east-1/", "/eu-west-1/"),
        sample().replace("authorization", "/bedrock/", "/bedrocks/"),
    ];
    for (ordinal, request) in changed.iter().enumerate() {
        let error = request.judged(None, DATE).unwrap_err();
        assert_eq!(
            (error.status, error.name.as_ref()),
            (403, "InvalidSignatureException"),
            "change {ordinal}"
        );
    }
}

#[test]
fn identity_is_judged_before_the_signature() {
    let check = |request: Signed, token, name: &str| {
        assert_eq!(request.judged(token, DATE).unwrap_err().name, name);
    };
    check(sample().replace("authorization", "AKID", "AKIE"), None, "UnrecognizedClientException");
    check(sample(), Some("wanted"), "UnrecognizedClientException");
    let with_token = || Signed::new("/model/a/invoke", b"", Some("token"));
    assert_eq!(with_token().judged(Some("token"), DATE), Ok(Verdict::Signed));
    check(with_token(), Some("other"), "UnrecognizedClientException");
    check(with_token(), None, "UnrecognizedClientException");
    let mut nobody = sample();
    nobody.fields.remove("authorization");
    check(nobody, None, "MissingAuthenticationTokenException");
    let bearer = |key: &'static str| {
        let mut request = sample();
        request.fields.insert("authorization", HeaderValue::from_static(key));
        request
    };
    assert_eq!(bearer("Bearer bedrock-api-key-x").judged(None, DATE), Ok(Verdict::ApiKey));
    check(bearer("Bearer other"), None, "AccessDeniedException");
    check(bearer("Basic x"), None, "IncompleteSignatureException");
}

#[test]
fn five_minutes_of_skew_are_tolerated() {
    assert_eq!(sample().judged(None, DATE + 300), Ok(Verdict::Signed));
    assert_eq!(sample().judged(None, DATE - 300), Ok(Verdict::Signed));
    assert!(
        sample()
            .judged(None, DATE + 301)
            .unwrap_err()
            .message
            .starts_with("Signature expired: 20250701T120000Z")
    );
    assert!(
        sample()
            .judged(None, DATE - 301)
            .unwrap_err()
            .message
            .starts_with("Signature not yet current")
    );
}

#[test]
fn what_must_be_signed_is_named() {
    let mut request = sample();
    request.fields.insert("x-amz-extra", HeaderValue::from_static("1"));
    assert!(request.judged(None, DATE).unwrap_err().message.starts_with("'x-amz-extra' must be"));
    let request = sample().replace("authorization", "host;", "");
    assert!(request.judged(None, DATE).unwrap_err().message.starts_with("'host' must be"));
}
