//! A price as it is written → pico-dollars, exactly; no float is ever in between.

use std::fmt;

use crate::units::PicoUsd;

/// Digits that a binary float keeps of any decimal. Text with more, such as LiteLLM's
/// `2.0000000000000002e-07`, was printed from a float, and stands for the decimal of this many digits.
const FLOAT_DIGITS: usize = 15;

/// Why text is no price.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NotAPrice {
    /// No decimal number of JSON's or YAML's form, or a negative one.
    NotDecimal,
    /// Finer than a pico-dollar: rounding it would bill what nobody published.
    TooFine,
    /// Above $18.4 M.
    TooLarge,
}

impl fmt::Display for NotAPrice {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::NotDecimal => "is no price: write a decimal number of US dollars, at least 0",
            Self::TooFine => {
                "is finer than 0.000000000001 US dollars, the smallest part that is counted"
            }
            Self::TooLarge => "is above 18,000,000 US dollars",
        })
    }
}

/// Dollars, as `3e-06` or `0.000003`.
///
/// # Errors
/// If it is no price, or not a whole number of pico-dollars.
pub fn usd(text: &str) -> Result<PicoUsd, NotAPrice> {
    scaled(text, 12)
}

/// Dollars per million tokens, as `3.75` → per token.
///
/// # Errors
/// As [`usd`].
pub fn usd_per_million(text: &str) -> Result<PicoUsd, NotAPrice> {
    scaled(text, 6)
}

/// The number times 10^`scale`.
fn scaled(text: &str, scale: i64) -> Result<PicoUsd, NotAPrice> {
    let (digits, exponent) = parts(text).ok_or(NotAPrice::NotDecimal)?;
    let (mut digits, mut exponent) = (digits, exponent.saturating_add(scale));
    round_float(&mut digits, &mut exponent);
    let mut pico: u64 = 0;
    for digit in &digits {
        let more = pico.checked_mul(10).and_then(|pico| pico.checked_add(u64::from(*digit)));
        pico = more.ok_or(NotAPrice::TooLarge)?;
    }
    while pico != 0 && exponent < 0 {
        if !pico.is_multiple_of(10) {
            return Err(NotAPrice::TooFine);
        }
        (pico, exponent) = (pico / 10, exponent + 1);
    }
    while pico != 0 && exponent > 0 {
        pico = pico.checked_mul(10).ok_or(NotAPrice::TooLarge)?;
        exponent -= 1;
    }
    Ok(PicoUsd(pico))
}

/// Significant digits, and the power of ten that the last of them stands for.
fn parts(text: &str) -> Option<(Vec<u8>, i64)> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let all = whole.bytes().chain(fraction.bytes());
    let digits: Vec<u8> = all.map(|byte| byte - b'0').skip_while(|digit| *digit == 0).collect();
    Some((digits, i64::from(exponent) - i64::try_from(fraction.len()).ok()?))
}

/// Takes the noise of a binary float away: half up at [`FLOAT_DIGITS`].
fn round_float(digits: &mut Vec<u8>, exponent: &mut i64) {
    let Some(noise) = digits.get(FLOAT_DIGITS).copied() else { return };
    *exponent += i64::try_from(digits.len() - FLOAT_DIGITS).unwrap_or(i64::MAX);
    digits.truncate(FLOAT_DIGITS);
    if noise >= 5 {
        for digit in digits.iter_mut().rev() {
            *digit = (*digit + 1) % 10;
            if *digit != 0 {
                return;
            }
        }
        digits.insert(0, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact() {
        let check = |text: &str, pico| assert_eq!(usd(text), Ok(PicoUsd(pico)), "{text}");
        check("3e-06", 3_000_000);
        check("3E-6", 3_000_000);
        check("0.000003", 3_000_000);
        check("3.75e-06", 3_750_000);
        check("8.75e-9", 8_750);
        check("1e-12", 1);
        check("1.0e-12", 1);
        check("0", 0);
        check("0.0", 0);
        check("0e-99999", 0);
        check("0.04", 40_000_000_000);
        check("18000000", 18_000_000_000_000_000_000);
        check("1.8e7", 18_000_000_000_000_000_000);
        assert_eq!(usd_per_million("0.00875"), Ok(PicoUsd(8_750)));
        assert_eq!(usd_per_million("4.125"), Ok(PicoUsd(4_125_000)));
    }

    #[test]
    fn noise_of_floats_is_no_price() {
        assert_eq!(usd("2.0000000000000002e-07"), Ok(PicoUsd(200_000)));
        assert_eq!(usd("5.9999999999999995e-08"), Ok(PicoUsd(60_000)));
        assert_eq!(usd("9.9999999999999995e-08"), Ok(PicoUsd(100_000)));
    }

    #[test]
    fn what_is_not_exact_is_refused() {
        for text in [
            "",
            "-1",
            "+1",
            "1.",
            ".5",
            "1e",
            "e5",
            "nan",
            "inf",
            "1,5",
            "0x1",
            "1e99999999999",
            "$1",
            " 1",
        ] {
            assert_eq!(usd(text), Err(NotAPrice::NotDecimal), "{text}");
        }
        for text in ["1e-13", "1.5e-12", "3.33333333e-13", "1e-2000000000"] {
            assert_eq!(usd(text), Err(NotAPrice::TooFine), "{text}");
        }
        for text in ["18446745", "1e30", "1e2000000000", "99999999999999999999999999"] {
            assert_eq!(usd(text), Err(NotAPrice::TooLarge), "{text}");
        }
    }
}
