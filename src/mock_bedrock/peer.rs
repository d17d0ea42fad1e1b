//! What a strict upstream objects to in a request: fields that must not have been forwarded.

use http::HeaderMap;
use http::Method;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST};

/// Hop-by-hop, meant for the proxy alone, or about an upgrade.
const UNWANTED: [&str; 13] = [
    "api-key",
    "x-api-key",
    "expect",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-forwarded-for",
];

/// Each objection as text; none for a request as AWS's SDKs make it.
pub fn anomalies(method: &Method, fields: &HeaderMap) -> Vec<String> {
    let unwanted = |name: &str| UNWANTED.contains(&name) || name.starts_with("x-litellm-");
    let mut anomalies: Vec<String> = fields
        .keys()
        .map(|name| name.as_str())
        .filter(|name| unwanted(name))
        .map(str::to_owned)
        .collect();
    let connection = fields
        .get_all(CONNECTION)
        .iter()
        .find(|value| !value.as_bytes().eq_ignore_ascii_case(b"keep-alive"));
    if let Some(value) = connection {
        anomalies.push(format!("connection: {}", String::from_utf8_lossy(value.as_bytes())));
    }
    let once = [HOST, CONTENT_LENGTH, http::header::AUTHORIZATION, http::header::CONTENT_TYPE];
    let twice = once.into_iter().filter(|name| fields.get_all(name).iter().nth(1).is_some());
    anomalies.extend(twice.map(|name| format!("{name} more than once")));
    // RFC 9110 §8.6: a method that anticipates no content needs no length.
    let needs_length = !matches!(*method, Method::GET | Method::DELETE);
    if needs_length
        && !fields.contains_key(CONTENT_LENGTH)
        && !fields.contains_key(http::header::TRANSFER_ENCODING)
    {
        anomalies.push("no content-length".to_owned());
    }
    anomalies
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_strict_peer_objects() {
        let mut fields = HeaderMap::new();
        fields.insert(HOST, HeaderValue::from_static("h"));
        fields.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        fields.insert(CONNECTION, HeaderValue::from_static("Keep-Alive"));
        assert_eq!(anomalies(&Method::POST, &fields), [""; 0]);
        fields.append(HOST, HeaderValue::from_static("i"));
        fields.insert(CONNECTION, HeaderValue::from_static("close"));
        fields.insert("x-litellm-api-key", HeaderValue::from_static("k"));
        assert_eq!(
            anomalies(&Method::POST, &fields),
            ["x-litellm-api-key", "connection: close", "host more than once"]
        );
    }
}
