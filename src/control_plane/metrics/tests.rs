//! Sums that agree with the log's, bounds that hold, and what is not known.

use std::collections::{BTreeMap, HashSet};

use super::*;
use crate::{
    bedrock::{fault::ErrorName, usage::Told},
    boundary::{
        counters::CoreCounts,
        ledger::entry::{Timing, UnknownCost},
    },
    control_plane::{
        access_log::{Who, write_json},
        names::{DeploymentName, KeyName},
    },
    limits::OUTAGE_FAILURES_MIN,
    units::{PicoUsd, Tokens},
};

fn deployment(id: &str) -> DeploymentName {
    DeploymentName {
        id: id.into(),
        model_group: "claude".into(),
        model: "anthropic.claude".into(),
        region: "us-east-1".into(),
        api_base: "https://h".into(),
    }
}

fn key(alias: &str) -> KeyName {
    KeyName { api_key: format!("hash-of-{alias}"), alias: alias.into() }
}

fn whole(deployment: DeploymentRef, key: KeyRef) -> Entry {
    Entry {
        deployment,
        key,
        outcome: Outcome::Whole,
        status: 200,
        usage: Usage {
            input: Some(Tokens(100)),
            output: Some(Tokens(10)),
            cache_read: Some(Tokens(7)),
            ..Usage::default()
        },
        charge: Charge::Known(PicoUsd(1)),
        marks: Marks::STREAM,
        timing: Timing {
            total_us: 1_000_000,
            overhead_us: 50,
            first_byte_us: 20_000,
            first_content_us: 30_000,
        },
        attempts: 1,
        ..Entry::default()
    }
}

/// Samples as (name, labels, value), apart from comments.
fn samples(text: &str) -> Vec<(&str, &str, &str)> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            (name, labels.trim_end_matches('}'), value)
        })
        .collect()
}

fn pico(decimal: &str) -> u128 {
    let (whole, rest) = decimal.split_once('.').unwrap_or((decimal, ""));
    format!("{whole}{rest:0<12}").parse().unwrap()
}

fn sum(text: &str, family: &str) -> u128 {
    let own = samples(text).into_iter().filter(|(name, ..)| *name == family);
    own.map(|(_, _, value)| pico(value)).sum()
}

#[test]
fn metrics_log_and_entries_agree_to_the_pico_dollar() {
    let mut names = Names::in_memory();
    let places: Vec<_> =
        (0..5).map(|n| names.add_deployment(&deployment(&n.to_string())).unwrap()).collect();
    let keys: Vec<_> = (0..4).map(|n| names.add_key(&key(&n.to_string())).unwrap()).collect();
    let mut random = fastrand::Rng::with_seed(3);
    let outcomes = [Outcome::Whole, Outcome::ClientGone, Outcome::AnswerCut, Outcome::Refused];
    let entries: Vec<Entry> = (0..20_000)
        .map(|_| Entry {
            outcome: *random.choice(&outcomes).unwrap(),
            charge: match random.u8(0..4) {
                0 => Charge::Unknown(UnknownCost::NoRate),
                1 => Charge::Known(PicoUsd(random.u64(..))), // far above 2^53 together
                _ => Charge::Known(PicoUsd(random.u64(..1_000_000_000))),
            },
            ..whole(*random.choice(&places).unwrap(), *random.choice(&keys).unwrap())
        })
        .collect();
    let mut metrics = Metrics::default();
    let mut logged = 0_u128;
    for batch in entries.chunks(777) {
        metrics.observe(batch, &names);
        for entry in batch {
            let mut line = Vec::new();
            write_json(entry, Who::of(entry, &names), &mut line);
            let line: serde_json::Value = serde_json::from_slice(&line).unwrap();
            logged += line.get("cost_pico").map_or(0, |pico| u128::from(pico.as_u64().unwrap()));
            let spend = line.get("spend").map_or(0, |spend| pico(spend.as_str().unwrap()));
            assert_eq!(u128::from(entry.charge.known().unwrap_or_default().0), spend);
        }
    }
    let expected: u128 =
        entries.iter().filter_map(|entry| entry.charge.known()).map(|it| u128::from(it.0)).sum();
    let text = metrics.render(&Gauges::default());
    assert_eq!(logged, expected);
    assert_eq!(sum(&text, "litellm_spend_metric_total"), expected);
    assert_eq!(sum(&text, "outcrop_spend_pico_usd_total"), expected * 10_u128.pow(12));
    let unknown = entries.iter().filter(|it| it.is_stored() && it.charge.known().is_none()).count();
    let unknown = u128::try_from(unknown).unwrap() * 10_u128.pow(12);
    assert_eq!(sum(&text, "outcrop_unknown_cost_total"), unknown);
    let all = 20_000 * 10_u128.pow(12);
    assert_eq!(sum(&text, "litellm_proxy_total_requests_metric_total"), all);
    assert_eq!(sum(&text, "outcrop_outcomes_total"), all);
    assert_eq!(sum(&text, "litellm_output_tokens_metric_total"), all * 10);
}

#[test]
fn labels_stay_bounded_and_sums_exact() {
    const MANY: u32 = 100_000;
    let mut names = Names::in_memory();
    let mut metrics = Metrics::default();
    for number in 0..MANY {
        let mut entry = whole(
            names.add_deployment(&deployment(&number.to_string())).unwrap(),
            names.add_key(&key(&(number % 1000).to_string())).unwrap(),
        );
        entry.status = u16::try_from(200 + number % 400).unwrap();
        metrics.observe(&[entry], &names);
    }
    let text = metrics.render(&Gauges::default());
    let samples = samples(&text);
    let mut series = BTreeMap::<&str, usize>::new();
    let mut seen = HashSet::new();
    for (name, labels, _) in &samples {
        *series.entry(name).or_default() += 1;
        assert!(seen.insert((*name, *labels)), "twice: {name}{{{labels}}}");
    }
    for (name, count) in series {
        let (sets, lines) = match name.ends_with("_bucket") {
            true => (METRIC_HISTOGRAM_SETS_MAX, 18),
            false => (METRIC_LABEL_SETS_MAX, 1),
        };
        let folded = (METRIC_DEPLOYMENTS_MAX + 3) * 6;
        assert!(count <= (sets + folded) * lines, "{name}: {count}");
    }
    assert!(text.len() < 16 << 20, "{} B", text.len());
    assert!(text.contains("model_id=\"other\""));
    assert_eq!(sum(&text, "litellm_spend_metric_total"), u128::from(MANY));
    let requests = u128::from(MANY) * 10_u128.pow(12);
    assert_eq!(sum(&text, "litellm_proxy_total_requests_metric_total"), requests);
    let done = sum(&text, "litellm_deployment_success_responses_total");
    let failed = sum(&text, "litellm_deployment_failure_responses_total");
    assert_eq!(done + failed, sum(&text, "litellm_deployment_total_requests_total"));
    assert_eq!(done + failed, requests);
}

#[test]
fn what_nobody_told_is_not_there() {
    let names = Names::in_memory();
    let mut metrics = Metrics::default();
    let silent = Entry { outcome: Outcome::NoAnswer, status: 504, ..Entry::default() };
    let refused = Entry { outcome: Outcome::Refused, status: 403, ..Entry::default() };
    let page = Entry { outcome: Outcome::Page, status: 200, ..Entry::default() };
    metrics.observe(&[silent, refused, page], &names);
    let text = metrics.render(&Gauges::default());
    for (name, labels, value) in samples(&text) {
        let is_count_of_use = name.contains("tokens") || name.contains("spend");
        assert!(!is_count_of_use, "{name}{{{labels}}} {value}");
        assert!(!name.contains("latency"), "nothing was whole: {name}");
    }
    let nobody = "hashed_api_key=\"none\",api_key_alias=\"none\"";
    let none = "requested_model=\"none\",model=\"none\",model_id=\"none\",api_provider=\"bedrock\"";
    assert!(text.contains(&format!(
        "litellm_proxy_total_requests_metric_total{{{none},{nobody},status_code=\"403\"}} 1\n"
    )));
    assert_eq!(sum(&text, "litellm_proxy_total_requests_metric_total"), 2 * 10_u128.pow(12));
    assert!(text.contains("outcrop_outcomes_total{outcome=\"page\"} 1\n"));
    assert_eq!(sum(&text, "outcrop_unknown_cost_total"), 10_u128.pow(12), "what AWS saw alone");
    let lost_name = whole(DeploymentRef(77), KeyRef(78));
    metrics.observe(&[lost_name], &names);
    let text = metrics.render(&Gauges::default());
    assert!(text.contains("model_id=\"unknown\"") && text.contains("hashed_api_key=\"unknown\""));
}

#[test]
fn one_label_set_is_one_series() {
    let mut names = Names::in_memory();
    let here = deployment("east\"\\\n\u{1b}");
    let moved = DeploymentName { region: "us-west-2".into(), ..here.clone() };
    let (first, second) =
        (names.add_deployment(&here).unwrap(), names.add_deployment(&moved).unwrap());
    let key = names.add_key(&key("other")).unwrap();
    let mut metrics = Metrics::default();
    metrics.observe(&[whole(first, key), whole(second, key)], &names);
    let text = metrics.render(&Gauges::default());
    let spend: Vec<_> =
        samples(&text).into_iter().filter(|it| it.0 == "litellm_spend_metric_total").collect();
    assert_eq!(spend.len(), 1, "{spend:?}");
    assert_eq!(spend[0].2, "0.000000000002");
    assert!(spend[0].1.contains("model_id=\"east\\\"\\\\\\n\u{fffd}\""), "{spend:?}");
}

#[test]
fn a_deployments_state_follows_its_requests() {
    let mut names = Names::in_memory();
    let east = names.add_deployment(&deployment("east")).unwrap();
    let mut metrics = Metrics::default();
    let good = whole(east, KeyRef::default());
    let throttled = Entry { status: 429, error: ErrorName::of(b"ThrottlingException"), ..good };
    let invalid = Entry { status: 400, ..good };
    let mut check = |entry: Entry, state: &str| {
        metrics.observe(&[entry], &names);
        let text = metrics.render(&Gauges::default());
        let (.., value) =
            *samples(&text).iter().find(|it| it.0 == "litellm_deployment_state").unwrap();
        assert_eq!(value, state);
        text
    };
    check(good, "0");
    check(throttled, "1");
    check(invalid, "1");
    for _ in 2..OUTAGE_FAILURES_MIN {
        check(throttled, "1");
    }
    check(throttled, "2");
    let text = check(good, "0");
    assert!(text.contains("exception_status=\"429\",exception_class=\"ThrottlingException\"} 3\n"));
    assert!(text.contains("exception_status=\"400\",exception_class=\"none\"} 1\n"), "{text}");
}

#[test]
fn events_and_gauges_are_shown() {
    let mut names = Names::in_memory();
    let east = names.add_deployment(&deployment("east")).unwrap();
    let good = whole(east, KeyRef::default());
    let entries = [
        Entry { outcome: Outcome::StreamCorrupt, ..good },
        Entry { outcome: Outcome::Drained, ..good },
        Entry { marks: Marks::STREAM_EXCEPTION, ..good },
        Entry { usage: Usage { partial: true, ..good.usage }, ..good },
        Entry { usage: Usage { told: Some(Told::default()), ..good.usage }, ..good },
    ];
    let mut metrics = Metrics::default();
    metrics.observe(&entries, &names);
    let core = CoreCounts { in_flight: 3, upstream_reuses: 9, ..CoreCounts::default() };
    let ledger = LedgerCounts { depth: 1, capacity: 2, lost: 3, torn: 4 };
    let gauges = Gauges {
        cores: &[core, core],
        ledger,
        busy_us: &[0, 1_500_000],
        store_away_ms: 1500,
        version: "0.1.0",
        driver: "epoll",
        ..Gauges::default()
    };
    let text = metrics.render(&gauges);
    for name in [
        "corrupt_streams",
        "stream_exceptions",
        "partial_usage",
        "usage_disagreements",
        "client_gone",
    ] {
        assert_eq!(sum(&text, &format!("outcrop_{name}_total")), 10_u128.pow(12), "{name}");
    }
    for line in [
        "litellm_in_flight_requests 6\n",
        "outcrop_upstream_connections_total{reused=\"true\"} 18\n",
        "outcrop_core_busy_seconds_total{core=\"1\"} 1.5\n",
        "outcrop_ledger_depth 1\n",
        "outcrop_ledger_lost_total 3\n",
        "outcrop_store_away_seconds 1.5\n",
        "outcrop_build_info{version=\"0.1.0\",driver=\"epoll\"} 1\n",
        "outcrop_access_log_dropped_total 0\n",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
}
