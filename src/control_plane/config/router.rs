//! `router_settings`, and what stands elsewhere for the same: strategy, retries, time-outs, cool-downs,
//! fallbacks, aliases. All names and meanings are LiteLLM's; its own defaults are told where ours differ.

use super::document::{Content, Node};
use super::keys;
use super::numbers::{class_numbers, seconds_ms, whole};
use super::problem::Problems;
use super::settings::{Alias, Deployment, Router};
use crate::limits::{ALLOWED_FAILS_MAX, COOLDOWN_S_MAX, RETRIES_MAX, TIMEOUT_S_MAX};
use crate::policy::group::Strategy;

const ENFORCE: &str = "enforce_model_rate_limits";

/// All of it. Groups are those of `deployments`.
pub(super) fn read(root: &Node, deployments: &[Deployment], problems: &mut Problems) -> Router {
    let value = |section: &str, key: &str| root.get(section).and_then(|section| section.get(key));
    let either =
        |key: &str| value("router_settings", key).or_else(|| value("litellm_settings", key));
    let router = |key: &str| value("router_settings", key);
    let mut to = Router::default();
    if let Some(strategy) = router("routing_strategy").and_then(|it| strategy(it, problems)) {
        to.strategy = strategy;
    }
    let times = "a time in seconds, above 0";
    if let Some(node) = router("timeout").or_else(|| value("litellm_settings", "request_timeout")) {
        to.timeout_ms = seconds_ms(node, (0.001, TIMEOUT_S_MAX), times, problems).or(to.timeout_ms);
    }
    if let Some(node) = router("stream_timeout") {
        to.stream_timeout_ms = seconds_ms(node, (0.001, TIMEOUT_S_MAX), times, problems);
    }
    if let Some(node) = value("outcrop", "request_timeout_s") {
        let ms = seconds_ms(node, (0.001, TIMEOUT_S_MAX), times, problems);
        to.request_timeout_ms = ms.unwrap_or(to.request_timeout_ms);
    }
    if let Some(node) = router("retry_after") {
        let ms = seconds_ms(node, (0.0, COOLDOWN_S_MAX), "a time in seconds", problems);
        to.retry_after_ms = ms.unwrap_or(0);
    }
    if let Some(node) = either("num_retries") {
        let retries = whole(node, u64::from(RETRIES_MAX), problems);
        to.retries.any = retries.and_then(|it| u8::try_from(it).ok()).unwrap_or(to.retries.any);
    }
    if let Some(node) = router("retry_policy") {
        to.retries.by_class = retry_policy(node, problems);
    }
    if let Some(node) = router("model_group_retry_policy") {
        let policies = node.entries().iter();
        to.group_retries =
            policies.map(|(group, node)| (group.clone(), retry_policy(node, problems))).collect();
    }
    read_cool_downs(&router, &either, &mut to, problems);
    let flags = [
        ("enable_weighted_failover", &mut to.weighted_failover),
        ("disable_cooldowns", &mut to.disable_cool_downs),
    ];
    for (key, flag) in flags {
        *flag = router(key).and_then(|node| node.flag(problems)).unwrap_or(*flag);
    }
    let node = value("outcrop", "first_frame_failover");
    to.first_frame_failover = node.and_then(|node| node.flag(problems)).unwrap_or(true);
    if let Some(node) = router("default_max_parallel_requests") {
        to.max_parallel = whole(node, u64::from(u32::MAX), problems).filter(|max| *max > 0);
    }
    if let Some(node) = router("optional_pre_call_checks") {
        to.enforces_rates = enforces_rates(node, problems);
    }
    let names: Vec<&str> = deployments.iter().map(|it| it.model_name.as_str()).collect();
    read_fallbacks(&either, &names, &mut to, problems);
    if let Some(node) = router("model_group_alias") {
        to.aliases = aliases(node, &names, problems);
    }
    to
}

fn strategy(node: &Node, problems: &mut Problems) -> Option<Strategy> {
    let name = node.text(problems)?;
    if name == "usage-based-routing" {
        problems.warning(&node.place, "is taken as `usage-based-routing-v2`");
        return Some(Strategy::UsageBased);
    }
    let found = Strategy::ALL.into_iter().find(|known| known.name() == name);
    if found.is_none() {
        let known = Strategy::ALL.map(Strategy::name).join(", ");
        problems.error(&node.place, format!("must be one of {known}"));
    }
    found
}

/// `{RateLimitErrorRetries: 3, …}`.
fn retry_policy(node: &Node, problems: &mut Problems) -> [Option<u8>; 8] {
    let numbers = class_numbers(node, "ErrorRetries", u64::from(RETRIES_MAX), problems);
    numbers.map(|number| number.and_then(|number| u8::try_from(number).ok()))
}

fn read_cool_downs<'n>(
    router: &impl Fn(&str) -> Option<&'n Node>,
    either: &impl Fn(&str) -> Option<&'n Node>,
    to: &mut Router,
    problems: &mut Problems,
) {
    if let Some(node) = router("cooldown_time") {
        let ms = seconds_ms(node, (0.0, COOLDOWN_S_MAX), "a time in seconds", problems);
        to.cool_downs.time_ms = ms.unwrap_or(to.cool_downs.time_ms);
    }
    if let Some(node) = either("allowed_fails") {
        to.cool_downs.allowed = allowed_fails(node, problems);
    }
    if let Some(node) = router("allowed_fails_policy") {
        to.cool_downs.by_class = allowed_fails_policy(node, problems);
    }
}

/// `allowed_fails`.
pub(super) fn allowed_fails(node: &Node, problems: &mut Problems) -> Option<u32> {
    whole(node, ALLOWED_FAILS_MAX, problems).and_then(|number| u32::try_from(number).ok())
}

/// `{RateLimitErrorAllowedFails: 3, …}`.
pub(super) fn allowed_fails_policy(node: &Node, problems: &mut Problems) -> [Option<u32>; 8] {
    let numbers = class_numbers(node, "ErrorAllowedFails", ALLOWED_FAILS_MAX, problems);
    numbers.map(|number| number.and_then(|number| u32::try_from(number).ok()))
}

/// Of LiteLLM's checks there is one that we make.
fn enforces_rates(node: &Node, problems: &mut Problems) -> bool {
    let Content::List(items) = &node.content else {
        problems.error(&node.place, format!("must be a list of checks, not {}", node.kind()));
        return false;
    };
    let mut enforces = false;
    for item in items {
        match item.text(problems) {
            Some(check) if check == ENFORCE => enforces = true,
            Some(_) => {
                let message = format!(
                    "of LiteLLM's checks only `{ENFORCE}` is honoured by this version of Outcrop"
                );
                problems.warning(&item.place, message);
            }
            None => {}
        }
    }
    enforces
}

fn read_fallbacks<'n>(
    either: &impl Fn(&str) -> Option<&'n Node>,
    names: &[&str],
    to: &mut Router,
    problems: &mut Problems,
) {
    if let Some(node) = either("max_fallbacks") {
        let max = whole(node, 100, problems).and_then(|max| u8::try_from(max).ok());
        to.fallbacks_max = max.unwrap_or(to.fallbacks_max);
    }
    if let Some(node) = either("default_fallbacks") {
        to.default_fallbacks = fallback_names(node, names, problems);
    }
    let Some(node) = either("fallbacks") else { return };
    let one = std::slice::from_ref(node);
    let items = if let Content::List(items) = &node.content { items.as_slice() } else { one };
    for item in items {
        let Content::Mapping(entries) = &item.content else {
            let message =
                format!("must be a list of `group: [groups to fall back to]`, not {}", item.kind());
            problems.error(&item.place, message);
            continue;
        };
        for (group, list) in entries {
            let fallbacks = fallback_names(list, names, problems);
            if group == "*" {
                to.default_fallbacks.extend(fallbacks);
            } else if is_known(group, names) {
                to.fallbacks.push((group.clone(), fallbacks));
            } else {
                problems.error(&list.place, unknown_group(group, names));
            }
        }
    }
}

/// Groups that others fall back to: what another was asked for says nothing to a wildcard.
fn fallback_names(node: &Node, names: &[&str], problems: &mut Problems) -> Vec<String> {
    let mut groups = group_names(node, names, problems);
    groups.retain(|name| {
        let is_wildcard = name.contains('*');
        if is_wildcard {
            let message =
                "names a wildcard, which cannot be fallen back to: name a group of one model";
            problems.error(&node.place, message);
        }
        !is_wildcard
    });
    groups
}

fn group_names(node: &Node, names: &[&str], problems: &mut Problems) -> Vec<String> {
    let one = std::slice::from_ref(node);
    let items = if let Content::List(items) = &node.content { items.as_slice() } else { one };
    let mut groups = Vec::new();
    for item in items {
        let Some(name) = item.text(problems) else { continue };
        if is_known(&name, names) {
            groups.push(name);
        } else {
            problems.error(&item.place, unknown_group(&name, names));
        }
    }
    groups
}

fn is_known(name: &str, names: &[&str]) -> bool {
    names.contains(&name)
}

fn unknown_group(name: &str, names: &[&str]) -> String {
    let name = name.escape_debug();
    match keys::nearest(&name.to_string(), names.iter().copied()) {
        Some(near) => format!("`{name}` is no model_name; did you mean `{}`?", near.escape_debug()),
        None => format!("`{name}` is no model_name of this configuration"),
    }
}

/// `{alias: group}` or `{alias: {model: group, hidden: true}}`.
fn aliases(node: &Node, names: &[&str], problems: &mut Problems) -> Vec<Alias> {
    if !matches!(node.content, Content::Mapping(_)) {
        problems.error(&node.place, format!("must be a mapping of aliases, not {}", node.kind()));
    }
    let mut aliases = Vec::new();
    for (name, node) in node.entries() {
        let (group, is_hidden) = match &node.content {
            Content::Mapping(_) => {
                let hidden = node.get("hidden").and_then(|node| node.flag(problems));
                (node.get("model").unwrap_or(node).text(problems), hidden.unwrap_or(false))
            }
            _ => (node.text(problems), false),
        };
        let Some(group) = group else { continue };
        if !is_known(&group, names) {
            problems.error(&node.place, unknown_group(&group, names));
        } else if group.contains('*') {
            problems.error(&node.place, "is an alias of a wildcard: an alias names one group");
        } else if is_known(name, names) {
            problems.warning(&node.place, "is a model_name already: the alias has no effect");
        } else {
            aliases.push(Alias { name: name.clone(), group, is_hidden });
        }
    }
    aliases
}
