//! The router as a function: questions in, pages out; the store is a table in memory.

use std::sync::{Arc, atomic::AtomicBool, atomic::Ordering};

use serde_json::{Value, json};

use super::*;
use crate::{
    boundary::{errand, snapshot::Published},
    control_plane::{
        config::{self, Environment, Settings},
        names::{MASTER_KEY_NAME, Names},
        prepare::{self, Lasting},
        spend::{LogsQuery, Report, ReportQuery, ReportRow, Totals},
    },
};

/// A model list whose prices are known to the tests.
const CONFIG: &str = r#"
general_settings: {master_key: sk-master}
model_list:
- model_name: claude
  litellm_params: {model: bedrock/a.b, aws_region_name: us-east-1, input_cost_per_token: 3e-06,
    output_cost_per_token: 1.5e-05, cache_read_input_token_cost: 3e-07,
    cache_creation_input_token_cost: 3.75e-06, cache_creation_input_token_cost_above_1hr: 6e-06,
    input_cost_per_token_above_200k_tokens: 6e-06, output_cost_per_token_above_200k_tokens: 2.25e-05}
  model_info: {id: east}
- model_name: claude
  litellm_params: {model: bedrock/a.b, aws_region_name: us-west-2, input_cost_per_token: 4e-06}
  model_info: {id: west}
- model_name: profile
  litellm_params: {model: "bedrock/arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1",
    aws_region_name: us-east-1}
"#;

/// Answers with what it was asked.
#[derive(Default)]
struct Echo {
    is_away: AtomicBool,
    rows: u32,
}

impl Echo {
    fn or_away<T>(&self, answer: T) -> Result<T, Unavailable> {
        let away = self.is_away.load(Ordering::Relaxed);
        if away { Err(Unavailable("the database is away".into())) } else { Ok(answer) }
    }
}

impl Spend for Echo {
    fn report<'a>(&'a self, query: &'a ReportQuery) -> Pending<'a, Result<Report, Unavailable>> {
        let day = |day: Option<crate::control_plane::spend::Day>| {
            day.map_or_else(|| "-".to_owned(), |day| day.to_string())
        };
        let group = format!("{} {} {}", query.group_by.word(), day(query.start), day(query.end));
        let totals =
            Totals { spend: 1_500_000_000_001, requests: 2, unknown: 1, ..Totals::default() };
        let report = Report { data: vec![ReportRow { group, totals }], total: totals };
        Box::pin(async move { self.or_away(report) })
    }

    fn logs<'a>(&'a self, query: &'a LogsQuery) -> Pending<'a, Result<Vec<Value>, Unavailable>> {
        let row = json!({
            "api_key": query.api_key, "request_id": query.request_id, "limit": query.limit,
            "start": query.start.map(|day| day.to_string()), "end": query.end.map(|day| day.to_string()),
        });
        let rows = vec![row; self.rows.max(1) as usize];
        Box::pin(async move { self.or_away(rows) })
    }
}

fn settings() -> Settings {
    let path = std::env::temp_dir().join(format!(
        "outcrop-admin-{}-{:?}.yaml",
        std::process::id(),
        std::thread::current().id()
    ));
    std::fs::write(&path, CONFIG).unwrap();
    let keys = [("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "secret")];
    let loaded = config::load(&path, &Environment::from_pairs(keys)).unwrap();
    std::fs::remove_file(&path).unwrap();
    loaded.settings
}

fn desk(spend: Option<Echo>) -> Desk {
    let spend = spend.map(|spend| Arc::new(spend) as Arc<dyn Spend>);
    let settings = settings();
    let snapshot =
        prepare::snapshot(&settings, &mut Lasting::default(), &mut Names::in_memory()).unwrap();
    let place = (Arc::new(Published::new(snapshot)), ([127, 0, 0, 1], 1).into());
    Desk::new(Knowledge::of(&settings), spend, Arc::new(|| "up 1\n".to_owned()), place)
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn ask_of(desk: Desk, method: &'static str, target: &str, content: &str) -> Page {
    let question =
        Question { method, target: target.to_owned(), content: content.as_bytes().to_vec() };
    block_on(answer(router(desk), question))
}

fn get_page(target: &str) -> Page {
    ask_of(desk(Some(Echo::default())), "GET", target, "")
}

/// The JSON of a page with status 200.
fn json_of(page: &Page) -> Value {
    assert_eq!((page.status, page.error_type.as_deref()), (200, None), "{page:?}");
    assert_eq!(page.content_type, "application/json");
    serde_json::from_slice(&page.content).unwrap()
}

/// It is refused as AWS would, in words that hold `part`.
fn check_refused(page: &Page, status: u16, error_type: &str, part: &str) {
    assert_eq!((page.status, page.error_type.as_deref()), (status, Some(error_type)), "{page:?}");
    assert_eq!(page.content_type, "application/json");
    let json: Value = serde_json::from_slice(&page.content).unwrap();
    assert!(json["message"].as_str().unwrap().contains(part), "{json} should hold {part}");
}

#[test]
fn metrics_are_text() {
    let page = get_page("/metrics");
    assert_eq!((page.status, &page.content[..]), (200, &b"up 1\n"[..]));
    assert_eq!(page.content_type, "text/plain; version=0.0.4; charset=utf-8");
}

#[test]
fn a_report_is_asked_for_by_group_and_days() {
    let group = |query: &str| {
        let page = get_page(&format!("/global/spend/report{query}"));
        json_of(&page)["data"][0]["group"].as_str().unwrap().to_owned()
    };
    assert_eq!(group(""), "model - -");
    assert_eq!(group("?group_by="), "model - -");
    assert_eq!(group("?group_by=api_key"), "api_key - -");
    assert_eq!(group("?group_by=deployment&end_date=2026-02-28"), "deployment - 2026-02-28");
    let both = "?start_date=2026%2D01-31&group_by=day&end_date=2026-01-31";
    assert_eq!(group(both), "day 2026-01-31 2026-01-31");
    let expected = json!({
        "data": [{"group": "model - -", "spend": "1.500000000001", "requests": 2, "input_tokens": 0,
            "output_tokens": 0, "cache_read_tokens": 0, "cache_write_tokens": 0, "unknown": 1}],
        "total": {"spend": "1.500000000001", "requests": 2, "input_tokens": 0, "output_tokens": 0,
            "cache_read_tokens": 0, "cache_write_tokens": 0, "unknown": 1},
    });
    assert_eq!(json_of(&get_page("/global/spend/report")), expected);
}

#[test]
fn rows_are_picked_by_key_request_and_days() {
    let row = |query: &str| json_of(&get_page(&format!("/spend/logs{query}")))[0].clone();
    let none =
        json!({"api_key": null, "request_id": null, "limit": 100, "start": null, "end": null});
    assert_eq!(row(""), none);
    assert_eq!(row("?summarize=false"), none);
    let all =
        row("?api_key=ab%20c&request_id=r&limit=10000&start_date=2026-01-01&end_date=2026-01-02");
    let expected = json!({"api_key": "ab c", "request_id": "r", "limit": 10_000, "start": "2026-01-01",
        "end": "2026-01-02"});
    assert_eq!(all, expected);
    assert_eq!(row("?api_key=sk-master")["api_key"], MASTER_KEY_NAME);
    // `printf sk-other | sha256sum`
    let hash = "3dcad332ca200026cb05197382714c13fbe0737dee3d327981a235067882d2d3";
    assert_eq!(row("?api_key=sk-other")["api_key"], hash);
    assert_eq!(row(&format!("?api_key={hash}"))["api_key"], hash);
    let days = row("?summarize=true&start_date=2026-01-01");
    assert_eq!(
        (&days["group"], &days["spend"]),
        (&json!("day 2026-01-01 -"), &json!("1.500000000001"))
    );
}

#[test]
fn what_is_asked_wrongly_is_refused_by_name() {
    for (target, part) in [
        (
            "/global/spend/report?group_by=team",
            "group_by must be model, deployment, api_key or day",
        ),
        ("/global/spend/report?start_date=yesterday", "start_date must be a date, YYYY-MM-DD"),
        ("/global/spend/report?end_date=2026-02-30", "end_date must be a date"),
        ("/global/spend/report?start_date=2026-02-02&end_date=2026-02-01", "after end_date"),
        ("/global/spend/report?group_by=day&group_by=model", "group_by is there twice"),
        (
            "/global/spend/report?team_id=x",
            "team_id is no parameter of this page, which takes: group_by",
        ),
        ("/global/spend/report?group_by=%ff", "group_by must be"),
        ("/spend/logs?limit=0", "limit must be a number from 1 to 10000"),
        ("/spend/logs?limit=10001", "limit must be"),
        ("/spend/logs?limit=ten", "limit must be"),
        ("/spend/logs?summarize=maybe", "summarize must be true or false"),
        ("/spend/logs?summarize=true&api_key=x", "api_key picks rows"),
        ("/spend/logs?user_id=x", "user_id is no parameter"),
    ] {
        check_refused(&get_page(target), 400, "ValidationException", part);
    }
    let post = ask_of(desk(None), "POST", "/spend/logs", "");
    assert_eq!(post.status, 405);
}

#[test]
fn without_a_store_spend_is_unavailable_and_prices_are_not() {
    for target in ["/spend/logs", "/global/spend/report", "/spend/logs?summarize=true"] {
        let page = ask_of(desk(None), "GET", target, "");
        check_refused(&page, 503, "ServiceUnavailableException", "outcrop.ledger.enabled");
        let away = Echo { is_away: true.into(), ..Echo::default() };
        let page = ask_of(desk(Some(away)), "GET", target, "");
        check_refused(&page, 503, "ServiceUnavailableException", "the database is away");
    }
    assert_eq!(ask_of(desk(None), "GET", "/metrics", "").status, 200);
    let asked = r#"{"model": "claude", "usage": {"prompt_tokens": 1, "completion_tokens": 0}}"#;
    assert_eq!(json_of(&ask_of(desk(None), "POST", "/spend/calculate", asked))["cost"], "0.000003");
}

#[test]
fn a_page_has_a_largest_size() {
    let rows = u32::try_from(PAGE_BYTES_MAX / 50).unwrap();
    let page = ask_of(desk(Some(Echo { rows, ..Echo::default() })), "GET", "/spend/logs", "");
    check_refused(&page, 400, "ValidationException", "larger than 32 MiB");
}

fn calculate(content: &Value) -> Page {
    ask_of(desk(None), "POST", "/spend/calculate", &content.to_string())
}

/// `usage` of the group `claude` costs this.
fn check_cost(usage: &Value, cost: &str) {
    let found = json_of(&calculate(&json!({"model": "claude", "usage": usage})));
    assert_eq!(found["cost"], cost, "{usage}: {found}");
    assert_eq!(found["unknown"], Value::Null);
}

#[test]
fn a_usage_is_priced_in_every_dialect() {
    // 1000 × 3 + 100 × 15 + 200 × 0.3 + 300 × 3.75 micro-dollars
    let cost = "0.005685";
    check_cost(
        &json!({"prompt_tokens": 1500, "completion_tokens": 100, "total_tokens": 1600,
            "cache_read_input_tokens": 200, "cache_creation_input_tokens": 300}),
        cost,
    );
    check_cost(
        &json!({"prompt_tokens": 1500, "completion_tokens": 100, "cache_creation_input_tokens": null,
            "prompt_tokens_details": {"cached_tokens": 200, "cache_creation_tokens": 300}}),
        cost,
    );
    check_cost(
        &json!({"input_tokens": 1000, "output_tokens": 100, "cache_read_input_tokens": 200,
            "cache_creation_input_tokens": 300,
            "cache_creation": {"ephemeral_5m_input_tokens": 300, "ephemeral_1h_input_tokens": 0}}),
        cost,
    );
    check_cost(
        &json!({"inputTokens": 1000, "outputTokens": 100, "cacheReadInputTokens": 200,
            "cacheWriteInputTokens": 300}),
        cost,
    );
    // An hour's writes have their own price: 300 × 6.
    check_cost(
        &json!({"input_tokens": 0, "output_tokens": 0,
            "cache_creation": {"ephemeral_1h_input_tokens": 300}}),
        "0.0018",
    );
    // Above 200,000 in all, everything has the long context's price: 200,001 × 6 + 1 × 22.5.
    check_cost(&json!({"prompt_tokens": 200_001, "completion_tokens": 1}), "1.2000285");
    check_cost(&json!({"prompt_tokens": 200_000, "completion_tokens": 1}), "0.600015");
}

#[test]
fn the_answer_says_by_which_rule() {
    let usage = json!({"prompt_tokens": 10, "completion_tokens": 1});
    let found = json_of(&calculate(&json!({"model": "claude", "usage": usage})));
    let expected = json!({
        "cost": "0.000045", "cost_pico": 45_000_000,
        "rule": "deployment east in us-east-1: the deployment's own prices (the first of 2 deployments, \
                 whose prices differ)",
        "breakdown": {"input": "0.00003", "output": "0.000015", "cache_read": "0", "cache_write": "0",
            "pieces": "0", "is_long_context": false, "assumes_5m_cache_writes": false},
        "unknown": null,
    });
    assert_eq!(found, expected);
    let west = json!({"model": "claude", "region": "us-west-2", "usage": {"prompt_tokens": 1, "completion_tokens": 0}});
    let found = json_of(&calculate(&west));
    assert_eq!(found["cost"], "0.000004");
    assert_eq!(found["rule"], "deployment west in us-west-2: the deployment's own prices");
    // LiteLLM's shape, and an id that is not configured.
    let response =
        json!({"completion_response": {"model": "bedrock/amazon.nova-lite-v1:0", "usage": usage}});
    let found = json_of(&calculate(&response));
    assert_eq!(found["rule"], "in us-east-1: `amazon.nova-lite-v1:0` of the built-in table");
    assert_eq!(found["cost_pico"], 10 * 60_000 + 240_000, "$0.06 and $0.24 a million");
}

#[test]
fn what_nobody_knows_is_said_and_never_zero() {
    let unknown = |content: Value, part: &str| {
        let found = json_of(&calculate(&content));
        assert_eq!((&found["cost"], &found["cost_pico"]), (&Value::Null, &Value::Null), "{found}");
        assert!(found["unknown"].as_str().unwrap().contains(part), "{found}");
    };
    unknown(json!({"model": "claude", "usage": {"prompt_tokens": 1}}), "number of output tokens");
    unknown(json!({"model": "a.unlisted", "usage": {}}), "no price is listed");
    unknown(json!({"model": "profile", "usage": {}}), "set model_info.base_model");
    unknown(
        json!({"model": "claude", "usage": {"prompt_tokens": 1, "completion_tokens": 1, "service_tier": "flex"}}),
        "service tier flex",
    );
    unknown(
        json!({"model": "claude", "usage": {"prompt_tokens": u64::MAX, "completion_tokens": 1}}),
        "18.4 million",
    );
}

#[test]
fn a_wrong_question_has_no_price() {
    let usage = json!({"prompt_tokens": 1, "completion_tokens": 1});
    for (content, part) in [
        (json!([]), "must be a JSON object"),
        (
            json!({"model": "claude", "messages": [{"role": "user"}]}),
            "messages alone have no price",
        ),
        (json!({"model": "claude"}), "usage is missing"),
        (json!({"usage": usage}), "model is missing"),
        (json!({"model": 5, "usage": usage}), "model must be text"),
        (json!({"model": "claude", "region": "eu-west-1", "usage": usage}), "us-east-1, us-west-2"),
        (json!({"model": "claude", "usage": 5}), "usage must be an object"),
        (
            json!({"model": "claude", "usage": {"prompt_tokens": -1}}),
            "usage.prompt_tokens must be a whole",
        ),
        (json!({"model": "claude", "usage": {"prompt_tokens": 1.5}}), "must be a whole number"),
        (
            json!({"model": "claude", "usage": {"prompt_tokens": 1, "input_tokens": 1}}),
            "send one of them",
        ),
        (
            json!({"model": "claude", "usage": {"output_tokens": 1, "outputTokens": 2}}),
            "mean the same",
        ),
        (
            json!({"model": "claude", "usage": {"prompt_tokens": 1, "cache_read_input_tokens": 2}}),
            "prompt_tokens must count",
        ),
        (
            json!({"model": "claude", "usage": {"cache_creation_input_tokens": 3,
            "cache_creation": {"ephemeral_5m_input_tokens": 2}}}),
            "must add up",
        ),
        (
            json!({"model": "claude", "usage": {"service_tier": "gold"}}),
            "service_tier must be one of",
        ),
    ] {
        check_refused(&calculate(&content), 400, "ValidationException", part);
    }
    let page = ask_of(desk(None), "POST", "/spend/calculate", "{");
    check_refused(&page, 400, "ValidationException", "is no JSON");
    let deep = "[".repeat(100_000);
    let page = ask_of(desk(None), "POST", "/spend/calculate", &deep);
    check_refused(&page, 400, "ValidationException", "is no JSON");
}

#[test]
fn errands_are_served_until_the_cores_are_gone() {
    let (errands, reader) = errand::channel();
    let question =
        |target: &str| Question { method: "GET", target: target.into(), content: Vec::new() };
    let mut waiting = errands.send(question("/metrics")).unwrap();
    let mut wrong = errands.send(question("/spend/logs?limit=x")).unwrap();
    drop(errands.send(question("/metrics")).unwrap());
    drop(errands);
    block_on(serve(reader, desk(None)));
    assert_eq!(waiting.look().unwrap().unwrap().status, 200);
    assert_eq!(wrong.look().unwrap().unwrap().status, 400);
}
