//! Answers to what is no model's: guardrails, agents, knowledge bases, sessions, lists; shapes as AWS's.
//!
//! Deliberately independent of `crate::bedrock`, whose table of operations it judges: what is not written
//! down here is a 404.

use super::answer::{Answer, Payload};
use super::frames;
use base64::Engine;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use std::rc::Rc;

/// A trace that tells what an agent's model used; AWS sends one for each of its steps.
const TRACE: &str = r#"{"agentId":"A","sessionId":"S","trace":{"orchestrationTrace":{"modelInvocationOutput":{"metadata":{"usage":{"inputTokens":120,"outputTokens":30}},"traceId":"t"}}}}"#;

/// The answer to what `method` and `path` (raw, below the base path) ask for; `None`: no such operation.
pub fn answer(method: &str, path: &str, fields: &HeaderMap) -> Option<Answer> {
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    if segments.iter().rev().skip(1).any(|segment| segment.is_empty()) {
        return None;
    }
    let whole = |json: &str| Some(whole("application/json", json));
    match (method, segments.as_slice()) {
        ("POST", ["model", _, "count-tokens"]) => whole(r#"{"inputTokens":42}"#),
        ("POST", ["guardrail", _, "version", _, "apply"]) => whole(
            r#"{"usage":{"topicPolicyUnits":1,"contentPolicyUnits":2,"wordPolicyUnits":0,"sensitiveInformationPolicyUnits":0,"sensitiveInformationPolicyFreeUnits":0,"contextualGroundingPolicyUnits":0},"action":"NONE","outputs":[],"assessments":[]}"#,
        ),
        ("POST", ["guardrail-checks", "invoke"]) => whole(r#"{"results":[]}"#),
        ("POST", ["async-invoke"]) => {
            whole(r#"{"invocationArn":"arn:aws:bedrock:us-east-1:1:async-invoke/abc"}"#)
        }
        ("GET", ["async-invoke"]) => whole(r#"{"asyncInvokeSummaries":[]}"#),
        ("GET", ["async-invoke", _]) => whole(r#"{"status":"InProgress"}"#),
        ("POST", ["openai", "v1", "chat", "completions"]) => Some(chat(fields)),
        ("POST", ["openai", "v1", "responses"]) => whole(
            r#"{"id":"r","object":"response","usage":{"input_tokens":20,"input_tokens_details":{"cached_tokens":5},"output_tokens":7}}"#,
        ),
        ("POST", ["knowledgebases", _, "retrieve"]) => whole(
            r#"{"retrievalResults":[{"content":{"text":"Lichen.","type":"TEXT"},"location":{"type":"S3","s3Location":{"uri":"s3://b/k"}},"score":0.5}]}"#,
        ),
        ("POST", ["retrieveAndGenerate"]) => whole(
            r#"{"sessionId":"S","output":{"text":"Lichen."},"citations":[],"guardrailAction":"NONE"}"#,
        ),
        ("POST", ["retrieveAndGenerateStream"]) => {
            Some(stream(&[("output", r#"{"text":"Lichen."}"#), ("citation", r#"{"citation":{}}"#)]))
        }
        ("POST", ["rerank"]) => whole(
            r#"{"results":[{"index":1,"relevanceScore":0.9},{"index":0,"relevanceScore":0.1}]}"#,
        ),
        ("POST", ["generateQuery"]) => {
            whole(r#"{"queries":[{"type":"REDSHIFT_SQL","sql":"select 1"}]}"#)
        }
        ("POST", ["agents", _] | ["agents", _, "agentAliases", _, "sessions", _, "text"]) => {
            Some(agent())
        }
        ("POST", ["flows", _, "aliases", _]) => Some(stream(&[
            (
                "flowOutputEvent",
                r#"{"content":{"document":"Lichen."},"nodeName":"N","nodeType":"FlowOutputNode"}"#,
            ),
            ("flowCompletionEvent", r#"{"completionReason":"SUCCESS"}"#),
        ])),
        ("POST", ["optimize-prompt"]) => {
            Some(stream(&[("analyzePromptEvent", r#"{"message":"m"}"#)]))
        }
        ("POST", ["agenticRetrieveStream"]) => Some(stream(&[("result", r#"{"results":[]}"#)])),
        ("PUT" | "POST", ["sessions", ""]) => whole(
            r#"{"sessionId":"S","sessionArn":"arn:aws:bedrock:us-east-1:1:session/S","sessionStatus":"ACTIVE","createdAt":"2026-01-01T00:00:00Z","sessionSummaries":[]}"#,
        ),
        ("GET" | "PUT" | "DELETE", ["sessions", _, ""]) | ("PATCH", ["sessions", _]) => {
            whole(r#"{"sessionId":"S","sessionStatus":"ENDED"}"#)
        }
        ("GET" | "DELETE", ["agents", _, "agentAliases", _, "memories"]) => {
            whole(r#"{"memoryContents":[]}"#)
        }
        ("GET" | "POST" | "DELETE", ["tags", _]) => whole(r#"{"tags":{}}"#),
        ("GET", ["foundation-models"]) => whole(
            r#"{"modelSummaries":[{"modelId":"anthropic.claude-3-5-haiku-20241022-v1:0","modelArn":"arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-5-haiku-20241022-v1:0"}]}"#,
        ),
        ("GET", ["inference-profiles"]) => whole(r#"{"inferenceProfileSummaries":[]}"#),
        ("GET", ["inference-profiles", _] | ["guardrails", _] | ["foundation-models", _]) => {
            whole("{}")
        }
        ("GET", ["guardrails"]) => whole(r#"{"guardrails":[]}"#),
        (_, ["not-yet-known", ..]) => whole(r#"{"new":true}"#),
        _ => None,
    }
}

fn whole(content_type: &'static str, content: &str) -> Answer {
    let mut fields = HeaderMap::new();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    let payload = Payload::Whole(Bytes::copy_from_slice(content.as_bytes()));
    Answer { status: 200, fields, payload }
}

fn stream(events: &[(&str, &str)]) -> Answer {
    let frames: Vec<Bytes> = events
        .iter()
        .map(|(name, payload)| frames::event(name, payload.as_bytes().to_vec()))
        .collect();
    let mut answer = whole("application/vnd.amazon.eventstream", "");
    answer.payload = Payload::Stream(Rc::from(frames));
    answer
}

fn agent() -> Answer {
    let encoded = base64::engine::general_purpose::STANDARD.encode("Lichen.");
    let chunk = format!(r#"{{"bytes":"{encoded}"}}"#);
    let mut answer = stream(&[("trace", TRACE), ("chunk", &chunk), ("trace", TRACE)]);
    let fields = [
        ("x-amzn-bedrock-agent-content-type", "application/json"),
        ("x-amz-bedrock-agent-session-id", "S"),
    ];
    for (name, value) in fields {
        answer.fields.insert(name, HeaderValue::from_static(value));
    }
    answer
}

/// OpenAI's shape; as server-sent events to who asks for those.
fn chat(fields: &HeaderMap) -> Answer {
    let usage = r#""usage":{"prompt_tokens":20,"prompt_tokens_details":{"cached_tokens":5},"completion_tokens":7,"total_tokens":27}"#;
    if fields.get(ACCEPT).is_none_or(|accept| accept != "text/event-stream") {
        let choices =
            r#""choices":[{"index":0,"message":{"role":"assistant","content":"Lichen."}}]"#;
        return whole("application/json", &format!(r#"{{"id":"c",{choices},{usage}}}"#));
    }
    let text = r#"{"id":"c","choices":[{"index":0,"delta":{"content":"\"usage\":{\"prompt_tokens\":9}"}}],"usage":null}"#;
    let events = [text, &format!(r#"{{"id":"c","choices":[],{usage}}}"#), "[DONE]"];
    let lines: Vec<Bytes> =
        events.iter().map(|event| format!("data: {event}\n\n").into()).collect();
    let mut answer = whole("text/event-stream", "");
    answer.payload = Payload::Stream(Rc::from(lines));
    answer
}
