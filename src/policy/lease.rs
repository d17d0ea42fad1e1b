//! What a decision says: whom to ask, to wait, or that nobody can be asked; and the place that it gives.

use super::group::Member;

/// What is to be done next.
#[derive(Debug)]
pub enum Next {
    /// Send it to this deployment.
    Try(Lease),
    /// Wait so long, then ask again.
    Wait {
        /// Milliseconds.
        ms: u64,
    },
    /// Nothing: all that could be asked are at their limits.
    Refuse(Refusal),
    /// Nothing: the last failure is the client's answer.
    GiveUp,
}

/// Every deployment is at its limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// When one may have room again, in milliseconds from now.
    pub retry_after_ms: u64,
}

/// A place with a deployment. It must be given back, whatever happens: see [`Balancer`](super::balance::Balancer)'s methods.
#[derive(Debug)]
pub struct Lease {
    /// Its place in the snapshot.
    pub deployment: usize,
    pub(super) group: usize,
    pub(super) member: usize,
    pub(super) generation: u64,
    /// Of the member's standings, those whose probe this is.
    pub(super) probes: [bool; 3],
    /// It counts against `max_parallel`.
    pub(super) is_counted: bool,
}

/// How an attempt ended that ended well.
#[derive(Clone, Copy, Debug, Default)]
pub struct End {
    /// Tokens in and out, of the cache and not.
    pub tokens: u64,
    /// Tokens that were generated.
    pub output_tokens: u64,
    /// From the answer's head to its end.
    pub content_us: u32,
}

impl Lease {
    /// Its probes are others' to take: nothing was learnt.
    pub(super) fn give_probes(&self, member: &Member) {
        for (probe, standing) in self.probes.iter().zip(member.standings()) {
            if *probe {
                standing.give_probe();
            }
        }
    }
}
