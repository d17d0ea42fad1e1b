//! Metrics read by parsers that are not ours: Python's `prometheus_client`, and `promtool` where it is.
//!
//! `clients/metrics.py` looks for what the format forbids; here is what must be in the text: LiteLLM's
//! names and types, the sums to the pico-dollar, and no label that a client could fill.

use crate::clients::{Package, bounded, python};
use outcrop::{
    bedrock::usage::Usage,
    boundary::{
        counters::CoreCounts,
        ledger::entry::{Charge, Entry, Marks, Outcome, Timing, UnknownCost},
    },
    control_plane::{
        metrics::{Gauges, LedgerCounts, Metrics},
        names::{DeploymentName, KeyName, Names},
    },
    units::{PicoUsd, Tokens},
};
use serde_json::Value;
use std::{
    io::Write as _,
    path::Path,
    process::{Command, Output, Stdio},
};

const PROMETHEUS: Package = Package {
    folder: "metrics",
    requirement: "prometheus-client>=0.20",
    module: "prometheus_client",
    variable: "OUTCROP_PYTHON_METRICS",
};
const PARSE_SECONDS_MAX: u32 = 120;

/// LiteLLM's, as its users' dashboards name them, without `_total`.
const LITELLM_COUNTERS: [&str; 12] = [
    "litellm_proxy_total_requests_metric",
    "litellm_proxy_failed_requests_metric",
    "litellm_spend_metric",
    "litellm_total_tokens_metric",
    "litellm_input_tokens_metric",
    "litellm_output_tokens_metric",
    "litellm_input_cached_tokens_metric",
    "litellm_input_cache_creation_tokens_metric",
    "litellm_deployment_total_requests",
    "litellm_deployment_success_responses",
    "litellm_deployment_failure_responses",
    "litellm_llm_api_failed_requests_metric",
];
const LITELLM_HISTOGRAMS: [&str; 5] = [
    "litellm_request_total_latency_metric",
    "litellm_llm_api_latency_metric",
    "litellm_llm_api_time_to_first_token_metric",
    "litellm_overhead_latency_metric",
    "litellm_deployment_latency_per_output_token",
];
/// All that may ever be labels: from the configuration, or words of AWS's and ours.
const LABELS: [&str; 19] = [
    "api_key_alias",
    "api_provider",
    "core",
    "driver",
    "exception_class",
    "exception_status",
    "hashed_api_key",
    "kind",
    "le",
    "litellm_model_name",
    "model",
    "model_group",
    "model_id",
    "outcome",
    "reason",
    "requested_model",
    "reused",
    "status_code",
    "version",
];

#[test]
fn prometheus_reads_the_metrics_and_gets_our_sums() {
    let Some(python) = python(&PROMETHEUS) else { return };
    let (text, pico) = specimen();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/clients/metrics.py");
    let output = feed(bounded(PARSE_SECONDS_MAX, &python).arg("-B").arg(script), &text);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{said}", output.status);
    let report: Value = serde_json::from_slice(&output.stdout).expect("a report in JSON");

    assert_eq!(report["problems"], serde_json::json!([]));
    for name in LITELLM_COUNTERS {
        assert_eq!(report["types"][name], "counter", "{name}");
    }
    for name in LITELLM_HISTOGRAMS {
        assert_eq!(report["types"][name], "histogram", "{name}");
    }
    for name in ["litellm_in_flight_requests", "litellm_deployment_state", "outcrop_ledger_depth"] {
        assert_eq!(report["types"][name], "gauge", "{name}");
    }
    for (family, labels) in report["labels"].as_object().expect("labels by family") {
        for label in labels.as_array().expect("labels") {
            let is_known = LABELS.contains(&label.as_str().expect("a name"));
            assert!(is_known, "{family} has the label {label}");
        }
    }
    let documented = include_str!("../../docs/metrics.md");
    for (family, kind) in report["types"].as_object().expect("types by family") {
        let total = if kind == "counter" { "_total" } else { "" };
        assert!(documented.contains(&format!("`{family}{total}`")), "{family} is not documented");
    }
    let dollars = format!("{}.{:012}", pico / 10_u128.pow(12), pico % 10_u128.pow(12));
    assert_eq!(report["sums"]["litellm_spend_metric_total"], dollars.trim_end_matches('0'));
    assert_eq!(report["sums"]["outcrop_spend_pico_usd_total"], pico.to_string());
}

#[test]
fn promtool_finds_no_error() {
    if Command::new("promtool").arg("--version").output().is_err() {
        // Debian's package `prometheus` brings a server along; CI has the parser above.
        let _ = writeln!(std::io::stderr(), "promtool is not here: not asked");
        return;
    }
    let output = feed(Command::new("promtool").args(["check", "metrics"]), &specimen().0);
    let said = String::from_utf8_lossy(&output.stderr);
    // 3: it would have named something otherwise, as LiteLLM's names.
    assert!(matches!(output.status.code(), Some(0 | 3)), "{}\n{said}", output.status);
}

fn feed(command: &mut Command, text: &str) -> Output {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    child.stdin.take().expect("piped").write_all(text.as_bytes()).expect("it reads");
    child.wait_with_output().expect("it ends")
}

/// Every kind of entry, under names that try to break out; and what they cost in pico-dollars.
fn specimen() -> (String, u128) {
    let mut names = Names::in_memory();
    let hostile = ["plain", "quote\"d", "back\\slash", "line\nbreak\r\u{1b}", "}{,=# ", "é😀", ""];
    let mut entries = Vec::new();
    let outcomes = [
        Outcome::Whole,
        Outcome::AnswerCut,
        Outcome::StreamCorrupt,
        Outcome::ClientGone,
        Outcome::Refused,
        Outcome::Page,
    ];
    for (at, name) in hostile.iter().enumerate() {
        let deployment = DeploymentName {
            id: format!("id-{name}"),
            model_group: (*name).into(),
            model: (*name).into(),
            region: (*name).into(),
            api_base: (*name).into(),
        };
        let key = KeyName { api_key: format!("hash-{name}"), alias: (*name).into() };
        let deployment = names.add_deployment(&deployment).expect("no file");
        let key = names.add_key(&key).expect("no file");
        for (n, outcome) in outcomes.into_iter().enumerate() {
            let number = u64::try_from(at * outcomes.len() + n).expect("small");
            for (status, charge) in [
                (200, Charge::Known(PicoUsd(u64::MAX / 3 + number))),
                (429, Charge::Known(PicoUsd(number))),
                (503, Charge::Unknown(UnknownCost::NoUsage)),
                (0, Charge::Unknown(UnknownCost::NoRate)),
            ] {
                entries.push(Entry {
                    deployment,
                    key,
                    outcome,
                    status,
                    charge,
                    usage: Usage {
                        input: Some(Tokens(number)),
                        output: Some(Tokens(number + 1)),
                        cache_read: Some(Tokens(2)),
                        cache_write_5m: Some(Tokens(3)),
                        ..Usage::default()
                    },
                    marks: Marks::STREAM,
                    timing: Timing {
                        total_us: 400 << number.min(22),
                        overhead_us: 40,
                        first_byte_us: 90,
                        first_content_us: 100,
                    },
                    ..Entry::default()
                });
            }
        }
    }
    let mut metrics = Metrics::default();
    metrics.observe(&entries, &names);
    let core = CoreCounts { in_flight: 2, ..CoreCounts::default() };
    let ledger = LedgerCounts { depth: 1, capacity: 8, lost: 0, torn: 0 };
    let gauges = Gauges {
        cores: &[core, core],
        ledger,
        busy_us: &[123_456_789, 0],
        version: "0.1.0",
        driver: "io_uring",
        ..Gauges::default()
    };
    let counted = entries.iter().filter(|entry| entry.outcome != Outcome::Page);
    let known = counted.filter_map(|entry| entry.charge.known());
    (metrics.render(&gauges), known.map(|amount| u128::from(amount.0)).sum())
}
