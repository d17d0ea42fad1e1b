//! One attempt's place in the balance: taken when a deployment is picked, given back however it ends.

use std::time::Instant;

use crate::{
    bedrock::{failure::Failure, usage::Usage},
    boundary::snapshot::{Deployment, Snapshot},
    data_plane::worker::Worker,
    net::clock,
    policy::{
        lease::{End, Lease},
        retry::Trial,
    },
};

/// A deployment, and our place with it. Dropped as it is (the client left, a panic) it judges nothing.
pub struct Turn<'w> {
    worker: &'w Worker,
    snapshot: &'w Snapshot,
    /// None once it was given back.
    lease: Option<Lease>,
    index: usize,
    began: Instant,
    answered: Option<Instant>,
}

impl<'w> Turn<'w> {
    /// Begins now.
    #[must_use]
    pub fn new(worker: &'w Worker, snapshot: &'w Snapshot, lease: Lease) -> Self {
        let index = lease.deployment;
        let (began, answered) = (clock::now(), None);
        Self { worker, snapshot, lease: Some(lease), index, began, answered }
    }

    /// Whose turn it is.
    #[must_use]
    pub fn deployment(&self) -> &'w Deployment {
        &self.snapshot.deployments[self.index]
    }

    /// Its place in the snapshot.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// When it began.
    #[must_use]
    pub fn began(&self) -> Instant {
        self.began
    }

    /// Milliseconds since then.
    #[must_use]
    pub fn millis(&self) -> u32 {
        let passed = clock::now().saturating_duration_since(self.began);
        u32::try_from(passed.as_millis()).unwrap_or(u32::MAX)
    }

    /// A good answer has begun.
    pub fn answered(&mut self) {
        let now = clock::now();
        self.answered = Some(now);
        if let Some(lease) = &mut self.lease {
            let first_byte_us = micros(self.began, now);
            let now_ms = clock::millis(now);
            let mut balancer = self.worker.balancer.borrow_mut();
            balancer.answered(&self.snapshot.groups, lease, first_byte_us, now_ms);
        }
    }

    /// It failed; `retry_after_ms` is upstream's own word on when to come again.
    pub fn failed(mut self, trial: &mut Trial, failure: Failure, retry_after_ms: Option<u64>) {
        if let Some(lease) = self.lease.take() {
            let mut balancer = self.worker.balancer.borrow_mut();
            let groups = &self.snapshot.groups;
            balancer.failed(groups, trial, lease, failure, retry_after_ms, clock::now_ms());
        }
    }

    /// It ended well.
    pub fn ended(mut self, usage: &Usage) {
        if let Some(lease) = self.lease.take() {
            let now = clock::now();
            let content_us = self.answered.map_or(0, |answered| micros(answered, now));
            let tokens = usage.total().map_or(0, |tokens| tokens.0);
            let output_tokens = usage.output.map_or(0, |tokens| tokens.0);
            let end = End { tokens, output_tokens, content_us };
            let mut balancer = self.worker.balancer.borrow_mut();
            balancer.ended(&self.snapshot.groups, lease, end, clock::millis(now));
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            let mut balancer = self.worker.balancer.borrow_mut();
            balancer.abandoned(&self.snapshot.groups, lease, clock::now_ms());
        }
    }
}

fn micros(from: Instant, to: Instant) -> u32 {
    u32::try_from(to.saturating_duration_since(from).as_micros()).unwrap_or(u32::MAX)
}
