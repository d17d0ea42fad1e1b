//! Mistral's prompt API: no usage in the body; headers and metrics alone have it.

use super::Saying;

/// InvokeModel's content.
pub fn whole(saying: &Saying<'_>) -> String {
    let text = saying.text();
    format!(r#"{{"outputs":[{{"text":"{text}","stop_reason":"stop"}}]}}"#)
}

/// The stream: one event more than deltas.
pub fn events(saying: &Saying<'_>) -> Vec<String> {
    let event =
        |text: &String| format!(r#"{{"outputs":[{{"text":"{text}","stop_reason":null}}]}}"#);
    let mut events: Vec<String> = saying.deltas.iter().map(event).collect();
    let metrics = saying.metrics();
    events.push(format!(r#"{{"outputs":[{{"text":"","stop_reason":"stop"}}],{metrics}}}"#));
    events
}
