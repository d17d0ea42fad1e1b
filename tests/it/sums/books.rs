//! Not a test: the same sums, out of rows, log lines, reports and metrics.

use std::collections::BTreeMap;
use std::iter::Sum;

use serde_json::Value;

/// What one source says in all.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Books {
    pub pico: u128,
    /// That reached AWS.
    pub requests: u64,
    pub unknown: u64,
    pub input: u64,
    pub output: u64,
    pub cache_read: u64,
    /// However long.
    pub cache_write: u64,
}

impl Books {
    pub fn plus(self, other: Self) -> Self {
        Self {
            pico: self.pico + other.pico,
            requests: self.requests + other.requests,
            unknown: self.unknown + other.unknown,
            input: self.input + other.input,
            output: self.output + other.output,
            cache_read: self.cache_read + other.cache_read,
            cache_write: self.cache_write + other.cache_write,
        }
    }

    /// The names of: output tokens, and the reason of an unknown cost.
    fn of(objects: &[Value], (output, unknown): (&str, &str)) -> Self {
        let sum = |name: &str| -> u64 {
            objects.iter().map(|it| it[name].as_u64().unwrap_or_default()).sum()
        };
        let spend = objects.iter().map(|it| it["spend"].as_str().map_or(0, pico)).sum();
        assert_eq!(u128::from(sum("cost_pico")), spend, "the same amount in two forms");
        let writes =
            ["cache_write_5m_tokens", "cache_write_1h_tokens", "cache_write_unsplit_tokens"];
        Self {
            pico: spend,
            requests: objects.len() as u64,
            unknown: objects.iter().filter(|it| it[unknown].is_string()).count() as u64,
            input: sum("input_tokens"),
            output: sum(output),
            cache_read: sum("cache_read_tokens"),
            cache_write: writes.map(sum).iter().sum(),
        }
    }

    pub fn of_rows(rows: &[Value]) -> Self {
        Self::of(rows, ("completion_tokens", "unknown_cost"))
    }

    /// Of requests that AWS never saw, there is nothing to add; they are not counted.
    pub fn of_lines(lines: &[Value]) -> Self {
        let unseen = ["refused", "not_sent", "incomplete"].map(Value::from);
        let unseen = lines.iter().filter(|line| unseen.contains(&line["outcome"])).count() as u64;
        let all = Self::of(lines, ("output_tokens", "spend_unknown"));
        Self { requests: all.requests - unseen, ..all }
    }

    /// A group of `/global/spend/report`, or its total.
    pub fn of_report(totals: &Value) -> Self {
        let count = |name: &str| totals[name].as_u64().expect(name);
        Self {
            pico: pico(totals["spend"].as_str().expect("an exact decimal")),
            requests: count("requests"),
            unknown: count("unknown"),
            input: count("input_tokens"),
            output: count("output_tokens"),
            cache_read: count("cache_read_tokens"),
            cache_write: count("cache_write_tokens"),
        }
    }
}

/// Dollars as an exact decimal, in pico-dollars.
pub fn pico(dollars: &str) -> u128 {
    let (whole, rest) = dollars.split_once('.').unwrap_or((dollars, ""));
    assert!(rest.len() <= 12, "{dollars}");
    format!("{whole}{rest:0<12}").parse().expect(dollars)
}

/// Samples of Prometheus's text: name, labels, value.
pub struct Metrics(Vec<(String, String, String)>);

impl Metrics {
    pub fn parse(text: &str) -> Self {
        let samples = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
            let (series, value) = line.rsplit_once(' ').expect("a value");
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            (name.to_owned(), labels.to_owned(), value.to_owned())
        });
        Self(samples.collect())
    }

    fn sum<S: Sum>(&self, name: &str, label: &str, read: impl Fn(&str) -> S) -> S {
        let of = self.0.iter().filter(|it| it.0 == name && it.1.contains(label));
        of.map(|(_, _, value)| read(value)).sum()
    }

    /// A whole number, over all samples whose labels contain `label`.
    pub fn count(&self, name: &str, label: &str) -> u64 {
        self.sum(name, label, |value| value.parse::<u64>().expect(value))
    }

    /// An amount in dollars, over all samples, in pico-dollars.
    pub fn dollars(&self, name: &str) -> u128 {
        self.sum(name, "", pico)
    }

    /// Counts by the value of a label that is the only one.
    pub fn by_label(&self, name: &str, label: &str) -> BTreeMap<String, u64> {
        let of = self.0.iter().filter(|it| it.0 == name).map(|(_, labels, value)| {
            let word = labels.trim_start_matches(label).trim_start_matches("=\"");
            (word.trim_end_matches("\"}").to_owned(), value.parse().expect(value))
        });
        of.collect()
    }

    /// No metric counts requests that reached AWS, so this number is taken for granted.
    pub fn books(&self, requests: u64) -> Books {
        let tokens = |kind: &str| self.count("outcrop_tokens_total", &format!("kind=\"{kind}\""));
        Books {
            pico: self.count("outcrop_spend_pico_usd_total", "").into(),
            requests,
            unknown: self.count("outcrop_unknown_cost_total", ""),
            input: tokens("input"),
            output: tokens("output"),
            cache_read: tokens("cache_read"),
            cache_write: ["cache_write_5m", "cache_write_1h", "cache_write_unsplit"]
                .map(tokens)
                .iter()
                .sum(),
        }
    }
}
