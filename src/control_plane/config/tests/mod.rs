//! Whole configurations in, settings or problems out: all rules that need more than one file of code.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::{
    Accounting, Credential, Deployment, DriverChoice, Environment, Loaded, Origin, Problem,
    Severity, explain, load_by,
};

mod accounting;
mod clients;
mod credentials;
mod deployments;
mod files;
mod passthrough;
mod prices;
mod router;
mod whole;

/// A secret of the environments below: it must show nowhere.
const MARKER: &str = "MARKERsecret";
/// The key pair that most entries fall back to.
const KEYS: [(&str, &str); 2] =
    [("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", MARKER)];

/// Loads `files[0]`, which may include the others. Whatever comes of it, no marker may show.
fn load_files(
    files: &[(&str, &str)],
    environment: &[(&str, &str)],
) -> Result<Loaded, Vec<Problem>> {
    let texts: BTreeMap<PathBuf, &str> =
        files.iter().map(|(path, text)| (path.into(), *text)).collect();
    let read = |path: &Path| {
        let text = texts.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(text.as_bytes().to_vec())
    };
    let environment = Environment::from_pairs(environment.iter().copied());
    let result = load_by(Path::new(files[0].0), &environment, &read);
    let mut shown = format!("{result:?}");
    match &result {
        Ok(loaded) => explain(loaded, &mut shown).unwrap(),
        Err(problems) => shown += &rendered(problems),
    }
    assert!(!shown.contains(MARKER), "a secret shows: {shown}");
    result
}

fn rendered(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("{problem}\n")).collect()
}

/// The settings of `yaml`; its warnings must be those of `warnings`, each a part of one, in order.
fn check(yaml: &str, environment: &[(&str, &str)], warnings: &[&str]) -> Loaded {
    let loaded = load_files(&[("c.yaml", yaml)], environment)
        .unwrap_or_else(|problems| panic!("{yaml}\n{}", rendered(&problems)));
    assert!(loaded.warnings.iter().all(|warning| warning.severity == Severity::Warning));
    let found: Vec<_> = loaded.warnings.iter().map(Problem::to_string).collect();
    assert_eq!(found.len(), warnings.len(), "{yaml}\n{found:#?}");
    for (found, expected) in found.iter().zip(warnings) {
        assert!(found.contains(expected), "{found}\nshould hold: {expected}\n{yaml}");
    }
    loaded
}

/// `yaml` must be refused with exactly these errors, each a part of one, in order.
fn refuse(yaml: &str, environment: &[(&str, &str)], errors: &[&str]) {
    let problems = match load_files(&[("c.yaml", yaml)], environment) {
        Err(problems) => problems,
        Ok(_) => panic!("is let in: {yaml}\nshould be refused: {errors:?}"),
    };
    let found: Vec<_> = problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error)
        .map(Problem::to_string)
        .collect();
    assert_eq!(found.len(), errors.len(), "{yaml}\n{found:#?}");
    for (found, expected) in found.iter().zip(errors) {
        assert!(found.contains(expected), "{found}\nshould hold: {expected}\n{yaml}");
    }
}

/// A configuration with one entry, of these `litellm_params`, in flow style.
fn entry(params: &str) -> String {
    format!("model_list:\n- model_name: m\n  litellm_params: {{{params}}}\n")
}

/// What is written down, where it is.
fn fixed(origin: &Origin) -> &Credential {
    match origin {
        Origin::Fixed(credential) => credential,
        Origin::Source(source) => panic!("asked for: {source}"),
    }
}

/// The one deployment of these `litellm_params`.
fn one(params: &str, environment: &[(&str, &str)], warnings: &[&str]) -> Deployment {
    let mut deployments = check(&entry(params), environment, warnings).settings.deployments;
    assert_eq!(deployments.len(), 1);
    deployments.remove(0)
}

#[test]
fn general_settings_have_defaults() {
    let settings =
        check("model_list: []", &[], &["c.yaml:1: model_list: is empty: nothing is served"])
            .settings;
    assert!(settings.master_key.is_none() && !settings.permit_weak_master_key);
    assert_eq!((settings.driver, settings.shutdown_grace_s), (DriverChoice::Auto, 30));
    assert_eq!((settings.max_request_bytes, settings.trusted_roots_file), (32 << 20, None));
}

#[test]
fn general_settings_are_read() {
    let yaml = "
general_settings: {master_key: MARKERsecret-1, dangerously_permit_weak_or_unset_master_key: true, max_request_size_mb: 0.5}
outcrop: {driver: io_uring, shutdown_grace_s: 0}
";
    let settings = check(yaml, &[("SSL_CERT_FILE", "/ca.pem")], &["nothing is served"]).settings;
    assert_eq!(settings.master_key.unwrap().expose(), "MARKERsecret-1");
    assert!(settings.permit_weak_master_key);
    assert_eq!((settings.driver, settings.shutdown_grace_s), (DriverChoice::IoUring, 0));
    assert_eq!(
        (settings.max_request_bytes, settings.trusted_roots_file),
        (1 << 19, Some("/ca.pem".into()))
    );
}

#[test]
fn wrong_general_settings_are_refused() {
    for (yaml, error) in [
        (
            "outcrop: {driver: uring}",
            "c.yaml:1: outcrop.driver: must be auto, io_uring or epoll (error)",
        ),
        ("outcrop: {driver: 1}", "must be auto"),
        ("outcrop: {shutdown_grace_s: 1.5}", "whole number of seconds"),
        ("outcrop: {shutdown_grace_s: -1}", "must not be negative"),
        ("outcrop: {shutdown_grace_s: soon}", "must be a number, not text"),
        ("outcrop: [x]", "outcrop: must be a mapping of keys, not a list"),
        ("general_settings: {max_request_size_mb: 0}", "must be above 0"),
        ("general_settings: {max_request_size_mb: 1e9}", "must be above 0"),
        ("general_settings: {max_request_size_mb: .nan}", "must be a number"),
        ("general_settings: {master_key: 0x1f}", "master_key: is a number; put it in quotes"),
        ("general_settings: {master_key: true}", "must be text, not a boolean"),
        (
            "general_settings: {master_key: \"MARKERsecret\\r\\nX: y\"}",
            "general_settings.master_key: holds a space",
        ),
        (
            "general_settings: {dangerously_permit_weak_or_unset_master_key: perhaps}",
            "must be true or false",
        ),
        ("general_settings: text", "must be a mapping of keys, not text"),
        ("environment_variables: [x]", "must map names to text, not be a list"),
        (
            "environment_variables: {A: true}",
            "environment_variables.A: must be text, not a boolean",
        ),
        ("outcrop: {\"a\\nb\": 1, driver: x}", "outcrop.driver"),
        ("model_list: {}", "model_list: must be a list of entries, not a mapping"),
        ("model_list: [x]", "model_list[0]: must be a mapping"),
    ] {
        refuse(yaml, &[], &[error]);
    }
}

#[test]
fn the_master_key_may_come_from_the_environment() {
    let none = "nothing is served";
    let key = |yaml: &str, environment: &[(&str, &str)], warnings: &[&str]| {
        let settings = check(yaml, environment, warnings).settings;
        settings.master_key.map(|key| key.expose().to_string())
    };
    let variable = [("LITELLM_MASTER_KEY", "MARKERsecret2")];
    assert_eq!(key("a: 1", &variable, &[none, "unknown key"]).as_deref(), Some("MARKERsecret2"));
    assert_eq!(key("general_settings: {master_key: x}", &variable, &[none]).as_deref(), Some("x"));
    assert_eq!(
        key("general_settings: {master_key: }", &variable, &[none]).as_deref(),
        Some("MARKERsecret2")
    );
    assert_eq!(
        key("general_settings: {master_key: ''}", &variable, &[none, "is empty: taken as unset"]),
        None
    );
    let empty = [("LITELLM_MASTER_KEY", "")];
    assert_eq!(key("include: []", &empty, &[none, "LITELLM_MASTER_KEY is empty"]), None);
    refuse(
        "include: []",
        &[("LITELLM_MASTER_KEY", "MARKERsecret\n")],
        &["variable LITELLM_MASTER_KEY holds a byte"],
    );
    let permit = "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY";
    for (value, permitted) in [("true", true), ("1", true), ("False", false), ("", false)] {
        assert_eq!(
            check("include: []", &[(permit, value)], &[none]).settings.permit_weak_master_key,
            permitted
        );
    }
    refuse("include: []", &[(permit, "maybe")], &["must be true or false"]);
}

#[test]
fn keys_without_effect_are_warned_of() {
    let yaml = "
modell_list: 1
guardrails: []
weight: 1
master_key: x
general_settings:
  databse_url: x
  database_host: x
  alerting: [slack]
router_settings:
  routing_strategy: simple-shuffle
  cache_responses: true
litellm_settings:
  cache: true
  drop_parms: true
outcrop:
  dirver: auto
";
    let warnings = [
        "c.yaml:2: modell_list: unknown key; did you mean `model_list`? (warning)",
        "c.yaml:3: guardrails: LiteLLM's key `guardrails` is not honoured by this version of Outcrop (warning)",
        "c.yaml:4: weight: unknown key; it has no effect (warning)",
        "c.yaml:5: master_key: belongs under `general_settings`; it has no effect here",
        "c.yaml:7: general_settings.databse_url: unknown key; did you mean `database_url`?",
        "c.yaml:8: general_settings.database_host: LiteLLM's key",
        "c.yaml:9: general_settings.alerting: LiteLLM's key",
        "c.yaml:12: router_settings.cache_responses: LiteLLM's key",
        "c.yaml:14: litellm_settings.cache: LiteLLM's key",
        "c.yaml:15: litellm_settings.drop_parms: unknown key; did you mean `drop_params`?",
        "c.yaml:17: outcrop.dirver: unknown key; did you mean `driver`?",
    ];
    let mut all = vec!["nothing is served"];
    all.extend(warnings);
    check(yaml, &[], &all);
}
