//! boto3 from PyPI, unmodified but for `endpoint_url`, through the proxy to the stand-in.
//!
//! Two versions matter: up to 1.43 boto3 sends a Bedrock API key as a bearer token over plain http;
//! since 1.44 it refuses to, and the key goes in as the access key id of a signature that nobody checks.
//! `clients/bedrock.py` makes the calls; here is what must have come of them.

use crate::proxy::{Deployment, KEY, MODEL, ONE_ATTEMPT, Proxy};
use crate::running::{Running, answers_ready, free_port, path, scratch};
use outcrop::control_plane::config::DriverChoice;
use outcrop::mock_bedrock::{Options, StandIn};
use serde_json::Value;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

const ACTIONS: [&str; 4] = ["invoke", "invoke_stream", "converse", "converse_stream"];
/// The demo's, from the README.
const DEMO_KEY: &str = "sk-1234";
const PIP_SECONDS_MAX: u32 = 240;
const CALLS_SECONDS_MAX: u32 = 120;

/// A package from PyPI: where to find it, what to ask pip for, what to import, which variable names a
/// python that has it.
pub struct Package {
    pub folder: &'static str,
    pub requirement: &'static str,
    pub module: &'static str,
    pub variable: &'static str,
}

/// One boto3 release line, and how it presents a key.
pub struct Boto3 {
    pub package: Package,
    auth: &'static str,
}

pub const OLD: Boto3 = Boto3 {
    package: Package {
        folder: "boto3-1.43.127",
        requirement: "boto3==1.43.127",
        module: "boto3",
        variable: "OUTCROP_PYTHON_BOTO3_OLD",
    },
    auth: "bearer",
};
pub const CURRENT: Boto3 = Boto3 {
    package: Package {
        folder: "boto3-1.44.8",
        requirement: "boto3==1.44.8",
        module: "boto3",
        variable: "OUTCROP_PYTHON_BOTO3",
    },
    auth: "access-key",
};

#[test]
fn boto3_1_43_with_a_bearer_token() {
    serves(&OLD);
}

#[test]
fn current_boto3_with_the_key_as_access_key_id() {
    serves(&CURRENT);
}

/// Everything a client may see of the demo.
fn serves(boto3: &Boto3) {
    let Some(python) = python(&boto3.package) else { return };
    let demo = Running::start(boto3.package.folder, &["demo"], &[], answers_ready);
    let base_url = format!("http://127.0.0.1:{}/bedrock", demo.port);
    let call = |key: &str, family: &str, model: &str| {
        calls(boto3, &python, [&base_url, boto3.auth, key, family, model])
    };

    for family in ["claude", "nova"] {
        let report = call(DEMO_KEY, family, family);
        check_answers(&report, family, &demo);
        let regions = &report["deployments"]["ok"];
        assert_eq!(regions.as_array().map(Vec::len), Some(2), "spread over both: {regions}");
    }
    let report = call("sk-of-somebody-else", "claude", "claude");
    for action in ACTIONS {
        let error = refused(&report, action);
        assert!(matches!(error["status"].as_u64(), Some(401 | 403)), "{action}: {error}");
    }
    let report = call(DEMO_KEY, "claude", "no-such-model");
    for action in ACTIONS {
        let error = refused(&report, action);
        assert_eq!(error["status"], 404, "{action}: {error}");
        assert_eq!(error["code"], "ResourceNotFoundException", "{action}: {error}");
    }
    let said = demo.said();
    let status = demo.end();
    assert!(status.is_some_and(|status| status.success()), "SIGTERM gave {status:?}:\n{said}");
}

#[test]
fn models_named_by_id_and_by_arn() {
    const KEY: &str = "sk-clients-2f9c51d07be84a63";
    const NAMES: [&str; 3] = [
        "anthropic.claude-3-5-haiku-20241022-v1:0",
        "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-20250514-v1:0",
        "team/claude:prod",
    ];
    let Some(python) = python(&CURRENT.package) else { return };
    let ca = scratch(&format!("ca-{}.pem", free_port()));
    let ca = ca.to_str().expect("a UTF-8 path");
    let stand_in = Running::start("stand-in", &["mock-bedrock", "--ca-file", ca], &[], |port| {
        TcpStream::connect(("127.0.0.1", port)).is_ok() && Path::new(ca).exists()
    });
    let models = ["", "", "anthropic.claude-3-5-haiku-20241022-v1:0"];
    let deployments: String = std::iter::zip(NAMES, models)
        .map(|(name, model)| {
            let model = if model.is_empty() { name } else { model };
            format!(
                "  - model_name: \"{name}\"\n    litellm_params:\n      model: \"bedrock/{model}\"\n      \
                 aws_region_name: us-east-1\n      aws_access_key_id: AKIAOUTCROPSTANDIN00\n      \
                 aws_secret_access_key: outcrop-stand-in-secret\n      \
                 aws_bedrock_runtime_endpoint: https://localhost:{}\n",
                stand_in.port
            )
        })
        .collect();
    let config = scratch(&format!("named-{}.yaml", stand_in.port));
    let text = format!("model_list:\n{deployments}general_settings:\n  master_key: {KEY}\n");
    std::fs::write(&config, text).expect("a writable target/tmp");
    let config = config.to_str().expect("a UTF-8 path");
    let arguments = ["--config", config, "--host", "127.0.0.1", "--num_workers", "1"];
    let proxy = Running::start("named", &arguments, &[("SSL_CERT_FILE", ca)], answers_ready);

    let base_url = format!("http://127.0.0.1:{}/bedrock", proxy.port);
    for name in NAMES {
        let report = calls(&CURRENT, &python, [&base_url, CURRENT.auth, KEY, "claude", name]);
        check_answers(&report, "claude", &proxy);
    }
}

/// Whatever AWS says, boto3 raises through the proxy what it raises without.
#[test]
fn boto3_raises_what_it_raises_against_aws() {
    let Some(python) = python(&CURRENT.package) else { return };
    let stand_in = StandIn::start(Options { tls: false, ..Options::default() }).expect("one");
    let deployment = Deployment::plain(stand_in.address());
    let proxy = Proxy::start(DriverChoice::Auto, None, &[deployment], ONE_ATTEMPT);
    let urls =
        [format!("http://{}", stand_in.address()), format!("http://{}/bedrock", proxy.address())];
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/clients/errors.py");
    let mut command = bounded(CALLS_SECONDS_MAX, &python);
    command.arg("-B").arg(script).args(urls).args([KEY, MODEL]).env_clear().env("PATH", path());
    command.env("HOME", scratch("nobody")).env("AWS_EC2_METADATA_DISABLED", "true");
    let output = command.output().expect("python starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{said}", output.status);
    let mut report: Value = serde_json::from_slice(&output.stdout).expect("a report in JSON");
    let cut_off = report.as_object_mut().and_then(|it| it.remove("cut_off")).expect("its part");
    let mut count = 0;
    for (action, cases) in report.as_object().expect("actions") {
        for (case, both) in cases.as_object().expect("cases") {
            assert_eq!(both[0], both[1], "{action} {case}: at AWS, and through the proxy");
            assert!(filled(&both[0]["class"]), "{action} {case}: {both:#}");
            count += 1;
        }
    }
    assert_eq!(count, 4 * 10 + 2 * 6);
    // What has no word of AWS's: a stream that breaks off between frames, or within one.
    for action in ["invoke_stream", "converse_stream"] {
        let broken = &cut_off[action];
        let told = &broken["between_frames"];
        assert_eq!(told["class"], "EventStreamError", "{action}: {broken:#}");
        assert_eq!(told["code"], "modelStreamErrorException", "{action}: {broken:#}");
        assert!(filled(&told["message"]) && counted(&told["events"]), "{action}: {broken:#}");
        let cut = &broken["within_a_frame"];
        assert!(filled(&cut["class"]), "{action}: never a stream that seems whole: {broken:#}");
    }
    let throttled = &report["invoke"]["throttled"][1];
    assert_eq!(
        (&throttled["class"], &throttled["is_modelled"]),
        (&"ThrottlingException".into(), &true.into())
    );
    assert_eq!(report["converse"]["validation"][1]["class"], "ValidationException");
}

/// The four actions of one report: each answered, whole, with usage.
fn check_answers(report: &Value, family: &str, server: &Running) {
    for action in ACTIONS {
        let ok = &report[action]["ok"];
        assert_eq!(ok["status"], 200, "{family} {action}: {report:#}\n{}", server.said());
        assert_eq!(ok["retries"], 0, "{family} {action}: {ok}");
        for field in ["x-litellm-call-id", "x-litellm-model-id"] {
            assert!(filled(&ok["fields"][field]), "{family} {action} has no {field}: {ok}");
        }
        assert!(filled(&ok["request_id"]), "{family} {action}: upstream's request id: {ok}");
    }
    let (invoke, stream) = (&report["invoke"]["ok"], &report["invoke_stream"]["ok"]["events"]);
    assert_eq!(invoke["type"], "application/json");
    if family == "claude" {
        claude(&invoke["body"], stream);
    } else {
        nova(&invoke["body"], stream);
    }
    converse(&report["converse"]["ok"], &report["converse_stream"]["ok"]["events"]);
}

/// The Messages API's shapes.
fn claude(body: &Value, events: &Value) {
    assert_eq!(body["type"], "message", "{body}");
    assert!(filled(&body["content"][0]["text"]), "{body}");
    assert!(counted(&body["usage"]["input_tokens"]), "{body}");
    assert!(counted(&body["usage"]["output_tokens"]), "{body}");

    let events = events.as_array().expect("events");
    assert_eq!(events.first().expect("a first event")["type"], "message_start", "{events:#?}");
    let text: String = texts(events, "/delta/text").collect();
    assert!(!text.is_empty(), "{events:#?}");
    let delta =
        events.iter().find(|event| event["type"] == "message_delta").expect("message_delta");
    let last = events.last().expect("a last event");
    assert_eq!(last["type"], "message_stop", "{last}");
    let metrics = &last["amazon-bedrock-invocationMetrics"];
    assert!(counted(&metrics["inputTokenCount"]), "{last}");
    assert_eq!(metrics["outputTokenCount"], delta["usage"]["output_tokens"], "{events:#?}");
}

/// Nova's shapes.
fn nova(body: &Value, events: &Value) {
    assert!(filled(&body["output"]["message"]["content"][0]["text"]), "{body}");
    assert!(counted(&body["usage"]["inputTokens"]), "{body}");
    assert!(counted(&body["usage"]["outputTokens"]), "{body}");

    let events = events.as_array().expect("events");
    assert_eq!(events.first().expect("a first event")["messageStart"]["role"], "assistant");
    let text: String = texts(events, "/contentBlockDelta/delta/text").collect();
    assert!(!text.is_empty(), "{events:#?}");
    let last = events.last().expect("a last event");
    assert!(counted(&last["amazon-bedrock-invocationMetrics"]["inputTokenCount"]), "{last}");
    assert!(counted(&last["metadata"]["usage"]["outputTokens"]), "{last}");
}

/// Converse and ConverseStream: one shape for all families.
fn converse(whole: &Value, events: &Value) {
    assert!(filled(&whole["output"]["message"]["content"][0]["text"]), "{whole}");
    assert_eq!(whole["stopReason"], "end_turn", "{whole}");
    for count in ["inputTokens", "outputTokens", "totalTokens"] {
        assert!(counted(&whole["usage"][count]), "{count}: {whole}");
    }

    let events = events.as_array().expect("events");
    let names: Vec<&str> = events
        .iter()
        .flat_map(|event| event.as_object().expect("an event").keys())
        .map(String::as_str)
        .collect();
    assert_eq!(names.first(), Some(&"messageStart"), "{names:?}");
    assert!(names.ends_with(&["contentBlockStop", "messageStop", "metadata"]), "{names:?}");
    let text: String = texts(events, "/contentBlockDelta/delta/text").collect();
    assert!(!text.is_empty(), "{events:#?}");
    assert!(counted(&events[events.len() - 1]["metadata"]["usage"]["totalTokens"]), "{events:#?}");
}

fn texts<'a>(events: &'a [Value], pointer: &'a str) -> impl Iterator<Item = &'a str> {
    events.iter().filter_map(move |event| event.pointer(pointer).and_then(Value::as_str))
}

/// The error of an action that must have failed; a client can read it: neither code nor message is empty.
fn refused<'a>(report: &'a Value, action: &str) -> &'a Value {
    let error = &report[action]["error"];
    assert!(filled(&error["code"]) && filled(&error["message"]), "{action}: {report:#}");
    error
}

fn filled(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty())
}

fn counted(value: &Value) -> bool {
    value.as_u64().is_some_and(|count| count > 0)
}

/// Runs `clients/bedrock.py`; its report.
fn calls(boto3: &Boto3, python: &Path, arguments: [&str; 5]) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/clients/bedrock.py");
    let home = scratch("nobody"); // no ~/.aws, and no metadata service to ask
    let mut command = bounded(CALLS_SECONDS_MAX, python);
    command.arg("-B").arg(script).args(arguments).env_clear().env("PATH", path()).env("HOME", home);
    command.env("AWS_EC2_METADATA_DISABLED", "true");
    if boto3.auth == "bearer" {
        command.env("AWS_BEARER_TOKEN_BEDROCK", arguments[2]);
    }
    let output = command.output().expect("python starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {}\n{said}", output.status);
    let report: Value = serde_json::from_slice(&output.stdout).expect("a report in JSON");
    let version = report["boto3"].as_str().expect("boto3's version");
    assert_eq!(version.starts_with("1.43."), boto3.auth == "bearer", "the wrong boto3: {version}");
    report
}

/// A python that has this package: named by the environment, or in a venv below `target/clients`, which is
/// made if it is not there. `None`, loudly, if there is no way.
pub fn python(package: &Package) -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "a test's own setting")]
    if let Ok(python) = std::env::var(package.variable) {
        return Some(python.into());
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("target");
    let venv = target.join("clients").join(package.folder);
    if has(package, &venv) {
        return Some(venv.join("bin/python"));
    }
    match make_venv(package, &venv) {
        Ok(()) => Some(venv.join("bin/python")),
        Err(why) => {
            let name = format!("what needs {}", package.requirement);
            super::skip(
                &name,
                &format!("{why} (or set {} to a python that has it)", package.variable),
            );
            None
        }
    }
}

/// A python with today's boto3.
pub fn current_python() -> Option<PathBuf> {
    python(&CURRENT.package)
}

fn has(package: &Package, venv: &Path) -> bool {
    Command::new(venv.join("bin/python"))
        .args(["-c", &format!("import {}", package.module)])
        .output()
        .is_ok_and(|output| output.status.success())
}

/// Built aside and moved into place whole, since other tests may want it at the same time.
fn make_venv(package: &Package, venv: &Path) -> Result<(), String> {
    let aside =
        venv.with_file_name(format!("{}-{}-{}", package.folder, std::process::id(), free_port()));
    let made = (|| {
        succeed(bounded(PIP_SECONDS_MAX, Path::new("python3")).args(["-m", "venv"]).arg(&aside))?;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        let python = aside.join("bin/python");
        succeed(bounded(PIP_SECONDS_MAX, &python).args(pip).arg(package.requirement))?;
        match std::fs::rename(&aside, venv) {
            Err(_) if has(package, venv) => Ok(()), // another test was first
            done => done.map_err(|error| format!("{}: {error}", venv.display())),
        }
    })();
    let _ = std::fs::remove_dir_all(&aside);
    made
}

pub fn succeed(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let last = said.trim().lines().last().unwrap_or("nothing said");
    Err(format!("{command:?}: {}: {last}", output.status))
}

/// `program` under coreutils' `timeout`: a registry that hangs must not hang the tests.
pub fn bounded(seconds: u32, program: &Path) -> Command {
    let mut command = Command::new("timeout");
    command.arg("--kill-after=5").arg(seconds.to_string()).arg(program);
    command
}
