//! How long things took, in LiteLLM's buckets.

use super::exposition::{Decimal, Family, Labels};

/// Upper bounds in nanoseconds, and as Python's client writes them: dashboards match the text.
const BOUNDS: [(u64, &str); TEXTS.len()] = {
    let mut bounds = [(0, ""); TEXTS.len()];
    let mut at = 0;
    while at < TEXTS.len() {
        bounds[at] = (nanoseconds(TEXTS[at].as_bytes()), TEXTS[at]);
        at += 1;
    }
    bounds
};

/// In seconds. LiteLLM's.
const TEXTS: [&str; 17] = [
    "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.0", "5.0", "10.0", "30.0",
    "60.0", "120.0", "300.0", "420.0", "600.0",
];

/// Of decimal seconds.
const fn nanoseconds(text: &[u8]) -> u64 {
    let (mut at, mut number, mut decimals) = (0, 0, 0);
    let mut is_fraction = false;
    while at < text.len() {
        if text[at] == b'.' {
            is_fraction = true;
        } else {
            number = number * 10 + (text[at] - b'0') as u64;
            decimals += is_fraction as u32;
        }
        at += 1;
    }
    number * 10_u64.pow(9 - decimals)
}

/// Counts by bucket; not cumulative, so that an observation changes one.
#[derive(Clone, Debug)]
pub(super) struct Histogram {
    buckets: [u64; BOUNDS.len() + 1],
    sum_ns: u128,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: [0; BOUNDS.len() + 1], sum_ns: 0 }
    }
}

impl Histogram {
    pub(super) fn observe_us(&mut self, us: u64) {
        self.observe_ns(us.saturating_mul(1000));
    }

    pub(super) fn observe_ns(&mut self, ns: u64) {
        self.buckets[BOUNDS.partition_point(|(bound, _)| *bound < ns)] += 1;
        self.sum_ns += u128::from(ns);
    }

    fn is_empty(&self) -> bool {
        self.buckets.iter().all(|count| *count == 0)
    }

    /// Nothing, if nothing was observed.
    pub(super) fn render(&self, labels: &[&str], family: &mut Family<'_>) {
        if self.is_empty() {
            return;
        }
        let mut count = 0;
        let texts = BOUNDS.iter().map(|(_, text)| *text).chain(["+Inf"]);
        for (text, more) in texts.zip(self.buckets) {
            count += more;
            let bound = Labels::of(&[("le", text)]);
            let all: Vec<&str> = labels.iter().copied().chain([&*bound]).collect();
            family.suffixed("_bucket", &all, count);
        }
        family.suffixed("_sum", labels, Decimal::<9>(self.sum_ns));
        family.suffixed("_count", labels, count);
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::exposition::{Kind, Page},
        *,
    };

    #[test]
    fn bounds_ascend_and_include_themselves() {
        assert!(BOUNDS.windows(2).all(|pair| pair[0].0 < pair[1].0));
        for (bound, text) in BOUNDS {
            let seconds: f64 = text.parse().unwrap();
            assert!((seconds * 1e9 - 0.5..seconds * 1e9 + 0.5).contains(&(bound as f64)), "{text}");
            let mut histogram = Histogram::default();
            histogram.observe_ns(bound);
            histogram.observe_ns(bound + 1);
            let mut page = Page::default();
            histogram.render(&["a=\"b\""], &mut page.family("h", Kind::Histogram, "H."));
            let page = page.finish();
            assert!(page.contains(&format!("h_bucket{{a=\"b\",le=\"{text}\"}} 1\n")), "{page}");
            assert!(page.contains("h_bucket{a=\"b\",le=\"+Inf\"} 2\n"), "{page}");
            assert!(page.ends_with("h_count{a=\"b\"} 2\n"), "{page}");
        }
    }

    #[test]
    fn nothing_observed_is_nothing_shown() {
        let mut page = Page::default();
        Histogram::default().render(&[], &mut page.family("h", Kind::Histogram, "H."));
        assert_eq!(page.finish(), "# HELP h H.\n# TYPE h histogram\n");
    }
}
