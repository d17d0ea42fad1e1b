//! `outcrop.passthrough`, what is not listed, and wildcards.

use super::*;
use crate::bedrock::operation::{Action, Service};

const OWN: &str = "aws_access_key_id: AKIDPASSTHROUGH, aws_secret_access_key: MARKERsecret-p";

fn with(outcrop: &str) -> String {
    format!("model_list: []\noutcrop:\n  {outcrop}\n")
}

#[test]
fn it_is_off_unless_somebody_says_so() {
    let empty = ["is empty: nothing is served"];
    let of = |yaml: &str, variables: &[(&str, &str)]| {
        check(yaml, variables, &empty).settings.passthrough
    };
    assert!(of("model_list: []", &KEYS).is_none(), "credentials alone turn nothing on");
    let region = ("AWS_REGION_NAME", "eu-west-1");
    assert!(of("model_list: []", &[region]).is_none(), "nor does a region alone");
    let both = [KEYS[0], KEYS[1], region];
    let passthrough = of("model_list: []", &both).unwrap();
    assert!(passthrough.is_by_variable && passthrough.allowed.has(Action::InvokeAgent));
    assert_eq!(passthrough.region, "eu-west-1");
    let hosts = passthrough.endpoints.map(|endpoint| endpoint.host);
    let host = |service: Service| format!("{}.eu-west-1.amazonaws.com", service.name());
    assert_eq!(hosts, Service::ALL.map(host));
    assert!(of(&with("passthrough: false"), &both).is_none());
    let agents =
        "model_list: []\ngeneral_settings: {disable_bedrock_agent_runtime_passthrough: true}";
    let passthrough = of(agents, &both).unwrap();
    assert!(!passthrough.allowed.has(Action::InvokeAgent));
    assert!(passthrough.allowed.has(Action::ApplyGuardrail));
}

#[test]
fn all_keys_are_read() {
    let yaml = with(&format!(
        "passthrough: {{{OWN}, aws_region_name: cn-north-1, api_base: https://all.example/x, \
         aws_bedrock_agent_runtime_endpoint: http://127.0.0.1:1, allowed_operations: [bedrock, Retrieve]}}\n  \
         unlisted_models: passthrough\n  unlisted_paths: allow"
    ));
    let passthrough = check(&yaml, &KEYS, &["nothing is served"]).settings.passthrough.unwrap();
    assert_eq!(
        passthrough.endpoints.map(|endpoint| endpoint.url()),
        ["https://all.example/x", "http://127.0.0.1:1", "https://all.example/x"]
    );
    assert!(passthrough.takes_models && passthrough.takes_unlisted_paths);
    assert!(!passthrough.is_by_variable);
    let allowed = |action| passthrough.allowed.has(action);
    assert!(allowed(Action::Retrieve) && allowed(Action::ListGuardrails));
    assert!(!allowed(Action::Rerank) && !allowed(Action::ApplyGuardrail));
    let Credential::SigV4 { access_key_id, .. } = passthrough.credential else { panic!() };
    assert_eq!(access_key_id, "AKIDPASSTHROUGH");
}

#[test]
fn what_is_wrong_is_refused() {
    for (outcrop, variables, error) in [
        ("passthrough: 3", &KEYS[..], "must be a mapping, or true or false"),
        (
            "passthrough: {allowed_operations: [ApplyGuardrial]}",
            &KEYS,
            "did you mean `ApplyGuardrail`?",
        ),
        (
            "passthrough: {allowed_operations: [zzz]}",
            &KEYS,
            "is no operation of Bedrock's; write one",
        ),
        ("passthrough: {aws_region_name: nowhere}", &KEYS, "is no AWS region"),
        ("passthrough: {aws_bedrock_endpoint: 'ftp://x'}", &KEYS, "must start with https://"),
        ("unlisted_models: passthrough", &KEYS, "needs outcrop.passthrough"),
        ("unlisted_paths: allow", &KEYS, "needs outcrop.passthrough"),
        ("unlisted_paths: yes", &KEYS, "must be allow or refuse"),
    ] {
        let region = if outcrop.contains("aws_region") { "" } else { "us-east-1" };
        let variables: Vec<_> = variables.iter().copied().chain([("AWS_REGION", region)]).collect();
        refuse(&with(outcrop), &variables, &[error]);
    }
}

#[test]
fn a_wildcard_needs_one_in_its_name() {
    let entry = |name: &str, model: &str| {
        format!(
            "model_list:\n- model_name: '{name}'\n  litellm_params: {{model: '{model}', aws_region_name: us-east-1}}\n"
        )
    };
    for (name, model, id) in [
        ("bedrock/*", "bedrock/*", "*"),
        ("*", "bedrock/*", "*"),
        ("us.*", "bedrock/us.*", "us.*"),
        ("claude-*", "bedrock/anthropic.claude-v2", "anthropic.claude-v2"),
    ] {
        let settings = check(&entry(name, model), &KEYS, &[]).settings;
        assert!(settings.deployments[0].is_wildcard());
        assert_eq!(settings.deployments[0].bedrock_model_id, id);
    }
    for (name, model, error) in [
        ("claude", "bedrock/*", "but `model_name` does not"),
        ("a*b*", "bedrock/*", "more than one `*`"),
        ("*", "bedrock/a*b*", "more than one `*`"),
        ("*", "bedrock/arn:aws:bedrock:us-east-1:1:x/*", "a `*` in an ARN"),
        ("*", "*", "names no provider"),
    ] {
        refuse(&entry(name, model), &KEYS, &[error]);
    }
    let fallbacks = format!(
        "{}router_settings: {{default_fallbacks: ['bedrock/*']}}\n",
        entry("bedrock/*", "bedrock/*")
    );
    refuse(&fallbacks, &KEYS, &["names a wildcard, which cannot be fallen back to"]);
}
