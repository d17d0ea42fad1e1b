//! An answer's head: received until it is whole, judged, and rewritten for the client.
//!
//! What upstream says of the content passes; what it says of its connection, and what we say ourselves,
//! does not. Behind the head may stand content, which goes along.

use std::{io::Write as _, time::UNIX_EPOCH};

use crate::{
    bedrock::{
        failure::Failure,
        fault::{ErrorName, Fault},
        operation::Action,
        price::{self, Cost},
        usage::FieldUsage,
    },
    boundary::{
        ledger::entry::Outcome,
        notice::Event,
        snapshot::{Credential, Deployment},
    },
    data_plane::{
        hold::{hold_first_frame, withhold_secret},
        intake::Intake,
        outflow::{ClientFraming, Outflow},
        reply, skew,
        tap::{Opening, Tap},
        upstream::{Arrival, Upstream},
    },
    limits::{HEAD_BYTES_MAX, INTERIM_ANSWERS_MAX, RETRY_AFTER_MS_MAX},
    net::{clock, tls::TlsError},
    policy::retry::Trial,
    units::{RequestId, UnixSeconds},
    wire::http1::{
        emit::{self, ConnectionOptions},
        framing::{self, Framing},
        head::{AnswerHead, FieldStorage, Fields, HeadError, Version, parse_answer},
    },
};

/// Fields of an answer's head that we write ourselves.
const OWN_FIELDS: [&str; 9] = [
    "content-length",
    "x-litellm-call-id",
    "x-litellm-model-id",
    "x-litellm-model-group",
    "x-litellm-model-api-base",
    "x-litellm-attempted-retries",
    "x-litellm-attempted-fallbacks",
    "x-litellm-response-cost",
    "x-litellm-overhead-duration-ms",
];

/// An answer whose head is whole; the client's is in `out`, and behind it what came of the content.
pub struct Answer {
    /// Of upstream's.
    pub status: u16,
    /// What its error is called.
    pub error: ErrorName,
    /// Its `x-amzn-requestid`, if that is a UUID.
    pub upstream_id: Option<RequestId>,
    /// Carries the content.
    pub flow: Outflow,
    /// Whether upstream will take another request on this connection.
    pub upstream_keeps_alive: bool,
    /// Whether the client may send another request on its own.
    pub client_keeps_alive: bool,
    /// How the client sees where the content ends.
    pub client_framing: ClientFraming,
    /// What is wrong with it, by AWS's word: its status, or its stream's first frame.
    pub failure: Option<Failure>,
    /// When to come again, by AWS's word.
    pub retry_after_ms: Option<u64>,
    /// Of one that says that we may not: when, by AWS's clock.
    pub refused_at: Option<UnixSeconds>,
}

/// What was tried of a request, this attempt included.
#[derive(Clone, Copy, Debug)]
pub struct Tried {
    /// The group whose turn it is: its place in the snapshot.
    pub group: usize,
    /// Attempts after the first.
    pub retries: u8,
    /// Groups that were left.
    pub fallbacks: u8,
}

impl Tried {
    /// So far.
    #[must_use]
    pub fn of(trial: &Trial) -> Self {
        let (group, retries) = (trial.group(), trial.retries());
        Self { group, retries, fallbacks: trial.fallbacks() }
    }

    /// Appends the fields that tell the client.
    pub fn write(self, out: &mut Vec<u8>) {
        emit::number_field(out, "x-litellm-attempted-retries", self.retries.into());
        emit::number_field(out, "x-litellm-attempted-fallbacks", self.fallbacks.into());
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub enum NoAnswer {
    /// The connection ended before a byte of an answer.
    Nothing(&'static str),
    /// It ended within the head, or the head is not HTTP.
    Broken(&'static str),
    /// It did not come in time.
    TimedOut,
    /// Its stream broke by the time of its first frame: what came is no frame.
    BrokenFrame(&'static str),
    /// Its stream ended before its first frame was whole.
    BrokenOff(&'static str),
    /// Nothing was sent: the deployment has no credential at present.
    NoCredential,
    /// It quotes our credential: AWS's word for a wrong signature holds all that was signed.
    QuotesSecret,
}

impl NoAnswer {
    /// What the client is told.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Nothing(_) | Self::Broken(_) | Self::BrokenFrame(_) | Self::BrokenOff(_) => {
                Fault::BadAnswer
            }
            Self::TimedOut => Fault::AnswerTimeout,
            Self::NoCredential => Fault::NoCredential,
            Self::QuotesSecret => Fault::CredentialRefused,
        }
    }

    /// What it means for the deployment.
    #[must_use]
    pub fn failure(&self) -> Failure {
        match self {
            Self::Nothing(_) => Failure::Reset,
            Self::Broken(_) => Failure::BadAnswer,
            Self::BrokenFrame(_) | Self::BrokenOff(_) => Failure::Broken,
            Self::TimedOut => Failure::TimedOut,
            Self::NoCredential | Self::QuotesSecret => Failure::CredentialRefused,
        }
    }

    /// How an account ends that has no better end.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::BrokenFrame(_) => Outcome::StreamCorrupt,
            Self::BrokenOff(_) => Outcome::AnswerCut,
            _ => Outcome::NoAnswer,
        }
    }

    /// What the operator is told.
    #[must_use]
    pub fn event(&self) -> Event {
        match self {
            Self::Nothing(what)
            | Self::Broken(what)
            | Self::BrokenFrame(what)
            | Self::BrokenOff(what) => Event::BadAnswer(what),
            Self::TimedOut => Event::AnswerTimedOut,
            Self::NoCredential => Event::NoCredential,
            Self::QuotesSecret => Event::CredentialRefused,
        }
    }
}

/// What the client's head says beyond upstream's.
pub struct HeadContext<'a> {
    /// The request this answers.
    pub intake: &'a Intake,
    /// Whose answer it is.
    pub deployment: &'a Deployment,
    /// What it was asked with.
    pub credential: &'a Credential,
    /// The group that it is of.
    pub group: &'a str,
    /// How it came to be.
    pub tried: Tried,
    /// What was asked of it.
    pub action: Action,
    /// Our own part of the time, up to the request's first byte upstream, in microseconds.
    pub overhead_us: u32,
    /// Whether we are about to stop.
    pub is_draining: bool,
    /// Whether a stream's status is held back until its first frame is there.
    pub holds_first_frame: bool,
}

/// What an answer is received into.
pub struct Sinks<'s> {
    /// Its head, as it arrives.
    pub answer: &'s mut Vec<u8>,
    /// What the client gets.
    pub out: &'s mut Vec<u8>,
    /// Looks at the content.
    pub tap: &'s mut Tap,
}

/// Receives until the final answer's head is whole, and writes the client's head to `out`, and behind it
/// what of the content came along.
///
/// # Errors
/// [`NoAnswer`]; the client has seen nothing.
pub async fn receive_head(
    upstream: &mut Upstream,
    context: &HeadContext<'_>,
    sinks: &mut Sinks<'_>,
) -> Result<Answer, NoAnswer> {
    let mut interim = 0;
    loop {
        let Sinks { answer, out, tap } = sinks;
        match take_head(context, answer, tap, out).map_err(NoAnswer::Broken)? {
            Head::Final { answer: mut whole, length } => {
                whole.flow.begin(out);
                whole.flow.push(&answer[length..], out);
                // Nothing has left yet: what is broken from the start can still be told.
                if let Some(what) = whole.flow.broken() {
                    return Err(NoAnswer::Broken(what));
                }
                if let Some(secret) = context.credential.shown_upstream()
                    && matches!(whole.status, 400 | 401 | 403)
                {
                    return withhold_secret(upstream, whole, secret.expose(), out).await;
                }
                if context.holds_first_frame && tap.is_stream() {
                    hold_first_frame(upstream, &mut whole, tap, out).await?;
                }
                tell_cost(context, &mut whole, tap, out);
                return Ok(whole);
            }
            Head::Interim => {
                interim += 1;
                if interim > INTERIM_ANSWERS_MAX {
                    return Err(NoAnswer::Broken("too many interim (1xx) answers"));
                }
                continue;
            }
            Head::Partial => {}
        }
        let mut sink = |bytes: &[u8]| answer.extend_from_slice(bytes);
        let ended = match upstream.receive(&mut sink).await {
            Ok(Arrival::More) => continue,
            Ok(Arrival::Ended { .. }) => {
                "it closed the connection before the answer's head was whole"
            }
            Err(TlsError::Protocol(_)) => "it broke TLS before the answer's head was whole",
            Err(_) => "its connection failed before the answer's head was whole",
        };
        let nothing = answer.is_empty() && interim == 0;
        return Err(if nothing { NoAnswer::Nothing(ended) } else { NoAnswer::Broken(ended) });
    }
}

enum Head {
    Partial,
    /// It was dropped from the buffer.
    Interim,
    Final {
        answer: Answer,
        length: usize,
    },
}

fn take_head(
    context: &HeadContext<'_>,
    answer: &mut Vec<u8>,
    tap: &mut Tap,
    out: &mut Vec<u8>,
) -> Result<Head, &'static str> {
    let mut storage = FieldStorage::new();
    let interim_length = match parse_answer(answer, &mut storage) {
        Ok(None) => return Ok(Head::Partial),
        Ok(Some(head)) if head.status == 101 => return Err("it switched protocols unasked"),
        Ok(Some(head)) if matches!(head.status, 301 | 302 | 303 | 307 | 308) => {
            return Err("it redirected elsewhere, which AWS never does and we never follow");
        }
        Ok(Some(head)) if head.status < 200 => head.length,
        Ok(Some(head)) => {
            let answer = accept(context, &head, tap, out)?;
            return Ok(Head::Final { answer, length: head.length });
        }
        Err(HeadError::Malformed(what)) => return Err(what),
        Err(HeadError::UnsupportedVersion) => {
            return Err("its HTTP version is neither 1.0 nor 1.1");
        }
        Err(HeadError::TooLarge | HeadError::TooManyFields | HeadError::TargetTooLong) => {
            const { assert!(HEAD_BYTES_MAX >= 64 * 1024) };
            return Err("its head has too many bytes or fields");
        }
    };
    answer.drain(..interim_length);
    Ok(Head::Interim)
}

fn accept(
    context: &HeadContext<'_>,
    head: &AnswerHead<'_, '_>,
    tap: &mut Tap,
    out: &mut Vec<u8>,
) -> Result<Answer, &'static str> {
    let intake = context.intake;
    let upstream_framing = framing::of_answer("POST", head.status, head.version, &head.fields)
        .map_err(|_| "its content's length is ambiguous")?;
    let client_framing = match (upstream_framing, intake.version) {
        (Framing::Length(_), _) => ClientFraming::Length,
        (_, Version::Http11) => ClientFraming::Chunked,
        (_, Version::Http10 | Version::Http2) => ClientFraming::UntilClose,
    };
    let client_keeps_alive =
        intake.keeps_alive && !context.is_draining && client_framing != ClientFraming::UntilClose;
    tap.begin(&Opening {
        action: context.action,
        family: context.deployment.family,
        content_type: head.fields.get("content-type"),
        is_encoded: head.fields.get("content-encoding").is_some_and(|coding| coding != b"identity"),
        is_success: (200..300).contains(&head.status),
        fields: FieldUsage::of(head.fields.iter()),
    });
    emit::status_line(out, head.status, head.reason);
    let options = ConnectionOptions::of(&head.fields);
    for (name, value) in head.fields.iter() {
        // Another proxy of our kind may be upstream: what it said of itself is not said of us.
        let is_ours = emit::is_hop_by_hop(name)
            || OWN_FIELDS.iter().any(|own| name.eq_ignore_ascii_case(own));
        if !is_ours && !options.names(name) {
            emit::field(out, name, value);
        }
    }
    match (client_framing, upstream_framing) {
        (ClientFraming::Length, Framing::Length(length)) if !matches!(head.status, 204 | 304) => {
            emit::number_field(out, "content-length", length);
        }
        (ClientFraming::Chunked, _) => emit::field(out, "transfer-encoding", b"chunked"),
        _ => {}
    }
    if head.fields.get("date").is_none() {
        // RFC 9110 §6.6.1; SDKs compute their clock's skew from it.
        reply::write_date(clock::unix_now(), out);
    }
    emit::field(out, "x-litellm-call-id", intake.call_id.as_bytes());
    emit::field(out, "x-litellm-model-id", context.deployment.id.as_bytes());
    emit::field(out, "x-litellm-model-group", context.group.as_bytes());
    emit::field(out, "x-litellm-model-api-base", context.deployment.api_base.as_bytes());
    context.tried.write(out);
    write_overhead(context.overhead_us, out);
    write_connection(client_keeps_alive, intake.version, out);
    out.extend_from_slice(b"\r\n");
    let error = head.fields.get("x-amzn-errortype").map(ErrorName::of).unwrap_or_default();
    let failure = Failure::of_answer(head.status, error);
    Ok(Answer {
        refused_at: skew::refused_at(head.status, head.fields.get("date")),
        status: head.status,
        error,
        upstream_id: head.fields.get("x-amzn-requestid").and_then(RequestId::parse),
        flow: Outflow::new(upstream_framing, client_framing),
        upstream_keeps_alive: framing::keeps_alive(head.version, &head.fields)
            && upstream_framing != Framing::UntilClose,
        client_keeps_alive,
        client_framing,
        failure,
        retry_after_ms: failure.and_then(|_| retry_after_ms(&head.fields)),
    })
}

/// When to come again: `x-amz-retry-after` in milliseconds, else `Retry-After` in seconds or as a date.
fn retry_after_ms(fields: &Fields<'_, '_>) -> Option<u64> {
    let text = |name| fields.get(name).and_then(|value| str::from_utf8(value).ok());
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let ms = text("x-amz-retry-after").and_then(number).or_else(|| {
        let after = text("retry-after")?;
        number(after).map(|seconds| seconds.saturating_mul(1000)).or_else(|| {
            let date = httpdate::parse_http_date(after.trim()).ok()?;
            let date = date.duration_since(UNIX_EPOCH).ok()?.as_secs();
            Some(date.saturating_sub(clock::unix_now().0).saturating_mul(1000))
        })
    });
    ms.map(|ms| ms.min(RETRY_AFTER_MS_MAX))
}

/// `x-litellm-response-cost`, in US dollars, if it is known by now: InvokeModel's answers count their
/// tokens in the head, and a small answer may be here whole. Nothing is waited for, and what is not known,
/// as the lifetime of what was written to a cache, is not guessed.
fn tell_cost(context: &HeadContext<'_>, answer: &mut Answer, tap: &mut Tap, out: &mut Vec<u8>) {
    let Some(rate) = &context.deployment.rate else { return };
    if answer.status != 200 {
        return;
    }
    let usage = if answer.flow.is_whole() {
        answer.flow.look(tap, out);
        let reading = tap.reading();
        if reading.is_stream || reading.usage.partial {
            return;
        }
        reading.usage
    } else if tap.fields_tell_all(rate) {
        tap.usage_by_fields()
    } else {
        return;
    };
    if usage.input.is_none() && usage.images.is_none() && usage.search_queries.is_none() {
        return;
    }
    match price::price(&usage, rate) {
        Cost::Known(bill) if !bill.assumes_5m => {
            answer.flow.insert_field(out, |out| {
                out.extend_from_slice(b"x-litellm-response-cost: ");
                bill.total.write(out);
                out.extend_from_slice(b"\r\n");
            });
        }
        Cost::Known(_) | Cost::Unknown(_) => {}
    }
}

/// `x-litellm-overhead-duration-ms`: milliseconds, to the microsecond.
fn write_overhead(overhead_us: u32, out: &mut Vec<u8>) {
    let (whole, rest) = (overhead_us / 1000, overhead_us % 1000);
    let line = write!(out, "x-litellm-overhead-duration-ms: {whole}.{rest:03}\r\n");
    line.expect("a Vec takes all");
}

/// Says it where the version's default would say otherwise.
fn write_connection(keeps_alive: bool, version: Version, out: &mut Vec<u8>) {
    match (keeps_alive, version) {
        (true, Version::Http10) => emit::field(out, "connection", b"keep-alive"),
        (false, Version::Http11) => emit::field(out, "connection", b"close"),
        _ => {}
    }
}
