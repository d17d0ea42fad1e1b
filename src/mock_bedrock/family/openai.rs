//! OpenAI's chat completion objects: gpt-oss, Qwen, DeepSeek V3, Kimi, MiniMax, GLM, Palmyra.

use super::Saying;

fn usage(saying: &Saying<'_>) -> String {
    let (input, output) = (saying.usage.told(), saying.usage.output);
    let total = input + output;
    format!(r#"{{"prompt_tokens":{input},"completion_tokens":{output},"total_tokens":{total}}}"#)
}

/// InvokeModel's content.
pub fn whole(saying: &Saying<'_>) -> String {
    let (text, usage) = (saying.text(), usage(saying));
    format!(
        r#"{{"choices":[{{"finish_reason":"stop","index":0,"logprobs":null,"message":{{"content":"{text}","refusal":null,"role":"assistant"}}}}],"created":1751371200,"id":"chatcmpl-standin","model":"openai.gpt-oss-120b-1:0","object":"chat.completion","service_tier":"default","usage":{usage}}}"#
    )
}

/// The stream: 2 events more than deltas.
pub fn events(saying: &Saying<'_>) -> Vec<String> {
    let event = |delta: &str, finish: &str, tail: &str| {
        format!(
            r#"{{"choices":[{{"delta":{delta},"finish_reason":{finish},"index":0}}],"created":1751371200,"id":"chatcmpl-standin","model":"openai.gpt-oss-120b-1:0","object":"chat.completion.chunk"{tail}}}"#
        )
    };
    let mut events = vec![event(r#"{"content":"","role":"assistant"}"#, "null", "")];
    events.extend(
        saying.deltas.iter().map(|text| event(&format!(r#"{{"content":"{text}"}}"#), "null", "")),
    );
    let (usage, metrics) = (usage(saying), saying.metrics());
    events.push(event("{}", r#""stop""#, &format!(r#","usage":{usage},{metrics}"#)));
    events
}
