//! A request as a JSON array, in as few instructions as we can: one for each request is made here.

use std::{io::Write as _, net::IpAddr};

use super::columns::{self, Row};
use super::labels::Labels;
use crate::boundary::ledger::entry::{Entry, FailedAttempts};
use crate::units::RequestId;

/// Writes requests' arrays, one after the other, into one buffer.
#[derive(Default)]
pub(super) struct Packer {
    text: Vec<u8>,
    /// Up to the last value that is not NULL, with its comma.
    filled: usize,
    /// The failed attempts of the entry at hand, with the names of their deployments.
    failed: Vec<u8>,
}

impl Packer {
    /// Appends the entry's array, whose names stand at `place`, with a comma behind it.
    pub(super) fn request(&mut self, entry: &Entry, place: usize, labels: &mut Labels) {
        if !entry.failed.is_empty() {
            self.failed.clear();
            let id_of = |it| labels.deployment(it).id.to_string();
            entry.failed.write_json(id_of, &mut self.failed);
        }
        self.text.push(b'[');
        self.digits(place as u64);
        self.end();
        match entry.call_id.text() {
            "" => self.null(),
            chosen => self.free_text(chosen),
        }
        columns::details(entry, self);
        self.text.truncate(self.filled);
        *self.text.last_mut().expect("when it started is always known") = b']';
        self.text.push(b',');
    }

    /// An array of requests' arrays begins.
    pub(super) fn begin(&mut self) {
        self.text.push(b'[');
    }

    /// How many bytes are there.
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// All that is there, which is then no more.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let next = Vec::with_capacity(self.text.len());
        std::mem::replace(&mut self.text, next)
    }

    /// What a client chose.
    fn free_text(&mut self, text: &str) {
        serde_json::to_writer(&mut self.text, text).expect("into memory");
        self.end();
    }

    fn end(&mut self) {
        self.text.push(b',');
        self.filled = self.text.len();
    }

    fn digits(&mut self, mut number: u64) {
        const PAIRS: [[u8; 2]; 100] = {
            let mut pairs = [[b'0'; 2]; 100];
            let mut at = 0;
            while at < 100 {
                #[expect(clippy::cast_possible_truncation, reason = "below 100")]
                let number = at as u8;
                pairs[at] = [b'0' + number / 10, b'0' + number % 10];
                at += 1;
            }
            pairs
        };
        let mut text = [0; 20];
        let mut from = text.len();
        let pair = |number: u64| PAIRS[usize::try_from(number).expect("below 100")];
        while number >= 10 {
            from -= 2;
            text[from..from + 2].copy_from_slice(&pair(number % 100));
            number /= 100;
        }
        if number > 0 || from == text.len() {
            from -= 1;
            text[from] = pair(number)[1];
        }
        self.text.extend_from_slice(&text[from..]);
    }

    fn quoted(&mut self, text: &[u8]) {
        self.text.push(b'"');
        self.text.extend_from_slice(text);
        self.text.push(b'"');
        self.end();
    }
}

impl Row for Packer {
    /// An array within the array: SQLite shows it as its text.
    fn failed(&mut self, _failed: &FailedAttempts) {
        self.text.extend_from_slice(&self.failed);
        self.end();
    }

    fn null(&mut self) {
        self.text.extend_from_slice(b"null,");
    }

    fn int(&mut self, number: i64) {
        if number < 0 {
            self.text.push(b'-');
        }
        self.digits(number.unsigned_abs());
        self.end();
    }

    /// As SQLite has it.
    fn bool(&mut self, truth: bool) {
        self.text.push(if truth { b'1' } else { b'0' });
        self.end();
    }

    fn word(&mut self, word: &'static str) {
        debug_assert!(!word.contains(['"', '\\', '\n']), "a word of ours: {word}");
        self.quoted(word.as_bytes());
    }

    fn words(&mut self, words: &[&'static str]) {
        self.quoted(words.join(" ").as_bytes());
    }

    fn id(&mut self, id: RequestId) {
        self.quoted(&id.text());
    }

    fn address(&mut self, address: IpAddr) {
        self.text.push(b'"');
        match address {
            IpAddr::V4(address) => {
                for octet in address.octets() {
                    self.digits(octet.into());
                    self.text.push(b'.');
                }
                self.text.pop();
            }
            IpAddr::V6(address) => write!(self.text, "{address}").expect("into memory"),
        }
        self.text.push(b'"');
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_rust_writes_them() {
        let powers = (0..20).map(|power| 10_u64.pow(power));
        let around = powers.flat_map(|power| [power - 1, power, power + 1]);
        for number in around.chain([u64::MAX, 0, 42, 100, 12_345]) {
            let mut packer = Packer::default();
            packer.digits(number);
            assert_eq!(str::from_utf8(&packer.text), Ok(number.to_string().as_str()));
        }
    }
}
