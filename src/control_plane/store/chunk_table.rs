//! SQLite's table of chunks: what is new goes in, what is known is not counted again.
//!
//! A chunk's ids begin with their times, so that what it may hold is told by its first and its last. Where all
//! is certainly new, as in a process's own ledger until the store has been given it, nothing is looked up.

use std::collections::HashSet;

use sqlx::AssertSqlSafe;

use super::chunk::{Chunk, Chunks, ID_BYTES};
use super::columns::{Cell, Column, Kind};
use super::error::Failure;
use super::session::{Bulk, Value};
use super::sqlite::Session;
use crate::control_plane::bookkeeper::Before;
use crate::limits::{STORE_CHUNK_ENTRIES_MAX, STORE_KNOWN_GAP_MS, STORE_KNOWN_ROWS_MAX};

/// Rows of one INSERT, if there are so many.
const CHUNKS_AT_ONCE: usize = 8;
/// Ids of clients' own for calls.
const SPEND_CALLS: &[Column] = &[("litellm_call_id", Kind::Text), ("request_id", Kind::Text)];

/// Stores a batch, whole or not at all.
pub(super) async fn store(
    session: &mut Session,
    daily: &Bulk,
    chunks: &mut Chunks<'_>,
    before: Before,
) -> Result<(), Failure> {
    // Before the transaction: a number that was given stays, whatever becomes of the rows.
    let numbers = session.numbers(chunks.combinations()).await?;
    // IMMEDIATE: what is not known now is not known until we commit.
    session.script("BEGIN IMMEDIATE").await?;
    let is_new = match before {
        Before::Never => vec![true; chunks.ids().len()],
        Before::Perhaps => chunks.new_ones(&known(session, chunks.ids()).await?),
    };
    let mut rows = chunks.rows(&is_new, &numbers);
    while !rows.is_empty() {
        // In two sizes, so that two statements are prepared: each is a hop to the driver's thread and back.
        let count = if rows.len() >= CHUNKS_AT_ONCE { CHUNKS_AT_ONCE } else { 1 };
        insert(session, rows.drain(..count)).await?;
    }
    let calls = chunks.calls(&is_new);
    if !calls.is_empty() {
        let on_conflict = "ON CONFLICT DO NOTHING".to_owned();
        let calls_bulk = Bulk { table: "spend_calls", columns: SPEND_CALLS, on_conflict };
        session.insert(&calls_bulk, &calls).await?;
    }
    let sums = chunks.daily(&is_new);
    if !sums.is_empty() {
        session.insert(daily, &sums).await?;
    }
    session.script("COMMIT").await
}

async fn insert(
    session: &mut Session,
    chunks: impl ExactSizeIterator<Item = Chunk>,
) -> Result<(), Failure> {
    let values = vec!["(?, ?, ?, ?, ?)"; chunks.len()].join(", ");
    let sql =
        format!("INSERT INTO spend_chunks (first_id, last_id, ids, names, rows) VALUES {values}");
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for Chunk { first_id, last_id, ids, names, rows } in chunks {
        query = query.bind(first_id).bind(last_id).bind(ids).bind(names).bind(rows);
    }
    query.execute(session.connection()).await?;
    Ok(())
}

/// Which of `ids` are there.
async fn known(
    session: &mut Session,
    ids: &[[u8; ID_BYTES]],
) -> Result<HashSet<[u8; ID_BYTES]>, Failure> {
    let mut sorted = ids.to_vec();
    sorted.sort_unstable();
    let asked: HashSet<[u8; ID_BYTES]> = sorted.iter().copied().collect();
    let mut known = HashSet::new();
    // By neighbourhoods: one request of long ago must not ask for all that came since.
    let is_near = |a: &[u8; ID_BYTES], b: &[u8; ID_BYTES]| {
        millis(b).saturating_sub(millis(a)) <= STORE_KNOWN_GAP_MS
    };
    for near in sorted.chunk_by(is_near) {
        let (Some(first), Some(last)) = (near.first(), near.last()) else { continue };
        let text = |id: &[u8; ID_BYTES]| Cell::text(str::from_utf8(id).unwrap_or_default());
        // In the order of the index: in that of the table, SQLite would read all of it.
        let mut from = (text(first), Cell::Int(0));
        loop {
            let sql = format!(
                "SELECT id, last_id, ids FROM spend_chunks \
                 WHERE (last_id, id) > (?, ?) AND first_id <= ? ORDER BY last_id, id LIMIT {STORE_KNOWN_ROWS_MAX}"
            );
            let cells = vec![from.0.clone(), from.1.clone(), text(last)];
            let kinds = [Kind::Int, Kind::Text, Kind::Text];
            let rows = session.rows(&sql, cells, &kinds).await?;
            let count = rows.len();
            for row in rows {
                let [Value::Int(id), Value::Text(last_id), Value::Text(ids)] = &row[..] else {
                    continue;
                };
                from = (Cell::text(last_id), Cell::Int(*id));
                let (ids, _rest) = ids.as_bytes().as_chunks::<ID_BYTES>();
                known.extend(ids.iter().filter(|id| asked.contains(*id)).copied());
            }
            if count < STORE_KNOWN_ROWS_MAX {
                break;
            }
        }
    }
    Ok(known)
}

/// When an id was made: the first 48 bits of a version 7 UUID.
fn millis(id: &[u8; ID_BYTES]) -> u64 {
    let digits = id[..8].iter().chain(&id[9..13]);
    digits.fold(0, |sum, digit| sum << 4 | u64::from(char::from(*digit).to_digit(16).unwrap_or(0)))
}

/// Deletes so many chunks, at most, of those whose last request began before `before`: with rows, or of ids
/// alone. How many chunks and how many requests went.
pub(super) async fn prune(
    session: &mut Session,
    before: Cell,
    have_rows: bool,
    max: u32,
) -> Result<(u32, u64), Failure> {
    let is = if have_rows { "IS NOT NULL" } else { "IS NULL" };
    let sql = format!(
        "DELETE FROM spend_chunks WHERE id IN (SELECT id FROM spend_chunks \
         WHERE last_id < ? AND names {is} ORDER BY last_id LIMIT {max}) RETURNING length(ids)"
    );
    let gone = session.rows(&sql, vec![before.clone()], &[Kind::Int]).await?;
    if have_rows {
        // What a chunk that is not old enough yet has of them goes early, and is found by our own ids still.
        // As many as the chunks may have had, or they would pile up.
        let calls_max = u64::from(max) * STORE_CHUNK_ENTRIES_MAX as u64;
        let calls = format!(
            "DELETE FROM spend_calls WHERE (litellm_call_id, request_id) IN (SELECT litellm_call_id, request_id \
             FROM spend_calls WHERE request_id < ? LIMIT {calls_max})"
        );
        session.execute(&calls, vec![before]).await?;
    }
    let bytes = gone.iter().flatten().map(|value| match value {
        Value::Int(bytes) => bytes.unsigned_abs(),
        _ => 0,
    });
    let requests = bytes.sum::<u64>() / ID_BYTES as u64;
    Ok((u32::try_from(gone.len()).unwrap_or(u32::MAX), requests))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{RequestId, UnixMicros};

    #[test]
    fn an_id_tells_its_millisecond() {
        for ms in [0, 1, 0xffff, 0x1_0000, 1_795_392_000_123, (1 << 48) - 1] {
            let id = RequestId::new(UnixMicros(ms * 1000), u128::MAX);
            assert_eq!(millis(&id.text()), ms);
        }
    }
}
