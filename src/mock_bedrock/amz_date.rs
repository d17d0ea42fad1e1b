//! `x-amz-date` (ISO 8601 basic, UTC, `YYYYMMDD'T'HHMMSS'Z'`) to Unix seconds and back.
//!
//! The days' arithmetic is Howard Hinnant's `days_from_civil`, for years 1970 to 9999.

const DAY_S: u64 = 86_400;

/// Unix seconds of an `x-amz-date`. `None` if it is not one.
pub fn parse(text: &str) -> Option<u64> {
    let bytes = text.as_bytes();
    if bytes.len() != 16 || !text.is_ascii() || bytes[8] != b'T' || bytes[15] != b'Z' {
        return None;
    }
    let number = |range: std::ops::Range<usize>| {
        let digits = &text[range];
        digits
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| digits.parse::<u64>().ok())
            .flatten()
    };
    let (year, month, day) = (number(0..4)?, number(4..6)?, number(6..8)?);
    let (hour, minute, second) = (number(9..11)?, number(11..13)?, number(13..15)?);
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some(days_from_civil(year, month, day) * DAY_S + hour * 3600 + minute * 60 + second)
}

/// An `x-amz-date` of Unix seconds.
pub fn format(unix_s: u64) -> String {
    let (year, month, day) = civil_from_days(unix_s / DAY_S);
    let second = unix_s % DAY_S;
    format!(
        "{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

/// An HTTP date (RFC 9110 §5.6.7) of Unix seconds.
pub fn imf_fixdate(unix_s: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (year, month, day) = civil_from_days(unix_s / DAY_S);
    let nth = |names: &'static [&str], ordinal: u64| {
        usize::try_from(ordinal).ok().and_then(|ordinal| names.get(ordinal))
    };
    let weekday = nth(&DAYS, unix_s / DAY_S % 7).unwrap_or(&"");
    let month = nth(&MONTHS, month - 1).unwrap_or(&"");
    let second = unix_s % DAY_S;
    format!(
        "{weekday}, {day:02} {month} {year:04} {:02}:{:02}:{:02} GMT",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

fn days_from_civil(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_round_trip() {
        assert_eq!(parse("19700101T000000Z"), Some(0));
        assert_eq!(parse("20250701T120000Z"), Some(1_751_371_200));
        for unix_s in (0..9_000_000_000_u64).step_by(86_399 * 7) {
            assert_eq!(parse(&format(unix_s)), Some(unix_s));
        }
        assert_eq!(imf_fixdate(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT"); // RFC 9110's own example
        for wrong in [
            "",
            "20250701T120000",
            "2025-07-01T12:00Z",
            "20251301T120000Z",
            "20250701T12+000Z",
            "é0250701T12000Z",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
