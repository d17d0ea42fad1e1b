//! The access log: a line per request, made of its ledger entry, as metrics and store are.
//!
//! ```text
//!   control plane: entries ─▶ lines ─▶ buffer ─▶ queue, bounded in bytes ─▶ a thread of its own ─▶ write(2)
//! ```
//!
//! A pipe that nobody reads, a disk that is full or a file server that hangs stops that thread alone: when
//! the queue is full, lines are dropped and counted, and the operator is told. Lines hold names, numbers
//! and addresses: never a secret, never content, never a control character.

mod append;
mod json;
#[cfg(test)]
mod tests;
mod text;
mod writer;

pub use json::write_json;
pub use text::{Colour, write_text};

use std::{
    io::{self, IsTerminal as _},
    time::{Duration, Instant},
};

use super::{
    config::{self, Accounting},
    names::{DeploymentName, KeyName, Names},
};
use crate::{
    boundary::ledger::entry::Entry,
    limits::{ACCESS_LOG_WRITE_BYTES, NOTICES_EVERY_MS},
};
use writer::{Sink, Writer};

/// What an entry's references mean.
#[derive(Clone, Copy, Debug, Default)]
pub struct Who<'n> {
    /// Whom the request was for, if one was picked.
    pub deployment: Option<&'n DeploymentName>,
    /// Who asked, if it is known.
    pub key: Option<&'n KeyName>,
    /// For the attempts that failed before.
    pub names: Option<&'n Names>,
}

impl<'n> Who<'n> {
    /// As `names` has them.
    #[must_use]
    pub fn of(entry: &Entry, names: &'n Names) -> Self {
        let (deployment, key) = (names.deployment(entry.deployment), names.key(entry.key));
        Self { deployment, key, names: Some(names) }
    }
}

/// What a line looks like.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Form {
    Json,
    Text(Colour),
}

/// Where lines go, and in which form; `None`: nowhere.
fn plan(
    log: &config::AccessLog,
    json_logs: bool,
    is_terminal: bool,
    colour: Colour,
) -> Option<(Form, Option<std::path::PathBuf>)> {
    use config::AccessLog::{Auto, File, Off, Stdout};
    let form = if json_logs || !is_terminal { Form::Json } else { Form::Text(colour) };
    match log {
        Off => None,
        Auto => (is_terminal || json_logs).then_some((form, None)),
        Stdout => Some((form, None)),
        File(path) => Some((Form::Json, Some(path.clone()))),
    }
}

/// The log, open. Dropping it gives up what is not written yet: [`Self::flush`] first.
pub struct AccessLog {
    form: Form,
    writer: Writer,
    buffer: Vec<u8>,
    buffered_lines: u64,
    told: Told,
}

/// What the operator knows of dropped lines.
#[derive(Default)]
struct Told {
    dropped: u64,
    at: Option<Instant>,
}

impl AccessLog {
    /// As the configuration says; `None` if it wants no log here.
    ///
    /// # Errors
    /// The file cannot be opened or made, or there is no thread to be had.
    pub fn open(accounting: &Accounting, colour: Colour) -> io::Result<Option<Self>> {
        let is_terminal = io::stdout().is_terminal();
        let wanted = plan(&accounting.access_log, accounting.json_logs, is_terminal, colour);
        let Some((form, path)) = wanted else { return Ok(None) };
        let sink = match path {
            Some(path) => Sink::file(path)?,
            None => Sink::stdout()?,
        };
        Self::to(form, sink).map(Some)
    }

    fn to(form: Form, sink: Sink) -> io::Result<Self> {
        let writer = Writer::start(sink)?;
        let buffer = writer.spare();
        Ok(Self { form, writer, buffer, buffered_lines: 0, told: Told::default() })
    }

    /// A line for each entry. Never waits. Lines that the writer has no time for yet are kept together, until
    /// there are enough for a write or [`Self::publish`] finds it idle.
    pub fn record(&mut self, entries: &[Entry], names: &Names) {
        for (at, entry) in entries.iter().enumerate() {
            if self.writer.is_full() {
                let rest = u64::try_from(entries.len() - at).unwrap_or(u64::MAX);
                self.writer.count_dropped(rest);
                break;
            }
            let who = Who::of(entry, names);
            match self.form {
                Form::Json => write_json(entry, who, &mut self.buffer),
                Form::Text(colour) => write_text(entry, who, colour, &mut self.buffer),
            }
            self.buffered_lines += 1;
            if self.buffer.len() >= ACCESS_LOG_WRITE_BYTES {
                self.hand_over();
            }
        }
        self.hand_over_if_idle();
    }

    /// Opens the file by its name again: what was recorded before is written to the old one, what comes
    /// after to the new one. If that fails the old one stays, and [`Self::publish`] says so. If the old one
    /// takes nothing, what it lacks goes to the new one. Stdout stays what it is.
    pub fn reopen(&mut self) {
        self.hand_over();
        self.writer.reopen();
    }

    /// Waits until all is written, at most for `within`; whether it was.
    pub fn flush(&mut self, within: Duration) -> bool {
        self.hand_over();
        self.writer.flush(within)
    }

    /// To be called a few times a second: hands over what was kept, and tells the operator what the writer
    /// met with; dropped lines at most every 5 s.
    pub fn publish(&mut self, now: Instant, say: &mut impl FnMut(&str)) {
        self.hand_over_if_idle();
        while let Some(words) = self.writer.next_words() {
            say(&words);
        }
        let dropped = self.dropped();
        let window = Duration::from_millis(NOTICES_EVERY_MS);
        let is_early = self.told.at.is_some_and(|at| now.saturating_duration_since(at) < window);
        if dropped > self.told.dropped && !is_early {
            let fresh = dropped - self.told.dropped;
            say(&format!(
                "access log: {fresh} lines were dropped, for {} takes them too slowly or not at all; \
                 nothing is lost for the store and the metrics",
                self.writer.place()
            ));
            self.told = Told { dropped, at: Some(now) };
        }
    }

    /// Lines that were dropped, ever.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.writer.dropped()
    }

    /// Writes that failed, ever.
    #[must_use]
    pub fn write_errors(&self) -> u64 {
        self.writer.write_errors()
    }

    /// A queue of small buffers would hold far more memory than lines.
    fn hand_over_if_idle(&mut self) {
        if self.writer.is_idle() {
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        if !self.buffer.is_empty() {
            let empty = self.writer.spare();
            let full = std::mem::replace(&mut self.buffer, empty);
            self.writer.send(full, std::mem::take(&mut self.buffered_lines));
        }
    }
}
