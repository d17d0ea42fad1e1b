//! Entries as values of the database: all that needs names is made before the first wait.

use std::collections::HashSet;

use super::columns::{self, Cell, SPEND_LOGS, id_text, saturated, started};
use super::labels::{Labels, Resolved};
use super::rollup::RollUp;
use crate::boundary::ledger::entry::Entry;
use crate::control_plane::names::Names;

/// Columns of `seen_requests`.
const SEEN_WIDTH: usize = 2;

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
    /// Of those that are stored; `None` if none is. With `keeps_rows` for `spend_logs`, else for
    /// `seen_requests`.
    pub(super) fn of(entries: &'e [Entry], names: &Names, keeps_rows: bool) -> Option<Self> {
        let mut entries: Vec<&Entry> = entries.iter().filter(|entry| entry.is_stored()).collect();
        if entries.is_empty() {
            return None;
        }
        entries.sort_unstable_by_key(|entry| entry.request_id);
        let mut labels = Labels::new(names);
        let width = if keeps_rows { SPEND_LOGS.len() } else { SEEN_WIDTH };
        let mut cells = Vec::with_capacity(entries.len() * width);
        for entry in &entries {
            if keeps_rows {
                columns::cells(entry, &mut labels, &mut cells);
            } else {
                labels.key(entry.key);
                labels.deployment(entry.deployment);
                let moment = saturated(started(entry).0);
                cells.extend([Cell::Text(id_text(entry.request_id)), Cell::Int(moment)]);
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
