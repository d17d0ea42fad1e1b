//! DeepSeek R1's text completion: choices in the body, Llama-like counts in the stream.

use super::Saying;

/// InvokeModel's content.
pub fn whole(saying: &Saying<'_>) -> String {
    let text = saying.text();
    format!(r#"{{"choices":[{{"text":"{text}","stop_reason":"stop"}}]}}"#)
}

/// The stream: one event more than deltas.
pub fn events(saying: &Saying<'_>) -> Vec<String> {
    let input = saying.usage.told();
    let event = |(index, text): (usize, &String)| {
        let output = index + 1;
        format!(
            r#"{{"generation":"{text}","prompt_token_count":{input},"generation_token_count":{output},"stop_reason":null}}"#
        )
    };
    let mut events: Vec<String> = saying.deltas.iter().enumerate().map(event).collect();
    let (output, metrics) = (saying.usage.output, saying.metrics());
    events.push(format!(
        r#"{{"generation":"","prompt_token_count":{input},"generation_token_count":{output},"stop_reason":"stop",{metrics}}}"#
    ));
    events
}
