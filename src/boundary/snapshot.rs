//! One immutable generation of everything the data plane knows, swapped whole.
//!
//! The control plane makes a snapshot and publishes it; each core looks for a newer one between
//! requests, and an exchange keeps the one it began with. What a request needs from a deployment is
//! prepared here once: encoded paths, both as sent and as signed.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use bytes::Bytes;

use crate::{
    bedrock::{operation::Action, price::Rate, usage::Family},
    boundary::{
        credential::CredentialCell,
        ledger::entry::{DeploymentRef, KeyRef},
    },
    limits::{ANSWER_IDLE_MS_MAX, CONNECTIONS_MAX_DEFAULT, CONTENT_IN_FLIGHT_MB_DEFAULT},
    policy::{auth::Keys, group::Group, route::Routes},
    secret::Secret,
    wire::{percent, sigv4},
};

/// Everything the data plane knows.
pub struct Snapshot {
    /// Distinguishes this snapshot from every other of this process.
    pub generation: u64,
    /// Who is let in.
    pub keys: Keys,
    /// Model name → group.
    pub routes: Routes,
    /// What routes point to, and how each is balanced.
    pub groups: Vec<Group>,
    /// What groups are made of: the model list's entries first.
    pub deployments: Vec<Deployment>,
    /// How many of them are the model list's.
    pub listed: usize,
    /// The whole of a request: all its attempts, and the answer to its last byte.
    pub request_timeout: Duration,
    /// Groups that one request may fall back to.
    pub fallbacks_max: u8,
    /// A stream's status is held back until its first frame is there.
    pub first_frame_failover: bool,
    /// Pages that Outcrop answers itself.
    pub pages: Pages,
    /// The largest request content taken, in bytes.
    pub content_bytes_max: u64,
    /// How much a core takes on at once.
    pub bounds: Bounds,
    /// What the key that is let in is called.
    pub key: KeyRef,
    /// What the client credentials of `keys` are called, in their order.
    pub client_keys: Vec<KeyRef>,
    /// An answer whose client left is read on to its end.
    pub drains_abandoned: bool,
    /// What cannot be accounted for is not served.
    pub refuses_unaccounted: bool,
    /// Whether `/metrics` is for those with a key only.
    pub metrics_need_key: bool,
}

/// How much each core takes on at once. Hit: the client gets 503, and is told to come again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bounds {
    /// Client connections.
    pub connections_max: u64,
    /// Requests under way that go to AWS, to the end of their answers.
    pub in_flight_max: Option<u64>,
    /// Bytes of content that all requests together hold.
    pub content_bytes_max: u64,
    /// Requests that one connection may send. Hit: it is closed in order.
    pub requests_per_connection_max: Option<u64>,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections_max: CONNECTIONS_MAX_DEFAULT,
            in_flight_max: None,
            content_bytes_max: CONTENT_IN_FLIGHT_MB_DEFAULT * 1024 * 1024,
            requests_per_connection_max: None,
        }
    }
}

/// Content of the pages that Outcrop answers itself, ready to send: JSON.
#[derive(Clone, Debug, Default)]
pub struct Pages {
    /// `/v1/models`.
    pub models: Bytes,
    /// `/health/readiness` while we can serve. It says who has no credential, which changes.
    pub ready: Arc<ArcSwap<Bytes>>,
    /// `/health/liveliness`.
    pub alive: Bytes,
}

/// One entry of the model list, prepared for requests.
pub struct Deployment {
    /// `model_info.id`: visible ASCII.
    pub id: String,
    /// The AWS region that requests are signed for.
    pub region: String,
    /// Where requests go.
    pub endpoint: Arc<Endpoint>,
    /// What requests are signed with.
    pub credential: Arc<CredentialCell>,
    /// What its tokens cost, if that is known.
    pub rate: Option<Box<Rate>>,
    /// How its model counts.
    pub family: Family,
    /// What ledger entries call it.
    pub reference: DeploymentRef,
    /// `https://host/base`, for people.
    pub api_base: String,
    /// How long its answers may take.
    pub timeouts: Timeouts,
    /// What stands in front of Bedrock's own path: empty, or `/x/y`.
    pub base_path: String,
    serves: Serves,
}

/// What a deployment is for.
enum Serves {
    /// One model; by [`Action::ON_MODEL`].
    Model(Box<[PreparedPath; Action::ON_MODEL.len()]>),
    /// Any model whose id a client names: what stands around the client's part.
    AnyModel { before: String, after: String },
    /// What is asked without a model.
    Service,
}

/// How long a deployment's answers may take.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Until an answer's head.
    pub head: Duration,
    /// Of a stream: until its head and first frame, and between its bytes.
    pub stream: Option<Duration>,
    /// Between two reads of an answer's content.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let idle = Duration::from_millis(ANSWER_IDLE_MS_MAX);
        Self { head: idle, stream: None, idle }
    }
}

/// A path as it goes over the wire and as SigV4 sees it.
#[derive(Clone, Debug, Default)]
pub struct PreparedPath {
    /// The request target's path, percent-encoded.
    pub wire: Vec<u8>,
    /// Its canonical form: encoded once more.
    pub canonical: Vec<u8>,
}

impl PreparedPath {
    fn begin(&mut self, base_path: &str) {
        self.wire.clear();
        self.wire.extend_from_slice(base_path.as_bytes());
    }

    fn end(&mut self) {
        self.canonical.clear();
        sigv4::canonical_path(&self.wire, &mut self.canonical);
    }
}

/// What proves to AWS who asks. Its `Debug` shows no secret.
#[derive(Clone, Debug)]
pub enum Credential {
    /// An access key: each request is signed (SigV4).
    SigV4 {
        /// Public half; visible ASCII without `/` and `,`, which delimit it in `Authorization`.
        access_key_id: String,
        /// Visible ASCII.
        secret_access_key: Secret,
        /// Of a temporary credential; visible ASCII.
        session_token: Option<Secret>,
    },
    /// A Bedrock API key, sent as `Authorization: Bearer`; visible ASCII.
    ApiKey(Secret),
}

impl Credential {
    /// The secret that goes over the wire, if one does: who gets it could quote it.
    #[must_use]
    pub fn shown_upstream(&self) -> Option<&Secret> {
        match self {
            Self::SigV4 { session_token, .. } => session_token.as_ref(),
            Self::ApiKey(key) => Some(key),
        }
    }
}

impl Deployment {
    /// Of one model, or of all whose ids a `*` in `model_id` stands for. Prepares the paths of the actions on
    /// a model, below `base_path` (empty, or `/x/y`).
    #[must_use]
    pub fn new(
        id: String,
        region: String,
        model_id: &str,
        base_path: &str,
        endpoint: Arc<Endpoint>,
        credential: Arc<CredentialCell>,
    ) -> Self {
        let serves = match model_id.split_once('*') {
            Some((before, after)) => {
                Serves::AnyModel { before: before.to_owned(), after: after.to_owned() }
            }
            None => Serves::Model(Box::new(Action::ON_MODEL.map(|action| {
                let mut path = PreparedPath::default();
                path.begin(base_path);
                path.wire.extend_from_slice(b"/model/");
                percent::encode_segment(model_id.as_bytes(), &mut path.wire);
                path.wire.push(b'/');
                path.wire.extend_from_slice(action.segment().as_bytes());
                path.end();
                path
            }))),
        };
        let deployment = Self::service(id, region, base_path, endpoint, credential);
        Self { family: Family::of(model_id), serves, ..deployment }
    }

    /// Of what is asked without a model.
    #[must_use]
    pub fn service(
        id: String,
        region: String,
        base_path: &str,
        endpoint: Arc<Endpoint>,
        credential: Arc<CredentialCell>,
    ) -> Self {
        Self {
            id,
            region,
            endpoint,
            credential,
            rate: None,
            family: Family::Unknown,
            reference: DeploymentRef::default(),
            api_base: String::new(),
            timeouts: Timeouts::default(),
            base_path: base_path.to_owned(),
            serves: Serves::Service,
        }
    }

    /// Whether it is for one model.
    #[must_use]
    pub fn is_of_model(&self) -> bool {
        matches!(self.serves, Serves::Model(_))
    }

    /// Whether it is for what is asked without a model.
    #[must_use]
    pub fn is_of_service(&self) -> bool {
        matches!(self.serves, Serves::Service)
    }

    /// The path of `action`, prepared, or made in `room`. `star`: of a model's name, what a pattern's `*` stands
    /// for. `own`: the path of what is asked without a model in it, as it goes upstream.
    #[must_use]
    pub fn path<'p>(
        &'p self,
        action: Action,
        (star, own): (&[u8], &[u8]),
        room: &'p mut PreparedPath,
    ) -> &'p PreparedPath {
        match &self.serves {
            Serves::Model(paths) if own.is_empty() => return &paths[action as usize],
            Serves::AnyModel { before, after } if own.is_empty() => {
                room.begin(&self.base_path);
                room.wire.extend_from_slice(b"/model/");
                for part in [before.as_bytes(), star, after.as_bytes()] {
                    percent::encode_segment(part, &mut room.wire);
                }
                room.wire.push(b'/');
                room.wire.extend_from_slice(action.segment().as_bytes());
            }
            Serves::Model(_) | Serves::AnyModel { .. } | Serves::Service => {
                room.begin(&self.base_path);
                room.wire.extend_from_slice(own);
            }
        }
        room.end();
        room
    }
}

/// A place to connect to. Lives as long as the process, so that connections to it outlive a snapshot.
#[derive(Debug)]
pub struct Endpoint {
    /// Its place in every core's pool of connections.
    pub index: usize,
    /// Whether to speak TLS.
    pub tls: bool,
    /// Name or address, without brackets: what the certificate must carry.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The `host` field's value: with a port unless it is the scheme's.
    pub authority: String,
    /// What the name last resolved to; empty until it did.
    addresses: ArcSwap<Vec<SocketAddr>>,
    /// How far its clock is ahead of ours.
    clock_ahead_s: AtomicI64,
}

impl Endpoint {
    /// An endpoint whose name has not been resolved.
    #[must_use]
    pub fn new(index: usize, tls: bool, host: String, port: u16, authority: String) -> Self {
        let (addresses, clock_ahead_s) = (ArcSwap::default(), AtomicI64::new(0));
        Self { index, tls, host, port, authority, addresses, clock_ahead_s }
    }

    /// What the name last resolved to, in the order to try; empty if it never did.
    #[must_use]
    pub fn addresses(&self) -> Arc<Vec<SocketAddr>> {
        self.addresses.load_full()
    }

    /// How far its clock is ahead of ours, in seconds, by what it said last; 0: it has not objected.
    #[must_use]
    pub fn clock_ahead_s(&self) -> i64 {
        self.clock_ahead_s.load(Ordering::Relaxed)
    }

    /// It has objected to the time of a signature.
    pub fn set_clock_ahead_s(&self, seconds: i64) {
        self.clock_ahead_s.store(seconds, Ordering::Relaxed);
    }

    /// Replaces the addresses for connections made from now on.
    pub fn publish_addresses(&self, addresses: Vec<SocketAddr>) {
        self.addresses.store(Arc::new(addresses));
    }
}

/// The place where the newest snapshot is found.
pub struct Published {
    current: ArcSwap<Snapshot>,
}

impl Published {
    /// With a first snapshot.
    #[must_use]
    pub fn new(first: Snapshot) -> Self {
        Self { current: ArcSwap::from_pointee(first) }
    }

    /// The newest snapshot.
    #[must_use]
    pub fn newest(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Makes `next` the newest.
    pub fn publish(&self, next: Snapshot) {
        self.current.store(Arc::new(next));
    }
}

/// A number that no other snapshot of this process has.
#[must_use]
pub fn next_generation() -> u64 {
    static GENERATIONS: AtomicU64 = AtomicU64::new(1);
    GENERATIONS.fetch_add(1, Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_encoded_for_the_wire_and_once_more_for_the_signature() {
        let endpoint = Arc::new(Endpoint::new(0, true, "h".into(), 443, "h".into()));
        let key = Arc::new(CredentialCell::fixed(Credential::ApiKey(Secret::new("k".into()))));
        let arn = "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc";
        let deployment =
            Deployment::new("id".into(), "us-east-1".into(), arn, "/vpc", endpoint, key);
        let mut room = PreparedPath::default();
        let path = deployment.path(Action::ConverseStream, (b"", b""), &mut room);
        let wire = "/vpc/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Aapplication-inference-profile%2Fabc/converse-stream";
        assert_eq!(path.wire, wire.as_bytes());
        assert_eq!(path.canonical, wire.replace('%', "%25").as_bytes());
        let path = deployment.path(Action::StartAsyncInvoke, (b"", b"/async-invoke"), &mut room);
        assert_eq!(path.wire, b"/vpc/async-invoke");
    }

    #[test]
    fn a_pattern_is_filled_with_what_the_client_named_and_one_segment_stays_one() {
        let endpoint = Arc::new(Endpoint::new(0, true, "h".into(), 443, "h".into()));
        let key = Arc::new(CredentialCell::fixed(Credential::ApiKey(Secret::new("k".into()))));
        let (id, region) = ("id".to_owned(), "us-east-1".to_owned());
        let deployment = Deployment::new(id, region, "us.*", "/vpc", endpoint, key);
        let mut room = PreparedPath::default();
        let path = deployment.path(Action::Invoke, (b"a/../b:0", b""), &mut room);
        assert_eq!(path.wire, b"/vpc/model/us.a%2F..%2Fb%3A0/invoke");
        assert_eq!(path.canonical, b"/vpc/model/us.a%252F..%252Fb%253A0/invoke");
        assert_eq!(
            deployment.path(Action::Rerank, (b"", b"/rerank"), &mut room).wire,
            b"/vpc/rerank"
        );
    }
}
