//! `general_settings`, `router_settings`, `litellm_settings` and `outcrop`.

use super::accounting;
use super::clients;
use super::document::{Content, Node};
use super::environment::Environment;
use super::keys;
use super::numbers::whole;
use super::passthrough;
use super::problem::Problems;
use super::read::flag;
use super::router;
use super::settings::{Deployment, DriverChoice, Settings};
use super::tls;
use crate::boundary::snapshot::Bounds;
use crate::limits;
use crate::secret::Secret;

const PERMIT: &str = "dangerously_permit_weak_or_unset_master_key";
const PERMIT_VARIABLE: &str = "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY";
const MASTER_KEY_VARIABLE: &str = "LITELLM_MASTER_KEY";
/// LiteLLM's MB.
const MB_BYTES: f64 = 1024.0 * 1024.0;
/// 1 TB: far above what AWS takes, far below what 64 bits hold.
const REQUEST_MB_MAX: f64 = 1024.0 * 1024.0;
/// A day.
const SHUTDOWN_GRACE_S_MAX: f64 = 86_400.0;

/// Everything but the deployments, which are given.
pub(super) fn read(
    root: &Node,
    deployments: Vec<Deployment>,
    environment: &Environment,
    problems: &mut Problems,
) -> Settings {
    keys::TOP.check(root, problems);
    let sections = [
        ("general_settings", keys::GENERAL_SETTINGS),
        ("router_settings", keys::ROUTER_SETTINGS),
        ("litellm_settings", keys::LITELLM_SETTINGS),
        ("outcrop", keys::OUTCROP),
    ];
    for (name, section) in sections {
        if let Some(node) = root.get(name) {
            section.check(node, problems);
        }
    }
    let value = |section: &str, key: &str| root.get(section).and_then(|section| section.get(key));
    let router = router::read(root, &deployments, problems);
    Settings {
        deployments,
        router,
        master_key: master_key(
            value("general_settings", "master_key"),
            root,
            environment,
            problems,
        ),
        permit_weak_master_key: permit(
            value("general_settings", PERMIT),
            root,
            environment,
            problems,
        ),
        driver: driver(value("outcrop", "driver"), problems),
        max_request_bytes: max_request_bytes(
            value("general_settings", "max_request_size_mb"),
            problems,
        ),
        trusted_roots_file: environment.filled("SSL_CERT_FILE").map(Into::into),
        tls: tls::read(root, value("outcrop", "tls"), environment, problems),
        bounds: bounds(&value, problems),
        shutdown_grace_s: shutdown_grace_s(value("outcrop", "shutdown_grace_s"), problems),
        price_map: None,
        accounting: accounting::read(root, environment, problems),
        client_credentials: clients::read(value("outcrop", "client_credentials"), problems),
        needs_verified_signature: value("outcrop", "require_verified_signature")
            .and_then(|node| node.flag(problems))
            .unwrap_or(false),
        passthrough: passthrough::read(root, environment, problems),
    }
}

fn master_key(
    node: Option<&Node>,
    root: &Node,
    environment: &Environment,
    problems: &mut Problems,
) -> Option<Secret> {
    if let Some(node) = node {
        if node.text(problems)?.is_empty() {
            problems.warning(&node.place, "is empty: taken as unset, any key is let in");
            return None;
        }
        return node.quoted_token(problems).map(Secret::new);
    }
    let key = environment.get(MASTER_KEY_VARIABLE)?;
    if key.is_empty() {
        let message = format!(
            "environment variable {MASTER_KEY_VARIABLE} is empty: taken as unset, any key is let in"
        );
        problems.warning(&root.place, message);
        return None;
    }
    if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        let message = format!(
            "environment variable {MASTER_KEY_VARIABLE} holds a byte that is no visible ASCII; set it anew"
        );
        problems.error(&root.place, message);
        return None;
    }
    Some(Secret::new(key.into()))
}

fn permit(
    node: Option<&Node>,
    root: &Node,
    environment: &Environment,
    problems: &mut Problems,
) -> bool {
    let by_key = node.and_then(|node| node.flag(problems)).unwrap_or(false);
    let by_variable = environment.get(PERMIT_VARIABLE).map(flag);
    if by_variable == Some(None) {
        problems.error(
            &root.place,
            format!("environment variable {PERMIT_VARIABLE} must be true or false"),
        );
    }
    by_key || by_variable.flatten().unwrap_or(false)
}

fn driver(node: Option<&Node>, problems: &mut Problems) -> DriverChoice {
    let Some(node) = node else { return DriverChoice::default() };
    match &node.content {
        Content::Text(name) if name == "auto" => return DriverChoice::Auto,
        Content::Text(name) if name == "io_uring" => return DriverChoice::IoUring,
        Content::Text(name) if name == "epoll" => return DriverChoice::Epoll,
        Content::Missing => {}
        _ => problems.error(&node.place, "must be auto, io_uring or epoll"),
    }
    DriverChoice::default()
}

fn max_request_bytes(node: Option<&Node>, problems: &mut Problems) -> u64 {
    let default = limits::CONTENT_MB_MAX_DEFAULT * 1024 * 1024;
    let Some(node) = node else { return default };
    let Some(mb) = node.amount(problems) else { return default };
    let bytes = (mb * MB_BYTES).floor();
    if bytes < 1.0 || mb > REQUEST_MB_MAX {
        problems.error(&node.place, "must be above 0 and at most 1048576 (MB)");
        return default;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 1 to 2^40, whole"
    )]
    let bytes = bytes as u64;
    bytes
}

/// How much a core takes on at once; 0 stands for no bound where there may be none.
fn bounds<'n>(value: &impl Fn(&str, &str) -> Option<&'n Node>, problems: &mut Problems) -> Bounds {
    let mut bounds = Bounds::default();
    let mut number = |section: &str, key: &str, least: u64| {
        let node = value(section, key)?;
        let number = whole(node, limits::BOUND_MAX, problems)?;
        if number < least {
            problems.error(&node.place, format!("must be at least {least}"));
            return None;
        }
        Some(number)
    };
    let some = |number: Option<u64>| number.filter(|number| *number > 0);
    bounds.in_flight_max = some(number("general_settings", "max_in_flight_requests_per_worker", 0));
    bounds.requests_per_connection_max = some(number("outcrop", "max_requests_per_connection", 0));
    if let Some(max) = number("outcrop", "max_connections_per_worker", 1) {
        bounds.connections_max = max;
    }
    if let Some(mb) = number("outcrop", "max_content_in_flight_mb_per_worker", 1) {
        bounds.content_bytes_max = mb * 1024 * 1024;
    }
    bounds
}

fn shutdown_grace_s(node: Option<&Node>, problems: &mut Problems) -> u64 {
    let default = limits::SHUTDOWN_GRACE_MS / 1000;
    let Some(node) = node else { return default };
    let Some(seconds) = node.amount(problems) else { return default };
    if seconds.fract() > 0.0 || seconds > SHUTDOWN_GRACE_S_MAX {
        problems.error(&node.place, "must be a whole number of seconds, at most 86400");
        return default;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 0 to 86,400, whole"
    )]
    let seconds = seconds as u64;
    seconds
}
