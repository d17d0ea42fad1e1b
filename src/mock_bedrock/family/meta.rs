//! Llama: counts in the body and on every event; metrics on the last.

use super::Saying;

/// InvokeModel's content.
pub fn whole(saying: &Saying<'_>) -> String {
    let (text, input, output) = (saying.text(), saying.usage.told(), saying.usage.output);
    format!(
        r#"{{"generation":"{text}","prompt_token_count":{input},"generation_token_count":{output},"stop_reason":"stop"}}"#
    )
}

/// The stream: one event more than deltas.
pub fn events(saying: &Saying<'_>) -> Vec<String> {
    let event = |(index, text): (usize, &String)| {
        let input = if index == 0 { saying.usage.told().to_string() } else { "null".to_owned() };
        let output = index + 1;
        format!(
            r#"{{"generation":"{text}","prompt_token_count":{input},"generation_token_count":{output},"stop_reason":null}}"#
        )
    };
    let mut events: Vec<String> = saying.deltas.iter().enumerate().map(event).collect();
    let (output, metrics) = (saying.usage.output, saying.metrics());
    events.push(format!(
        r#"{{"generation":"","prompt_token_count":null,"generation_token_count":{output},"stop_reason":"stop",{metrics}}}"#
    ));
    events
}
