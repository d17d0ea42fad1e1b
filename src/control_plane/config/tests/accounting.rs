//! Ledger, store, access log, metrics.

use super::*;
use crate::control_plane::config::{AccessLog, OnClientDisconnect, OnFull};

/// What `yaml`, of a file in the folder `etc`, says about accounting.
fn accounting(yaml: &str, environment: &[(&str, &str)], warnings: &[&str]) -> Accounting {
    let yaml = format!("model_list: []\n{yaml}");
    let loaded = load_files(&[("etc/c.yaml", &yaml)], environment)
        .unwrap_or_else(|problems| panic!("{yaml}\n{}", rendered(&problems)));
    let found: Vec<_> = loaded.warnings.iter().skip(1).map(Problem::to_string).collect();
    assert_eq!(found.len(), warnings.len(), "{yaml}\n{found:#?}");
    assert!(found.iter().zip(warnings).all(|(one, part)| one.contains(part)), "{found:#?}");
    loaded.settings.accounting
}

/// In words: no two settings look alike.
fn shown(accounting: &Accounting) -> String {
    format!("{accounting:?}")
}

#[test]
fn what_is_not_said_has_its_default() {
    let expected = shown(&Accounting::in_folder("etc".into()));
    assert_eq!(shown(&accounting("", &[], &[])), expected);
    assert_eq!(shown(&accounting("outcrop: {ledger: }", &[], &[])), expected);
    let empty = [("DATABASE_URL", ""), ("JSON_LOGS", "")];
    assert_eq!(shown(&accounting("outcrop: {ledger: {}}", &empty, &[])), expected);
    let here = check("model_list: []", &[], &["nothing is served"]).settings.accounting;
    assert_eq!(here.data_dir, Path::new("."));
}

#[test]
fn all_of_it_is_read() {
    let yaml = "
outcrop:
  data_dir: data/x
  access_log: log/access.json
  on_client_disconnect: drain
  ledger: {enabled: false, on_full: refuse, sync_ms: 10}
general_settings:
  database_url: postgres://u:MARKERsecret@db.example:5433/spend?sslmode=require
  disable_spend_logs: true
  maximum_spend_logs_retention_period: 2w
litellm_settings:
  json_logs: true
  require_auth_for_metrics_endpoint: false
  callbacks: [prometheus]
  success_callback: prometheus
";
    let environment = [("DATABASE_URL", "mysql://x"), ("JSON_LOGS", "?")];
    let found = accounting(yaml, &environment, &["has no effect while outcrop.ledger.enabled"]);
    assert_eq!(found.data_dir, Path::new("etc/data/x"));
    assert_eq!(found.access_log, AccessLog::File("etc/log/access.json".into()));
    assert_eq!(found.on_client_disconnect, OnClientDisconnect::Drain);
    assert_eq!((found.enabled, found.on_full, found.sync_ms), (false, OnFull::Refuse, 10));
    let url = found.database_url.as_ref().unwrap().expose();
    assert_eq!(url, "postgres://u:MARKERsecret@db.example:5433/spend?sslmode=require");
    assert!(found.disable_spend_logs && found.json_logs && !found.metrics_need_key);
    assert_eq!(found.retention_s, Some(14 * 86_400));
}

#[test]
fn paths_are_relative_to_the_file_that_names_them() {
    let including = "model_list: []\ninclude: [more/o.yaml]\n";
    let included = "outcrop: {data_dir: d, access_log: a.log}\n";
    let files = [("c.yaml", including), ("more/o.yaml", included)];
    let found = load_files(&files, &[]).unwrap().settings.accounting;
    assert_eq!(found.data_dir, Path::new("more/d"));
    assert_eq!(found.access_log, AccessLog::File("more/a.log".into()));
    let found = accounting("outcrop: {data_dir: /var/lib/outcrop}", &[], &[]);
    assert_eq!(found.data_dir, Path::new("/var/lib/outcrop"));
}

#[test]
fn an_access_log_is_a_word_or_a_file() {
    let log =
        |word: &str| accounting(&format!("outcrop: {{access_log: {word}}}"), &[], &[]).access_log;
    assert_eq!(log("off"), AccessLog::Off);
    assert_eq!(log("false"), AccessLog::Off);
    assert_eq!(log("stdout"), AccessLog::Stdout);
    assert_eq!(log("auto"), AccessLog::Auto);
    assert_eq!(log("./off"), AccessLog::File("etc/./off".into()));
}

#[test]
fn the_environment_speaks_where_the_file_does_not() {
    let url = "postgresql://u:MARKERsecret@h/db";
    let found = accounting("", &[("DATABASE_URL", url), ("JSON_LOGS", "True")], &[]);
    assert_eq!(found.database_url.unwrap().expose(), url);
    assert!(found.json_logs);
    let found = accounting("litellm_settings: {json_logs: false}", &[("JSON_LOGS", "true")], &[]);
    assert!(!found.json_logs);
    refuse(
        "model_list: []",
        &[("DATABASE_URL", "mysql://u:MARKERsecret@h/db")],
        &["c.yaml:1: environment variable DATABASE_URL must begin with postgresql://"],
    );
    refuse("model_list: []", &[("JSON_LOGS", "maybe")], &["JSON_LOGS must be true or false"]);
}

#[test]
fn a_retention_period_is_a_duration_of_litellms() {
    let retention = |text: &str| {
        let yaml = format!("general_settings: {{maximum_spend_logs_retention_period: {text}}}");
        accounting(&yaml, &[], &[]).retention_s
    };
    for (text, seconds) in [
        ("90s", 90),
        ("5m", 300),
        ("12h", 43_200),
        ("30d", 2_592_000),
        ("1w", 604_800),
        ("2mo", 62 * 86_400),
        ("'7d'", 604_800),
    ] {
        assert_eq!(retention(text), Some(seconds), "{text}");
    }
    for text in
        ["30", "0d", "d", "-1d", "1.5h", "30 d", "1y", "soon", "99999999999999999999d", "99999w"]
    {
        refuse(
            &format!("\ngeneral_settings: {{maximum_spend_logs_retention_period: {text}}}"),
            &[],
            &[
                "c.yaml:2: general_settings.maximum_spend_logs_retention_period: must be a whole number above 0",
            ],
        );
    }
}

#[test]
fn what_is_wrong_is_refused_with_line_and_key() {
    for (yaml, error) in [
        (
            "outcrop:\n  ledger:\n    sync_ms: 9",
            "c.yaml:3: outcrop.ledger.sync_ms: must be a whole number of milliseconds, from 10 to 60000 (error)",
        ),
        ("outcrop: {ledger: {sync_ms: 60001}}", "outcrop.ledger.sync_ms: must be"),
        ("outcrop: {ledger: {sync_ms: 10.5}}", "outcrop.ledger.sync_ms: must be"),
        ("outcrop: {ledger: {sync_ms: 1e30}}", "outcrop.ledger.sync_ms: must be"),
        ("outcrop: {ledger: {sync_ms: fast}}", "sync_ms: must be a number, not text"),
        ("outcrop: {ledger: {on_full: drop}}", "outcrop.ledger.on_full: must be serve or refuse"),
        ("outcrop: {ledger: {on_full: 1}}", "must be serve or refuse"),
        ("outcrop: {ledger: {enabled: perhaps}}", "outcrop.ledger.enabled: must be true or false"),
        ("outcrop: {ledger: on}", "outcrop.ledger: must be a mapping of keys, not text"),
        ("outcrop: {on_client_disconnect: stop}", "on_client_disconnect: must be cancel or drain"),
        ("outcrop: {data_dir: [x]}", "outcrop.data_dir: must be text, not a list"),
        ("outcrop: {data_dir: ''}", "outcrop.data_dir: is empty"),
        ("outcrop: {access_log: {x: y}}", "outcrop.access_log: must be text"),
        (
            "general_settings: {database_url: 'mysql://u:MARKERsecret@h/d'}",
            "general_settings.database_url: must begin with postgresql://",
        ),
        ("general_settings: {database_url: 'postgresql://u:MARKERsecret/x@h/d'}", "percent-encode"),
        (
            "general_settings: {database_url: 'sqlite:///MARKERsecret.db'}",
            "SQLite, which needs no key: remove it; outcrop.data_dir",
        ),
        (
            "general_settings: {database_url: os.environ/URL}",
            "general_settings.database_url: must begin",
        ),
        ("general_settings: {disable_spend_logs: x}", "disable_spend_logs: must be true or false"),
        ("litellm_settings: {json_logs: x}", "litellm_settings.json_logs: must be true or false"),
        ("litellm_settings: {require_auth_for_metrics_endpoint: x}", "must be true or false"),
    ] {
        refuse(yaml, &[("URL", "http://MARKERsecret")], &[error]);
    }
}

#[test]
fn what_has_no_effect_is_warned_of() {
    let yaml = "
outcrop:
  sync_ms: 5
  ledger:
    sync: 5
    on_ful: serve
litellm_settings:
  callbacks:
  - prometheus
  - langfuse
  success_callback: datadog
  failure_callback: []
";
    let warnings = [
        "etc/c.yaml:4: outcrop.sync_ms: belongs under `ledger`",
        "etc/c.yaml:6: outcrop.ledger.sync: unknown key; did you mean `sync_ms`?",
        "etc/c.yaml:7: outcrop.ledger.on_ful: unknown key; did you mean `on_full`?",
        "etc/c.yaml:11: litellm_settings.callbacks[1]: LiteLLM's callbacks are not honoured",
        "etc/c.yaml:12: litellm_settings.success_callback: LiteLLM's callbacks are not honoured",
    ];
    assert_eq!(accounting(yaml, &[], &warnings).sync_ms, 1000);
}
