//! A request's attempts: pick, send, judge; and again elsewhere, as long as the client has seen nothing.
//!
//! ```text
//!   next ─┬─ try ──▶ attempt ─┬─ good answer ──────────────▶ relay
//!         │                   └─ failure: held back ──┐
//!         │◀──────────────────────────────────────────┘
//!         ├─ wait (back off), then next
//!         ├─ refuse: every deployment is at its limit
//!         └─ give up ──▶ what is held goes to the client: AWS's own answer byte for byte, or a fault
//! ```
//!
//! What is decided is decided in `policy`; here it is done.

use std::{
    pin::pin,
    time::{Duration, Instant},
};

use crate::{
    bedrock::{failure::Failure, fault::Fault},
    boundary::{
        ledger::entry::{FailedAttempt, Outcome},
        notice::Event,
    },
    data_plane::{
        answer::{Answer, Tried},
        attempt::{Attempted, Operation, Patience},
        connection::Client,
        exchange::{After, after, answer_tried_fault, may_continue},
        intake::Intake,
        outflow::ClientFraming,
        relay::{self, Audience, Relayed, Time},
        renewal,
        scratch::{KEPT_BYTES_MAX, Scratch},
        turn::Turn,
        upstream::Upstream,
        worker::Worker,
    },
    net::{clock, runtime::sleep},
    policy::{lease::Next, retry::Trial},
};

/// What the client gets if nothing else is tried.
enum Held {
    Nothing,
    /// A fault of ours.
    Fault(Fault),
    /// Upstream's own answer: a bad one.
    Answer(Delivery),
}

/// An answer on its way to the client.
struct Delivery {
    upstream: Box<Upstream>,
    answer: Answer,
    gone_until: Option<Instant>,
    /// Which deployment's: its place in the snapshot.
    index: usize,
    patience: Patience,
}

/// Serves a request whose content is whole.
pub async fn operate(
    client: &Client<'_>,
    worker: &Worker,
    scratch: &mut Scratch,
    intake: &Intake,
    operation: &Operation<'_>,
) -> After {
    let snapshot = operation.snapshot;
    let mut trial = Trial::new(
        operation.group,
        intake.wishes.retries,
        snapshot.fallbacks_max,
        operation.is_repeatable,
    );
    worker.balancer.borrow_mut().begin(clock::now_ms());
    let mut held = Held::Nothing;
    let mut failed: Option<FailedAttempt> = None;
    loop {
        let mut turn = match next(client, worker, operation, &mut trial).await {
            Step::Try(turn) => turn,
            Step::Gone => {
                scratch.account.leaves();
                return After::Gone;
            }
            Step::Stop(refusal) => {
                let fault = match held {
                    Held::Answer(delivery) => {
                        let what = (delivery, None, &mut trial);
                        return deliver(client, worker, scratch, operation, what).await;
                    }
                    Held::Fault(fault) => fault,
                    Held::Nothing => refusal.unwrap_or(Fault::Unreachable),
                };
                let keeps_alive = may_continue(worker, intake);
                let tried = Tried::of(&trial);
                return answer_tried_fault(client, scratch, intake, (fault, tried), keeps_alive)
                    .await;
            }
        };
        discard(worker, operation, std::mem::replace(&mut held, Held::Nothing));
        if let Some(failed) = failed.take() {
            scratch.account.attempt_failed(failed);
        }
        scratch.account.picked(turn.deployment());
        scratch.account.fell_back(trial.fallbacks());
        let tried = Tried::of(&trial);
        let asked = (intake, operation);
        let attempted = renewal::attempt(client, worker, scratch, asked, (&turn, tried)).await;
        let patience = Patience::new(&turn, intake, operation.action);
        match judge(worker, scratch, (&turn, patience), attempted) {
            Judged::Abandoned => {
                scratch.account.leaves();
                return After::Gone;
            }
            Judged::Unaccountable => {
                let keeps_alive = may_continue(worker, intake);
                let what = (Fault::Unaccountable, tried);
                return answer_tried_fault(client, scratch, intake, what, keeps_alive).await;
            }
            Judged::ForTheClient(delivery) => {
                if delivery.answer.failure.is_none() {
                    turn.answered();
                }
                let what = (delivery, Some(turn), &mut trial);
                return deliver(client, worker, scratch, operation, what).await;
            }
            Judged::Failed { failure, retry_after_ms, instead } => {
                held = instead;
                let deployment = turn.deployment().reference;
                failed = Some(FailedAttempt { deployment, failure, ms: turn.millis() });
                turn.failed(&mut trial, failure, retry_after_ms);
            }
        }
    }
}

/// What an attempt came to.
enum Judged {
    /// The client left.
    Abandoned,
    /// It could not be accounted for.
    Unaccountable,
    /// An answer that nothing can better.
    ForTheClient(Delivery),
    /// It may go elsewhere; if not, the client gets this.
    Failed { failure: Failure, retry_after_ms: Option<u64>, instead: Held },
}

fn judge(
    worker: &Worker,
    scratch: &mut Scratch,
    (turn, patience): (&Turn<'_>, Patience),
    attempted: Attempted,
) -> Judged {
    let deployment = turn.deployment();
    let (failure, event, fault) = match attempted {
        Attempted::Abandoned => return Judged::Abandoned,
        Attempted::Unaccountable => return Judged::Unaccountable,
        Attempted::NotConnected(error) => {
            let (failure, fault) = (error.failure(), error.fault());
            (failure, error.event(), fault)
        }
        Attempted::Failed(no_answer) => {
            let Scratch { account, tap, .. } = scratch;
            if no_answer.outcome() != Outcome::NoAnswer {
                account.settle(&tap.reading(), deployment.rate.as_deref());
                account.ends(no_answer.outcome());
            }
            (no_answer.failure(), no_answer.event(), no_answer.fault())
        }
        Attempted::Answered { upstream, answer, gone_until } => {
            let (failure, retry_after_ms) = (answer.failure, answer.retry_after_ms);
            let index = turn.index();
            let delivery = Delivery { upstream, answer, gone_until, index, patience };
            // Whose client left is read for its usage, not for its beauty.
            return match failure.filter(|_| gone_until.is_none()) {
                None => Judged::ForTheClient(delivery),
                Some(failure) => {
                    Judged::Failed { failure, retry_after_ms, instead: Held::Answer(delivery) }
                }
            };
        }
    };
    worker.notices.tell(Some(&deployment.id), event);
    Judged::Failed { failure, retry_after_ms: None, instead: Held::Fault(fault) }
}

/// What is to be done next.
enum Step<'w> {
    Try(Turn<'w>),
    /// What is held is the client's answer, or this fault if nothing is.
    Stop(Option<Fault>),
    /// The client left.
    Gone,
}

/// The next deployment to try, after a wait if one is due.
async fn next<'w>(
    client: &Client<'_>,
    worker: &'w Worker,
    operation: &Operation<'w>,
    trial: &mut Trial,
) -> Step<'w> {
    let snapshot = operation.snapshot;
    loop {
        let now = clock::now();
        if now >= operation.deadline {
            return Step::Stop(Some(Fault::AnswerTimeout));
        }
        let random = worker.random();
        let next = worker.balancer.borrow_mut().next(
            snapshot.generation,
            &snapshot.groups,
            trial,
            clock::millis(now),
            random,
        );
        match next {
            Next::Try(lease) => return Step::Try(Turn::new(worker, snapshot, lease)),
            Next::Refuse(refusal) => {
                let retry_after_ms = refusal.retry_after_ms;
                return Step::Stop(Some(Fault::Limited { retry_after_ms }));
            }
            Next::GiveUp => return Step::Stop(None),
            Next::Wait { ms } => {
                let wait = Duration::from_millis(ms);
                if now + wait >= operation.deadline || worker.is_draining() {
                    return Step::Stop(None);
                }
                if client.inbox.unless_gone(pin!(sleep(wait))).await.is_err() {
                    return Step::Gone;
                }
            }
        }
    }
}

/// Drops what is held, and keeps its connection if its answer was whole.
fn discard(worker: &Worker, operation: &Operation<'_>, held: Held) {
    let Held::Answer(Delivery { upstream, answer, index, .. }) = held else { return };
    if answer.flow.is_whole() {
        keep(worker, operation, index, upstream, &answer);
    } else {
        upstream.retire(&worker.spares);
    }
}

/// Keeps a connection whose answer is whole, if another request may follow on it.
fn keep(
    worker: &Worker,
    operation: &Operation<'_>,
    index: usize,
    upstream: Box<Upstream>,
    answer: &Answer,
) {
    let is_usable =
        answer.upstream_keeps_alive && !answer.flow.has_surplus() && !upstream.has_leftover();
    if is_usable {
        let endpoint = &operation.snapshot.deployments[index].endpoint;
        worker.pool.give(endpoint.index, upstream, &worker.spares);
    } else {
        upstream.retire(&worker.spares);
    }
}

/// Relays the content, and judges how it ended. Without a turn the answer has been judged.
async fn deliver(
    client: &Client<'_>,
    worker: &Worker,
    scratch: &mut Scratch,
    operation: &Operation<'_>,
    (delivery, turn, trial): (Delivery, Option<Turn<'_>>, &mut Trial),
) -> After {
    let Delivery { mut upstream, mut answer, gone_until, index, patience } = delivery;
    let deployment = &operation.snapshot.deployments[index];
    let flow = &mut answer.flow;
    let drains = operation.snapshot.drains_abandoned;
    let time = Time { idle: patience.idle, deadline: operation.deadline };
    let mut audience =
        Audience { client, drains, left: gone_until.map(|until| (until, 0)), is_told: false };
    let what = (deployment, &mut *flow, time);
    if scratch.content.capacity() > KEPT_BYTES_MAX {
        scratch.content = Vec::new(); // nobody is asked again
        operation.place.release();
    }
    let relayed =
        relay::relay_content(&mut audience, &mut upstream, what, operation.action, scratch).await;
    let Scratch { account, tap, .. } = scratch;
    account.carried(audience.left.map_or(flow.carried(), |(_, carried)| carried));
    let outcome = match relayed {
        Relayed::Whole => Outcome::Whole,
        Relayed::Drained => Outcome::Drained,
        Relayed::Cut(_) if flow.is_corrupt() => Outcome::StreamCorrupt,
        Relayed::Cut(_) | Relayed::Silent | Relayed::OutOfTime => Outcome::AnswerCut,
        Relayed::ClientGone => Outcome::ClientGone,
    };
    let reading = tap.reading();
    if !matches!(relayed, Relayed::Whole | Relayed::Drained) {
        account.settle(&reading, deployment.rate.as_deref()); // which those have been
    }
    account.ends(outcome);
    if let Some(turn) = turn {
        match (&relayed, reading.exception) {
            (Relayed::Cut(_), _) => turn.failed(trial, Failure::Broken, None),
            (Relayed::Silent, _) => turn.failed(trial, Failure::StreamTimedOut, None),
            (Relayed::ClientGone, _) => drop(turn),
            (_, Some(exception)) => turn.failed(trial, Failure::of_exception(exception), None),
            (Relayed::Whole | Relayed::Drained | Relayed::OutOfTime, None) => {
                turn.ended(&reading.usage);
            }
        }
    }
    let cut = match relayed {
        Relayed::Whole | Relayed::Drained => {
            keep(worker, operation, index, upstream, &answer);
            return match outcome {
                Outcome::Drained => After::Gone,
                _ => after(answer.client_keeps_alive),
            };
        }
        Relayed::ClientGone => return After::Gone,
        Relayed::Cut(what) => what,
        Relayed::Silent => "it was silent for too long",
        Relayed::OutOfTime => "the request took longer than outcrop.request_timeout_s",
    };
    worker.notices.tell(Some(&deployment.id), Event::AnswerCut(cut));
    if audience.is_told {
        return after(answer.client_keeps_alive);
    }
    // Where our close is what ends content, only a reset tells the client that it did not end.
    if answer.client_framing == ClientFraming::UntilClose { After::Cut } else { After::Gone }
}
