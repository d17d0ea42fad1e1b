//! What a scanner has found so far, per path.
//!
//! A path below an array has two numbers: that of the element being read, which a later equal key may
//! still replace, and the sum over the elements that ended.

use super::{Path, Paths, Step, Take};
use crate::limits::JSON_PATHS_MAX;

/// A set of paths, by place in their table.
pub(super) type PathSet = u32;
const _: () = assert!(JSON_PATHS_MAX <= PathSet::BITS as usize);

/// The places in `set`, ascending.
pub(super) fn each(mut set: PathSet) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let first = (set != 0).then(|| set.trailing_zeros() as usize)?;
        set &= set - 1;
        Some(first)
    })
}

#[derive(Clone, Debug)]
pub(super) struct Slots {
    paths: Paths,
    kept: [u64; JSON_PATHS_MAX],
    kept_set: PathSet,
    pending: [u64; JSON_PATHS_MAX],
    pending_set: PathSet,
}

impl Slots {
    pub(super) fn new(paths: Paths) -> Self {
        let none = [0; JSON_PATHS_MAX];
        Self { paths, kept: none, kept_set: 0, pending: none, pending_set: 0 }
    }

    pub(super) fn paths(&self) -> &'static [Path] {
        self.paths.list()
    }

    pub(super) fn value(&self, at: usize) -> Option<u64> {
        (self.kept_set & (1 << at) != 0).then_some(self.kept[at])
    }

    /// A key at `depth` begins anew for `set`: what an earlier, equal one gave is void.
    pub(super) fn forget(&mut self, set: PathSet, depth: usize) {
        self.pending_set &= !set;
        for at in each(set & self.kept_set) {
            if self.paths()[at].each().is_none_or(|each| each > depth) {
                self.kept_set &= !(1 << at);
            }
        }
    }

    /// The value at path `at` is `number`.
    pub(super) fn found(&mut self, at: usize, number: u64) {
        if self.paths()[at].each().is_none() {
            self.kept[at] = number;
            self.kept_set |= 1 << at;
        } else {
            self.pending[at] = number;
            self.pending_set |= 1 << at;
        }
    }

    /// An array was opened at `depth`, which `set` looks into.
    pub(super) fn array_begins(&mut self, set: PathSet) {
        for at in each(set) {
            if self.paths()[at].take == Take::Count {
                self.add(at, 0);
            }
        }
    }

    /// An element of an array at `depth` ended; `set` looks into it.
    pub(super) fn element_ended(&mut self, set: PathSet, depth: usize) {
        for at in each(set) {
            let path = &self.paths()[at];
            debug_assert_eq!(path.steps[depth], Step::Each);
            let pending = self.pending_set & (1 << at) != 0;
            match path.take {
                Take::Count => self.add(at, 1),
                Take::Number if pending => self.add(at, self.pending[at]),
                Take::NumberIf { guard, equals } if pending && self.guards(set, guard, equals) => {
                    self.add(at, self.pending[at]);
                }
                Take::Number | Take::NumberIf { .. } | Take::Word(_) => {}
            }
        }
        self.pending_set &= !set;
    }

    fn guards(&self, set: PathSet, guard: u8, equals: u64) -> bool {
        each(set & self.pending_set)
            .any(|at| self.paths()[at].label == guard && self.pending[at] == equals)
    }

    fn add(&mut self, at: usize, number: u64) {
        let before = self.value(at).unwrap_or(0);
        self.kept[at] = before.saturating_add(number);
        self.kept_set |= 1 << at;
    }
}
