//! Not a test: a proxy whose rows, log lines and metrics are looked at together.
//!
//! Whatever a test asks for, the log and the store must say the same of each request: [`Books::rows`] checks
//! that, so that no test has to.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use outcrop::control_plane::config::DriverChoice;
use outcrop::mock_bedrock::{Options, StandIn};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, Row as _, SqliteConnection};

use crate::http::{Answer, Client, request};
use crate::proxy::{BEARER, Deployment, ONE_ATTEMPT, Proxy, ca_file};
use crate::running::{scratch, within};

pub const CONVERSE: &str = "POST /bedrock/model/claude/converse HTTP/1.1";
pub const CONVERSE_STREAM: &str = "POST /bedrock/model/claude/converse-stream HTTP/1.1";

/// What [`crate::proxy::MODEL`] costs in pico-dollars per token: $0.80, $4, $0.08 and $1 a million.
pub const INPUT: u64 = 800_000;
pub const OUTPUT: u64 = 4_000_000;
pub const CACHE_READ: u64 = 80_000;
pub const CACHE_WRITE: u64 = 1_000_000;

/// Columns of a row, and what the log calls them.
const COLUMNS: [(&str, &str); 25] = [
    ("request_id", "request_id"),
    ("litellm_call_id", "litellm_call_id"),
    ("upstream_request_id", "amzn_request_id"),
    ("api_key", "api_key"),
    ("requester_ip_address", "requester_ip_address"),
    ("call_type", "call_type"),
    ("model_group", "model_group"),
    ("model", "model"),
    ("model_id", "model_id"),
    ("region", "region"),
    ("api_base", "api_base"),
    ("outcome", "outcome"),
    ("http_status", "status"),
    ("error", "error"),
    ("attempts", "attempts"),
    ("request_bytes", "request_bytes"),
    ("answer_bytes", "answer_bytes"),
    ("input_tokens", "input_tokens"),
    ("completion_tokens", "output_tokens"),
    ("cache_read_tokens", "cache_read_tokens"),
    ("cache_write_5m_tokens", "cache_write_5m_tokens"),
    ("cache_write_unsplit_tokens", "cache_write_unsplit_tokens"),
    ("cost_pico", "cost_pico"),
    ("spend", "spend"),
    ("unknown_cost", "spend_unknown"),
];

/// A proxy with a log in a file of its own.
pub struct Books {
    pub proxy: Proxy,
    log: PathBuf,
}

impl Drop for Books {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.log);
    }
}

/// A path for an access log, and the line of `outcrop:` that says so.
pub fn access_log() -> (PathBuf, String) {
    static LOGS: AtomicU32 = AtomicU32::new(0);
    let log = scratch(&format!("access-{}.log", LOGS.fetch_add(1, Ordering::Relaxed)));
    let line = format!("  access_log: \"{}\"\n", log.display());
    (log, line)
}

/// Fields that ask the stand-in for this, with the right key.
pub fn mock(directives: &str) -> String {
    format!("{BEARER}X-Amzn-Bedrock-Mock: {directives}\r\n")
}

impl Books {
    /// In front of these, each request sent once; `outcrop` are further lines of that section.
    pub fn start(
        driver: DriverChoice,
        ca: Option<&PathBuf>,
        deployments: &[Deployment],
        outcrop: &str,
    ) -> Self {
        let (log, line) = access_log();
        let proxy = Proxy::start(
            driver,
            ca,
            deployments,
            &format!("{ONE_ATTEMPT}outcrop:\n{line}{outcrop}"),
        );
        Self { proxy, log }
    }

    /// In front of a stand-in, over TLS, with one deployment.
    pub fn with_stand_in(driver: DriverChoice, outcrop: &str) -> (Self, StandIn) {
        Self::with_deployments(driver, |it| vec![it], outcrop)
    }

    /// With deployments made from the usual one.
    pub fn with_deployments(
        driver: DriverChoice,
        deployments: impl FnOnce(Deployment) -> Vec<Deployment>,
        outcrop: &str,
    ) -> (Self, StandIn) {
        let stand_in = StandIn::start(Options::default()).expect("a stand-in");
        let ca = ca_file(&stand_in);
        let deployments = deployments(Deployment::to(stand_in.address()));
        (Self::start(driver, ca.as_ref(), &deployments, outcrop), stand_in)
    }

    pub fn connect(&self) -> Client {
        self.proxy.connect()
    }

    /// One request of 40 bytes on a connection of its own: ten tokens, by the stand-in's count.
    pub fn ask(&self, line: &str, directives: &str) -> Answer {
        self.connect().ask(request(line, &mock(directives), &[b'x'; 40]))
    }

    /// The log lines of `count` requests, no more and no fewer, in the order of their ends; pages have none
    /// here. Lines are written after their requests' ends.
    pub fn lines(&self, count: usize) -> Vec<Value> {
        let mut lines = Vec::new();
        within(|| {
            lines = read_lines(&self.log);
            lines.len() >= count
        });
        assert_eq!(lines.len(), count, "{lines:#?}");
        lines
    }

    /// `count` rows, no more and no fewer, the oldest first. Each of them has its line in the log, which says
    /// the same.
    pub fn rows(&self, count: usize) -> Vec<Value> {
        let rows = self.proxy.rows(count);
        assert_eq!(rows.len(), count, "{rows:#?}");
        let mut lines = Vec::new();
        let line = |row: &Value, lines: &[Value]| {
            lines.iter().find(|line| line["request_id"] == row["request_id"]).cloned()
        };
        within(|| {
            lines = read_lines(&self.log);
            rows.iter().all(|row| line(row, &lines).is_some())
        });
        for row in &rows {
            let line = line(row, &lines).expect("a line for each row");
            for (column, field) in COLUMNS {
                assert_eq!(row[column], line[field], "{column} of {row:#}\nand {line:#}");
            }
            let is_partial = line["usage_partial"] == true;
            assert_eq!(row["usage_partial"], is_partial, "{row:#}\nand {line:#}");
        }
        rows
    }

    /// All metrics as text, of all requests that have ended.
    pub fn metrics(&self) -> String {
        let ask = format!("GET /metrics HTTP/1.1\r\nHost: x\r\n{BEARER}\r\n");
        let answer = self.connect().ask(ask);
        assert_eq!(answer.head.status, 200);
        String::from_utf8(answer.content).expect("UTF-8")
    }

    /// The sum of a counter's samples whose labels contain `label`.
    pub fn metric(&self, name: &str, label: &str) -> u64 {
        let text = self.metrics();
        let of = text.lines().filter(|line| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with(['{', ' ']) && rest.contains(label))
        });
        of.map(|line| line.rsplit(' ').next().and_then(|it| it.parse::<u64>().ok()).expect(line))
            .sum()
    }
}

/// Whole lines of requests for a model, and of refusals.
pub fn read_lines(log: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let lines = whole.map(|line| serde_json::from_str::<Value>(line).expect("a JSON object"));
    lines.filter(|line| line["outcome"] != "page").collect()
}

/// `row` says all of this.
#[track_caller]
pub fn check(row: &Value, expected: &Value) {
    for (name, value) in expected.as_object().expect("columns") {
        assert_eq!(&row[name], value, "{name} of {row:#}");
    }
}

/// Pico-dollars as the exact decimal that heads and rows have.
pub fn dollars(pico: u64) -> String {
    outcrop::control_plane::spend::in_dollars(pico.into())
}

/// One text from an SQLite store that nobody else has open.
pub fn stored(file: &Path, sql: &str) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("an event loop").block_on(async {
        let url = format!("sqlite://{}?mode=ro", file.display());
        let mut it = SqliteConnection::connect(&url).await.expect("a store");
        let sql = format!("SELECT CAST(({sql}) AS TEXT)");
        let row = sqlx::query(AssertSqlSafe(sql.as_str())).fetch_one(&mut it).await;
        row.expect(&sql).get(0)
    })
}
