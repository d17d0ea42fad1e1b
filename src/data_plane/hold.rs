//! What of an answer is held back before the client sees its head: a stream until its first frame is whole,
//! and an error of AWS's until it is known not to quote our credential.

use std::{pin::pin, time::Duration};

use memchr::memmem;

use crate::{
    bedrock::failure::Failure,
    data_plane::{
        answer::{Answer, NoAnswer},
        tap::Tap,
        upstream::{Arrival, Upstream},
    },
    limits::{FIRST_FRAME_BYTES_MAX, FIRST_FRAME_MS_MAX, WITHHELD_BYTES_MAX},
    net::{clock, runtime::timeout_at},
};

/// Letters and digits in a row that tell a secret: JSON may escape what stands between them.
const TELLING_BYTES: usize = 16;

/// Holds a stream's status back until its first frame is whole: if that is an exception, the request can
/// still go elsewhere. Within bounds: a model that thinks for long must not look like a proxy that hangs.
///
/// # Errors
/// [`NoAnswer`]: it broke before.
pub async fn hold_first_frame(
    upstream: &mut Upstream,
    answer: &mut Answer,
    tap: &mut Tap,
    out: &mut Vec<u8>,
) -> Result<(), NoAnswer> {
    let until = clock::now() + Duration::from_millis(FIRST_FRAME_MS_MAX);
    loop {
        answer.flow.look(tap, out);
        if let Some(first) = tap.first_frame() {
            answer.failure = first.exception.map(Failure::of_exception);
            return Ok(());
        }
        if let Some(what) = answer.flow.broken() {
            let is_corrupt = answer.flow.is_corrupt();
            let broken = if is_corrupt { NoAnswer::BrokenFrame } else { NoAnswer::BrokenOff };
            return Err(broken(what));
        }
        if answer.flow.is_whole() || out.len() > FIRST_FRAME_BYTES_MAX {
            return Ok(());
        }
        // A look that can be given up: a receive cannot, without losing what it brings.
        if timeout_at(until, pin!(upstream.readable())).await.is_err() {
            return Ok(());
        }
        let flow = &mut answer.flow;
        let mut sink = |bytes: &[u8]| flow.push(bytes, out);
        match upstream.receive(&mut sink).await {
            Ok(Arrival::More) => {}
            Ok(Arrival::Ended { clean: true }) if answer.flow.close().is_ok() => {}
            _ => return Err(NoAnswer::BrokenOff("it broke off before its first frame")),
        }
    }
}

/// Holds an error back until it is whole, to see that it does not quote `secret`.
///
/// # Errors
/// [`NoAnswer`]: it does, or it is no whole error.
pub async fn withhold_secret(
    upstream: &mut Upstream,
    mut answer: Answer,
    secret: &str,
    out: &mut Vec<u8>,
) -> Result<Answer, NoAnswer> {
    while !answer.flow.is_whole() {
        if out.len() > WITHHELD_BYTES_MAX {
            return Err(NoAnswer::Broken("its error has too many bytes"));
        }
        let flow = &mut answer.flow;
        let mut sink = |bytes: &[u8]| flow.push(bytes, out);
        match upstream.receive(&mut sink).await {
            Ok(Arrival::More) => {}
            Ok(Arrival::Ended { clean: true }) if answer.flow.close().is_ok() => {}
            _ => return Err(NoAnswer::Broken("it broke off within an error")),
        }
        if let Some(what) = answer.flow.broken() {
            return Err(NoAnswer::Broken(what));
        }
    }
    let quotes = memmem::find(out, telling_part(secret).as_bytes()).is_some();
    if quotes { Err(NoAnswer::QuotesSecret) } else { Ok(answer) }
}

/// The longest run of letters and digits, which no JSON escapes; all of it, if that is short.
fn telling_part(secret: &str) -> &str {
    let runs = secret.split(|letter: char| !letter.is_ascii_alphanumeric());
    runs.max_by_key(|run| run.len()).filter(|run| run.len() >= TELLING_BYTES).unwrap_or(secret)
}
