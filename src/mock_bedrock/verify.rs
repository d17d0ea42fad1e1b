//! Judges each request's authentication as Bedrock does, with AWS's own signer.
//!
//! The signature is made again from what arrived (its own date, its own SignedHeaders, the hash of
//! the content received) and compared. Canonical path: the encoded path encoded once more, dot and
//! empty segments removed (guide §5). Time is an argument; without one no skew is judged.

use super::amz_date;
use super::aws_error::AwsError;
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use http::HeaderMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// AWS tolerates this much between its clock and a request's (guide §5).
const SKEW_S_MAX: u64 = 300;
const MISMATCH: &str = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.";
const INVALID_TOKEN: &str = "The security token included in the request is invalid.";

/// Whom a stand-in lets in.
#[derive(Clone)]
pub struct Verifier {
    /// The region of the credential scope.
    pub region: String,
    /// The only access key id known.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: String,
    /// When set, must be present, equal and signed.
    pub session_token: Option<String>,
    /// Accepted as `Authorization: Bearer`.
    pub api_keys: Vec<String>,
}

/// What of a request is judged. `target` is raw: path and query.
pub struct Presented<'a> {
    /// The method.
    pub method: &'a str,
    /// Path and query as received.
    pub target: &'a str,
    /// All fields.
    pub fields: &'a HeaderMap,
    /// SHA-256 of the content received, in hexadecimal.
    pub content_sha256: &'a str,
}

/// How a request was authenticated.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// A SigV4 signature that AWS's signer makes too.
    Signed,
    /// A known Bedrock API key.
    ApiKey,
    /// Verification was switched off, or the content was not read.
    Unchecked,
    /// Refused with this AWS error name and message.
    Refused(String, String),
}

/// The parts of an `Authorization: AWS4-HMAC-SHA256` field.
struct Claim<'a> {
    access_key_id: &'a str,
    date: &'a str,
    region: &'a str,
    service: &'a str,
    signed_headers: Vec<&'a str>,
    signature: &'a str,
}

impl Verifier {
    /// Lets a request in, or says which AWS error refuses it.
    pub fn verify(
        &self,
        request: &Presented<'_>,
        now: Option<SystemTime>,
    ) -> Result<Verdict, AwsError> {
        let missing = || {
            AwsError::coral(
                403,
                "MissingAuthenticationTokenException",
                "Missing Authentication Token",
            )
        };
        let authorization = field(request.fields, "authorization").ok_or_else(missing)?;
        if let Some(key) = authorization.strip_prefix("Bearer ") {
            if self.api_keys.iter().any(|known| known == key) {
                return Ok(Verdict::ApiKey);
            }
            let message = "Authentication failed: Please make sure your API Key is valid.";
            return Err(AwsError::coral(403, "AccessDeniedException", message));
        }
        let claim = Claim::parse(authorization).ok_or_else(|| {
            AwsError::coral(
                403,
                "IncompleteSignatureException",
                "Authorization header is not of AWS4-HMAC-SHA256.",
            )
        })?;
        self.check_identity(request, &claim)?;
        check_signed_headers(request, &claim)?;
        let date = self.check_scope(request, &claim, now)?;
        self.check_signature(request, &claim, date)
    }

    fn check_identity(&self, request: &Presented<'_>, claim: &Claim<'_>) -> Result<(), AwsError> {
        let token = field(request.fields, "x-amz-security-token");
        if claim.access_key_id != self.access_key_id || token != self.session_token.as_deref() {
            return Err(AwsError::coral(403, "UnrecognizedClientException", INVALID_TOKEN));
        }
        Ok(())
    }

    /// The scope and the date, in Unix seconds.
    fn check_scope(
        &self,
        request: &Presented<'_>,
        claim: &Claim<'_>,
        now: Option<SystemTime>,
    ) -> Result<u64, AwsError> {
        if claim.region != self.region {
            return Err(invalid(&format!(
                "Credential should be scoped to a valid region, not '{}'. ",
                claim.region
            )));
        }
        if claim.service != "bedrock" {
            return Err(invalid("Credential should be scoped to correct service: 'bedrock'. "));
        }
        let text = field(request.fields, "x-amz-date").unwrap_or_default();
        let date = amz_date::parse(text)
            .ok_or_else(|| invalid("Date must be in ISO-8601 'basic format'. Got ''. See http://en.wikipedia.org/wiki/ISO_8601"))?;
        if !text.starts_with(claim.date) || claim.date.len() != 8 {
            return Err(invalid(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP",
            ));
        }
        let Some(now) = now.and_then(|now| now.duration_since(UNIX_EPOCH).ok()) else {
            return Ok(date);
        };
        let now = now.as_secs();
        let at = |unix_s| amz_date::format(unix_s);
        if date + SKEW_S_MAX < now {
            let edge = at(now - SKEW_S_MAX);
            return Err(invalid(&format!(
                "Signature expired: {text} is now earlier than {edge} ({} - 5 min.)",
                at(now)
            )));
        }
        if date > now + SKEW_S_MAX {
            let edge = at(now + SKEW_S_MAX);
            return Err(invalid(&format!(
                "Signature not yet current: {text} is still later than {edge} ({} + 5 min.)",
                at(now)
            )));
        }
        Ok(date)
    }

    fn check_signature(
        &self,
        request: &Presented<'_>,
        claim: &Claim<'_>,
        date: u64,
    ) -> Result<Verdict, AwsError> {
        let mismatch = || invalid(MISMATCH);
        let declared = field(request.fields, "x-amz-content-sha256");
        if declared.is_some_and(|declared| declared != request.content_sha256) {
            return Err(mismatch());
        }
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Double;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Enabled;
        settings.excluded_headers = None;
        let identity =
            Credentials::new(&self.access_key_id, &self.secret_access_key, None, None, "stand-in")
                .into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("bedrock")
            .time(UNIX_EPOCH + Duration::from_secs(date))
            .settings(settings)
            .build()
            .map_err(|_| mismatch())?
            .into();
        let host = field(request.fields, "host").ok_or_else(mismatch)?;
        let url = format!("https://{host}{}", request.target);
        let signed = claim.signed_headers.iter().flat_map(|name| {
            let values = request.fields.get_all(*name).iter();
            values.filter_map(move |value| Some((*name, str::from_utf8(value.as_bytes()).ok()?)))
        });
        let body = SignableBody::Precomputed(request.content_sha256.to_owned());
        let signable =
            SignableRequest::new(request.method, url, signed, body).map_err(|_| mismatch())?;
        let signed = sign(signable, &params).map_err(|_| mismatch())?;
        if signed.signature() == claim.signature { Ok(Verdict::Signed) } else { Err(mismatch()) }
    }
}

impl<'a> Claim<'a> {
    fn parse(authorization: &'a str) -> Option<Self> {
        let rest = authorization.strip_prefix("AWS4-HMAC-SHA256")?;
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for part in rest.split(',') {
            match part.trim().split_once('=')? {
                ("Credential", value) => credential = Some(value),
                ("SignedHeaders", value) => signed_headers = Some(value),
                ("Signature", value) => signature = Some(value),
                _ => return None,
            }
        }
        let mut scope = credential?.split('/');
        let claim = Self {
            access_key_id: scope.next()?,
            date: scope.next()?,
            region: scope.next()?,
            service: scope.next()?,
            signed_headers: signed_headers?.split(';').collect(),
            signature: signature?,
        };
        (scope.next() == Some("aws4_request") && scope.next().is_none()).then_some(claim)
    }
}

/// Every field that Bedrock wants signed is signed, and every signed one is there, once sorted.
fn check_signed_headers(request: &Presented<'_>, claim: &Claim<'_>) -> Result<(), AwsError> {
    let signed = &claim.signed_headers;
    let sorted = signed.windows(2).all(|pair| pair[0] < pair[1]);
    if !sorted || signed.iter().any(|name| !request.fields.contains_key(*name)) {
        return Err(invalid(MISMATCH));
    }
    let must = |name: &str| {
        name == "host"
            || name == "content-type"
            || name.starts_with("x-amz-")
            || name.starts_with("x-amzn-bedrock-")
    };
    let unsigned =
        request.fields.keys().find(|name| must(name.as_str()) && !signed.contains(&name.as_str()));
    let name =
        if signed.contains(&"host") { unsigned.map(|name| name.as_str()) } else { Some("host") };
    match name {
        Some(name) => {
            Err(invalid(&format!("'{name}' must be a 'SignedHeader' in the AWS Authorization.")))
        }
        None if signed.contains(&"x-amz-date") => Ok(()),
        None => Err(invalid("'x-amz-date' must be a 'SignedHeader' in the AWS Authorization.")),
    }
}

fn invalid(message: &str) -> AwsError {
    AwsError::coral(403, "InvalidSignatureException", message)
}

fn field<'a>(fields: &'a HeaderMap, name: &str) -> Option<&'a str> {
    fields.get(name)?.to_str().ok()
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
