//! Claude: the Messages API. Usage is in the body; in a stream in `message_start`, `message_delta`,
//! and as metrics on `message_stop`.

use super::Saying;

fn usage(saying: &Saying<'_>, output: u64) -> String {
    let (input, read, write) =
        (saying.usage.told(), saying.usage.cache_read, saying.usage.cache_write);
    let split = saying.usage.split().map_or(String::new(), |[short, long]| {
        format!(
            r#""cache_creation":{{"ephemeral_5m_input_tokens":{short},"ephemeral_1h_input_tokens":{long}}},"#
        )
    });
    format!(
        r#"{{"input_tokens":{input},"cache_creation_input_tokens":{write},"cache_read_input_tokens":{read},{split}"output_tokens":{output}}}"#
    )
}

/// InvokeModel's content.
pub fn whole(saying: &Saying<'_>) -> String {
    let (text, usage) = (saying.text(), usage(saying, saying.usage.output));
    format!(
        r#"{{"model":"claude-3-5-haiku-20241022","id":"msg_bdrk_01StandIn","type":"message","role":"assistant","content":[{{"type":"text","text":"{text}"}}],"stop_reason":"end_turn","stop_sequence":null,"usage":{usage}}}"#
    )
}

/// The stream's events: 5 more than deltas.
pub fn events(saying: &Saying<'_>) -> Vec<String> {
    let start = usage(saying, 1);
    let mut events = vec![
        format!(
            r#"{{"type":"message_start","message":{{"model":"claude-3-5-haiku-20241022","id":"msg_bdrk_01StandIn","type":"message","role":"assistant","content":[],"stop_reason":null,"stop_sequence":null,"usage":{start}}}}}"#
        ),
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#
            .to_owned(),
    ];
    events.extend(saying.deltas.iter().map(|text| {
        format!(r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"{text}"}}}}"#)
    }));
    let (output, metrics) = (saying.usage.output, saying.metrics());
    events.push(r#"{"type":"content_block_stop","index":0}"#.to_owned());
    events.push(format!(
        r#"{{"type":"message_delta","delta":{{"stop_reason":"end_turn","stop_sequence":null}},"usage":{{"output_tokens":{output}}}}}"#
    ));
    events.push(format!(r#"{{"type":"message_stop",{metrics}}}"#));
    events
}
