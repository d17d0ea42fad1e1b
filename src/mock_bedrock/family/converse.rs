//! Converse and ConverseStream: one shape for all families, keys sorted as AWS sorts them.

use super::{INVOCATION_LATENCY_MS, Saying, Usage};

/// Usage with the undocumented twins that live answers carry (guide §3.3). The total includes cache.
fn usage(saying: &Saying<'_>) -> String {
    let Usage { output, cache_read, cache_write, .. } = saying.usage;
    let (input, total) = (saying.usage.told(), saying.usage.total());
    let details = details(saying.usage);
    let cache = if saying.caches {
        format!(
            r#"{details}"cacheReadInputTokenCount":{cache_read},"cacheReadInputTokens":{cache_read},"cacheWriteInputTokenCount":{cache_write},"cacheWriteInputTokens":{cache_write},"#
        )
    } else {
        String::new()
    };
    format!(
        r#"{{{cache}"inputTokens":{input},"outputTokens":{output},"serverToolUsage":{{}},"totalTokens":{total}}}"#
    )
}

/// `cacheDetails`: one entry per lifetime that was written with; absent if nothing was.
fn details(usage: Usage) -> String {
    let written = usage.split().into_iter().flatten().zip(["5m", "1h"]);
    let details: Vec<String> = written
        .filter(|(tokens, _)| *tokens > 0)
        .map(|(tokens, ttl)| format!(r#"{{"inputTokens":{tokens},"ttl":"{ttl}"}}"#))
        .collect();
    if details.is_empty() {
        return String::new();
    }
    format!(r#""cacheDetails":[{}],"#, details.join(","))
}

/// `serviceTier`, where one is named.
fn tier(saying: &Saying<'_>) -> String {
    saying.tier.map_or(String::new(), |tier| format!(r#""serviceTier":{{"type":"{tier}"}},"#))
}

/// Converse's content.
pub fn whole(saying: &Saying<'_>) -> String {
    let (text, tier, usage) = (saying.text(), tier(saying), usage(saying));
    format!(
        r#"{{"metrics":{{"latencyMs":{INVOCATION_LATENCY_MS}}},"output":{{"message":{{"content":[{{"text":"{text}"}}],"role":"assistant"}}}},{tier}"stopReason":"end_turn","usage":{usage}}}"#
    )
}

/// ConverseStream's events as (`:event-type`, payload before `p`, payload after `p`): 4 more than deltas.
/// `p`, the padding, has its place in the alphabet.
pub fn events(saying: &Saying<'_>) -> Vec<(&'static str, String, String)> {
    let mut events = vec![("messageStart", "{".to_owned(), r#","role":"assistant"}"#.to_owned())];
    events.extend(saying.deltas.iter().map(|text| {
        let head = format!(r#"{{"contentBlockIndex":0,"delta":{{"text":"{text}"}},"#);
        ("contentBlockDelta", head, "}".to_owned())
    }));
    events.push(("contentBlockStop", r#"{"contentBlockIndex":0,"#.to_owned(), "}".to_owned()));
    events.push(("messageStop", "{".to_owned(), r#","stopReason":"end_turn"}"#.to_owned()));
    let head = format!(r#"{{"metrics":{{"latencyMs":{INVOCATION_LATENCY_MS}}},"#);
    events.push(("metadata", head, format!(r#",{}"usage":{}}}"#, tier(saying), usage(saying))));
    events
}
