//! How a deployment, a credential or an endpoint stands with all cores: well, cooling down, or on trial.
//!
//! ```text
//!            failures enough                    time is up
//!   well ───────────────────▶ cooling down ─────────────────▶ half open: one request of all cores, the probe
//!    ▲                             ▲                             │       │
//!    │                             └────── the probe failed ─────┘       │
//!    └──────────────────────────────────── the probe did well ───────────┘
//! ```
//!
//! Shared by atomics, without a lock: each number is right by itself, and a decision that two cores make at
//! one moment from different views is one that either could have made a moment earlier. While all is well
//! nothing is written, so that cores do not pass a cache line around.

use std::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};

use crate::{
    bedrock::failure::Failure,
    limits::{COOLDOWN_DOUBLINGS_MAX, PROBE_MS_MAX, RETRY_AFTER_COOLDOWN_MS_MAX},
};

/// A minute's milliseconds: the window of rates and of `allowed_fails`.
pub(super) const MINUTE_MS: u64 = 60_000;

/// See the file's comment. Times are milliseconds of one clock that never goes back; 0 is never.
#[derive(Debug)]
pub struct Standing {
    slot: usize,
    /// When the cool-down ends; 0: well.
    cooling_until: AtomicU64,
    /// Until when the probe's sender may take to tell how it went.
    probe_until: AtomicU64,
    /// Cool-downs since it was last well.
    cooldowns_in_row: AtomicU32,
    fails_in_row: AtomicU32,
    /// Failures of this minute.
    minute_fails: Window,
    /// Milliseconds, and in the lowest byte the failure's code.
    last_failure: AtomicU64,
    last_success: AtomicU64,
    cooldowns: AtomicU64,
    /// Requests of this minute; counted where they are limited.
    requests: Window,
    /// Tokens of this minute; likewise.
    tokens: Window,
    /// Likewise.
    in_flight: AtomicU64,
}

/// What may be asked of it now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// Anything.
    Well,
    /// Nothing, until then.
    Cooling {
        /// Milliseconds.
        until_ms: u64,
    },
    /// One request: nobody is about to send it.
    HalfOpen,
    /// Nothing: the one request is under way. It is given up by then.
    OnTrial {
        /// Milliseconds.
        until_ms: u64,
    },
}

/// As seen from outside.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StandingView {
    /// Now.
    pub state: State,
    /// The last failure, and when.
    pub last_failure: Option<(Failure, u64)>,
    /// When it was last seen to do well, to about a second; 0: never.
    pub last_success_ms: u64,
    /// Failures since then.
    pub fails_in_row: u32,
    /// Cool-downs ever.
    pub cooldowns: u64,
    /// Requests of this minute, where they are limited.
    pub requests: u64,
    /// Tokens of this minute, where they are limited.
    pub tokens: u64,
    /// Requests under way, where they are limited.
    pub in_flight: u64,
}

impl StandingView {
    /// It may be asked, and its last attempt did well, or nobody has asked yet.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.state == State::Well && self.fails_in_row == 0
    }
}

/// When failures make a cool-down, and how long it lasts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CoolDown {
    /// Milliseconds of the first; 0: none at all.
    pub time_ms: u64,
    /// Failures that are allowed.
    pub allowed: Allowed,
}

/// Failures that make no cool-down.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Allowed {
    /// None.
    None,
    /// So many without a success between.
    InRow(u32),
    /// So many within a minute: `allowed_fails`, where it was set.
    InMinute(u32),
}

impl Standing {
    /// Well. `slot` is its place among all that the process knows.
    #[must_use]
    pub fn new(slot: usize) -> Self {
        Self {
            slot,
            cooling_until: AtomicU64::new(0),
            probe_until: AtomicU64::new(0),
            cooldowns_in_row: AtomicU32::new(0),
            fails_in_row: AtomicU32::new(0),
            minute_fails: Window::default(),
            last_failure: AtomicU64::new(0),
            last_success: AtomicU64::new(0),
            cooldowns: AtomicU64::new(0),
            requests: Window::default(),
            tokens: Window::default(),
            in_flight: AtomicU64::new(0),
        }
    }

    /// Its place among all that the process knows.
    #[must_use]
    pub fn slot(&self) -> usize {
        self.slot
    }

    /// What may be asked of it.
    #[must_use]
    pub fn state(&self, now_ms: u64) -> State {
        match self.cooling_until.load(Acquire) {
            0 => State::Well,
            until_ms if now_ms < until_ms => State::Cooling { until_ms },
            _ => match self.probe_until.load(Relaxed) {
                until_ms if now_ms < until_ms => State::OnTrial { until_ms },
                _ => State::HalfOpen,
            },
        }
    }

    /// No cool-down, and no failure since the last success.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.cooling_until.load(Relaxed) == 0 && self.fails_in_row.load(Relaxed) == 0
    }

    /// Takes the place of the one request that a half-open one gets; false if somebody else has it.
    pub(super) fn take_probe(&self, now_ms: u64) -> bool {
        let taken = self.probe_until.load(Relaxed);
        now_ms >= taken
            && self
                .probe_until
                .compare_exchange(taken, now_ms + PROBE_MS_MAX, AcqRel, Relaxed)
                .is_ok()
    }

    /// Gives that place back: nothing was learnt.
    pub(super) fn give_probe(&self) {
        self.probe_until.store(0, Relaxed);
    }

    /// It did well; true if that ended a cool-down. While a cool-down runs, a request from before it that
    /// does well says nothing about now, unless it was the probe.
    pub(super) fn succeed(&self, was_probe: bool, now_ms: u64) -> bool {
        if now_ms.saturating_sub(self.last_success.load(Relaxed)) >= 1_000 {
            self.last_success.store(now_ms, Relaxed);
        }
        if was_probe {
            self.cooldowns_in_row.store(0, Relaxed);
            self.fails_in_row.store(0, Relaxed);
            self.cooling_until.store(0, Release);
            self.probe_until.store(0, Relaxed);
            return true;
        }
        if self.fails_in_row.load(Relaxed) != 0 && self.cooling_until.load(Relaxed) == 0 {
            self.fails_in_row.store(0, Relaxed);
        }
        false
    }

    /// It failed; true if that began a cool-down, or made one longer. `jitter` is random, of all of `u64`.
    pub(super) fn fail(
        &self,
        failure: Failure,
        cool_down: CoolDown,
        (was_probe, retry_after_ms): (bool, Option<u64>),
        now_ms: u64,
        jitter: u64,
    ) -> bool {
        self.last_failure.store(now_ms << 8 | u64::from(failure as u8), Relaxed);
        let in_row = self.fails_in_row.fetch_add(1, Relaxed).saturating_add(1);
        let in_minute = self.minute_fails.add(1, now_ms);
        let is_enough = match cool_down.allowed {
            Allowed::None => true,
            Allowed::InRow(allowed) => in_row > allowed,
            Allowed::InMinute(allowed) => in_minute > u64::from(allowed),
        };
        if cool_down.time_ms == 0 || !(was_probe || is_enough) {
            if was_probe {
                self.give_probe();
            }
            return false;
        }
        let until = self.cooling_until.load(Acquire);
        let asked_ms = retry_after_ms.unwrap_or(0).min(RETRY_AFTER_COOLDOWN_MS_MAX);
        if until != 0 && !was_probe {
            // Sent before the cool-down began; only AWS's own word makes it longer.
            return self.cooling_until.fetch_max(now_ms + asked_ms, AcqRel) < now_ms + asked_ms;
        }
        let before = self.cooldowns_in_row.load(Relaxed);
        let time_ms = cool_down.time_ms << before.min(COOLDOWN_DOUBLINGS_MAX);
        // From 9/10 to 11/10, so that what failed together is not tried together.
        let spread = time_ms / 5;
        let time_ms =
            time_ms - time_ms / 10 + ((u128::from(jitter) * u128::from(spread)) >> 64) as u64;
        let next = now_ms + time_ms.max(asked_ms).max(1);
        if self.cooling_until.compare_exchange(until, next, AcqRel, Relaxed).is_err() {
            return false; // another core's failure was first, and began it
        }
        self.cooldowns_in_row.store(before.saturating_add(1), Relaxed);
        self.cooldowns.fetch_add(1, Relaxed);
        self.probe_until.store(0, Relaxed);
        true
    }

    /// The windows of what is limited.
    pub(super) fn requests(&self) -> &Window {
        &self.requests
    }

    /// See [`Self::requests`].
    pub(super) fn tokens(&self) -> &Window {
        &self.tokens
    }

    /// Requests under way, of those that are limited.
    pub(super) fn in_flight(&self) -> &AtomicU64 {
        &self.in_flight
    }

    /// As it stands now.
    #[must_use]
    pub fn view(&self, now_ms: u64) -> StandingView {
        let last_failure = self.last_failure.load(Relaxed);
        let code = u8::try_from(last_failure & 0xff).unwrap_or(0);
        StandingView {
            state: self.state(now_ms),
            last_failure: Failure::from_code(code).map(|failure| (failure, last_failure >> 8)),
            last_success_ms: self.last_success.load(Relaxed),
            fails_in_row: self.fails_in_row.load(Relaxed),
            cooldowns: self.cooldowns.load(Relaxed),
            requests: self.requests.get(now_ms),
            tokens: self.tokens.get(now_ms),
            in_flight: self.in_flight.load(Relaxed),
        }
    }
}

/// A count of this minute: its number and the count in one word, so that both change together.
#[derive(Debug, Default)]
pub(super) struct Window(AtomicU64);

impl Window {
    const COUNT_BITS: u32 = 40;
    const COUNT_MAX: u64 = (1 << Self::COUNT_BITS) - 1;

    fn unpack(word: u64, now_ms: u64) -> u64 {
        if word >> Self::COUNT_BITS == Self::minute(now_ms) { word & Self::COUNT_MAX } else { 0 }
    }

    fn minute(now_ms: u64) -> u64 {
        (now_ms / MINUTE_MS) & (u64::MAX >> Self::COUNT_BITS)
    }

    /// The count of the minute that `now_ms` is in.
    pub(super) fn get(&self, now_ms: u64) -> u64 {
        Self::unpack(self.0.load(Relaxed), now_ms)
    }

    /// More by `n`; the new count, which saturates.
    pub(super) fn add(&self, n: u64, now_ms: u64) -> u64 {
        self.change(now_ms, |count| Some(count.saturating_add(n).min(Self::COUNT_MAX)))
            .unwrap_or(Self::COUNT_MAX)
    }

    /// One more, unless that is more than `limit`: whether it was.
    pub(super) fn take(&self, limit: u64, now_ms: u64) -> bool {
        self.change(now_ms, |count| (count < limit.min(Self::COUNT_MAX)).then(|| count + 1))
            .is_some()
    }

    fn change(&self, now_ms: u64, change: impl Fn(u64) -> Option<u64>) -> Option<u64> {
        let mut word = self.0.load(Relaxed);
        loop {
            let count = change(Self::unpack(word, now_ms))?;
            let next = Self::minute(now_ms) << Self::COUNT_BITS | count;
            match self.0.compare_exchange_weak(word, next, Relaxed, Relaxed) {
                Ok(_) => return Some(count),
                Err(now) => word = now,
            }
        }
    }
}

/// When the minute that `now_ms` is in ends.
pub(super) fn minute_end(now_ms: u64) -> u64 {
    (now_ms / MINUTE_MS + 1) * MINUTE_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000;
    const COOL: CoolDown = CoolDown { time_ms: 5_000, allowed: Allowed::InRow(3) };

    fn fail(standing: &Standing, allowed: Allowed, now_ms: u64) -> bool {
        let cool_down = CoolDown { allowed, ..COOL };
        standing.fail(Failure::Internal, cool_down, (false, None), now_ms, 1 << 63)
    }

    #[test]
    fn failures_in_a_row_and_in_a_minute() {
        let standing = Standing::new(0);
        for round in 0..5 {
            assert!(!(0..3).any(|_| fail(&standing, COOL.allowed, NOW)), "round {round}");
            assert!(!standing.is_well());
            standing.succeed(false, NOW);
            assert!(standing.is_well());
        }
        assert!(
            !(0..3).any(|_| fail(&standing, COOL.allowed, NOW))
                && fail(&standing, COOL.allowed, NOW)
        );
        assert_eq!(standing.state(NOW), State::Cooling { until_ms: NOW + 5_000 });
        let standing = Standing::new(0);
        assert!(!(0..2).any(|_| fail(&standing, Allowed::InMinute(2), NOW)));
        standing.succeed(false, NOW);
        assert!(!fail(&standing, Allowed::InMinute(2), NOW + MINUTE_MS), "another minute");
        assert!(!fail(&standing, Allowed::InMinute(2), NOW + MINUTE_MS));
        assert!(fail(&standing, Allowed::InMinute(2), NOW + MINUTE_MS));
    }

    #[test]
    fn one_probe_ends_it_or_doubles_it() {
        let standing = Standing::new(0);
        let fail_probe = |now| {
            let told = (true, None);
            standing.fail(Failure::Throttled, COOL, told, now, 1 << 63)
        };
        assert!(fail(&standing, Allowed::None, NOW));
        let mut now = NOW;
        for time_ms in [5_000, 10_000, 20_000, 20_000] {
            assert_eq!(standing.state(now), State::Cooling { until_ms: now + time_ms });
            assert!(!fail(&standing, Allowed::None, now + 1), "from before: not longer");
            now += time_ms;
            assert_eq!(standing.state(now), State::HalfOpen);
            assert!(standing.take_probe(now) && !standing.take_probe(now));
            assert!(matches!(standing.state(now), State::OnTrial { .. }));
            assert!(!standing.succeed(false, now), "an older request says nothing");
            assert!(matches!(standing.state(now), State::OnTrial { .. }));
            assert!(fail_probe(now));
        }
        now += 20_000;
        assert!(standing.take_probe(now));
        standing.give_probe();
        assert!(standing.take_probe(now), "it was given back");
        assert_eq!(standing.state(now + PROBE_MS_MAX), State::HalfOpen, "it was lost");
        assert!(standing.succeed(true, now));
        assert_eq!((standing.state(now), standing.is_well()), (State::Well, true));
    }

    #[test]
    fn retry_after_is_believed_within_reason() {
        for (asked, expected) in
            [(7_000, 7_000), (1_000, 5_000), (u64::MAX, RETRY_AFTER_COOLDOWN_MS_MAX)]
        {
            let standing = Standing::new(0);
            let told = (false, Some(asked));
            standing.fail(
                Failure::Throttled,
                CoolDown { allowed: Allowed::None, ..COOL },
                told,
                NOW,
                1 << 63,
            );
            assert_eq!(standing.state(NOW), State::Cooling { until_ms: NOW + expected });
        }
    }

    #[test]
    fn no_time_is_no_cool_down() {
        let standing = Standing::new(0);
        let none = CoolDown { time_ms: 0, allowed: Allowed::None };
        assert!(!standing.fail(Failure::Throttled, none, (false, Some(9_000)), NOW, 0));
        assert_eq!(standing.state(NOW), State::Well);
        assert_eq!(standing.view(NOW).last_failure, Some((Failure::Throttled, NOW)));
    }

    #[test]
    fn a_window_counts_its_minute_alone() {
        let window = Window::default();
        assert!((0..3).all(|_| window.take(3, NOW)) && !window.take(3, NOW));
        assert_eq!((window.get(NOW), window.get(minute_end(NOW))), (3, 0));
        assert!(window.take(3, minute_end(NOW)));
        assert_eq!(window.add(u64::MAX, minute_end(NOW)), Window::COUNT_MAX);
    }
}
