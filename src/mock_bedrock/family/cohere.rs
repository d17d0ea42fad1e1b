//! Cohere: Command R (counts only on `stream-end` and in headers), Command (in headers and metrics alone),
//! Embed (input count in a header), Rerank, Amazon's too (no count at all: its results).

use super::Saying;

/// Command R's InvokeModel content.
pub fn whole(saying: &Saying<'_>) -> String {
    let text = saying.text();
    format!(
        r#"{{"response_id":"stand-in","text":"{text}","generation_id":"stand-in","chat_history":[{{"role":"CHATBOT","message":"{text}"}}],"finish_reason":"COMPLETE"}}"#
    )
}

/// Command R's stream: 2 events more than deltas.
pub fn events(saying: &Saying<'_>) -> Vec<String> {
    let mut events = vec![
        r#"{"is_finished":false,"event_type":"stream-start","generation_id":"stand-in"}"#
            .to_owned(),
    ];
    events.extend(saying.deltas.iter().map(|text| {
        format!(r#"{{"is_finished":false,"event_type":"text-generation","text":"{text}"}}"#)
    }));
    let (text, input, output, metrics) =
        (saying.text(), saying.usage.input, saying.usage.output, saying.metrics());
    let tokens = input + 66; // the preamble counts, but is not billed
    events.push(format!(
        r#"{{"is_finished":true,"event_type":"stream-end","response":{{"response_id":"stand-in","text":"{text}","generation_id":"stand-in","finish_reason":"COMPLETE","meta":{{"api_version":{{"version":"1"}},"billed_units":{{"input_tokens":{input},"output_tokens":{output}}},"tokens":{{"input_tokens":{tokens},"output_tokens":{output}}}}}}},"finish_reason":"COMPLETE",{metrics}}}"#
    ));
    events
}

fn generations(saying: &Saying<'_>) -> String {
    let text = saying.text();
    format!(
        r#""generations":[{{"finish_reason":"COMPLETE","id":"stand-in","text":"{text}"}}],"id":"stand-in","prompt":"hello""#
    )
}

/// Command's InvokeModel content.
pub fn command(saying: &Saying<'_>) -> String {
    format!("{{{}}}", generations(saying))
}

/// Command's stream: one event.
pub fn command_events(saying: &Saying<'_>) -> Vec<String> {
    vec![format!("{{{},{}}}", generations(saying), saying.metrics())]
}

/// A rerank's InvokeModel content.
pub fn rerank(saying: &Saying<'_>) -> String {
    let result = |index| format!(r#"{{"index":{index},"relevance_score":0.125}}"#);
    let results: Vec<String> = (0..saying.usage.pieces).map(result).collect();
    format!(r#"{{"results":[{}]}}"#, results.join(","))
}

/// Embed's InvokeModel content.
pub fn embedding() -> String {
    r#"{"id":"stand-in","texts":["hello"],"embeddings":[[0.015625,-0.25,0.5,0.125]],"response_type":"embeddings_floats"}"#.to_owned()
}
