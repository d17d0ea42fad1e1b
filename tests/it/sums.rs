//! One mixed run of the real binary, and then: log, store, daily sums, report, metrics and `outcrop spend` say
//! the same, to the pico-dollar and the token, and none of them holds a secret.

mod books;
mod traffic;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use outcrop::control_plane::config::DriverChoice;
use outcrop::mock_bedrock::{Options, StandIn};
use serde_json::Value;

use self::books::{Books, Metrics, pico};
use self::traffic::{ANSWERED, Expected, MARKERS, Run, stale_upstream};
use crate::accounts::books::{access_log, read_lines, stored};
use crate::proxy::{KEY, ca_file, config_file, under_both_drivers};
use crate::running::{Running, answers_ready, within};

under_both_drivers!(all_books_agree);

/// Requests that go at a time.
const THREADS: usize = 4;
/// How often each kind of request is sent.
const ROUNDS: usize = 6;

fn all_books_agree(driver: DriverChoice) {
    let stand_in = StandIn::start(Options::default()).expect("a stand-in");
    let stale = stale_upstream();
    let ca = ca_file(&stand_in).expect("it speaks TLS");
    let (log, line) = access_log();
    let deployments = traffic::deployments(stand_in.address(), stale.address());
    let config = config_file(driver, &deployments, &format!("outcrop:\n{line}"));
    let (ca, file) = (ca.to_str().expect("UTF-8"), config.to_str().expect("UTF-8"));
    let arguments = ["--config", file, "--host", "127.0.0.1", "--num_workers", "2"];
    let running = Running::start("sums", &arguments, &[("SSL_CERT_FILE", ca)], answers_ready);

    let run = Run { address: ([127, 0, 0, 1], running.port).into() };
    let rotated = log.with_extension("log.1");
    let expected = send_all(&run, || rotate(&running, &log, &rotated));

    let rows = run.rows(expected.reached);
    let metrics = Metrics::parse(&run.get("/metrics"));
    let report: Value = serde_json::from_str(&run.get("/global/spend/report")).expect("JSON");
    let of_rows = Books::of_rows(&rows);
    assert!(of_rows.pico > 0 && of_rows.unknown > 0, "{of_rows:?}");
    assert_eq!(of_rows, Books::of_report(&report["total"]), "rows, daily sums");
    for group_by in ["model", "deployment", "api_key", "day"] {
        let text = run.get(&format!("/global/spend/report?group_by={group_by}"));
        let report: Value = serde_json::from_str(&text).expect("JSON");
        let groups = report["data"].as_array().expect("groups");
        let sum = groups.iter().map(Books::of_report).fold(Books::default(), Books::plus);
        assert_eq!(of_rows, sum, "by {group_by}");
    }
    assert_eq!(of_rows, metrics.books(of_rows.requests), "rows, metrics");
    assert_eq!(of_rows.pico, metrics.dollars("litellm_spend_metric_total"));

    let lines = || [read_lines(&rotated), read_lines(&log)].concat();
    assert!(within(|| lines().len() >= expected.sent), "{} lines", lines().len());
    let parts = (read_lines(&rotated).len(), read_lines(&log).len());
    let lines = lines();
    assert_eq!(lines.len(), expected.sent, "none is lost, none is there twice");
    assert!(parts.0 > 0 && parts.1 > 0, "both files have lines: {parts:?}");
    assert_eq!(of_rows, Books::of_lines(&lines), "rows, lines");
    check_ids(&rows, &lines, &expected);
    check_outcomes(&lines, &metrics);

    let attempts: u64 = rows.iter().map(|row| row["attempts"].as_u64().expect("a count")).sum();
    let arrived = stand_in.record().requests() + stale.requests().len() as u64;
    assert_eq!(attempts, arrived, "what was sent, and what arrived");
    assert!(attempts > rows.len() as u64, "some were sent twice");

    let folder = config.with_extension("data");
    check_spend(file, &of_rows);
    let texts = [run.get("/metrics"), run.get("/spend/logs?limit=10000"), report.to_string()];
    let said = running.said();
    assert!(running.end().is_some_and(|status| status.success()), "{said}");
    check_spend(file, &of_rows);
    let total = "SELECT SUM(cost_pico) + SUM(cost_usd) * 1000000000000 FROM daily_spend";
    let store = folder.join("outcrop.db");
    assert_eq!(stored(&store, total), of_rows.pico.to_string());
    assert_eq!(stored(&store, "SELECT SUM(cost_pico) FROM spend_logs"), of_rows.pico.to_string());
    check_silence(&[log, rotated], &folder, &texts, &said);
    let _ = std::fs::remove_dir_all(folder);
}

/// From several threads; `meanwhile` happens while they are at it, and some requests follow it for sure.
fn send_all(run: &Run, meanwhile: impl FnOnce()) -> Expected {
    let total = traffic::KINDS * ROUNDS;
    let of_threads = std::thread::scope(|scope| {
        let send = |first: usize| {
            scope.spawn(move || {
                let mine = (first..total).step_by(THREADS);
                mine.map(|ordinal| run.send(ordinal)).fold(Expected::default(), Expected::plus)
            })
        };
        let threads: Vec<_> = (0..THREADS).map(send).collect();
        meanwhile();
        let ended = threads.into_iter().map(|thread| thread.join().expect("no failed request"));
        ended.fold(Expected::default(), Expected::plus)
    });
    let later = (total..total + traffic::KINDS).map(|ordinal| run.send(ordinal));
    later.fold(of_threads, Expected::plus)
}

/// As logrotate does, when some lines are there.
fn rotate(running: &Running, log: &Path, rotated: &Path) {
    assert!(within(|| read_lines(log).len() >= 20), "{}", running.said());
    std::fs::rename(log, rotated).expect("a file that is there");
    running.hang_up();
    assert!(within(|| log.exists()), "it is not opened anew: {}", running.said());
}

/// Each row has a line; each line without one is of a request that AWS never saw; nothing is twice.
fn check_ids(rows: &[Value], lines: &[Value], expected: &Expected) {
    let id = |of: &Value| of["request_id"].as_str().expect("an id").to_owned();
    let of_rows: BTreeSet<_> = rows.iter().map(id).collect();
    let of_lines: BTreeSet<_> = lines.iter().map(id).collect();
    assert_eq!((of_rows.len(), of_lines.len()), (expected.reached, expected.sent));
    assert!(of_rows.is_subset(&of_lines));
    for line in lines {
        let is_unseen =
            ["refused", "not_sent", "incomplete"].map(Value::from).contains(&line["outcome"]);
        assert_eq!(!is_unseen, of_rows.contains(&id(line)), "{line:#}");
    }
}

fn check_outcomes(lines: &[Value], metrics: &Metrics) {
    let mut of_lines = BTreeMap::new();
    for line in lines {
        let outcome = line["outcome"].as_str().expect("a word").to_owned();
        *of_lines.entry(outcome).or_insert(0) += 1;
    }
    let mut of_metrics = metrics.by_label("outcrop_outcomes_total", "outcome");
    of_metrics.retain(|outcome, count| outcome != "page" && *count > 0);
    assert_eq!(of_lines, of_metrics);
    for outcome in
        ["whole", "answer_cut", "stream_corrupt", "client_gone", "no_answer", "not_sent", "refused"]
    {
        assert!(of_lines.contains_key(outcome), "{outcome} is missing: {of_lines:?}");
    }
}

/// `outcrop spend`, in its three forms.
fn check_spend(config: &str, books: &Books) {
    let spend = |form: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_outcrop"))
            .args(["spend", "--config", config, "--by", "deployment"])
            .args(form)
            .env_clear()
            .output()
            .expect("outcrop starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let json: Value = serde_json::from_str(&spend(&["--json"])).expect("JSON");
    assert_eq!(Books::of_report(&json["total"]), *books);
    let csv = spend(&["--csv"]);
    let amounts = csv.lines().skip(1).map(|line| pico(line.split(',').nth(1).expect("spend_usd")));
    assert_eq!(amounts.sum::<u128>(), books.pico, "{csv}");
    let table = spend(&[]);
    let total = table.lines().find(|line| line.starts_with("total")).expect("a total");
    let cells: Vec<_> = total.split_whitespace().collect();
    assert_eq!(pico(cells[1]), books.pico, "{table}");
    assert_eq!(cells[2], books.requests.to_string(), "{table}");
}

/// Nothing that was sent or answered stands anywhere, nor what opens a door.
fn check_silence(logs: &[PathBuf], folder: &Path, texts: &[String], said: &str) {
    let mut places: Vec<(String, Vec<u8>)> =
        texts.iter().map(|text| ("a page".to_owned(), text.clone().into_bytes())).collect();
    places.push(("what it said".to_owned(), said.as_bytes().to_vec()));
    let mut files = logs.to_vec();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of ours") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    assert!(files.len() >= 4, "logs, store, names: {files:?}");
    places.extend(
        files
            .iter()
            .map(|path| (path.display().to_string(), std::fs::read(path).expect("a file of ours"))),
    );
    let secrets = [KEY, "outcrop-stand-in-secret", "AKIAOUTCROPSTANDIN00", ANSWERED];
    for secret in secrets.iter().chain(&MARKERS) {
        for (place, bytes) in &places {
            let found = memchr::memmem::find(bytes, secret.as_bytes());
            assert!(found.is_none(), "{secret} is in {place}");
        }
    }
    for log in logs {
        let _ = std::fs::remove_file(log);
    }
}
