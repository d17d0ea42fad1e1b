//! Usage in JSON, in the words of LiteLLM and OpenAI, Anthropic, and Bedrock's Converse → [`Usage`].
//!
//! `prompt_tokens` counts what was read from and written to the cache, too, as LiteLLM has it; the two
//! others' input does not. Each count may be there under one of its names only. Keys that price nothing
//! (`total_tokens`, …) are passed over: a whole answer may be sent.

use serde_json::Value;

use super::refusal::Refusal;
use crate::{
    bedrock::usage::{ServiceTier, Usage},
    units::Tokens,
};

/// Reads the object `usage`.
///
/// # Errors
/// A count is none, or there under two names, or the cached tokens are more than all.
pub(super) fn read(usage: &Value) -> Result<Usage, Refusal> {
    if !usage.is_object() {
        return Err(Refusal::bad_request("usage must be an object with token counts."));
    }
    let tokens = |names: &[&str]| Ok::<_, Refusal>(count(usage, names)?.map(Tokens));
    let cache_read = count(
        usage,
        &["cache_read_input_tokens", "cacheReadInputTokens", "prompt_tokens_details.cached_tokens"],
    )?;
    let cache_write = count(
        usage,
        &[
            "cache_creation_input_tokens",
            "cacheWriteInputTokens",
            "prompt_tokens_details.cache_creation_tokens",
        ],
    )?;
    let short = count(usage, &split("ephemeral_5m_input_tokens"))?;
    let long = count(usage, &split("ephemeral_1h_input_tokens"))?;
    let sum = |one: Option<u64>, other: Option<u64>| match (one, other) {
        (None, None) => Some(None),
        (one, other) => one.unwrap_or(0).checked_add(other.unwrap_or(0)).map(Some),
    };
    let too_large = || Refusal::bad_request("The counts of usage are too large.");
    let both = sum(short, long).ok_or_else(too_large)?;
    if both.is_some() && cache_write.is_some() && both != cache_write {
        return Err(Refusal::bad_request(
            "The tokens written to the cache for 5 minutes and for 1 hour must add up to all of them.",
        ));
    }
    let cached = sum(cache_read, cache_write.or(both)).ok_or_else(too_large)?.unwrap_or(0);
    let all = count(usage, &["prompt_tokens"])?;
    let input = count(usage, &["input_tokens", "inputTokens"])?;
    let input = match (all, input) {
        (Some(_), Some(_)) => {
            return Err(Refusal::bad_request(
                "prompt_tokens counts cached tokens and input_tokens does not: send one of them.",
            ));
        }
        (Some(all), None) => Some(all.checked_sub(cached).ok_or_else(|| {
            Refusal::bad_request(
                "prompt_tokens must count the tokens read from and written to the cache, too.",
            )
        })?),
        (None, input) => input,
    };
    Ok(Usage {
        input: input.map(Tokens),
        output: tokens(&["completion_tokens", "output_tokens", "outputTokens"])?,
        cache_read: cache_read.map(Tokens),
        cache_write_5m: short.map(Tokens),
        cache_write_1h: long.map(Tokens),
        cache_write_unsplit: cache_write.filter(|_| both.is_none()).map(Tokens),
        images: count(usage, &["images"])?,
        input_images: count(usage, &["input_images"])?,
        video_seconds: count(usage, &["video_seconds"])?,
        audio_seconds: count(usage, &["audio_seconds"])?,
        search_queries: count(usage, &["search_queries"])?,
        service_tier: tier(usage)?,
        ..Usage::default()
    })
}

/// Where a part of the cache's writes may stand: in Anthropic's place, or in LiteLLM's.
fn split(name: &str) -> [String; 2] {
    [
        format!("cache_creation.{name}"),
        format!("prompt_tokens_details.cache_creation_token_details.{name}"),
    ]
}

/// The count that stands under one of these paths. Null counts as absent.
fn count(usage: &Value, paths: &[impl AsRef<str>]) -> Result<Option<u64>, Refusal> {
    let mut found: Option<(&str, u64)> = None;
    for path in paths.iter().map(AsRef::as_ref) {
        let value = path.split('.').try_fold(usage, |value, key| value.get(key));
        let Some(value) = value.filter(|value| !value.is_null()) else { continue };
        let Some(number) = value.as_u64() else {
            let why = format!("usage.{path} must be a whole number of at least 0.");
            return Err(Refusal::bad_request(why));
        };
        match found {
            Some((other, before)) if before != number => {
                let why = format!("usage.{path} and usage.{other} mean the same, and differ.");
                return Err(Refusal::bad_request(why));
            }
            _ => found = Some((path, number)),
        }
    }
    Ok(found.map(|(_, number)| number))
}

fn tier(usage: &Value) -> Result<Option<ServiceTier>, Refusal> {
    match usage.get("service_tier") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(word)) if ServiceTier::from_word(word) != ServiceTier::Other => {
            Ok(Some(ServiceTier::from_word(word)))
        }
        Some(_) => {
            let words = ServiceTier::WORDS.join(", ");
            Err(Refusal::bad_request(format!("usage.service_tier must be one of: {words}.")))
        }
    }
}
