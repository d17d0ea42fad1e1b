//! The store's own tables, read from beside the proxy, and what they must say.
//!
//! ```text
//!   requests that reached AWS  =  rows  -  rows whose request died in a socket (marked)
//!                              =  answers that AWS finished  +  answers cut, refused, left (each marked)
//! ```

use std::collections::{HashMap, HashSet};

use outcrop::{
    control_plane::spend::in_dollars,
    mock_bedrock::{Answered, Record},
};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _, SqliteConnection};
use tokio::runtime::Runtime;

use super::load::{Asked, Fate};

/// What the configuration says of each kind of token: pico-dollars for input, output, cache reads.
const PRICES: [u64; 3] = [3_000_000, 15_000_000, 300_000];
/// The same as LiteLLM has it.
pub const PRICES_IN_CONFIG: [(&str, &str); 3] = [
    ("input_cost_per_token", "3e-06"),
    ("output_cost_per_token", "0.000015"),
    ("cache_read_input_token_cost", "3e-07"),
];

/// Where the tables are.
pub enum Tables {
    Sqlite(String),
    Postgres(String),
}

/// Keeps everybody else from recording until it is released.
pub struct Hold {
    connection: Connection,
    runtime: Runtime,
}

enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

fn runtime() -> Runtime {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime")
}

impl Connection {
    async fn open(tables: &Tables) -> Self {
        match tables {
            Tables::Sqlite(url) => {
                Self::Sqlite(SqliteConnection::connect(url).await.expect("a file"))
            }
            Tables::Postgres(url) => {
                Self::Postgres(PgConnection::connect(url).await.expect("a server"))
            }
        }
    }

    /// The only column, of text.
    async fn lines(&mut self, sql: &str) -> Vec<String> {
        let query = sqlx::raw_sql(AssertSqlSafe(sql));
        match self {
            Self::Sqlite(to) => {
                query.fetch_all(to).await.expect(sql).iter().map(|row| row.get(0)).collect()
            }
            Self::Postgres(to) => {
                query.fetch_all(to).await.expect(sql).iter().map(|row| row.get(0)).collect()
            }
        }
    }
}

impl Tables {
    /// The only column of an answer, which is text.
    pub fn lines(&self, sql: &str) -> Vec<String> {
        runtime().block_on(async { Connection::open(self).await.lines(sql).await })
    }

    /// From now on.
    pub fn hold(&self) -> Hold {
        let runtime = runtime();
        let sql = match self {
            Self::Sqlite(_) => "BEGIN IMMEDIATE",
            // What is recorded last in a transaction: all before it has been done by then.
            Self::Postgres(_) => "BEGIN; LOCK TABLE daily_spend IN ACCESS EXCLUSIVE MODE",
        };
        let connection = runtime.block_on(async {
            let mut connection = Connection::open(self).await;
            connection.lines(sql).await;
            connection
        });
        Hold { connection, runtime }
    }
}

impl Hold {
    /// Whether somebody is in the midst of a transaction and waits for us. PostgreSQL alone tells.
    pub fn is_awaited(&mut self) -> bool {
        let sql = "SELECT CAST(COUNT(*) AS TEXT) FROM pg_locks WHERE NOT granted";
        self.runtime.block_on(self.connection.lines(sql)) != ["0"]
    }

    pub fn release(mut self) {
        self.runtime.block_on(self.connection.lines("ROLLBACK"));
    }
}

/// Of one request, what the store says.
struct Row {
    outcome: String,
    status: u16,
    cost: Option<u64>,
    tokens: [Option<u64>; 3],
    attempts: u64,
    is_partial: bool,
}

const ROWS: &str = "SELECT COALESCE(litellm_call_id, 'none') || '|' || CAST(request_id AS TEXT) || '|' \
    || outcome || '|' || CAST(COALESCE(http_status, 0) AS TEXT) || '|' \
    || COALESCE(CAST(cost_pico AS TEXT), '') || '|' || COALESCE(CAST(input_tokens AS TEXT), '') || '|' \
    || COALESCE(CAST(completion_tokens AS TEXT), '') || '|' \
    || COALESCE(CAST(cache_read_tokens AS TEXT), '') || '|' || CAST(attempts AS TEXT) || '|' \
    || CAST(CAST(usage_partial AS INTEGER) AS TEXT) FROM spend_logs";

/// Requests, unknown costs, pico-dollars, input, output, cache reads.
const DAILY: &str = "SELECT CAST(COALESCE(SUM(requests), 0) AS TEXT) || '|' || CAST(COALESCE(SUM(unknown), 0) AS TEXT) \
    || '|' || CAST(COALESCE(SUM(cost_usd) * 1000000000000 + SUM(cost_pico), 0) AS TEXT) || '|' \
    || CAST(COALESCE(SUM(input_tokens), 0) AS TEXT) || '|' \
    || CAST(COALESCE(SUM(output_tokens), 0) AS TEXT) || '|' \
    || CAST(COALESCE(SUM(cache_read_tokens), 0) AS TEXT) FROM daily_spend";

/// Each call id's row. No call id, and no request id, is there twice.
fn rows(tables: &Tables) -> HashMap<String, Row> {
    let (mut rows, mut ids) = (HashMap::new(), HashSet::new());
    for line in tables.lines(ROWS) {
        let parts: Vec<&str> = line.split('|').collect();
        let number = |at: usize| parts[at].parse::<u64>().ok();
        let row = Row {
            outcome: parts[2].to_owned(),
            status: parts[3].parse().expect("a status"),
            cost: number(4),
            tokens: [number(5), number(6), number(7)],
            attempts: number(8).expect("a number"),
            is_partial: parts[9] == "1",
        };
        assert!(ids.insert(parts[1].to_owned()), "a request id twice: {line}");
        assert!(rows.insert(parts[0].to_owned(), row).is_none(), "a call id twice: {line}");
    }
    rows
}

/// What became of a request at the stand-in.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    arrivals: u64,
    is_finished: bool,
}

/// All that clients and stand-in know, of all runs.
#[derive(Default)]
pub struct History {
    asked: HashMap<String, Asked>,
    seen: HashMap<String, Seen>,
}

/// How many rows there are of each kind, to see that a test showed something.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    pub rows: usize,
    pub finished: usize,
    pub interrupted: usize,
    /// Of these, those with their exact cost.
    pub interrupted_priced: usize,
    pub never_arrived: usize,
    pub corrupt: usize,
    pub left: usize,
}

impl History {
    /// Adds what a run's clients know.
    pub fn add_asked(&mut self, asked: Vec<Asked>) {
        self.asked.extend(asked.into_iter().map(|it| (it.id.clone(), it)));
    }

    /// Adds what the stand-in knows of it, whose connections have all ended.
    pub fn add_seen(&mut self, record: &Record) {
        assert_eq!(record.anomalies(), [""; 0], "AWS would object");
        for it in record.seen() {
            assert_ne!(it.answered, Answered::Pending, "its connection has ended");
            let id = it.field("x-amzn-bedrock-tag").expect("every request has one");
            let seen = self.seen.entry(id.to_owned()).or_default();
            seen.arrivals += 1;
            seen.is_finished |= it.answered == Answered::Finished;
        }
        record.clear();
    }

    /// Every request that reached the stand-in has exactly one row, and says no more than is known of it. No
    /// other has a row but one whose bytes were under way when a process, or its client's connection, ended.
    pub fn check(&self, tables: &Tables) -> Tally {
        let rows = rows(tables);
        let missing: Vec<_> = self.seen.keys().filter(|id| !rows.contains_key(*id)).collect();
        assert!(
            missing.is_empty(),
            "{} requests reached AWS and have no row: {missing:?}",
            missing.len()
        );
        let mut tally = Tally { rows: rows.len(), ..Tally::default() };
        for (id, row) in &rows {
            let asked = self.asked.get(id).unwrap_or_else(|| unreachable!("nobody asked {id}"));
            let seen = self.seen.get(id).copied();
            check_row(asked, seen, row);
            let is = |outcome: &str| usize::from(row.outcome == outcome);
            tally.never_arrived += usize::from(seen.is_none());
            tally.finished += usize::from(seen.is_some_and(|seen| seen.is_finished));
            tally.interrupted += is("interrupted");
            tally.interrupted_priced += is("interrupted") * usize::from(row.cost.is_some());
            tally.corrupt += is("stream_corrupt");
            tally.left += is("client_gone") + is("drained");
        }
        // The identity: each was checked above, and nothing was counted twice or left out.
        assert_eq!(tally.rows, self.seen.len() + tally.never_arrived);
        let finished = self.seen.values().filter(|seen| seen.is_finished).count();
        assert_eq!(tally.finished, finished, "answers that AWS finished");
        check_sums(tables, &rows);
        tally
    }

    /// `GET /global/spend/report` says the same as the rows.
    pub fn check_report(&self, tables: &Tables, report: &Value) {
        let rows = rows(tables);
        let [requests, unknown, pico, input, output, cache_read] = sums(&rows);
        let total = &report["total"];
        assert_eq!(total["spend"].as_str(), Some(in_dollars(pico.into()).as_str()), "{report}");
        let counts = ["requests", "unknown", "input_tokens", "output_tokens", "cache_read_tokens"];
        let told = counts.map(|name| total[name].as_u64());
        let wanted = [requests, unknown, input, output, cache_read].map(Some);
        assert_eq!(told, wanted, "{counts:?} in {report}");
    }
}

fn check_row(asked: &Asked, seen: Option<Seen>, row: &Row) {
    let Row { outcome, status, cost, tokens, attempts, is_partial } = row;
    let what = format!(
        "{asked:?}, {seen:?}: {outcome}, {status}, {cost:?} for {tokens:?}, {attempts} attempts"
    );
    let expected: &[&str] = match asked.fate {
        Fate::Answered | Fate::Throttled | Fate::Exception => &["whole"],
        Fate::Corrupt => &["stream_corrupt"],
        Fate::Unanswered => &["no_answer"],
        // It is a race whether the proxy hears of it before it has given all to the kernel.
        Fate::Abandoned => &["client_gone", "drained", "whole"],
    };
    let may_be_interrupted = !asked.is_followed || asked.fate == Fate::Abandoned;
    let is_interrupted = outcome == "interrupted" && may_be_interrupted;
    assert!(is_interrupted || expected.contains(&outcome.as_str()), "{what}");
    if let Some(seen) = seen {
        assert!(*attempts >= seen.arrivals, "{what}");
        assert!(outcome != "whole" || seen.is_finished, "AWS did not finish it: {what}");
    } else {
        // Given to the kernel, which had not sent it when the process ended or gave the connection up.
        assert!(is_interrupted || outcome == "client_gone", "AWS saw nothing of it: {what}");
        assert!(!asked.has_answer, "somebody else answered it: {what}");
    }
    let exact = asked.tokens.iter().zip(PRICES).map(|(count, price)| count * price).sum::<u64>();
    let is_known = asked.has_answer || outcome == "whole";
    match asked.fate {
        Fate::Answered if is_known => {
            assert_eq!((*status, *cost, *is_partial), (200, Some(exact), false), "{what}");
            assert_eq!(*tokens, asked.tokens.map(Some), "{what}");
        }
        // What is known is exact, or says that it is not all.
        Fate::Answered => {
            assert!(
                cost.is_none_or(|cost| cost == exact || (*is_partial && cost < exact)),
                "{what}"
            );
        }
        Fate::Throttled if is_known => assert_eq!((*status, *cost), (429, Some(0)), "{what}"),
        Fate::Exception | Fate::Corrupt if is_known || !is_interrupted => {
            assert!(is_partial, "its last word on usage never came: {what}");
        }
        Fate::Unanswered if !is_interrupted => assert_eq!((*status, *cost), (502, None), "{what}"),
        _ => {}
    }
}

/// Requests, unknown costs, pico-dollars, input, output, cache reads.
fn sums(rows: &HashMap<String, Row>) -> [u64; 6] {
    let mut sums = [0; 6];
    for Row { cost, tokens, .. } in rows.values() {
        let unknown = u64::from(cost.is_none());
        let [input, output, read] = tokens.map(Option::unwrap_or_default);
        let more = [1, unknown, cost.unwrap_or(0), input, output, read];
        sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
    }
    sums
}

fn check_sums(tables: &Tables, rows: &HashMap<String, Row>) {
    let daily = tables.lines(DAILY).concat();
    let daily: Vec<u64> =
        daily.split('|').map(|sum| sum.parse().expect("a whole number")).collect();
    assert_eq!(daily, sums(rows), "requests, unknown, pico-dollars, input, output, cache reads");
}
