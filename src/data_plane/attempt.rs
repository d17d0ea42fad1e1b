//! One attempt: a connection to the deployment that was picked, the request signed for it, and its answer's
//! head, of a stream with the first frame behind it.

use std::{
    io,
    pin::pin,
    time::{Duration, Instant},
};

use crate::{
    bedrock::operation::Action,
    boundary::{credential::Issued, snapshot::Snapshot},
    data_plane::{
        answer::{self, Answer, HeadContext, NoAnswer, Sinks, Tried},
        connection::Client,
        dispatch::{self, Attempt},
        intake::Intake,
        place::Place,
        scratch::Scratch,
        skew,
        turn::Turn,
        upstream::{ConnectError, Upstream},
        worker::Worker,
    },
    limits::ABANDONED_MS_MAX,
    net::{
        clock,
        runtime::{Elapsed, timeout_at},
    },
};

/// A request that is to be sent upstream.
pub struct Operation<'a> {
    /// What it began with.
    pub snapshot: &'a Snapshot,
    /// The group that was asked for: its place in the snapshot.
    pub group: usize,
    /// What is asked.
    pub action: Action,
    /// What changes something at AWS is not done twice without its client's knowing.
    pub is_repeatable: bool,
    /// Hash of the content.
    pub content_sha256: [u8; 32],
    /// When the whole of it, all attempts and the last byte of the answer included, must be over.
    pub deadline: Instant,
    /// Its place on the core.
    pub place: &'a Place<'a>,
}

/// What came of one attempt.
pub enum Attempted {
    /// The client left, and so the request was given up.
    Abandoned,
    /// It could not be accounted for, and so was not sent.
    Unaccountable,
    /// No connection: upstream saw nothing of it.
    NotConnected(ConnectError),
    /// No answer.
    Failed(NoAnswer),
    /// An answer's head; the client may have left meanwhile, and its usage still be wanted.
    Answered {
        /// Where it came from.
        upstream: Box<Upstream>,
        /// Its head, judged.
        answer: Answer,
        /// Until when it is read without a client.
        gone_until: Option<Instant>,
    },
}

/// How long an answer may take.
#[derive(Clone, Copy)]
pub struct Patience {
    /// Until its head, of a stream until its first frame: for this attempt.
    pub head: Duration,
    /// Between two reads of its content.
    pub idle: Duration,
}

impl Patience {
    /// By what the client asks for, else by the deployment's settings.
    #[must_use]
    pub fn new(turn: &Turn<'_>, intake: &Intake, action: Action) -> Self {
        let (wishes, limits) = (&intake.wishes, &turn.deployment().timeouts);
        let head = wishes.timeout.unwrap_or(limits.head);
        let stream = wishes.stream_timeout.or(limits.stream);
        match stream.filter(|_| action.is_streaming()) {
            Some(stream) => Self { head: stream.min(head), idle: stream },
            None => Self { head, idle: limits.idle },
        }
    }
}

/// Sends the request to the deployment. A reused connection that upstream closed meanwhile, before a byte
/// of an answer, gets it one more time, on a fresh one; and so does one that refused it for its time.
pub async fn attempt(
    client: &Client<'_>,
    worker: &Worker,
    scratch: &mut Scratch,
    intake: &Intake,
    operation: &Operation<'_>,
    (turn, tried, issued): (&Turn<'_>, Tried, &Issued),
) -> Attempted {
    let endpoint = &turn.deployment().endpoint;
    let patience = Patience::new(turn, intake, operation.action).head;
    let deadline = operation.deadline.min(turn.began() + patience);
    let mut pooled = worker.pool.take(endpoint.index, turn.began(), &worker.spares);
    let mut has_set_clock = false;
    loop {
        let mut connected_us = 0;
        let mut upstream = match pooled.take() {
            Some(upstream) => upstream,
            None => {
                let started = clock::now();
                // Boxed: rare, and its state is larger than all the rest of an exchange.
                let connecting =
                    Box::pin(Upstream::connect(endpoint, worker.tls(), &worker.spares));
                let connecting = pin!(timeout_at(deadline, connecting));
                let connected = client.inbox.unless_gone(connecting).await;
                let passed = clock::now().saturating_duration_since(started);
                connected_us = u32::try_from(passed.as_micros()).unwrap_or(u32::MAX);
                match connected {
                    Err(_gone) => return Attempted::Abandoned,
                    Ok(Ok(Ok(upstream))) => upstream,
                    Ok(Ok(Err(error))) => return Attempted::NotConnected(error),
                    Ok(Err(Elapsed)) => return Attempted::NotConnected(ConnectError::TimedOut),
                }
            }
        };
        // Nothing is awaited between this look and the room's being taken.
        if operation.snapshot.refuses_unaccounted
            && !scratch.account.was_sent()
            && worker.is_ledger_full()
        {
            worker.pool.give(endpoint.index, upstream, &worker.spares);
            return Attempted::Unaccountable;
        }
        scratch.account.sending(connected_us, upstream.is_reused);
        let way = if upstream.is_reused {
            &worker.counters.upstream_reuses
        } else {
            &worker.counters.upstream_connects
        };
        way.add(1);
        let sent = (turn, tried, deadline, issued);
        match ask(client, worker, scratch, (intake, operation), sent, &mut upstream).await {
            Asked::Abandoned => return Attempted::Abandoned,
            Asked::Failed(NoAnswer::Nothing(_))
                if upstream.is_reused && operation.is_repeatable =>
            {
                upstream.retire(&worker.spares);
            }
            Asked::Failed(no_answer) => {
                upstream.retire(&worker.spares);
                return Attempted::Failed(no_answer);
            }
            Asked::Answered(answer, None)
                if !has_set_clock && skew::learn(worker, turn.deployment(), &answer) =>
            {
                has_set_clock = true;
                upstream.retire(&worker.spares);
            }
            Asked::Answered(answer, gone_until) => {
                return Attempted::Answered { upstream, answer, gone_until };
            }
        }
    }
}

/// What came of sending a request on one connection.
enum Asked {
    Abandoned,
    Failed(NoAnswer),
    Answered(Answer, Option<Instant>),
}

/// Signs and sends the request, and waits for the answer's head.
async fn ask(
    client: &Client<'_>,
    worker: &Worker,
    scratch: &mut Scratch,
    (intake, operation): (&Intake, &Operation<'_>),
    (turn, tried, deadline, issued): (&Turn<'_>, Tried, Instant, &Issued),
    upstream: &mut Upstream,
) -> Asked {
    let deployment = turn.deployment();
    let Scratch { forwarded, content, head, answer, out, tap, account, .. } = scratch;
    head.clear();
    answer.clear();
    out.clear();
    let attempt = Attempt {
        generation: operation.snapshot.generation,
        index: turn.index(),
        deployment,
        issued,
        action: operation.action,
        forwarded,
        content_length: content.len() as u64,
        content_sha256: &operation.content_sha256,
        now: skew::signing_time(deployment),
    };
    dispatch::write_head(&attempt, &mut worker.signing.borrow_mut(), head);
    let context = HeadContext {
        intake,
        deployment,
        credential: &issued.credential,
        group: &operation.snapshot.groups[tried.group].name,
        tried,
        action: operation.action,
        overhead_us: account.overhead_us(),
        is_draining: worker.is_draining(),
        holds_first_frame: operation.snapshot.first_frame_failover,
    };
    let exchange = async {
        // An upstream that answers early may stop reading: what it says counts, not that we were cut short.
        let sent = upstream.send(head, content, answer).await;
        if sent.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            return Err(NoAnswer::TimedOut);
        }
        let mut sinks = Sinks { answer, out, tap };
        let mut answer = answer::receive_head(upstream, &context, &mut sinks).await?;
        answer.upstream_keeps_alive &= sent.is_ok();
        Ok(answer)
    };
    let exchange = pin!(exchange);
    let mut exchange = pin!(timeout_at(deadline, exchange));
    let mut gone_until = None;
    let answer = match client.inbox.unless_gone(exchange.as_mut()).await {
        Ok(answer) => answer,
        Err(_gone) if operation.snapshot.drains_abandoned => {
            let until = clock::now() + Duration::from_millis(ABANDONED_MS_MAX);
            gone_until = Some(until);
            match timeout_at(until, exchange).await {
                Ok(answer) => answer,
                Err(Elapsed) => return Asked::Abandoned,
            }
        }
        Err(_gone) => return Asked::Abandoned,
    };
    match answer.unwrap_or(Err(NoAnswer::TimedOut)) {
        Ok(answer) => {
            account.answered(answer.status, answer.error, answer.upstream_id);
            Asked::Answered(answer, gone_until)
        }
        Err(_) if gone_until.is_some() => Asked::Abandoned,
        Err(no_answer) => Asked::Failed(no_answer),
    }
}
