//! Entries as values of the database: all that needs names is made before the first wait.

use std::{collections::HashSet, sync::Arc};

use super::columns::{self, Cell, Column, Kind, NAMES, SPEND_LOGS, id_text, saturated, started};
use super::labels::{ByReference, Labels, Resolved};
use super::packed::{NAMES_AT, Packer, SPEND_ROWS};
use super::rollup::RollUp;
use crate::boundary::ledger::entry::{DeploymentRef, Entry, KeyRef};
use crate::control_plane::names::Names;

/// What a row of the table that tells what is new is made of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Form {
    /// Every column of `spend_logs`.
    Columns,
    /// [`SPEND_ROWS`].
    Packed,
    /// An id, and when.
    Moments,
    /// An id, which tells when.
    Ids,
}

impl Form {
    pub(super) fn columns(self) -> &'static [Column] {
        match self {
            Self::Columns => SPEND_LOGS,
            Self::Packed => SPEND_ROWS,
            Self::Moments => &[("request_id", Kind::Text), ("started_us", Kind::Int)],
            Self::Ids => &[("request_id", Kind::Text)],
        }
    }
}

/// What one transaction stores. By request id: rows of one time lie together in the index, and two writers
/// that hold the same entries take locks in one order.
pub(super) struct Batch<'e> {
    entries: Vec<&'e Entry>,
    labels: Resolved,
    /// The names of packed rows, each combination once; until the database has numbered them, the rows
    /// hold their places here.
    combinations: Vec<[Arc<str>; NAMES.len()]>,
    /// Rows of the table that tells what is new.
    cells: Vec<Cell>,
    width: usize,
}

impl<'e> Batch<'e> {
    /// Of those that are stored; `None` if none is.
    pub(super) fn of(entries: &'e [Entry], names: &Names, form: Form) -> Option<Self> {
        let mut entries: Vec<&Entry> = entries.iter().filter(|entry| entry.is_stored()).collect();
        if entries.is_empty() {
            return None;
        }
        // Stable, because that one is fast on what several cores each had in order.
        entries.sort_by_key(|entry| entry.request_id);
        let mut labels = Labels::new(names);
        let mut combinations = Combinations::default();
        let width = form.columns().len();
        let mut cells = Vec::with_capacity(entries.len() * width);
        let mut packer = Packer::new();
        for entry in &entries {
            if form == Form::Columns {
                columns::cells(entry, &mut labels, &mut cells);
                continue;
            }
            let names = combinations.place(entry, &mut labels);
            match form {
                Form::Packed => packer.cells(entry, names, &mut labels, &mut cells),
                _ => cells.push(Cell::Text(id_text(entry.request_id))),
            }
            if form == Form::Moments {
                cells.push(Cell::Int(saturated(started(entry).0)));
            }
        }
        assert!(cells.len() == entries.len() * width, "a value for each column");
        let (labels, combinations) = (labels.into_resolved(), combinations.names);
        Some(Self { entries, labels, combinations, cells, width })
    }

    /// What a packed row's names may be.
    pub(super) fn combinations(&self) -> &[[Arc<str>; NAMES.len()]] {
        &self.combinations
    }

    /// Writes the numbers of [`Self::combinations`] into the rows, once.
    pub(super) fn number_names(&mut self, numbers: &[i64]) {
        for cell in self.cells.iter_mut().skip(NAMES_AT).step_by(self.width) {
            let place = cell.int().and_then(|place| usize::try_from(place).ok());
            *cell = Cell::Int(numbers[place.expect("a place, until now")]);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Rows one behind the other.
    pub(super) fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// The request ids, as they stand in the rows.
    pub(super) fn ids(&self) -> impl Iterator<Item = &Cell> {
        self.cells.iter().step_by(self.width)
    }

    /// Without the entries of these ids.
    pub(super) fn without(mut self, known: &HashSet<String>) -> Self {
        let is_new: Vec<bool> =
            self.ids().map(|id| !id.str().is_some_and(|id| known.contains(id))).collect();
        let mut keep = is_new.iter();
        self.entries.retain(|_| *keep.next().expect("one for each"));
        let mut keep = is_new.iter().flat_map(|keep| std::iter::repeat_n(*keep, self.width));
        self.cells.retain(|_| keep.next().expect("one for each"));
        self
    }

    /// Rows of `daily_spend` for all.
    pub(super) fn daily(&self) -> Vec<Cell> {
        self.roll_up(self.entries.iter().copied())
    }

    /// Rows of `daily_spend` for the entries of these ids; each id counts once.
    pub(super) fn daily_of(&self, mut ids: HashSet<String>) -> Vec<Cell> {
        let new = self.entries.iter().zip(self.ids());
        let new = new.filter(|(_, id)| id.str().is_some_and(|id| ids.remove(id)));
        self.roll_up(new.map(|(entry, _)| *entry))
    }

    fn roll_up(&self, entries: impl Iterator<Item = &'e Entry>) -> Vec<Cell> {
        let mut sums = RollUp::default();
        entries.for_each(|entry| sums.add(entry));
        sums.cells(&self.labels)
    }
}

/// The combinations of references that a batch has.
#[derive(Default)]
struct Combinations {
    places: ByReference<(KeyRef, DeploymentRef), i64>,
    names: Vec<[Arc<str>; NAMES.len()]>,
}

impl Combinations {
    fn place(&mut self, entry: &Entry, labels: &mut Labels) -> i64 {
        *self.places.entry((entry.key, entry.deployment)).or_insert_with(|| {
            self.names.push(labels.names_of(entry.key, entry.deployment));
            i64::try_from(self.names.len() - 1).expect("a batch's")
        })
    }
}
