//! Questions to the store: by group and by day, row by row, and from the command line.

use std::process::{Command, Output};

use outcrop::bedrock::usage::Usage;
use outcrop::boundary::ledger::entry::{
    Charge, DeploymentRef, Entry, KeptCallId, KeyRef, Marks, UnknownCost,
};
use outcrop::control_plane::names::MASTER_KEY_NAME;
use outcrop::control_plane::spend::{Day, GroupBy, LogsQuery, ReportQuery, in_dollars};
use outcrop::control_plane::store::SQLITE_FILE;
use outcrop::units::{PicoUsd, RequestId, Tokens, UnixMicros};

use super::place::{DAY, Place, deployment_name, entries, key_name, on_both, record, run, store};
use super::{ALL, sums, total};
use crate::running::path;

on_both!(
    a_report_has_a_row_for_each_group,
    rows_are_found_newest_first,
    a_row_tells_all,
    what_has_no_name_shows_its_reference
);

fn a_report_has_a_row_for_each_group(place: &Place) {
    run(async {
        let store = store(place);
        let all = entries(30, 500);
        record(&store, &all, &place.names).await.expect("recorded");
        let days = |start: Option<u32>, end: Option<u32>| ReportQuery {
            group_by: GroupBy::Day,
            start: start.map(|day| Day(DAY.0 + day)),
            end: end.map(|day| Day(DAY.0 + day)),
        };
        for (query, expected) in [
            (days(None, None), vec![0, 1, 2]),
            (days(Some(1), None), vec![1, 2]),
            (days(None, Some(1)), vec![0, 1]),
            (days(Some(1), Some(1)), vec![1]),
            (days(Some(3), None), vec![]),
        ] {
            let report = store.report(&query).await.expect("a report");
            let groups: Vec<&str> = report.data.iter().map(|row| row.group.as_str()).collect();
            let names: Vec<String> =
                expected.iter().map(|day| Day(DAY.0 + day).to_string()).collect();
            assert_eq!(groups, names, "{query:?}");
            for (row, day) in report.data.iter().zip(expected) {
                let of_day: Vec<_> = all
                    .iter()
                    .filter(|it| Day::of(it.started.seconds()).0 == DAY.0 + day)
                    .copied()
                    .collect();
                assert_eq!(row.totals, sums(&of_day), "day {day}");
            }
        }
        let query = ReportQuery { group_by: GroupBy::ApiKey, ..ALL };
        let report = store.report(&query).await.expect("a report");
        assert!(
            report.data.is_sorted_by(|a, b| a.totals.spend >= b.totals.spend),
            "the dearest first"
        );
        let key = all.iter().filter(|entry| entry.key == KeyRef(2)).copied().collect::<Vec<_>>();
        let row =
            report.data.iter().find(|row| row.group == "ref:0000000000000002").expect("a row");
        assert_eq!(row.totals, sums(&key));
        assert!(report.data.iter().any(|row| row.group.is_empty()), "without a key");
    });
}

fn rows_are_found_newest_first(place: &Place) {
    run(async {
        let store = store(place);
        let mut all = entries(31, 300);
        all[7].call_id = KeptCallId::new(b"the-one");
        // Within one millisecond, and the ids in the other order.
        all[8].started = UnixMicros(all[8].started.0 / 1000 * 1000);
        all[9].started = UnixMicros(all[8].started.0 + 999);
        all[8].request_id = RequestId::new(all[8].started, u128::MAX);
        all[9].request_id = RequestId::new(all[9].started, 0);
        record(&store, &all, &place.names).await.expect("recorded");
        all.sort_by_key(|entry| std::cmp::Reverse((entry.started, entry.request_id)));
        let expected = |keep: &dyn Fn(&Entry) -> bool| -> Vec<String> {
            let kept = all.iter().filter(|entry| keep(entry));
            kept.map(|entry| String::from_utf8_lossy(&entry.request_id.text()).into()).collect()
        };
        let ask = async |query: LogsQuery| -> Vec<String> {
            let rows = store.logs(&query).await.expect("rows");
            rows.iter().map(|row| row["request_id"].as_str().expect("an id").to_owned()).collect()
        };
        let any = LogsQuery { limit: 1000, ..LogsQuery::default() };
        assert_eq!(ask(any.clone()).await, expected(&|_| true));
        assert_eq!(ask(LogsQuery { limit: 7, ..any.clone() }).await, expected(&|_| true)[..7]);
        let key = LogsQuery { api_key: Some("ref:0000000000000001".into()), ..any.clone() };
        assert_eq!(ask(key).await, expected(&|entry| entry.key == KeyRef(1)));
        let day = Day(DAY.0 + 1);
        let of_day = LogsQuery { start: Some(day), end: Some(day), ..any.clone() };
        assert_eq!(ask(of_day).await, expected(&|it| Day::of(it.started.seconds()) == day));
        let theirs = LogsQuery { request_id: Some("the-one".into()), ..any.clone() };
        let found = ask(theirs).await;
        assert_eq!(found, expected(&|entry| entry.call_id.text() == "the-one"));
        let ours = LogsQuery { request_id: found.first().cloned(), ..any };
        assert_eq!(ask(ours).await, found, "by our id or the client's");
    });
}

fn a_row_tells_all(place: &Place) {
    run(async {
        let store = store(place);
        let mut all = entries(36, 20);
        let one = &mut all[7];
        one.call_id = KeptCallId::new(b"the-one");
        one.charge = Charge::Known(PicoUsd(1_500_000_000_001));
        let marks = [Marks::STREAM, Marks::LONG_CONTEXT, Marks::REUSED];
        one.marks = marks.into_iter().fold(Marks::default(), |all, mark| all.with(mark, true));
        let tokens = |count| Some(Tokens(count));
        one.usage = Usage {
            input: tokens(3),
            output: tokens(5),
            cache_write_5m: tokens(1),
            cache_write_1h: tokens(0),
            ..Usage::default()
        };
        all[8].charge = Charge::Unknown(UnknownCost::NoRate);
        record(&store, &all, &place.names).await.expect("recorded");
        let query =
            LogsQuery { request_id: Some("the-one".into()), limit: 9, ..LogsQuery::default() };
        let rows = store.logs(&query).await.expect("rows");
        assert_eq!(rows.len(), 1);
        let row = &rows[0];
        for (name, value) in [
            ("spend", "1.500000000001".into()),
            ("cost_pico", 1_500_000_000_001_u64.into()),
            ("prompt_tokens", 4.into()),
            ("completion_tokens", 5.into()),
            ("total_tokens", 9.into()),
            ("stream", true.into()),
            ("marks", "long_context reused".into()),
            ("request_duration_ms", 1500.into()),
            ("custom_llm_provider", "bedrock".into()),
            ("litellm_call_id", "the-one".into()),
            ("unknown_cost", serde_json::Value::Null),
            ("cache_read_tokens", serde_json::Value::Null),
        ] {
            assert_eq!(row[name], value, "{name} in {row}");
        }
        // The columns that the database derives say the same, to the hundredth of a second: the rest
        // SQLite rounds.
        let shown = if place.is_postgres() {
            "to_char(\"@\", 'YYYY-MM-DD\"T\"HH24:MI:SS.MS')"
        } else {
            "\"@\""
        };
        for name in ["startTime", "endTime", "completionStartTime"] {
            let column = shown.replace('@', name);
            let sql = format!("SELECT {column} FROM spend_logs WHERE litellm_call_id = 'the-one'");
            let moment = row[name].as_str().expect("a moment");
            assert_eq!(place.text(&sql).await[..22], moment[..22], "{name}");
            assert!(moment.ends_with('Z'), "{moment}");
        }
        let unknown = place.number("SELECT COUNT(*) FROM spend_logs WHERE spend IS NULL").await;
        assert!(unknown > 0, "unknown is not 0");
    });
}

fn what_has_no_name_shows_its_reference(place: &Place) {
    run(async {
        let store = store(place);
        let mut names = outcrop::control_plane::names::Names::in_memory();
        let deployment = names.add_deployment(&deployment_name(1)).expect("no file");
        let key = names.add_key(&key_name(1)).expect("no file");
        let mut all = entries(32, 3);
        (all[0].deployment, all[0].key) = (deployment, key);
        (all[1].deployment, all[1].key) = (DeploymentRef(0xabc), KeyRef(0xdef));
        (all[2].deployment, all[2].key) = (DeploymentRef(0), KeyRef(0));
        record(&store, &all, &names).await.expect("recorded");
        for column in ["model_id", "model_group", "api_key", "api_key_alias", "region"] {
            let sql = format!("SELECT {column} FROM spend_logs ORDER BY {column}");
            let found = place.text(&sql).await;
            let expected = match column {
                "model_id" => "\ndeployment-1\nref:0000000000000abc".to_owned(),
                "model_group" => "\ngroup-1\nref:0000000000000abc".to_owned(),
                "api_key" => format!("\n{}\nref:0000000000000def", key_name(1).api_key),
                "api_key_alias" => "\n\nteam 1".to_owned(),
                _ => "\n\nus-east-1".to_owned(),
            };
            assert_eq!(found, expected, "{column}");
        }
        // The name is learnt later, and two references may come to have one: no row is lost.
        let moved = deployment_name(1);
        let moved = outcrop::control_plane::names::DeploymentName {
            api_base: "https://elsewhere".into(),
            ..moved
        };
        let mut more = entries(33, 2);
        more[0].deployment = names.add_deployment(&moved).expect("no file");
        more[1].deployment = deployment;
        (more[0].key, more[1].key) = (key, key);
        more[1].started = more[0].started;
        record(&store, &more, &names).await.expect("recorded");
        assert_eq!(total(&store).await, sums(&[&all[..], &more[..]].concat()));
    });
}

#[test]
fn questions_are_answered_from_indices() {
    let place = Place::sqlite();
    run(async {
        record(&store(&place), &entries(34, 10), &place.names).await.expect("recorded");
        for (sql, index) in [
            (
                "SELECT * FROM spend_logs WHERE chunk_last_id >= '5' AND chunk_first_id < '9'",
                "SEARCH c USING INDEX spend_chunks_last_id (last_id>?)",
            ),
            (
                "SELECT rows FROM spend_chunks WHERE (last_id, id) < ('9', 9) AND last_id >= '5' ORDER BY last_id DESC, id DESC LIMIT 9",
                "SEARCH spend_chunks USING INDEX spend_chunks_last_id (last_id",
            ),
            (
                "SELECT ids FROM spend_chunks WHERE (last_id, id) > ('5', 0) AND first_id <= '9' ORDER BY last_id, id LIMIT 9",
                "SEARCH spend_chunks USING INDEX spend_chunks_last_id (last_id",
            ),
            (
                "SELECT request_id FROM spend_calls WHERE litellm_call_id = 'a'",
                "SEARCH spend_calls USING PRIMARY KEY",
            ),
        ] {
            let plan = place.text(&format!("EXPLAIN QUERY PLAN {sql}")).await;
            assert!(plan.contains(index), "{sql}: {plan}");
        }
        let sql = "EXPLAIN QUERY PLAN SELECT day, SUM(requests) FROM daily_spend WHERE day >= 'a' GROUP BY day";
        assert!(place.text(sql).await.contains("SEARCH daily_spend USING PRIMARY KEY"));
    });
}

#[test]
fn the_command_line_shows_what_was_spent() {
    let place = Place::sqlite();
    let folder = &place.accounting.data_dir;
    let config = folder.join("config.yaml");
    std::fs::write(
        &config,
        "model_list:\n  - model_name: claude\n    litellm_params:\n      model: bedrock/anthropic.claude-3-haiku-20240307-v1:0\n      aws_region_name: us-east-1\n      aws_access_key_id: AKIAIOSFODNN7EXAMPLE\n      aws_secret_access_key: x\n",
    )
    .expect("a writable folder");
    let spend = |flags: &[&str]| -> Output {
        Command::new(env!("CARGO_BIN_EXE_outcrop"))
            .args(["spend", "--config", config.to_str().expect("UTF-8")])
            .args(flags)
            .env_clear()
            .env("PATH", path())
            .output()
            .expect("outcrop starts")
    };
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    let none = spend(&[]);
    assert_eq!(none.status.code(), Some(1), "{}", text(&none.stderr));
    assert!(text(&none.stderr).contains(SQLITE_FILE), "{}", text(&none.stderr));
    for wrong in [&["--by", "colour"][..], &["--since", "today"], &["--json", "--csv"]] {
        assert_eq!(spend(wrong).status.code(), Some(2), "{wrong:?}");
    }
    run(async {
        // Open and in use, as by a proxy that runs.
        let store = store(&place);
        let mut names = outcrop::control_plane::names::Names::in_memory();
        let master = outcrop::control_plane::names::KeyName {
            api_key: MASTER_KEY_NAME.into(),
            alias: String::new(),
        };
        let key = names.add_key(&master).expect("no file");
        let deployment = names.add_deployment(&deployment_name(2)).expect("no file");
        let mut all = entries(35, 40);
        all.iter_mut().for_each(|entry| (entry.key, entry.deployment) = (key, deployment));
        record(&store, &all, &names).await.expect("recorded");
        let sums = sums(&all);
        let table = spend(&[]);
        assert_eq!(table.status.code(), Some(0), "{}", text(&table.stderr));
        let table = text(&table.stdout);
        assert!(table.contains("group-2") && table.contains(&in_dollars(sums.spend)), "{table}");
        assert!(table.lines().last().is_some_and(|line| line.starts_with("total")), "{table}");
        let json: serde_json::Value =
            serde_json::from_slice(&spend(&["--json", "--by", "api_key"]).stdout).expect("JSON");
        assert_eq!(json["total"]["spend"], in_dollars(sums.spend));
        assert_eq!(json["data"][0]["group"], MASTER_KEY_NAME);
        let csv =
            text(&spend(&["--csv", "--by=day", "--since=2026-11-24", "--until=2026-11-24"]).stdout);
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(lines.len(), 2, "{csv}");
        assert!(
            lines[0].starts_with("day,spend_usd,") && lines[1].starts_with("2026-11-24,"),
            "{csv}"
        );
    });
    // The proxy has ended; the file is still read.
    assert_eq!(spend(&["--by", "deployment"]).status.code(), Some(0));
}
