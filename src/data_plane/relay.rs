//! An answer on its way from upstream to the client: head rewritten, content untouched and on arrival.
//!
//! One receive upstream, one send to the client, in turn: so at most one receive's bytes are ours to
//! hold, and a client that does not read stops us from reading.

use std::{pin::pin, time::Duration};

use memchr::memmem;

use crate::{
    bedrock::{
        fault::Fault,
        price::{self, Cost},
        usage::{Counts, FieldUsage},
    },
    boundary::{notice::Event, snapshot::Deployment},
    data_plane::{
        connection::Client,
        intake::Intake,
        outflow::{ClientFraming, Outflow},
        reply,
        tap::Tap,
        upstream::{Arrival, Upstream, within_answer_time},
    },
    limits::{CLIENT_STALL_MS_MAX, HEAD_BYTES_MAX, INTERIM_ANSWERS_MAX, WITHHELD_BYTES_MAX},
    net::{clock, runtime::Elapsed, tls::TlsError},
    wire::http1::{
        emit::{self, ConnectionOptions},
        framing::{self, Framing},
        head::{AnswerHead, FieldStorage, HeadError, Version, parse_answer},
    },
};

/// Fields of an answer's head that we write ourselves.
const OWN_FIELDS: [&str; 4] =
    ["content-length", "x-litellm-call-id", "x-litellm-model-id", "x-litellm-response-cost"];
/// Letters and digits in a row that tell a secret: JSON may escape what stands between them.
const TELLING_BYTES: usize = 16;

/// An answer whose head is whole; the client's is in `out`, and behind it what came of the content.
pub struct Answer {
    status: u16,
    /// Carries the content.
    pub flow: Outflow,
    /// Whether upstream will take another request on this connection.
    pub upstream_keeps_alive: bool,
    /// Whether the client may send another request on its own.
    pub client_keeps_alive: bool,
    /// How the client sees where the content ends.
    pub client_framing: ClientFraming,
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
    /// It quotes our credential: AWS's word for a wrong signature holds all that was signed.
    QuotesSecret,
}

impl NoAnswer {
    /// What the client is told.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Nothing(_) | Self::Broken(_) => Fault::BadAnswer,
            Self::TimedOut => Fault::AnswerTimeout,
            Self::QuotesSecret => Fault::CredentialRefused,
        }
    }

    /// What the operator is told.
    #[must_use]
    pub fn event(&self) -> Event {
        match self {
            Self::Nothing(what) | Self::Broken(what) => Event::BadAnswer(what),
            Self::TimedOut => Event::AnswerTimedOut,
            Self::QuotesSecret => Event::CredentialRefused,
        }
    }
}

/// What the client's head says beyond upstream's.
pub struct HeadContext<'a> {
    /// The request this answers.
    pub intake: &'a Intake<'a>,
    /// Whose answer it is.
    pub deployment: &'a Deployment,
    /// Whether we are about to stop.
    pub is_draining: bool,
}

/// Receives until the final answer's head is whole, and writes the client's head to `out`, and behind it
/// what of the content came along.
///
/// # Errors
/// [`NoAnswer`]; the client has seen nothing.
pub async fn receive_head(
    upstream: &mut Upstream,
    context: &HeadContext<'_>,
    answer: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<Answer, NoAnswer> {
    let mut interim = 0;
    loop {
        match take_head(context, answer, out).map_err(NoAnswer::Broken)? {
            Head::Final { answer: mut whole, length } => {
                whole.flow.begin(out);
                whole.flow.push(&answer[length..], out);
                // Nothing has left yet: what is broken from the start can still be told.
                if let Some(what) = whole.flow.broken() {
                    return Err(NoAnswer::Broken(what));
                }
                return match context.deployment.credential.shown_upstream() {
                    Some(secret) if matches!(whole.status, 400 | 401 | 403) => {
                        withhold_secret(upstream, whole, secret.expose(), out).await
                    }
                    _ => Ok(whole),
                };
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
        let ended = match within_answer_time(pin!(upstream.receive(&mut sink))).await {
            Err(Elapsed) => return Err(NoAnswer::TimedOut),
            Ok(Ok(Arrival::More)) => continue,
            Ok(Ok(Arrival::Ended { .. })) => {
                "it closed the connection before the answer's head was whole"
            }
            Ok(Err(TlsError::Protocol(_))) => "it broke TLS before the answer's head was whole",
            Ok(Err(_)) => "its connection failed before the answer's head was whole",
        };
        let nothing = answer.is_empty() && interim == 0;
        return Err(if nothing { NoAnswer::Nothing(ended) } else { NoAnswer::Broken(ended) });
    }
}

/// Holds an error back until it is whole, to see that it does not quote `secret`.
async fn withhold_secret(
    upstream: &mut Upstream,
    mut answer: Answer,
    secret: &str,
    out: &mut Vec<u8>,
) -> Result<Answer, NoAnswer> {
    while !answer.flow.is_whole() {
        if out.len() > WITHHELD_BYTES_MAX {
            return Err(NoAnswer::Broken("its error has too many bytes"));
        }
        let flow = &mut answer.flow;
        let mut sink = |bytes: &[u8]| flow.push(bytes, out);
        let arrived = within_answer_time(pin!(upstream.receive(&mut sink))).await;
        match arrived.map_err(|_elapsed| NoAnswer::TimedOut)? {
            Ok(Arrival::More) => {}
            Ok(Arrival::Ended { clean: true }) if answer.flow.close().is_ok() => {}
            _ => return Err(NoAnswer::Broken("it broke off within an error")),
        }
        if let Some(what) = answer.flow.broken() {
            return Err(NoAnswer::Broken(what));
        }
    }
    let quotes = memmem::find(out, telling_part(secret).as_bytes()).is_some();
    if quotes { Err(NoAnswer::QuotesSecret) } else { Ok(answer) }
}

/// The longest run of letters and digits, which no JSON escapes; all of it, if that is short.
fn telling_part(secret: &str) -> &str {
    let runs = secret.split(|letter: char| !letter.is_ascii_alphanumeric());
    runs.max_by_key(|run| run.len()).filter(|run| run.len() >= TELLING_BYTES).unwrap_or(secret)
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
            let answer = accept(context, &head, out)?;
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
    out: &mut Vec<u8>,
) -> Result<Answer, &'static str> {
    let intake = context.intake;
    let upstream_framing = framing::of_answer("POST", head.status, head.version, &head.fields)
        .map_err(|_| "its content's length is ambiguous")?;
    let client_framing = match (upstream_framing, intake.version) {
        (Framing::Length(_), _) => ClientFraming::Length,
        (_, Version::Http11) => ClientFraming::Chunked,
        (_, Version::Http10) => ClientFraming::UntilClose,
    };
    let client_keeps_alive =
        intake.keeps_alive && !context.is_draining && client_framing != ClientFraming::UntilClose;
    let tap = Tap::for_content_type(head.fields.get("content-type"));
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
    if head.status == 200 {
        write_cost(context.deployment, head, out);
    }
    write_connection(client_keeps_alive, intake.version, out);
    out.extend_from_slice(b"\r\n");
    Ok(Answer {
        status: head.status,
        flow: Outflow::new(upstream_framing, client_framing, tap),
        upstream_keeps_alive: framing::keeps_alive(head.version, &head.fields)
            && upstream_framing != Framing::UntilClose,
        client_keeps_alive,
        client_framing,
    })
}

/// `x-litellm-response-cost`, in US dollars, if it is known by now: InvokeModel's answers count their
/// tokens in the head. What is not known, as the lifetime of what was written to a cache, is not guessed.
fn write_cost(deployment: &Deployment, head: &AnswerHead<'_, '_>, out: &mut Vec<u8>) {
    let Some(rate) = &deployment.rate else { return };
    let counts = FieldUsage::of(head.fields.iter()).counts();
    if counts.input.is_none() {
        return;
    }
    match price::price(&Counts::settle(counts, Counts::default()), rate) {
        Cost::Known(bill) if !bill.assumes_5m => {
            out.extend_from_slice(b"x-litellm-response-cost: ");
            bill.total.write(out);
            out.extend_from_slice(b"\r\n");
        }
        Cost::Known(_) | Cost::Unknown(_) => {}
    }
}

/// Says it where the version's default would say otherwise.
fn write_connection(keeps_alive: bool, version: Version, out: &mut Vec<u8>) {
    match (keeps_alive, version) {
        (true, Version::Http10) => emit::field(out, "connection", b"keep-alive"),
        (false, Version::Http11) => emit::field(out, "connection", b"close"),
        _ => {}
    }
}

/// How the relay of content ended.
#[derive(Debug, Eq, PartialEq)]
pub enum Relayed {
    /// The client has all of it.
    Whole,
    /// Upstream broke off, or sent what cannot be content: the client must not take it for the whole.
    Cut(&'static str),
    /// The client went away, or stopped reading for too long.
    ClientGone,
}

/// Relays content: first `out`, which [`receive_head`] wrote, then what arrives.
pub async fn relay_content(
    client: &Client<'_>,
    upstream: &mut Upstream,
    flow: &mut Outflow,
    out: &mut Vec<u8>,
) -> Relayed {
    loop {
        let from = flow.end(out);
        if out.len() > from
            && client.send(out, from, Duration::from_millis(CLIENT_STALL_MS_MAX)).await.is_err()
        {
            return Relayed::ClientGone;
        }
        out.clear();
        if let Some(what) = flow.broken() {
            return Relayed::Cut(what);
        }
        if flow.is_done() {
            return Relayed::Whole;
        }
        flow.begin(out);
        let arrived = {
            let mut sink = |bytes: &[u8]| flow.push(bytes, out);
            let arrival = pin!(upstream.receive(&mut sink));
            client.inbox.unless_gone(pin!(within_answer_time(arrival))).await
        };
        match arrived {
            Err(_gone) => return Relayed::ClientGone,
            Ok(Err(Elapsed)) => return Relayed::Cut("it was silent for too long"),
            Ok(Ok(Ok(Arrival::More))) => {}
            Ok(Ok(Ok(Arrival::Ended { clean: true }))) if flow.close().is_ok() => {}
            Ok(Ok(Ok(Arrival::Ended { .. }))) => {
                return Relayed::Cut("it closed the connection within the content");
            }
            Ok(Ok(Err(TlsError::Protocol(_)))) => {
                return Relayed::Cut("it broke TLS within the content");
            }
            Ok(Ok(Err(_))) => return Relayed::Cut("its connection failed within the content"),
        }
    }
}
