//! Converse and ConverseStream: one shape for all families, keys sorted as AWS sorts them.

use super::{INVOCATION_LATENCY_MS, Saying, Usage};

/// Usage with the undocumented twins that live answers carry (guide §3.3). The total includes cache.
fn usage(saying: &Saying<'_>) -> String {
    let Usage { input, output, cache_read, cache_write } = saying.usage;
    let total = saying.usage.total();
    let cache = if saying.caches {
        format!(
            r#""cacheReadInputTokenCount":{cache_read},"cacheReadInputTokens":{cache_read},"cacheWriteInputTokenCount":{cache_write},"cacheWriteInputTokens":{cache_write},"#
        )
    } else {
        String::new()
    };
    format!(
        r#"{{{cache}"inputTokens":{input},"outputTokens":{output},"serverToolUsage":{{}},"totalTokens":{total}}}"#
    )
}

/// Converse's content.
pub fn whole(saying: &Saying<'_>) -> String {
    let (text, usage) = (saying.text(), usage(saying));
    format!(
        r#"{{"metrics":{{"latencyMs":{INVOCATION_LATENCY_MS}}},"output":{{"message":{{"content":[{{"text":"{text}"}}],"role":"assistant"}}}},"stopReason":"end_turn","usage":{usage}}}"#
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
    events.push(("metadata", head, format!(r#","usage":{}}}"#, usage(saying))));
    events
}
