//! `outcrop spend`: what was spent, read straight from the store, whether the proxy runs or not.
//!
//! Nothing is written, not even tables that are missing. Money is shown as exact decimals.

use std::fmt::Write as _;

use super::config::Accounting;
use super::spend::{Day, Report, ReportQuery, ReportRow, in_dollars};
use super::store::{Access, Store, StoreError};

/// How a report is shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// Aligned columns and a total, for people.
    Table,
    /// As `/global/spend/report` gives it.
    Json,
    /// RFC 4180, without the total, which sums would count twice.
    Csv,
}

/// A `YYYY-MM-DD`.
///
/// # Errors
/// What it should be.
pub fn day(text: &str) -> Result<Day, String> {
    Day::parse(text).ok_or_else(|| "a day is written YYYY-MM-DD, from 1970-01-01 on".into())
}

/// The report as text.
///
/// # Errors
/// Why there is none, for the operator.
pub fn run(accounting: &Accounting, query: &ReportQuery, form: Form) -> Result<String, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no event loop: {error}"))?;
    let report =
        runtime.block_on(async { Store::open(accounting, Access::Read)?.report(query).await });
    let report = report.map_err(|error| {
        let StoreError { database, doing, cause, .. } = error;
        format!("{database}: {doing}: {cause}")
    })?;
    Ok(show(&report, query, form))
}

/// A column's name, and what of a row stands there.
type Column = (&'static str, fn(&ReportRow) -> String);

const COLUMNS: [Column; 7] = [
    ("spend_usd", |row| in_dollars(row.totals.spend)),
    ("requests", |row| row.totals.requests.to_string()),
    ("input_tokens", |row| row.totals.input_tokens.to_string()),
    ("output_tokens", |row| row.totals.output_tokens.to_string()),
    ("cache_read_tokens", |row| row.totals.cache_read_tokens.to_string()),
    ("cache_write_tokens", |row| row.totals.cache_write_tokens.to_string()),
    ("unknown", |row| row.totals.unknown.to_string()),
];

fn show(report: &Report, query: &ReportQuery, form: Form) -> String {
    let group = query.group_by.word();
    let cells = |row: &ReportRow| -> Vec<String> {
        let values = COLUMNS.iter().map(|(_, value)| value(row));
        std::iter::once(row.group.clone()).chain(values).collect()
    };
    let head = || std::iter::once(group).chain(COLUMNS.iter().map(|(name, _)| *name));
    match form {
        Form::Json => {
            let mut text = serde_json::to_string_pretty(report).expect("text and numbers");
            text.push('\n');
            text
        }
        Form::Csv => {
            let mut text = csv_line(head().map(str::to_owned));
            report.data.iter().for_each(|row| text.push_str(&csv_line(cells(row).into_iter())));
            text
        }
        Form::Table => {
            let mut rows = vec![head().map(str::to_owned).collect::<Vec<_>>()];
            let named = |row: &ReportRow| {
                let mut cells = cells(row);
                let shown = visible(&cells[0]);
                cells[0] = if shown.is_empty() { "(none)".into() } else { shown };
                cells
            };
            rows.extend(report.data.iter().map(named));
            rows.push(named(&ReportRow { group: "total".into(), totals: report.total }));
            table(&rows)
        }
    }
}

/// A name on a terminal: whoever wrote it moves no cursor.
fn visible(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// The first column to the left, the numbers to the right, with their decimal points in one line.
fn table(rows: &[Vec<String>]) -> String {
    let mut rows = rows.to_vec();
    let decimals = |cell: &str| cell.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    let places = rows.iter().skip(1).map(|row| decimals(&row[1])).max().unwrap_or(0);
    for row in rows.iter_mut().skip(1).filter(|_| places > 0) {
        let has = decimals(&row[1]);
        if has == 0 {
            row[1].push('.');
        }
        row[1].push_str(&"0".repeat(places - has));
    }
    let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
            match at {
                0 => write!(text, "{cell:<width$}"),
                _ => write!(text, "  {cell:>width$}"),
            }
            .expect("a String takes all");
        }
        text.push('\n');
    }
    text
}

/// RFC 4180, but for lines that end in LF alone, as Unix tools have it.
fn csv_line(cells: impl Iterator<Item = String>) -> String {
    let quoted = cells.map(|cell| {
        if cell.contains([',', '"', '\n', '\r']) {
            format!("\"{}\"", cell.replace('"', "\"\""))
        } else {
            cell
        }
    });
    quoted.collect::<Vec<_>>().join(",") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control_plane::spend::{GroupBy, Totals};

    fn shown(form: Form) -> String {
        let row = |group: &str, spend, requests| {
            let totals = Totals { spend, requests, ..Totals::default() };
            ReportRow { group: group.into(), totals }
        };
        let mut report = Report {
            data: vec![
                row("claude", 12_500_000_000_001, 3),
                row("a,\"b\"\n\u{1b}[2J", 1_000_000_000_000, 20_000),
                row("", 0, 1),
            ],
            ..Report::default()
        };
        for row in &report.data {
            report.total.add(&row.totals);
        }
        show(&report, &ReportQuery { group_by: GroupBy::Model, start: None, end: None }, form)
    }

    #[test]
    fn a_table_is_aligned_and_ends_in_a_total() {
        let text = shown(Form::Table);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 5, "{text}");
        let widths: Vec<usize> = lines.iter().map(|line| line.chars().count()).collect();
        assert!(widths.iter().all(|width| *width == widths[0]), "{text}");
        let words: Vec<&str> = lines[4].split_whitespace().collect();
        assert_eq!(words, ["total", "13.500000000001", "20004", "0", "0", "0", "0", "0"]);
        assert!(lines[1].contains("  12.500000000001  "), "{text}");
        assert!(lines[2].contains("   1.000000000000  "), "{text}");
        assert!(lines[3].starts_with("(none)"), "{text}");
        assert!(!text.contains('\u{1b}'), "a name moves no cursor");
    }

    #[test]
    fn csv_is_quoted_and_json_is_the_pages() {
        let text = shown(Form::Csv);
        assert!(text.starts_with("model,spend_usd,requests,input_tokens,"), "{text}");
        assert!(text.contains("\nclaude,12.500000000001,3,0,0,0,0,0\n"), "{text}");
        assert!(text.contains("\n\"a,\"\"b\"\"\n\u{1b}[2J\",1,20000,"), "{text}");
        let json: serde_json::Value = serde_json::from_str(&shown(Form::Json)).unwrap();
        assert_eq!(json["total"]["spend"], "13.500000000001");
        assert_eq!(json["data"][0]["group"], "claude");
    }

    #[test]
    fn a_day_is_a_day() {
        assert_eq!(day("1970-01-02"), Ok(Day(1)));
        assert!(day("yesterday").is_err());
    }
}
