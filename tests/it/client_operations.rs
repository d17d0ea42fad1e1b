//! boto3 as it is, asking for what is no plain invoke: guardrails, agents, knowledge bases, lists.

use std::path::Path;
use std::process::Command;

use outcrop::{
    control_plane::config::DriverChoice,
    mock_bedrock::{Options, StandIn, Verdict},
};
use serde_json::{Value, json};

use crate::clients::{bounded, current_python};
use crate::proxy::{Deployment, KEY, MODEL, Proxy};
use crate::running::{path, scratch};

const CALLS_SECONDS_MAX: u32 = 120;

/// Runs `clients/operations.py` with this credential; its report.
pub fn calls(python: &Path, proxy: &Proxy, key_id: &str, secret: &str) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/clients/operations.py");
    let base_url = format!("http://{}/bedrock", proxy.address());
    let mut command: Command = bounded(CALLS_SECONDS_MAX, python);
    command.arg("-B").arg(script).args([&base_url, key_id, secret, MODEL]).env_clear();
    command.env("PATH", path()).env("HOME", scratch("nobody"));
    command.env("AWS_EC2_METADATA_DISABLED", "true");
    let output = command.output().expect("python starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{said}", output.status);
    serde_json::from_slice(&output.stdout).expect("a report in JSON")
}

/// `outcrop.passthrough` to one stand-in for all.
pub fn passthrough_to(stand_in: &StandIn) -> String {
    format!(
        "outcrop:\n  passthrough:\n    aws_region_name: us-east-1\n    api_base: http://{}\n    \
         aws_access_key_id: AKIAOUTCROPSTANDIN00\n    aws_secret_access_key: outcrop-stand-in-secret\n",
        stand_in.address()
    )
}

/// What `clients/operations.py` prints when all is well.
pub fn all_well() -> Value {
    json!({
        "guarded_invoke": {"ok": "message"},
        "count_tokens": {"ok": 42},
        "apply_guardrail": {"ok": 2},
        "async_invoke": {"ok": ["InProgress", []]},
        "retrieve": {"ok": "Lichen."},
        "retrieve_and_generate": {"ok": "Lichen."},
        "retrieve_and_generate_stream": {"ok": ["output", "citation"]},
        "invoke_agent": {"ok": ["trace", "chunk", "trace"]},
        "rerank": {"ok": [1, 0]},
        "sessions": {"ok": "S"},
        "list_foundation_models": {"ok": MODEL},
    })
}

#[test]
fn boto3_reaches_every_service_through_one_address() {
    let Some(python) = current_python() else { return };
    let stand_in =
        StandIn::start(Options { tls: false, ..Options::default() }).expect("a stand-in");
    let deployments = [Deployment::plain(stand_in.address()).named(MODEL)];
    let passthrough = passthrough_to(&stand_in);
    let proxy = Proxy::start(DriverChoice::Epoll, None, &deployments, &passthrough);
    assert_eq!(calls(&python, &proxy, KEY, "any"), all_well());

    let seen = stand_in.record().seen();
    let guarded = &seen[0];
    // What LiteLLM drops: the guardrail itself.
    for (name, value) in [
        ("x-amzn-bedrock-guardrailidentifier", "gr-1"),
        ("x-amzn-bedrock-guardrailversion", "DRAFT"),
        ("x-amzn-bedrock-trace", "ENABLED"),
        ("x-amzn-bedrock-performanceconfig-latency", "optimized"),
        ("x-amzn-bedrock-service-tier", "priority"),
    ] {
        assert_eq!(guarded.field(name), Some(value), "{:?}", guarded.fields);
        let signed = guarded.field("authorization").expect("a signature");
        assert!(signed.contains(name), "{name} is not signed: {signed}");
    }
    assert!(seen.iter().all(|seen| seen.verdict == Verdict::Signed), "{seen:#?}");
    assert_eq!(stand_in.record().anomalies(), [""; 0], "AWS would object");

    let report = calls(&python, &proxy, "sk-of-somebody-else", "any");
    for (call, outcome) in report.as_object().expect("a report") {
        assert_eq!(outcome["error"]["code"], "UnrecognizedClientException", "{call}: {outcome}");
    }
}
