//! PostgreSQL's tables of requests: a row each, of which the primary key says which were new.
//!
//! The usual batch is all new, so it is written without asking which rows were; only if fewer rows than
//! entries came of it is the transaction rolled back and done again with `RETURNING`.

use std::collections::HashSet;

use super::batch::{Batch, Form};
use super::columns::{Cell, Kind, saturated};
use super::error::Failure;
use super::postgres::Session;
use super::session::{Bulk, Value};
use crate::limits::STORE_PRUNE_ROWS_MAX;
use crate::units::UnixMicros;

/// The tables that know which requests were stored.
pub(super) struct Tables {
    rows: Bulk,
    seen: Bulk,
    /// Of the table that is written to.
    pub(super) form: Form,
}

impl Tables {
    pub(super) fn new(keeps_rows: bool) -> Self {
        let bulk = |table, form: Form| {
            let on_conflict = "ON CONFLICT (request_id) DO NOTHING".to_owned();
            Bulk { table, columns: form.columns(), on_conflict }
        };
        let form = if keeps_rows { Form::Columns } else { Form::Moments };
        let (rows, seen) =
            (bulk("spend_logs", Form::Columns), bulk("seen_requests", Form::Moments));
        Self { rows, seen, form }
    }

    fn written(&self) -> &Bulk {
        if self.form == Form::Columns { &self.rows } else { &self.seen }
    }

    /// The table that is not written to.
    fn elsewhere(&self) -> &'static str {
        if self.form == Form::Columns { self.seen.table } else { self.rows.table }
    }

    /// Whether the table that is not written to holds ids.
    pub(super) async fn has_others(&self, session: &mut Session) -> Result<bool, Failure> {
        let sql =
            format!("SELECT COUNT(*) FROM (SELECT 1 FROM {} LIMIT 1) AS it", self.elsewhere());
        Ok(session.rows(&sql, Vec::new(), &[Kind::Int]).await? != [[Value::Int(0)]])
    }

    /// Stores a batch, whole or not at all.
    pub(super) async fn store(
        &self,
        session: &mut Session,
        daily: &Bulk,
        batch: Batch<'_>,
        must_look_elsewhere: bool,
    ) -> Result<(), Failure> {
        session.script("BEGIN").await?;
        if !must_look_elsewhere {
            let affected = session.insert(self.written(), batch.cells()).await?;
            if usize::try_from(affected) == Ok(batch.len()) {
                session.insert(daily, &batch.daily()).await?;
                return session.script("COMMIT").await;
            }
            // Some had been stored before. Which, is told only if it is asked for.
            session.script("ROLLBACK").await?;
            session.script("BEGIN").await?;
        }
        let batch = if must_look_elsewhere {
            let known = self.ids_elsewhere(session, &batch).await?;
            batch.without(&known)
        } else {
            batch
        };
        if batch.len() > 0 {
            let new = session.insert_and_tell(self.written(), batch.cells()).await?;
            let new = new.into_iter().flatten().filter_map(Value::into_text).collect();
            let sums = batch.daily_of(new);
            if !sums.is_empty() {
                session.insert(daily, &sums).await?;
            }
        }
        session.script("COMMIT").await
    }

    /// Ids of the batch in the table that is not written to, after `disable_spend_logs` was changed: what was
    /// stored before the change, and is replayed after it, counts no second time.
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

    /// Deletes at most [`STORE_PRUNE_ROWS_MAX`] rows, or ids that are kept alone, of before; how many.
    pub(super) async fn prune(
        &self,
        session: &mut Session,
        before: UnixMicros,
        are_rows: bool,
    ) -> Result<u64, Failure> {
        let table = if are_rows { self.rows.table } else { self.seen.table };
        let sql = format!(
            "DELETE FROM {table} WHERE request_id IN (SELECT request_id FROM {table} \
             WHERE started_us < ? ORDER BY started_us LIMIT {STORE_PRUNE_ROWS_MAX})"
        );
        session.execute(&sql, vec![Cell::Int(saturated(before.0))]).await
    }
}
