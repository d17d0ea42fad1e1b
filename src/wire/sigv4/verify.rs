//! A client's signature, checked as AWS would check it.
//!
//! ```text
//!   head     ─▶ take:  claim, date, which fields are signed; the canonical request but for its last line
//!   content  ─▶ check: its hash completes the canonical request; the signature is made again and compared
//! ```
//!
//! What was received is what is checked: path and query as they came, each signed field's every value. Fields
//! that mean something to Bedrock must be signed, or somebody on the way could add one. Buffers are kept
//! between requests; nothing is allocated once they have grown. Source: "Troubleshoot Signature Version 4
//! signed requests" of the AWS IAM user guide, and what botocore and the JS SDK send.

use ring::digest::{SHA256, digest};

use super::canonical::{
    Signable, SignedField, canonical_path, canonical_query, canonical_request, write_hex,
};
use super::sign::{ALGORITHM, AmzDate, Scope, SigningKey, string_of_hash};
use crate::{
    limits::{CLIENT_SIGNED_FIELDS_MAX, SIGNATURE_SKEW_S_MAX},
    units::UnixSeconds,
    wire::http1::head::Fields,
};

/// All of Bedrock signs for it.
const SERVICE: &str = "bedrock";
/// Hexadecimal digits of SHA-256.
const HASH_DIGITS: usize = 64;

/// Why a signature is refused. Who erred: the client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refused {
    /// It is not made as AWS says: a part is missing or cannot be read.
    Incomplete,
    /// It, or what it claims, is not what this request and this secret make.
    Mismatch,
    /// A field that must be signed is not.
    Unsigned,
    /// It was made more than five minutes ago.
    Expired,
    /// It was made more than five minutes from now.
    Early,
}

/// A request's head, as it was received.
#[derive(Clone, Copy)]
pub struct Presented<'h, 'b> {
    /// The method.
    pub method: &'h str,
    /// The origin form's path, raw.
    pub path: &'h str,
    /// What follows its question mark, raw.
    pub query: &'h str,
    /// All fields.
    pub fields: Fields<'h, 'b>,
    /// By our clock.
    pub now: UnixSeconds,
}

/// A signature whose content has not come yet.
#[derive(Default)]
pub struct Unverified {
    /// All of the canonical request but the content's hash.
    canonical: Vec<u8>,
    parts: Vec<u8>,
    region: Vec<u8>,
    date: Option<AmzDate>,
    signature: [u8; 32],
    declared: Option<[u8; HASH_DIGITS]>,
}

/// The parts of `Authorization: AWS4-HMAC-SHA256 …`.
struct Claim<'b> {
    date: &'b [u8],
    region: &'b [u8],
    names: &'b str,
    signature: [u8; 32],
}

impl Unverified {
    /// Takes what the head claims.
    ///
    /// # Errors
    /// [`Refused`], if that alone is enough to say so.
    pub fn take(&mut self, request: &Presented<'_, '_>) -> Result<(), Refused> {
        let authorization = only(request.fields, "authorization").ok_or(Refused::Incomplete)?;
        let claim = Claim::parse(authorization).ok_or(Refused::Incomplete)?;
        let date = only(request.fields, "x-amz-date").and_then(AmzDate::parse);
        let (date, at) = date.ok_or(Refused::Incomplete)?;
        if date.date() != claim.date {
            return Err(Refused::Mismatch);
        }
        if at.0 + SIGNATURE_SKEW_S_MAX < request.now.0 {
            return Err(Refused::Expired);
        }
        if at.0 > request.now.0 + SIGNATURE_SKEW_S_MAX {
            return Err(Refused::Early);
        }
        self.declared = match request.fields.get("x-amz-content-sha256") {
            Some(digits) => Some(digits.try_into().map_err(|_| Refused::Mismatch)?),
            None => None,
        };
        check_names(claim.names, request.fields)?;
        self.write_canonical(request, claim.names)?;
        self.region.clear();
        self.region.extend_from_slice(claim.region);
        (self.date, self.signature) = (Some(date), claim.signature);
        Ok(())
    }

    fn write_canonical(&mut self, request: &Presented<'_, '_>, names: &str) -> Result<(), Refused> {
        let mut fields = [SignedField { name: "", value: b"" }; CLIENT_SIGNED_FIELDS_MAX];
        let mut count = 0;
        for name in names.split(';') {
            for value in request.fields.all(carried_as(name)) {
                *fields.get_mut(count).ok_or(Refused::Incomplete)? = SignedField { name, value };
                count += 1;
            }
        }
        self.parts.clear();
        canonical_path(request.path.as_bytes(), &mut self.parts);
        let path_end = self.parts.len();
        canonical_query(request.query.as_bytes(), &mut self.parts);
        self.canonical.clear();
        let signable = Signable {
            method: request.method,
            canonical_path: &self.parts[..path_end],
            canonical_query: &self.parts[path_end..],
            fields: &fields[..count],
            content_sha256: &[0; 32],
        };
        canonical_request(&signable, &mut self.canonical);
        self.canonical.truncate(self.canonical.len() - HASH_DIGITS);
        Ok(())
    }

    /// The day and the region that the signature is for, which its key is derived for.
    #[must_use]
    pub fn scope(&self) -> Option<(&[u8; 8], &str)> {
        Some((self.date.as_ref()?.date(), str::from_utf8(&self.region).ok()?))
    }

    /// Compares with what `key` makes of it, in constant time.
    ///
    /// # Errors
    /// [`Refused::Mismatch`].
    pub fn check(&mut self, content_sha256: &[u8; 32], key: &SigningKey) -> Result<(), Refused> {
        let before = self.canonical.len();
        write_hex(content_sha256, &mut self.canonical);
        let is_declared = self.declared.is_none_or(|digits| digits[..] == self.canonical[before..]);
        let hash = digest(&SHA256, &self.canonical);
        let date = self.date.take().ok_or(Refused::Incomplete)?;
        let region = str::from_utf8(&self.region).map_err(|_| Refused::Mismatch)?;
        let scope = Scope { access_key_id: "", region, service: SERVICE };
        self.parts.clear();
        string_of_hash(hash.as_ref(), &scope, &date, &mut self.parts);
        if key.made(&self.parts, &self.signature) && is_declared {
            Ok(())
        } else {
            Err(Refused::Mismatch)
        }
    }
}

impl<'b> Claim<'b> {
    fn parse(authorization: &'b [u8]) -> Option<Self> {
        let rest = authorization.strip_prefix(ALGORITHM.as_bytes())?;
        let (mut credential, mut names, mut signature) = (None, None, None);
        for part in rest.split(|byte| *byte == b',') {
            let part = part.trim_ascii();
            let equals = part.iter().position(|byte| *byte == b'=')?;
            let place = match &part[..equals] {
                b"Credential" => &mut credential,
                b"SignedHeaders" => &mut names,
                b"Signature" => &mut signature,
                _ => return None,
            };
            if place.replace(&part[equals + 1..]).is_some() {
                return None;
            }
        }
        let mut scope = credential?.rsplitn(5, |byte| *byte == b'/');
        let [terminator, service, region, date] = [(); 4].map(|()| scope.next().unwrap_or(b""));
        let is_whole = terminator == b"aws4_request" && service == SERVICE.as_bytes();
        let signature = from_hex(signature?)?;
        let names = str::from_utf8(names?).ok()?;
        (is_whole && !region.is_empty()).then_some(Self { date, region, names, signature })
    }
}

/// Names in order, each once, each there; and none that must be among them is missing.
fn check_names(names: &str, fields: Fields<'_, '_>) -> Result<(), Refused> {
    let mut before = "";
    for name in names.split(';') {
        let is_lower =
            name.bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase());
        if name <= before || !is_lower || fields.get(carried_as(name)).is_none() {
            return Err(Refused::Incomplete);
        }
        before = name;
    }
    let is_signed =
        |wanted: &str| names.split(';').any(|name| carried_as(name).eq_ignore_ascii_case(wanted));
    let must = |name: &str| {
        let starts = |prefix: &str| {
            name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        starts("x-amz-") || starts("x-amzn-bedrock-") || name.eq_ignore_ascii_case("content-type")
    };
    let is_missing = fields.iter().any(|(name, _)| must(name) && !is_signed(name));
    if is_missing || !is_signed("host") || !is_signed("x-amz-date") {
        return Err(Refused::Unsigned);
    }
    Ok(())
}

/// The field that a signed name's value is in: over HTTP/2 the JS SDK signs `:authority`, which is the host.
fn carried_as(name: &str) -> &str {
    if name == ":authority" { "host" } else { name }
}

/// The value of a field that is there once.
fn only<'b>(fields: Fields<'_, 'b>, name: &str) -> Option<&'b [u8]> {
    let mut values = fields.all(name);
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

/// 32 bytes, as `Signature=` has them: small letters.
fn from_hex(digits: &[u8]) -> Option<[u8; 32]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; 32];
    if digits.len() != HASH_DIGITS {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
