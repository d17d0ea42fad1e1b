//! Entries as rows of PostgreSQL: all that needs names is made before the first wait.

use std::collections::HashSet;

use super::columns::{self, Cell, Column, Kind, SPEND_LOGS, id_text, saturated, started};
use super::labels::{Labels, Resolved};
use super::rollup::RollUp;
use crate::boundary::ledger::entry::Entry;
use crate::control_plane::names::Names;

/// What a row of the table that tells what is new is made of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Form {
    /// Every column of `spend_logs`.
    Columns,
    /// An id, and when.
    Moments,
}

impl Form {
    pub(super) fn columns(self) -> &'static [Column] {
        match self {
            Self::Columns => SPEND_LOGS,
            Self::Moments => &[("request_id", Kind::Text), ("started_us", Kind::Int)],
        }
    }
}

/// What one transaction stores. By request id: rows of one time lie together in the index, and two writers
/// that hold the same entries take locks in one order.
pub(super) struct Batch<'e> {
    entries: Vec<&'e Entry>,
    labels: Resolved,
    /// Rows of the table that tells what is new.
    cells: Vec<Cell>,
    width: usize,
}

impl<'e> Batch<'e> {
    /// Of those that are stored; `None` if none is.
    pub(super) fn of(entries: &[&'e Entry], names: &Names, form: Form) -> Option<Self> {
        let mut entries: Vec<&Entry> =
            entries.iter().copied().filter(|entry| entry.is_stored()).collect();
        if entries.is_empty() {
            return None;
        }
        // Stable, because that one is fast on what several cores each had in order.
        entries.sort_by_key(|entry| entry.request_id);
        let mut labels = Labels::new(names);
        let width = form.columns().len();
        let mut cells = Vec::with_capacity(entries.len() * width);
        for entry in &entries {
            match form {
                Form::Columns => columns::cells(entry, &mut labels, &mut cells),
                Form::Moments => {
                    labels.names_of(entry.key, entry.deployment); // for the sums
                    cells.push(Cell::Text(id_text(entry.request_id)));
                    cells.push(Cell::Int(saturated(started(entry).0)));
                }
            }
        }
        assert!(cells.len() == entries.len() * width, "a value for each column");
        Some(Self { entries, labels: labels.into_resolved(), cells, width })
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
