//! One request as one line for a person at a terminal, in columns.
//!
//! ```text
//! 2026-11-23 01:08:43.000 200 converse-stream  claude               east-1             1.235s  ttft  0.210s  in    1520 out     88  $0.000123
//! ```
//!
//! `?` is what is not known, `-` what did not happen. What went wrong follows at the end.

use super::{Who, append};
use crate::{
    bedrock::operation::Action,
    boundary::ledger::entry::{Charge, Entry, Outcome},
    units::Tokens,
};

/// Whether a terminal understands colours, and is to show them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Colour {
    /// None.
    Plain,
    /// SGR sequences around status and outcome.
    Coloured,
}

const RED: &[u8] = b"\x1b[31m";
const GREEN: &[u8] = b"\x1b[32m";
const YELLOW: &[u8] = b"\x1b[33m";
const USUAL: &[u8] = b"\x1b[0m";

const ACTION_WIDTH: usize = 15;
const GROUP_WIDTH: usize = 20;
const DEPLOYMENT_WIDTH: usize = 16;
const SECONDS_WIDTH: usize = 8;
const COUNT_WIDTH: usize = 7;

/// Appends the line and its `\n`. Allocates nothing once `out` has room.
pub fn write_text(entry: &Entry, who: Who<'_>, colour: Colour, out: &mut Vec<u8>) {
    append::moment_for_people(entry.started, out);
    out.push(b' ');
    let hue = match entry.status {
        200..400 => GREEN,
        400..500 => YELLOW,
        _ => RED,
    };
    in_colour(hue, colour, out, |out| match entry.status {
        0 => out.extend_from_slice(b"---"),
        status => append::padded::<3>(u64::from(status), out),
    });
    out.push(b' ');
    left(ACTION_WIDTH, out, |out| out.extend_from_slice(action(entry).as_bytes()));
    let (group, id) = who.deployment.map_or(("-", "-"), |it| (&it.model_group, &it.id));
    left(GROUP_WIDTH, out, |out| append::visible(group, out));
    left(DEPLOYMENT_WIDTH, out, |out| append::visible(id, out));
    right(SECONDS_WIDTH, out, |out| seconds(entry.timing.total_us, out));
    out.extend_from_slice(b"  ttft ");
    right(SECONDS_WIDTH - 1, out, |out| seconds(entry.timing.first_content_us, out));
    let went_in = entry.usage.input.map(|_| entry.usage.input_total());
    for (word, count) in [("  in ", went_in), (" out ", entry.usage.output)] {
        out.extend_from_slice(word.as_bytes());
        right(COUNT_WIDTH, out, |out| match count {
            Some(Tokens(count)) => append::number(count, out),
            None => out.push(if entry.is_stored() { b'?' } else { b'-' }),
        });
    }
    out.extend_from_slice(b"  $");
    match entry.charge {
        Charge::Known(amount) => amount.write(out),
        Charge::Unknown(why) if entry.is_stored() => {
            out.extend_from_slice(b"? ");
            out.extend_from_slice(why.word().as_bytes());
        }
        Charge::Unknown(_) => out.push(b'-'),
    }
    troubles(entry, colour, out);
    out.push(b'\n');
}

/// The path's last segment; the long one shortened, or it alone would widen each line.
fn action(entry: &Entry) -> &'static str {
    match entry.action {
        Some(Action::InvokeWithResponseStream) => "invoke-stream",
        Some(action) => action.segment(),
        None => "-",
    }
}

fn troubles(entry: &Entry, colour: Colour, out: &mut Vec<u8>) {
    let mut trouble = |word: &str| {
        if !word.is_empty() {
            out.extend_from_slice(b"  ");
            in_colour(RED, colour, out, |out| out.extend_from_slice(word.as_bytes()));
        }
    };
    trouble(entry.error.text());
    if !matches!(entry.outcome, Outcome::Whole | Outcome::Page) {
        trouble(entry.outcome.word());
    }
    if entry.usage.partial {
        trouble("usage_partial");
    }
    if entry.attempts > 1 {
        out.extend_from_slice(b"  attempts ");
        append::number(u64::from(entry.attempts), out);
    }
    let mut separator = &b"  after "[..];
    for attempt in entry.failed.iter() {
        out.extend_from_slice(separator);
        out.extend_from_slice(attempt.failure.word().as_bytes());
        separator = b", ";
    }
}

fn seconds(us: u32, out: &mut Vec<u8>) {
    if us == 0 {
        out.push(b'-');
        return;
    }
    let ms = u64::from(us).div_ceil(1000); // rounded up: what took time does not show as none
    append::number(ms / 1000, out);
    out.push(b'.');
    append::padded::<3>(ms % 1000, out);
    out.push(b's');
}

fn in_colour(hue: &[u8], colour: Colour, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    if colour == Colour::Plain {
        return write(out);
    }
    out.extend_from_slice(hue);
    write(out);
    out.extend_from_slice(USUAL);
}

/// Filled up with spaces to `width` characters, and one more. Too long: it stays, the columns shift.
fn left(width: usize, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    write(out);
    let missing = width.saturating_sub(characters(&out[start..])) + 1;
    out.resize(out.len() + missing, b' ');
}

fn right(width: usize, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    write(out);
    let missing = width.saturating_sub(characters(&out[start..]));
    out.resize(out.len() + missing, b' ');
    out[start..].rotate_right(missing);
}

/// Of UTF-8: each has one byte that does not continue another.
fn characters(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
}
