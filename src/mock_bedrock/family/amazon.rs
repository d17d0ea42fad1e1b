//! Amazon's own: Nova (names of cache counts differ from Converse's), Titan text, Titan embeddings.

use super::Saying;

fn nova_usage(saying: &Saying<'_>) -> String {
    let (usage, total) = (saying.usage, saying.usage.total());
    format!(
        r#"{{"inputTokens":{},"outputTokens":{},"totalTokens":{total},"cacheReadInputTokenCount":{},"cacheWriteInputTokenCount":{}}}"#,
        usage.told(),
        usage.output,
        usage.cache_read,
        usage.cache_write
    )
}

/// Nova's InvokeModel content.
pub fn nova_whole(saying: &Saying<'_>) -> String {
    let (text, usage) = (saying.text(), nova_usage(saying));
    format!(
        r#"{{"output":{{"message":{{"content":[{{"text":"{text}"}}],"role":"assistant"}}}},"stopReason":"end_turn","usage":{usage}}}"#
    )
}

/// Nova's stream: 4 more events than deltas; usage and metrics on `metadata`.
pub fn nova_events(saying: &Saying<'_>) -> Vec<String> {
    let mut events = vec![r#"{"messageStart":{"role":"assistant"}}"#.to_owned()];
    events.extend(saying.deltas.iter().map(|text| {
        format!(r#"{{"contentBlockDelta":{{"delta":{{"text":"{text}"}},"contentBlockIndex":0}}}}"#)
    }));
    let (usage, metrics) = (nova_usage(saying), saying.metrics());
    events.push(r#"{"contentBlockStop":{"contentBlockIndex":0}}"#.to_owned());
    events.push(r#"{"messageStop":{"stopReason":"end_turn"}}"#.to_owned());
    events.push(format!(
        r#"{{"metadata":{{"usage":{usage},"metrics":{{}},"trace":{{}}}},{metrics}}}"#
    ));
    events
}

/// Titan text's InvokeModel content.
pub fn titan_whole(saying: &Saying<'_>) -> String {
    let (text, input, output) = (saying.text(), saying.usage.told(), saying.usage.output);
    format!(
        r#"{{"inputTextTokenCount":{input},"results":[{{"tokenCount":{output},"outputText":"{text}","completionReason":"FINISH"}}]}}"#
    )
}

/// Titan text's stream: one event per delta; input count on the first, output and metrics on the last.
pub fn titan_events(saying: &Saying<'_>) -> Vec<String> {
    let last = saying.deltas.len().saturating_sub(1);
    let event = |(index, text): (usize, &String)| {
        let input = if index == 0 { saying.usage.told().to_string() } else { "null".to_owned() };
        if index < last {
            return format!(
                r#"{{"outputText":"{text}","index":{index},"totalOutputTextTokenCount":null,"completionReason":null,"inputTextTokenCount":{input}}}"#
            );
        }
        let (output, metrics) = (saying.usage.output, saying.metrics());
        format!(
            r#"{{"outputText":"{text}","index":{index},"totalOutputTextTokenCount":{output},"completionReason":"FINISH","inputTextTokenCount":{input},{metrics}}}"#
        )
    };
    saying.deltas.iter().enumerate().map(event).collect()
}

/// Titan embedding's InvokeModel content.
pub fn titan_embedding(saying: &Saying<'_>) -> String {
    let input = saying.usage.told();
    format!(r#"{{"embedding":[0.015625,-0.25,0.5,0.125],"inputTextTokenCount":{input}}}"#)
}
