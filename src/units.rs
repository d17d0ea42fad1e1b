//! Numbers that cannot be swapped: each with its own type and its unit in its name.

use std::fmt;

/// Seconds since 1970-01-01T00:00:00Z, by the wall clock. Signs requests; never measures a wait.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct UnixSeconds(pub u64);

/// Microseconds since 1970-01-01T00:00:00Z, by the wall clock: when something happened.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct UnixMicros(pub u64);

impl UnixMicros {
    /// Cut to the second.
    #[must_use]
    pub fn seconds(self) -> UnixSeconds {
        UnixSeconds(self.0 / 1_000_000)
    }
}

/// A number of tokens, of whatever kind.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Tokens(pub u64);

/// Money in 10⁻¹² US dollars: every published per-token price is a whole number of these.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct PicoUsd(pub u64);

impl PicoUsd {
    /// Of one dollar.
    pub const PER_USD: u64 = 1_000_000_000_000;

    /// `self` per piece, for `count` pieces. `None` above $18.4 M: refuse to bill, never wrap.
    #[must_use]
    pub fn times(self, count: u64) -> Option<Self> {
        self.0.checked_mul(count).map(Self)
    }

    /// Both. `None` above $18.4 M.
    #[must_use]
    pub fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }
}

impl fmt::Display for PicoUsd {
    /// Dollars as an exact decimal without trailing zeros: `0.000003`, `12`, `0`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dollars, rest) = (self.0 / Self::PER_USD, self.0 % Self::PER_USD);
        if rest == 0 {
            return write!(out, "{dollars}");
        }
        let digits = format!("{rest:012}");
        write!(out, "{dollars}.{}", digits.trim_end_matches('0'))
    }
}

impl PicoUsd {
    /// Appends what `Display` shows, without allocating.
    pub fn write(self, out: &mut Vec<u8>) {
        let mut digits = [b'0'; 33];
        let (mut rest, mut start) = (self.0, digits.len());
        while rest > 0 || start > digits.len() - 13 {
            start -= 1;
            digits[start] = b"0123456789"[usize::try_from(rest % 10).expect("a digit")];
            rest /= 10;
        }
        let (dollars, fraction) = digits[start..].split_at(digits.len() - 12 - start);
        out.extend_from_slice(dollars);
        if let Some(last) = fraction.iter().rposition(|digit| *digit != b'0') {
            out.push(b'.');
            out.extend_from_slice(&fraction[..=last]);
        }
    }
}

/// Identifies one request from its head to its row in the store: a version 7 UUID (RFC 9562 §5.7), so that
/// ids of one time lie together in an index. The shape is the one that AWS gives `x-amzn-requestid`.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RequestId(u128);

impl RequestId {
    /// Of a moment, and 128 random bits, of which 74 are used.
    #[must_use]
    pub fn new(now: UnixMicros, random: u128) -> Self {
        let moment = u128::from(now.0 / 1000) << 80;
        let (version, variant) = (0x7_u128 << 76, 0x2_u128 << 62);
        let random = random & !(u128::MAX << 76) & !(0x3_u128 << 62);
        Self(moment | version | variant | random)
    }

    /// Of the bits that [`Self::bits`] gave: any UUID.
    #[must_use]
    pub fn from_bits(bits: u128) -> Self {
        Self(bits)
    }

    /// All 128.
    #[must_use]
    pub fn bits(self) -> u128 {
        self.0
    }

    /// Of a UUID's text, in either case.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let mut bits = 0_u128;
        if text.len() != 36 {
            return None;
        }
        for (at, byte) in text.iter().enumerate() {
            if Self::DASHES.contains(&at) {
                if *byte != b'-' {
                    return None;
                }
                continue;
            }
            bits = bits << 4 | u128::from(char::from(*byte).to_digit(16)?);
        }
        Some(Self(bits))
    }

    const DASHES: [usize; 4] = [8, 13, 18, 23];

    /// `xxxxxxxx-xxxx-7xxx-yxxx-xxxxxxxxxxxx`, lower case, always 36 bytes of ASCII.
    #[must_use]
    pub fn text(self) -> [u8; 36] {
        const PLACES: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];
        let digit = |nibble: u8| b"0123456789abcdef"[usize::from(nibble)];
        let mut text = [b'-'; 36];
        for (byte, at) in self.0.to_be_bytes().into_iter().zip(PLACES) {
            text[at..at + 2].copy_from_slice(&[digit(byte >> 4), digit(byte & 0xf)]);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_exact_and_never_wraps() {
        let check = |pico: u64, text: &str| assert_eq!(PicoUsd(pico).to_string(), text);
        check(0, "0");
        check(1, "0.000000000001");
        check(3_000_000, "0.000003");
        check(12 * PicoUsd::PER_USD, "12");
        check(u64::MAX, "18446744.073709551615");
        assert_eq!(PicoUsd(3_000_000).times(1_000_000), Some(PicoUsd(3 * PicoUsd::PER_USD)));
        assert_eq!(PicoUsd(2).times(u64::MAX), None);
        assert_eq!(PicoUsd(1).plus(PicoUsd(u64::MAX)), None);
        assert_eq!(PicoUsd(1).plus(PicoUsd(2)), Some(PicoUsd(3)));
    }

    #[test]
    fn money_is_written_as_it_is_shown() {
        for pico in [
            0,
            1,
            10,
            999_999_999_999,
            1_000_000_000_000,
            12_345_000_000_000,
            123_456_789,
            u64::MAX,
        ] {
            let mut out = Vec::new();
            PicoUsd(pico).write(&mut out);
            assert_eq!(String::from_utf8(out).unwrap(), PicoUsd(pico).to_string());
        }
    }

    #[test]
    fn a_request_id_is_a_version_7_uuid() {
        let now = UnixMicros(0x0123_4567_89ab * 1000 + 999);
        for bits in [0, u128::MAX, 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef] {
            let id = RequestId::new(now, bits);
            let text = id.text();
            assert!(text.starts_with(b"01234567-89ab-7"), "moment and version");
            assert!(b"89ab".contains(&text[19]), "variant");
            assert_eq!(text.iter().filter(|byte| **byte == b'-').count(), 4);
            assert!(text.iter().all(|b| b"0123456789abcdef-".contains(b)));
            assert_eq!(RequestId::parse(&text), Some(id));
            assert_eq!(RequestId::parse(&text.to_ascii_uppercase()), Some(id));
        }
        for no in [
            "",
            "01234567-89ab-7def-8123-456789abcde",
            "01234567x89ab-7def-8123-456789abcdef",
            "01234567-89ab-7def-8123-456789abcdeg",
        ] {
            assert_eq!(RequestId::parse(no.as_bytes()), None, "{no}");
        }
    }
}
