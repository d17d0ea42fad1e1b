//! What one source said, and how two sources become one [`Usage`].

use super::shape::Count;
use super::{ServiceTier, Told, Usage};
use crate::units::Tokens;

/// Results of a rerank that one search unit covers. AWS: "a query with up to 100 document chunks".
const RESULTS_PER_QUERY: u64 = 100;

/// What one source said. `None`: it said nothing about this.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Without cache.
    pub input: Option<u64>,
    /// OpenAI's `prompt_tokens`: cache reads are in it.
    pub input_with_cached: Option<u64>,
    /// Generated.
    pub output: Option<u64>,
    /// Read from a cache.
    pub cache_read: Option<u64>,
    /// Written to a cache, in all.
    pub cache_write: Option<u64>,
    /// … of these, for five minutes.
    pub cache_write_5m: Option<u64>,
    /// … of these, for an hour.
    pub cache_write_1h: Option<u64>,
    /// Images in the answer.
    pub images: Option<u64>,
    /// Results of a rerank.
    pub results: Option<u64>,
    /// Units of a guardrail, of all its policies that cost.
    pub guardrail_units: Option<u64>,
    /// The service tier.
    pub tier: Option<ServiceTier>,
}

impl Counts {
    /// Takes what a scan found; `count` says what the number is. What was there is replaced; units are summed.
    pub(super) fn set(&mut self, count: Count, number: u64) {
        let place = match count {
            Count::Input => &mut self.input,
            Count::InputWithCached => &mut self.input_with_cached,
            Count::Output => &mut self.output,
            Count::CacheRead => &mut self.cache_read,
            Count::CacheWrite => &mut self.cache_write,
            Count::CacheWrite5m => &mut self.cache_write_5m,
            Count::CacheWrite1h => &mut self.cache_write_1h,
            Count::Images => &mut self.images,
            Count::Results => &mut self.results,
            Count::GuardrailUnits => {
                let so_far = self.guardrail_units.unwrap_or(0);
                self.guardrail_units = Some(so_far.saturating_add(number));
                return;
            }
            Count::Tier => {
                self.tier = Some(ServiceTier::from_place(number));
                return;
            }
        };
        *place = Some(number);
    }

    /// OpenAI's way of counting turned into AWS's; a split of writes without a total given one.
    fn normal(mut self) -> Self {
        if let (None, Some(both)) = (self.input, self.input_with_cached) {
            self.input = Some(both.saturating_sub(self.cache_read.unwrap_or(0)));
        }
        if self.cache_write.is_none() {
            let split = [self.cache_write_5m, self.cache_write_1h];
            self.cache_write = split.into_iter().flatten().reduce(u64::saturating_add);
        }
        self
    }

    /// One usage of what AWS bills by and what the body told; see the module's rule.
    #[must_use]
    pub fn settle(mut billed: Self, told: Self) -> Usage {
        let told = told.normal();
        let unsplit =
            told.input.zip(told.cache_read).map(|(input, read)| input.saturating_add(read));
        if billed.cache_read.is_none() && unsplit.is_some() && billed.input == unsplit {
            billed.input = told.input;
        }
        let pairs = [
            (billed.input, told.input),
            (billed.output, told.output),
            (billed.cache_read, told.cache_read),
            (billed.cache_write, told.cache_write),
        ];
        let mut differs =
            pairs.iter().any(|(one, other)| one.is_some() && other.is_some() && one != other);
        let [input, output, cache_read, cache_write] =
            pairs.map(|(billed, told)| billed.or(told).map(Tokens));
        let mut usage = Usage { input, output, cache_read, ..Usage::default() };
        let split = told.cache_write_5m.is_some() || told.cache_write_1h.is_some();
        let (short, long) = (told.cache_write_5m.unwrap_or(0), told.cache_write_1h.unwrap_or(0));
        if split && cache_write == Some(Tokens(short.saturating_add(long))) {
            usage.cache_write_5m = Some(Tokens(short));
            usage.cache_write_1h = Some(Tokens(long));
        } else {
            usage.cache_write_unsplit = cache_write;
            differs |= split;
        }
        usage.images = told.images;
        usage.guardrail_units = told.guardrail_units;
        usage.search_queries =
            told.results.map(|results| results.div_ceil(RESULTS_PER_QUERY).max(1));
        usage.service_tier = billed.tier.or(told.tier);
        usage.told = differs.then(|| Told {
            input: told.input.map(Tokens),
            output: told.output.map(Tokens),
            cache_read: told.cache_read.map(Tokens),
            cache_write: told.cache_write.map(Tokens),
        });
        usage
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_billed_counts_and_what_was_told_is_recorded() {
        let billed = Counts { input: Some(7), output: Some(3), ..Counts::default() };
        let told =
            Counts { input: Some(73), output: Some(3), images: Some(2), ..Counts::default() };
        let usage = Counts::settle(billed, told);
        assert_eq!(
            (usage.input, usage.output, usage.images),
            (Some(Tokens(7)), Some(Tokens(3)), Some(2))
        );
        let told = Told { input: Some(Tokens(73)), output: Some(Tokens(3)), ..Told::default() };
        assert_eq!(usage.told, Some(told));
        assert!(!Counts::settle(billed, billed).disagrees());
        assert_eq!(Counts::settle(Counts::default(), Counts::default()), Usage::default());
    }

    #[test]
    fn a_split_is_believed_if_it_adds_up() {
        let told = |total, short, long| Counts {
            cache_write: total,
            cache_write_5m: short,
            cache_write_1h: long,
            ..Counts::default()
        };
        let writes = |usage: Usage| {
            let parts = [usage.cache_write_5m, usage.cache_write_1h, usage.cache_write_unsplit];
            (parts.map(|part| part.map(|tokens| tokens.0)), usage.disagrees())
        };
        let check = |counts, expected| {
            assert_eq!(writes(Counts::settle(Counts::default(), counts)), expected)
        };
        check(told(Some(9), Some(4), Some(5)), ([Some(4), Some(5), None], false));
        check(told(Some(9), Some(9), None), ([Some(9), Some(0), None], false));
        check(told(None, Some(4), Some(5)), ([Some(4), Some(5), None], false));
        check(told(Some(9), None, None), ([None, None, Some(9)], false));
        check(told(Some(9), Some(4), Some(4)), ([None, None, Some(9)], true));
        check(
            told(None, Some(u64::MAX), Some(u64::MAX)),
            ([Some(u64::MAX), Some(u64::MAX), None], false),
        );
        check(told(None, None, None), ([None; 3], false));
    }

    #[test]
    fn cached_prompt_tokens_are_counted_once() {
        let told =
            Counts { input_with_cached: Some(100), cache_read: Some(60), ..Counts::default() };
        let check = |input, read, expected, differs| {
            let billed = Counts { input, cache_read: read, ..Counts::default() };
            let usage = Counts::settle(billed, told);
            let found =
                (usage.input.map(|t| t.0), usage.cache_read.map(|t| t.0), usage.disagrees());
            assert_eq!(found, (Some(expected), Some(60), differs), "billed {input:?}, {read:?}");
        };
        check(None, None, 40, false);
        check(Some(100), None, 40, false);
        check(Some(40), Some(60), 40, false);
        check(Some(100), Some(60), 100, true);
    }

    #[test]
    fn queries_are_hundreds_of_results() {
        for (results, queries) in
            [(0, 1), (1, 1), (100, 1), (101, 2), (u64::MAX, u64::MAX / 100 + 1)]
        {
            let told = Counts { results: Some(results), ..Counts::default() };
            assert_eq!(Counts::settle(Counts::default(), told).search_queries, Some(queries));
        }
    }
}
