//! How requests lie in SQLite: a few hundred in one row, their ids one behind the other and all else as JSON.
//!
//! What a row costs there is values bound, columns packed, a key found and bytes written: one for each request,
//! it cost half of what serving the request did. SQLite reads JSON with `json_each` and `->>`, and the view
//! `spend_logs` shows each request as a row with each place as the column that it is: whoever asks sees no
//! difference. NULLs at the end of a request are left out.
//!
//! ```text
//!   first_id | last_id | ids: 36 characters each | names: [17,4] | rows: [[0,null,1795392000000000,1500000,…],[1,…],…]
//!                                                    ▲              │    in the order of `columns::DETAILS`
//!                                       spend_names ◀┴──────────────┘
//! ```

use std::{collections::HashSet, fmt::Write as _, sync::Arc};

use super::columns::{self, Cell, DETAILS, NAMES, SPEND_LOGS};
use super::labels::{ByReference, Labels, Resolved};
use super::packer::Packer;
use super::rollup::RollUp;
use crate::boundary::ledger::entry::{DeploymentRef, Entry, KeyRef};
use crate::control_plane::names::Names;
use crate::limits::STORE_CHUNK_ENTRIES_MAX;
use crate::units::UnixMicros;

/// Characters of an id.
pub(super) const ID_BYTES: usize = 36;
/// In a request's array, in front of [`DETAILS`]: the place of its names, and the client's own id for the call.
pub(super) const DETAILS_AT: usize = 2;

/// One row of `spend_names`.
pub(super) type NamesOfRow = [Arc<str>; NAMES.len()];

/// What one transaction stores: everything that needs names is made before the first wait.
pub(super) struct Chunks<'e> {
    entries: Vec<&'e Entry>,
    ids: Vec<[u8; ID_BYTES]>,
    labels: Resolved,
    /// Each combination once.
    combinations: Vec<NamesOfRow>,
    /// Of [`STORE_CHUNK_ENTRIES_MAX`] entries each, but the last; none where no rows are kept.
    packed: Vec<Packed>,
}

/// The requests of one row.
#[derive(Default)]
struct Packed {
    /// Places in [`Chunks::combinations`].
    names: Vec<usize>,
    /// A bracket, and arrays, each with a comma behind it.
    text: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

/// One row, as it is inserted.
pub(super) struct Chunk {
    pub(super) first_id: String,
    pub(super) last_id: String,
    pub(super) ids: String,
    /// Both `None` where no rows are kept.
    pub(super) names: Option<String>,
    pub(super) rows: Option<String>,
}

impl<'e> Chunks<'e> {
    /// Of those that are stored; `None` if none is.
    pub(super) fn of(entries: &[&'e Entry], names: &Names, keeps_rows: bool) -> Option<Self> {
        let entries: Vec<&Entry> =
            entries.iter().copied().filter(|entry| entry.is_stored()).collect();
        if entries.is_empty() {
            return None;
        }
        let ids = entries.iter().map(|entry| entry.request_id.text()).collect();
        let mut labels = Labels::new(names);
        let mut combinations = Combinations::default();
        let mut packed = Vec::new();
        let mut packer = Packer::default();
        for part in entries.chunks(STORE_CHUNK_ENTRIES_MAX) {
            if keeps_rows {
                packed.push(Packed::of(part, &mut packer, &mut combinations, &mut labels));
            } else {
                part.iter().for_each(|entry| {
                    labels.names_of(entry.key, entry.deployment); // for the sums
                });
            }
        }
        let (labels, combinations) = (labels.into_resolved(), combinations.names);
        Some(Self { entries, ids, labels, combinations, packed })
    }

    pub(super) fn combinations(&self) -> &[NamesOfRow] {
        &self.combinations
    }

    pub(super) fn ids(&self) -> &[[u8; ID_BYTES]] {
        &self.ids
    }

    /// Which are to be stored: those not among `known`, each once.
    pub(super) fn new_ones(&self, known: &HashSet<[u8; ID_BYTES]>) -> Vec<bool> {
        let mut seen = HashSet::new();
        self.ids.iter().map(|id| !known.contains(id) && seen.insert(id)).collect()
    }

    /// Rows of those that `is_new` says, once. `numbers` are those of [`Self::combinations`].
    pub(super) fn rows(&mut self, is_new: &[bool], numbers: &[i64]) -> Vec<Chunk> {
        let parts = self.ids.chunks(STORE_CHUNK_ENTRIES_MAX);
        let parts = parts.zip(is_new.chunks(STORE_CHUNK_ENTRIES_MAX)).enumerate();
        let chunk = |(at, (ids, is_new)): (usize, (&[[u8; ID_BYTES]], &[bool]))| {
            let new = || is_new.iter().enumerate().filter(|(_, is_new)| **is_new).map(|(at, _)| at);
            let text = |id: &[u8; ID_BYTES]| str::from_utf8(id).expect("ASCII").to_owned();
            let first_id = text(new().map(|at| &ids[at]).min()?);
            let last_id = text(new().map(|at| &ids[at]).max()?);
            let mut all = Vec::with_capacity(ids.len() * ID_BYTES);
            new().for_each(|at| all.extend_from_slice(&ids[at]));
            let packed = self.packed.get_mut(at);
            Some(Chunk {
                first_id,
                last_id,
                ids: String::from_utf8(all).expect("ASCII"),
                names: packed.as_ref().map(|packed| packed.names(numbers)),
                rows: packed.map(|packed| packed.rows(is_new)),
            })
        };
        parts.filter_map(chunk).collect()
    }

    /// The clients' own ids for those calls that `is_new` says, with ours: rows of `spend_calls`.
    pub(super) fn calls(&self, is_new: &[bool]) -> Vec<Cell> {
        let mut cells = Vec::new();
        for ((entry, id), _) in
            self.entries.iter().zip(&self.ids).zip(is_new).filter(|(_, is_new)| **is_new)
        {
            if let Cell::Text(call_id) = columns::call_id(entry) {
                cells.extend([Cell::Text(call_id), Cell::text(str::from_utf8(id).expect("ASCII"))]);
            }
        }
        cells
    }

    /// Rows of `daily_spend` for those that `is_new` says.
    pub(super) fn daily(&self, is_new: &[bool]) -> Vec<Cell> {
        let mut sums = RollUp::default();
        let new = self.entries.iter().zip(is_new).filter(|(_, is_new)| **is_new);
        new.for_each(|(entry, _)| sums.add(entry));
        sums.cells(&self.labels)
    }
}

impl Packed {
    fn of(
        entries: &[&Entry],
        packer: &mut Packer,
        combinations: &mut Combinations,
        labels: &mut Labels,
    ) -> Self {
        let mut packed = Self::default();
        packed.ends.reserve(entries.len());
        packer.begin();
        let mut places: ByReference<(KeyRef, DeploymentRef), usize> = ByReference::default();
        for entry in entries {
            let names = &mut packed.names;
            let place = *places.entry((entry.key, entry.deployment)).or_insert_with(|| {
                names.push(combinations.place(entry, labels));
                names.len() - 1
            });
            packer.request(entry, place, labels);
            packed.ends.push(packer.len());
        }
        packed.text = packer.take();
        packed
    }

    fn names(&self, numbers: &[i64]) -> String {
        let numbers: Vec<String> =
            self.names.iter().map(|place| numbers[*place].to_string()).collect();
        format!("[{}]", numbers.join(","))
    }

    fn rows(&mut self, is_new: &[bool]) -> String {
        let mut text = std::mem::take(&mut self.text);
        if is_new.contains(&false) {
            let all = std::mem::take(&mut text);
            text.push(b'[');
            let mut from = 1;
            for (end, is_new) in self.ends.iter().zip(is_new) {
                if *is_new {
                    text.extend_from_slice(&all[from..*end]);
                }
                from = *end;
            }
        }
        *text.last_mut().expect("a chunk has a request") = b']';
        String::from_utf8(text).expect("ASCII, and names")
    }
}

/// The combinations of references that a transaction has.
#[derive(Default)]
struct Combinations {
    places: ByReference<(KeyRef, DeploymentRef), usize>,
    names: Vec<NamesOfRow>,
}

impl Combinations {
    fn place(&mut self, entry: &Entry, labels: &mut Labels) -> usize {
        *self.places.entry((entry.key, entry.deployment)).or_insert_with(|| {
            self.names.push(labels.names_of(entry.key, entry.deployment));
            self.names.len() - 1
        })
    }
}

/// The view, made anew: it follows the list of columns.
pub(super) fn view() -> String {
    let place = |wanted: &str| {
        let at = DETAILS.iter().position(|(name, _)| *name == wanted).expect("a column");
        format!("(e.value ->> {})", DETAILS_AT + at)
    };
    let mut sql = format!("SELECT substr(c.ids, 1 + {ID_BYTES} * e.key, {ID_BYTES}) AS request_id");
    for (name, _) in NAMES {
        let _ = write!(sql, ", n.{name} AS {name}");
    }
    sql.push_str(", e.value ->> 1 AS litellm_call_id");
    for (name, _) in DETAILS {
        let _ = write!(sql, ", {} AS {name}", place(name));
    }
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
        // So that a range of time is found by the chunks' index.
        ", c.first_id AS chunk_first_id, c.last_id AS chunk_last_id".to_owned(),
    ];
    sql.push_str(&more.concat());
    // LEFT: a row is a row, whatever became of its names.
    sql.push_str(
        " FROM spend_chunks AS c JOIN json_each(c.rows) AS e \
         LEFT JOIN spend_names AS n ON n.id = c.names ->> (e.value ->> 0)",
    );
    format!("DROP VIEW IF EXISTS spend_logs; CREATE VIEW spend_logs AS {sql}")
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
    use crate::boundary::ledger::entry::{
        Charge, FailedAttempt, FailedAttempts, KeptCallId, Marks,
    };
    use crate::control_plane::store::columns::id_text;
    use crate::units::{PicoUsd, RequestId, Tokens};

    /// The arrays of these entries, of the first chunk.
    fn rows(entries: &[Entry]) -> Vec<Vec<serde_json::Value>> {
        let (entries, names): (Vec<&Entry>, _) = (entries.iter().collect(), Names::in_memory());
        let mut chunks = Chunks::of(&entries, &names, true).unwrap();
        let numbers: Vec<i64> = (100..).take(chunks.combinations().len()).collect();
        let chunk = chunks.rows(&vec![true; entries.len()], &numbers).remove(0);
        serde_json::from_str(&chunk.rows.unwrap()).expect("JSON")
    }

    fn place(name: &str) -> usize {
        DETAILS_AT + DETAILS.iter().position(|(known, _)| *known == name).unwrap()
    }

    fn numbered(number: u64) -> Entry {
        let started = UnixMicros(1_795_392_000_000_000 + number * 1000);
        Entry {
            request_id: RequestId::new(started, number.into()),
            started,
            deployment: DeploymentRef(number % 3),
            ..Entry::default()
        }
    }

    #[test]
    fn values_stand_in_their_places_and_nulls_at_the_end_nowhere() {
        let entry = Entry {
            started: UnixMicros(1_795_392_000_000_001),
            client: Some("2001:db8::1".parse().unwrap()),
            charge: Charge::Known(PicoUsd(u64::MAX)),
            usage: Usage { input: Some(Tokens(u64::MAX)), ..Usage::default() },
            marks: Marks::REUSED.with(Marks::LONG_CONTEXT, true),
            ..Entry::default()
        };
        let mut failed = FailedAttempts::default();
        let (deployment, failure) = (DeploymentRef(5), Failure::Throttled);
        failed.push(FailedAttempt { deployment, failure, ms: 7 });
        let call_id = KeptCallId::new(br#"my-"call\"#);
        let client = Some([127, 0, 0, 1].into());
        let usage = Usage { guardrail_units: Some(4), ..entry.usage };
        let full = Entry { failed, call_id, client, usage, ..entry };
        let [shown, full] = <[_; 2]>::try_from(rows(&[entry, full])).unwrap();
        assert_eq!((&shown[0], &shown[1]), (&0.into(), &serde_json::Value::Null));
        assert_eq!(shown[place("started_us")], 1_795_392_000_000_001_u64);
        assert_eq!(shown[place("requester_ip_address")], "2001:db8::1");
        assert_eq!(shown[place("input_tokens")], i64::MAX);
        assert_eq!(shown[place("first_byte_us")], serde_json::Value::Null);
        assert_eq!(shown[place("marks")], "long_context reused");
        assert_eq!(shown[place("unknown_cost")], "too_large");
        assert_eq!(shown.len(), place("unknown_cost") + 1);
        assert_eq!(full.len(), DETAILS_AT + DETAILS.len());
        assert_eq!(full[1], r#"my-"call\"#);
        assert_eq!(full[place("requester_ip_address")], "127.0.0.1");
        assert_eq!(full[place("guardrail_units")], 4);
        let failed = &full[place("failed_attempts")][0];
        assert_eq!(failed["model_id"], "ref:0000000000000005");
        assert_eq!((&failed["failure"], &failed["ms"]), (&"throttled".into(), &7.into()));
    }

    #[test]
    fn what_is_known_is_left_out_and_the_rest_keeps_its_names() {
        let count = 2 * STORE_CHUNK_ENTRIES_MAX as u64 + 10;
        let all: Vec<Entry> = (0..count).map(numbered).collect();
        let twice: Vec<&Entry> = all.iter().chain(&all).collect();
        let names = Names::in_memory();
        let mut chunks = Chunks::of(&twice, &names, true).unwrap();
        assert_eq!(chunks.combinations().len(), 3);
        let is_known = |number: u64| number < 400 || number.is_multiple_of(7);
        let known = all.iter().zip(0..).filter(|(_, number)| is_known(*number));
        let known = known.map(|(entry, _)| entry.request_id.text()).collect();
        let is_new = chunks.new_ones(&known);
        let rows = chunks.rows(&is_new, &[50, 51, 52]);
        let mut left: Vec<u64> = (0..count).filter(|number| !is_known(*number)).collect();
        left.reverse();
        for chunk in &rows {
            let ids: Vec<&[u8]> = chunk.ids.as_bytes().chunks(ID_BYTES).collect();
            let numbers: Vec<i64> =
                serde_json::from_str(chunk.names.as_ref().unwrap()).expect("JSON");
            let rows: Vec<Vec<serde_json::Value>> =
                serde_json::from_str(chunk.rows.as_ref().unwrap()).expect("JSON");
            assert_eq!(ids.len(), rows.len());
            assert_eq!(Some(chunk.first_id.as_bytes()), ids.iter().min().copied());
            assert_eq!(Some(chunk.last_id.as_bytes()), ids.iter().max().copied());
            for (id, row) in ids.into_iter().zip(rows) {
                let entry = numbered(left.pop().expect("no more than are new"));
                assert_eq!(id, entry.request_id.text());
                assert_eq!(row[place("started_us")], entry.started.0);
                let names = numbers[usize::try_from(row[0].as_u64().unwrap()).unwrap()];
                // Places are given in the order in which references come.
                assert_eq!(names, 50 + i64::try_from(entry.deployment.0).unwrap());
            }
        }
        assert!(left.is_empty(), "{left:?}");
        let mut lean = Chunks::of(&twice, &names, false).unwrap();
        let row = lean.rows(&lean.new_ones(&HashSet::new()), &[]).remove(0);
        assert_eq!((row.names, row.rows), (None, None));
        assert_eq!(row.ids.len(), ID_BYTES * STORE_CHUNK_ENTRIES_MAX);
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
