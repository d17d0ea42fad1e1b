//! How a request's row lies in SQLite: its id, a number for its names, and all else as one JSON array.
//!
//! What a row costs there is values bound, columns packed and bytes written; as fifty columns it cost more
//! than serving the request did. SQLite reads the array with `->>`, and the view `spend_logs` shows each of its
//! places as the column that it is: whoever asks sees no difference. NULLs at the end are left out.
//!
//! ```text
//!   request_id | names | litellm_call_id | [1795392000000000,1500000,40,…,"success","whole",200,…]
//!                └──▶ spend_names                 in the order of `columns::DETAILS`
//! ```

use std::{fmt::Write as _, io::Write as _, net::IpAddr, sync::Arc};

use super::columns::{self, Cell, Column, DETAILS, Kind, NAMES, Row, SPEND_LOGS, call_id, id_text};
use super::labels::Labels;
use crate::boundary::ledger::entry::{Entry, FailedAttempts};
use crate::units::{RequestId, UnixMicros};

/// The table's columns.
pub(super) const SPEND_ROWS: &[Column] = &[
    ("request_id", Kind::Text),
    ("names", Kind::Int),
    ("litellm_call_id", Kind::Text),
    ("detail", Kind::Text),
];

/// Where `names` stands.
pub(super) const NAMES_AT: usize = 1;

/// Writes rows' details, one after the other, into one buffer.
pub(super) struct Packer {
    text: Vec<u8>,
    /// Up to the last value that is not NULL, with its comma.
    filled: usize,
    /// The failed attempts of the entry at hand, with the names of their deployments.
    failed: Vec<u8>,
}

impl Packer {
    pub(super) fn new() -> Self {
        Self { text: Vec::with_capacity(1024), filled: 0, failed: Vec::new() }
    }

    /// Appends the entry's row, in the order of [`SPEND_ROWS`].
    pub(super) fn cells(
        &mut self,
        entry: &Entry,
        names: i64,
        labels: &mut Labels,
        out: &mut Vec<Cell>,
    ) {
        if !entry.failed.is_empty() {
            self.failed.clear();
            let id_of = |it| labels.deployment(it).id.to_string();
            entry.failed.write_json(id_of, &mut self.failed);
        }
        let id = Cell::Text(id_text(entry.request_id));
        let detail = Cell::Text(self.detail(entry));
        out.extend([id, Cell::Int(names), call_id(entry), detail]);
    }

    fn detail(&mut self, entry: &Entry) -> Arc<str> {
        self.text.clear();
        self.text.push(b'[');
        self.filled = 1;
        columns::details(entry, self);
        self.text.truncate(self.filled);
        *self.text.last_mut().expect("when it started is always known") = b']';
        str::from_utf8(&self.text).expect("ASCII, and names").into()
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

/// The columns of [`SPEND_LOGS`], from a table of packed rows or what stands for one.
pub(super) fn select(rows: &str, more: &str) -> String {
    let mut sql = "SELECT r.request_id AS request_id".to_owned();
    for (name, _) in NAMES {
        let _ = write!(sql, ", n.{name} AS {name}");
    }
    sql.push_str(", r.litellm_call_id AS litellm_call_id");
    for (place, (name, _)) in DETAILS.iter().enumerate() {
        let _ = write!(sql, ", r.detail ->> {place} AS {name}");
    }
    // LEFT: a row is a row, whatever became of its names.
    let _ = write!(sql, "{more} FROM {rows} AS r LEFT JOIN spend_names AS n ON n.id = r.names");
    sql
}

/// The view, made anew: it follows the list of columns.
pub(super) fn view() -> String {
    let place = |wanted: &str| {
        let at = DETAILS.iter().position(|(name, _)| *name == wanted).expect("a column");
        format!("(r.detail ->> {at})")
    };
    let (started, total) = (place("started_us"), place("total_us"));
    let moment = |sum: &str, name: &str| {
        format!(", strftime('%Y-%m-%dT%H:%M:%fZ', ({sum}) / 1000000.0, 'unixepoch') AS \"{name}\"")
    };
    let more = [
        format!(", {} / 1000000000000.0 AS spend", place("cost_pico")),
        moment(&started, "startTime"),
        moment(&format!("{started} + {total}"), "endTime"),
        moment(&format!("{started} + {}", place("first_content_us")), "completionStartTime"),
        format!(", {total} / 1000 AS request_duration_ms, 'bedrock' AS custom_llm_provider"),
    ];
    let select = select("spend_rows", &more.concat());
    format!("DROP VIEW IF EXISTS spend_logs; CREATE VIEW spend_logs AS {select}")
}

/// What every id of this moment or later begins with, or exceeds: a version 7 UUID begins with its
/// milliseconds, and a request's id and `started_us` are made from one reading of the clock.
pub(super) fn first_id(moment: UnixMicros) -> Cell {
    let millis = (moment.0 / 1000).min(MILLIS_MAX);
    Cell::text(&format!("{:08x}-{:04x}", millis >> 16, millis & 0xffff))
}

/// Of a version 7 UUID: 48 bits, up to the year 10889.
const MILLIS_MAX: u64 = (1 << 48) - 1;

const _: () = assert!(1 + NAMES.len() + 1 + DETAILS.len() == SPEND_LOGS.len());

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bedrock::failure::Failure;
    use crate::bedrock::usage::Usage;
    use crate::boundary::ledger::entry::{Charge, DeploymentRef, FailedAttempt, Marks};
    use crate::control_plane::names::Names;
    use crate::units::{PicoUsd, Tokens};

    fn detail(entry: &Entry) -> serde_json::Value {
        serde_json::from_str(&Packer::new().detail(entry)).expect("JSON")
    }

    fn place(name: &str) -> usize {
        DETAILS.iter().position(|(known, _)| *known == name).unwrap()
    }

    #[test]
    fn values_stand_in_their_places_and_nulls_at_the_end_nowhere() {
        let both = Marks::REUSED.with(Marks::LONG_CONTEXT, true);
        let entry = Entry {
            started: UnixMicros(1_795_392_000_000_001),
            client: Some("2001:db8::1".parse().unwrap()),
            charge: Charge::Known(PicoUsd(u64::MAX)),
            usage: Usage { input: Some(Tokens(u64::MAX)), ..Usage::default() },
            marks: both,
            ..Entry::default()
        };
        let shown = detail(&entry);
        assert_eq!(shown[place("started_us")], 1_795_392_000_000_001_u64);
        assert_eq!(shown[place("requester_ip_address")], "2001:db8::1");
        assert_eq!(shown[place("input_tokens")], i64::MAX);
        assert_eq!(shown[place("first_byte_us")], serde_json::Value::Null);
        assert_eq!(shown[place("marks")], "long_context reused");
        assert_eq!(shown[place("unknown_cost")], "too_large");
        assert_eq!(shown.as_array().unwrap().len(), place("unknown_cost") + 1);
        let mut failed = FailedAttempts::default();
        let (deployment, failure) = (DeploymentRef(5), Failure::Throttled);
        failed.push(FailedAttempt { deployment, failure, ms: 7 });
        let mut cells = Vec::new();
        let names = Names::in_memory();
        let full = Entry { failed, ..entry };
        Packer::new().cells(&full, 1, &mut Labels::new(&names), &mut cells);
        let full: serde_json::Value = serde_json::from_str(cells[3].str().unwrap()).unwrap();
        assert_eq!(full.as_array().unwrap().len(), DETAILS.len());
        let shown = &full[place("failed_attempts")][0];
        assert_eq!(shown["model_id"], "ref:0000000000000005");
        assert_eq!((&shown["failure"], &shown["ms"]), (&"throttled".into(), &7.into()));
        let local = detail(&Entry { client: Some([127, 0, 0, 1].into()), ..entry });
        assert_eq!(local[place("requester_ip_address")], "127.0.0.1");
    }

    #[test]
    fn numbers_are_written_as_rust_writes_them() {
        let powers = (0..20).map(|power| 10_u64.pow(power));
        let around = powers.flat_map(|power| [power - 1, power, power + 1]);
        for number in around.chain([u64::MAX, 0, 42, 100, 12_345]) {
            let mut packer = Packer::new();
            packer.digits(number);
            assert_eq!(str::from_utf8(&packer.text), Ok(number.to_string().as_str()));
        }
    }

    #[test]
    fn ids_stand_in_the_order_of_their_milliseconds() {
        let check = |moment: u64, is_before: bool| {
            let first = first_id(UnixMicros(1_795_392_000_123_000));
            for random in [0, u128::MAX] {
                let id = id_text(RequestId::new(UnixMicros(moment), random));
                assert_eq!(&*id < first.str().unwrap(), is_before, "{id} {first:?}");
            }
        };
        check(1_795_392_000_122_999, true);
        check(1_795_392_000_123_000, false);
        check(1_795_392_000_123_999, false);
        assert_eq!(first_id(UnixMicros(u64::MAX)), Cell::text("ffffffff-ffff"));
    }
}
