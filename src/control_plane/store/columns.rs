//! The columns of `spend_logs` that are written, and what of an entry stands in each.
//!
//! One list, in one order: PostgreSQL's INSERT and its values, SQLite's packed rows and the view over them
//! (see `packed`), and the answers to queries are all made from it, so that they cannot disagree. What can be
//! derived from these (`spend`, `startTime`, …) the database derives: see `schema`.
//!
//! Invariant: a place in [`DETAILS`] is for good, because SQLite's rows know it by its number. A new
//! column goes to the end. Those that are NULL in most rows come last: a packed row ends before them.

use std::{net::IpAddr, sync::Arc};

use super::labels::Labels;
use crate::boundary::ledger::entry::{Charge, Entry, FailedAttempts, Marks, Outcome, UnknownCost};
use crate::units::{RequestId, Tokens, UnixMicros};

/// What a column holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Int,
    Bool,
    Text,
}

/// One value of a row, before it is a driver's.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Null,
    Int(i64),
    Bool(bool),
    /// Shared, so that a name that stands in a thousand rows is not copied for each.
    Text(Arc<str>),
}

impl Cell {
    pub(super) fn text(text: &str) -> Self {
        Self::Text(text.into())
    }

    /// `None` for NULL, and for what is no number: then the list of columns is wrong.
    pub(super) fn int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// As [`Self::int`].
    pub(super) fn bool(&self) -> Option<bool> {
        match self {
            Self::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    /// As [`Self::int`].
    pub(super) fn str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// A column's name and kind.
pub(super) type Column = (&'static str, Kind);

use Kind::{Bool, Int, Text};

/// The request's id, its names, what the client calls it, and [`DETAILS`].
pub(super) const SPEND_LOGS: &[Column] = &[
    ("request_id", Text),
    ("api_key", Text),
    ("api_key_alias", Text),
    ("model", Text),
    ("model_id", Text),
    ("model_group", Text),
    ("region", Text),
    ("api_base", Text),
    ("litellm_call_id", Text),
    ("started_us", Int),
    ("total_us", Int),
    ("overhead_us", Int),
    ("first_byte_us", Int),
    ("first_content_us", Int),
    ("call_type", Text),
    ("requester_ip_address", Text),
    ("upstream_request_id", Text),
    ("status", Text),
    ("outcome", Text),
    ("http_status", Int),
    ("cost_pico", Int),
    ("total_tokens", Int),
    ("prompt_tokens", Int),
    ("completion_tokens", Int),
    ("input_tokens", Int),
    ("usage_partial", Bool),
    ("stream", Bool),
    ("attempts", Int),
    ("request_bytes", Int),
    ("answer_bytes", Int),
    ("core", Int),
    ("marks", Text),
    ("cache_read_tokens", Int),
    ("cache_write_5m_tokens", Int),
    ("cache_write_1h_tokens", Int),
    ("cache_write_unsplit_tokens", Int),
    ("service_tier", Text),
    ("error", Text),
    ("unknown_cost", Text),
    ("told_input_tokens", Int),
    ("told_output_tokens", Int),
    ("told_cache_read_tokens", Int),
    ("told_cache_write_tokens", Int),
    ("images", Int),
    ("input_images", Int),
    ("video_seconds", Int),
    ("audio_seconds", Int),
    ("search_queries", Int),
    ("fallbacks", Int),
    ("failed_attempts", Text),
    ("guardrail_units", Int),
];

/// Of [`SPEND_LOGS`], what the references to key and deployment name.
pub(super) const NAMES: &[Column] = SPEND_LOGS.split_at(NAMES_TO).0.split_at(1).1;
/// Of [`SPEND_LOGS`], what follows the client's call id, in the order of [`details`].
pub(super) const DETAILS: &[Column] = SPEND_LOGS.split_at(NAMES_TO + 1).1;
const NAMES_TO: usize = 8;

/// Takes the values of a row, one after the other.
pub(super) trait Row {
    fn null(&mut self);
    fn int(&mut self, number: i64);
    fn bool(&mut self, truth: bool);
    /// One of our own, without any character that JSON escapes.
    fn word(&mut self, word: &'static str);
    /// Words of ours, with spaces between them.
    fn words(&mut self, words: &[&'static str]);
    fn id(&mut self, id: RequestId);
    fn address(&mut self, address: IpAddr);
    fn failed(&mut self, failed: &FailedAttempts);

    fn count(&mut self, count: Option<u64>) {
        match count {
            Some(count) => self.int(saturated(count)),
            None => self.null(),
        }
    }

    fn tokens(&mut self, tokens: Option<Tokens>) {
        self.count(tokens.map(|tokens| tokens.0));
    }

    /// 0 stands for none.
    fn positive(&mut self, number: u32) {
        if number == 0 { self.null() } else { self.int(number.into()) }
    }

    /// An empty word stands for none.
    fn maybe(&mut self, word: &'static str) {
        if word.is_empty() { self.null() } else { self.word(word) }
    }
}

/// 9999-12-31T23:59:59Z: what both databases' calendars hold.
const STARTED_US_MAX: u64 = 253_402_300_799_000_000;

/// Above $9.2 M a cost has no place in a 64-bit column: it is unknown, never wrapped.
pub(super) fn cost(charge: Charge) -> Result<i64, UnknownCost> {
    match charge {
        Charge::Known(amount) => i64::try_from(amount.0).map_err(|_| UnknownCost::TooLarge),
        Charge::Unknown(why) => Err(why),
    }
}

/// What is above `i64::MAX` is `i64::MAX`: an answer that lies must not wrap.
pub(super) fn saturated(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(super) fn started(entry: &Entry) -> UnixMicros {
    UnixMicros(entry.started.0.min(STARTED_US_MAX))
}

pub(super) fn id_text(id: RequestId) -> Arc<str> {
    let text = id.text();
    str::from_utf8(&text).expect("36 bytes of ASCII").into()
}

/// LiteLLM knows two: the client has all of a good answer, or it has not.
pub(super) fn is_success(entry: &Entry) -> bool {
    matches!(entry.outcome, Outcome::Whole | Outcome::Drained)
        && (200..300).contains(&entry.status)
        && !entry.marks.has(Marks::STREAM_EXCEPTION)
}

fn marks(marks: Marks, row: &mut impl Row) {
    let set = |known: &&(Marks, &str)| marks.has(known.0);
    let mut words = Marks::LISTED.iter().filter(set).map(|(_, word)| *word);
    match (words.next(), words.next()) {
        (None, _) => row.null(),
        (Some(word), None) => row.word(word),
        (Some(_), Some(_)) => {
            let all: Vec<&'static str> =
                Marks::LISTED.iter().filter(set).map(|(_, word)| *word).collect();
            row.words(&all);
        }
    }
}

/// Values in the order of [`DETAILS`].
pub(super) fn details(entry: &Entry, row: &mut impl Row) {
    let timing = entry.timing;
    row.int(saturated(started(entry).0));
    row.int(timing.total_us.into());
    row.int(timing.overhead_us.into());
    row.positive(timing.first_byte_us);
    row.positive(timing.first_content_us);
    row.maybe(entry.action.map_or("", |action| action.segment()));
    match entry.client {
        Some(client) => row.address(client),
        None => row.null(),
    }
    match entry.upstream_request_id {
        Some(id) => row.id(id),
        None => row.null(),
    }
    row.word(if is_success(entry) { "success" } else { "failure" });
    row.word(entry.outcome.word());
    row.positive(entry.status.into());
    let cost = cost(entry.charge);
    row.count(cost.ok().map(i64::unsigned_abs));
    let usage = &entry.usage;
    row.tokens(usage.total());
    row.tokens(usage.prompt());
    row.tokens(usage.output);
    row.tokens(usage.input);
    row.bool(usage.partial);
    row.bool(entry.marks.has(Marks::STREAM));
    row.int(entry.attempts.into());
    row.int(entry.request_bytes.into());
    row.int(saturated(entry.answer_bytes));
    row.int(entry.core.into());
    marks(entry.marks, row);
    rare_details(entry, cost.err(), row);
}

/// From `cache_read_tokens` on.
fn rare_details(entry: &Entry, unknown_cost: Option<UnknownCost>, row: &mut impl Row) {
    let usage = &entry.usage;
    row.tokens(usage.cache_read);
    row.tokens(usage.cache_write_5m);
    row.tokens(usage.cache_write_1h);
    row.tokens(usage.cache_write_unsplit);
    row.maybe(usage.service_tier.map_or("", |tier| tier.word()));
    row.maybe(entry.error.text());
    row.maybe(unknown_cost.map_or("", UnknownCost::word));
    let told = usage.told.unwrap_or_default();
    row.tokens(told.input);
    row.tokens(told.output);
    row.tokens(told.cache_read);
    row.tokens(told.cache_write);
    row.count(usage.images);
    row.count(usage.input_images);
    row.count(usage.video_seconds);
    row.count(usage.audio_seconds);
    row.count(usage.search_queries);
    row.positive(entry.fallbacks.into());
    if entry.failed.is_empty() {
        row.null()
    } else {
        row.failed(&entry.failed)
    }
    row.count(usage.guardrail_units);
}

/// Appends the entry's row, in the order of [`SPEND_LOGS`].
pub(super) fn cells(entry: &Entry, labels: &mut Labels, out: &mut Vec<Cell>) {
    out.push(Cell::Text(id_text(entry.request_id)));
    let names = labels.names_of(entry.key, entry.deployment);
    out.extend(names.map(Cell::Text));
    out.push(call_id(entry));
    details(entry, &mut Cells { labels, out });
}

/// `litellm_call_id`.
pub(super) fn call_id(entry: &Entry) -> Cell {
    let text = entry.call_id.text();
    if text.is_empty() { Cell::Null } else { Cell::text(text) }
}

/// A row as a cell for each value.
struct Cells<'a, 'n> {
    labels: &'a mut Labels<'n>,
    out: &'a mut Vec<Cell>,
}

impl Row for Cells<'_, '_> {
    fn null(&mut self) {
        self.out.push(Cell::Null);
    }

    fn int(&mut self, number: i64) {
        self.out.push(Cell::Int(number));
    }

    fn bool(&mut self, truth: bool) {
        self.out.push(Cell::Bool(truth));
    }

    fn word(&mut self, word: &'static str) {
        self.out.push(self.labels.word(word));
    }

    fn words(&mut self, words: &[&'static str]) {
        self.out.push(Cell::text(&words.join(" ")));
    }

    fn id(&mut self, id: RequestId) {
        self.out.push(Cell::Text(id_text(id)));
    }

    fn address(&mut self, address: IpAddr) {
        self.out.push(self.labels.address(address));
    }

    fn failed(&mut self, failed: &FailedAttempts) {
        let mut json = Vec::new();
        failed.write_json(|it| self.labels.deployment(it).id.to_string(), &mut json);
        self.out.push(Cell::text(str::from_utf8(&json).expect("JSON")));
    }
}
