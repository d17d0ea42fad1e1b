//! What was spent, for good: ledger entries as rows and daily sums, in SQLite or PostgreSQL.
//!
//! ```text
//!   entries ──▶ one transaction { INSERT … ON CONFLICT DO NOTHING ─▶ which were new? ─▶ daily_spend += those }
//!                                    ▲ PostgreSQL: a row each (`rows`); SQLite: hundreds in one (`chunk`)
//! ```
//!
//! A batch is stored whole or not at all, and an entry counts once however often it is given: the daily
//! sums grow only by the entries whose id was new in that same transaction.
//!
//! Nothing is opened before it is needed: a database that is away at start is no reason not to serve.
//! There is one connection that writes and a few that read; one that failed is dropped, never reused.

mod batch;
mod chunk;
mod chunk_table;
mod columns;
mod error;
mod labels;
mod packer;
mod postgres;
mod read;
mod read_chunks;
mod rollup;
mod rows;
mod schema;
mod session;
mod sqlite;

use std::{future::Future, time::Duration};

pub use error::{Reaction, StoreError};
use tokio::{
    sync::{Mutex, MutexGuard},
    time::timeout,
};

use batch::Batch;
use chunk::Chunks;
use columns::{Cell, Kind};
use error::Failure;
use rollup::{DAILY_SPEND, add_to_row};
use rows::Tables;
use session::{Bulk, Session, Value};

use super::{bookkeeper::Before, config::Accounting, names::Names};
use crate::boundary::ledger::entry::Entry;
use crate::limits::{
    STORE_BATCH_ENTRIES_MAX, STORE_CALL_MS_MAX, STORE_CONNECT_MS_MAX, STORE_MIGRATE_MS_MAX,
    STORE_PRUNE_CHUNKS_MAX, STORE_PRUNE_ROWS_MAX, STORE_PRUNE_SLICES_MAX, STORE_READERS_MAX,
    STORE_SEEN_S_MAX,
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
    daily: Bulk,
    /// PostgreSQL's.
    tables: Tables,
}

/// What is deleted when it is old.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Of {
    /// Requests with all that is known of them.
    Rows,
    /// Ids that were kept alone.
    Ids,
}

enum Target {
    Sqlite(sqlite::Target),
    Postgres(Box<postgres::Target>),
}

/// Room for one connection.
type Slot = Mutex<Option<Kept>>;

struct Kept {
    session: Session,
    /// PostgreSQL's table that this store does not write to holds ids.
    must_look_elsewhere: bool,
}

/// What one transaction stores.
enum Work<'e> {
    Rows(Batch<'e>),
    Chunks(Chunks<'e>),
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
        let daily = Bulk { table: "daily_spend", columns: DAILY_SPEND, on_conflict: add_to_row() };
        Ok(Self {
            target,
            shown,
            access,
            keeps_rows,
            retention_s: accounting.retention_s,
            writer: Slot::default(),
            readers: std::array::from_fn(|_| Slot::default()),
            daily,
            tables: Tables::new(keeps_rows),
        })
    }

    /// Bounds the SQLite file to so many pages of 16 KiB; of no effect on PostgreSQL, or once connected.
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

    /// Connects, and makes the tables if need be, or moves what they hold: to say at start what is wrong.
    ///
    /// # Errors
    /// What the database says.
    pub async fn check(&self) -> Result<(), StoreError> {
        let doing = "opening it";
        let slot = if self.access == Access::Read { &self.readers[0] } else { &self.writer };
        let mut slot = slot.lock().await;
        let limit = Duration::from_millis(STORE_MIGRATE_MS_MAX);
        let kept = self.bounded_by(limit, doing, self.take(&mut slot)).await?;
        *slot = Some(kept);
        Ok(())
    }

    /// Stores those of `entries` that AWS may have seen ([`Entry::is_stored`]), each once, ever; at most
    /// [`STORE_BATCH_ENTRIES_MAX`] in one transaction.
    ///
    /// # Errors
    /// Nothing of the transaction that failed is stored; those before it are. Giving all of `entries`
    /// again, as [`Before::Perhaps`], is right in either case.
    pub async fn record(
        &self,
        entries: &[&Entry],
        names: &Names,
        before: Before,
    ) -> Result<(), StoreError> {
        for part in entries.chunks(STORE_BATCH_ENTRIES_MAX) {
            // All that `names` is needed for is done before the first wait.
            let work = match self.target {
                Target::Sqlite(_) => Chunks::of(part, names, self.keeps_rows).map(Work::Chunks),
                Target::Postgres(_) => Batch::of(part, names, self.tables.form).map(Work::Rows),
            };
            if let Some(work) = work {
                self.record_part(work, before).await?;
            }
        }
        Ok(())
    }

    async fn record_part(&self, work: Work<'_>, before: Before) -> Result<(), StoreError> {
        let doing = "recording requests";
        let mut slot = self.writer.lock().await;
        let work = async {
            let mut kept = self.take(&mut slot).await?;
            match (&mut kept.session, work) {
                (Session::Sqlite(session), Work::Chunks(mut chunks)) => {
                    chunk_table::store(session, &self.daily, &mut chunks, before).await?;
                }
                (Session::Postgres(session), Work::Rows(batch)) => {
                    let elsewhere = kept.must_look_elsewhere;
                    self.tables.store(session, &self.daily, batch, elsewhere).await?;
                }
                _ => unreachable!("a session is of the store's own database"),
            }
            Ok(kept)
        };
        let kept = self.bounded(doing, work).await?;
        *slot = Some(kept);
        Ok(())
    }

    /// Deletes rows older than the retention setting, if there is one, and ids that no replay can bring
    /// any more; at most [`STORE_PRUNE_ROWS_MAX`] in one transaction. The daily sums stay. How many went.
    ///
    /// # Errors
    /// What was deleted by then stays deleted.
    pub async fn prune(&self, now: UnixSeconds) -> Result<u64, StoreError> {
        let mut gone = 0;
        if let Some(retention_s) = self.retention_s {
            gone += self.prune_older(now, retention_s, Of::Rows).await?;
        }
        Ok(gone + self.prune_older(now, STORE_SEEN_S_MAX, Of::Ids).await?)
    }

    /// In slices: in between the connection is let go, because recording comes first.
    async fn prune_older(
        &self,
        now: UnixSeconds,
        kept_s: u64,
        what: Of,
    ) -> Result<u64, StoreError> {
        let before = UnixMicros(now.0.saturating_sub(kept_s).saturating_mul(1_000_000));
        let mut gone = 0;
        for _ in 0..STORE_PRUNE_SLICES_MAX {
            let doing = "deleting rows past the retention period";
            let mut slot = self.writer.lock().await;
            let work = async {
                let mut kept = self.take(&mut slot).await?;
                let (deleted, is_over) = match &mut kept.session {
                    Session::Sqlite(session) => {
                        let before = chunk::first_id(before);
                        let has_rows = what == Of::Rows;
                        let max = STORE_PRUNE_CHUNKS_MAX;
                        let (chunks, requests) =
                            chunk_table::prune(session, before, has_rows, max).await?;
                        (requests, chunks < max)
                    }
                    Session::Postgres(session) => {
                        let deleted = self.tables.prune(session, before, what == Of::Rows).await?;
                        (deleted, deleted < u64::from(STORE_PRUNE_ROWS_MAX))
                    }
                };
                Ok((deleted, is_over, kept))
            };
            let (deleted, is_over, kept) = self.bounded(doing, work).await?;
            *slot = Some(kept);
            gone += deleted;
            if is_over {
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
        let must_look_elsewhere = match &mut session {
            Session::Sqlite(_) => false,
            Session::Postgres(session) => self.tables.has_others(session).await?,
        };
        Ok(Kept { session, must_look_elsewhere })
    }

    /// Cut off after [`STORE_CALL_MS_MAX`]; what failed is said of this database.
    async fn bounded<T>(
        &self,
        doing: &'static str,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, StoreError> {
        self.bounded_by(Duration::from_millis(STORE_CALL_MS_MAX), doing, work).await
    }

    async fn bounded_by<T>(
        &self,
        limit: Duration,
        doing: &'static str,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, StoreError> {
        let done = timeout(limit, work).await.unwrap_or(Err(Failure::TimedOut));
        done.map_err(|failure| failure.in_doing(doing, &self.shown))
    }
}
