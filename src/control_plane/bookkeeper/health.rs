//! How the accounting is: numbers that the bookkeeper keeps, for metrics and health pages.
//!
//! Atomics, relaxed: the pages' router wants what can go to any thread, though all run on one.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::units::UnixMicros;

/// What is wrong, the worst first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Condition {
    /// The store is away or slow, and the disk takes no segments: entries stay in the ring until it is full,
    /// then they are lost.
    DiskRefuses {
        /// Since when.
        since: UnixMicros,
    },
    /// The store takes no entries; they wait in segments.
    StoreAway {
        /// Since when.
        since: UnixMicros,
    },
    /// Nothing.
    Well,
}

impl fmt::Display for Condition {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::DiskRefuses { .. } => "disk_refuses",
            Self::StoreAway { .. } => "store_away",
            Self::Well => "well",
        })
    }
}

/// At one moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Report {
    /// What is wrong.
    pub condition: Condition,
    /// Entries that the store has taken from this process.
    pub recorded: u64,
    /// Entries that went to segments.
    pub spilled: u64,
    /// Bytes of segments that wait to be replayed.
    pub spill_bytes: u64,
    /// Entries that had no room, with those of a process that was killed.
    pub lost: u64,
    /// Entries that were found broken.
    pub torn: u64,
    /// Entries in the rings.
    pub depth: u64,
    /// Requests under way.
    pub in_flight: u64,
    /// How often the ledger could not be forced to disk.
    pub syncs_failed: u64,
}

/// The numbers. One bookkeeper writes them.
#[derive(Debug, Default)]
pub struct Health {
    /// 0: it is there.
    pub(super) store_away_since: AtomicU64,
    /// 0: it takes what it is given.
    pub(super) disk_refuses_since: AtomicU64,
    pub(super) recorded: AtomicU64,
    pub(super) spilled: AtomicU64,
    pub(super) spill_bytes: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) torn: AtomicU64,
    pub(super) depth: AtomicU64,
    pub(super) in_flight: AtomicU64,
    pub(super) syncs_failed: AtomicU64,
}

impl Health {
    /// As it is now, at most a tick ago.
    #[must_use]
    pub fn report(&self) -> Report {
        let of = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let since = |number: &AtomicU64| Some(UnixMicros(of(number))).filter(|at| at.0 > 0);
        let condition = match (since(&self.disk_refuses_since), since(&self.store_away_since)) {
            (Some(since), _) => Condition::DiskRefuses { since },
            (None, Some(since)) => Condition::StoreAway { since },
            (None, None) => Condition::Well,
        };
        Report {
            condition,
            recorded: of(&self.recorded),
            spilled: of(&self.spilled),
            spill_bytes: of(&self.spill_bytes),
            lost: of(&self.lost),
            torn: of(&self.torn),
            depth: of(&self.depth),
            in_flight: of(&self.in_flight),
            syncs_failed: of(&self.syncs_failed),
        }
    }
}

/// Adds, by the one who writes.
pub(super) fn add(number: &AtomicU64, more: u64) {
    number.store(number.load(Ordering::Relaxed) + more, Ordering::Relaxed);
}

pub(super) fn set(number: &AtomicU64, value: u64) {
    number.store(value, Ordering::Relaxed);
}
