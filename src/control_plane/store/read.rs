//! Questions to the store: sums of `daily_spend`, rows of `spend_logs`.

use serde_json::{Map, Value as Json, json};

use super::columns::{Cell, Kind, SPEND_LOGS, saturated};
use super::rollup::DAILY_COUNTS;
use super::session::Value;
use super::{Store, StoreError, Target};
use crate::control_plane::spend::{
    Day, GroupBy, LogsQuery, Report, ReportQuery, ReportRow, Totals, in_dollars,
};
use crate::limits::STORE_LOGS_ROWS_MAX;
use crate::units::{PicoUsd, UnixMicros};

/// Counts are summed by halves, so that no sum overflows below 2^31 rows, in either database.
const HALF_BITS: u32 = 32;

/// The column that a report's rows are made by.
fn column(group: GroupBy) -> &'static str {
    match group {
        GroupBy::Model => "model_group",
        GroupBy::Deployment => "deployment",
        GroupBy::ApiKey => "api_key",
        GroupBy::Day => "day",
    }
}

impl Store {
    /// Sums by group, from the daily sums: exact, and as fast after a year of traffic as after a day.
    ///
    /// # Errors
    /// What the database says.
    pub async fn report(&self, query: &ReportQuery) -> Result<Report, StoreError> {
        let group = column(query.group_by);
        let halves = DAILY_COUNTS.iter().chain(&["cost_usd"]).flat_map(|name| {
            let low = (1_u64 << HALF_BITS) - 1;
            [format!("SUM({name} >> {HALF_BITS})"), format!("SUM({name} & {low})")]
        });
        let sums: Vec<String> = halves
            .chain(["SUM(cost_pico)".to_owned()])
            .map(|sum| format!("CAST({sum} AS BIGINT)"))
            .collect();
        let (mut conditions, mut cells) = (Vec::new(), Vec::new());
        for (condition, day) in [("day >= ?", query.start), ("day <= ?", query.end)] {
            if let Some(day) = day {
                conditions.push(condition);
                cells.push(Cell::text(&day.to_string()));
            }
        }
        let sums_sql = sums.join(", ");
        let sql = format!(
            "SELECT {group}, {sums_sql} FROM daily_spend {} GROUP BY {group}",
            all_of(&conditions)
        );
        let kinds: Vec<Kind> =
            [Kind::Text].into_iter().chain(sums.iter().map(|_| Kind::Int)).collect();
        let rows = self.ask("reading the daily sums", &sql, &cells, &kinds).await?;
        let mut report =
            Report { data: rows.into_iter().map(report_row).collect(), ..Report::default() };
        for row in &report.data {
            report.total.add(&row.totals);
        }
        report.data.sort_by(|a, b| match query.group_by {
            GroupBy::Day => a.group.cmp(&b.group),
            _ => b.totals.spend.cmp(&a.totals.spend).then_with(|| a.group.cmp(&b.group)),
        });
        Ok(report)
    }

    /// Rows of `spend_logs`, newest first, by column name; `spend` in dollars as an exact decimal in text.
    /// From SQLite, a key's rows are looked for among the newest [`STORE_SEARCHED_ROWS_MAX`](crate::limits::STORE_SEARCHED_ROWS_MAX) of the
    /// days asked.
    ///
    /// # Errors
    /// What the database says.
    pub async fn logs(&self, query: &LogsQuery) -> Result<Vec<Json>, StoreError> {
        let rows = match self.target {
            Target::Sqlite(_) => self.chunked_logs(query).await?,
            Target::Postgres(_) => {
                let (sql, cells) = postgres_logs(query);
                let kinds: Vec<Kind> = SPEND_LOGS.iter().map(|(_, kind)| *kind).collect();
                self.ask(READING, &sql, &cells, &kinds).await?
            }
        };
        Ok(rows.into_iter().map(log_row).collect())
    }
}

/// What is being done.
pub(super) const READING: &str = "reading requests";

/// The day's first moment.
pub(super) fn midnight(day: Day) -> UnixMicros {
    UnixMicros(day.start().0.saturating_mul(1_000_000))
}

/// By the columns' indices.
fn postgres_logs(query: &LogsQuery) -> (String, Vec<Cell>) {
    let (mut conditions, mut cells) = (Vec::new(), Vec::new());
    if let Some(key) = &query.api_key {
        conditions.push("api_key = ?");
        cells.push(Cell::text(key));
    }
    if let Some(id) = &query.request_id {
        conditions.push("(request_id = ? OR litellm_call_id = ?)");
        cells.extend([Cell::text(id), Cell::text(id)]);
    }
    let micros = |day: Day| Cell::Int(saturated(midnight(day).0));
    if let Some(day) = query.start {
        conditions.push("started_us >= ?");
        cells.push(micros(day));
    }
    if let Some(day) = query.end {
        conditions.push("started_us < ?");
        cells.push(micros(Day(day.0.saturating_add(1))));
    }
    cells.push(Cell::Int(query.limit.min(STORE_LOGS_ROWS_MAX).into()));
    let names: Vec<&str> = SPEND_LOGS.iter().map(|(name, _)| *name).collect();
    let sql = format!(
        "SELECT {} FROM spend_logs {} ORDER BY started_us DESC, request_id DESC LIMIT ?",
        names.join(", "),
        all_of(&conditions)
    );
    (sql, cells)
}

fn all_of(conditions: &[&str]) -> String {
    if conditions.is_empty() {
        String::new()
    } else {
        format!("WHERE {}", conditions.join(" AND "))
    }
}

/// In the order of the report's SELECT: the group, two halves of each count and of the dollars, the rest.
fn report_row(row: Vec<Value>) -> ReportRow {
    let number = |value: &Value| match value {
        Value::Int(number) => u128::try_from(*number).unwrap_or(0),
        _ => 0,
    };
    let mut values = row.into_iter();
    let group = values.next().and_then(Value::into_text).unwrap_or_default();
    let numbers: Vec<u128> = values.map(|value| number(&value)).collect();
    let (halves, rest) = numbers.as_chunks::<2>();
    let sums: Vec<u128> = halves.iter().map(|[high, low]| (high << HALF_BITS) + low).collect();
    let count = |name: &str| {
        let at = DAILY_COUNTS.iter().position(|known| *known == name).expect("a column");
        u64::try_from(sums[at]).unwrap_or(u64::MAX)
    };
    let writes = ["cache_write_5m_tokens", "cache_write_1h_tokens", "cache_write_unsplit_tokens"];
    let dollars = sums.last().copied().unwrap_or(0);
    let totals = Totals {
        spend: dollars
            .saturating_mul(u128::from(PicoUsd::PER_USD))
            .saturating_add(rest.first().copied().unwrap_or(0)),
        requests: count("requests"),
        input_tokens: count("input_tokens"),
        output_tokens: count("output_tokens"),
        cache_read_tokens: count("cache_read_tokens"),
        cache_write_tokens: writes.map(count).into_iter().fold(0, u64::saturating_add),
        unknown: count("unknown"),
    };
    ReportRow { group, totals }
}

/// A row as JSON, with what the tables derive.
fn log_row(row: Vec<Value>) -> Json {
    let mut fields = Map::new();
    for ((name, _), value) in SPEND_LOGS.iter().zip(row) {
        let value = match value {
            Value::Null => Json::Null,
            Value::Int(number) => json!(number),
            Value::Bool(truth) => json!(truth),
            Value::Text(text) if *name == "failed_attempts" => {
                serde_json::from_str(&text).unwrap_or(Json::Null)
            }
            Value::Text(text) => json!(text),
        };
        fields.insert((*name).to_owned(), value);
    }
    let number = |name: &str| fields.get(name).and_then(Json::as_u64);
    let started = number("started_us").unwrap_or(0);
    let moment = |after: u64| json!(iso_8601(UnixMicros(started.saturating_add(after))));
    let total_us = number("total_us").unwrap_or(0);
    let derived = [
        ("spend", json!(number("cost_pico").map(|pico| in_dollars(pico.into())))),
        ("startTime", moment(0)),
        ("endTime", moment(total_us)),
        ("completionStartTime", number("first_content_us").map_or(Json::Null, moment)),
        ("request_duration_ms", json!(total_us / 1000)),
        ("custom_llm_provider", json!("bedrock")),
    ];
    fields.extend(derived.map(|(name, value)| (name.to_owned(), value)));
    Json::Object(fields)
}

/// `2026-11-23T01:02:03.000004Z`.
fn iso_8601(moment: UnixMicros) -> String {
    let day = Day::of(moment.seconds());
    let within = moment.0.saturating_sub(day.start().0.saturating_mul(1_000_000));
    let (seconds, micros) = (within / 1_000_000, within % 1_000_000);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!("{day}T{hours:02}:{minutes:02}:{:02}.{micros:06}Z", seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_shown_to_the_microsecond() {
        let check = |micros, text: &str| assert_eq!(iso_8601(UnixMicros(micros)), text);
        check(0, "1970-01-01T00:00:00.000000Z");
        check(1_800_000_000_000_004, "2027-01-15T08:00:00.000004Z");
        check(1_799_999_999_999_999, "2027-01-15T07:59:59.999999Z");
    }
}
