//! A request's head, judged once: what is asked, by whom, and what of it goes to AWS.
//!
//! Runs while the head is still borrowed from the receive buffer; what it returns borrows nothing of
//! it. The order of the judgements is the order in which they matter: how long the message is (else
//! nothing after it can be trusted), who asks, and only then what for.

use crate::{
    bedrock::{
        fault::Fault,
        operation::{self, Action, AdminPage, Asked, Method, ModelPlace, Page, Target},
    },
    boundary::snapshot::Snapshot,
    data_plane::door::Door,
    data_plane::wishes::Wishes,
    limits::{ERRAND_CONTENT_BYTES_MAX, SIGNED_FIELDS_MAX},
    policy::route::NotPassed,
    units::{RequestId, UnixMicros, UnixSeconds},
    wire::{
        http1::{
            emit::ConnectionOptions,
            framing::{self, Expectation, Framing, FramingError},
            head::{Fields, HeadError, RequestHead, Version},
        },
        json, percent,
        sigv4::Unverified,
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
    /// The client credential whose signature is to be checked once the content is there: its place.
    pub signer: Option<usize>,
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
        /// Whose deployments may serve it.
        route: Route,
        /// Which of Bedrock's actions.
        action: Action,
    },
    /// To be answered here.
    Page(Page),
    /// To be answered by the control plane; the target's query is in [`Forwarded`].
    Admin(AdminPage),
}

/// Which group an operation is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Route {
    /// This one: its place in the snapshot.
    Group(usize),
    /// That of the model which this member of the content names.
    Content(&'static str),
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

/// What of the client's head goes to AWS: method, parts of the target, and fields, lower-case names, in the
/// order they came.
#[derive(Default)]
pub struct Forwarded {
    bytes: Vec<u8>,
    fields: Vec<ForwardedField>,
    method: Method,
    /// What of the model's name a pattern's `*` stands for.
    star: Vec<u8>,
    /// Of an operation without a model in it, as it goes upstream.
    path: Vec<u8>,
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
        self.method = Method::default();
        self.star.clear();
        self.path.clear();
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

    /// How it is asked.
    #[must_use]
    pub fn method(&self) -> Method {
        self.method
    }

    /// What of the model's name a pattern's `*` stands for; empty without a pattern.
    #[must_use]
    pub fn star(&self) -> &[u8] {
        &self.star
    }

    /// The path below the deployment's own; empty for an action on a model.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        &self.path
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
    // An agent's caller may be another AWS resource, which AWS wants to know of.
    if ["content-type", "x-amz-source-arn"].iter().any(|signed| name.eq_ignore_ascii_case(signed))
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
    (name, forwarded, unverified): (&mut Vec<u8>, &mut Forwarded, &mut Unverified),
) -> Result<Intake, Fault> {
    let framing = framing::of_request(head.version, &head.fields).map_err(|error| match error {
        FramingError::BadRequest(what) => Fault::BadRequest(what),
        FramingError::UnknownCoding => Fault::UnknownCoding,
    })?;
    let expectation = framing::expectation(head.version, &head.fields);
    let mut signer = None;
    let mut is_refused = false;
    let purpose = match &expectation {
        Err(_) => Err(Fault::ExpectationFailed),
        Ok(_) => {
            let now = UnixSeconds(birth.at.0 / 1_000_000);
            let mut door =
                Door { unverified, signer: &mut signer, is_refused: &mut is_refused, now };
            purpose(head, &framing, snapshot, &mut door, (name, forwarded))
        }
    };
    let (call_id, wishes) = Wishes::of(head.fields);
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
        is_admitted: !is_refused && signer.is_none(),
        signer,
        framing,
        purpose,
    })
}

fn purpose(
    head: &RequestHead<'_, '_>,
    framing: &Framing,
    snapshot: &Snapshot,
    door: &mut Door<'_>,
    (name, forwarded): (&mut Vec<u8>, &mut Forwarded),
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
        door.admit(head, &target, snapshot)?;
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
            let found = snapshot.routes.find(name).ok_or(Fault::UnknownModel)?;
            forwarded.clear();
            forwarded.star.extend_from_slice(&name[found.star]);
            let route = Route::Group(found.group);
            operation((head, framing, query), (route, action), snapshot, forwarded)
        }
        Target::Bedrock { path, query } => {
            forwarded.clear();
            let (route, action) = off_model(head.method, path, snapshot, forwarded)?;
            operation::write_upstream(path, &mut forwarded.path)
                .map_err(|bad| Fault::BadRequest(bad.0))?;
            operation((head, framing, query), (route, action), snapshot, forwarded)
        }
    }
}

/// Takes what goes upstream beside the path.
fn operation(
    (head, framing, query): (&RequestHead<'_, '_>, &Framing, &str),
    (route, action): (Route, Action),
    snapshot: &Snapshot,
    forwarded: &mut Forwarded,
) -> Result<Purpose, Fault> {
    if matches!(framing, Framing::Length(length) if *length > snapshot.content_bytes_max) {
        return Err(Fault::ContentTooLarge);
    }
    forwarded.query.extend_from_slice(query.as_bytes());
    forwarded.take(head.fields)?;
    Ok(Purpose::Operation { route, action })
}

/// What is asked below `/bedrock` that is no action on a model, and for whom.
fn off_model(
    method: &str,
    path: &str,
    snapshot: &Snapshot,
    forwarded: &mut Forwarded,
) -> Result<(Route, Action), Fault> {
    let routes = &snapshot.routes;
    let action = match operation::find(method, path) {
        Asked::Action(Action::InvokeModelWithBidirectionalStream) => {
            return Err(Fault::BidirectionalStream);
        }
        Asked::Action(action) => action,
        Asked::Methods(allow) => return Err(Fault::MethodNotAllowed { allow }),
        Asked::Nothing if routes.takes_unlisted_paths() => Action::Unlisted,
        Asked::Nothing => return Err(Fault::UnknownTarget),
    };
    forwarded.method = Method::parse(method)
        .ok_or(Fault::MethodNotAllowed { allow: "GET, PUT, POST, PATCH, DELETE" })?;
    if let ModelPlace::Content(member) = action.model_place() {
        return Ok((Route::Content(member), action));
    }
    let group = routes.pass(action).map_err(|not_passed| match not_passed {
        NotPassed::NotConfigured => Fault::NoPassthrough,
        NotPassed::NotAllowed => Fault::OperationRefused,
    })?;
    Ok((Route::Group(group), action))
}

/// The group of the model that `content` names in its outermost object's `member`. The content goes to AWS as
/// it is, so the name must be the one that AWS knows.
///
/// # Errors
/// The fault.
pub fn group_in_content(snapshot: &Snapshot, member: &str, content: &[u8]) -> Result<usize, Fault> {
    let named = json::top_level_string(content, member).ok_or(Fault::BadRequest(
        "The content is no JSON object with a model's id (`model`, `modelId`) of its own.",
    ))?;
    let routes = &snapshot.routes;
    routes.find_id(&named).ok_or(if routes.has_name(&named) {
        Fault::BadRequest(
            "This operation's content goes to AWS unchanged: name the model by AWS's own id in it.",
        )
    } else {
        Fault::UnknownModel
    })
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
