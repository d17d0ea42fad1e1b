//! One connection to either database, and the few things that are asked of it.
//!
//! SQL is written once, with `?` for its values: SQLite takes that as it is, and PostgreSQL gets `$1`, `$2`, ….
//! Invariant: a session that failed, or whose caller was cancelled, is dropped and not kept: whatever
//! transaction it was in ends with it.

use super::columns::{Cell, Column, Kind};
use super::error::Failure;
use super::{postgres, sqlite};

/// A connection.
pub(super) enum Session {
    Sqlite(sqlite::Session),
    Postgres(postgres::Session),
}

/// What a query gives.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Int(i64),
    Bool(bool),
    Text(String),
}

/// An INSERT of many rows.
pub(super) struct Bulk {
    pub(super) table: &'static str,
    pub(super) columns: &'static [Column],
    /// What follows the rows.
    pub(super) on_conflict: String,
}

impl Bulk {
    /// With the columns, by their places, that `is_used` says.
    pub(super) fn head(&self, is_used: impl Fn(usize) -> bool) -> String {
        let columns = self.columns.iter().enumerate().filter(|(place, _)| is_used(*place));
        let names: Vec<&str> = columns.map(|(_, (name, _))| *name).collect();
        format!("INSERT INTO {} ({})", self.table, names.join(", "))
    }
}

impl Session {
    /// Begins to write.
    pub(super) async fn begin(&mut self) -> Result<(), Failure> {
        match self {
            // IMMEDIATE: to wait for the other writer here, and not fail once we have read.
            Self::Sqlite(it) => it.script("BEGIN IMMEDIATE").await,
            Self::Postgres(it) => it.script("BEGIN").await,
        }
    }

    pub(super) async fn commit(&mut self) -> Result<(), Failure> {
        self.script("COMMIT").await
    }

    /// Statements without values.
    pub(super) async fn script(&mut self, sql: &str) -> Result<(), Failure> {
        match self {
            Self::Sqlite(it) => it.script(sql).await,
            Self::Postgres(it) => it.script(sql).await,
        }
    }

    /// How many rows it changed.
    pub(super) async fn execute(&mut self, sql: &str, cells: Vec<Cell>) -> Result<u64, Failure> {
        match self {
            Self::Sqlite(it) => it.execute(sql, cells).await,
            Self::Postgres(it) => it.execute(sql, cells).await,
        }
    }

    /// The rows it gives, each value of the kind that stands in its place in `kinds`.
    pub(super) async fn rows(
        &mut self,
        sql: &str,
        cells: Vec<Cell>,
        kinds: &[Kind],
    ) -> Result<Vec<Vec<Value>>, Failure> {
        match self {
            Self::Sqlite(it) => it.rows(sql, cells, kinds).await,
            Self::Postgres(it) => it.rows(sql, cells, kinds).await,
        }
    }
}

impl Value {
    pub(super) fn into_text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}
