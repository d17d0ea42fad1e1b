//! Usage from the header fields of InvokeModel's answer (guide §3.1).

use super::{Counts, ServiceTier};

const PREFIX: &str = "x-amzn-bedrock-";

/// Collects the fields that AWS counts tokens with, whatever else stands among them.
#[derive(Clone, Copy, Debug, Default)]
pub struct FieldUsage {
    counts: Counts,
}

impl FieldUsage {
    /// One field of the answer's head. Names in any case. Of equal names the last counts; a value that
    /// is no number says nothing.
    pub fn on_field(&mut self, name: &str, value: &[u8]) {
        let Some((prefix, name)) = name.split_at_checked(PREFIX.len()) else { return };
        if !prefix.eq_ignore_ascii_case(PREFIX) {
            return;
        }
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        let place = if is("input-token-count") {
            &mut self.counts.input
        } else if is("output-token-count") {
            &mut self.counts.output
        } else if is("cache-read-input-token-count") {
            &mut self.counts.cache_read
        } else if is("cache-write-input-token-count") {
            &mut self.counts.cache_write
        } else {
            if is("service-tier") {
                let word = str::from_utf8(value.trim_ascii()).unwrap_or_default();
                self.counts.tier = Some(ServiceTier::from_word(word));
            }
            return;
        };
        *place = number(value.trim_ascii());
    }

    /// The counts of all these fields.
    pub fn of<'f>(fields: impl IntoIterator<Item = (&'f str, &'f [u8])>) -> Self {
        let mut usage = Self::default();
        fields.into_iter().for_each(|(name, value)| usage.on_field(name, value));
        usage
    }

    /// What they said; what AWS bills by.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digit = |sum: u64, byte: &u8| sum.saturating_mul(10).saturating_add(u64::from(byte - b'0'));
    Some(digits.iter().fold(0, digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_in_any_case_and_never_guessed() {
        let check = |name: &str, value: &str, expected: Counts| {
            assert_eq!(
                FieldUsage::of([(name, value.as_bytes())]).counts(),
                expected,
                "{name}: {value}"
            );
        };
        let input = |input| Counts { input, ..Counts::default() };
        check("X-Amzn-Bedrock-Input-Token-Count", "4", input(Some(4)));
        check("x-amzn-bedrock-input-token-count", " 18131 ", input(Some(18131)));
        check("x-amzn-bedrock-input-token-count", "99999999999999999999", input(Some(u64::MAX)));
        for value in ["", "-1", "1.5", "4,4", "0x4", "four", "4 4"] {
            check("x-amzn-bedrock-input-token-count", value, input(None));
        }
        for name in
            ["input-token-count", "x-amzn-bedrock-", "x-amzn-bedrock-invocation-latency", "é", ""]
        {
            check(name, "4", Counts::default());
        }
        let tier = |tier| Counts { tier: Some(tier), ..Counts::default() };
        check("x-amzn-bedrock-service-tier", "flex", tier(ServiceTier::Flex));
        check("X-Amzn-Bedrock-Service-Tier", "default", tier(ServiceTier::Standard));
        check("X-Amzn-Bedrock-Service-Tier", "steerage", tier(ServiceTier::Other));
    }
}
