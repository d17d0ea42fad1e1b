//! What a group is made of, and how it is to be balanced: the table that decisions look at. Immutable, apart
//! from the [`Standing`]s that it points to.

use std::sync::Arc;

use super::standing::{Allowed, CoolDown, Standing, StandingView, State};
use crate::{
    bedrock::failure::{Class, Cools, Failure, Scope},
    limits::FAILS_ALLOWED,
};

/// How a deployment is picked of those that may be asked: LiteLLM's `routing_strategy`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Strategy {
    /// `simple-shuffle`: at random, by weight.
    #[default]
    SimpleShuffle,
    /// `least-busy`: the fewest requests under way on this core, to the end of their streams.
    LeastBusy,
    /// `latency-based-routing`: the better of two picked at random, by its latency and what is under way.
    LatencyBased,
    /// `usage-based-routing-v2`: the least part of its limits used in this minute; limits are kept.
    UsageBased,
    /// `cost-based-routing`: the cheapest.
    CostBased,
}

impl Strategy {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::SimpleShuffle,
        Self::LeastBusy,
        Self::LatencyBased,
        Self::UsageBased,
        Self::CostBased,
    ];

    /// LiteLLM's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SimpleShuffle => "simple-shuffle",
            Self::LeastBusy => "least-busy",
            Self::LatencyBased => "latency-based-routing",
            Self::UsageBased => "usage-based-routing-v2",
            Self::CostBased => "cost-based-routing",
        }
    }
}

/// Deployments that share a name.
#[derive(Clone, Debug)]
pub struct Group {
    /// `model_name`.
    pub name: String,
    /// At least one.
    pub members: Vec<Member>,
    /// How one of them is picked.
    pub strategy: Strategy,
    /// How often a request is tried again.
    pub retries: Retries,
    /// `retry_after`: the shortest wait before the same deployment is asked again.
    pub retry_after_ms: u64,
    /// Places of the groups to fall back to, in their order.
    pub fallbacks: Vec<usize>,
    /// `enable_weighted_failover`: after a failure, all tiers at once and by weight.
    pub weighted_failover: bool,
}

/// A deployment of a group.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its place in the snapshot.
    pub deployment: usize,
    /// Its part of what is spread at random. 0: only if the others cannot be asked.
    pub weight: u64,
    /// The lowest comes first. `u32::MAX`: after all others.
    pub order: u32,
    /// Pico-dollars for a token in and a token out; `None`: not known, so after all others.
    pub cost: Option<u64>,
    /// What may be asked of it.
    pub limits: Limits,
    /// How it stands.
    pub standing: Arc<Standing>,
    /// How its credential stands.
    pub credential: Arc<Standing>,
    /// How its endpoint stands.
    pub endpoint: Arc<Standing>,
    /// When it is left alone.
    pub cool_down: CoolDowns,
}

/// What may be asked of a deployment, by all cores together.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Limits {
    /// Requests in a minute.
    pub rpm: Option<u64>,
    /// Tokens in a minute, in and out.
    pub tpm: Option<u64>,
    /// Requests at once.
    pub max_parallel: Option<u64>,
    /// Whether `rpm` and `tpm` are limits, and not only what is known of the deployment.
    pub are_enforced: bool,
}

/// `cooldown_time`, `allowed_fails` and `allowed_fails_policy`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CoolDowns {
    /// Milliseconds; 0: none.
    pub time_ms: u64,
    /// Failures allowed within a minute, of any kind.
    pub allowed: Option<u32>,
    /// Of a class.
    pub by_class: [Option<u32>; Class::ALL.len()],
}

/// `num_retries` and `retry_policy`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Retries {
    /// After a failure of any kind.
    pub any: u8,
    /// After one of a class.
    pub by_class: [Option<u8>; Class::ALL.len()],
}

impl Retries {
    /// How often a request that ended in `failure` may be tried again.
    #[must_use]
    pub fn after(&self, failure: Failure) -> u8 {
        self.by_class[failure.class() as usize].unwrap_or(self.any)
    }
}

impl CoolDowns {
    /// What `failure` makes of it; `None`: nothing.
    pub(super) fn after(&self, failure: Failure) -> Option<CoolDown> {
        let said = self.by_class[failure.class() as usize].or(self.allowed);
        let allowed = match (failure.rule().cools, said) {
            (Cools::No, _) => return None,
            (_, Some(0)) | (Cools::AtOnce, None) => Allowed::None,
            (_, Some(allowed)) => Allowed::InMinute(allowed),
            (Cools::AfterFails, None) => Allowed::InRow(FAILS_ALLOWED),
        };
        Some(CoolDown { time_ms: self.time_ms, allowed })
    }
}

impl Member {
    /// What of it a failure is about.
    pub(super) fn standing_of(&self, scope: Scope) -> &Standing {
        match scope {
            Scope::Deployment => &self.standing,
            Scope::Credential => &self.credential,
            Scope::Endpoint => &self.endpoint,
        }
    }

    /// All of it that must stand well, in the order of [`Scope`].
    pub(super) fn standings(&self) -> [&Standing; 3] {
        [&self.standing, &self.credential, &self.endpoint]
    }

    /// How what stands worst of it stands: deployment, credential or endpoint.
    #[must_use]
    pub fn worst(&self, now_ms: u64) -> StandingView {
        let views = self.standings().map(|standing| standing.view(now_ms));
        let badness = |view: &StandingView| {
            let state = match view.state {
                State::Cooling { .. } => 3,
                State::OnTrial { .. } => 2,
                State::HalfOpen => 1,
                State::Well => 0,
            };
            (state, view.fails_in_row)
        };
        // Of equals the deployment itself.
        views.into_iter().rev().max_by_key(badness).expect("three of them")
    }

    /// All of it is well.
    pub(super) fn is_well(&self) -> bool {
        self.standings().iter().all(|standing| standing.is_well())
    }
}

impl Group {
    /// Whether a member that fails is left alone for a while: one that nobody can stand in for is not, for
    /// that would help nobody.
    pub(super) fn may_rest(&self) -> bool {
        self.members.len() > 1 || !self.fallbacks.is_empty()
    }

    /// Whether what members used is counted.
    pub(super) fn counts(&self, member: &Member) -> bool {
        member.limits.are_enforced || self.strategy == Strategy::UsageBased
    }
}
