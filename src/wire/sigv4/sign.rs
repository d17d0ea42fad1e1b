//! The signature: key, date, scope, and the value of `authorization`.
//!
//! The caller's buffer serves as scratch for the canonical request and the string to sign, then
//! receives the value: nothing is allocated once it has grown.

use std::fmt;

use ring::{digest, hmac};

use super::canonical::{Signable, canonical_request, signed_names, write_hex};
use crate::units::UnixSeconds;

/// What a signature starts with.
pub(super) const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Signs for one day, region and service; derived once and kept, since that takes four HMACs.
#[derive(Clone)]
pub struct SigningKey(hmac::Key);

impl SigningKey {
    /// From the secret access key, the day as `YYYYMMDD`, and where it is good for.
    #[must_use]
    pub fn derive(secret: &str, date: &[u8; 8], region: &str, service: &str) -> Self {
        let first = [b"AWS4", secret.as_bytes()].concat();
        let mut key = hmac::Key::new(hmac::HMAC_SHA256, &first);
        for part in [&date[..], region.as_bytes(), service.as_bytes(), b"aws4_request"] {
            let tag = hmac::sign(&key, part);
            key = hmac::Key::new(hmac::HMAC_SHA256, tag.as_ref());
        }
        Self(key)
    }

    /// Whether `signature` is what it makes of `message`; in constant time.
    pub(super) fn made(&self, message: &[u8], signature: &[u8; 32]) -> bool {
        hmac::verify(&self.0, message, signature).is_ok()
    }
}

/// Nothing of the key.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").finish_non_exhaustive()
    }
}

/// A moment as `x-amz-date` says it: `YYYYMMDDTHHMMSSZ`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AmzDate([u8; 16]);

impl AmzDate {
    /// In UTC. The last second of the year 9999 stands for all that follow, so the form holds.
    #[must_use]
    pub fn at(now: UnixSeconds) -> Self {
        const LAST: u64 = 253_402_300_799;
        let (days, second) = (now.0.min(LAST) / 86_400, now.0.min(LAST) % 86_400);
        let (year, month, day) = civil(days);
        let mut text = *b"00000000T000000Z";
        write_digits(&mut text[..4], year);
        write_digits(&mut text[4..6], month);
        write_digits(&mut text[6..8], day);
        write_digits(&mut text[9..11], second / 3600);
        write_digits(&mut text[11..13], second / 60 % 60);
        write_digits(&mut text[13..15], second % 60);
        Self(text)
    }

    /// Of a field's value, and the moment that it says. `None`: it is no date of this form.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<(Self, UnixSeconds)> {
        let text: [u8; 16] = text.try_into().ok()?;
        let number = |digits: &[u8]| {
            digits.iter().try_fold(0_u64, |sum, byte| {
                byte.is_ascii_digit().then(|| sum * 10 + u64::from(byte - b'0'))
            })
        };
        let (year, month, day) = (number(&text[..4])?, number(&text[4..6])?, number(&text[6..8])?);
        let (hour, minute, second) =
            (number(&text[9..11])?, number(&text[11..13])?, number(&text[13..15])?);
        if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) {
            return None;
        }
        let at = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
        // What is no day of the calendar comes back as another.
        (Self::at(UnixSeconds(at)).0 == text).then_some((Self(text), UnixSeconds(at)))
    }

    /// The day alone: `YYYYMMDD`, which a [`SigningKey`] is good for.
    #[must_use]
    pub fn date(&self) -> &[u8; 8] {
        self.0.first_chunk().expect("16 bytes begin with 8")
    }

    /// The value of `x-amz-date`.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// Who signs, and where it is good for; region and service are those of the [`SigningKey`].
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The credential's public half.
    pub access_key_id: &'a str,
    /// As `us-east-1`.
    pub region: &'a str,
    /// As `bedrock`.
    pub service: &'a str,
}

/// Appends the value of `authorization` to `out`:
/// `AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…`.
///
/// # Panics
/// In debug builds, if the signed fields are not sorted.
pub fn sign(
    request: &Signable<'_>,
    scope: &Scope<'_>,
    date: &AmzDate,
    key: &SigningKey,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    string_to_sign(request, scope, date, out);
    let signature = hmac::sign(&key.0, &out[start..]);
    out.truncate(start);
    out.extend_from_slice(ALGORITHM.as_bytes());
    out.extend_from_slice(b" Credential=");
    out.extend_from_slice(scope.access_key_id.as_bytes());
    out.push(b'/');
    write_scope(scope, date, out);
    out.extend_from_slice(b", SignedHeaders=");
    signed_names(request.fields, out);
    out.extend_from_slice(b", Signature=");
    write_hex(sha256(signature.as_ref()), out);
}

/// Appends what is signed: algorithm, date, scope, and the hash of the canonical request.
///
/// # Panics
/// As [`sign`].
pub fn string_to_sign(
    request: &Signable<'_>,
    scope: &Scope<'_>,
    date: &AmzDate,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    canonical_request(request, out);
    let hash = digest::digest(&digest::SHA256, &out[start..]);
    out.truncate(start);
    string_of_hash(hash.as_ref(), scope, date, out);
}

/// Appends what is signed of a canonical request whose SHA-256 is `hash`.
pub(super) fn string_of_hash(hash: &[u8], scope: &Scope<'_>, date: &AmzDate, out: &mut Vec<u8>) {
    out.extend_from_slice(ALGORITHM.as_bytes());
    out.push(b'\n');
    out.extend_from_slice(&date.0);
    out.push(b'\n');
    write_scope(scope, date, out);
    out.push(b'\n');
    write_hex(sha256(hash), out);
}

/// Appends `YYYYMMDD/region/service/aws4_request`.
fn write_scope(scope: &Scope<'_>, date: &AmzDate, out: &mut Vec<u8>) {
    out.extend_from_slice(date.date());
    for part in [scope.region, scope.service, "aws4_request"] {
        out.push(b'/');
        out.extend_from_slice(part.as_bytes());
    }
}

/// A SHA-256 output as what it is.
fn sha256(output: &[u8]) -> &[u8; 32] {
    output.try_into().expect("SHA-256 gives 32 bytes")
}

/// Writes `value` in decimal, right-aligned; the places hold zeros.
fn write_digits(places: &mut [u8], value: u64) {
    let mut rest = value;
    for place in places.iter_mut().rev() {
        *place = b"0123456789"[(rest % 10) as usize];
        rest /= 10;
    }
}

/// Year, month and day of a day since 1970-01-01, in the Gregorian calendar. Counts from a 1 March,
/// so that the leap day is a year's last (Howard Hinnant, "chrono-compatible low-level date
/// algorithms").
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468; // since 0000-03-01
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let months = (5 * day_of_year + 2) / 153; // since March
    let day = day_of_year - (153 * months + 2) / 5 + 1;
    let month = if months < 10 { months + 3 } else { months - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

/// The day since 1970-01-01: the way back from [`civil`].
fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = year - u64::from(month <= 2);
    let (era, year_of_era) = (year / 400, year % 400);
    let months = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * months + 2) / 5 + day.max(1) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::wire::sigv4::{SignedField, canonical_path, canonical_query};

    /// One request as botocore signed it.
    #[derive(Deserialize)]
    struct Vector {
        name: String,
        method: String,
        url: String,
        headers: std::collections::BTreeMap<String, String>,
        body: String,
        session_token: Option<String>,
        amz_date: String,
        region: String,
        service: String,
        access_key: String,
        secret_key: String,
        canonical_request: String,
        string_to_sign: String,
        signed_headers: String,
        signature: String,
    }

    fn check(vector: &Vector) {
        let rest = vector.url.strip_prefix("https://").expect("an https URL");
        let (host, target) = rest.split_at(rest.find('/').expect("a path"));
        let (wire_path, wire_query) = target.split_once('?').unwrap_or((target, ""));
        let (mut path, mut query) = (Vec::new(), Vec::new());
        canonical_path(wire_path.as_bytes(), &mut path);
        canonical_query(wire_query.as_bytes(), &mut query);
        let lower = vector.headers.iter().map(|(name, value)| (name.to_lowercase(), value.clone()));
        let mut fields: Vec<(String, String)> = lower.collect();
        fields.push(("host".to_owned(), host.to_owned()));
        fields.push(("x-amz-date".to_owned(), vector.amz_date.clone()));
        fields
            .extend(vector.session_token.clone().map(|it| ("x-amz-security-token".to_owned(), it)));
        fields.sort();
        let signed =
            fields.iter().map(|(name, value)| SignedField { name, value: value.as_bytes() });
        let signed: Vec<_> = signed.collect();
        let hash = digest::digest(&digest::SHA256, vector.body.as_bytes());
        let request = Signable {
            method: &vector.method,
            canonical_path: &path,
            canonical_query: &query,
            fields: &signed,
            content_sha256: sha256(hash.as_ref()),
        };
        let (region, service) = (&*vector.region, &*vector.service);
        let scope = Scope { access_key_id: &vector.access_key, region, service };
        let date = AmzDate(vector.amz_date.as_bytes().try_into().expect("16 bytes"));
        let key = SigningKey::derive(&vector.secret_key, date.date(), region, service);

        check_text(vector, &vector.canonical_request, |out| canonical_request(&request, out));
        check_text(vector, &vector.string_to_sign, |out| {
            string_to_sign(&request, &scope, &date, out)
        });
        let expected = format!(
            "AWS4-HMAC-SHA256 Credential={}/{}/{region}/{service}/aws4_request, SignedHeaders={}, Signature={}",
            vector.access_key,
            &vector.amz_date[..8],
            vector.signed_headers,
            vector.signature,
        );
        check_text(vector, &expected, |out| sign(&request, &scope, &date, &key, out));
    }

    /// Each writer appends, and leaves what was there.
    fn check_text(vector: &Vector, expected: &str, write: impl FnOnce(&mut Vec<u8>)) {
        let mut out = b"authorization: ".to_vec();
        write(&mut out);
        let text = String::from_utf8(out).expect("ASCII");
        assert_eq!(text, format!("authorization: {expected}"), "{}", vector.name);
    }

    #[test]
    fn botocores_signatures_are_ours() {
        let text = include_str!("../../../tests/vectors/sigv4/bedrock.json");
        let vectors: Vec<Vector> = serde_json::from_str(text).expect("the recorded vectors");
        assert_eq!(vectors.len(), 7);
        vectors.iter().for_each(check);
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (now, text) in [
            (0, "19700101T000000Z"),
            (951_782_399, "20000228T235959Z"),
            (951_782_400, "20000229T000000Z"),
            (951_868_800, "20000301T000000Z"),
            (1_751_371_200, "20250701T120000Z"),
            (4_107_542_400, "21000301T000000Z"),
            (253_402_300_799, "99991231T235959Z"),
            (u64::MAX, "99991231T235959Z"),
        ] {
            assert_eq!(AmzDate::at(UnixSeconds(now)).as_bytes(), text.as_bytes(), "{now}");
            let (_, back) = AmzDate::parse(text.as_bytes()).unwrap();
            assert_eq!(back.0, now.min(253_402_300_799), "{text}");
        }
        for text in [
            "",
            "20250701T120000",
            "20250701T120000z",
            "20250701 120000Z",
            "20250229T000000Z",
            "20251301T000000Z",
            "20250700T000000Z",
            "20250701T240000Z",
            "20250701T006000Z",
            "19691231T000000Z",
            "2025070١T00000Z",
        ] {
            assert_eq!(AmzDate::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_key_shows_nothing() {
        let key = SigningKey::derive("secret", b"20250701", "us-east-1", "bedrock");
        assert_eq!(format!("{key:?}"), "SigningKey { .. }");
    }
}
