//! The head that goes to AWS: built from a deployment, signed, never spliced from the client's.
//!
//! ```text
//!   POST /model/ID/ACTION HTTP/1.1     the deployment's prepared path, or one made of the request's parts;
//!                                      the client's method and query
//!   host · user-agent                  ours
//!   content-type · x-amzn-bedrock-* …  the client's, from the allow-list
//!   content-length                     the content is whole by now, however it came
//!   x-amz-date · x-amz-security-token · authorization
//! ```

use crate::{
    bedrock::operation::{Action, Method},
    boundary::snapshot::{Credential, Deployment, PreparedPath},
    data_plane::intake::Forwarded,
    limits::SIGNED_FIELDS_MAX,
    units::UnixSeconds,
    wire::{
        http1::emit,
        sigv4::{self, AmzDate, Scope, Signable, SignedField, SigningKey},
    },
};

/// The service that all of Bedrock signs for.
const SERVICE: &str = "bedrock";
/// host, x-amz-date, x-amz-security-token.
const OWN_SIGNED_FIELDS: usize = 3;

/// Signing keys of one core, one per deployment, each good for a day.
#[derive(Default)]
pub struct SigningKeys {
    generation: u64,
    keys: Vec<Option<([u8; 8], SigningKey)>>,
    /// The canonical query, when there is one.
    query: Vec<u8>,
    /// The path, where none is prepared.
    path: PreparedPath,
}

impl SigningKeys {
    /// The key of the snapshot's `deployment`, derived if the day, or the snapshot, is a new one.
    fn get(
        &mut self,
        generation: u64,
        index: usize,
        date: &AmzDate,
        secret: &str,
        region: &str,
    ) -> &SigningKey {
        if self.generation != generation {
            self.generation = generation;
            self.keys.clear();
        }
        if self.keys.len() <= index {
            self.keys.resize_with(index + 1, || None);
        }
        let slot = &mut self.keys[index];
        if slot.as_ref().is_none_or(|(day, _)| day != date.date()) {
            *slot = Some((*date.date(), SigningKey::derive(secret, date.date(), region, SERVICE)));
        }
        &slot.as_ref().expect("just filled").1
    }
}

/// One attempt's facts.
pub struct Attempt<'a> {
    /// The snapshot that `deployment` is of.
    pub generation: u64,
    /// Its place in the snapshot.
    pub index: usize,
    /// Where the request goes.
    pub deployment: &'a Deployment,
    /// What is asked of it.
    pub action: Action,
    /// The client's part of the head.
    pub forwarded: &'a Forwarded,
    /// Length of the content.
    pub content_length: u64,
    /// Its hash.
    pub content_sha256: &'a [u8; 32],
    /// When the request is signed.
    pub now: UnixSeconds,
}

/// Appends the whole head to `out`.
pub fn write_head(attempt: &Attempt<'_>, keys: &mut SigningKeys, out: &mut Vec<u8>) {
    let deployment = attempt.deployment;
    let query = attempt.forwarded.query();
    let mut room = std::mem::take(&mut keys.path);
    let forwarded = attempt.forwarded;
    let parts = (forwarded.star(), forwarded.path());
    let path = deployment.path(attempt.action, parts, &mut room);
    out.extend_from_slice(forwarded.method().text().as_bytes());
    out.push(b' ');
    out.extend_from_slice(&path.wire);
    if !query.is_empty() {
        out.push(b'?');
        out.extend_from_slice(query);
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
    emit::field(out, "host", deployment.endpoint.authority.as_bytes());
    emit::field(out, "user-agent", concat!("outcrop/", env!("CARGO_PKG_VERSION")).as_bytes());
    for (name, value, _) in attempt.forwarded.iter() {
        emit::field(out, name, value);
    }
    // A request without content needs no length if its method expects none (RFC 9110 §8.6).
    if attempt.content_length > 0 || !matches!(forwarded.method(), Method::Get | Method::Delete) {
        emit::number_field(out, "content-length", attempt.content_length);
    }
    match &deployment.credential {
        Credential::ApiKey(key) => {
            out.extend_from_slice(b"authorization: Bearer ");
            out.extend_from_slice(key.expose().as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        Credential::SigV4 { access_key_id, secret_access_key, session_token } => {
            let date = AmzDate::at(attempt.now);
            let token = session_token.as_ref().map(|token| token.expose());
            emit::field(out, "x-amz-date", date.as_bytes());
            if let Some(token) = token {
                emit::field(out, "x-amz-security-token", token.as_bytes());
            }
            keys.query.clear();
            sigv4::canonical_query(query, &mut keys.query);
            let canonical_query = std::mem::take(&mut keys.query);
            let secret = secret_access_key.expose();
            let key =
                keys.get(attempt.generation, attempt.index, &date, secret, &deployment.region);
            let canonical = (path.canonical.as_slice(), canonical_query.as_slice());
            sign(attempt, access_key_id, token, &date, canonical, key, out);
            keys.query = canonical_query;
        }
    }
    keys.path = room;
    out.extend_from_slice(b"\r\n");
}

fn sign(
    attempt: &Attempt<'_>,
    access_key_id: &str,
    token: Option<&str>,
    date: &AmzDate,
    (canonical_path, canonical_query): (&[u8], &[u8]),
    key: &SigningKey,
    out: &mut Vec<u8>,
) {
    let deployment = attempt.deployment;
    let mut fields = [SignedField { name: "", value: b"" }; SIGNED_FIELDS_MAX + OWN_SIGNED_FIELDS];
    let own = [
        Some(("host", deployment.endpoint.authority.as_bytes())),
        Some(("x-amz-date", &date.as_bytes()[..])),
        token.map(|token| ("x-amz-security-token", token.as_bytes())),
    ];
    let theirs = attempt.forwarded.iter().filter(|(_, _, is_signed)| *is_signed);
    let mut count = 0;
    for (name, value) in
        own.into_iter().flatten().chain(theirs.map(|(name, value, _)| (name, value)))
    {
        fields[count] = SignedField { name, value };
        count += 1;
    }
    // Stable: values of one name stay in the order in which they are sent.
    insertion_sort(&mut fields[..count]);
    let signable = Signable {
        method: attempt.forwarded.method().text(),
        canonical_path,
        canonical_query,
        fields: &fields[..count],
        content_sha256: attempt.content_sha256,
    };
    let scope = Scope { access_key_id, region: &deployment.region, service: SERVICE };
    out.extend_from_slice(b"authorization: ");
    sigv4::sign(&signable, &scope, date, key, out);
    out.extend_from_slice(b"\r\n");
}

/// A handful of names, nearly in order, without the allocation of a stable library sort.
fn insertion_sort(fields: &mut [SignedField<'_>]) {
    for end in 1..fields.len() {
        let mut at = end;
        while at > 0 && fields[at - 1].name > fields[at].name {
            fields.swap(at - 1, at);
            at -= 1;
        }
    }
}
