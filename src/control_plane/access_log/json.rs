//! One request as one line of JSON: the form that programs read.
//!
//! Names are LiteLLM's where it has one (its `StandardLoggingPayload` and `LiteLLM_SpendLogs`), and they
//! are stable: `docs/access_log.md` lists them. What is not known is not there, and never 0.

use super::{Who, append};
use crate::{
    boundary::ledger::entry::{Charge, DeploymentRef, Entry, Marks},
    units::Tokens,
};

/// Appends the line and its `\n`. Allocates nothing once `out` has room, unless
/// attempts failed.
pub fn write_json(entry: &Entry, who: Who<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"time\":\"");
    append::moment(entry.started, out);
    out.push(b'"');
    let mut object = Object(out);
    object.ascii("request_id", &entry.request_id.text());
    object.text("litellm_call_id", entry.call_id.text());
    if let Some(id) = entry.upstream_request_id {
        object.ascii("amzn_request_id", &id.text());
    }
    names(entry, who, &mut object);
    object.text("outcome", entry.outcome.word());
    if entry.status != 0 {
        object.number("status", u64::from(entry.status));
    }
    object.text("error", entry.error.text());
    object.literal("stream", if entry.marks.has(Marks::STREAM) { "true" } else { "false" });
    object.number("attempts", u64::from(entry.attempts));
    if entry.fallbacks > 0 {
        object.number("fallbacks", u64::from(entry.fallbacks));
    }
    if !entry.failed.is_empty() {
        object.name("failed_attempts");
        let name = |it| who.names.and_then(|names| names.deployment(it));
        let id_of = |it: DeploymentRef| {
            name(it).map_or_else(|| format!("ref:{:016x}", it.0), |name| name.id.clone())
        };
        entry.failed.write_json(id_of, object.0);
    }
    object.millis("duration_ms", entry.timing.total_us);
    let timing = entry.timing;
    let others = [
        ("overhead_ms", timing.overhead_us),
        ("ttfb_ms", timing.first_byte_us),
        ("ttft_ms", timing.first_content_us),
    ];
    for (name, us) in others.into_iter().filter(|(_, us)| *us != 0) {
        object.millis(name, us);
    }
    object.number("request_bytes", u64::from(entry.request_bytes));
    object.number("answer_bytes", entry.answer_bytes);
    usage(entry, &mut object);
    match entry.charge {
        Charge::Known(amount) => {
            object.name("spend");
            object.0.push(b'"');
            amount.write(object.0);
            object.0.push(b'"');
            object.number("cost_pico", amount.0);
        }
        // What AWS never saw cost nothing, and nobody asks what.
        Charge::Unknown(why) if entry.is_stored() => object.text("spend_unknown", why.word()),
        Charge::Unknown(_) => {}
    }
    marks(entry.marks, &mut object);
    object.number("core", u64::from(entry.core));
    out.extend_from_slice(b"}\n");
}

fn names(entry: &Entry, who: Who<'_>, object: &mut Object<'_>) {
    if let Some(key) = who.key {
        object.text("api_key", &key.api_key);
        object.text("api_key_alias", &key.alias);
    }
    if let Some(client) = entry.client {
        object.name("requester_ip_address");
        object.0.push(b'"');
        append::address(client, object.0);
        object.0.push(b'"');
    }
    if let Some(action) = entry.action {
        object.text("call_type", action.segment());
    }
    if let Some(deployment) = who.deployment {
        object.text("model_group", &deployment.model_group);
        object.text("model", &deployment.model);
        object.text("model_id", &deployment.id);
        object.text("region", &deployment.region);
        object.text("api_base", &deployment.api_base);
    }
}

fn usage(entry: &Entry, object: &mut Object<'_>) {
    let usage = &entry.usage;
    let told = usage.told.unwrap_or_default();
    let counts = [
        ("prompt_tokens", usage.prompt()),
        ("completion_tokens", usage.output),
        ("total_tokens", usage.total()),
        ("input_tokens", usage.input),
        ("output_tokens", usage.output),
        ("cache_read_tokens", usage.cache_read),
        ("cache_write_5m_tokens", usage.cache_write_5m),
        ("cache_write_1h_tokens", usage.cache_write_1h),
        ("cache_write_unsplit_tokens", usage.cache_write_unsplit),
        ("told_input_tokens", told.input),
        ("told_output_tokens", told.output),
        ("told_cache_read_tokens", told.cache_read),
        ("told_cache_write_tokens", told.cache_write),
    ];
    for (name, count) in counts {
        if let Some(Tokens(count)) = count {
            object.number(name, count);
        }
    }
    let pieces = [
        ("images", usage.images),
        ("input_images", usage.input_images),
        ("video_seconds", usage.video_seconds),
        ("audio_seconds", usage.audio_seconds),
        ("search_queries", usage.search_queries),
        ("guardrail_units", usage.guardrail_units),
    ];
    for (name, count) in pieces {
        if let Some(count) = count {
            object.number(name, count);
        }
    }
    if usage.partial {
        object.literal("usage_partial", "true");
    }
    if let Some(tier) = usage.service_tier {
        object.text("service_tier", tier.word());
    }
}

fn marks(marks: Marks, object: &mut Object<'_>) {
    let mut separator = b'[';
    for (_, word) in Marks::LISTED.into_iter().filter(|(mark, _)| marks.has(*mark)) {
        if separator == b'[' {
            object.name("marks");
        }
        object.0.push(separator);
        object.0.push(b'"');
        object.0.extend_from_slice(word.as_bytes());
        object.0.push(b'"');
        separator = b',';
    }
    if separator == b',' {
        object.0.push(b']');
    }
}

/// The inside of an object that has a member already.
struct Object<'o>(&'o mut Vec<u8>);

impl Object<'_> {
    fn name(&mut self, name: &str) {
        self.0.extend_from_slice(b",\"");
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
    }

    /// Nothing, if the text is empty.
    fn text(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            self.name(name);
            self.0.push(b'"');
            append::escaped(text, self.0);
            self.0.push(b'"');
        }
    }

    /// What is known to need no escape.
    fn ascii(&mut self, name: &str, text: &[u8]) {
        self.name(name);
        self.0.push(b'"');
        self.0.extend_from_slice(text);
        self.0.push(b'"');
    }

    fn number(&mut self, name: &str, number: u64) {
        self.name(name);
        append::number(number, self.0);
    }

    fn millis(&mut self, name: &str, us: u32) {
        self.name(name);
        append::millis(us, self.0);
    }

    fn literal(&mut self, name: &str, literal: &str) {
        self.name(name);
        self.0.extend_from_slice(literal.as_bytes());
    }
}
