//! Not a test: many requests at once, and what came of them.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use crate::{
    http::{Client, End, request},
    proxy::{BEARER, Proxy},
};

/// One answer.
pub struct Seen {
    pub status: u16,
    pub end: End,
    /// `x-litellm-model-id`, if a deployment answered.
    pub deployment: String,
    pub length: usize,
}

/// What came of a storm.
pub struct Storm(pub Vec<Seen>);

impl Storm {
    /// `count` requests of `line` by `clients` at once, each on its own connection.
    pub fn of(proxy: &Proxy, line: &str, clients: usize, count: usize) -> Self {
        Self::until(proxy, line, clients, |asked, _| asked < count)
    }

    /// As long as `goes_on`, of the number asked so far and of the time passed.
    pub fn until(
        proxy: &Proxy,
        line: &str,
        clients: usize,
        goes_on: impl Fn(usize, Duration) -> bool + Sync,
    ) -> Self {
        let (asked, began) = (AtomicUsize::new(0), outcrop::net::clock::now());
        let address = proxy.address();
        let one = || {
            let mut seen = Vec::new();
            let mut client = Client::connect(address);
            while goes_on(asked.fetch_add(1, Ordering::Relaxed), began.elapsed()) {
                let answer = client.ask(request(line, BEARER, b"{}"));
                let deployment = answer.head.field("x-litellm-model-id").unwrap_or_default();
                seen.push(Seen {
                    status: answer.head.status,
                    deployment: deployment.to_owned(),
                    length: answer.content.len(),
                    end: answer.end,
                });
            }
            seen
        };
        let seen = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..clients).map(|_| scope.spawn(one)).collect();
            threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
        });
        Self(seen)
    }

    /// All were good and whole.
    pub fn check_good(&self, what: &str) {
        let mut others: BTreeMap<u16, usize> = BTreeMap::new();
        for seen in &self.0 {
            if (seen.status, &seen.end) != (200, &End::Clean) || seen.length == 0 {
                *others.entry(seen.status).or_default() += 1;
            }
        }
        assert!(others.is_empty(), "{what}: of {} not good: {others:?}", self.0.len());
    }

    /// How many this deployment answered.
    pub fn by(&self, deployment: &str) -> usize {
        self.0.iter().filter(|seen| seen.deployment == deployment).count()
    }
}
