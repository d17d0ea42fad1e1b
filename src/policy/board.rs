//! Who of a group may be asked now, as one core sees it, laid out so that a decision looks at few of them.
//!
//! Made anew (in place, in the time it takes to look at each member once) when somebody's standing moved,
//! when a cool-down or a limit ends, and with each snapshot. In between a decision is a binary search, a
//! look at two, or a look at the root of a tree.

use super::{
    group::{Group, Member, Strategy},
    latency::Local,
    standing::{State, minute_end},
    tournament::Tournament,
};
use crate::limits::{BALANCE_LOOK_MS, FULL_LOOK_MS};

/// Not among those that may be asked.
const NOWHERE: u32 = u32::MAX;
/// What a part of a limit is counted in: full is this. A window's count, times this, is below 2⁶⁴.
const FULL: u64 = 1 << 24;
/// What a deployment without a limit for tokens is judged by.
const TPM_UNKNOWN: u64 = 1 << 30;
/// Dearer than every known price.
const COST_UNKNOWN: u64 = u32::MAX as u64;

/// See the file's comment.
#[derive(Debug, Default)]
pub(super) struct Board {
    generation: u64,
    epoch: u64,
    /// When it must be made anew at the latest.
    until_ms: u64,
    /// Places, among the members, of those that may be asked: of the lowest tier that has one.
    eligible: Vec<u32>,
    /// By member: its place in `eligible`.
    places: Vec<u32>,
    /// Sums of the weights of the eligible up to each, for a choice at random.
    cumulative: Vec<u64>,
    tree: Tournament,
    /// By member: when it was picked last, as a running number: of equals, the one picked longest ago is next.
    picked: Vec<u32>,
    picks: u32,
    /// Output tokens that an answer is likely to have.
    pub(super) expected_tokens: f64,
    /// Members at a limit, when the board was made.
    pub(super) limited: Option<Limited>,
}

/// Who is at a limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limited {
    /// When one of them may have room again.
    pub until_ms: u64,
}

/// Whether a member may be asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fitness {
    Fit,
    /// It cools down, or its probe is under way, until then.
    Resting(u64),
    /// It is at a limit until then.
    Limited(u64),
}

/// Whether `member` may be asked now.
pub(super) fn fitness(group: &Group, member: &Member, now_ms: u64) -> Fitness {
    if group.counts(member) {
        let (limits, standing) = (&member.limits, &member.standing);
        let is_over = |limit: Option<u64>, used: u64| limit.is_some_and(|limit| used >= limit);
        if is_over(limits.rpm, standing.requests().get(now_ms))
            || is_over(limits.tpm, standing.tokens().get(now_ms))
        {
            return Fitness::Limited(minute_end(now_ms));
        }
    }
    if let Some(max) = member.limits.max_parallel
        && member.standing.in_flight().load(std::sync::atomic::Ordering::Relaxed) >= max
    {
        return Fitness::Limited(now_ms + FULL_LOOK_MS);
    }
    if !group.may_rest() {
        return Fitness::Fit;
    }
    let mut rests_until = 0;
    for standing in member.standings() {
        match standing.state(now_ms) {
            State::Well | State::HalfOpen => {}
            State::Cooling { until_ms } | State::OnTrial { until_ms } => {
                rests_until = rests_until.max(until_ms);
            }
        }
    }
    if rests_until == 0 { Fitness::Fit } else { Fitness::Resting(rests_until) }
}

impl Board {
    /// Looks again if it must.
    pub(super) fn refresh(
        &mut self,
        (generation, epoch): (u64, u64),
        group: &Group,
        locals: &[Local],
        now_ms: u64,
    ) {
        if self.generation == generation && self.epoch == epoch && now_ms < self.until_ms {
            return;
        }
        if self.generation != generation {
            self.picked.clear();
        }
        (self.generation, self.epoch) = (generation, epoch);
        self.until_ms = if group.strategy == Strategy::UsageBased {
            now_ms + BALANCE_LOOK_MS
        } else {
            u64::MAX
        };
        self.picked.resize(group.members.len(), 0);
        self.places.clear();
        self.places.resize(group.members.len(), NOWHERE);
        self.eligible.clear();
        self.limited = None;
        let mut tier = u32::MAX;
        for (at, member) in (0..).zip(&group.members) {
            match fitness(group, member, now_ms) {
                Fitness::Fit if member.order < tier => {
                    tier = member.order;
                    self.eligible.clear();
                    self.eligible.push(at);
                }
                Fitness::Fit if member.order == tier => self.eligible.push(at),
                Fitness::Fit => {}
                Fitness::Resting(until_ms) => self.until_ms = self.until_ms.min(until_ms),
                Fitness::Limited(until_ms) => {
                    self.until_ms = self.until_ms.min(until_ms);
                    let until_ms = self.limited.map_or(until_ms, |it| it.until_ms.min(until_ms));
                    self.limited = Some(Limited { until_ms });
                }
            }
        }
        for (place, at) in (0..).zip(&self.eligible) {
            self.places[*at as usize] = place;
        }
        match group.strategy {
            Strategy::SimpleShuffle => {
                let members = self.eligible.iter().map(|at| &group.members[*at as usize]);
                sum_weights(members.map(|member| member.weight), &mut self.cumulative);
            }
            Strategy::LatencyBased => {}
            Strategy::LeastBusy | Strategy::UsageBased | Strategy::CostBased => {
                let Self { tree, eligible, picked, .. } = self;
                tree.reset(eligible.iter().map(|at| {
                    let at = *at as usize;
                    key(group, at, locals, picked[at], now_ms)
                }));
            }
        }
    }

    /// The next look is a new one.
    pub(super) fn forget(&mut self) {
        self.until_ms = 0;
    }

    /// One of those that may be asked, by the group's strategy; `None` if there are none.
    pub(super) fn pick(
        &self,
        group: &Group,
        locals: &[Local],
        now_ms: u64,
        random: u64,
    ) -> Option<usize> {
        let count = self.eligible.len();
        let place = match (count, group.strategy) {
            (0, _) => return None,
            (1, _) => 0,
            (_, Strategy::SimpleShuffle) => weighted(&self.cumulative, random),
            (_, Strategy::LatencyBased) => {
                let (a, b) = two(count, random);
                let score = |place: usize| {
                    let slot = group.members[self.eligible[place] as usize].standing.slot();
                    let local = locals.get(slot).copied().unwrap_or_default();
                    (local.score(self.expected_tokens, now_ms), local.in_flight)
                };
                if score(b) < score(a) { b } else { a }
            }
            (_, Strategy::LeastBusy | Strategy::UsageBased | Strategy::CostBased) => {
                self.tree.winner()?
            }
        };
        Some(self.eligible[place] as usize)
    }

    /// `member` was picked.
    pub(super) fn note_pick(&mut self, member: usize) {
        self.picks = self.picks.wrapping_add(1);
        if let Some(picked) = self.picked.get_mut(member) {
            *picked = self.picks;
        }
    }

    /// What `member` is judged by has changed.
    pub(super) fn update(&mut self, group: &Group, member: usize, locals: &[Local], now_ms: u64) {
        let has_keys = !matches!(group.strategy, Strategy::SimpleShuffle | Strategy::LatencyBased);
        let place = self.places.get(member).copied().unwrap_or(NOWHERE);
        if has_keys && place != NOWHERE {
            let key = key(group, member, locals, self.picked[member], now_ms);
            self.tree.set(place as usize, key);
        }
    }

    /// Whether it is of this snapshot.
    pub(super) fn is_of(&self, generation: u64) -> bool {
        self.generation == generation
    }
}

/// What the strategy goes by, and in its lower half when the member was picked last.
pub(super) fn key(group: &Group, member: usize, locals: &[Local], picked: u32, now_ms: u64) -> u64 {
    let it = &group.members[member];
    let load = match group.strategy {
        Strategy::LeastBusy => {
            locals.get(it.standing.slot()).map_or(0, |local| u64::from(local.in_flight))
        }
        Strategy::UsageBased => {
            let part = |limit: Option<u64>, used: u64| match limit {
                Some(limit) => used * FULL / limit.max(1),
                None => 0,
            };
            let requests = part(it.limits.rpm, it.standing.requests().get(now_ms));
            let tpm = it.limits.tpm.or(Some(TPM_UNKNOWN));
            let tokens = part(tpm, it.standing.tokens().get(now_ms));
            requests.max(tokens).min(2 * FULL)
        }
        Strategy::CostBased => {
            // Up to $4,290 for a million tokens in and out: above that all are alike.
            it.cost.map_or(COST_UNKNOWN, |cost| cost.min(COST_UNKNOWN - 1))
        }
        Strategy::SimpleShuffle | Strategy::LatencyBased => 0,
    };
    load << 32 | u64::from(picked)
}

/// Sums of weights up to each; all alike if all are 0.
pub(super) fn sum_weights(weights: impl Iterator<Item = u64> + Clone, sums: &mut Vec<u64>) {
    let even = weights.clone().all(|weight| weight == 0);
    let mut sum = 0_u64;
    sums.clear();
    sums.extend(weights.map(|weight| {
        sum = sum.saturating_add(if even { 1 } else { weight });
        sum
    }));
}

/// The place that `random`, uniform over all of `u64`, falls on.
pub(super) fn weighted(sums: &[u64], random: u64) -> usize {
    let total = sums.last().copied().unwrap_or(0);
    // The high half of the product is uniform below `total`, without a division (Lemire).
    let point = (u128::from(random) * u128::from(total)) >> 64;
    sums.partition_point(|sum| u128::from(*sum) <= point).min(sums.len().saturating_sub(1))
}

/// Two different places below `count`, which is at least 2.
fn two(count: usize, random: u64) -> (usize, usize) {
    let below =
        |random: u64, count: usize| (((random & 0xffff_ffff) * count as u64) >> 32) as usize;
    let first = below(random, count);
    let second = below(random >> 32, count - 1);
    (first, if second >= first { second + 1 } else { second })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_follow_the_weights() {
        let shares = |weights: &[u64]| {
            let mut sums = Vec::new();
            sum_weights(weights.iter().copied(), &mut sums);
            let mut counts = vec![0; weights.len()];
            (0..1_u64 << 16).for_each(|step| counts[weighted(&sums, step << 48)] += 1);
            counts
        };
        assert_eq!(shares(&[1]), [65_536]);
        assert_eq!(shares(&[1, 1]), [32_768, 32_768]);
        assert_eq!(shares(&[3, 1]), [49_152, 16_384]);
        assert_eq!(shares(&[0, 5, 0]), [0, 65_536, 0], "weight 0 is never picked");
        assert_eq!(shares(&[0, 0]), [32_768, 32_768], "unless all are 0");
        assert_eq!(shares(&[u64::MAX, u64::MAX])[0], 65_536, "sums saturate");
    }

    #[test]
    fn two_are_always_two() {
        for count in 2..6 {
            let mut seen = std::collections::HashSet::new();
            for random in 0..10_000_u64 {
                let (a, b) = two(count, random.wrapping_mul(0x9e37_79b9_7f4a_7c15));
                assert!(a < count && b < count && a != b);
                seen.insert((a, b));
            }
            assert_eq!(seen.len(), count * (count - 1), "every pair comes");
        }
    }
}
