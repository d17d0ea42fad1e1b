//! What a deployment has of its own: time-outs, tier, limits, retries, cool-down.

use super::document::Node;
use super::numbers::{seconds_ms, whole};
use super::problem::Problems;
use super::router::{allowed_fails, allowed_fails_policy};
use super::settings::Own;
use crate::limits::{COOLDOWN_S_MAX, ORDER_MAX, RETRIES_MAX, TIMEOUT_S_MAX};

/// From `litellm_params`, and from `model_info` what LiteLLM has there too.
pub(super) fn read(params: &Node, info: Option<&Node>, problems: &mut Problems) -> Own {
    let either = |key: &str| params.get(key).or_else(|| info.and_then(|info| info.get(key)));
    let mut timeout = |node: Option<&Node>| {
        let what = "a time in seconds, above 0";
        node.and_then(|node| seconds_ms(node, (0.001, TIMEOUT_S_MAX), what, problems))
    };
    let timeout_ms = timeout(params.get("timeout"));
    let stream_timeout_ms = timeout(params.get("stream_timeout"));
    let cool_down_ms = either("cooldown_time")
        .and_then(|node| seconds_ms(node, (0.0, COOLDOWN_S_MAX), "a time in seconds", problems));
    let mut number =
        |node: Option<&Node>, most: u64| node.and_then(|node| whole(node, most, problems));
    let order = number(either("order"), ORDER_MAX);
    let max_parallel = number(params.get("max_parallel_requests"), u64::from(u32::MAX));
    let retries = params.get("num_retries").or_else(|| params.get("max_retries"));
    let retries = number(retries, u64::from(RETRIES_MAX));
    // Not whole, or not a number: that is said where they are read as weights.
    let rate = |key: &str| {
        let node = params.get(key)?;
        let amount = node.amount(&mut Problems::default())?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "of a limit that is no whole number, the whole part; saturates"
        )]
        let whole = amount as u64;
        Some(whole)
    };
    Own {
        timeout_ms,
        stream_timeout_ms,
        order: order.and_then(|order| u32::try_from(order).ok()),
        rpm: rate("rpm"),
        tpm: rate("tpm"),
        max_parallel: max_parallel.filter(|max| *max > 0),
        retries: retries.and_then(|retries| u8::try_from(retries).ok()),
        cool_down_ms,
        allowed_fails: either("allowed_fails").and_then(|node| allowed_fails(node, problems)),
        allowed_fails_policy: either("allowed_fails_policy")
            .map(|node| allowed_fails_policy(node, problems)),
    }
}
