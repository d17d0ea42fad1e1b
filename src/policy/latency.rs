//! What one core knows of a deployment by its own requests: how many are under way, and how long it takes.
//!
//! Peak EWMA: a slow answer counts at once, quick ones bring the mean down bit by bit, and what nobody
//! asks is forgotten with time, so that a deployment that was slow once is tried again.
//! Source: Finagle's and linkerd's balancers.

use crate::limits::LATENCY_HALF_LIFE_MS;

/// See the file's comment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Local {
    /// Requests under way on this core.
    pub(super) in_flight: u32,
    first_byte: Peak,
    per_token: Peak,
}

/// A mean of microseconds.
#[derive(Clone, Copy, Debug, Default)]
struct Peak {
    us: f64,
    at_ms: u64,
}

impl Peak {
    fn observe(&mut self, us: f64, now_ms: u64) {
        self.us = if us >= self.us {
            us
        } else {
            let kept = forgetting(now_ms.saturating_sub(self.at_ms).max(1));
            // A flood of answers within a moment must not wait for time to pass.
            let kept = kept.min(0.9);
            self.us * kept + us * (1.0 - kept)
        };
        self.at_ms = now_ms.max(1);
    }

    fn now(&self, now_ms: u64) -> f64 {
        self.us * forgetting(now_ms.saturating_sub(self.at_ms))
    }
}

/// What is left of something after `ms`.
fn forgetting(ms: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of hours")]
    let halves = ms as f64 / LATENCY_HALF_LIFE_MS as f64;
    (-halves).exp2()
}

impl Local {
    /// An answer began after so long.
    pub(super) fn answered(&mut self, first_byte_us: u32, now_ms: u64) {
        self.first_byte.observe(first_byte_us.into(), now_ms);
    }

    /// Its tokens came in so long.
    pub(super) fn ended(&mut self, output_tokens: u64, content_us: u32, now_ms: u64) {
        if output_tokens > 0 {
            #[expect(clippy::cast_precision_loss, reason = "an answer's tokens")]
            let tokens = output_tokens as f64;
            self.per_token.observe(f64::from(content_us) / tokens, now_ms);
        }
    }

    /// How long a request is likely to take, times those that share it; the less the better. One that was
    /// never asked is tried by one request at a time: explored, not flooded.
    pub(super) fn score(&self, expected_tokens: f64, now_ms: u64) -> f64 {
        if self.first_byte.at_ms == 0 {
            return if self.in_flight == 0 { 0.0 } else { f64::MAX };
        }
        let us = self.first_byte.now(now_ms) + self.per_token.now(now_ms) * expected_tokens;
        us * (f64::from(self.in_flight) + 1.0)
    }
}
