//! A JSON number as a count: whole, at least 0, and never wrong by wrapping.

/// The count that a JSON number stands for: a fraction is cut off, what is above `u64` is `u64::MAX`.
/// `None` for what is negative, not finite or no number. Digits alone are exact; fractions and
/// exponents go through `f64`.
pub(super) fn count(token: &[u8]) -> Option<u64> {
    if !token.is_empty() && token.iter().all(u8::is_ascii_digit) {
        let digit =
            |sum: u64, byte: &u8| sum.saturating_mul(10).saturating_add(u64::from(byte - b'0'));
        return Some(token.iter().fold(0, digit));
    }
    // Rust also reads `inf`, `nan` and `+1`, which JSON does not know.
    if !token.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'))
        || token.starts_with(b"+")
    {
        return None;
    }
    let number: f64 = str::from_utf8(token).ok()?.parse().ok()?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, and the sign was looked at"
    )]
    (number.is_finite() && number >= 0.0).then_some(number as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_cut_off_or_saturate() {
        let check = |text: &str, expected| assert_eq!(count(text.as_bytes()), expected, "{text}");
        check("0", Some(0));
        check("28", Some(28));
        check("28.0", Some(28));
        check("28.9", Some(28));
        check("2.8e1", Some(28));
        check("28E+0", Some(28));
        check("-0.0", Some(0));
        check("18446744073709551615", Some(u64::MAX));
        check("18446744073709551616", Some(u64::MAX));
        check("1e300", Some(u64::MAX));
        for not_a_count in
            ["-1", "1e999", "", "-", "nan", "inf", "+1", "1x", "true", "null", "0x10"]
        {
            check(not_a_count, None);
        }
    }
}
