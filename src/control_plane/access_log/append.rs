//! Numbers, moments and names at the end of a buffer, without a `String` on the way.
//!
//! A log line is read by terminals, `grep` and collectors: a name may hold what makes those do things. So
//! no control character gets into a line, in whichever form: C0, DEL, C1 (0x9b alone starts an escape
//! sequence on some terminals), line and paragraph separators, and what turns the writing direction.

use std::{io::Write, net::IpAddr};

use crate::{control_plane::spend::Day, units::UnixMicros};

/// `n` in decimal.
pub(super) fn number(n: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let (mut rest, mut start) = (n, digits.len());
    loop {
        start -= 1;
        digits[start] = digit(rest % 10);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

/// `n` with `WIDTH` digits, the last ones if it has more.
pub(super) fn padded<const WIDTH: usize>(n: u64, out: &mut Vec<u8>) {
    let (mut digits, mut rest) = ([b'0'; WIDTH], n);
    for place in digits.iter_mut().rev() {
        *place = digit(rest % 10);
        rest /= 10;
    }
    out.extend_from_slice(&digits);
}

fn digit(n: u64) -> u8 {
    b"0123456789"[usize::try_from(n).expect("a digit")]
}

/// Microseconds as milliseconds: `1234.567`.
pub(super) fn millis(us: u32, out: &mut Vec<u8>) {
    number(u64::from(us / 1000), out);
    out.push(b'.');
    padded::<3>(u64::from(us % 1000), out);
}

/// RFC 3339, UTC: `2026-11-23T01:08:43.000123Z`.
pub(super) fn moment(at: UnixMicros, out: &mut Vec<u8>) {
    day_and_time(at, b'T', out);
    padded::<6>(at.0 % 1_000_000, out);
    out.push(b'Z');
}

/// For people, UTC: `2026-11-23 01:08:43.000`.
pub(super) fn moment_for_people(at: UnixMicros, out: &mut Vec<u8>) {
    day_and_time(at, b' ', out);
    padded::<3>(at.0 % 1_000_000 / 1000, out);
}

fn day_and_time(at: UnixMicros, between: u8, out: &mut Vec<u8>) {
    let seconds = at.seconds();
    write!(out, "{}", Day::of(seconds)).expect("a Vec takes all");
    out.push(between);
    let of_day = seconds.0 % 86_400;
    for (part, end) in [(of_day / 3600, b':'), (of_day / 60 % 60, b':'), (of_day % 60, b'.')] {
        padded::<2>(part, out);
        out.push(end);
    }
}

/// An address, IPv6 without brackets.
pub(super) fn address(address: IpAddr, out: &mut Vec<u8>) {
    match address {
        IpAddr::V4(address) => {
            for (at, part) in address.octets().into_iter().enumerate() {
                if at > 0 {
                    out.push(b'.');
                }
                number(u64::from(part), out);
            }
        }
        IpAddr::V6(address) => write!(out, "{address}").expect("a Vec takes all"),
    }
}

/// `text` as the inside of a JSON string.
pub(super) fn escaped(text: &str, out: &mut Vec<u8>) {
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    if text.as_bytes().iter().all(is_plain) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push(b'\\');
                character(c, out);
            }
            c => tamed(c, out),
        }
    }
}

/// `text` for a terminal: what would steer it is shown as `\u001b`.
pub(super) fn visible(text: &str, out: &mut Vec<u8>) {
    text.chars().for_each(|c| tamed(c, out));
}

fn tamed(c: char, out: &mut Vec<u8>) {
    let steers = matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{61c}');
    if c.is_control() || steers {
        out.extend_from_slice(b"\\u");
        let code = u32::from(c); // all of these are below 0x10000
        for shift in [12, 8, 4, 0] {
            let nibble = usize::try_from(code >> shift & 0xf).expect("a nibble");
            out.push(b"0123456789abcdef"[nibble]);
        }
    } else {
        character(c, out);
    }
}

fn character(c: char, out: &mut Vec<u8>) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(append: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        append(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_and_moments() {
        for n in [0, 9, 10, 12_345, u64::MAX] {
            assert_eq!(with(|out| number(n, out)), n.to_string());
        }
        assert_eq!(with(|out| millis(0, out)), "0.000");
        assert_eq!(with(|out| millis(u32::MAX, out)), "4294967.295");
        let at = UnixMicros(951_782_399_999_999 + 1000);
        assert_eq!(with(|out| moment(at, out)), "2000-02-29T00:00:00.000999Z");
        assert_eq!(with(|out| moment_for_people(at, out)), "2000-02-29 00:00:00.000");
        for text in ["10.255.0.1", "2001:db8::1", "::"] {
            assert_eq!(with(|out| address(text.parse().unwrap(), out)), text);
        }
    }

    #[test]
    fn any_string_comes_back_from_json_and_steers_nothing() {
        let check = |text: &str| {
            let json = with(|out| escaped(text, out));
            let back: String = serde_json::from_str(&format!("\"{json}\"")).unwrap();
            assert_eq!(back, text);
            let shown = with(|out| visible(text, out));
            for line in [&json, &shown] {
                assert!(!line.chars().any(char::is_control), "{line:?}");
                assert!(!line.contains(['\u{2028}', '\u{202e}', '\u{2066}']), "{line:?}");
            }
        };
        for code in 0..=u32::from(char::MAX) {
            if let Some(c) = char::from_u32(code) {
                check(c.encode_utf8(&mut [0; 4]));
            }
        }
        check("a\r\n{\"forged\":1}\u{1b}[2J\u{7f}\u{9b}31m\\\"\\u000a é 😀");
        assert_eq!(with(|out| escaped("\u{1b}\"\\", out)), "\\u001b\\\"\\\\");
    }
}
