//! Who may use the proxy: where a request carries its key, and whether it is the right one.
//!
//! Keys are compared as SHA-256 digests in constant time, so that neither content nor length of the
//! right one can be measured. None is kept, logged or forwarded.
//!
//! A client credential is an access key whose secret its holder never sends: it signs, and the signature is
//! checked ([`crate::wire::sigv4::Unverified`]) once the content is there.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    digest::{SHA256, digest},
    hmac,
};
use subtle::ConstantTimeEq;

use crate::secret::Secret;
use crate::wire::{http1::head::Fields, sigv4};

/// Fields that may carry a client's key, in order of precedence. All are dropped before AWS sees them.
const KEY_FIELDS: [&str; 4] = ["x-litellm-api-key", "authorization", "api-key", "x-api-key"];

/// The keys that are let in.
#[derive(Clone, Default)]
pub struct Keys {
    /// SHA-256 of the master key; none lets everybody in.
    master: Option<[u8; 32]>,
    clients: Vec<ClientCredential>,
    /// A signature must be of a client credential: an access key id alone is no key.
    needs_verified: bool,
}

/// An access key that a client signs with.
#[derive(Clone, Debug)]
pub struct ClientCredential {
    /// Its public half.
    pub access_key_id: String,
    /// What it signs with.
    pub secret_access_key: Secret,
}

impl ClientCredential {
    /// The one that belongs to `key`: whoever knows the key knows it, and nobody else does.
    #[must_use]
    pub fn derived(key: &str) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
        let half = |what: &[u8]| URL_SAFE_NO_PAD.encode(hmac::sign(&key, what).as_ref());
        let letters = half(b"outcrop client access key id").to_ascii_uppercase();
        let letters = letters.chars().filter(char::is_ascii_alphanumeric).take(16);
        let access_key_id = format!("OCKA{}", letters.collect::<String>());
        let secret_access_key = Secret::new(half(b"outcrop client secret access key"));
        Self { access_key_id, secret_access_key }
    }
}

/// How a request is let in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Admission {
    /// By its key, or because none is needed.
    Key,
    /// By a client credential, if its signature is right: its place.
    Signed(usize),
}

/// Why a request is not let in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Denial {
    /// It carries no key.
    Missing,
    /// It carries another key.
    Wrong,
    /// It is signed, and its access key id is neither a key nor a client credential's.
    WrongId,
    /// It carries one field twice: which of the two counted would be a guess.
    Ambiguous,
    /// It is signed, but with no client credential, and a signature must be.
    Unverified,
}

impl Keys {
    /// Lets in who has `master`, or everybody if there is none.
    #[must_use]
    pub fn new(master: Option<&str>) -> Self {
        Self { master: master.map(|key| sha256(key.as_bytes())), ..Self::default() }
    }

    /// Lets in who signs with one of these, too; and of those that sign nobody else, if so.
    #[must_use]
    pub fn with_clients(self, clients: Vec<ClientCredential>, needs_verified: bool) -> Self {
        Self { clients, needs_verified, ..self }
    }

    /// The client credential at this place.
    #[must_use]
    pub fn client(&self, at: usize) -> &ClientCredential {
        &self.clients[at]
    }

    /// Judges the key that `fields` carry.
    ///
    /// # Errors
    /// The [`Denial`].
    pub fn admit(&self, fields: Fields<'_, '_>) -> Result<Admission, Denial> {
        let presented = presented(fields);
        if let Ok(Some((id, true))) = presented {
            let known = |it: &ClientCredential| it.access_key_id.as_bytes() == id;
            if let Some(at) = self.clients.iter().position(known) {
                return Ok(Admission::Signed(at));
            }
            if self.needs_verified {
                return Err(Denial::Unverified);
            }
        }
        let Some(master) = &self.master else { return Ok(Admission::Key) };
        let (key, is_signed) = presented?.ok_or(Denial::Missing)?;
        match bool::from(sha256(key).ct_eq(master)) {
            true => Ok(Admission::Key),
            false if is_signed => Err(Denial::WrongId),
            false => Err(Denial::Wrong),
        }
    }
}

/// The first key field that is there and not empty decides, even if what it holds is no key. With it: whether
/// it stands in a signature.
fn presented<'b>(fields: Fields<'_, 'b>) -> Result<Option<(&'b [u8], bool)>, Denial> {
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
            let is_signed = name == "authorization" && value.starts_with(b"AWS4-HMAC-SHA256");
            let wrong = if is_signed { Denial::WrongId } else { Denial::Wrong };
            return key.map(|key| Some((key, is_signed))).ok_or(wrong);
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
        let expected = expected.map(|()| Admission::Key);
        assert_eq!(Keys::new(Some("sk-right/1")).admit(head.fields), expected, "{fields:?}");
        let open = Keys::new(None).admit(head.fields);
        assert_eq!(open, Ok(Admission::Key), "no key configured: {fields:?}");
    }

    #[test]
    fn a_client_credential_is_known_by_its_id_in_a_signature_alone() {
        let client = |id: &str| ClientCredential {
            access_key_id: id.to_owned(),
            secret_access_key: Secret::new("s".to_owned()),
        };
        let clients = || vec![client("OCKA1"), client("OCKA2")];
        let check = |keys: &Keys, field: &str, expected: Result<Admission, Denial>| {
            let head = format!("POST / HTTP/1.1\r\nhost: x\r\n{field}\r\n\r\n");
            let mut storage = FieldStorage::new();
            let head = parse_request(head.as_bytes(), &mut storage).unwrap().unwrap();
            assert_eq!(keys.admit(head.fields), expected, "{field}");
        };
        let scope = "20261122/us-east-1/bedrock/aws4_request, SignedHeaders=host, Signature=0";
        let signed = |id: &str| format!("Authorization: AWS4-HMAC-SHA256 Credential={id}/{scope}");
        for needs_verified in [false, true] {
            let keys = Keys::new(Some("sk-1")).with_clients(clients(), needs_verified);
            check(&keys, &signed("OCKA2"), Ok(Admission::Signed(1)));
            check(&keys, "Authorization: Bearer sk-1", Ok(Admission::Key));
            check(&keys, "Authorization: Bearer OCKA2", Err(Denial::Wrong));
            check(&keys, "x-api-key: OCKA2", Err(Denial::Wrong));
            let by_id = if needs_verified { Err(Denial::Unverified) } else { Ok(Admission::Key) };
            check(&keys, &signed("sk-1"), by_id);
            // Without a key of its own a proxy lets in everybody, but not who signs and signs wrong.
            let open = Keys::new(None).with_clients(clients(), needs_verified);
            check(&open, &signed("OCKA1"), Ok(Admission::Signed(0)));
        }
    }

    #[test]
    fn a_derived_pair_tells_nothing_of_its_key_and_is_the_same_each_time() {
        let (one, same) = (ClientCredential::derived("sk-1"), ClientCredential::derived("sk-1"));
        assert_eq!(one.access_key_id, same.access_key_id);
        assert_eq!(one.secret_access_key.expose(), same.secret_access_key.expose());
        let other = ClientCredential::derived("sk-2");
        assert_ne!(one.access_key_id, other.access_key_id);
        assert_ne!(one.secret_access_key.expose(), other.secret_access_key.expose());
        assert_eq!((one.access_key_id.len(), one.secret_access_key.expose().len()), (20, 43));
        assert!(one.access_key_id.bytes().all(|byte| byte.is_ascii_alphanumeric()));
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
            Err(Denial::WrongId),
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
