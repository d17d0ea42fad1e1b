//! How much of the work may be repeated: retries are at most a fifth of the requests of ten seconds, over
//! all cores, so that an outage is not multiplied by those who suffer it.
//!
//! Requests are counted by each core for itself, without a shared store; who wants to repeat one adds them up.

use std::sync::atomic::{
    AtomicU64,
    Ordering::{Relaxed, Release},
};

use crate::limits::{RETRIES_FREE, RETRIES_PART, RETRIES_WINDOW_S};

/// One more than the window, so that the second that begins never wipes one that still counts.
const SECONDS: usize = RETRIES_WINDOW_S as usize + 1;

/// What all cores share: see the file's comment. And the epoch, which moves with each change of a
/// [`super::standing::Standing`] that makes a difference to who may be asked.
#[derive(Debug)]
pub struct RetryBudget {
    requests: Box<[Core]>,
    retries: Seconds,
    epoch: AtomicU64,
}

#[derive(Debug, Default)]
#[repr(align(128))]
struct Core(Seconds);

/// Counts by the second; each word is a second's number and its count.
#[derive(Debug, Default)]
struct Seconds([AtomicU64; SECONDS]);

impl RetryBudget {
    /// For so many cores.
    #[must_use]
    pub fn new(cores: usize) -> Self {
        let requests = (0..cores.max(1)).map(|_| Core::default()).collect();
        Self { requests, retries: Seconds::default(), epoch: AtomicU64::new(0) }
    }

    /// A request of `core`, which alone may say so.
    pub(super) fn count(&self, core: usize, now_ms: u64) {
        self.requests[core].0.add_alone(now_ms / 1000);
    }

    /// Whether a request may be repeated, which is then counted. To ask who is well is no multiplication, and
    /// always allowed.
    pub(super) fn allows(&self, asks_the_well: bool, now_ms: u64) -> bool {
        let second = now_ms / 1000;
        let may = asks_the_well || {
            let requests: u64 = self.requests.iter().map(|core| core.0.sum(second)).sum();
            self.retries.sum(second) < (requests / RETRIES_PART).max(RETRIES_FREE)
        };
        if may {
            self.retries.add(second);
        }
        may
    }

    /// Moves when somebody's standing does.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Relaxed)
    }

    /// Somebody's standing moved.
    pub(super) fn moved(&self) {
        self.epoch.fetch_add(1, Release);
    }
}

impl Seconds {
    fn next(word: u64, second: u64) -> u64 {
        if word >> 32 == second & 0xffff_ffff { word + 1 } else { second << 32 | 1 }
    }

    fn place(&self, second: u64) -> &AtomicU64 {
        &self.0[usize::try_from(second % SECONDS as u64).expect("below SECONDS")]
    }

    /// By the only one that writes.
    fn add_alone(&self, second: u64) {
        let word = self.place(second);
        word.store(Self::next(word.load(Relaxed), second), Relaxed);
    }

    fn add(&self, second: u64) {
        let add = |word| Some(Self::next(word, second));
        let _always_changes = self.place(second).fetch_update(Relaxed, Relaxed, add);
    }

    fn sum(&self, second: u64) -> u64 {
        let counts = self.0.iter().map(|word| {
            let word = word.load(Relaxed);
            let age = (second & 0xffff_ffff).wrapping_sub(word >> 32);
            if age < u64::from(RETRIES_WINDOW_S) { word & 0xffff_ffff } else { 0 }
        });
        counts.sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_of_ten_seconds_over_all_cores() {
        let budget = RetryBudget::new(2);
        let mut now_ms = 50_000;
        let granted =
            |now_ms| (0..1_000).take_while(|_| budget.allows(false, now_ms)).count() as u64;
        assert_eq!(granted(now_ms), RETRIES_FREE, "a few are free");
        for request in 0..1_000 {
            budget.count(request % 2, now_ms);
        }
        assert_eq!(granted(now_ms), 200 - RETRIES_FREE);
        now_ms += 9_000;
        assert_eq!(granted(now_ms), 0);
        now_ms += 1_000;
        assert_eq!(granted(now_ms), RETRIES_FREE, "ten seconds later all is forgotten");
    }

    #[test]
    fn who_is_well_may_be_asked_but_it_is_counted() {
        let budget = RetryBudget::new(1);
        assert!((0..RETRIES_FREE + 5).all(|_| budget.allows(true, 20_000)));
        assert!(!budget.allows(false, 20_000));
    }
}
