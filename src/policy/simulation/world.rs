//! Cores and deployments in virtual time: requests arrive, are balanced, and end as scripts say. The same
//! seed makes the same run.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use super::super::{
    balance::Balancer,
    budget::RetryBudget,
    group::{CoolDowns, Group, Limits, Member, Retries, Strategy},
    lease::{End, Lease, Next},
    retry::Trial,
    standing::Standing,
};
use crate::bedrock::failure::Failure;

/// What a deployment does with a request that comes at this moment.
#[derive(Clone, Copy, Debug)]
pub struct Does {
    /// From the request to the answer's head, or to the failure.
    pub head_us: u64,
    /// From there to the end.
    pub content_us: u64,
    /// Of a good answer.
    pub tokens: u64,
    pub failure: Option<Failure>,
    pub retry_after_ms: Option<u64>,
}

impl Does {
    /// A good answer after so long.
    pub fn well(head_ms: u64) -> Self {
        Self {
            head_us: head_ms * 1000,
            content_us: 0,
            tokens: 10,
            failure: None,
            retry_after_ms: None,
        }
    }

    /// A failure after so long.
    pub fn badly(failure: Failure, head_ms: u64) -> Self {
        Self { failure: Some(failure), ..Self::well(head_ms) }
    }

    pub fn streaming(self, content_ms: u64) -> Self {
        Self { content_us: content_ms * 1000, ..self }
    }
}

/// By the deployment's place and the milliseconds since the start.
pub type Script = Box<dyn Fn(usize, u64) -> Does>;

enum Event {
    Arrive,
    Resume { core: usize, trial: Trial },
    Head { core: usize, trial: Trial, lease: Lease, does: Does },
    End { core: usize, lease: Lease, does: Does },
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Counts {
    pub requests: u64,
    pub good: u64,
    /// The last failure went to the client.
    pub failed: u64,
    /// Every deployment was at its limit.
    pub refused: u64,
    pub decisions: u64,
    /// By deployment.
    pub attempts: Vec<u64>,
    /// By deployment: the most at once.
    pub at_once: Vec<u64>,
}

impl Counts {
    fn of(deployments: usize) -> Self {
        let none = || vec![0; deployments];
        Self { attempts: none(), at_once: none(), ..Self::default() }
    }

    pub fn all_attempts(&self) -> u64 {
        self.attempts.iter().sum()
    }

    pub fn share(&self, deployment: usize) -> f64 {
        as_f64(self.attempts[deployment]) / as_f64(self.all_attempts())
    }
}

pub fn as_f64(count: u64) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}

pub struct World {
    pub groups: Vec<Group>,
    pub counts: Counts,
    cores: Vec<Balancer>,
    generation: u64,
    script: Script,
    random: fastrand::Rng,
    /// The mean time between two requests.
    gap_us: u64,
    now_us: u64,
    ends_at_us: u64,
    at_once: Vec<u64>,
    events: BinaryHeap<Reverse<(u64, u64)>>,
    waiting: slab::Slab<Event>,
}

/// When the first request comes; not 0, for 0 means never in more than one place.
const START_MS: u64 = 600_000;

impl World {
    /// `cores` over `groups`, with requests every `gap_us` in the mean, all for the first group.
    pub fn new(seed: u64, cores: usize, groups: Vec<Group>, gap_us: u64, script: Script) -> Self {
        let budget = Arc::new(RetryBudget::new(cores));
        let deployments = groups.iter().flat_map(|it| &it.members).map(|it| it.deployment);
        let count = deployments.max().map_or(0, |most| most + 1);
        Self {
            groups,
            counts: Counts {
                attempts: vec![0; count],
                at_once: vec![0; count],
                ..Counts::default()
            },
            cores: (0..cores).map(|core| Balancer::new(core, budget.clone())).collect(),
            generation: 1,
            script,
            random: fastrand::Rng::with_seed(seed),
            gap_us,
            now_us: START_MS * 1000,
            ends_at_us: 0,
            at_once: vec![0; count],
            events: BinaryHeap::new(),
            waiting: slab::Slab::new(),
        }
    }

    /// Requests come for so long; then until all have ended. Counts begin anew.
    pub fn run(&mut self, ms: u64) -> &Counts {
        let count = self.counts.attempts.len();
        self.counts = Counts::of(count);
        self.ends_at_us = self.now_us + ms * 1000;
        self.schedule(0, Event::Arrive);
        while let Some(Reverse((at_us, key))) = self.events.pop() {
            self.now_us = at_us;
            let event = self.waiting.remove(usize::try_from(key & 0xffff_ffff).unwrap());
            self.on(event);
        }
        &self.counts
    }

    /// The table has changed.
    pub fn reload(&mut self) {
        self.generation += 1;
        let deployments = self.groups.iter().flat_map(|it| &it.members).map(|it| it.deployment);
        let count = deployments.max().map_or(0, |most| most + 1);
        self.at_once.resize(count, 0);
        self.counts = Counts::of(count);
    }

    fn now_ms(&self) -> u64 {
        self.now_us / 1000
    }

    fn schedule(&mut self, after_us: u64, event: Event) {
        let key = self.waiting.insert(event) as u64;
        // Of one moment, the one that was scheduled first.
        self.counts.decisions += 1;
        let order = (self.counts.decisions & 0xffff_ffff) << 32 | key;
        self.events.push(Reverse((self.now_us + after_us, order)));
    }

    fn on(&mut self, event: Event) {
        match event {
            Event::Arrive => {
                let next = self.random.u64(..2 * self.gap_us.max(1));
                if self.now_us + next < self.ends_at_us {
                    self.schedule(next, Event::Arrive);
                }
                self.counts.requests += 1;
                let core = self.random.usize(..self.cores.len());
                let now_ms = self.now_ms();
                self.cores[core].begin(now_ms);
                self.decide(core, Trial::new(0, None, 5, true));
            }
            Event::Resume { core, trial } => self.decide(core, trial),
            Event::Head { core, mut trial, mut lease, does } => {
                let now_ms = self.now_ms();
                let (balancer, groups) = (&mut self.cores[core], &self.groups);
                match does.failure {
                    None => {
                        let head_us = u32::try_from(does.head_us).unwrap();
                        balancer.answered(groups, &mut lease, head_us, now_ms);
                        self.schedule(does.content_us, Event::End { core, lease, does });
                    }
                    Some(failure) => {
                        self.at_once[lease.deployment] -= 1;
                        let after = does.retry_after_ms;
                        balancer.failed(groups, &mut trial, lease, failure, after, now_ms);
                        self.decide(core, trial);
                    }
                }
            }
            Event::End { core, lease, does } => {
                self.at_once[lease.deployment] -= 1;
                let content_us = u32::try_from(does.content_us).unwrap();
                let end = End { tokens: does.tokens, output_tokens: does.tokens, content_us };
                let now_ms = self.now_ms();
                self.cores[core].ended(&self.groups, lease, end, now_ms);
                self.counts.good += 1;
            }
        }
    }

    fn decide(&mut self, core: usize, mut trial: Trial) {
        let (now_ms, random) = (self.now_ms(), self.random.u64(..));
        match self.cores[core].next(self.generation, &self.groups, &mut trial, now_ms, random) {
            Next::Try(lease) => {
                let at = lease.deployment;
                self.counts.attempts[at] += 1;
                self.at_once[at] += 1;
                self.counts.at_once[at] = self.counts.at_once[at].max(self.at_once[at]);
                let does = (self.script)(at, now_ms - START_MS);
                self.schedule(does.head_us, Event::Head { core, trial, lease, does });
            }
            Next::Wait { ms } => self.schedule(ms * 1000, Event::Resume { core, trial }),
            Next::Refuse(_) => self.counts.refused += 1,
            Next::GiveUp => self.counts.failed += 1,
        }
    }

    /// After all requests have ended, nothing is held.
    pub fn check_at_rest(&self) {
        for member in self.groups.iter().flat_map(|it| &it.members) {
            assert_eq!(member.standing.in_flight().load(Relaxed), 0);
        }
        assert!(self.at_once.iter().all(|count| *count == 0));
        let Counts { requests, good, failed, refused, .. } = self.counts;
        assert_eq!(requests, good + failed + refused, "each has one end");
    }
}

/// A group of `count` equal members, whose standings begin at slot `first`.
pub fn group(strategy: Strategy, first: usize, count: usize) -> Group {
    let members = (first..first + count).map(|at| Member {
        deployment: at,
        weight: 1,
        order: u32::MAX,
        cost: None,
        limits: Limits::default(),
        standing: Arc::new(Standing::new(3 * at)),
        credential: Arc::new(Standing::new(3 * at + 1)),
        endpoint: Arc::new(Standing::new(3 * at + 2)),
        cool_down: CoolDowns { time_ms: 5_000, allowed: None, by_class: [None; 8] },
    });
    Group {
        name: format!("group-{first}"),
        members: members.collect(),
        strategy,
        retries: Retries { any: 2, by_class: [None; 8] },
        retry_after_ms: 0,
        fallbacks: Vec::new(),
        weighted_failover: false,
    }
}
