//! Idle upstream connections of one core, per endpoint. The one used last is used next: it is the
//! likeliest to be alive, and the others get to grow old and close.

use std::{
    cell::RefCell,
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::{
    data_plane::{scratch::Spares, upstream::Upstream},
    limits::{IDLE_UPSTREAM_MAX, UPSTREAM_IDLE_MS_MAX},
};

/// See the file's comment.
#[derive(Default)]
pub struct Pool {
    /// By the endpoint's index; the newest at the back.
    idle: RefCell<Vec<VecDeque<Box<Upstream>>>>,
}

impl Pool {
    /// An idle connection to the endpoint that is open and silent, if there is one.
    pub fn take(&self, endpoint: usize, now: Instant, spares: &Spares) -> Option<Box<Upstream>> {
        loop {
            let mut upstream = self.idle.borrow_mut().get_mut(endpoint)?.pop_back()?;
            if !is_expired(&upstream, now) && upstream.is_quiet() {
                upstream.wake(spares);
                return Some(upstream);
            }
        }
    }

    /// Keeps a connection whose answer is whole.
    pub fn give(&self, endpoint: usize, mut upstream: Box<Upstream>, spares: &Spares) {
        upstream.rest(spares);
        let mut idle = self.idle.borrow_mut();
        if idle.len() <= endpoint {
            idle.resize_with(endpoint + 1, VecDeque::new);
        }
        let queue = &mut idle[endpoint];
        if queue.len() >= IDLE_UPSTREAM_MAX {
            queue.pop_front();
        }
        queue.push_back(upstream);
    }

    /// Closes what has been idle for too long.
    pub fn sweep(&self, now: Instant) {
        for queue in self.idle.borrow_mut().iter_mut() {
            while queue.front().is_some_and(|upstream| is_expired(upstream, now)) {
                queue.pop_front();
            }
        }
    }
}

fn is_expired(upstream: &Upstream, now: Instant) -> bool {
    now.saturating_duration_since(upstream.idle_since) > Duration::from_millis(UPSTREAM_IDLE_MS_MAX)
}
