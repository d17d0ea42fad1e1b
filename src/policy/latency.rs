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

/// What is left of something after `ms`: half of it for each half-life, and in between a straight line, at
/// most 6 % above the curve. Written into the bits of a float, whose exponent is a logarithm already: `exp2`
/// would be a third of a decision's cost.
fn forgetting(ms: u64) -> f64 {
    const MANTISSA_BITS: u32 = 52;
    /// Of 1.0.
    const EXPONENT: u64 = 1023 << MANTISSA_BITS;
    const PER_MS: u64 = (1 << MANTISSA_BITS) / LATENCY_HALF_LIFE_MS;
    let halves = ms.saturating_mul(PER_MS);
    f64::from_bits(EXPONENT.saturating_sub(halves))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_is_forgotten_in_a_half_life() {
        for (halves, left) in [(0, 1.0), (1, 0.5), (2, 0.25), (10, 1.0 / 1024.0)] {
            assert!((forgetting(halves * LATENCY_HALF_LIFE_MS) - left).abs() < 1e-12);
        }
        let curve = |ms: u64| {
            let ms = f64::from(u32::try_from(ms).unwrap());
            (-ms / f64::from(u32::try_from(LATENCY_HALF_LIFE_MS).unwrap())).exp2()
        };
        for ms in 0..100_000 {
            let (ours, exact) = (forgetting(ms), curve(ms));
            assert!(ours <= exact * 1.062 && ours >= exact * 0.999_999, "{ms}: {ours} {exact}");
            assert!(forgetting(ms + 1) < ours);
        }
        for ms in [1 << 40, u64::MAX] {
            assert!(forgetting(ms) < 1e-300);
        }
    }
}
