//! Which deployment gets a request, and what becomes of it after an answer or a failure: one core's view.
//!
//! Each core decides by itself, without a lock: what must be known to all (cool-downs, limits, the retry
//! budget) is in atomics that it shares with the others, and all else (latency, requests under way) is its own.
//! The rules, with their reasons, stand in `docs/reliability.md`.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use super::{
    board::{self, Board, Fitness, Limited, fitness},
    budget::RetryBudget,
    group::{Group, Member, Strategy},
    latency::Local,
    lease::{End, Lease, Next, Refusal},
    retry::{Last, Trial},
    standing::State,
};
use crate::bedrock::failure::{Elsewhere, Failure, Rule};

/// One core's. It allocates when it meets a new snapshot, and not per request.
#[derive(Debug)]
pub struct Balancer {
    core: usize,
    budget: Arc<RetryBudget>,
    /// By the group's place in the snapshot.
    boards: Vec<Board>,
    /// By the standing's slot.
    locals: Vec<Local>,
}

impl Balancer {
    /// Of core number `core`, of those that `budget` was made for.
    #[must_use]
    pub fn new(core: usize, budget: Arc<RetryBudget>) -> Self {
        Self { core, budget, boards: Vec::new(), locals: Vec::new() }
    }

    /// A request comes, which will be tried at least once.
    pub fn begin(&mut self, now_ms: u64) {
        self.budget.count(self.core, now_ms);
    }

    /// What is to be done with a request: at first, and after each failure and each wait. `random` is
    /// uniform over all of `u64`.
    pub fn next(
        &mut self,
        generation: u64,
        groups: &[Group],
        trial: &mut Trial,
        now_ms: u64,
        random: u64,
    ) -> Next {
        if self.boards.len() < groups.len() {
            self.boards.resize_with(groups.len(), Board::default);
        }
        let moment = Moment { generation, now_ms, random };
        match trial.last {
            _ if !trial.may_try() || trial.is_desperate => Next::GiveUp,
            None => self.first(groups, trial, moment),
            Some(last) => self.again(groups, trial, last, moment),
        }
    }

    /// The first attempt in the group that was asked for.
    fn first(&mut self, groups: &[Group], trial: &mut Trial, moment: Moment) -> Next {
        if let Some(lease) = self.take(groups, trial.group, moment, |_| true) {
            trial.begin(lease.member);
            return Next::Try(lease);
        }
        let (asked, limited) = (trial.group, self.boards[trial.group].limited);
        if let Some(lease) = self.fall_back(groups, trial, moment) {
            return Next::Try(lease);
        }
        // All cool down. To refuse would make an outage of a doubt: the one whose time is up first is tried.
        if let Some(lease) = self.take_least_bad(groups, asked, moment) {
            trial.begin(lease.member);
            trial.is_desperate = true;
            return Next::Try(lease);
        }
        let until_ms = limited.map_or(moment.now_ms, |Limited { until_ms }| until_ms);
        Next::Refuse(Refusal { retry_after_ms: until_ms.saturating_sub(moment.now_ms).max(1) })
    }

    /// A further attempt.
    fn again(&mut self, groups: &[Group], trial: &mut Trial, last: Last, moment: Moment) -> Next {
        let group = &groups[trial.group];
        if let Some(member) = trial.last_tried().filter(|_| trial.has_waited) {
            return match self.lease(groups, trial.group, member, moment) {
                Some(lease) => {
                    trial.begin(member);
                    Next::Try(lease)
                }
                None => Next::GiveUp,
            };
        }
        let rule = last.failure.rule();
        if rule.elsewhere == Elsewhere::No && !rule.here {
            return Next::GiveUp;
        }
        let retries_max = trial.retries_max(group.retries.after(last.failure));
        if trial.here <= retries_max {
            if let Some(lease) = self.take_elsewhere(groups, trial, rule, moment) {
                trial.begin(lease.member);
                return Next::Try(lease);
            }
            if let Some(ms) = self.wait_here(group, trial, rule, moment) {
                trial.has_waited = true;
                return Next::Wait { ms };
            }
        }
        self.fall_back(groups, trial, moment).map_or(Next::GiveUp, Next::Try)
    }

    /// One of the group's deployments, by its strategy.
    fn take(
        &mut self,
        groups: &[Group],
        at: usize,
        moment: Moment,
        allows: impl Fn(&Member) -> bool,
    ) -> Option<Lease> {
        let group = &groups[at];
        // Each turn takes a member out of the choice, or ends.
        for turn in 0..=group.members.len() {
            let board = &mut self.boards[at];
            if turn > 0 {
                board.forget();
            }
            let version = (moment.generation, self.budget.epoch());
            board.refresh(version, group, &self.locals, moment.now_ms);
            let member = board.pick(group, &self.locals, moment.now_ms, moment.random)?;
            if !allows(&group.members[member]) {
                return None;
            }
            if let Some(lease) = self.lease(groups, at, member, moment) {
                return Some(lease);
            }
        }
        None
    }

    /// Another deployment of the same group: one that was not tried yet, of the lowest tier that has one.
    /// Looks at all members: this is after a failure.
    fn take_elsewhere(
        &mut self,
        groups: &[Group],
        trial: &Trial,
        rule: Rule,
        moment: Moment,
    ) -> Option<Lease> {
        let group = &groups[trial.group];
        let other_than = match rule.elsewhere {
            Elsewhere::No => return None,
            Elsewhere::Any => None,
            Elsewhere::OtherCredential => {
                trial.last_tried().map(|last| &group.members[last].credential)
            }
        };
        let mut fit: Vec<usize> = Vec::new(); // after a failure, an allocation is the least of all worries
        for (at, member) in group.members.iter().enumerate() {
            let is_refused =
                other_than.is_some_and(|refused| Arc::ptr_eq(refused, &member.credential));
            if !trial.has_tried(at)
                && !is_refused
                && fitness(group, member, moment.now_ms) == Fitness::Fit
            {
                fit.push(at);
            }
        }
        let tier = fit.iter().map(|at| group.members[*at].order).min()?;
        if !group.weighted_failover {
            fit.retain(|at| group.members[*at].order == tier);
        }
        while !fit.is_empty() {
            let place = self.choose(group, &fit, moment);
            let member = fit.swap_remove(place);
            if !self.budget.allows(group.members[member].is_well(), moment.now_ms) {
                return None;
            }
            if let Some(lease) = self.lease(groups, trial.group, member, moment) {
                return Some(lease);
            }
        }
        None
    }

    /// The place, among `fit`, of the one that the strategy prefers.
    fn choose(&self, group: &Group, fit: &[usize], moment: Moment) -> usize {
        let by_weight = || {
            let mut sums = Vec::new();
            board::sum_weights(fit.iter().map(|at| group.members[*at].weight), &mut sums);
            board::weighted(&sums, moment.random)
        };
        if group.weighted_failover {
            return by_weight();
        }
        let lowest = |key: &dyn Fn(usize) -> u64| {
            let keys = fit.iter().enumerate().min_by_key(|(_, at)| key(**at));
            keys.map_or(0, |(place, _)| place)
        };
        match group.strategy {
            Strategy::SimpleShuffle => by_weight(),
            Strategy::LatencyBased => lowest(&|at| {
                let local = self.local(group.members[at].standing.slot());
                // Positive floats are in the order of their bits.
                local.score(0.0, moment.now_ms).to_bits()
            }),
            Strategy::LeastBusy | Strategy::UsageBased | Strategy::CostBased => {
                lowest(&|at| board::key(group, at, &self.locals, 0, moment.now_ms))
            }
        }
    }

    fn local(&self, slot: usize) -> Local {
        self.locals.get(slot).copied().unwrap_or_default()
    }

    /// How long to wait before the same deployment is asked again, if that is of use.
    fn wait_here(&self, group: &Group, trial: &Trial, rule: Rule, moment: Moment) -> Option<u64> {
        let member = &group.members[trial.last_tried()?];
        if !rule.here || fitness(group, member, moment.now_ms) != Fitness::Fit {
            return None;
        }
        let ms = trial.back_off_ms(group.retry_after_ms, moment.random)?;
        self.budget.allows(false, moment.now_ms).then_some(ms)
    }

    /// The next of the fallbacks of the group that was asked for that has a deployment to ask.
    fn fall_back(&mut self, groups: &[Group], trial: &mut Trial, moment: Moment) -> Option<Lease> {
        let fallbacks = &groups[trial.asked].fallbacks;
        while trial.may_fall_back() {
            let at = *fallbacks.get(trial.next_fallback)?;
            trial.next_fallback += 1;
            if at == trial.group {
                continue;
            }
            let (budget, now_ms) = (self.budget.clone(), moment.now_ms);
            let is_first = trial.attempts() == 0;
            let allows = |member: &Member| is_first || budget.allows(member.is_well(), now_ms);
            if let Some(lease) = self.take(groups, at, moment, allows) {
                trial.fall_back(at, trial.next_fallback);
                trial.begin(lease.member);
                return Some(lease);
            }
        }
        None
    }

    /// Of a group that all cools down, the deployment whose time is up first.
    fn take_least_bad(&mut self, groups: &[Group], at: usize, moment: Moment) -> Option<Lease> {
        let group = &groups[at];
        let resting = group.members.iter().enumerate().filter_map(|(at, member)| {
            match fitness(group, member, moment.now_ms) {
                Fitness::Resting(until_ms) => Some((until_ms, member.order, at)),
                Fitness::Fit => Some((0, member.order, at)), // since this moment
                Fitness::Limited(_) => None,
            }
        });
        let (_, _, member) = resting.min()?;
        self.lease(groups, at, member, moment)
    }

    /// A place with this member; `None` if it has none after all.
    fn lease(
        &mut self,
        groups: &[Group],
        group_at: usize,
        member_at: usize,
        moment: Moment,
    ) -> Option<Lease> {
        let (group, now_ms) = (&groups[group_at], moment.now_ms);
        let member = &group.members[member_at];
        let mut lease = Lease {
            deployment: member.deployment,
            group: group_at,
            member: member_at,
            generation: moment.generation,
            probes: [false; 3],
            is_counted: member.limits.max_parallel.is_some(),
        };
        if group.may_rest() {
            for (probe, standing) in lease.probes.iter_mut().zip(member.standings()) {
                if standing.state(now_ms) == State::HalfOpen {
                    if !standing.take_probe(now_ms) {
                        lease.give_probes(member);
                        return None;
                    }
                    *probe = true;
                }
            }
            if lease.probes.contains(&true) {
                self.budget.moved(); // so that no other core tries in vain
            }
        }
        if let Some(max) = member.limits.max_parallel
            && member.standing.in_flight().fetch_add(1, Relaxed) >= max
        {
            member.standing.in_flight().fetch_sub(1, Relaxed);
            lease.give_probes(member);
            return None;
        }
        if group.counts(member) {
            let limit = member.limits.rpm.unwrap_or(u64::MAX);
            if !member.standing.requests().take(limit, now_ms) {
                if lease.is_counted {
                    member.standing.in_flight().fetch_sub(1, Relaxed);
                }
                lease.give_probes(member);
                return None;
            }
        }
        let slot = member.standing.slot();
        if self.locals.len() <= slot {
            self.locals.resize_with(slot + 1, Local::default);
        }
        self.locals[slot].in_flight += 1;
        let board = &mut self.boards[group_at];
        board.note_pick(member_at);
        board.update(group, member_at, &self.locals, now_ms);
        Some(lease)
    }

    /// A good answer has begun.
    pub fn answered(
        &mut self,
        groups: &[Group],
        lease: &mut Lease,
        first_byte_us: u32,
        now_ms: u64,
    ) {
        let member = &groups[lease.group].members[lease.member];
        self.succeed(member, lease, now_ms);
        self.locals[member.standing.slot()].answered(first_byte_us, now_ms);
    }

    fn succeed(&self, member: &Member, lease: &mut Lease, now_ms: u64) {
        let mut has_moved = false;
        for (probe, standing) in lease.probes.iter_mut().zip(member.standings()) {
            has_moved |= standing.succeed(std::mem::take(probe), now_ms);
        }
        if has_moved {
            self.budget.moved();
        }
    }

    /// An attempt is over, badly: before an answer, by its head, or within its content. True if that began a
    /// cool-down. `retry_after_ms` is AWS's own word.
    pub fn failed(
        &mut self,
        groups: &[Group],
        trial: &mut Trial,
        mut lease: Lease,
        failure: Failure,
        retry_after_ms: Option<u64>,
        now_ms: u64,
    ) -> bool {
        trial.last = Some(Last { failure, retry_after_ms });
        let group = &groups[lease.group];
        let member = &group.members[lease.member];
        let scope = failure.rule().scope;
        let mut cools = false;
        if let Some(cool_down) = member.cool_down.after(failure) {
            let was_probe = std::mem::take(&mut lease.probes[scope as usize]);
            let standing = member.standing_of(scope);
            let mut cool_down = cool_down;
            if !group.may_rest() {
                cool_down.time_ms = 0;
            }
            let told = (was_probe, retry_after_ms);
            let jitter = scatter(now_ms ^ (standing.slot() as u64) << 48);
            cools = standing.fail(failure, cool_down, told, now_ms, jitter);
            if cools || was_probe {
                self.budget.moved();
            }
        } else {
            // It answered, if not as hoped: it lives.
            self.succeed(member, &mut lease, now_ms);
        }
        self.give_back(groups, &lease, now_ms);
        cools
    }

    /// An attempt is over, well.
    pub fn ended(&mut self, groups: &[Group], lease: Lease, end: End, now_ms: u64) {
        let group = &groups[lease.group];
        let member = &group.members[lease.member];
        if group.counts(member) {
            member.standing.tokens().add(end.tokens, now_ms);
        }
        let local = &mut self.locals[member.standing.slot()];
        local.ended(end.output_tokens, end.content_us, now_ms);
        if group.strategy == Strategy::LatencyBased
            && let Some(board) = self.boards.get_mut(lease.group)
        {
            #[expect(clippy::cast_precision_loss, reason = "an answer's tokens")]
            let tokens = end.output_tokens as f64;
            board.expected_tokens += (tokens - board.expected_tokens) / 16.0;
        }
        self.give_back(groups, &lease, now_ms);
    }

    /// An attempt is over, and nobody knows how it would have ended: the client left, or it panicked.
    pub fn abandoned(&mut self, groups: &[Group], lease: Lease, now_ms: u64) {
        self.give_back(groups, &lease, now_ms);
    }

    fn give_back(&mut self, groups: &[Group], lease: &Lease, now_ms: u64) {
        let group = &groups[lease.group];
        let member = &group.members[lease.member];
        if lease.probes.contains(&true) {
            lease.give_probes(member);
            self.budget.moved();
        }
        if lease.is_counted {
            let before = member.standing.in_flight().fetch_sub(1, Relaxed);
            if member.limits.max_parallel.is_some_and(|max| before >= max) {
                self.budget.moved(); // there is room again
            }
        }
        let local = &mut self.locals[member.standing.slot()];
        local.in_flight = local.in_flight.saturating_sub(1);
        if let Some(board) = self.boards.get_mut(lease.group) {
            if board.is_of(lease.generation) {
                board.update(group, lease.member, &self.locals, now_ms);
            } else {
                // Its deployment may stand elsewhere in this snapshot.
                self.budget.moved();
            }
        }
    }
}

/// When a decision is made.
#[derive(Clone, Copy)]
struct Moment {
    generation: u64,
    now_ms: u64,
    random: u64,
}

/// Bits that look random (splitmix64): what did not matter to a decision may spread its consequences.
fn scatter(seed: u64) -> u64 {
    let mut bits = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}
