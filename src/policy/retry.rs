//! One request's attempts: what was tried, and what may still be.

use crate::{
    bedrock::failure::Failure,
    limits::{ATTEMPTS_MAX, BACK_OFF_MS, BACK_OFF_MS_MAX, RETRY_AFTER_WAIT_MS_MAX},
};

/// Of one request. Fixed in size: a request allocates nothing for it.
#[derive(Clone, Copy, Debug)]
pub struct Trial {
    /// The group whose turn it is.
    pub(super) group: usize,
    /// The group that was asked for.
    pub(super) asked: usize,
    /// `x-litellm-num-retries`.
    asked_retries: Option<u8>,
    fallbacks_max: u8,
    /// Being done twice does no harm.
    is_repeatable: bool,
    attempts: u8,
    retries: u8,
    fallbacks: u8,
    /// Attempts in this group.
    pub(super) here: u8,
    /// Members of this group that were tried; the last one last.
    tried: [u32; ATTEMPTS_MAX],
    pub(super) last: Option<Last>,
    /// A back-off is over: the member that was tried last is to be tried again.
    pub(super) has_waited: bool,
    /// It went where nothing was well: no more is to be tried.
    pub(super) is_desperate: bool,
    /// Fallback groups already looked at.
    pub(super) next_fallback: usize,
}

/// The failure that ended the last attempt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Last {
    pub(super) failure: Failure,
    pub(super) retry_after_ms: Option<u64>,
}

impl Trial {
    /// Nothing tried yet of a request for `group`. One that is not `is_repeatable` is tried again only if
    /// AWS has certainly not begun to do it.
    #[must_use]
    pub fn new(
        group: usize,
        asked_retries: Option<u8>,
        fallbacks_max: u8,
        is_repeatable: bool,
    ) -> Self {
        Self {
            group,
            asked: group,
            asked_retries,
            fallbacks_max,
            is_repeatable,
            attempts: 0,
            retries: 0,
            fallbacks: 0,
            here: 0,
            tried: [0; ATTEMPTS_MAX],
            last: None,
            has_waited: false,
            is_desperate: false,
            next_fallback: 0,
        }
    }

    /// Attempts so far, the one under way included.
    #[must_use]
    pub fn attempts(&self) -> u8 {
        self.attempts
    }

    /// Attempts after the first.
    #[must_use]
    pub fn retries(&self) -> u8 {
        self.retries
    }

    /// Groups that were left.
    #[must_use]
    pub fn fallbacks(&self) -> u8 {
        self.fallbacks
    }

    /// The group whose turn it is: its place in the snapshot.
    #[must_use]
    pub fn group(&self) -> usize {
        self.group
    }

    /// Why the last attempt did not succeed.
    #[must_use]
    pub fn last_failure(&self) -> Option<Failure> {
        self.last.map(|last| last.failure)
    }

    pub(super) fn tried(&self) -> &[u32] {
        &self.tried[..usize::from(self.here)]
    }

    pub(super) fn has_tried(&self, member: usize) -> bool {
        self.tried().iter().any(|tried| *tried as usize == member)
    }

    /// The member that was tried last, in this group.
    pub(super) fn last_tried(&self) -> Option<usize> {
        self.tried().last().map(|member| *member as usize)
    }

    pub(super) fn may_try(&self) -> bool {
        let may_repeat =
            self.is_repeatable || self.last_failure().is_none_or(Failure::is_before_execution);
        usize::from(self.attempts) < ATTEMPTS_MAX && may_repeat
    }

    pub(super) fn may_fall_back(&self) -> bool {
        self.fallbacks < self.fallbacks_max
    }

    /// How often this group may be tried again after `failure`, by the client's word or `else_by`.
    pub(super) fn retries_max(&self, else_by: u8) -> u8 {
        self.asked_retries.unwrap_or(else_by)
    }

    /// An attempt begins.
    pub(super) fn begin(&mut self, member: usize) {
        self.tried[usize::from(self.here)] = u32::try_from(member).unwrap_or(u32::MAX);
        self.retries += u8::from(self.here > 0);
        self.here += 1;
        self.attempts += 1;
        self.has_waited = false;
    }

    /// The next attempt is in `group`, the fallback before `next_fallback`.
    pub(super) fn fall_back(&mut self, group: usize, next_fallback: usize) {
        (self.group, self.here, self.next_fallback) = (group, 0, next_fallback);
        self.fallbacks += 1;
    }

    /// How long to wait before the same deployment is asked again; `None`: longer than anybody waits here.
    pub(super) fn back_off_ms(&self, least_ms: u64, random: u64) -> Option<u64> {
        let asked_ms = self.last.and_then(|last| last.retry_after_ms).unwrap_or(0);
        if asked_ms > RETRY_AFTER_WAIT_MS_MAX {
            return None;
        }
        let doublings = u32::from(self.here.saturating_sub(1)).min(16);
        let full = (BACK_OFF_MS << doublings).min(BACK_OFF_MS_MAX);
        let half = full / 2;
        // Between half of it and all of it, so that those who failed together do not come back together.
        let jittered = half + ((u128::from(random) * u128::from(half + 1)) >> 64) as u64;
        Some(jittered.max(least_ms).max(asked_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_have_been_done_is_not_tried_again_unless_that_does_no_harm() {
        for failure in Failure::ALL {
            let may = |is_repeatable| {
                let mut trial = Trial::new(0, Some(9), 9, is_repeatable);
                assert!(trial.may_try());
                trial.begin(0);
                trial.last = Some(Last { failure, retry_after_ms: None });
                trial.may_try()
            };
            assert!(may(true), "{failure:?}");
            assert_eq!(may(false), failure.is_before_execution(), "{failure:?}");
        }
    }
}
