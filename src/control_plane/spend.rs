//! Questions about what was spent, and their answers: between the store, the admin pages and `outcrop spend`.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::units::UnixSeconds;

const SECONDS_PER_DAY: u64 = 86_400;

/// A calendar day, UTC: days since 1970-01-01.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Day(pub u32);

impl Day {
    /// The day of a moment.
    #[must_use]
    pub fn of(moment: UnixSeconds) -> Self {
        Self(u32::try_from(moment.0 / SECONDS_PER_DAY).unwrap_or(u32::MAX))
    }

    /// Its first second.
    #[must_use]
    pub fn start(self) -> UnixSeconds {
        UnixSeconds(u64::from(self.0) * SECONDS_PER_DAY)
    }

    /// Of `YYYY-MM-DD`, from 1970 on; `None` for what is no day.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let mut number = |digits: usize| {
            let part = parts.next()?;
            let is_number = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| part.parse::<i64>().ok()).flatten()
        };
        let (year, month, day) = (number(4)?, number(2)?, number(2)?);
        let days = days_from_civil(year, month, day);
        let parsed = Self(u32::try_from(days).ok()?);
        (parts.next().is_none() && parsed.to_string() == text).then_some(parsed)
    }
}

impl fmt::Display for Day {
    /// `YYYY-MM-DD`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(i64::from(self.0));
        write!(out, "{year:04}-{month:02}-{day:02}")
    }
}

/// Days since 1970-01-01 of a date in the proleptic Gregorian calendar. Source: Howard Hinnant,
/// "chrono-Compatible Low-Level Date Algorithms".
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// What a report has a row for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum GroupBy {
    /// `model_name`, what clients ask for.
    Model,
    /// `model_info.id`.
    Deployment,
    /// The key's name.
    ApiKey,
    /// The day, UTC.
    Day,
}

impl GroupBy {
    /// Of the word in a query or flag: `model`, `deployment`, `api_key`, `day`.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Model, Self::Deployment, Self::ApiKey, Self::Day]
            .into_iter()
            .find(|group| group.word() == word)
    }

    /// The word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Deployment => "deployment",
            Self::ApiKey => "api_key",
            Self::Day => "day",
        }
    }
}

/// What a report is to cover. Both days are included.
#[derive(Clone, Copy, Debug)]
pub struct ReportQuery {
    /// One row for each of these.
    pub group_by: GroupBy,
    /// From this day on.
    pub start: Option<Day>,
    /// Up to this day.
    pub end: Option<Day>,
}

/// Which rows of `spend_logs` are wanted; newest first.
#[derive(Clone, Debug, Default)]
pub struct LogsQuery {
    /// Of this key's name.
    pub api_key: Option<String>,
    /// Of this request, by our id or the client's.
    pub request_id: Option<String>,
    /// From this day on.
    pub start: Option<Day>,
    /// Up to this day, included.
    pub end: Option<Day>,
    /// At most so many.
    pub limit: u32,
}

/// Sums over requests. Counts are of what is known: `unknown` says of how many the cost is not.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Totals {
    /// Pico-dollars; shown as dollars, exact, in text: no float could hold it.
    #[serde(serialize_with = "dollars")]
    pub spend: u128,
    /// How many.
    pub requests: u64,
    /// Tokens outside the cache.
    pub input_tokens: u64,
    /// Tokens generated.
    pub output_tokens: u64,
    /// Tokens read from a cache.
    pub cache_read_tokens: u64,
    /// Tokens written to a cache, however long.
    pub cache_write_tokens: u64,
    /// Requests whose cost is unknown.
    pub unknown: u64,
}

impl Totals {
    /// Adds `other`; counts saturate.
    pub fn add(&mut self, other: &Self) {
        self.spend = self.spend.saturating_add(other.spend);
        let pairs = [
            (&mut self.requests, other.requests),
            (&mut self.input_tokens, other.input_tokens),
            (&mut self.output_tokens, other.output_tokens),
            (&mut self.cache_read_tokens, other.cache_read_tokens),
            (&mut self.cache_write_tokens, other.cache_write_tokens),
            (&mut self.unknown, other.unknown),
        ];
        pairs.into_iter().for_each(|(sum, more)| *sum = sum.saturating_add(more));
    }
}

/// One row of a report.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct ReportRow {
    /// Whose sums these are.
    pub group: String,
    /// The sums.
    #[serde(flatten)]
    pub totals: Totals,
}

/// An answer: its JSON is what `/global/spend/report` gives.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Report {
    /// By group; the dearest first, days in their order.
    pub data: Vec<ReportRow>,
    /// Over all.
    pub total: Totals,
}

/// Pico-dollars as dollars: `0.000003`, `12`.
#[must_use]
pub fn in_dollars(pico: u128) -> String {
    const PICO_PER_USD: u128 = 1_000_000_000_000;
    let (whole, rest) = (pico / PICO_PER_USD, pico % PICO_PER_USD);
    let text = format!("{whole}.{rest:012}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn dollars<S: Serializer>(pico: &u128, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&in_dollars(*pico))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read_as_they_are_shown() {
        let check = |text: &str, days: Option<u32>| {
            assert_eq!(Day::parse(text), days.map(Day), "{text}");
        };
        check("1970-01-01", Some(0));
        check("2000-02-29", Some(11_016));
        check("2026-11-23", Some(20_780));
        for text in [
            "",
            "1900-02-29",
            "2026-02-29",
            "2026-13-01",
            "2026-1-1",
            "2026-11-23-1",
            "1969-12-31",
            "+026-01-01",
        ] {
            check(text, None);
        }
        for day in (0..200_000).map(Day) {
            assert_eq!(Day::parse(&day.to_string()).filter(|_| day.0 < 2_932_897), Some(day));
        }
        assert_eq!(Day::of(Day(20_780).start()), Day(20_780));
    }

    #[test]
    fn money_is_text() {
        let totals = Totals { spend: 1_500_000_000_001, requests: 1, ..Totals::default() };
        let row = ReportRow { group: "claude".into(), totals };
        let report = Report { data: vec![row], total: totals };
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["data"][0]["group"], "claude");
        assert_eq!(json["total"]["spend"], "1.500000000001");
        assert_eq!(in_dollars(0), "0");
        assert_eq!(in_dollars(u128::from(u64::MAX)), "18446744.073709551615");
        assert_eq!(in_dollars(12_000_000_000_000), "12");
    }
}
