//! A request's head, judged once: what is asked, by whom, and what of it goes to AWS.
//!
//! Runs while the head is still borrowed from the receive buffer; what it returns borrows nothing of
//! it. The order of the judgements is the order in which they matter: how long the message is (else
//! nothing after it can be trusted), who asks, and only then what for.

use crate::{
    bedrock::{
        fault::Fault,
        operation::{self, Action, AdminPage, Page, Target},
    },
    boundary::snapshot::Snapshot,
    data_plane::wishes::Wishes,
    limits::{ERRAND_CONTENT_BYTES_MAX, SIGNED_FIELDS_MAX},
    policy::auth::Denial,
    units::{RequestId, UnixMicros},
    wire::{
        http1::{
            emit::ConnectionOptions,
            framing::{self, Expectation, Framing, FramingError},
            head::{Fields, HeadError, RequestHead, Version},
        },
        percent,
    },
};

/// Longest call id that a client may choose for itself.
const CALL_ID_BYTES_MAX: usize = 128;

/// What an exchange needs to know of a request's head.
pub struct Intake {
    /// How the client frames its content.
    pub framing: Framing,
    /// Whether the client waits for `100 Continue` before it sends content.
    pub expects_continue: bool,
    /// Whether the client may send another request on this connection.
    pub keeps_alive: bool,
    /// The client's HTTP version.
    pub version: Version,
    /// `HEAD`: the answer has no content.
    pub is_head: bool,
    /// When the head was whole, and the request's id.
    pub birth: Birth,
    /// Echoed as `x-litellm-call-id`.
    pub call_id: CallId,
    /// What the client asks for beyond Bedrock's protocol.
    pub wishes: Wishes,
    /// The client's key was right, or none is needed.
    pub is_admitted: bool,
    /// What to do.
    pub purpose: Result<Purpose, Fault>,
}

/// When a request's head was whole, and the id that it got then.
#[derive(Clone, Copy)]
pub struct Birth {
    /// By the wall clock.
    pub at: UnixMicros,
    /// Nobody else has it.
    pub id: RequestId,
}

impl Birth {
    /// Of a moment and 128 random bits.
    #[must_use]
    pub fn new(at: UnixMicros, random: u128) -> Self {
        Self { at, id: RequestId::new(at, random) }
    }
}

/// What a request is for.
pub enum Purpose {
    /// To be signed and sent to one of the group's deployments.
    Operation {
        /// Whose deployments may serve it: its place in the snapshot.
        group: usize,
        /// Which of Bedrock's actions.
        action: Action,
    },
    /// To be answered here.
    Page(Page),
    /// To be answered by the control plane; the target's query is in [`Forwarded`].
    Admin(AdminPage),
}

impl Intake {
    /// The largest content that the request may have.
    #[must_use]
    pub fn content_bytes_max(&self, snapshot: &Snapshot) -> u64 {
        match self.purpose {
            Ok(Purpose::Admin(_)) => ERRAND_CONTENT_BYTES_MAX,
            _ => snapshot.content_bytes_max,
        }
    }
}

/// The id that joins a client's view of a request with ours: the client's own, or a new one.
#[derive(Clone, Copy)]
pub struct CallId {
    bytes: [u8; CALL_ID_BYTES_MAX],
    length: u8,
    is_chosen: bool,
}

impl CallId {
    fn new(chosen: Option<&[u8]>, own: RequestId) -> Self {
        let text = own.text();
        let usable = |id: &&[u8]| {
            (1..=CALL_ID_BYTES_MAX).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic)
        };
        let chosen = chosen.filter(usable);
        let id = chosen.unwrap_or(&text);
        let mut bytes = [0; CALL_ID_BYTES_MAX];
        bytes[..id.len()].copy_from_slice(id);
        let length = u8::try_from(id.len()).expect("at most CALL_ID_BYTES_MAX");
        Self { bytes, length, is_chosen: chosen.is_some() }
    }

    /// Without a request to take it from.
    #[must_use]
    pub fn fresh(own: RequestId) -> Self {
        Self::new(None, own)
    }

    /// The client's own, if it sent one.
    #[must_use]
    pub fn chosen(&self) -> Option<&[u8]> {
        self.is_chosen.then(|| self.as_bytes())
    }

    /// Visible ASCII.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

/// The client's fields that go to AWS, lower-case names, in the order they came.
#[derive(Default)]
pub struct Forwarded {
    bytes: Vec<u8>,
    fields: Vec<ForwardedField>,
    /// The target's query, raw.
    query: Vec<u8>,
}

struct ForwardedField {
    name_end: usize,
    value_end: usize,
    is_signed: bool,
}

impl Forwarded {
    /// Forgets all.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.fields.clear();
        self.query.clear();
    }

    /// `(name, value, is signed)`, in the order they came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8], bool)> {
        let mut start = 0;
        self.fields.iter().map(move |field| {
            let name =
                str::from_utf8(&self.bytes[start..field.name_end]).expect("field names are ASCII");
            let value = &self.bytes[field.name_end..field.value_end];
            start = field.value_end;
            (name, value, field.is_signed)
        })
    }

    /// The target's query, raw, without its question mark.
    #[must_use]
    pub fn query(&self) -> &[u8] {
        &self.query
    }

    fn push(&mut self, name: &str, value: &[u8], is_signed: bool) {
        self.bytes.extend(name.bytes().map(|byte| byte.to_ascii_lowercase()));
        let name_end = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.fields.push(ForwardedField { name_end, value_end: self.bytes.len(), is_signed });
    }

    /// Takes what means something to Bedrock and is not the client's connection's own business.
    fn take(&mut self, fields: Fields<'_, '_>) -> Result<(), Fault> {
        let options = ConnectionOptions::of(&fields);
        let mut signed = 0;
        for (name, value) in fields.iter() {
            let Some(is_signed) = goes_to_aws(name) else { continue };
            if options.names(name) {
                // RFC 9110 §7.6.1: what Connection names ends here. To name these is an attack or a mistake.
                return Err(Fault::BadRequest("A Connection field names an end-to-end field."));
            }
            signed += usize::from(is_signed);
            if signed > SIGNED_FIELDS_MAX {
                return Err(Fault::HeadTooLarge);
            }
            self.push(name, value, is_signed);
        }
        Ok(())
    }
}

/// Whether a field goes to AWS, and then whether it is signed. An allow-list: hop-by-hop fields, keys,
/// the client's own signature and whatever proxies in front of us added stay here.
fn goes_to_aws(name: &str) -> Option<bool> {
    const SIGNED_PREFIX: &str = "x-amzn-bedrock-";
    const UNSIGNED: [&str; 5] = [
        "accept",
        "content-encoding",
        "anthropic-beta",
        "amz-sdk-invocation-id",
        "amz-sdk-request",
    ];
    if name.eq_ignore_ascii_case("content-type")
        || name
            .get(..SIGNED_PREFIX.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(SIGNED_PREFIX))
    {
        return Some(true);
    }
    UNSIGNED.iter().any(|allowed| name.eq_ignore_ascii_case(allowed)).then_some(false)
}

/// Judges a whole head.
///
/// # Errors
/// A fault after which the connection's bytes can no longer be told apart.
pub fn judge(
    head: &RequestHead<'_, '_>,
    snapshot: &Snapshot,
    birth: Birth,
    name: &mut Vec<u8>,
    forwarded: &mut Forwarded,
) -> Result<Intake, Fault> {
    let framing = framing::of_request(head.version, &head.fields).map_err(|error| match error {
        FramingError::BadRequest(what) => Fault::BadRequest(what),
        FramingError::UnknownCoding => Fault::UnknownCoding,
    })?;
    let expectation = framing::expectation(head.version, &head.fields);
    let purpose = match &expectation {
        Err(_) => Err(Fault::ExpectationFailed),
        Ok(_) => purpose(head, &framing, snapshot, name, forwarded),
    };
    let (call_id, wishes) = Wishes::of(head.fields);
    let is_admitted = !matches!(purpose, Err(Fault::MissingKey | Fault::WrongKey));
    // Who may not ask learns nothing of what was wrong with it.
    let purpose = purpose.and_then(|purpose| wishes.map(|_| purpose));
    let wishes = wishes.unwrap_or_default();
    Ok(Intake {
        expects_continue: matches!(expectation, Ok(Expectation::Continue)),
        // What a client sends behind CONNECT it may already send into the tunnel.
        keeps_alive: head.method != "CONNECT" && framing::keeps_alive(head.version, &head.fields),
        version: head.version,
        is_head: head.method == "HEAD",
        birth,
        call_id: CallId::new(call_id, birth.id),
        wishes,
        is_admitted,
        framing,
        purpose,
    })
}

fn purpose(
    head: &RequestHead<'_, '_>,
    framing: &Framing,
    snapshot: &Snapshot,
    name: &mut Vec<u8>,
    forwarded: &mut Forwarded,
) -> Result<Purpose, Fault> {
    if head.method == "CONNECT" {
        return Err(Fault::MethodNotAllowed { allow: "GET, HEAD, POST" });
    }
    let target = operation::parse(head.target);
    if let Target::Page(page @ (Page::Liveliness | Page::Readiness)) = target {
        return only_get(head.method).map(|()| Purpose::Page(page));
    }
    let is_open = matches!(target, Target::Admin { page: AdminPage::Metrics, .. })
        && !snapshot.metrics_need_key;
    if !is_open {
        snapshot.keys.admit(head.fields).map_err(|denial| match denial {
            Denial::Missing => Fault::MissingKey,
            Denial::Wrong => Fault::WrongKey,
            Denial::Ambiguous => Fault::BadRequest("A field that carries a key is there twice."),
        })?;
    }
    match target {
        Target::Admin { page, query } => {
            match (page.method(), head.method) {
                ("GET", method) => only_get(method)?,
                (allow, method) if allow != method => {
                    return Err(Fault::MethodNotAllowed { allow });
                }
                _ => {}
            }
            if matches!(framing, Framing::Length(length) if *length > ERRAND_CONTENT_BYTES_MAX) {
                return Err(Fault::ContentTooLarge);
            }
            forwarded.clear();
            forwarded.query.extend_from_slice(query.as_bytes());
            Ok(Purpose::Admin(page))
        }
        Target::Page(page) => only_get(head.method).map(|()| Purpose::Page(page)),
        Target::Unknown => Err(Fault::UnknownTarget),
        Target::Malformed => Err(Fault::BadRequest("The request target is no valid URI.")),
        Target::Model { .. } if head.method != "POST" => {
            Err(Fault::MethodNotAllowed { allow: "POST" })
        }
        Target::Model { encoded_name, action, query } => {
            name.clear();
            percent::decode(encoded_name.as_bytes(), name)
                .map_err(|_| Fault::BadRequest("The target's percent-encoding is broken."))?;
            let group = snapshot.routes.find(name).ok_or(Fault::UnknownModel)?;
            if matches!(framing, Framing::Length(length) if *length > snapshot.content_bytes_max) {
                return Err(Fault::ContentTooLarge);
            }
            forwarded.clear();
            forwarded.query.extend_from_slice(query.as_bytes());
            forwarded.take(head.fields)?;
            Ok(Purpose::Operation { group, action })
        }
    }
}

fn only_get(method: &str) -> Result<(), Fault> {
    if matches!(method, "GET" | "HEAD") {
        Ok(())
    } else {
        Err(Fault::MethodNotAllowed { allow: "GET, HEAD" })
    }
}

/// What a broken head is answered with.
#[must_use]
pub fn fault_of(error: &HeadError) -> Fault {
    match error {
        HeadError::Malformed(what) => Fault::BadRequest(what),
        HeadError::TooLarge | HeadError::TooManyFields => Fault::HeadTooLarge,
        HeadError::TargetTooLong => Fault::TargetTooLong,
        HeadError::UnsupportedVersion => Fault::VersionNotSupported,
    }
}
