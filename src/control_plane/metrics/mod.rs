//! What Prometheus is told: sums over entries, and what the cores count besides.
//!
//! ```text
//!   entries ─▶ observe ─▶ integers per label set ┐
//!   CoreCounts, ledger, log ─▶ Gauges ───────────┴▶ render ─▶ text
//! ```
//!
//! The names are LiteLLM's where it has one for the same thing; `docs/metrics.md` lists them all. All is
//! summed in integers, money in pico-dollars, and shown exactly: log, store and metrics agree to the last
//! digit. A count that no answer told is not there: unknown is not 0. One thread owns it.

mod exposition;
mod gauges;
mod histogram;
mod labels;
mod render;
#[cfg(test)]
mod tests;
mod verdict;

pub use exposition::CONTENT_TYPE;
pub use gauges::{Gauges, LedgerCounts};

use std::collections::BTreeMap;

use super::names::Names;
use crate::{
    bedrock::usage::Usage,
    boundary::ledger::entry::{Charge, DeploymentRef, Entry, KeyRef, Marks, Outcome},
    limits::{
        METRIC_DEPLOYMENTS_MAX, METRIC_HISTOGRAM_SETS_MAX, METRIC_KEYS_MAX, METRIC_LABEL_SETS_MAX,
    },
};
use exposition::Labels;
use histogram::Histogram;
use labels::{DeploymentLabels, OTHER, OTHER_AT, Place, Sets, Table};
use verdict::Verdict;

/// Whose: deployment and key.
type Pair = (Place, Place);
/// Whose, the status (or its class, where label sets are folded), and what the failure is called.
type Failure = (Place, Place, Status, &'static str);

/// What the client's status was.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
enum Status {
    /// 0: none.
    Exactly(u16),
    /// Hundreds.
    Class(u16),
}

impl Status {
    /// None stays none: two label sets must not read the same.
    fn folded(self) -> Self {
        match self {
            Self::Exactly(status @ 1..) => Self::Class(status / 100),
            other => other,
        }
    }
}

/// All sums since the process started.
pub struct Metrics {
    deployments: Table<DeploymentRef, DeploymentLabels>,
    keys: Table<KeyRef, Labels>,
    sums: Sets<Pair, Sums>,
    latencies: Sets<Pair, Latencies>,
    requests: Sets<(Place, Place, Status), u64>,
    proxy_failures: Sets<Failure, u64>,
    deployment_failures: Sets<Failure, u64>,
    events: BTreeMap<Place, Events>,
    unknown_costs: BTreeMap<(Place, &'static str), u64>,
    outcomes: BTreeMap<&'static str, u64>,
}

/// `None`: nobody ever told.
#[derive(Default)]
struct Sums {
    pico_usd: Option<u128>,
    /// All that went in, LiteLLM's `prompt_tokens`.
    prompt: Option<u64>,
    total: Option<u64>,
    /// As [`kinds`] orders them.
    kinds: [Option<u64>; KINDS.len()],
    deployment_requests: u64,
    deployment_successes: u64,
}

/// Of answers that were whole and a success.
#[derive(Default)]
struct Latencies {
    total: Histogram,
    upstream: Histogram,
    overhead: Histogram,
    first_token: Histogram,
    per_output_token: Histogram,
}

/// What happened with a deployment.
#[derive(Default)]
struct Events {
    corrupt_streams: u64,
    stream_exceptions: u64,
    partial_usages: u64,
    disagreements: u64,
    clients_gone: u64,
    /// `None`: nothing that would tell.
    failures_in_a_row: Option<u32>,
}

const KINDS: [&str; 6] =
    ["input", "output", "cache_read", "cache_write_5m", "cache_write_1h", "cache_write_unsplit"];
const OUTPUT: usize = 1;
const CACHE_READ: usize = 2;
const CACHE_WRITES: [usize; 3] = [3, 4, 5];

fn kinds(usage: &Usage) -> [Option<u64>; KINDS.len()] {
    let kinds = [
        usage.input,
        usage.output,
        usage.cache_read,
        usage.cache_write_5m,
        usage.cache_write_1h,
        usage.cache_write_unsplit,
    ];
    kinds.map(|count| count.map(|tokens| tokens.0))
}

/// `more`, if it is known; sums of tokens saturate, since an answer may lie.
fn add(sum: &mut Option<u64>, more: Option<u64>) {
    if let Some(more) = more {
        *sum = Some(sum.unwrap_or(0).saturating_add(more));
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            deployments: Table::new(METRIC_DEPLOYMENTS_MAX, DeploymentLabels::word),
            keys: Table::new(METRIC_KEYS_MAX, labels::key_word),
            sums: Sets::new(METRIC_LABEL_SETS_MAX),
            latencies: Sets::new(METRIC_HISTOGRAM_SETS_MAX),
            requests: Sets::new(METRIC_LABEL_SETS_MAX),
            proxy_failures: Sets::new(METRIC_LABEL_SETS_MAX),
            deployment_failures: Sets::new(METRIC_LABEL_SETS_MAX),
            events: BTreeMap::new(),
            unknown_costs: BTreeMap::new(),
            outcomes: BTreeMap::new(),
        }
    }
}

impl Metrics {
    /// Adds entries, each of which must be given once.
    pub fn observe(&mut self, entries: &[Entry], names: &Names) {
        for entry in entries {
            let deployment = self.deployments.find(entry.deployment, || {
                names.deployment(entry.deployment).map(DeploymentLabels::of)
            });
            let key = self.keys.find(entry.key, || names.key(entry.key).map(labels::key_labels));
            self.observe_one(entry, (deployment, key));
        }
    }

    fn observe_one(&mut self, entry: &Entry, whose: Pair) {
        *self.outcomes.entry(entry.outcome.word()).or_default() += 1;
        if entry.outcome == Outcome::Page {
            return;
        }
        self.sum(entry, whose);
        let (deployment, key) = whose;
        let status = Status::Exactly(entry.status);
        let folded = status.folded();
        *self.requests.at((deployment, key, status), (deployment, OTHER_AT, folded)) += 1;
        let failure = (deployment, key, status, verdict::class(entry));
        let folded = (deployment, OTHER_AT, folded, OTHER);
        if verdict::has_failed(entry) {
            *self.proxy_failures.at(failure, folded) += 1;
        }
        if let Verdict::Failure { .. } = verdict::of_deployment(entry) {
            *self.deployment_failures.at(failure, folded) += 1;
        }
        self.count_events(entry, deployment);
        self.time(entry, whose);
    }

    fn sum(&mut self, entry: &Entry, whose: Pair) {
        let sums = self.sums.at(whose, (whose.0, OTHER_AT));
        match entry.charge {
            Charge::Known(amount) => {
                let sum = sums.pico_usd.unwrap_or(0);
                sums.pico_usd = Some(sum.saturating_add(u128::from(amount.0)));
            }
            Charge::Unknown(why) if entry.is_stored() => {
                *self.unknown_costs.entry((whose.0, why.word())).or_default() += 1;
            }
            Charge::Unknown(_) => {}
        }
        add(&mut sums.prompt, entry.usage.prompt().map(|tokens| tokens.0));
        add(&mut sums.total, entry.usage.total().map(|tokens| tokens.0));
        for (sum, count) in sums.kinds.iter_mut().zip(kinds(&entry.usage)) {
            add(sum, count);
        }
        match verdict::of_deployment(entry) {
            Verdict::Success => {
                sums.deployment_requests += 1;
                sums.deployment_successes += 1;
            }
            Verdict::Failure { .. } => sums.deployment_requests += 1,
            Verdict::None => {}
        }
    }

    fn count_events(&mut self, entry: &Entry, deployment: Place) {
        let events = self.events.entry(deployment).or_default();
        let is_gone = matches!(entry.outcome, Outcome::ClientGone | Outcome::Drained);
        for (count, happened) in [
            (&mut events.corrupt_streams, entry.outcome == Outcome::StreamCorrupt),
            (&mut events.stream_exceptions, entry.marks.has(Marks::STREAM_EXCEPTION)),
            (&mut events.partial_usages, entry.usage.partial),
            (&mut events.disagreements, entry.usage.disagrees()),
            (&mut events.clients_gone, is_gone),
        ] {
            *count += u64::from(happened);
        }
        let in_a_row = events.failures_in_a_row;
        events.failures_in_a_row = match verdict::of_deployment(entry) {
            Verdict::Success => Some(0),
            Verdict::Failure { is_outage: true } => Some(in_a_row.unwrap_or(0).saturating_add(1)),
            Verdict::Failure { is_outage: false } | Verdict::None => in_a_row,
        };
    }

    /// What failed at once, or was cut, says nothing of how fast answers are.
    fn time(&mut self, entry: &Entry, whose: Pair) {
        let is_whole = entry.outcome == Outcome::Whole;
        if !is_whole || verdict::of_deployment(entry) != Verdict::Success {
            return;
        }
        let latencies = self.latencies.at(whose, (whose.0, OTHER_AT));
        let timing = entry.timing;
        let upstream_us = u64::from(timing.total_us.saturating_sub(timing.overhead_us));
        latencies.total.observe_us(timing.total_us.into());
        latencies.upstream.observe_us(upstream_us);
        if timing.overhead_us != 0 {
            latencies.overhead.observe_us(timing.overhead_us.into());
        }
        if entry.marks.has(Marks::STREAM) && timing.first_content_us != 0 {
            latencies.first_token.observe_us(timing.first_content_us.into());
        }
        if let Some(tokens) = entry.usage.output.filter(|tokens| tokens.0 > 0) {
            latencies.per_output_token.observe_ns(upstream_us * 1000 / tokens.0);
        }
    }
}
