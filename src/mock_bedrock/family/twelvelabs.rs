//! TwelveLabs' Pegasus: no usage in the body; headers and metrics count tokens, and nothing counts the
//! seconds of video that it is billed by.

use super::Saying;

/// InvokeModel's content.
pub fn whole(saying: &Saying<'_>) -> String {
    format!(r#"{{"message":"{}","finishReason":"stop"}}"#, saying.text())
}

/// The stream: one event more than deltas.
pub fn events(saying: &Saying<'_>) -> Vec<String> {
    let event = |text: &String| format!(r#"{{"message":"{text}","finishReason":null}}"#);
    let mut events: Vec<String> = saying.deltas.iter().map(event).collect();
    events.push(format!(r#"{{"message":"","finishReason":"stop",{}}}"#, saying.metrics()));
    events
}
