//! Prometheus's text format, version 0.0.4: families, samples, labels.
//!
//! Values are exact decimals of integers, never of floats: who sums them up as decimals gets our own sum.
//! Source: Prometheus, "Exposition formats", "Text-based format".

use std::{
    fmt::{self, Display, Write as _},
    ops::Deref,
};

/// For the answer's `content-type`.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a family's samples are.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// The text so far.
#[derive(Default)]
pub(super) struct Page(String);

/// A family that samples are added to; they must not mix with another's.
pub(super) struct Family<'p> {
    page: &'p mut Page,
    name: &'static str,
}

impl Page {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self(String::with_capacity(bytes))
    }

    /// `help` is one line without a backslash.
    pub(super) fn family(
        &mut self,
        name: &'static str,
        kind: Kind,
        help: &'static str,
    ) -> Family<'_> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.put(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        Family { page: self, name }
    }

    pub(super) fn counter(&mut self, name: &'static str, help: &'static str) -> Family<'_> {
        self.family(name, Kind::Counter, help)
    }

    pub(super) fn gauge(&mut self, name: &'static str, help: &'static str) -> Family<'_> {
        self.family(name, Kind::Gauge, help)
    }

    pub(super) fn finish(self) -> String {
        self.0
    }

    fn put(&mut self, what: fmt::Arguments<'_>) {
        self.0.write_fmt(what).expect("a String takes all");
    }
}

impl Family<'_> {
    pub(super) fn sample(&mut self, labels: &[&str], value: impl Display) {
        self.suffixed("", labels, value);
    }

    /// `labels` as [`Labels`] has them, none of them empty.
    pub(super) fn suffixed(&mut self, suffix: &str, labels: &[&str], value: impl Display) {
        self.page.put(format_args!("{}{suffix}", self.name));
        for (at, part) in labels.iter().enumerate() {
            self.page.0.push(if at == 0 { '{' } else { ',' });
            self.page.0.push_str(part);
        }
        let end = if labels.is_empty() { "" } else { "}" };
        self.page.put(format_args!("{end} {value}\n"));
    }
}

/// `name="value"` pairs, escaped, with commas between.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct Labels(String);

impl Labels {
    pub(super) fn of(pairs: &[(&str, &str)]) -> Self {
        let mut labels = String::new();
        for (at, (name, value)) in pairs.iter().enumerate() {
            if at > 0 {
                labels.push(',');
            }
            labels.push_str(name);
            labels.push_str("=\"");
            value.chars().for_each(|c| escape(c, &mut labels));
            labels.push('"');
        }
        Self(labels)
    }
}

impl Deref for Labels {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// The format escapes three characters and lets all others pass; what steers a terminal we do not.
fn escape(c: char, out: &mut String) {
    match c {
        '\\' | '"' => out.extend(['\\', c]),
        '\n' => out.push_str("\\n"),
        c if c.is_control() => out.push(char::REPLACEMENT_CHARACTER),
        c => out.push(c),
    }
}

/// A whole number of `10^-DIGITS`, as an exact decimal without zeros at its end.
pub(super) struct Decimal<const DIGITS: usize>(pub(super) u128);

impl<const DIGITS: usize> Display for Decimal<DIGITS> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = 10_u128.pow(u32::try_from(DIGITS).expect("a dozen digits"));
        let (whole, mut rest, mut digits) = (self.0 / one, self.0 % one, DIGITS);
        if rest == 0 {
            return write!(out, "{whole}");
        }
        while rest.is_multiple_of(10) {
            (rest, digits) = (rest / 10, digits - 1);
        }
        write!(out, "{whole}.{rest:0digits$}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_look_as_prometheus_wants_them() {
        let mut page = Page::default();
        let labels = Labels::of(&[("a", "x\"y\\z\nw\r\u{1b}é"), ("b", "")]);
        let mut family = page.counter("n_total", "What it is.");
        family.sample(&[&labels, "c=\"1\""], 7);
        family.sample(&[], Decimal::<12>(1));
        let expected = "# HELP n_total What it is.\n# TYPE n_total counter\n\
                        n_total{a=\"x\\\"y\\\\z\\nw\u{fffd}\u{fffd}é\",b=\"\",c=\"1\"} 7\n\
                        n_total 0.000000000001\n";
        assert_eq!(page.finish(), expected);
    }

    #[test]
    fn decimals_are_exact() {
        let check = |pico: u128, text: &str| assert_eq!(Decimal::<12>(pico).to_string(), text);
        check(0, "0");
        check(1_500_000_000_000, "1.5");
        check(1_050_000_000_000, "1.05");
        check(12_000_000_000_000, "12");
        check(u128::from(u64::MAX) * 4, "73786976.29483820646");
        assert_eq!(Decimal::<9>(1_000_000_001).to_string(), "1.000000001");
    }
}
