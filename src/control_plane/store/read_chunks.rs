//! Requests out of SQLite's chunks, newest first.
//!
//! Chunks are walked from the one with the newest id on. What a chunk holds may be older than what the next one
//! does, so a request is certainly among the newest once its id is above all of the next chunk's.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value as Json;

use super::chunk::{DETAILS_AT, ID_BYTES, first_id};
use super::columns::{Cell, Column, DETAILS, Kind, NAMES};
use super::read::{READING, midnight};
use super::session::Value;
use super::{Store, StoreError};
use crate::control_plane::spend::{Day, LogsQuery};
use crate::limits::{STORE_KNOWN_ROWS_MAX, STORE_LOGS_ROWS_MAX, STORE_SEARCHED_ROWS_MAX};

/// Chunks that are read before it is seen whether they do.
const CHUNKS_AT_FIRST: usize = 2;

/// What was found of a request: the number of its names, and its array.
type Found = (i64, Vec<Json>);

/// Which requests are looked for.
#[derive(Default)]
struct Wanted {
    from: Option<String>,
    before: Option<String>,
    ids: Option<HashSet<String>>,
    /// Numbers in `spend_names`.
    names: Option<HashSet<i64>>,
}

impl Store {
    /// Rows in the order of `SPEND_LOGS`.
    pub(super) async fn chunked_logs(
        &self,
        query: &LogsQuery,
    ) -> Result<Vec<Vec<Value>>, StoreError> {
        let wanted = self.wanted(query).await?;
        let limit = query.limit.min(STORE_LOGS_ROWS_MAX) as usize;
        let is_nothing = wanted.names.as_ref().is_some_and(HashSet::is_empty);
        if limit == 0 || is_nothing {
            return Ok(Vec::new());
        }
        let mut found: BTreeMap<String, Found> = BTreeMap::new();
        let (mut place, mut searched) = ((String::from("~"), i64::MAX), 0);
        // Few at first: a chunk may have hundreds of requests, or one.
        let mut page = CHUNKS_AT_FIRST;
        loop {
            let (sql, cells) = wanted.sql(&place, page);
            let kinds = [Kind::Int, Kind::Text, Kind::Text, Kind::Text, Kind::Text];
            let chunks = self.ask(READING, &sql, &cells, &kinds).await?;
            let is_last = chunks.len() < page;
            page = (page * 2).min(STORE_KNOWN_ROWS_MAX);
            for chunk in chunks {
                let [
                    Value::Int(at),
                    Value::Text(last_id),
                    Value::Text(ids),
                    Value::Text(names),
                    Value::Text(rows),
                ] = &chunk[..]
                else {
                    continue;
                };
                searched += wanted.take(ids, names, rows, &mut found);
                place = (last_id.clone(), *at);
                while found.len() > limit {
                    found.pop_first();
                }
                if found.len() == limit
                    && found.first_key_value().is_some_and(|(id, _)| id > last_id)
                {
                    return self.named(found).await;
                }
            }
            if is_last || searched >= STORE_SEARCHED_ROWS_MAX as usize {
                return self.named(found).await;
            }
        }
    }

    async fn wanted(&self, query: &LogsQuery) -> Result<Wanted, StoreError> {
        let bound = |day: Day| first_id(midnight(day)).str().unwrap_or_default().to_owned();
        let mut wanted = Wanted {
            from: query.start.map(bound),
            before: query.end.map(|day| bound(Day(day.0.saturating_add(1)))),
            ..Wanted::default()
        };
        if let Some(id) = &query.request_id {
            let sql = "SELECT request_id FROM spend_calls WHERE litellm_call_id = ?";
            let calls = self.ask(READING, sql, &[Cell::text(id)], &[Kind::Text]).await?;
            let calls = calls.into_iter().flatten().filter_map(Value::into_text);
            wanted.ids = Some(calls.chain([id.clone()]).collect());
        }
        if let Some(key) = &query.api_key {
            let sql = "SELECT id FROM spend_names WHERE api_key = ?";
            let numbers = self.ask(READING, sql, &[Cell::text(key)], &[Kind::Int]).await?;
            let numbers = numbers.into_iter().flatten().filter_map(|value| match value {
                Value::Int(number) => Some(number),
                _ => None,
            });
            wanted.names = Some(numbers.collect());
        }
        Ok(wanted)
    }

    /// With the names that their numbers stand for, newest first: by when they began, to the microsecond.
    async fn named(&self, found: BTreeMap<String, Found>) -> Result<Vec<Vec<Value>>, StoreError> {
        let numbers: HashSet<i64> = found.values().map(|(number, _)| *number).collect();
        let columns: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
        let marks = numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let sql =
            format!("SELECT id, {} FROM spend_names WHERE id IN ({marks})", columns.join(", "));
        let mut kinds = [Kind::Text; NAMES.len() + 1];
        kinds[0] = Kind::Int;
        let mut names: HashMap<i64, Vec<Value>> = HashMap::new();
        for row in self.ask(READING, &sql, &[], &kinds).await? {
            let mut values = row.into_iter();
            if let Some(Value::Int(number)) = values.next() {
                names.insert(number, values.collect());
            }
        }
        let unnamed = vec![Value::Null; NAMES.len()];
        let mut rows: Vec<(u64, Vec<Value>)> = Vec::with_capacity(found.len());
        for (id, (number, array)) in found.into_iter().rev() {
            let started = array.get(DETAILS_AT).and_then(Json::as_u64).unwrap_or(0);
            let mut row = vec![Value::Text(id)];
            row.extend_from_slice(names.get(&number).unwrap_or(&unnamed));
            let columns = [("litellm_call_id", Kind::Text)];
            let columns = columns.iter().chain(DETAILS);
            let mut values = array.into_iter().skip(1);
            row.extend(columns.map(|column| value(column, values.next())));
            rows.push((started, row));
        }
        // Stable: of one microsecond, by id.
        rows.sort_by_key(|(started, _)| std::cmp::Reverse(*started));
        Ok(rows.into_iter().map(|(_, row)| row).collect())
    }
}

impl Wanted {
    /// The next chunks that may hold what is wanted, from `place` on: a last id, and a chunk's own.
    fn sql(&self, place: &(String, i64), page: usize) -> (String, Vec<Cell>) {
        let mut conditions =
            vec!["rows IS NOT NULL".to_owned(), "(last_id, id) < (?, ?)".to_owned()];
        let mut cells = vec![Cell::text(&place.0), Cell::Int(place.1)];
        if let Some(from) = &self.from {
            conditions.push("last_id >= ?".to_owned());
            cells.push(Cell::text(from));
        }
        if let Some(before) = &self.before {
            conditions.push("first_id < ?".to_owned());
            cells.push(Cell::text(before));
        }
        if let Some(ids) = &self.ids {
            let one = "last_id >= ? AND first_id <= ? AND instr(ids, ?)";
            conditions.push(format!("({})", vec![one; ids.len()].join(" OR ")));
            cells
                .extend(ids.iter().flat_map(|id| [Cell::text(id), Cell::text(id), Cell::text(id)]));
        }
        let sql = format!(
            "SELECT id, last_id, ids, names, rows FROM spend_chunks WHERE {} \
             ORDER BY last_id DESC, id DESC LIMIT {page}",
            conditions.join(" AND ")
        );
        (sql, cells)
    }

    /// Takes those of a chunk's requests that are wanted; how many it has.
    fn take(
        &self,
        ids: &str,
        names: &str,
        rows: &str,
        found: &mut BTreeMap<String, Found>,
    ) -> usize {
        let names: Vec<i64> = serde_json::from_str(names).unwrap_or_default();
        let has_names =
            self.names.as_ref().is_none_or(|wanted| names.iter().any(|it| wanted.contains(it)));
        let count = ids.len() / ID_BYTES;
        if !has_names {
            return count;
        }
        let rows: Vec<Vec<Json>> = serde_json::from_str(rows).unwrap_or_default();
        let (ids, _rest) = ids.as_bytes().as_chunks::<ID_BYTES>();
        for (id, row) in ids.iter().zip(rows) {
            let Ok(id) = str::from_utf8(id) else { continue };
            let place = row.first().and_then(Json::as_u64).and_then(|at| usize::try_from(at).ok());
            let number = place.and_then(|at| names.get(at)).copied().unwrap_or(0);
            let is_wanted = self.from.as_ref().is_none_or(|from| id >= from.as_str())
                && self.before.as_ref().is_none_or(|before| id < before.as_str())
                && self.ids.as_ref().is_none_or(|ids| ids.contains(id))
                && self.names.as_ref().is_none_or(|names| names.contains(&number));
            if is_wanted {
                found.insert(id.to_owned(), (number, row));
            }
        }
        count
    }
}

/// A place of a request's array. Those at its end that are not there are NULL.
fn value((_, kind): &Column, found: Option<Json>) -> Value {
    let found = found.unwrap_or(Json::Null);
    match (kind, found) {
        (_, Json::Null) => Value::Null,
        (Kind::Bool, found) => Value::Bool(found.as_i64() == Some(1)),
        (Kind::Int, found) => found.as_i64().map_or(Value::Null, Value::Int),
        (Kind::Text, Json::String(text)) => Value::Text(text),
        (Kind::Text, array) => Value::Text(array.to_string()),
    }
}
