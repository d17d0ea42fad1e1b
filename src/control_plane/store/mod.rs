//! What was spent, for good: ledger entries as rows and daily sums, in SQLite or PostgreSQL.
//!
//! ```text
//!   entries ──▶ one transaction { INSERT … ON CONFLICT DO NOTHING ─▶ which were new? ─▶ daily_spend += those }
//!                                    ▲ spend_logs (packed, in SQLite), or seen_requests without rows
//! ```
//!
//! A batch is stored whole or not at all, and an entry counts once however often it is given: the daily
//! sums grow only by the entries whose id was new in that same transaction. The usual batch is all new, so
//! it is written without asking which rows were; only if fewer rows than entries came of it is the
//! transaction rolled back and done again with `RETURNING`.
//!
//! Nothing is opened before it is needed: a database that is away at start is no reason not to serve.
//! There is one connection that writes and a few that read; one that failed is dropped, never reused.

mod batch;
mod columns;
mod error;
mod labels;
mod packed;
mod postgres;
mod read;
mod rollup;
mod schema;
mod session;
mod sqlite;

use std::{collections::HashSet, future::Future, time::Duration};

pub use error::{Reaction, StoreError};
use tokio::{
    sync::{Mutex, MutexGuard},
    time::timeout,
};

use batch::{Batch, Form};
use columns::{Cell, Kind, saturated};
use error::Failure;
use rollup::{DAILY_SPEND, add_to_row};
use session::{Bulk, Session, Value};

use super::{config::Accounting, names::Names};
use crate::boundary::ledger::entry::Entry;
use crate::limits::{
    STORE_BATCH_ENTRIES_MAX, STORE_CALL_MS_MAX, STORE_CONNECT_MS_MAX, STORE_PRUNE_ROWS_MAX,
    STORE_PRUNE_SLICES_MAX, STORE_READERS_MAX, STORE_SEEN_S_MAX,
};
use crate::units::{UnixMicros, UnixSeconds};

/// The file's name in `outcrop.data_dir`.
pub const SQLITE_FILE: &str = "outcrop.db";

/// What a store is opened for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    /// Recording and reading; makes the tables.
    Write,
    /// Reading alone: nothing is made or changed.
    Read,
}

/// Either database. Its calls may be awaited from any task of a tokio runtime.
pub struct Store {
    target: Target,
    shown: String,
    access: Access,
    keeps_rows: bool,
    retention_s: Option<u64>,
    writer: Slot,
    readers: [Slot; STORE_READERS_MAX],
    bulks: Bulks,
}

enum Target {
    Sqlite(sqlite::Target),
    Postgres(Box<postgres::Target>),
}

/// Room for one connection, and whether the table that this store does not write to holds ids.
type Slot = Mutex<Option<Kept>>;

struct Kept {
    session: Session,
    must_look_elsewhere: bool,
}

struct Bulks {
    rows: Bulk,
    seen: Bulk,
    daily: Bulk,
    /// Of the table that this store writes to.
    form: Form,
}

impl Bulks {
    /// SQLite's `spend_logs` is a view of `spend_rows`.
    fn new(target: &Target, keeps_rows: bool) -> Self {
        let (rows, of_rows, of_seen) = match target {
            Target::Sqlite(_) => ("spend_rows", Form::Packed, Form::Ids),
            Target::Postgres(_) => ("spend_logs", Form::Columns, Form::Moments),
        };
        let bulk = |table, columns, on_conflict| Bulk { table, columns, on_conflict };
        let once = || "ON CONFLICT (request_id) DO NOTHING".to_owned();
        Self {
            rows: bulk(rows, of_rows.columns(), once()),
            seen: bulk("seen_requests", of_seen.columns(), once()),
            daily: bulk("daily_spend", DAILY_SPEND, add_to_row()),
            form: if keeps_rows { of_rows } else { of_seen },
        }
    }
}

impl Store {
    /// Connects to nothing yet: `database_url` is read, or the path of the file put together.
    ///
    /// # Errors
    /// [`Reaction::Broken`] if `database_url` is none of PostgreSQL's.
    pub fn open(accounting: &Accounting, access: Access) -> Result<Self, StoreError> {
        let read_only = access == Access::Read;
        let (target, shown) = match &accounting.database_url {
            Some(url) => {
                let target = postgres::Target::parse(url, read_only).map_err(|cause| {
                    let (doing, database) = ("reading it", "general_settings.database_url".into());
                    StoreError { database, doing, cause, reaction: Reaction::Broken }
                })?;
                let shown = target.shown();
                (Target::Postgres(Box::new(target)), shown)
            }
            None => {
                let path = accounting.data_dir.join(SQLITE_FILE);
                let shown = format!("SQLite file {}", path.display());
                (Target::Sqlite(sqlite::Target { path, read_only, pages_max: None }), shown)
            }
        };
        let keeps_rows = !accounting.disable_spend_logs;
        let bulks = Bulks::new(&target, keeps_rows);
        Ok(Self {
            target,
            shown,
            access,
            keeps_rows,
            retention_s: accounting.retention_s,
            writer: Slot::default(),
            readers: std::array::from_fn(|_| Slot::default()),
            bulks,
        })
    }

    /// Bounds the SQLite file to so many pages of 8 KiB; of no effect on PostgreSQL, or once connected.
    pub fn limit_pages(&mut self, pages: u32) {
        if let Target::Sqlite(target) = &mut self.target {
            target.pages_max = Some(pages);
        }
    }

    /// Which database, for people: no user, no password.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Connects, and makes the tables if need be: to say at start what is wrong.
    ///
    /// # Errors
    /// What the database says.
    pub async fn check(&self) -> Result<(), StoreError> {
        let doing = "opening it";
        let slot = if self.access == Access::Read { &self.readers[0] } else { &self.writer };
        let mut slot = slot.lock().await;
        let kept = self.bounded(doing, self.take(&mut slot)).await?;
        *slot = Some(kept);
        Ok(())
    }

    /// Stores those of `entries` that AWS may have seen ([`Entry::is_stored`]), each once, ever; at most
    /// [`STORE_BATCH_ENTRIES_MAX`] in one transaction.
    ///
    /// # Errors
    /// Nothing of the transaction that failed is stored; those before it are. Giving all of `entries`
    /// again is right in either case.
    pub async fn record(&self, entries: &[Entry], names: &Names) -> Result<(), StoreError> {
        for part in entries.chunks(STORE_BATCH_ENTRIES_MAX) {
            // All that `names` is needed for is done before the first wait.
            let Some(batch) = Batch::of(part, names, self.bulks.form) else { continue };
            self.record_batch(batch).await?;
        }
        Ok(())
    }

    async fn record_batch(&self, batch: Batch<'_>) -> Result<(), StoreError> {
        let doing = "recording requests";
        let mut slot = self.writer.lock().await;
        let work = async {
            let mut kept = self.take(&mut slot).await?;
            self.store(&mut kept, batch).await?;
            Ok(kept)
        };
        let kept = self.bounded(doing, work).await?;
        *slot = Some(kept);
        Ok(())
    }

    async fn store(&self, kept: &mut Kept, mut batch: Batch<'_>) -> Result<(), Failure> {
        let bulk = if self.keeps_rows { &self.bulks.rows } else { &self.bulks.seen };
        let session = &mut kept.session;
        if let (Session::Sqlite(session), Form::Packed) = (&mut *session, self.bulks.form) {
            // Before the transaction: a number that was given stays, whatever becomes of the rows.
            batch.number_names(&session.numbers(batch.combinations()).await?);
        }
        session.begin().await?;
        if !kept.must_look_elsewhere {
            let affected = session.insert(bulk, batch.cells()).await?;
            if usize::try_from(affected) == Ok(batch.len()) {
                session.insert(&self.bulks.daily, &batch.daily()).await?;
                return session.commit().await;
            }
            // Some had been stored before. Which, is told only if it is asked for.
            session.rollback().await?;
            session.begin().await?;
        }
        let batch = if kept.must_look_elsewhere {
            let known = self.ids_elsewhere(session, &batch).await?;
            batch.without(&known)
        } else {
            batch
        };
        if batch.len() > 0 {
            let new = session.insert_and_tell(bulk, batch.cells()).await?;
            let daily = batch.daily_of(new.into_iter().collect());
            if !daily.is_empty() {
                session.insert(&self.bulks.daily, &daily).await?;
            }
        }
        session.commit().await
    }

    /// Ids of the batch in the table that this store does not write to, after `disable_spend_logs` was
    /// changed: what was stored before the change, and is replayed after it, counts no second time.
    async fn ids_elsewhere(
        &self,
        session: &mut Session,
        batch: &Batch<'_>,
    ) -> Result<HashSet<String>, Failure> {
        let ids: Vec<Cell> = batch.ids().cloned().collect();
        let marks = vec!["?"; ids.len()].join(", ");
        let sql =
            format!("SELECT request_id FROM {} WHERE request_id IN ({marks})", self.elsewhere());
        let rows = session.rows(&sql, ids, &[Kind::Text]).await?;
        Ok(rows.into_iter().flatten().filter_map(Value::into_text).collect())
    }

    fn elsewhere(&self) -> &'static str {
        if self.keeps_rows { self.bulks.seen.table } else { self.bulks.rows.table }
    }

    /// Deletes rows older than the retention setting, if there is one, and ids that no replay can bring
    /// any more; at most [`STORE_PRUNE_ROWS_MAX`] in one transaction. The daily sums stay. How many went.
    ///
    /// # Errors
    /// What was deleted by then stays deleted.
    pub async fn prune(&self, now: UnixSeconds) -> Result<u64, StoreError> {
        let mut gone = 0;
        if let Some(retention_s) = self.retention_s {
            gone += self.prune_table(self.bulks.rows.table, now, retention_s).await?;
        }
        Ok(gone + self.prune_table(self.bulks.seen.table, now, STORE_SEEN_S_MAX).await?)
    }

    async fn prune_table(
        &self,
        table: &str,
        now: UnixSeconds,
        kept_s: u64,
    ) -> Result<u64, StoreError> {
        let before = UnixMicros(now.0.saturating_sub(kept_s).saturating_mul(1_000_000));
        let (by, before) = match self.target {
            Target::Sqlite(_) => ("request_id", packed::first_id(before)),
            Target::Postgres(_) => ("started_us", Cell::Int(saturated(before.0))),
        };
        let sql = format!(
            "DELETE FROM {table} WHERE request_id IN (SELECT request_id FROM {table} \
             WHERE {by} < ? ORDER BY {by} LIMIT {STORE_PRUNE_ROWS_MAX})"
        );
        let mut gone = 0;
        for _ in 0..STORE_PRUNE_SLICES_MAX {
            let doing = "deleting rows past the retention period";
            // Let go in between: recording comes first.
            let mut slot = self.writer.lock().await;
            let work = async {
                let mut kept = self.take(&mut slot).await?;
                Ok((kept.session.execute(&sql, vec![before.clone()]).await?, kept))
            };
            let (deleted, kept) = self.bounded(doing, work).await?;
            *slot = Some(kept);
            gone += deleted;
            if deleted < u64::from(STORE_PRUNE_ROWS_MAX) {
                break;
            }
        }
        Ok(gone)
    }

    /// The rows of a question. A connection that was kept for long may have died: then once more.
    async fn ask(
        &self,
        doing: &'static str,
        sql: &str,
        cells: &[Cell],
        kinds: &[Kind],
    ) -> Result<Vec<Vec<Value>>, StoreError> {
        let mut slot = self.reader().await;
        let work = async {
            let was_kept = slot.is_some();
            let mut kept = self.take(&mut slot).await?;
            match kept.session.rows(sql, cells.to_vec(), kinds).await {
                Err(failure) if was_kept && failure.is_of_the_connection() => {
                    kept = self.take(&mut slot).await?;
                    Ok((kept.session.rows(sql, cells.to_vec(), kinds).await?, kept))
                }
                rows => Ok((rows?, kept)),
            }
        };
        let (rows, kept) = self.bounded(doing, work).await?;
        *slot = Some(kept);
        Ok(rows)
    }

    /// The first that is free; else the last, when it is.
    async fn reader(&self) -> MutexGuard<'_, Option<Kept>> {
        let [first @ .., last] = &self.readers;
        match first.iter().find_map(|slot| slot.try_lock().ok()) {
            Some(free) => free,
            None => last.lock().await,
        }
    }

    /// The slot's connection, or a new one with tables. Who takes it puts it back if nothing failed.
    async fn take(&self, slot: &mut Option<Kept>) -> Result<Kept, Failure> {
        if let Some(kept) = slot.take() {
            return Ok(kept);
        }
        let limit = Duration::from_millis(STORE_CONNECT_MS_MAX);
        let connect = async {
            Ok(match &self.target {
                Target::Sqlite(target) => Session::Sqlite(target.connect().await?),
                Target::Postgres(target) => Session::Postgres(target.connect().await?),
            })
        };
        let mut session = timeout(limit, connect).await.unwrap_or(Err(Failure::TimedOut))?;
        schema::ensure(&mut session, self.access).await?;
        let sql =
            format!("SELECT COUNT(*) FROM (SELECT 1 FROM {} LIMIT 1) AS it", self.elsewhere());
        let found = session.rows(&sql, Vec::new(), &[Kind::Int]).await?;
        let must_look_elsewhere = found != [[Value::Int(0)]];
        Ok(Kept { session, must_look_elsewhere })
    }

    /// Cut off after [`STORE_CALL_MS_MAX`]; what failed is said of this database.
    async fn bounded<T>(
        &self,
        doing: &'static str,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, StoreError> {
        let limit = Duration::from_millis(STORE_CALL_MS_MAX);
        let done = timeout(limit, work).await.unwrap_or(Err(Failure::TimedOut));
        done.map_err(|failure| failure.in_doing(doing, &self.shown))
    }
}
