//! AI21. Jamba: OpenAI-like, usage cumulative on every event, metrics as an event of their own.
//! Jurassic-2: no usage in the body, and no streams.

use super::Saying;

fn usage(saying: &Saying<'_>, output: u64) -> String {
    let (input, total) = (saying.usage.told(), saying.usage.told() + output);
    format!(r#"{{"prompt_tokens":{input},"completion_tokens":{output},"total_tokens":{total}}}"#)
}

/// Jurassic-2's InvokeModel content; `tokens` lists the text's parts and counts nothing.
pub fn jurassic(saying: &Saying<'_>) -> String {
    let text = saying.text();
    format!(
        r#"{{"id":1234,"prompt":{{"text":"hello","tokens":[]}},"completions":[{{"data":{{"text":"{text}","tokens":[]}},"finishReason":{{"reason":"endoftext"}}}}]}}"#
    )
}

/// Jamba's InvokeModel content.
pub fn whole(saying: &Saying<'_>) -> String {
    let (text, usage) = (saying.text(), usage(saying, saying.usage.output));
    format!(
        r#"{{"id":"chatcmpl-standin","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}","tool_calls":null}},"finish_reason":"stop"}}],"usage":{usage},"meta":{{"requestDurationMillis":312}},"model":"jamba-1.5-large"}}"#
    )
}

/// Jamba's stream: 3 events more than deltas.
pub fn events(saying: &Saying<'_>) -> Vec<String> {
    let event = |delta: &str, finish: &str, output| {
        let usage = usage(saying, output);
        format!(
            r#"{{"id":"chatcmpl-standin","choices":[{{"index":0,"delta":{delta},"finish_reason":{finish}}}],"usage":{usage}}}"#
        )
    };
    let mut events = vec![event(r#"{"role":"assistant"}"#, "null", 0)];
    let deltas = saying.deltas.iter().zip(1..);
    events.extend(
        deltas.map(|(text, output)| event(&format!(r#"{{"content":"{text}"}}"#), "null", output)),
    );
    events.push(event(r#"{"content":""}"#, r#""stop""#, saying.usage.output));
    events.push(format!("{{{}}}", saying.metrics()));
    events
}
