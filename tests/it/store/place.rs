//! Where a test keeps its store, a look into it that is not ours, and entries to put there.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};

use outcrop::bedrock::fault::ErrorName;
use outcrop::bedrock::operation::Action;
use outcrop::bedrock::usage::{ServiceTier, Told, Usage};
use outcrop::boundary::ledger::entry::*;
use outcrop::control_plane::bookkeeper::Before;
use outcrop::control_plane::config::Accounting;
use outcrop::control_plane::names::{DeploymentName, KeyName, Names};
use outcrop::control_plane::spend::Day;
use outcrop::control_plane::store::{Access, SQLITE_FILE, Store, StoreError};
use outcrop::secret::Secret;
use outcrop::units::{PicoUsd, RequestId, Tokens, UnixMicros};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _, SqliteConnection};

use crate::postgres::Postgres;
use crate::running::scratch;

/// 2026-11-23: when the entries of [`entries`] begin.
pub const DAY: Day = Day(20_780);

/// One test's own database.
pub struct Place {
    pub accounting: Accounting,
    pub names: Names,
    url: String,
    _server: Option<Arc<Postgres>>,
}

/// Each test twice: over SQLite, and over PostgreSQL.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[test] fn $name() { super::$name(&$crate::store::place::Place::sqlite()); })+
        }
        mod postgres {
            $(#[test] fn $name() {
                match $crate::store::place::Place::postgres() {
                    Some(place) => super::$name(&place),
                    None => $crate::skip(stringify!($name), "PostgreSQL is not in /usr/lib/postgresql"),
                }
            })+
        }
    };
}
pub(crate) use on_both;

static NUMBER: AtomicU32 = AtomicU32::new(0);

impl Place {
    pub fn sqlite() -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = scratch(&format!("store-{number}"));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("a writable target/tmp");
        let file = folder.join(SQLITE_FILE);
        let accounting = Accounting::in_folder(folder);
        let url = format!("sqlite://{}", file.display());
        Self { accounting, names: Names::in_memory(), url, _server: None }
    }

    /// `None` if PostgreSQL is not installed.
    pub fn postgres() -> Option<Self> {
        let server = shared()?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let database = format!("store_{number}");
        server.create(&database);
        let url = server.url(&database);
        let mut place = Self::at(url);
        place._server = Some(server);
        Some(place)
    }

    /// A database of a server that the test itself keeps.
    pub fn at(url: String) -> Self {
        let mut accounting = Accounting::in_folder(scratch("unused"));
        accounting.database_url =
            Some(Secret::new(format!("{url}?connection_limit=10&pool_timeout=60")));
        Self { accounting, names: Names::in_memory(), url, _server: None }
    }

    pub fn is_postgres(&self) -> bool {
        self.accounting.database_url.is_some()
    }

    /// By another connection than the store's. `@` is the table of rows, which in SQLite has a view over it.
    pub async fn script(&self, sql: &str) {
        let rows = if self.is_postgres() { "spend_logs" } else { "spend_chunks" };
        let sql = AssertSqlSafe(sql.replace('@', rows));
        if self.is_postgres() {
            let mut it = PgConnection::connect(&self.url).await.expect("a server");
            sqlx::raw_sql(sql).execute(&mut it).await.expect("SQL");
        } else {
            let mut it = SqliteConnection::connect(&self.url).await.expect("a file");
            sqlx::raw_sql(sql).execute(&mut it).await.expect("SQL");
        }
    }

    pub async fn number(&self, sql: &str) -> i64 {
        let sql = format!("SELECT CAST(({sql}) AS BIGINT)");
        if self.is_postgres() {
            let mut it = PgConnection::connect(&self.url).await.expect("a server");
            let row = sqlx::query(AssertSqlSafe(sql.as_str())).fetch_one(&mut it).await;
            row.expect(&sql).get(0)
        } else {
            let mut it = SqliteConnection::connect(&self.url).await.expect("a file");
            let row = sqlx::query(AssertSqlSafe(sql.as_str())).fetch_one(&mut it).await;
            row.expect(&sql).get(0)
        }
    }

    /// All rows of one column of text, a line each.
    pub async fn text(&self, sql: &str) -> String {
        let query = sqlx::raw_sql(AssertSqlSafe(sql));
        let lines: Vec<String> = if self.is_postgres() {
            let mut it = PgConnection::connect(&self.url).await.expect("a server");
            let rows = query.fetch_all(&mut it).await.expect(sql);
            rows.iter().map(|row| row.get(row.len() - 1)).collect()
        } else {
            let mut it = SqliteConnection::connect(&self.url).await.expect("a file");
            let rows = query.fetch_all(&mut it).await.expect(sql);
            rows.iter().map(|row| row.get(row.len() - 1)).collect()
        };
        lines.join("\n")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.is_postgres() {
            let _ = std::fs::remove_dir_all(&self.accounting.data_dir);
        }
    }
}

/// One server for the tests that run at the same time; the last of them ends it.
fn shared() -> Option<Arc<Postgres>> {
    #[expect(clippy::disallowed_types, reason = "tests' threads share a server; no core waits")]
    static SERVER: std::sync::Mutex<Weak<Postgres>> = std::sync::Mutex::new(Weak::new());
    let mut server = SERVER.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(running) = server.upgrade() {
        return Some(running);
    }
    let started = Arc::new(Postgres::start()?);
    *server = Arc::downgrade(&started);
    Some(started)
}

pub fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(work)
}

pub fn store(place: &Place) -> Store {
    Store::open(&place.accounting, Access::Write).expect("a store")
}

/// As of entries that the store may know.
pub async fn record(store: &Store, entries: &[Entry], names: &Names) -> Result<(), StoreError> {
    let entries: Vec<&Entry> = entries.iter().collect();
    store.record(&entries, names, Before::Perhaps).await
}

pub fn deployment_name(number: usize) -> DeploymentName {
    DeploymentName {
        id: format!("deployment-{number}"),
        model_group: format!("group-{}", number % 3),
        model: "us.anthropic.claude-sonnet-4-5-20250929-v1:0".into(),
        region: "us-east-1".into(),
        api_base: "https://bedrock-runtime.us-east-1.amazonaws.com".into(),
    }
}

pub fn key_name(number: usize) -> KeyName {
    KeyName { api_key: format!("{number:064x}"), alias: format!("team {number}") }
}

/// Always the same for one `seed`: of several keys, deployments, days, kinds of usage and outcomes.
pub fn entries(seed: u64, count: usize) -> Vec<Entry> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..count).map(|_| entry(&mut random)).collect()
}

fn entry(random: &mut fastrand::Rng) -> Entry {
    let started = UnixMicros(
        (DAY.start().0 + random.u64(0..3 * 86_400)) * 1_000_000 + random.u64(0..1_000_000),
    );
    let mut maybe = |most: u64| (random.u8(..) < 170).then(|| random.u64(0..most));
    let mut usage = Usage {
        input: maybe(100_000).map(Tokens),
        output: maybe(8_000).map(Tokens),
        cache_read: maybe(100_000).map(Tokens),
        cache_write_5m: maybe(1000).map(Tokens),
        cache_write_1h: maybe(1000).map(Tokens),
        cache_write_unsplit: maybe(10).map(Tokens),
        images: maybe(3),
        ..Usage::default()
    };
    usage.service_tier = [None, Some(ServiceTier::Flex)][random.usize(0..2)];
    usage.told = random.bool().then(|| Told { input: Some(Tokens(7)), ..Told::default() });
    usage.partial = random.bool();
    let charge = match random.u8(0..8) {
        0 => Charge::Unknown(UnknownCost::NoUsage),
        1 => Charge::Unknown(UnknownCost::NoRate),
        _ => Charge::Known(PicoUsd(random.u64(0..3_000_000_000_000))),
    };
    let (outcome, status) = match random.u8(0..8) {
        0 => (Outcome::AnswerCut, 200),
        1 => (Outcome::Whole, 429),
        2 => (Outcome::ClientGone, 200),
        _ => (Outcome::Whole, 200),
    };
    Entry {
        request_id: RequestId::new(started, random.u128(..)),
        call_id: KeptCallId::new(if random.bool() { b"my-call" } else { b"" }),
        upstream_request_id: Some(RequestId::from_bits(random.u128(..))),
        started,
        deployment: DeploymentRef(random.u64(0..6)),
        key: KeyRef(random.u64(0..4)),
        client: Some([127, 0, 0, random.u8(1..9)].into()),
        action: Some(Action::ALL[random.usize(0..4)]),
        outcome,
        status,
        error: if status == 429 {
            ErrorName::of(b"ThrottlingException")
        } else {
            ErrorName::default()
        },
        usage,
        charge,
        marks: Marks::default().with(Marks::STREAM, random.bool()).with(Marks::REUSED, true),
        timing: Timing {
            total_us: 1_500_000,
            overhead_us: 40,
            first_byte_us: 300_000,
            first_content_us: 400_000,
        },
        request_bytes: 1000,
        answer_bytes: 20_000,
        attempts: 1,
        core: 1,
        ..Entry::default()
    }
}
