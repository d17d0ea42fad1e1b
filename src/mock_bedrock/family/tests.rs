//! Each family's shape: valid JSON, its text, its counts where the guide says.

use super::*;
use serde_json::Value;

fn check(model_id: &str, family: Family, counts: [&str; 2], extra_events: usize) {
    assert_eq!(Family::of(model_id), Some(family), "{model_id}");
    let deltas = ["one ".to_owned(), "two ".to_owned(), "three".to_owned()];
    let usage = Usage { input: 11, output: 3, cache_read: 5, cache_write: 7, ..Usage::default() };
    let saying = Saying { deltas: &deltas, usage, caches: family.caches(), tier: None };
    let content: Value = serde_json::from_str(&whole(family, &saying)).expect(model_id);
    for (pointer, expected) in
        counts.into_iter().zip([11, 3]).filter(|(pointer, _)| !pointer.is_empty())
    {
        assert_eq!(
            content.pointer(pointer).and_then(Value::as_u64),
            Some(expected),
            "{model_id} {pointer}"
        );
    }
    assert_eq!(content.to_string().contains("one two three"), family.speaks(), "{model_id}");
    let events = events(family, &saying);
    if !family.streams() {
        return assert!(events.is_empty());
    }
    let expected = if family == Family::Command { 1 } else { deltas.len() + extra_events };
    assert_eq!(events.len(), expected, "{model_id}");
    let parsed: Vec<Value> =
        events.iter().map(|event| serde_json::from_str(event).expect(event)).collect();
    let (last, others) = parsed.split_last().unwrap();
    let metrics = &last["amazon-bedrock-invocationMetrics"];
    assert_eq!(
        (metrics["inputTokenCount"].as_u64(), metrics["outputTokenCount"].as_u64()),
        (Some(11), Some(3))
    );
    assert_eq!(metrics["cacheReadInputTokenCount"].as_u64(), family.caches().then_some(5));
    assert!(others.iter().all(|event| event.get("amazon-bedrock-invocationMetrics").is_none()));
}

#[test]
fn each_family_has_its_shape() {
    use Family::*;
    check(
        "us.anthropic.claude-3-5-haiku-20241022-v1:0",
        Claude,
        ["/usage/input_tokens", "/usage/output_tokens"],
        5,
    );
    check("amazon.nova-lite-v1:0", Nova, ["/usage/inputTokens", "/usage/outputTokens"], 4);
    check(
        "us.meta.llama3-3-70b-instruct-v1:0",
        Llama,
        ["/prompt_token_count", "/generation_token_count"],
        1,
    );
    check(
        "amazon.titan-text-express-v1",
        TitanText,
        ["/inputTextTokenCount", "/results/0/tokenCount"],
        0,
    );
    check("amazon.titan-embed-text-v2:0", TitanEmbed, ["/inputTextTokenCount", ""], 0);
    check("cohere.command-r-plus-v1:0", CommandR, ["", ""], 2);
    check("cohere.embed-english-v3", CohereEmbed, ["", ""], 0);
    check("cohere.command-text-v14", Command, ["", ""], 0);
    check("cohere.rerank-v3-5:0", Rerank, ["", ""], 0);
    check("amazon.rerank-v1:0", Rerank, ["", ""], 0);
    check("ai21.j2-mid-v1", J2, ["", ""], 0);
    check("us.amazon.nova-canvas-v1:0", Canvas, ["", ""], 0);
    check("amazon.titan-image-generator-v1", Canvas, ["", ""], 0);
    check("stability.sd3-large-v1:0", Stability, ["", ""], 0);
    check("us.twelvelabs.pegasus-1-2-v1:0", Pegasus, ["", ""], 1);
    check("mistral.mistral-large-2402-v1:0", Mistral, ["", ""], 1);
    check(
        "ai21.jamba-1-5-large-v1:0",
        Jamba,
        ["/usage/prompt_tokens", "/usage/completion_tokens"],
        3,
    );
    check("us.deepseek.r1-v1:0", DeepSeekR1, ["", ""], 1);
    check(
        "openai.gpt-oss-120b-1:0",
        OpenAi,
        ["/usage/prompt_tokens", "/usage/completion_tokens"],
        2,
    );
    check("qwen.qwen3-32b-v1:0", OpenAi, ["/usage/prompt_tokens", "/usage/completion_tokens"], 2);
}

#[test]
fn what_a_body_tells_may_differ_from_what_is_billed() {
    let usage = Usage { input: 7, told_input: Some(73), cache_write: 9, ..Usage::default() };
    let usage = Usage { cache_write_1h: 4, pieces: 2, ..usage };
    let deltas = ["one".to_owned()];
    let saying = Saying { deltas: &deltas, usage, caches: true, tier: Some("flex") };
    let json = |text: String| serde_json::from_str::<Value>(&text).expect(&text);
    let claude = json(whole(Family::Claude, &saying));
    assert_eq!(claude["usage"]["input_tokens"], 73);
    assert_eq!(claude["usage"]["cache_creation"]["ephemeral_5m_input_tokens"], 5);
    assert_eq!(claude["usage"]["cache_creation"]["ephemeral_1h_input_tokens"], 4);
    assert!(saying.metrics().contains(r#""inputTokenCount":7,"#));
    let converse = json(converse::whole(&saying));
    assert_eq!(converse["serviceTier"]["type"], "flex");
    assert_eq!(converse["usage"]["cacheDetails"][1]["ttl"], "1h");
    assert_eq!(converse["usage"]["cacheDetails"][1]["inputTokens"], 4);
    for family in [Family::Canvas, Family::Stability] {
        assert_eq!(json(whole(family, &saying))["images"].as_array().map(Vec::len), Some(2));
    }
    let silent = Saying { usage: Usage { unsplit: true, ..usage }, ..saying };
    assert!(!whole(Family::Claude, &silent).contains("ephemeral"));
    assert!(!converse::whole(&silent).contains("cacheDetails"));
}

#[test]
fn arns_are_judged_by_their_tail() {
    let profile =
        |tail: &str| format!("arn:aws:bedrock:us-east-1:123456789012:inference-profile/{tail}");
    assert_eq!(Family::of(&profile("us.amazon.nova-pro-v1:0")), Some(Family::Nova));
    assert_eq!(Family::of(&profile("abcdef123")), Some(Family::Claude));
    assert_eq!(Family::of("no-such-model"), None);
}

#[test]
fn titan_counts_only_on_its_last_delta() {
    let deltas = ["only".to_owned()];
    let usage = Usage { input: 2, output: 1, ..Usage::default() };
    let events =
        events(Family::TitanText, &Saying { deltas: &deltas, usage, caches: false, tier: None });
    let event: Value = serde_json::from_str(&events[0]).unwrap();
    assert_eq!(event["totalOutputTextTokenCount"], 1);
    assert_eq!(event["inputTextTokenCount"], 2);
}
