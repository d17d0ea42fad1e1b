//! One batch's sums by day, key and deployment: what `daily_spend` is increased by.

use std::{collections::BTreeMap, sync::Arc};

use super::columns::{Cell, Column, Kind, cost, is_success, saturated, started};
use super::labels::{ByReference, Resolved};
use crate::boundary::ledger::entry::{DeploymentRef, Entry, KeyRef};
use crate::control_plane::spend::Day;
use crate::units::Tokens;

/// A dollar in pico-dollars.
pub(super) const PICO_PER_USD: i64 = 1_000_000_000_000;

use Kind::{Int, Text};

/// What identifies a row of `daily_spend`.
pub(super) const DAILY_KEYS: &[&str] =
    &["day", "api_key", "model_group", "model", "deployment", "region"];

/// What a row sums, besides the cost.
pub(super) const DAILY_COUNTS: &[&str] = &[
    "requests",
    "failures",
    "unknown",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "cache_write_unsplit_tokens",
];

/// In the order of [`Sums::cells`]. The cost has two columns, whole dollars and the rest in
/// pico-dollars: one of 64 bits would overflow at $9.2 M, and SQLite would then go on in floats.
pub(super) const DAILY_SPEND: &[Column] = &[
    ("day", Text),
    ("api_key", Text),
    ("model_group", Text),
    ("model", Text),
    ("deployment", Text),
    ("region", Text),
    ("requests", Int),
    ("failures", Int),
    ("unknown", Int),
    ("input_tokens", Int),
    ("output_tokens", Int),
    ("cache_read_tokens", Int),
    ("cache_write_5m_tokens", Int),
    ("cache_write_1h_tokens", Int),
    ("cache_write_unsplit_tokens", Int),
    ("cost_usd", Int),
    ("cost_pico", Int),
];

#[derive(Default)]
struct Sums {
    counts: [u64; 9],
    pico: u128,
}

/// The sums of a batch.
#[derive(Default)]
pub(super) struct RollUp(ByReference<(Day, KeyRef, DeploymentRef), Sums>);

impl RollUp {
    pub(super) fn add(&mut self, entry: &Entry) {
        let day = Day::of(started(entry).seconds());
        let sums = self.0.entry((day, entry.key, entry.deployment)).or_default();
        let cost = cost(entry.charge);
        let usage = &entry.usage;
        let tokens = |count: Option<Tokens>| count.map_or(0, |tokens| tokens.0);
        let more = [
            1,
            u64::from(!is_success(entry)),
            u64::from(cost.is_err()),
            tokens(usage.input),
            tokens(usage.output),
            tokens(usage.cache_read),
            tokens(usage.cache_write_5m),
            tokens(usage.cache_write_1h),
            tokens(usage.cache_write_unsplit),
        ];
        for (sum, more) in sums.counts.iter_mut().zip(more) {
            *sum = sum.saturating_add(more);
        }
        let pico = cost.ok().and_then(|cost| u128::try_from(cost).ok());
        sums.pico += pico.unwrap_or(0); // a batch of u64s fits
    }

    /// Rows in the order of [`DAILY_SPEND`], one behind the other, each group of names once.
    pub(super) fn cells(&self, labels: &Resolved) -> Vec<Cell> {
        // Two references may have one name (a moved `api_base`): one row, or an upsert meets itself.
        // Ordered, so that two writers take the rows' locks in one order.
        let mut named: BTreeMap<[Arc<str>; 6], Sums> = BTreeMap::new();
        for ((day, key, deployment), sums) in &self.0 {
            let label = labels.deployment(*deployment);
            let names = [
                day.to_string().into(),
                labels.key(*key).api_key.clone(),
                label.model_group.clone(),
                label.model.clone(),
                label.id.clone(),
                label.region.clone(),
            ];
            let row = named.entry(names).or_default();
            row.pico += sums.pico;
            for (sum, more) in row.counts.iter_mut().zip(sums.counts) {
                *sum = sum.saturating_add(more);
            }
        }
        let per_usd = u128::from(PICO_PER_USD.unsigned_abs());
        let mut cells = Vec::with_capacity(named.len() * DAILY_SPEND.len());
        for (names, sums) in named {
            cells.extend(names.map(Cell::Text));
            cells.extend(sums.counts.map(|count| Cell::Int(saturated(count))));
            let parts = [sums.pico / per_usd, sums.pico % per_usd];
            cells.extend(parts.map(|part| Cell::Int(i64::try_from(part).unwrap_or(i64::MAX))));
        }
        cells
    }
}

/// What an INSERT into `daily_spend` does when the row is there: adds. Counts saturate.
pub(super) fn add_to_row() -> String {
    let max = i64::MAX;
    let counts = DAILY_COUNTS.iter().map(|name| {
        format!(
            "{name} = CASE WHEN daily_spend.{name} > {max} - excluded.{name} THEN {max} \
             ELSE daily_spend.{name} + excluded.{name} END"
        )
    });
    let sum = "daily_spend.cost_pico + excluded.cost_pico";
    let cost = [
        format!("cost_usd = daily_spend.cost_usd + excluded.cost_usd + ({sum}) / {PICO_PER_USD}"),
        format!("cost_pico = ({sum}) % {PICO_PER_USD}"),
    ];
    let set: Vec<String> = counts.chain(cost).collect();
    format!("ON CONFLICT ({}) DO UPDATE SET {}", DAILY_KEYS.join(", "), set.join(", "))
}
