//! SQLite: a file beside the ledger, several processes at once, no set-up.
//!
//! WAL, so that readers and the writer do not wait for each other. `synchronous = FULL`: one fsync per
//! commit, that is per batch, for the ledger frees what is committed here, and with NORMAL a power failure
//! could take the last commits back. Rows go in by multi-row statements, each prepared once: per row there
//! is then no parsing, no hop to the driver's thread, and no answer.

use std::{
    collections::HashMap,
    fs::OpenOptions,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use sqlx::{
    Arguments as _, AssertSqlSafe, ConnectOptions as _, Row as _, SqliteConnection,
    sqlite::{
        SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqliteRow, SqliteSynchronous,
    },
};

use super::chunk::NamesOfRow;
use super::columns::{Cell, Kind, NAMES};
use super::error::Failure;
use super::session::{Bulk, Value};
use crate::limits::{STORE_BUSY_MS_MAX, STORE_NAMES_KEPT_MAX, STORE_ROWS_PER_STATEMENT_MAX};

/// Statements whose text is kept. sqlx keeps as many prepared.
const STATEMENTS_MAX: usize = 64;

/// How a file is opened.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) path: PathBuf,
    pub(super) read_only: bool,
    /// Bounds the file: tests have no full disk at hand.
    pub(super) pages_max: Option<u32>,
}

pub(super) struct Session {
    connection: SqliteConnection,
    /// The statements of each table, by how many rows they take.
    prepared: Vec<(&'static str, usize, Used, Arc<str>)>,
    /// Numbers in `spend_names`.
    numbers: HashMap<NamesOfRow, i64>,
}

impl Target {
    pub(super) async fn connect(&self) -> Result<Session, Failure> {
        if !self.read_only {
            make_private(&self.path).map_err(Failure::File)?;
        }
        let mut options = SqliteConnectOptions::new()
            .filename(&self.path)
            .read_only(self.read_only)
            .busy_timeout(Duration::from_millis(STORE_BUSY_MS_MAX))
            .disable_statement_logging();
        if !self.read_only {
            options = options
                .page_size(16_384)
                // Or each INSERT of many rows makes a file, in case it must be undone.
                .pragma("temp_store", "MEMORY")
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full);
        }
        if let Some(pages) = self.pages_max {
            options = options.pragma("max_page_count", pages.to_string());
        }
        let connection = options.connect().await?;
        Ok(Session { connection, prepared: Vec::new(), numbers: HashMap::new() })
    }
}

/// Addresses and names of keys are nobody else's to read. The WAL and its index get the file's mode.
fn make_private(path: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600).open(path).map(drop)
}

impl Session {
    /// For statements that have no place here.
    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }

    pub(super) async fn script(&mut self, sql: &str) -> Result<(), Failure> {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.connection).await?;
        Ok(())
    }

    pub(super) async fn execute(&mut self, sql: &str, cells: Vec<Cell>) -> Result<u64, Failure> {
        let query = sqlx::query_with(AssertSqlSafe(sql), arguments(&cells, 1, Used::all(1))?)
            .persistent(false);
        Ok(query.execute(&mut self.connection).await?.rows_affected())
    }

    pub(super) async fn rows(
        &mut self,
        sql: &str,
        cells: Vec<Cell>,
        kinds: &[Kind],
    ) -> Result<Vec<Vec<Value>>, Failure> {
        let query = sqlx::query_with(AssertSqlSafe(sql), arguments(&cells, 1, Used::all(1))?)
            .persistent(false);
        let rows = query.fetch_all(&mut self.connection).await?;
        rows.iter().map(|row| values(row, kinds)).collect()
    }

    /// The number of each combination of names, given now if it has none: outside of a transaction.
    /// Other processes that share the file may give it at the same time.
    pub(super) async fn numbers(
        &mut self,
        combinations: &[NamesOfRow],
    ) -> Result<Vec<i64>, Failure> {
        if self.numbers.len() > STORE_NAMES_KEPT_MAX {
            self.numbers.clear();
        }
        let unknown: Vec<&NamesOfRow> =
            combinations.iter().filter(|names| !self.numbers.contains_key(*names)).collect();
        for part in unknown.chunks(STORE_ROWS_PER_STATEMENT_MAX) {
            self.learn(part).await?;
        }
        let number = |names: &NamesOfRow| self.numbers.get(names).copied();
        let all: Option<Vec<i64>> = combinations.iter().map(number).collect();
        all.ok_or_else(|| Failure::Schema("its spend_names does not take names".into()))
    }

    async fn learn(&mut self, unknown: &[&NamesOfRow]) -> Result<(), Failure> {
        let columns: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
        let columns = columns.join(", ");
        let row = format!("({})", vec!["?"; NAMES.len()].join(","));
        let rows = vec![row; unknown.len()].join(",");
        let texts = unknown.iter().flat_map(|names| names.iter().cloned().map(Cell::Text));
        let texts: Vec<Cell> = texts.collect();
        let sql = format!("INSERT OR IGNORE INTO spend_names ({columns}) VALUES {rows}");
        self.execute(&sql, texts.clone()).await?;
        let sql =
            format!("SELECT id, {columns} FROM spend_names WHERE ({columns}) IN (VALUES {rows})");
        let mut kinds = [Kind::Text; NAMES.len() + 1];
        kinds[0] = Kind::Int;
        for row in self.rows(&sql, texts, &kinds).await? {
            let mut values = row.into_iter();
            let Some(Value::Int(number)) = values.next() else { continue };
            let texts: Vec<Arc<str>> =
                values.filter_map(Value::into_text).map(Into::into).collect();
            if let Ok(names) = NamesOfRow::try_from(texts) {
                self.numbers.insert(names, number);
            }
        }
        Ok(())
    }

    /// Columns that are NULL in all rows are left out: most batches have no client's id for a call.
    pub(super) async fn insert(&mut self, bulk: &Bulk, cells: &[Cell]) -> Result<u64, Failure> {
        let mut affected = 0;
        let used = used_columns(cells, bulk.columns.len());
        for (rows, cells) in pieces(cells, bulk.columns.len()) {
            let sql = AssertSqlSafe(self.statement(bulk, rows, used));
            let query = sqlx::query_with(sql, arguments(cells, bulk.columns.len(), used)?);
            affected += query.execute(&mut self.connection).await?.rows_affected();
        }
        Ok(affected)
    }

    fn statement(&mut self, bulk: &Bulk, rows: usize, used: Used) -> Arc<str> {
        let known = self.prepared.iter().find(|it| (it.0, it.1, it.2) == (bulk.table, rows, used));
        if let Some((_, _, _, sql)) = known {
            return sql.clone();
        }
        let row = format!("({})", vec!["?"; used.count()].join(","));
        let all = vec![row; rows].join(",");
        let head = bulk.head(|column| used.has(column));
        let sql: Arc<str> = format!("{head} VALUES {all} {}", bulk.on_conflict).into();
        if self.prepared.len() >= STATEMENTS_MAX {
            self.prepared.clear();
        }
        self.prepared.push((bulk.table, rows, used, sql.clone()));
        sql
    }
}

/// A set of columns, by their places.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Used(u64);

impl Used {
    fn all(columns: usize) -> Self {
        assert!(columns < 64, "a bit for each");
        Self((1 << columns) - 1)
    }

    fn has(self, column: usize) -> bool {
        self.0 >> column & 1 == 1
    }

    fn count(self) -> usize {
        self.0.count_ones() as usize
    }
}

/// Those that are not NULL in every row.
fn used_columns(cells: &[Cell], width: usize) -> Used {
    let mut used = 0;
    for row in cells.chunks_exact(width) {
        for (column, cell) in row.iter().enumerate() {
            used |= u64::from(*cell != Cell::Null) << column;
        }
    }
    Used(used)
}

/// Cuts rows into pieces of a few sizes: powers of eight, so that few statements are prepared.
fn pieces(mut cells: &[Cell], width: usize) -> impl Iterator<Item = (usize, &[Cell])> {
    std::iter::from_fn(move || {
        let left = (cells.len() / width).min(STORE_ROWS_PER_STATEMENT_MAX);
        let rows = 1 << (left.checked_ilog2()? / 3 * 3);
        let (piece, rest) = cells.split_at(rows * width);
        cells = rest;
        Some((rows, piece))
    })
}

fn arguments(cells: &[Cell], width: usize, used: Used) -> Result<SqliteArguments, Failure> {
    let mut arguments = SqliteArguments::default();
    arguments.reserve(cells.len() / width * used.count(), 0);
    for row in cells.chunks_exact(width) {
        for (_, cell) in row.iter().enumerate().filter(|(column, _)| used.has(*column)) {
            match cell {
                Cell::Null => arguments.add(None::<i64>),
                Cell::Int(number) => arguments.add(*number),
                Cell::Bool(truth) => arguments.add(*truth),
                Cell::Text(text) => arguments.add(text.clone()),
            }
            .map_err(sqlx::Error::Encode)?;
        }
    }
    Ok(arguments)
}

fn values(row: &SqliteRow, kinds: &[Kind]) -> Result<Vec<Value>, Failure> {
    let value = |(at, kind): (usize, &Kind)| {
        Ok(match kind {
            Kind::Int => row.try_get::<Option<i64>, _>(at)?.map_or(Value::Null, Value::Int),
            Kind::Bool => row.try_get::<Option<bool>, _>(at)?.map_or(Value::Null, Value::Bool),
            Kind::Text => row.try_get::<Option<String>, _>(at)?.map_or(Value::Null, Value::Text),
        })
    };
    kinds.iter().enumerate().map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{control_plane::store::rollup::DAILY_SPEND, limits::SQLITE_VALUES_MAX};

    #[test]
    fn a_statement_has_no_more_values_than_it_may() {
        for width in [DAILY_SPEND.len(), NAMES.len()] {
            assert!(width * STORE_ROWS_PER_STATEMENT_MAX <= SQLITE_VALUES_MAX);
        }
    }

    #[test]
    fn columns_that_nobody_uses_are_left_out() {
        let cells =
            [Cell::Null, Cell::Int(1), Cell::Null, Cell::Null, Cell::Null, Cell::Bool(false)];
        let used = used_columns(&cells, 3);
        assert_eq!((0..3).map(|column| used.has(column)).collect::<Vec<_>>(), [false, true, true]);
        assert_eq!(used.count(), 2);
        assert_eq!(used_columns(&[], 3).count(), 0);
    }

    #[test]
    fn rows_are_cut_into_few_sizes() {
        for rows in [0, 1, 2, 7, 8, 9, 63, 64, 65, 511, 512, 1023, 1024] {
            let cells = vec![Cell::Null; rows * 3];
            let sizes: Vec<usize> = pieces(&cells, 3).map(|(rows, _)| rows).collect();
            assert_eq!(sizes.iter().sum::<usize>(), rows);
            assert!(sizes.iter().all(|size| [1, 8, 64, 512].contains(size)), "{sizes:?}");
            assert!(pieces(&cells, 3).all(|(rows, cells)| cells.len() == rows * 3));
        }
    }
}
