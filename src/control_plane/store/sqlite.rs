//! SQLite: a file beside the ledger, several processes at once, no set-up.
//!
//! WAL, so that readers and the writer do not wait for each other. `synchronous = FULL`: one fsync per
//! commit, that is per batch, for the ledger frees what is committed here, and with NORMAL a power failure
//! could take the last commits back. Rows go in by multi-row statements, each prepared once: per row there
//! is then no parsing, no hop to the driver's thread, and no answer.

use std::{
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

use super::columns::{Cell, Kind};
use super::error::Failure;
use super::session::{Bulk, Value};
use crate::limits::{STORE_BUSY_MS_MAX, STORE_ROWS_PER_STATEMENT_MAX};

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
    prepared: Vec<(&'static str, usize, Arc<str>)>,
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
                .page_size(8192)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full);
        }
        if let Some(pages) = self.pages_max {
            options = options.pragma("max_page_count", pages.to_string());
        }
        Ok(Session { connection: options.connect().await?, prepared: Vec::new() })
    }
}

/// Addresses and names of keys are nobody else's to read. The WAL and its index get the file's mode.
fn make_private(path: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600).open(path).map(drop)
}

impl Session {
    pub(super) async fn script(&mut self, sql: &str) -> Result<(), Failure> {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.connection).await?;
        Ok(())
    }

    pub(super) async fn execute(&mut self, sql: &str, cells: Vec<Cell>) -> Result<u64, Failure> {
        let query = sqlx::query_with(AssertSqlSafe(sql), arguments(&cells)?).persistent(false);
        Ok(query.execute(&mut self.connection).await?.rows_affected())
    }

    pub(super) async fn rows(
        &mut self,
        sql: &str,
        cells: Vec<Cell>,
        kinds: &[Kind],
    ) -> Result<Vec<Vec<Value>>, Failure> {
        let query = sqlx::query_with(AssertSqlSafe(sql), arguments(&cells)?).persistent(false);
        let rows = query.fetch_all(&mut self.connection).await?;
        rows.iter().map(|row| values(row, kinds)).collect()
    }

    pub(super) async fn insert(&mut self, bulk: &Bulk, cells: &[Cell]) -> Result<u64, Failure> {
        let mut affected = 0;
        for (rows, cells) in pieces(cells, bulk.columns.len()) {
            let sql = AssertSqlSafe(self.statement(bulk, rows));
            let query = sqlx::query_with(sql, arguments(cells)?);
            affected += query.execute(&mut self.connection).await?.rows_affected();
        }
        Ok(affected)
    }

    pub(super) async fn insert_and_tell(
        &mut self,
        bulk: &Bulk,
        cells: &[Cell],
    ) -> Result<Vec<Vec<Value>>, Failure> {
        let mut told = Vec::new();
        for (rows, cells) in pieces(cells, bulk.columns.len()) {
            let sql = format!("{} RETURNING request_id", self.statement(bulk, rows));
            told.extend(self.rows(&sql, cells.to_vec(), &[Kind::Text]).await?);
        }
        Ok(told)
    }

    fn statement(&mut self, bulk: &Bulk, rows: usize) -> Arc<str> {
        let known = self.prepared.iter().find(|it| (it.0, it.1) == (bulk.table, rows));
        if let Some((_, _, sql)) = known {
            return sql.clone();
        }
        let row = format!("({})", vec!["?"; bulk.columns.len()].join(","));
        let all = vec![row; rows].join(",");
        let sql: Arc<str> = format!("{} VALUES {all} {}", bulk.head(), bulk.on_conflict).into();
        self.prepared.push((bulk.table, rows, sql.clone()));
        sql
    }
}

/// Cuts rows into pieces of a few sizes: powers of two, so that few statements are prepared.
fn pieces(mut cells: &[Cell], width: usize) -> impl Iterator<Item = (usize, &[Cell])> {
    std::iter::from_fn(move || {
        let left = cells.len() / width;
        let rows = 1 << left.min(STORE_ROWS_PER_STATEMENT_MAX).checked_ilog2()?;
        let (piece, rest) = cells.split_at(rows * width);
        cells = rest;
        Some((rows, piece))
    })
}

fn arguments(cells: &[Cell]) -> Result<SqliteArguments, Failure> {
    let mut arguments = SqliteArguments::default();
    arguments.reserve(cells.len(), 0);
    for cell in cells {
        match cell {
            Cell::Null => arguments.add(None::<i64>),
            Cell::Int(number) => arguments.add(*number),
            Cell::Bool(truth) => arguments.add(*truth),
            Cell::Text(text) => arguments.add(text.clone()),
        }
        .map_err(sqlx::Error::Encode)?;
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

    #[test]
    fn rows_are_cut_into_few_sizes() {
        for rows in [0, 1, 2, 3, 63, 64, 65, 1023, 1024] {
            let cells = vec![Cell::Null; rows * 3];
            let sizes: Vec<usize> = pieces(&cells, 3).map(|(rows, _)| rows).collect();
            assert_eq!(sizes.iter().sum::<usize>(), rows);
            assert!(sizes.iter().all(|size| size.is_power_of_two()), "{sizes:?}");
            assert!(pieces(&cells, 3).all(|(rows, cells)| cells.len() == rows * 3));
        }
    }
}
