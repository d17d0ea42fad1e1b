//! `router_settings`, and what deployments have of their own.

use super::{check, refuse};
use crate::bedrock::failure::{Class, Failure};
use crate::policy::group::Strategy;

const TWO: &str = "
model_list:
- {model_name: a, litellm_params: {model: a.b, aws_region_name: us-east-1, aws_access_key_id: k, aws_secret_access_key: s}}
- {model_name: b, litellm_params: {model: a.b, aws_region_name: us-east-1, aws_access_key_id: k, aws_secret_access_key: s, order: 2, timeout: 1.5, stream_timeout: 3, rpm: 6, tpm: 700, max_parallel_requests: 8, num_retries: 4, cooldown_time: 0.25, allowed_fails: 9}, model_info: {allowed_fails_policy: {RateLimitErrorAllowedFails: 1}}}
";

#[test]
fn defaults_are_litellms() {
    let router = check(TWO, &[], &[]).settings.router;
    assert_eq!(router.strategy, Strategy::SimpleShuffle);
    assert_eq!((router.retries.any, router.fallbacks_max), (2, 5));
    assert_eq!((router.cool_downs.time_ms, router.cool_downs.allowed), (5_000, None));
    assert!(router.first_frame_failover && !router.enforces_rates);
}

#[test]
fn all_keys_are_read() {
    let yaml = format!(
        "{TWO}
router_settings:
  routing_strategy: latency-based-routing
  num_retries: 3
  retry_after: 0.5
  timeout: 20
  stream_timeout: 7
  retry_policy: {{RateLimitErrorRetries: 5, BadRequestErrorRetries: 0}}
  model_group_retry_policy: {{a: {{TimeoutErrorRetries: 1}}}}
  allowed_fails: 0
  allowed_fails_policy: {{InternalServerErrorAllowedFails: 20}}
  cooldown_time: 30
  disable_cooldowns: true
  fallbacks: [{{a: [b]}}, {{'*': b}}]
  default_fallbacks: [a]
  max_fallbacks: 1
  enable_weighted_failover: true
  optional_pre_call_checks: [enforce_model_rate_limits]
  default_max_parallel_requests: 11
  model_group_alias: {{x: a, y: {{model: b, hidden: true}}}}
outcrop:
  first_frame_failover: false
  request_timeout_s: 90
"
    );
    let settings = check(&yaml, &[], &[]).settings;
    let router = settings.router;
    assert_eq!(router.strategy, Strategy::LatencyBased);
    assert_eq!((router.retries.any, router.retry_after_ms), (3, 500));
    assert_eq!(router.retries.after(Failure::Throttled), 5);
    assert_eq!(router.retries.after(Failure::Internal), 3);
    assert_eq!(router.group_retries[0].1[Class::Timeout as usize], Some(1));
    assert_eq!((router.timeout_ms, router.stream_timeout_ms), (Some(20_000), Some(7_000)));
    assert_eq!(router.request_timeout_ms, 90_000);
    assert_eq!((router.cool_downs.time_ms, router.cool_downs.allowed), (30_000, Some(0)));
    assert_eq!(router.cool_downs.by_class[Class::InternalServer as usize], Some(20));
    assert!(router.disable_cool_downs && router.weighted_failover && router.enforces_rates);
    assert_eq!(router.fallbacks, [("a".to_owned(), vec!["b".to_owned()])]);
    assert_eq!(router.default_fallbacks, ["a", "b"]);
    assert_eq!((router.fallbacks_max, router.max_parallel), (1, Some(11)));
    let aliases =
        router.aliases.iter().map(|it| (it.name.as_str(), it.group.as_str(), it.is_hidden));
    assert_eq!(aliases.collect::<Vec<_>>(), [("x", "a", false), ("y", "b", true)]);
    assert!(!router.first_frame_failover);
    let own = &settings.deployments[1].own;
    assert_eq!(
        (own.order, own.timeout_ms, own.stream_timeout_ms),
        (Some(2), Some(1500), Some(3000))
    );
    assert_eq!((own.rpm, own.tpm, own.max_parallel), (Some(6), Some(700), Some(8)));
    assert_eq!((own.retries, own.cool_down_ms, own.allowed_fails), (Some(4), Some(250), Some(9)));
    assert_eq!(own.allowed_fails_policy.unwrap()[Class::RateLimit as usize], Some(1));
}

#[test]
fn litellm_settings_stand_in() {
    let yaml = format!(
        "{TWO}\nlitellm_settings: {{num_retries: 1, request_timeout: 9, allowed_fails: 4, fallbacks: [{{b: [a]}}]}}\n"
    );
    let router = check(&yaml, &[], &[]).settings.router;
    assert_eq!((router.retries.any, router.timeout_ms), (1, Some(9_000)));
    assert_eq!((router.cool_downs.allowed, router.fallbacks.len()), (Some(4), 1));
}

#[test]
fn wrong_values_say_where_and_what() {
    for (line, error) in [
        (
            "routing_strategy: fastest",
            "routing_strategy: must be one of simple-shuffle, least-busy",
        ),
        ("num_retries: 99", "num_retries: must be a whole number, from 0 to 15"),
        ("num_retries: 1.5", "num_retries: must be a whole number"),
        ("timeout: 0", "timeout: must be a time in seconds, above 0"),
        ("timeout: -1", "timeout: must not be negative"),
        ("cooldown_time: soon", "cooldown_time: must be a number"),
        ("fallbacks: [{a: [c]}]", "`c` is no model_name"),
        ("fallbacks: [{aa: [b]}]", "`aa` is no model_name; did you mean `a`?"),
        ("fallbacks: 5", "fallbacks: must be a list of `group:"),
        ("default_fallbacks: [bb]", "`bb` is no model_name"),
        ("model_group_alias: {x: nobody}", "`nobody` is no model_name"),
        ("model_group_alias: 5", "must be a mapping of aliases"),
        ("optional_pre_call_checks: yes", "must be a list of checks"),
        ("retry_policy: 3", "must be a mapping such as `RateLimitErrorRetries: 3`"),
        ("allowed_fails_policy: {RateLimitErrorAllowedFails: x}", "must be a number"),
        ("disable_cooldowns: maybe", "must be true or false"),
    ] {
        refuse(&format!("{TWO}router_settings:\n  {line}\n"), &[], &[error]);
    }
}

#[test]
fn what_has_no_effect_is_warned_of() {
    for (line, warning) in [
        ("routing_strategy: usage-based-routing", "is taken as `usage-based-routing-v2`"),
        (
            "optional_pre_call_checks: [prompt_caching]",
            "only `enforce_model_rate_limits` is honoured",
        ),
        ("retry_policy: {RateErrorRetries: 3}", "unknown key; there are BadRequestErrorRetries"),
        ("model_group_alias: {a: b}", "is a model_name already"),
        ("context_window_fallbacks: []", "LiteLLM's key"),
    ] {
        check(&format!("{TWO}router_settings:\n  {line}\n"), &[], &[warning]);
    }
}
