//! An answer's content on its way from upstream to the client: untouched and on arrival.
//!
//! One receive upstream, one send to the client, in turn: so at most one receive's bytes are ours to
//! hold, and a client that does not read stops us from reading.
//!
//! A stream that breaks off between two frames gets one more frame, an exception of its operation's model, and
//! ends in order: clients raise it by its name. Everything else that breaks off is cut, and never ends in order.
//! So are server-sent events: they have no exception that all clients know, and each of them knows a cut.

use std::{
    pin::pin,
    time::{Duration, Instant},
};

use crate::{
    bedrock::{
        exception::{BreakOff, Exception},
        operation::Action,
    },
    boundary::snapshot::Deployment,
    data_plane::{
        connection::Client,
        inbox::Gone,
        outflow::Outflow,
        scratch::Scratch,
        upstream::{Arrival, Upstream},
    },
    limits::{ABANDONED_BYTES_MAX, ABANDONED_MS_MAX, CLIENT_STALL_MS_MAX},
    net::{
        clock,
        runtime::{Elapsed, timeout_at},
        tls::TlsError,
    },
    wire::eventstream::emit::write_exception,
};

/// How the relay of content ended.
#[derive(Debug, Eq, PartialEq)]
pub enum Relayed {
    /// The client has all of it.
    Whole,
    /// The client left, and we read on to the end.
    Drained,
    /// Upstream broke off, or sent what cannot be content: the client must not take it for the whole.
    Cut(&'static str),
    /// Upstream fell silent.
    Silent,
    /// The request's time was up.
    OutOfTime,
    /// The client went away, or stopped reading for too long.
    ClientGone,
}

/// How long it may take.
#[derive(Clone, Copy)]
pub struct Time {
    /// Between two reads.
    pub idle: Duration,
    /// All of it.
    pub deadline: Instant,
}

/// Who gets an answer.
pub struct Audience<'a> {
    /// The client.
    pub client: &'a Client<'a>,
    /// An answer whose client leaves is read on to its end.
    pub drains: bool,
    /// It has left, and the answer is read for its usage alone: until when, and the content that it got.
    pub left: Option<(Instant, u64)>,
    /// It was told in the stream's own terms that the answer broke off.
    pub is_told: bool,
}

impl Audience<'_> {
    fn leave(&mut self, carried: u64) {
        self.left.get_or_insert_with(|| {
            (clock::now() + Duration::from_millis(ABANDONED_MS_MAX), carried)
        });
    }
}

/// Relays content: first `out`, which holds the head, then what arrives, and at last, if that breaks off and it
/// can be told, that it did.
pub async fn relay_content(
    audience: &mut Audience<'_>,
    upstream: &mut Upstream,
    (deployment, flow, time): (&Deployment, &mut Outflow, Time),
    action: Action,
    scratch: &mut Scratch,
) -> Relayed {
    let relayed = relay(audience, upstream, (deployment, flow, time), scratch).await;
    let break_off = match relayed {
        Relayed::Cut(_) => BreakOff::Cut,
        Relayed::Silent => BreakOff::Silent,
        Relayed::OutOfTime => BreakOff::OutOfTime,
        Relayed::Whole | Relayed::Drained | Relayed::ClientGone => return relayed,
    };
    if audience.left.is_some() {
        return relayed;
    }
    let Exception { exception_type, payload } = Exception::of(action, break_off);
    let Scratch { out, tap, .. } = scratch;
    let append = |out: &mut Vec<u8>| write_exception(exception_type, payload.as_bytes(), out);
    if let Some(from) = flow.conclude(tap, out, append) {
        let stall = Duration::from_millis(CLIENT_STALL_MS_MAX);
        audience.is_told = audience.client.send(out, from, stall).await.is_ok();
    }
    relayed
}

async fn relay(
    audience: &mut Audience<'_>,
    upstream: &mut Upstream,
    (deployment, flow, time): (&Deployment, &mut Outflow, Time),
    scratch: &mut Scratch,
) -> Relayed {
    let Scratch { out, tap, account, content, .. } = scratch;
    loop {
        let before = flow.carried();
        let from = flow.end(tap, out);
        if flow.carried() > 0 {
            account.first_content();
        }
        // Before the client can have seen the end: what it has seen is accounted for. And at the beginning of
        // what does not end at once, for that may be a long time.
        if flow.is_done() || flow.broken().is_some() || before == 0 {
            account.settle(&tap.reading(), deployment.rate.as_deref());
            account.secure(flow.carried());
        }
        if out.len() > from && audience.left.is_none() {
            let stall = Duration::from_millis(CLIENT_STALL_MS_MAX);
            if audience.client.send(out, from, stall).await.is_err() {
                audience.leave(before);
                *content = Vec::new(); // an abandoned answer costs no more than its connection
            }
        }
        out.clear();
        if let Some(what) = flow.broken() {
            return Relayed::Cut(what);
        }
        match (flow.is_done(), audience.left) {
            (_, Some(_)) if !audience.drains => return Relayed::ClientGone,
            (true, Some(_)) => return Relayed::Drained,
            (true, None) => return Relayed::Whole,
            (false, Some((_, carried))) if flow.carried() - carried > ABANDONED_BYTES_MAX => {
                return Relayed::ClientGone;
            }
            (false, _) => {}
        }
        flow.begin(out);
        let until = time.deadline.min(clock::now() + time.idle);
        let arrived = next_arrival(audience, upstream, (flow, until), out).await;
        match arrived {
            Err(Gone) => return Relayed::ClientGone,
            Ok(Err(Elapsed)) if until == time.deadline => return Relayed::OutOfTime,
            Ok(Err(Elapsed)) => return Relayed::Silent,
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

/// What upstream sends next, unless the client leaves and that ends it, or the time for going on without
/// the client is up.
async fn next_arrival(
    audience: &mut Audience<'_>,
    upstream: &mut Upstream,
    (flow, until): (&mut Outflow, Instant),
    out: &mut Vec<u8>,
) -> Result<Result<Result<Arrival, TlsError>, Elapsed>, Gone> {
    let carried = flow.carried();
    let mut sink = |bytes: &[u8]| flow.push(bytes, out);
    let arrival = pin!(upstream.receive(&mut sink));
    let mut arrival = pin!(timeout_at(until, arrival));
    if audience.left.is_none() {
        match audience.client.inbox.unless_gone(arrival.as_mut()).await {
            Err(Gone) if audience.drains => audience.leave(carried),
            arrived => return arrived,
        }
    }
    let until = audience.left.map_or_else(clock::now, |(until, _)| until);
    timeout_at(until, arrival).await.map_err(|Elapsed| Gone)
}
