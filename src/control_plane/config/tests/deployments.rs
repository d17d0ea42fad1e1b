//! The rules of one entry of `model_list`, and of the entries of one group.

use super::*;

const ARN: &str = "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/a1b2";

/// With the region and the keys in place.
fn in_region(params: &str, warnings: &[&str]) -> Deployment {
    one(&format!("aws_region_name: us-east-1, {params}"), &KEYS, warnings)
}

#[test]
fn models_reach_aws_as_the_bare_id() {
    let check = |model: &str, id: &str| {
        assert_eq!(in_region(&format!("model: '{model}'"), &[]).bedrock_model_id, id);
    };
    for front in [
        "",
        "bedrock/",
        "bedrock/converse/",
        "bedrock/invoke/",
        "bedrock/us-east-1/",
        "bedrock/us-east-1/invoke/",
    ] {
        check(&format!("{front}anthropic.claude-v2:1"), "anthropic.claude-v2:1");
    }
    let arn = ARN.replace("eu-west-1", "us-east-1");
    check(&format!("bedrock/invoke/{arn}"), &arn);
    check(&arn, &arn);
    let wins = in_region(&format!("model: bedrock/anthropic.claude-v2, model_id: '{arn}'"), &[]);
    assert_eq!(wins.bedrock_model_id, arn);
    assert_eq!(
        in_region("model: mine, custom_llm_provider: bedrock", &[]).bedrock_model_id,
        "mine"
    );
}

#[test]
fn other_models_are_refused() {
    for (params, error) in [
        (
            "model: openai/gpt-4o",
            "c.yaml:3: model_list[0].litellm_params.model: provider `openai`: only Bedrock is served (error)",
        ),
        (
            "model: x.y, custom_llm_provider: openai",
            "custom_llm_provider: names another provider: only Bedrock",
        ),
        ("model: gpt-4o", "names no provider"),
        ("model: bedrock/agent/A/B", "`bedrock/agent/` is not served"),
        ("model: bedrock/", "names no model"),
        ("model: bedrock/*", "holds a wildcard, but"),
        ("model: ''", "is empty"),
        ("model: true", "must be text, not a boolean"),
        ("model: [a.b]", "must be text, not a list"),
        ("timeout: 1", "has no `model`"),
        ("model: \"bedrock/a.b\\r\\nX: y\"", "holds a line break"),
        ("model: bedrock/arn:aws:bedrock:us-east-1:1:x/../y", "`..` as a path segment"),
        ("model: bedrock/arn:aws:bedrock:x:1:y/z", "is no complete ARN"),
        ("model: 'a.b, model_id: arn:aws'", "a character that no model id has"),
        ("model: a.b, model_id: arn:aws", "model_id: is no complete ARN"),
        ("model: bedrock/arn%3Aaws.x", "is percent-encoded"),
    ] {
        refuse(&entry(&format!("aws_region_name: us-east-1, {params}")), &KEYS, &[error]);
    }
    let long = format!("model: a.{}", "b".repeat(2_047));
    refuse(&entry(&long), &KEYS, &["longer than AWS takes"]);
}

#[test]
fn the_region_is_found_in_litellms_order() {
    let check = |params: &str, environment: &[(&str, &str)], region: &str, warnings: &[&str]| {
        let all: Vec<_> = KEYS.iter().chain(environment).copied().collect();
        let deployment = one(params, &all, warnings);
        assert_eq!(deployment.region, region, "{params}");
        deployment
    };
    let (arn, plain) = (format!("model: '{ARN}'"), "model: a.b");
    let variables = [
        ("AWS_REGION_NAME", "us-east-2"),
        ("AWS_REGION", "us-west-1"),
        ("AWS_DEFAULT_REGION", "sa-east-1"),
    ];
    check("model: a.b, aws_region_name: ap-south-1", &variables, "ap-south-1", &[]);
    check("model: bedrock/us-gov-west-1/a.b", &variables, "us-gov-west-1", &[]);
    check(&arn, &variables, "eu-west-1", &[]);
    check(&format!("{plain}, model_id: '{ARN}'"), &variables, "eu-west-1", &[]);
    let endpoint = "https://vpce-1.bedrock-runtime.ap-south-1.vpce.amazonaws.com";
    check(&format!("{plain}, api_base: '{endpoint}'"), &variables, "ap-south-1", &[]);
    check(plain, &variables, "us-east-2", &[]);
    check(plain, &variables[1..], "us-west-1", &[]);
    check(plain, &variables[2..], "sa-east-1", &[]);
    check(
        plain,
        &[("AWS_REGION", "")],
        "us-west-2",
        &["c.yaml:3: model_list[0].litellm_params: names no region"],
    );
    check(
        &format!("{arn}, aws_region_name: us-east-1"),
        &[],
        "us-east-1",
        &["aws_region_name: requests are signed for us-east-1, but the ARN names eu-west-1"],
    );
    check(
        &format!("{plain}, aws_region_name: us-east-1, api_base: '{endpoint}'"),
        &[],
        "us-east-1",
        &["but the endpoint names ap-south-1"],
    );
    check(
        "model: bedrock/eu-west-1/a.b, aws_region_name: us-east-1",
        &[],
        "us-east-1",
        &["prefix names eu-west-1"],
    );
    check(
        &format!("{plain}, region_name: us-east-1"),
        &variables,
        "us-east-2",
        &["did you mean `aws_region_name`?"],
    );
    let china = check("model: a.b, aws_region_name: cn-north-1", &[], "cn-north-1", &[]);
    assert_eq!(china.endpoint.url(), "https://bedrock-runtime.cn-north-1.amazonaws.com.cn");
}

#[test]
fn wrong_regions_are_refused() {
    for region in [
        "useast1",
        "US-EAST-1",
        "us-east-1/..",
        "\"us-east-1\\r\\n\"",
        "'us-east-1 '",
        "''",
        "us-east",
    ] {
        refuse(
            &entry(&format!("model: a.b, aws_region_name: {region}")),
            &KEYS,
            &["is no AWS region"],
        );
    }
    refuse(
        &entry("model: a.b, aws_region_name: useast1"),
        &KEYS,
        &[
            "c.yaml:3: model_list[0].litellm_params.aws_region_name: `useast1` is no AWS region; write one as us-east-1 (error)",
        ],
    );
    let environment = [KEYS[0], KEYS[1], ("AWS_REGION", MARKER)];
    refuse(&entry("model: a.b"), &environment, &["variable AWS_REGION is no AWS region"]);
    refuse(
        &entry("model: a.b, aws_region_name: os.environ/AWS_REGION"),
        &environment,
        &["the value of AWS_REGION is no"],
    );
}

#[test]
fn endpoints_are_found_in_litellms_order() {
    let variable = [KEYS[0], KEYS[1], ("AWS_BEDROCK_RUNTIME_ENDPOINT", "http://env:1/x/")];
    let url = |params: &str, environment: &[(&str, &str)], warnings: &[&str]| {
        one(&format!("model: a.b, aws_region_name: us-east-1, {params}"), environment, warnings)
            .endpoint
            .url()
    };
    let both = "api_base: 'http://base:81', aws_bedrock_runtime_endpoint: 'http://own'";
    assert_eq!(url(both, &variable, &["has no effect: `api_base`"]), "http://base:81");
    assert_eq!(url("aws_bedrock_runtime_endpoint: 'http://own'", &variable, &[]), "http://own");
    assert_eq!(url("", &variable, &[]), "http://env:1/x");
    assert_eq!(url("", &KEYS, &[]), "https://bedrock-runtime.us-east-1.amazonaws.com");
    assert!(
        url("api_key: k, api_base: 'http://10.0.0.1'", &[], &["sends its api_key unencrypted"])
            .starts_with("http:")
    );
    assert!(url("api_key: k, api_base: 'http://localhost'", &[], &[]).starts_with("http:"));
    for bad in [
        "x",
        "\"http://x\\r\\n\"",
        "http://x/../y",
        "http://u:MARKERsecret@x",
        "http://x?y",
        "http://x:0",
    ] {
        refuse(
            &entry(&format!("model: a.b, api_base: {bad}")),
            &KEYS,
            &["c.yaml:3: model_list[0].litellm_params.api_base: "],
        );
    }
    refuse(
        &entry("model: a.b"),
        &[KEYS[0], KEYS[1], ("AWS_BEDROCK_RUNTIME_ENDPOINT", "x")],
        &["variable AWS_BEDROCK_RUNTIME_ENDPOINT must start"],
    );
}

#[test]
fn weights_are_those_of_simple_shuffle() {
    let check = |entries: &[&str], weights: &[u64], warnings: &[&str]| {
        let yaml: String = entries
            .iter()
            .map(|params| format!("- {{model_name: m, litellm_params: {{model: a.b, aws_region_name: us-east-1{params}}}}}\n"))
            .collect();
        let loaded = check(&format!("model_list:\n{yaml}"), &KEYS, warnings);
        assert_eq!(
            loaded.settings.deployments.iter().map(|it| it.weight).collect::<Vec<_>>(),
            weights,
            "{yaml}"
        );
    };
    check(&["", ""], &[1, 1], &[]);
    check(&[", weight: 3", ", weight: 1"], &[3, 1], &[]);
    check(&[", weight: 0", ", weight: 0"], &[0, 0], &[]);
    check(&[", weight: 0.5", ", weight: 1"], &[500_000, 1_000_000], &[]);
    check(&[", weight: 1e-9", ", weight: 0.0"], &[1, 0], &[]);
    check(&[", weight: '2'", ", weight: 1, rpm: 9"], &[2, 1], &[]);
    check(&[", rpm: 10", ", rpm: 5, tpm: 7"], &[10, 5], &[]);
    check(&[", tpm: 10", ", tpm: 7"], &[10, 7], &[]);
    check(
        &[", rpm: 10", ", tpm: 7"],
        &[10, 0],
        &["c.yaml:3: model_list[1].litellm_params: has no `rpm`, which others of `m` have"],
    );
    for bad in ["-1", "x", "true", ".inf", ".nan", "1e13", "[1]", "''"] {
        for key in ["weight", "rpm", "tpm"] {
            refuse(
                &entry(&format!("model: a.b, {key}: {bad}")),
                &KEYS,
                &[&format!("litellm_params.{key}: must ")],
            );
        }
    }
}

#[test]
fn ids_are_given_or_derived_and_unique() {
    let ids = |yaml: &str| -> Vec<String> {
        let loaded = check(yaml, &[KEYS[0], KEYS[1], ("AWS_REGION", "us-east-1")], &[]);
        loaded.settings.deployments.into_iter().map(|deployment| deployment.id).collect()
    };
    let plain = "- {model_name: m, litellm_params: {model: a.b}}\n";
    let other = "- {model_name: m, litellm_params: {model: a.c}}\n";
    let given = "- {model_name: m, litellm_params: {model: a.b}, model_info: {id: mine}}\n- {model_name: 5, litellm_params: {model: a.b}, model_info: {id: 17}}\n";
    let found = ids(&format!("model_list:\n{plain}{other}{plain}{given}"));
    assert_eq!(found[3..], ["mine", "17"]);
    assert!(
        found[..3]
            .iter()
            .all(|id| id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
    );
    assert_eq!(
        found[0], "82b62e929356643b",
        "an id outlives releases: it stands in logs and dashboards"
    );
    let reordered = ids(&format!("model_list:\n{other}{given}{plain}{plain}"));
    assert_eq!([&reordered[0], &reordered[3], &reordered[4]], [&found[1], &found[0], &found[2]]);

    let twice = format!("model_list:\n{given}{given}");
    refuse(
        &twice,
        &KEYS,
        &[
            "c.yaml:4: model_list[2].model_info.id: the id is that of c.yaml:2 too",
            "c.yaml:5: model_list[3]",
        ],
    );
    for (id, error) in [
        ("true", "must be text"),
        ("''", "is empty"),
        ("'a b'", "visible ASCII"),
        ("\"a\\r\\n\"", "visible ASCII"),
    ] {
        let yaml = format!(
            "model_list: [{{model_name: m, litellm_params: {{model: a.b}}, model_info: {{id: {id}}}}}]"
        );
        refuse(&yaml, &KEYS, &[error]);
    }
}

#[test]
fn entries_have_a_shape() {
    for (item, error) in [
        ("{litellm_params: {model: a.b}}", "model_list[0]: has no `model_name`"),
        ("{model_name: , litellm_params: {model: a.b}}", "has no `model_name`"),
        ("{model_name: m}", "has no `litellm_params`"),
        (
            "{model_name: m, litellm_params: a.b}",
            "litellm_params: must be a mapping of keys, not text",
        ),
        (
            "{model_name: m, litellm_params: {model: a.b}, model_info: x}",
            "model_info: must be a mapping",
        ),
        (
            "{model_name: false, litellm_params: {model: a.b}}",
            "model_name: must be text, not a boolean",
        ),
        ("{model_name: a/../b, litellm_params: {model: a.b}}", "model_name: holds `..`"),
        ("{model_name: \"a\\nb\", litellm_params: {model: a.b}}", "model_name: holds a line break"),
        ("5", "must be a mapping with `model_name`"),
        ("", "must be a mapping with `model_name`"),
    ] {
        refuse(&format!("model_list:\n- {item}\n"), &KEYS, &[error]);
    }
    let misplaced = "model_list:\n- model_name: '*'\n  weight: 1\n  litellm_params: {model: a.b, aws_region_name: us-east-1, wieght: 2, max_budget: 3, input_cost_per_token: 1}\n  model_info: {base_model: x}\n";
    check(
        misplaced,
        &KEYS,
        &[
            "c.yaml:3: model_list[0].weight: belongs under `litellm_params`",
            "c.yaml:4: model_list[0].litellm_params.wieght: unknown key; did you mean `weight`? (warning)",
            "max_budget: LiteLLM's key",
        ],
    );
}

#[test]
fn all_errors_are_reported_at_once() {
    let yaml = "model_list:
- model_name: m
  litellm_params:
    model: openai/x
    aws_region_name: nowhere
    weight: -1
    litellm_credential_name: p
    api_base: x
- litellm_params: {model: a.b, aws_access_key_id: x}
outcrop: {driver: x}
";
    let errors = [
        "c.yaml:4:",
        "c.yaml:5:",
        "c.yaml:6:",
        "c.yaml:7:",
        "c.yaml:8:",
        "c.yaml:9: model_list[1]:",
        "c.yaml:9:",
        "c.yaml:10:",
    ];
    refuse(yaml, &KEYS, &errors);
}
