//! One request's account while it is under way: what becomes its ledger entry.
//!
//! ```text
//!   open ─▶ whole ─▶ picked ─▶ sending ─▶ answered ─▶ settled ─▶ close
//!                              │                       │
//!                              ticket: from here on    usage and cost are safe before the
//!                              kill -9 leaves a trace  client can have seen the end
//! ```
//!
//! Every request gets exactly one entry, however its exchange ends: an account that is dropped open (a
//! panic, a drain that ran out of time) closes itself as interrupted. It makes no system call apart from
//! reading clocks (vDSO), takes no lock and allocates nothing.

use std::{net::IpAddr, rc::Rc, time::Instant};

use crate::{
    bedrock::{
        fault::{ErrorName, Fault},
        operation::Action,
        price::{self, Cost, Rate},
    },
    boundary::{
        ledger::{
            Ticket, Writer,
            entry::{
                Charge, Entry, FailedAttempt, KeptCallId, KeyRef, Marks, Outcome, UnknownCost,
            },
        },
        snapshot::Deployment,
    },
    data_plane::{intake::Birth, tap::Reading},
    net::clock,
    units::{PicoUsd, RequestId},
};

/// What one request's exchange writes its account into; kept with the scratch between requests.
#[derive(Default)]
pub struct Account {
    /// `None` between requests, or where no account is kept.
    ledger: Option<Rc<Writer>>,
    entry: Entry,
    ticket: Option<Ticket>,
    head_at: Option<Instant>,
    /// When the request, its content included, was whole.
    whole_at: Option<Instant>,
    /// How it ends, unless something happens first.
    outcome: Outcome,
}

/// Who asks, and where.
pub struct Asker<'a> {
    /// The client's own name for the request, if it sent one.
    pub call_id: Option<&'a [u8]>,
    /// Whose key let it in.
    pub key: KeyRef,
    /// Where the connection came from.
    pub address: Option<IpAddr>,
    /// The core.
    pub core: u16,
}

impl Account {
    /// Begins with a request whose head is whole. Without a ledger no account is kept.
    pub fn open(&mut self, ledger: Option<&Rc<Writer>>, birth: Birth, asker: &Asker<'_>) {
        assert!(self.ticket.is_none(), "the account before was closed");
        let Some(ledger) = ledger else { return };
        self.ledger = Some(ledger.clone());
        let call_id = asker.call_id.unwrap_or_default();
        let kept = KeptCallId::new(call_id);
        let is_cut = kept.text().len() < call_id.len();
        self.entry = Entry {
            request_id: birth.id,
            call_id: kept,
            started: birth.at,
            key: asker.key,
            client: asker.address,
            marks: Marks::default().with(Marks::CALL_ID_CUT, is_cut),
            core: asker.core,
            ..Entry::default()
        };
        (self.head_at, self.whole_at) = (Some(clock::now()), None);
        self.outcome = Outcome::Refused;
    }

    fn is_open(&self) -> bool {
        self.ledger.is_some()
    }

    /// What was asked.
    pub fn asked(&mut self, action: Action) {
        self.entry.action = Some(action);
    }

    /// Who asked is known by now.
    pub fn is_of(&mut self, key: KeyRef) {
        self.entry.key = key;
    }

    /// One of our own pages is the answer.
    pub fn is_page(&mut self) {
        self.outcome = Outcome::Page;
    }

    /// The page's status.
    pub fn paged(&mut self, status: u16) {
        self.entry.status = status;
    }

    /// The request has been received whole.
    pub fn received(&mut self, content_bytes: usize) {
        if self.is_open() {
            self.entry.request_bytes = u32::try_from(content_bytes).unwrap_or(u32::MAX);
            self.whole_at = Some(clock::now());
        }
    }

    /// It is for this deployment.
    pub fn picked(&mut self, deployment: &Deployment) {
        self.entry.deployment = deployment.reference;
        self.outcome = if self.was_sent() { Outcome::NoAnswer } else { Outcome::NotSent };
    }

    /// An attempt ended badly, and another follows.
    pub fn attempt_failed(&mut self, failed: FailedAttempt) {
        self.entry.failed.push(failed);
        (self.entry.status, self.entry.error) = (0, ErrorName::default());
        self.entry.upstream_request_id = None;
    }

    /// The groups that were left so far.
    pub fn fell_back(&mut self, fallbacks: u8) {
        self.entry.fallbacks = fallbacks;
    }

    /// Bytes of it are about to go to AWS. `connected_us` were spent on the connection.
    pub fn sending(&mut self, connected_us: u32, is_reused: bool) {
        self.outcome = Outcome::NoAnswer;
        let Some(ledger) = &self.ledger else { return };
        let entry = &mut self.entry;
        entry.attempts = entry.attempts.saturating_add(1);
        if entry.attempts == 1 {
            entry.timing.overhead_us = micros(self.whole_at).saturating_sub(connected_us);
        }
        if is_reused {
            entry.marks = entry.marks.with(Marks::REUSED, true);
        }
        match &self.ticket {
            None => self.ticket = Some(ledger.begin(entry)),
            Some(ticket) => ledger.update(ticket, entry),
        }
    }

    /// Whether bytes of it may have gone to AWS.
    #[must_use]
    pub fn was_sent(&self) -> bool {
        self.entry.attempts > 0
    }

    /// Our own part of the time, up to the request's first byte upstream.
    #[must_use]
    pub fn overhead_us(&self) -> u32 {
        self.entry.timing.overhead_us
    }

    /// What the answer's head says is known.
    pub fn answered(&mut self, status: u16, error: ErrorName, upstream_id: Option<RequestId>) {
        if self.is_open() {
            self.entry.status = status;
            self.entry.error = error;
            self.entry.upstream_request_id = upstream_id;
            self.entry.timing.first_byte_us = micros(self.whole_at).max(1);
        }
    }

    /// The first content goes to the client.
    pub fn first_content(&mut self) {
        if self.is_open() && self.entry.timing.first_content_us == 0 {
            self.entry.timing.first_content_us = micros(self.whole_at).max(1);
        }
    }

    /// Takes what was used, as far as it was told, and what that costs.
    pub fn settle(&mut self, reading: &Reading, rate: Option<&Rate>) {
        if !self.is_open() {
            return;
        }
        let entry = &mut self.entry;
        entry.usage = reading.usage;
        if let Some(exception) = reading.exception {
            entry.error = exception;
        }
        let (charge, is_long, assumes_5m) =
            match rate.map(|rate| price::price(&reading.usage, rate)) {
                // AWS bills no error, and takes nothing for some operations.
                _ if entry.status >= 400 || entry.action.is_some_and(Action::is_free) => {
                    (Charge::Known(PicoUsd(0)), false, false)
                }
                None => (Charge::Unknown(UnknownCost::NoRate), false, false),
                Some(cost @ Cost::Known(bill)) => (cost.into(), bill.is_long, bill.assumes_5m),
                Some(Cost::Unknown(_)) if reading.usage.is_silent() => {
                    (Charge::Unknown(UnknownCost::NoUsage), false, false)
                }
                Some(cost @ Cost::Unknown(_)) => (cost.into(), false, false),
            };
        entry.charge = charge;
        entry.marks = entry
            .marks
            .with(Marks::STREAM, reading.is_stream)
            .with(Marks::STREAM_EXCEPTION, reading.is_stream && reading.exception.is_some())
            .with(Marks::UNREAD_EVENTS, reading.has_unread_events)
            .with(Marks::LONG_CONTEXT, is_long)
            .with(Marks::ASSUMES_5M, assumes_5m);
    }

    /// Makes what was settled safe from kill -9: before the client can have seen the end.
    pub fn secure(&mut self, answer_bytes: u64) {
        self.entry.answer_bytes = answer_bytes;
        if let (Some(ledger), Some(ticket)) = (&self.ledger, &self.ticket) {
            ledger.update(ticket, &self.entry);
        }
    }

    /// The client gets this instead of an answer.
    pub fn faulted(&mut self, fault: Fault) {
        self.entry.status = fault.status();
        self.entry.error = ErrorName::of(fault.error_type().as_bytes());
    }

    /// The client left before an answer came: AWS may have seen the request if it was sent.
    pub fn leaves(&mut self) {
        if self.ticket.is_some() {
            self.outcome = Outcome::ClientGone;
        }
    }

    /// How the request ended.
    pub fn ends(&mut self, outcome: Outcome) {
        self.outcome = outcome;
    }

    /// Content of an answer that was given to the client.
    pub fn carried(&mut self, answer_bytes: u64) {
        self.entry.answer_bytes = answer_bytes;
    }

    /// Writes the entry. An account that is not open has none.
    pub fn close(&mut self) {
        let Some(ledger) = self.ledger.take() else { return };
        let entry = &mut self.entry;
        entry.outcome = self.outcome;
        entry.timing.total_us = micros(self.head_at);
        if !self.outcome.reached_upstream() {
            entry.charge = Charge::Known(PicoUsd(0));
        }
        match self.ticket.take() {
            Some(ticket) => ledger.finish(ticket, entry),
            None => ledger.push(entry),
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if self.is_open() {
            self.outcome = if self.ticket.is_some() { Outcome::Interrupted } else { self.outcome };
            self.close();
        }
    }
}

/// Microseconds since `start`; saturates, and is 0 without one.
fn micros(start: Option<Instant>) -> u32 {
    start.map_or(0, |start| {
        let passed = clock::now().saturating_duration_since(start);
        u32::try_from(passed.as_micros()).unwrap_or(u32::MAX)
    })
}
