//! Reads who signed a request from its `authorization`, without checking the signature.
//!
//! Clients that insist on SigV4 carry their key as the access key id and sign with any secret, so
//! only the id counts. Such a key may hold `/`; the scope behind it may not, so it is cut off from
//! the right:
//!
//! ```text
//! AWS4-HMAC-SHA256 Credential=<key>/20261122/us-east-1/bedrock/aws4_request, SignedHeaders=…, Signature=…
//!                             └─ id ┘└── 4 parts ─────────────────────────┘
//! ```

/// The access key id of a SigV4 `authorization`; `Bearer ` before it is no part of it. `None` if the
/// value is of another scheme or shape, or names no key.
#[must_use]
pub fn access_key_id(authorization: &[u8]) -> Option<&[u8]> {
    let (scheme, parameters) =
        authorization.split_at(authorization.iter().position(|byte| *byte == b' ')?);
    if !scheme.eq_ignore_ascii_case(b"AWS4-HMAC-SHA256") {
        return None;
    }
    let mut credentials = parameters
        .split(|byte| *byte == b',')
        .filter_map(|parameter| parameter.trim_ascii().strip_prefix(b"Credential="));
    let (credential, None) = (credentials.next()?, credentials.next()) else { return None };
    let mut parts = credential.rsplitn(5, |byte| *byte == b'/');
    let [terminator, service, region, date] = [(); 4].map(|()| parts.next().unwrap_or(b""));
    let is_date = date.len() == 8 && date.iter().all(u8::is_ascii_digit);
    let is_scope = terminator == b"aws4_request" && !service.is_empty() && !region.is_empty();
    let id = parts.next()?;
    let id = id.strip_prefix(b"Bearer ").unwrap_or(id).trim_ascii();
    (is_date && is_scope && !id.is_empty()).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCOPE: &str = "20261122/us-east-1/bedrock/aws4_request";

    fn check(authorization: &str, id: Option<&str>) {
        let found = access_key_id(authorization.as_bytes());
        assert_eq!(found, id.map(str::as_bytes), "{authorization}");
    }

    #[test]
    fn the_scope_is_cut_off_from_the_right() {
        let rest = "SignedHeaders=host;x-amz-date, Signature=00";
        for (credential, id) in [
            ("sk-1234", Some("sk-1234")),
            ("a/b//c", Some("a/b//c")),
            ("Bearer sk-1234", Some("sk-1234")),
            ("Bearer ", None),
            ("", None),
        ] {
            check(&format!("AWS4-HMAC-SHA256 Credential={credential}/{SCOPE}, {rest}"), id);
            check(&format!("aws4-hmac-sha256 {rest},Credential={credential}/{SCOPE}"), id);
        }
    }

    #[test]
    fn anything_else_names_no_key() {
        for authorization in [
            "",
            "AWS4-HMAC-SHA256",
            "Bearer sk-1234",
            "AWS4-ECDSA-P256-SHA256 Credential=k/20261122/us-east-1/bedrock/aws4_request",
            "AWS4-HMAC-SHA256 Credential=20261122/us-east-1/bedrock/aws4_request",
            "AWS4-HMAC-SHA256 Credential=k/2026112/us-east-1/bedrock/aws4_request",
            "AWS4-HMAC-SHA256 Credential=k/20261122//bedrock/aws4_request",
            "AWS4-HMAC-SHA256 Credential=k/20261122/us-east-1/bedrock/aws4",
            "AWS4-HMAC-SHA256 Credential=k, SignedHeaders=host",
        ] {
            check(authorization, None);
        }
        let twice = format!("AWS4-HMAC-SHA256 Credential=a/{SCOPE}, Credential=b/{SCOPE}");
        check(&twice, None);
    }
}
