//! How requests are accounted for: ledger, store, access log, metrics.

use std::path::{Path, PathBuf};

use super::database;
use super::document::{Content, Node};
use super::environment::Environment;
use super::keys;
use super::problem::Problems;
use super::read::flag;
use super::settings::{AccessLog, Accounting, OnClientDisconnect, OnFull};
use crate::limits::{LEDGER_SYNC_MS_MAX, LEDGER_SYNC_MS_MIN, RETENTION_S_MAX};
use crate::secret::Secret;

const DATABASE_VARIABLE: &str = "DATABASE_URL";
const JSON_LOGS_VARIABLE: &str = "JSON_LOGS";

/// All of it; the sections themselves are checked by who calls.
pub(super) fn read(root: &Node, environment: &Environment, problems: &mut Problems) -> Accounting {
    let value = |section: &str, key: &str| root.get(section).and_then(|section| section.get(key));
    let ledger = value("outcrop", "ledger");
    if let Some(ledger) = ledger {
        keys::LEDGER.check(ledger, problems);
    }
    let ledger = |key: &str| ledger.and_then(|ledger| ledger.get(key));
    for key in ["callbacks", "success_callback", "failure_callback"] {
        if let Some(node) = value("litellm_settings", key) {
            check_callbacks(node, problems);
        }
    }
    let folder = root.place.file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut to = Accounting::in_folder(folder.unwrap_or(Path::new(".")).to_owned());
    if let Some(path) = value("outcrop", "data_dir").and_then(|node| path(node, problems)) {
        to.data_dir = path;
    }
    set(&mut to.enabled, ledger("enabled").and_then(|node| node.flag(problems)));
    let on_full = [("serve", OnFull::Serve), ("refuse", OnFull::Refuse)];
    set(&mut to.on_full, ledger("on_full").and_then(|node| choice(node, on_full, problems)));
    if let (false, OnFull::Refuse, Some(node)) = (to.enabled, to.on_full, ledger("on_full")) {
        let message = "has no effect while outcrop.ledger.enabled is false: all is served, and nothing recorded";
        problems.warning(&node.place, message);
    }
    set(&mut to.sync_ms, ledger("sync_ms").and_then(|node| sync_ms(node, problems)));
    let on_leave = [("cancel", OnClientDisconnect::Cancel), ("drain", OnClientDisconnect::Drain)];
    let node = value("outcrop", "on_client_disconnect");
    set(&mut to.on_client_disconnect, node.and_then(|node| choice(node, on_leave, problems)));
    let node = value("outcrop", "access_log");
    set(&mut to.access_log, node.and_then(|node| access_log(node, problems)));
    let node = value("litellm_settings", "json_logs");
    set(&mut to.json_logs, json_logs(node, root, environment, problems));
    let node = value("general_settings", "database_url");
    to.database_url = database_url(node, root, environment, problems);
    let node = value("general_settings", "disable_spend_logs");
    set(&mut to.disable_spend_logs, node.and_then(|node| node.flag(problems)));
    let node = value("general_settings", "maximum_spend_logs_retention_period");
    to.retention_s = node.and_then(|node| retention_s(node, problems));
    let node = value("litellm_settings", "require_auth_for_metrics_endpoint");
    set(&mut to.metrics_need_key, node.and_then(|node| node.flag(problems)));
    to
}

/// What is not said stays at its default.
fn set<T>(place: &mut T, said: Option<T>) {
    if let Some(said) = said {
        *place = said;
    }
}

/// LiteLLM's users ask for `/metrics` by this callback; here it is always on.
fn check_callbacks(node: &Node, problems: &mut Problems) {
    let one = std::slice::from_ref(node);
    let items = if let Content::List(items) = &node.content { items.as_slice() } else { one };
    for item in items {
        if !matches!(&item.content, Content::Text(name) if name == "prometheus")
            && !matches!(item.content, Content::Missing)
        {
            let message = "LiteLLM's callbacks are not honoured by this version of Outcrop, other than \
                           `prometheus`, whose /metrics is always there";
            problems.warning(&item.place, message);
        }
    }
}

/// Relative to the file that names it.
fn path(node: &Node, problems: &mut Problems) -> Option<PathBuf> {
    let name = node.line_of_text(problems)?;
    let folder = node.place.file.parent().unwrap_or(Path::new(""));
    Some(folder.join(name))
}

fn choice<T: Copy, const N: usize>(
    node: &Node,
    words: [(&str, T); N],
    problems: &mut Problems,
) -> Option<T> {
    let text = match &node.content {
        Content::Text(text) => Some(text.as_str()),
        Content::Missing => return None,
        _ => None,
    };
    let found = words.iter().find(|(word, _)| text == Some(*word));
    if found.is_none() {
        let words = words.map(|(word, _)| word).join(" or ");
        problems.error(&node.place, format!("must be {words}"));
    }
    found.map(|(_, choice)| *choice)
}

fn sync_ms(node: &Node, problems: &mut Problems) -> Option<u64> {
    let amount = node.amount(problems)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast of a float saturates, and 0 is no value that we take"
    )]
    let whole = if amount.fract() > 0.0 { 0 } else { amount as u64 };
    if (LEDGER_SYNC_MS_MIN..=LEDGER_SYNC_MS_MAX).contains(&whole) {
        return Some(whole);
    }
    problems.error(
        &node.place,
        format!(
            "must be a whole number of milliseconds, from {LEDGER_SYNC_MS_MIN} to {LEDGER_SYNC_MS_MAX}"
        ),
    );
    None
}

fn access_log(node: &Node, problems: &mut Problems) -> Option<AccessLog> {
    match &node.content {
        Content::Bool(false) => return Some(AccessLog::Off), // `off`, to YAML 1.1
        Content::Text(word) if word == "auto" => return Some(AccessLog::Auto),
        Content::Text(word) if word == "off" => return Some(AccessLog::Off),
        Content::Text(word) if word == "stdout" => return Some(AccessLog::Stdout),
        _ => {}
    }
    path(node, problems).map(AccessLog::File)
}

fn json_logs(
    node: Option<&Node>,
    root: &Node,
    environment: &Environment,
    problems: &mut Problems,
) -> Option<bool> {
    if let Some(node) = node {
        return node.flag(problems);
    }
    let said = flag(environment.filled(JSON_LOGS_VARIABLE)?);
    if said.is_none() {
        let message = format!("environment variable {JSON_LOGS_VARIABLE} must be true or false");
        problems.error(&root.place, message);
    }
    said
}

fn database_url(
    node: Option<&Node>,
    root: &Node,
    environment: &Environment,
    problems: &mut Problems,
) -> Option<Secret> {
    if let Some(node) = node {
        let url = node.token(problems)?;
        if let Err(error) = database::judge(&url) {
            problems.error(&node.place, error);
            return None;
        }
        return Some(Secret::new(url));
    }
    let url = environment.filled(DATABASE_VARIABLE)?;
    if let Err(error) = database::judge(url) {
        let message = format!("environment variable {DATABASE_VARIABLE} {error}");
        problems.error(&root.place, message);
        return None;
    }
    Some(Secret::new(url.to_owned()))
}

/// LiteLLM's duration strings: a whole number, and `s`, `m`, `h`, `d`, `w` or `mo`.
fn retention_s(node: &Node, problems: &mut Problems) -> Option<u64> {
    const MONTH_S: u64 = 31 * 86_400; // no row goes early, however long the month
    const UNITS: [(&str, u64); 6] =
        [("mo", MONTH_S), ("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400), ("w", 604_800)];
    let text = node.text(problems)?;
    let text = text.trim();
    let seconds = UNITS.iter().find_map(|(unit, seconds)| {
        let digits = text.strip_suffix(unit)?;
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        let count = if is_number { digits.parse::<u64>().ok()? } else { return None };
        count.checked_mul(*seconds)
    });
    let seconds = seconds.filter(|seconds| (1..=RETENTION_S_MAX).contains(seconds));
    if seconds.is_none() {
        let years = RETENTION_S_MAX / (366 * 86_400);
        let message = format!(
            "must be a whole number above 0 and a unit, s, m, h, d, w or mo, such as `30d`; at most {years} years"
        );
        problems.error(&node.place, message);
    }
    seconds
}
