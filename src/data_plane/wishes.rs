//! What a client may ask of us beyond Bedrock's protocol: LiteLLM's request fields, `x-litellm-…`.

use std::time::Duration;

use crate::{bedrock::fault::Fault, limits::ASKED_TIMEOUT_S_MAX, wire::http1::head::Fields};

const PREFIX: &str = "x-litellm-";

/// See the file's comment. What is not asked for is as the configuration has it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Wishes {
    /// `x-litellm-timeout`, in seconds: until an answer's head, for each attempt.
    pub timeout: Option<Duration>,
    /// `x-litellm-stream-timeout`, in seconds: likewise, of a stream, and between its bytes.
    pub stream_timeout: Option<Duration>,
    /// `x-litellm-num-retries`: in each group.
    pub retries: Option<u8>,
}

impl Wishes {
    /// Reads them, and beside them `x-litellm-call-id`, the client's own name for the request, in one pass.
    /// Of a field that is there twice the first counts, as in LiteLLM. A value that is none is a fault.
    pub fn of<'b>(fields: Fields<'_, 'b>) -> (Option<&'b [u8]>, Result<Self, Fault>) {
        let mut call_id = None;
        let mut wishes = Ok(Self::default());
        for (name, value) in fields.iter() {
            let Some((start, wish)) = name.split_at_checked(PREFIX.len()) else { continue };
            if !start.eq_ignore_ascii_case(PREFIX) {
                continue;
            }
            if wish.eq_ignore_ascii_case("call-id") {
                call_id.get_or_insert(value);
            } else if let Ok(so_far) = &mut wishes
                && let Err(fault) = so_far.take(wish, value)
            {
                wishes = Err(fault);
            }
        }
        (call_id, wishes)
    }

    fn take(&mut self, wish: &str, value: &[u8]) -> Result<(), Fault> {
        if wish.eq_ignore_ascii_case("timeout") {
            fill(&mut self.timeout, seconds(value, "x-litellm-timeout is no time in seconds.")?);
        } else if wish.eq_ignore_ascii_case("stream-timeout") {
            let what = "x-litellm-stream-timeout is no time in seconds.";
            fill(&mut self.stream_timeout, seconds(value, what)?);
        } else if wish.eq_ignore_ascii_case("num-retries") {
            let what = Fault::BadRequest("x-litellm-num-retries is no number from 0 to 255.");
            let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
            let text = str::from_utf8(value).ok().filter(|_| is_number).ok_or(what)?;
            fill(&mut self.retries, text.parse().map_err(|_| what)?);
        }
        Ok(())
    }
}

fn fill<T>(place: &mut Option<T>, value: T) {
    place.get_or_insert(value);
}

fn seconds(value: &[u8], what: &'static str) -> Result<Duration, Fault> {
    let is_plain = value.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
    let text = str::from_utf8(value).ok().filter(|_| is_plain);
    let seconds: Option<f64> = text.and_then(|text| text.parse().ok());
    match seconds {
        Some(seconds) if seconds > 0.0 && seconds <= ASKED_TIMEOUT_S_MAX => {
            Ok(Duration::from_secs_f64(seconds))
        }
        _ => Err(Fault::BadRequest(what)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::http1::head::{FieldStorage, parse_request};

    fn check(fields: &str, expected: Option<(Option<u64>, Option<u64>, Option<u8>)>) {
        let head = format!("POST / HTTP/1.1\r\nhost: x\r\n{fields}\r\n");
        let mut storage = FieldStorage::new();
        let head = parse_request(head.as_bytes(), &mut storage).unwrap().unwrap();
        let millis =
            |time: Option<Duration>| time.map(|time| u64::try_from(time.as_millis()).unwrap());
        let read = Wishes::of(head.fields).1.ok();
        let read = read.map(|it| (millis(it.timeout), millis(it.stream_timeout), it.retries));
        assert_eq!(read, expected, "{fields:?}");
    }

    #[test]
    fn times_and_numbers_and_nothing_else() {
        check("", Some((None, None, None)));
        check("X-LiteLLM-Timeout: 1.5\r\n", Some((Some(1500), None, None)));
        check("x-litellm-stream-timeout: 2\r\n", Some((None, Some(2000), None)));
        check("x-litellm-num-retries: 0\r\nx-litellm-tags: a\r\n", Some((None, None, Some(0))));
        check("x-litellm-timeout: 1\r\nx-litellm-timeout: 2\r\n", Some((Some(1000), None, None)));
        for bad in [
            "timeout: -1",
            "timeout: 0",
            "timeout: inf",
            "timeout: 1e3",
            "timeout: 90000",
            "timeout:",
            "stream-timeout: x",
            "num-retries: -1",
            "num-retries: 256",
        ] {
            check(&format!("x-litellm-{bad}\r\n"), None);
        }
    }
}
