//! Operations beyond the four on models: each goes to its service with its own method, path and query, signed
//! with the credential that is configured for it, and with no other.

use outcrop::{
    control_plane::config::DriverChoice,
    mock_bedrock::{Options, StandIn, Verdict},
};
use serde_json::{Value, json};

use crate::http::{Answer, End, request};
use crate::proxy::{BEARER, Deployment, Proxy, under_both_drivers};

const GUARDRAIL: &str = "/guardrail/gr-1/version/DRAFT/apply";

under_both_drivers!(
    each_service_gets_its_own_and_nothing_is_rewritten,
    a_path_is_built_from_its_parts_however_they_are_written,
    without_a_passthrough_nothing_leaves,
    what_is_not_allowed_is_refused,
    unlisted_paths_leave_only_if_that_is_said,
    wildcards_take_ids_and_arns,
    unlisted_models_take_the_passthroughs_credential_if_that_is_said,
    a_model_in_the_content_is_found_by_its_id,
    what_is_billed_is_told_and_what_is_free_costs_nothing,
    operations_without_a_model_are_not_tried_twice,
    what_may_have_been_done_is_not_done_twice,
);

/// A proxy, and one stand-in for each service, with credentials of their own.
struct World {
    proxy: Proxy,
    runtime: StandIn,
    agents: StandIn,
    control: StandIn,
    /// Of the model list.
    models: StandIn,
}

/// Of a row: it cost something, and it is known what.
fn is_positive(row: &Value) -> bool {
    let spend = row["spend"].as_str().and_then(|spend| spend.parse::<f64>().ok());
    spend.is_some_and(|spend| spend > 0.0)
}

fn stand_in(id: &str) -> StandIn {
    let access_key_id = format!("AKIAOUTCROP{id}");
    StandIn::start(Options { tls: false, access_key_id, ..Options::default() }).expect("a stand-in")
}

impl World {
    /// With further lines under `outcrop.passthrough`, behind which others of `outcrop` may follow.
    fn new(driver: DriverChoice, deployments: &[&str], passthrough: &str) -> Self {
        let [runtime, agents, control] = [(); 3].map(|()| stand_in("PASSTHROUGH0"));
        let models = stand_in("MODELS000000");
        let deployments: Vec<_> = deployments
            .iter()
            .map(|name| {
                let one = Deployment::plain(models.address());
                let one = one.param("aws_access_key_id", "AKIAOUTCROPMODELS000000").named(name);
                if name.contains('*') { one.of("bedrock/*") } else { one }
            })
            .collect();
        let mut outcrop = String::new();
        if !passthrough.is_empty() {
            let endpoint = |name, at: &StandIn| {
                format!("    aws_bedrock_{name}endpoint: http://{}\n", at.address())
            };
            outcrop = format!(
                "outcrop:\n  passthrough:\n    aws_region_name: us-east-1\n    \
                 aws_access_key_id: AKIAOUTCROPPASSTHROUGH0\n    \
                 aws_secret_access_key: outcrop-stand-in-secret\n{}{}{}{passthrough}",
                endpoint("runtime_", &runtime),
                endpoint("agent_runtime_", &agents),
                endpoint("", &control)
            );
        }
        let proxy = Proxy::start(driver, None, &deployments, &outcrop);
        Self { proxy, runtime, agents, control, models }
    }

    fn ask(&self, line: &str, content: &str) -> Answer {
        let line = line.replacen(' ', " /bedrock", 1);
        self.proxy.connect().ask(request(&format!("{line} HTTP/1.1"), BEARER, content.as_bytes()))
    }

    fn sent(&self) -> u64 {
        [&self.runtime, &self.agents, &self.control, &self.models]
            .map(|stand_in| stand_in.record().requests())
            .into_iter()
            .sum()
    }
}

/// What a stand-in saw last: signed, and asked so.
fn check_seen(stand_in: &StandIn, line: &str) {
    let seen = stand_in.record().last().expect("a request");
    let query = seen.raw_query.map(|query| format!("?{query}")).unwrap_or_default();
    assert_eq!(format!("{} {}{query}", seen.method, seen.raw_path), line);
    assert_eq!(seen.verdict, Verdict::Signed, "{line}");
    assert!(seen.anomalies.is_empty(), "{line}: {:?}", seen.anomalies);
}

fn each_service_gets_its_own_and_nothing_is_rewritten(driver: DriverChoice) {
    let world = World::new(driver, &["claude"], "    allowed_operations: \"*\"\n");
    let (runtime, agents, control) = (&world.runtime, &world.agents, &world.control);
    for (stand_in, line) in [
        (runtime, "POST /guardrail/gr-1/version/DRAFT/apply"),
        (runtime, "POST /guardrail-checks/invoke"),
        (runtime, "GET /async-invoke?maxResults=2&statusEquals=InProgress"),
        (runtime, "GET /async-invoke/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Aasync-invoke%2Fa"),
        (agents, "POST /knowledgebases/KB/retrieve"),
        (agents, "POST /retrieveAndGenerate"),
        (agents, "POST /retrieveAndGenerateStream"),
        (agents, "POST /rerank"),
        (agents, "POST /generateQuery"),
        (agents, "POST /optimize-prompt"),
        (agents, "POST /agenticRetrieveStream"),
        (agents, "POST /agents/A/agentAliases/B/sessions/C/text"),
        (agents, "POST /agents/C"),
        (agents, "POST /flows/F/aliases/A"),
        (agents, "GET /agents/A/agentAliases/B/memories?memoryType=SESSION_SUMMARY&memoryId=m"),
        (agents, "DELETE /agents/A/agentAliases/B/memories"),
        (agents, "PUT /sessions/"),
        (agents, "POST /sessions/"),
        (agents, "GET /sessions/S/"),
        (agents, "DELETE /sessions/S/"),
        (agents, "PATCH /sessions/S"),
        (
            agents,
            "DELETE /tags/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Asession%2FS?tagKeys=b&tagKeys=a",
        ),
        (control, "GET /foundation-models?byProvider=anthropic"),
        (control, "GET /inference-profiles?type=SYSTEM_DEFINED"),
        (control, "GET /guardrails/g?guardrailVersion=1"),
    ] {
        let content = if line.starts_with("POST") { r#"{ "a" : 1 }"# } else { "" };
        let answer = world.ask(line, content);
        assert_eq!((answer.head.status, answer.end), (200, End::Clean), "{line}: {answer:?}");
        check_seen(stand_in, line);
        let seen = stand_in.record().last().expect("a request");
        assert_eq!(seen.content_length, content.len() as u64, "{line}");
        assert!(
            answer
                .head
                .field("x-litellm-model-id")
                .is_some_and(|id| id.starts_with("passthrough/bedrock"))
        );
    }
    assert_eq!(world.models.record().requests(), 0);
    world.ask("GET /sessions/S", "").check_fault(405, "UnknownOperationException");
    world
        .ask("POST /model/x/invoke-with-bidirectional-stream", "")
        .check_fault(501, "ValidationException");
    world.ask("POST /model/claude/count-tokens", "{}");
    check_seen(
        &world.models,
        "POST /model/anthropic.claude-3-5-haiku-20241022-v1%3A0/count-tokens",
    );
}

fn a_path_is_built_from_its_parts_however_they_are_written(driver: DriverChoice) {
    let world = World::new(driver, &["claude"], "    allowed_operations: [ApplyGuardrail]\n");
    for id in [
        "arn:aws:bedrock:us-east-1:1:guardrail%2Fg",
        "arn%3aaws%3Abedrock%3aus%2Deast-1:1:guardrail%2fg",
    ] {
        let answer = world.ask(&format!("POST /guardrail/{id}/version/1/apply"), "{}");
        assert_eq!(answer.head.status, 200, "{answer:?}");
        check_seen(
            &world.runtime,
            "POST /guardrail/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Aguardrail%2Fg/version/1/apply",
        );
    }
    let sent = world.sent();
    for id in ["..", "%2e%2e", ".", "%2E"] {
        let answer = world.ask(&format!("POST /guardrail/{id}/version/1/apply"), "{}");
        answer.check_fault(400, "ValidationException");
    }
    world.ask("POST /guardrail/%zz/version/1/apply", "{}").check_fault(400, "ValidationException");
    for path in [
        "/guardrail//version/1/apply",
        "/guardrail/g/version/1/apply/",
        "/../guardrail/g/version/1/apply",
    ] {
        world.ask(&format!("POST {path}"), "{}").check_fault(404, "UnknownOperationException");
    }
    assert_eq!(world.sent(), sent, "none of them left");
}

fn without_a_passthrough_nothing_leaves(driver: DriverChoice) {
    let world = World::new(driver, &["claude"], "");
    for line in ["POST /guardrail/g/version/1/apply", "GET /foundation-models", "POST /rerank"] {
        world.ask(line, "").check_fault(403, "AccessDeniedException");
    }
    world.ask("POST /not-yet-known", "{}").check_fault(404, "UnknownOperationException");
    world
        .ask("POST /model/anthropic.else/converse", "{}")
        .check_fault(404, "ResourceNotFoundException");
    let unknown = request("GET /bedrock/foundation-models HTTP/1.1", "", b"");
    world.proxy.connect().ask(unknown).check_fault(403, "MissingAuthenticationTokenException");
    assert_eq!(world.sent(), 0);
}

fn what_is_not_allowed_is_refused(driver: DriverChoice) {
    let allowed = "    allowed_operations: [Retrieve, bedrock]\n";
    let world = World::new(driver, &["claude"], allowed);
    assert_eq!(world.ask("POST /knowledgebases/KB/retrieve", "{}").head.status, 200);
    assert_eq!(world.ask("GET /foundation-models", "").head.status, 200);
    for line in ["POST /agents/A", "POST /rerank", "POST /guardrail/g/version/1/apply"] {
        world.ask(line, "{}").check_fault(403, "AccessDeniedException");
    }
    assert_eq!((world.sent(), world.runtime.record().requests()), (2, 0));
}

fn unlisted_paths_leave_only_if_that_is_said(driver: DriverChoice) {
    let world =
        World::new(driver, &["claude"], "    allowed_operations: \"*\"\n  unlisted_paths: allow\n");
    for line in ["POST /not-yet-known/a%2Fb/?x=1", "DELETE /not-yet-known/", "PATCH /not-yet-known"]
    {
        assert_eq!(world.ask(line, "").head.status, 200, "{line}");
        check_seen(&world.runtime, line);
    }
    let sent = world.sent();
    for path in ["/not-yet-known//", "/not-yet-known/../x", "//x"] {
        world.ask(&format!("POST {path}"), "").check_fault(400, "ValidationException");
    }
    // The model list is not to be gone round.
    world
        .ask("POST /model/anthropic.else/new-action", "")
        .check_fault(404, "UnknownOperationException");
    world.ask("TRACE /not-yet-known", "").check_fault(405, "UnknownOperationException");
    assert_eq!(world.sent(), sent);
}

fn wildcards_take_ids_and_arns(driver: DriverChoice) {
    let world = World::new(driver, &["claude", "bedrock/*"], "    allowed_operations: \"*\"\n");
    let arn = "arn:aws:bedrock:us-east-1:1:application-inference-profile/a1b2";
    for (name, id) in [
        (
            "us.anthropic.claude-sonnet-4-20250514-v1:0",
            "us.anthropic.claude-sonnet-4-20250514-v1%3A0",
        ),
        ("bedrock/amazon.nova-lite-v1:0", "amazon.nova-lite-v1%3A0"),
        ("anthropic.claude-of-tomorrow-v1%3A0", "anthropic.claude-of-tomorrow-v1%3A0"),
        (arn, "arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Aapplication-inference-profile%2Fa1b2"),
    ] {
        world.ask(&format!("POST /model/{name}/converse"), "{}");
        check_seen(&world.models, &format!("POST /model/{id}/converse"));
    }
    let sent = world.sent();
    for name in ["us-west-2/anthropic.claude-v2", "..", "a%20b", "bedrock/", "bedrock/*"] {
        let answer = world.ask(&format!("POST /model/{name}/converse"), "{}");
        answer.check_fault(404, "ResourceNotFoundException");
    }
    assert_eq!(world.sent(), sent);
    let rows = world.proxy.rows(4);
    let row =
        |model: &str| rows.iter().find(|row| row["model"] == model).expect("a row of this model");
    // What has a list price is a deployment by itself: its name and its cost are known.
    let nova = row("amazon.nova-lite-v1:0");
    assert!(is_positive(nova), "{nova}");
    assert_eq!(nova["model_group"], "bedrock/*");
    assert_eq!(nova["model_id"], row("*")["model_id"], "one entry, one id");
}

fn unlisted_models_take_the_passthroughs_credential_if_that_is_said(driver: DriverChoice) {
    let passthrough = "    allowed_operations: \"*\"\n  unlisted_models: passthrough\n";
    let world = World::new(driver, &["claude"], passthrough);
    world.ask("POST /model/amazon.nova-lite-v1:0/converse", "{}");
    check_seen(&world.runtime, "POST /model/amazon.nova-lite-v1%3A0/converse");
    world.ask("POST /model/claude/converse", "{}");
    assert_eq!((world.models.record().requests(), world.runtime.record().requests()), (1, 1));
    // A name that is like no id of AWS's is a mistake, not a model.
    world
        .ask("POST /model/team%2Fclaude/converse", "{}")
        .check_fault(404, "ResourceNotFoundException");
}

fn a_model_in_the_content_is_found_by_its_id(driver: DriverChoice) {
    let world = World::new(driver, &["claude"], "    allowed_operations: \"*\"\n");
    let id = crate::proxy::MODEL;
    for (line, content) in [
        ("POST /async-invoke", json!({"modelInput": {"modelId": "x"}, "modelId": id})),
        ("POST /openai/v1/chat/completions", json!({"messages": [], "model": id})),
        ("POST /openai/v1/responses", json!({"model": id})),
    ] {
        let answer = world.ask(line, &content.to_string());
        assert_eq!(answer.head.status, 200, "{line}: {answer:?}");
        check_seen(&world.models, line);
    }
    let ask = |content: &str| world.ask("POST /openai/v1/chat/completions", content);
    ask(r#"{"model":"claude"}"#).check_fault(400, "ValidationException");
    ask(r#"{"model":"openai.else"}"#).check_fault(404, "ResourceNotFoundException");
    for content in ["", "{}", "[]", r#"{"model":1}"#, r#"{"model":"a","model":"b"}"#] {
        ask(content).check_fault(400, "ValidationException");
    }
    assert_eq!(world.sent(), 3);
}

fn what_is_billed_is_told_and_what_is_free_costs_nothing(driver: DriverChoice) {
    let world = World::new(driver, &["claude"], "    allowed_operations: \"*\"\n");
    let model = format!(r#"{{"model":"{}"}}"#, crate::proxy::MODEL);
    for (line, content) in [
        (format!("POST {GUARDRAIL}"), "{}"),
        ("POST /rerank".into(), "{}"),
        ("POST /agents/A/agentAliases/B/sessions/C/text".into(), "{}"),
        ("GET /foundation-models".into(), ""),
        ("POST /model/claude/count-tokens".into(), "{}"),
        ("POST /openai/v1/chat/completions".into(), &model),
    ] {
        assert_eq!(world.ask(&line, content).head.status, 200, "{line}");
    }
    let events = format!("{BEARER}Accept: text/event-stream\r\n");
    let line = "POST /bedrock/openai/v1/chat/completions HTTP/1.1";
    let answer = world.proxy.connect().ask(request(line, &events, model.as_bytes()));
    assert!(answer.content.ends_with(b"data: [DONE]\n\n"), "{answer:?}");
    let rows = world.proxy.rows(7);
    let row = |at: usize, action: &str| -> &Value {
        assert_eq!(rows[at]["call_type"], action, "{rows:#?}");
        &rows[at]
    };
    let unknown = |row: &Value| row["spend"].is_null();
    assert!(unknown(row(0, "apply-guardrail")) && unknown(row(1, "rerank")), "{rows:#?}");
    assert_eq!(row(0, "apply-guardrail")["guardrail_units"], 3, "one of topics, two of content");
    assert_eq!(row(0, "apply-guardrail")["unknown_cost"], "no_rate", "{rows:#?}");
    let agent = row(2, "invoke-agent");
    assert_eq!(
        (&agent["prompt_tokens"], &agent["completion_tokens"]),
        (&json!(240), &json!(60)),
        "both traces"
    );
    assert!(unknown(agent));
    assert_eq!(row(3, "list-foundation-models")["spend"], "0");
    assert_eq!(row(4, "count-tokens")["spend"], "0");
    for chat in [row(5, "chat-completions"), row(6, "chat-completions")] {
        assert_eq!(
            (&chat["prompt_tokens"], &chat["completion_tokens"]),
            (&json!(20), &json!(7)),
            "{chat}"
        );
        assert!(is_positive(chat), "{chat}");
    }
}

fn operations_without_a_model_are_not_tried_twice(driver: DriverChoice) {
    let world = World::new(driver, &["claude"], "    allowed_operations: \"*\"\n");
    for status in [429, 500, 503] {
        world.agents.set_fault(&format!("status={status}")).expect("a directive");
        let sent = world.sent();
        let answer = world.ask("POST /agents/A", "{}");
        assert_eq!((answer.head.status, world.sent()), (status, sent + 1));
    }
    world.agents.set_fault("").expect("a directive");
    assert_eq!(
        world.ask("POST /agents/A", "{}").head.status,
        200,
        "nor is it left alone afterwards"
    );
}

/// A job that AWS may have begun is not begun again, here or elsewhere; one that it has refused is.
fn what_may_have_been_done_is_not_done_twice(driver: DriverChoice) {
    let job = json!({ "modelId": crate::proxy::MODEL }).to_string();
    let chat = json!({ "model": crate::proxy::MODEL }).to_string();
    let attempts = |line: &str, content: &str, fault: &str| {
        // A world each: what failed is left alone for a while.
        let world = World::new(driver, &["claude", "claude"], "    allowed_operations: \"*\"\n");
        world.models.set_fault(fault).expect("a directive");
        let status = world.ask(line, content).head.status;
        (status, world.models.record().requests())
    };
    for (fault, status) in
        [("status=500", 500), ("close=before_head", 502), ("reset=before_head", 502)]
    {
        assert_eq!(attempts("POST /async-invoke", &job, fault), (status, 1), "{fault}");
        let (_, sent) = attempts("POST /openai/v1/chat/completions", &chat, fault);
        assert!(sent > 1, "{fault}: a computation is asked for again");
    }
    let (status, sent) = attempts("POST /async-invoke", &job, "throttle");
    assert!(status == 429 && sent > 1, "{status} after {sent} attempts");
}
