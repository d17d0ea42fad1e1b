//! The columns of `spend_logs` that are written, and what of an entry stands in each.
//!
//! One list, in one order: the INSERT, the values and the answers to queries are all made from it, so
//! that they cannot disagree. What can be derived from these (`spend`, `startTime`, …) the database
//! derives: see `schema`.

use std::sync::Arc;

use super::labels::Labels;
use crate::bedrock::usage::Usage;
use crate::boundary::ledger::entry::{Charge, Entry, Marks, Outcome, UnknownCost};
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

    fn count(count: Option<u64>) -> Self {
        count.map_or(Self::Null, |count| Self::Int(saturated(count)))
    }

    fn tokens(tokens: Option<Tokens>) -> Self {
        Self::count(tokens.map(|tokens| tokens.0))
    }
}

/// A column's name and kind.
pub(super) type Column = (&'static str, Kind);

use Kind::{Bool, Int, Text};

/// In the order of [`cells`].
pub(super) const SPEND_LOGS: &[Column] = &[
    ("request_id", Text),
    ("started_us", Int),
    ("total_us", Int),
    ("overhead_us", Int),
    ("first_byte_us", Int),
    ("first_content_us", Int),
    ("call_type", Text),
    ("api_key", Text),
    ("api_key_alias", Text),
    ("model", Text),
    ("model_id", Text),
    ("model_group", Text),
    ("region", Text),
    ("api_base", Text),
    ("requester_ip_address", Text),
    ("litellm_call_id", Text),
    ("upstream_request_id", Text),
    ("status", Text),
    ("outcome", Text),
    ("http_status", Int),
    ("error", Text),
    ("cost_pico", Int),
    ("unknown_cost", Text),
    ("total_tokens", Int),
    ("prompt_tokens", Int),
    ("completion_tokens", Int),
    ("input_tokens", Int),
    ("cache_read_tokens", Int),
    ("cache_write_5m_tokens", Int),
    ("cache_write_1h_tokens", Int),
    ("cache_write_unsplit_tokens", Int),
    ("told_input_tokens", Int),
    ("told_output_tokens", Int),
    ("told_cache_read_tokens", Int),
    ("told_cache_write_tokens", Int),
    ("images", Int),
    ("input_images", Int),
    ("video_seconds", Int),
    ("audio_seconds", Int),
    ("search_queries", Int),
    ("service_tier", Text),
    ("usage_partial", Bool),
    ("stream", Bool),
    ("marks", Text),
    ("attempts", Int),
    ("request_bytes", Int),
    ("answer_bytes", Int),
    ("core", Int),
];

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

/// Marks that are not columns of their own, space-separated.
const MARKS: [(Marks, &str); 6] = [
    (Marks::STREAM_EXCEPTION, "stream_exception"),
    (Marks::LONG_CONTEXT, "long_context"),
    (Marks::ASSUMES_5M, "assumes_5m"),
    (Marks::CALL_ID_CUT, "call_id_cut"),
    (Marks::REUSED, "reused"),
    (Marks::UNREAD_EVENTS, "unread_events"),
];

fn marks(marks: Marks, labels: &mut Labels) -> Cell {
    let set = |known: &&(Marks, &str)| marks.has(known.0);
    let mut words = MARKS.iter().filter(set).map(|(_, word)| *word);
    match (words.next(), words.next()) {
        (None, _) => Cell::Null,
        (Some(word), None) => labels.word(word),
        (Some(_), Some(_)) => {
            let all: Vec<&str> = MARKS.iter().filter(set).map(|(_, word)| *word).collect();
            Cell::text(&all.join(" "))
        }
    }
}

fn sum(parts: &[Option<Tokens>]) -> Option<u64> {
    let known = parts.iter().flatten().map(|tokens| tokens.0);
    known.reduce(u64::saturating_add)
}

/// An empty word stands for none.
fn word(word: &'static str, labels: &mut Labels) -> Cell {
    if word.is_empty() { Cell::Null } else { labels.word(word) }
}

/// Appends the entry's row, in the order of [`SPEND_LOGS`].
pub(super) fn cells(entry: &Entry, labels: &mut Labels, out: &mut Vec<Cell>) {
    let timing = entry.timing;
    let (cost, why) = match cost(entry.charge) {
        Ok(cost) => (Cell::Int(cost), Cell::Null),
        Err(why) => (Cell::Null, labels.word(why.word())),
    };
    // 0 stands for what did not happen.
    let moment = |us: u32| if us == 0 { Cell::Null } else { Cell::Int(us.into()) };
    let key = labels.key(entry.key);
    let deployment = labels.deployment(entry.deployment);
    let status = if is_success(entry) { "success" } else { "failure" };
    let call_id = entry.call_id.text();
    out.extend([
        Cell::Text(id_text(entry.request_id)),
        Cell::Int(saturated(started(entry).0)),
        Cell::Int(timing.total_us.into()),
        Cell::Int(timing.overhead_us.into()),
        moment(timing.first_byte_us),
        moment(timing.first_content_us),
        word(entry.action.map_or("", |action| action.segment()), labels),
        Cell::Text(key.api_key),
        Cell::Text(key.alias),
        Cell::Text(deployment.model),
        Cell::Text(deployment.id),
        Cell::Text(deployment.model_group),
        Cell::Text(deployment.region),
        Cell::Text(deployment.api_base),
        entry.client.map_or(Cell::Null, |client| labels.address(client)),
        if call_id.is_empty() { Cell::Null } else { Cell::text(call_id) },
        entry.upstream_request_id.map_or(Cell::Null, |id| Cell::Text(id_text(id))),
        labels.word(status),
        labels.word(entry.outcome.word()),
        if entry.status == 0 { Cell::Null } else { Cell::Int(entry.status.into()) },
        word(entry.error.text(), labels),
        cost,
        why,
    ]);
    usage_cells(&entry.usage, labels, out);
    out.extend([
        Cell::Bool(entry.marks.has(Marks::STREAM)),
        marks(entry.marks, labels),
        Cell::Int(entry.attempts.into()),
        Cell::Int(entry.request_bytes.into()),
        Cell::Int(saturated(entry.answer_bytes)),
        Cell::Int(entry.core.into()),
    ]);
}

/// From `total_tokens` to `usage_partial`.
fn usage_cells(usage: &Usage, labels: &mut Labels, out: &mut Vec<Cell>) {
    let told = usage.told.unwrap_or_default();
    let prompt = sum(&[
        usage.input,
        usage.cache_read,
        usage.cache_write_5m,
        usage.cache_write_1h,
        usage.cache_write_unsplit,
    ]);
    let all = sum(&[prompt.map(Tokens), usage.output]);
    out.extend([
        Cell::count(all),
        Cell::count(prompt),
        Cell::tokens(usage.output),
        Cell::tokens(usage.input),
        Cell::tokens(usage.cache_read),
        Cell::tokens(usage.cache_write_5m),
        Cell::tokens(usage.cache_write_1h),
        Cell::tokens(usage.cache_write_unsplit),
        Cell::tokens(told.input),
        Cell::tokens(told.output),
        Cell::tokens(told.cache_read),
        Cell::tokens(told.cache_write),
        Cell::count(usage.images),
        Cell::count(usage.input_images),
        Cell::count(usage.video_seconds),
        Cell::count(usage.audio_seconds),
        Cell::count(usage.search_queries),
        word(usage.service_tier.map_or("", |tier| tier.word()), labels),
        Cell::Bool(usage.partial),
    ]);
}
