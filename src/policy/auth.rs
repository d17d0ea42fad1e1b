//! Who may use the proxy: where a request carries its key, and whether it is the right one.
//!
//! Keys are compared as SHA-256 digests in constant time, so that neither content nor length of the
//! right one can be measured. None is kept, logged or forwarded.

use ring::digest::{SHA256, digest};
use subtle::ConstantTimeEq;

use crate::wire::{http1::head::Fields, sigv4};

/// Fields that may carry a client's key, in order of precedence. All are dropped before AWS sees them.
const KEY_FIELDS: [&str; 4] = ["x-litellm-api-key", "authorization", "api-key", "x-api-key"];

/// The keys that are let in.
#[derive(Clone, Default)]
pub struct Keys {
    /// SHA-256 of the master key; none lets everybody in.
    master: Option<[u8; 32]>,
}

/// Why a request is not let in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Denial {
    /// It carries no key.
    Missing,
    /// It carries another key.
    Wrong,
    /// It carries one field twice: which of the two counted would be a guess.
    Ambiguous,
}

impl Keys {
    /// Lets in who has `master`, or everybody if there is none.
    #[must_use]
    pub fn new(master: Option<&str>) -> Self {
        Self { master: master.map(|key| sha256(key.as_bytes())) }
    }

    /// Judges the key that `fields` carry.
    ///
    /// # Errors
    /// The [`Denial`].
    pub fn admit(&self, fields: Fields<'_, '_>) -> Result<(), Denial> {
        let Some(master) = &self.master else { return Ok(()) };
        let key = presented(fields)?.ok_or(Denial::Missing)?;
        if bool::from(sha256(key).ct_eq(master)) { Ok(()) } else { Err(Denial::Wrong) }
    }
}

/// The first key field that is there and not empty decides, even if what it holds is no key.
fn presented<'b>(fields: Fields<'_, 'b>) -> Result<Option<&'b [u8]>, Denial> {
    for name in KEY_FIELDS {
        let mut values = fields.all(name);
        let Some(value) = values.next() else { continue };
        if values.next().is_some() {
            return Err(Denial::Ambiguous);
        }
        if !value.is_empty() {
            let key = if name == "authorization" {
                of_authorization(value)
            } else {
                Some(without_scheme(value))
            };
            return key.map(Some).ok_or(Denial::Wrong);
        }
    }
    Ok(None)
}

/// `Bearer k`, `Basic k`, or a SigV4 header, whose access key id is the key: boto3 since 1.44 refuses to
/// send bearer tokens over plain http, and its signature means nothing to us.
fn of_authorization(value: &[u8]) -> Option<&[u8]> {
    if value.starts_with(b"AWS4-HMAC-SHA256") {
        return sigv4::access_key_id(value);
    }
    ["bearer ", "basic "].iter().find_map(|scheme| strip_prefix_ignoring_case(value, scheme))
}

fn without_scheme(value: &[u8]) -> &[u8] {
    strip_prefix_ignoring_case(value, "bearer ").unwrap_or(value)
}

fn strip_prefix_ignoring_case<'b>(value: &'b [u8], prefix: &str) -> Option<&'b [u8]> {
    let (start, rest) = value.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix.as_bytes()).then(|| rest.trim_ascii_start())
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest(&SHA256, bytes).as_ref().try_into().expect("SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::http1::head::{FieldStorage, parse_request};

    fn check(fields: &str, expected: Result<(), Denial>) {
        let head = format!("POST / HTTP/1.1\r\nhost: x\r\n{fields}\r\n");
        let mut storage = FieldStorage::new();
        let head = parse_request(head.as_bytes(), &mut storage).unwrap().unwrap();
        assert_eq!(Keys::new(Some("sk-right/1")).admit(head.fields), expected, "{fields:?}");
        assert_eq!(Keys::new(None).admit(head.fields), Ok(()), "no key configured: {fields:?}");
    }

    #[test]
    fn every_place_and_form_of_a_key() {
        for field in [
            "Authorization: Bearer ",
            "authorization: bearer ",
            "Authorization: Basic ",
            "x-litellm-api-key: ",
            "x-litellm-api-key: Bearer ",
            "API-Key: ",
            "X-Api-Key: ",
        ] {
            check(&format!("{field}sk-right/1\r\n"), Ok(()));
            for wrong in ["sk-right/", "sk-right/12", "SK-RIGHT/1", "sk", "sk-right/1 x"] {
                check(&format!("{field}{wrong}\r\n"), Err(Denial::Wrong));
            }
        }
        let scope = "20261122/us-east-1/bedrock/aws4_request, SignedHeaders=host, Signature=0";
        check(
            &format!("Authorization: AWS4-HMAC-SHA256 Credential=sk-right/1/{scope}\r\n"),
            Ok(()),
        );
        check(
            &format!("Authorization: AWS4-HMAC-SHA256 Credential=Bearer sk-right/1/{scope}\r\n"),
            Ok(()),
        );
        check(
            &format!("Authorization: AWS4-HMAC-SHA256 Credential=sk-wrong/1/{scope}\r\n"),
            Err(Denial::Wrong),
        );
    }

    #[test]
    fn precedence_absence_and_ambiguity() {
        check("", Err(Denial::Missing));
        check("authorization:\r\n", Err(Denial::Missing));
        check("Authorization: sk-right/1\r\n", Err(Denial::Wrong));
        check(
            "Authorization: Bearer sk-right/1\r\nAuthorization: Bearer sk-right/1\r\n",
            Err(Denial::Ambiguous),
        );
        check("Authorization: junk\r\nx-api-key: sk-right/1\r\n", Err(Denial::Wrong));
        check("x-litellm-api-key: sk-right/1\r\nAuthorization: junk\r\n", Ok(()));
        check("cookie: sk-right/1\r\n", Err(Denial::Missing));
    }
}
