//! Percent-encoding (RFC 3986 §2.1), each way in one pass.
//!
//! Decoding happens once: what decodes to `%41` stays `%41`. Decoding twice, or writing decoded bytes
//! to the wire, is how a path means one thing to a check and another to what is behind it.

/// A `%` without two hexadecimal digits after it; whoever wrote it erred.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BadEscape;

/// Appends `input` to `out`, each `%XX` as the byte it stands for. `+` is an ordinary character.
///
/// # Errors
/// [`BadEscape`]; what was appended before it is then of no use.
pub fn decode(input: &[u8], out: &mut Vec<u8>) -> Result<(), BadEscape> {
    let mut rest = input;
    while let Some((byte, tail)) = first_byte(rest)? {
        out.push(byte);
        rest = tail;
    }
    Ok(())
}

/// Appends `input` to `out` as one path segment: unreserved characters as they are, all else, `/`
/// included, as `%XX` in upper case.
pub fn encode_segment(input: &[u8], out: &mut Vec<u8>) {
    let mut rest = input;
    while let Some(length) = rest.iter().position(|byte| !is_unreserved(*byte)) {
        out.extend_from_slice(&rest[..length]);
        push_escaped(rest[length], out);
        rest = &rest[length + 1..];
    }
    out.extend_from_slice(rest);
}

/// Appends one byte, escaped unless unreserved.
pub(super) fn push_encoded(byte: u8, out: &mut Vec<u8>) {
    if is_unreserved(byte) {
        out.push(byte);
    } else {
        push_escaped(byte, out);
    }
}

/// The first byte that `input` stands for, and what follows it.
pub(super) fn first_byte(input: &[u8]) -> Result<Option<(u8, &[u8])>, BadEscape> {
    match input {
        [] => Ok(None),
        [b'%', high, low, tail @ ..] => match (hex_value(*high), hex_value(*low)) {
            (Some(high), Some(low)) => Ok(Some((high << 4 | low, tail))),
            _ => Err(BadEscape),
        },
        [b'%', ..] => Err(BadEscape),
        [byte, tail @ ..] => Ok(Some((*byte, tail))),
    }
}

fn push_escaped(byte: u8, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let (high, low) = (usize::from(byte >> 4), usize::from(byte & 0xf));
    out.extend_from_slice(&[b'%', DIGITS[high], DIGITS[low]]);
}

/// `A-Z a-z 0-9 - . _ ~` (RFC 3986 §2.3).
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// What must hold for any bytes: an escape-free reading of the result, and the round trip.
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub fn fuzz_percent(data: &[u8]) {
    let (mut encoded, mut decoded) = (Vec::new(), Vec::new());
    encode_segment(data, &mut encoded);
    assert_eq!(decode(&encoded, &mut decoded), Ok(()));
    assert_eq!(decoded, data, "the round trip");
    decoded.clear();
    let is_valid = decode(data, &mut decoded).is_ok();
    let mut naive = data.split(|byte| *byte == b'%');
    let mut expected = naive.next().unwrap_or_default().to_vec();
    let mut is_expected = true;
    for after_percent in naive {
        let digits = after_percent.get(..2).filter(|it| it.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.and_then(|it| std::str::from_utf8(it).ok());
        match digits.and_then(|it| u8::from_str_radix(it, 16).ok()) {
            Some(byte) => expected.push(byte),
            None => is_expected = false,
        }
        expected.extend_from_slice(after_percent.get(2..).unwrap_or_default());
    }
    assert_eq!(is_valid, is_expected);
    assert!(!is_valid || decoded == expected, "the oracle disagrees");
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(encoded: &str, decoded: Result<&[u8], BadEscape>) {
        let mut out = Vec::new();
        let result = decode(encoded.as_bytes(), &mut out).map(|()| &out[..]);
        assert_eq!(result, decoded, "{encoded}");
    }

    #[test]
    fn escapes_are_decoded_once() {
        check("", Ok(b""));
        check("a%3Ab%2fc", Ok(b"a:b/c"));
        check("%2541", Ok(b"%41"));
        check("a+b", Ok(b"a+b"));
        check("%00%ff", Ok(b"\0\xff"));
        for bad in ["%", "%4", "a%4", "%4g", "%g4", "%%41", "% 1", "%+1", "%-1"] {
            check(bad, Err(BadEscape));
        }
    }

    #[test]
    fn every_byte_survives_the_round_trip() {
        let every: Vec<u8> = (0..=255).collect();
        let (mut encoded, mut decoded) = (Vec::new(), Vec::new());
        encode_segment(&every, &mut encoded);
        assert_eq!(decode(&encoded, &mut decoded), Ok(()));
        assert_eq!(decoded, every);
        assert_eq!(encoded.iter().filter(|byte| **byte == b'%').count(), 256 - 66);
        assert!(encoded.iter().all(|byte| is_unreserved(*byte) || *byte == b'%'));
        let mut single = Vec::new();
        every.iter().for_each(|byte| push_encoded(*byte, &mut single));
        assert_eq!(single, encoded);
    }
}
