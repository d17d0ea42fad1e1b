//! What `outcrop check` prints: what was understood, deployment by deployment. Never a secret.

use std::fmt;

use super::database;
use super::settings::{
    AccessLog, Accounting, CredentialSource, Deployment, DriverChoice, Loaded, OnClientDisconnect,
    OnFull, Passthrough, Router, Settings,
};
use super::source::Origin;
use crate::bedrock::failure::Class;
use crate::bedrock::operation::Action;
use crate::boundary::snapshot::{Bounds, Credential};

/// An id shorter than this would be shown nearly whole by its two ends.
const SHOWN_KEY_ID_BYTES_MIN: usize = 16;

/// Writes group by group, deployment by deployment, the settings, then the warnings.
///
/// # Errors
/// Those of `out`.
pub fn explain(loaded: &Loaded, out: &mut impl fmt::Write) -> fmt::Result {
    let deployments = &loaded.settings.deployments;
    let mut groups: Vec<(&str, Vec<&Deployment>)> = Vec::new();
    for deployment in deployments {
        let name = deployment.model_name.as_str();
        match groups.iter_mut().find(|(group, _)| *group == name) {
            Some((_, members)) => members.push(deployment),
            None => groups.push((name, vec![deployment])),
        }
    }
    for (name, members) in &groups {
        writeln!(out, "{name}")?;
        let total: u128 = members.iter().map(|member| u128::from(member.weight)).sum();
        for member in members {
            explain_deployment(member, share(member.weight, total, members.len()), out)?;
        }
        writeln!(out)?;
    }
    explain_settings(&loaded.settings, out)?;
    explain_router(&loaded.settings.router, out)?;
    explain_passthrough(loaded.settings.passthrough.as_ref(), out)?;
    let (groups, deployments, warnings) = (groups.len(), deployments.len(), loaded.warnings.len());
    writeln!(out, "\ngroups: {groups}, deployments: {deployments}, warnings: {warnings}")?;
    for warning in &loaded.warnings {
        writeln!(out, "{warning}")?;
    }
    Ok(())
}

/// Percent of the group's requests. When all weigh nothing, all are picked alike.
#[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
fn share(weight: u64, total: u128, members: usize) -> f64 {
    if total == 0 { 100.0 / members as f64 } else { 100.0 * weight as f64 / total as f64 }
}

fn explain_deployment(
    deployment: &Deployment,
    percent: f64,
    out: &mut impl fmt::Write,
) -> fmt::Result {
    let Deployment { id, bedrock_model_id, region, endpoint, credential, file, line, .. } =
        deployment;
    writeln!(out, "  {id}  ({}:{line})", file.display())?;
    writeln!(out, "    share       {percent:.1} %")?;
    writeln!(out, "    model       {bedrock_model_id}")?;
    writeln!(out, "    region      {region}")?;
    writeln!(out, "    endpoint    {}", endpoint.url())?;
    match &deployment.price {
        Ok(priced) => writeln!(out, "    price       {}", priced.rule)?,
        Err(reason) => writeln!(out, "    price       unknown: {reason}")?,
    }
    explain_credential(credential, deployment.credential_source, out)
}

/// Where what the model list does not serve goes.
fn explain_passthrough(
    passthrough: Option<&Passthrough>,
    out: &mut impl fmt::Write,
) -> fmt::Result {
    let Some(passthrough) = passthrough else {
        return writeln!(out, "passthrough      off: operations without a model are refused");
    };
    let why = if passthrough.is_by_variable { ", since AWS_REGION_NAME is set" } else { "" };
    writeln!(out, "passthrough      {}{why}", passthrough.region)?;
    for endpoint in &passthrough.endpoints {
        writeln!(out, "    endpoint    {}", endpoint.url())?;
    }
    explain_credential(&passthrough.credential, passthrough.credential_source, out)?;
    let allowed = Action::ALL.iter().filter(|action| passthrough.allowed.has(**action));
    let names: Vec<_> = allowed.map(|action| action.name()).collect();
    if names.len() == Action::ALL.len() {
        writeln!(out, "    operations  all without a model")?;
    } else {
        writeln!(out, "    operations  {}", names.join(", "))?;
    }
    if passthrough.takes_models {
        writeln!(out, "    models      all that are not in the model list, too")?;
    }
    if passthrough.takes_unlisted_paths {
        writeln!(
            out,
            "    paths       all that this version does not know, too, to bedrock-runtime"
        )?;
    }
    Ok(())
}

fn explain_credential(
    credential: &Origin,
    source: CredentialSource,
    out: &mut impl fmt::Write,
) -> fmt::Result {
    let source = match source {
        CredentialSource::Entry => "the entry's own",
        CredentialSource::Environment => "of the environment",
    };
    let credential = match credential {
        Origin::Fixed(credential) => credential,
        Origin::Source(of) => return writeln!(out, "    credential  temporary, {of}, {source}"),
    };
    match credential {
        Credential::ApiKey(_) => writeln!(out, "    credential  Bedrock API key, {source}"),
        Credential::SigV4 { access_key_id, session_token, .. } => {
            let temporary = if session_token.is_some() { " with session token" } else { "" };
            writeln!(out, "    credential  access key{}{temporary}, {source}", shown(access_key_id))
        }
    }
}

/// ` AKIA…MPLE`: enough to tell keys apart.
fn shown(access_key_id: &str) -> String {
    let bytes = access_key_id.len();
    match (access_key_id.get(..4), access_key_id.get(bytes.saturating_sub(4)..)) {
        (Some(first), Some(last)) if bytes >= SHOWN_KEY_ID_BYTES_MIN => format!(" {first}…{last}"),
        _ => String::new(),
    }
}

/// What happens to a request beyond its first attempt.
fn explain_router(router: &Router, out: &mut impl fmt::Write) -> fmt::Result {
    #[expect(clippy::cast_precision_loss, reason = "days of milliseconds")]
    let seconds = |ms: u64| format!("{} s", ms as f64 / 1000.0);
    writeln!(out, "strategy         {}", router.strategy.name())?;
    let retries = router.retries.any;
    write!(out, "retries          {retries} in a group")?;
    let of_class = Class::ALL.iter().zip(router.retries.by_class);
    for (class, retries) in of_class.filter_map(|(class, it)| Some((class.name(), it?))) {
        write!(out, ", {retries} after {class}")?;
    }
    writeln!(out)?;
    let timeout = router.timeout_ms.unwrap_or(crate::limits::ANSWER_IDLE_MS_MAX);
    write!(out, "time-outs        {} to an answer's head", seconds(timeout))?;
    if let Some(ms) = router.stream_timeout_ms {
        write!(out, ", {} for a stream and between its bytes", seconds(ms))?;
    }
    writeln!(out, ", {} in all", seconds(router.request_timeout_ms))?;
    let cool_downs = &router.cool_downs;
    match (router.disable_cool_downs || cool_downs.time_ms == 0, cool_downs.allowed) {
        (true, _) => writeln!(out, "cool-downs       none")?,
        (false, Some(allowed)) => writeln!(
            out,
            "cool-downs       {}, after more than {allowed} failures in a minute",
            seconds(cool_downs.time_ms)
        )?,
        (false, None) => writeln!(out, "cool-downs       {}", seconds(cool_downs.time_ms))?,
    }
    for (group, fallbacks) in &router.fallbacks {
        writeln!(out, "fallbacks        {group} → {}", fallbacks.join(", "))?;
    }
    if !router.default_fallbacks.is_empty() {
        writeln!(out, "fallbacks        * → {}", router.default_fallbacks.join(", "))?;
    }
    for alias in &router.aliases {
        let hidden = if alias.is_hidden { ", not listed" } else { "" };
        writeln!(out, "alias            {} is {}{hidden}", alias.name, alias.group)?;
    }
    Ok(())
}

fn explain_settings(settings: &Settings, out: &mut impl fmt::Write) -> fmt::Result {
    let master_key = match settings.master_key {
        Some(_) => "set",
        None => "not set: any key is let in",
    };
    let driver = match settings.driver {
        DriverChoice::Auto => "auto",
        DriverChoice::IoUring => "io_uring",
        DriverChoice::Epoll => "epoll",
    };
    writeln!(out, "master key       {master_key}")?;
    if settings.permit_weak_master_key {
        writeln!(out, "                 a weak or unset one is permitted on any host")?;
    }
    for client in &settings.client_credentials {
        writeln!(out, "client           {} signs, and is checked", client.access_key_id)?;
    }
    if settings.needs_verified_signature {
        writeln!(out, "signatures       of client credentials and the master key's pair alone")?;
    }
    writeln!(out, "request content  at most {} bytes", settings.max_request_bytes)?;
    let Bounds { connections_max, in_flight_max, content_bytes_max, requests_per_connection_max } =
        settings.bounds;
    let mb = content_bytes_max / (1024 * 1024);
    write!(out, "of a worker      {connections_max} connections, {mb} MB of content under way")?;
    if let Some(max) = in_flight_max {
        write!(out, ", {max} requests under way")?;
    }
    if let Some(max) = requests_per_connection_max {
        write!(out, "; {max} requests on a connection")?;
    }
    writeln!(out)?;
    match &settings.tls {
        None => writeln!(out, "clients          in plain text, HTTP/1.1 and HTTP/2")?,
        Some(files) => {
            write!(out, "clients          through TLS, with {}", files.certificate.display())?;
            if let Some(path) = &files.client_ca {
                write!(out, "; they show a certificate of {}", path.display())?;
            }
            writeln!(out)?;
        }
    }
    writeln!(out, "driver           {driver}")?;
    writeln!(out, "shutdown grace   {} s", settings.shutdown_grace_s)?;
    match &settings.trusted_roots_file {
        Some(file) => writeln!(out, "trusted roots    Mozilla's, and {}", file.display())?,
        None => writeln!(out, "trusted roots    Mozilla's")?,
    }
    explain_accounting(&settings.accounting, out)
}

fn explain_accounting(accounting: &Accounting, out: &mut impl fmt::Write) -> fmt::Result {
    let on_full = match accounting.on_full {
        OnFull::Serve => "serves on and counts what is lost",
        OnFull::Refuse => "answers 503",
    };
    let on_leave = match accounting.on_client_disconnect {
        OnClientDisconnect::Cancel => "upstream is told to stop",
        OnClientDisconnect::Drain => "the answer is read on to its usage",
    };
    writeln!(out, "data folder      {}", accounting.data_dir.display())?;
    if accounting.enabled {
        let every = accounting.sync_ms;
        writeln!(
            out,
            "ledger           on disk every {every} ms; if it is full, Outcrop {on_full}"
        )?;
    } else {
        writeln!(out, "ledger           off: nothing is accounted for")?;
    }
    writeln!(out, "client leaves    {on_leave}")?;
    match &accounting.database_url {
        Some(url) => writeln!(out, "store            {}", database::shown(url.expose()))?,
        None => {
            let file = accounting.data_dir.join("outcrop.db");
            writeln!(out, "store            SQLite, {}", file.display())?;
        }
    }
    match accounting.retention_s {
        _ if accounting.disable_spend_logs => writeln!(out, "spend rows       none, sums alone")?,
        None => writeln!(out, "spend rows       one per request, kept for ever")?,
        Some(seconds) => {
            writeln!(out, "spend rows       one per request, kept {}", duration(seconds))?;
        }
    }
    let form = if accounting.json_logs { "JSON" } else { "as text on a terminal, else JSON" };
    match &accounting.access_log {
        AccessLog::Auto if accounting.json_logs => writeln!(out, "access log       stdout, JSON")?,
        AccessLog::Auto => writeln!(out, "access log       stdout if that is a terminal, as text")?,
        AccessLog::Off => writeln!(out, "access log       off")?,
        AccessLog::Stdout => writeln!(out, "access log       stdout, {form}")?,
        AccessLog::File(path) => writeln!(out, "access log       {}, JSON", path.display())?,
    }
    let who = if accounting.metrics_need_key { "those with a key" } else { "everybody" };
    writeln!(out, "metrics          for {who}")
}

/// In the largest unit that divides it.
fn duration(seconds: u64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let unit = units.into_iter().find(|(unit, _)| seconds.is_multiple_of(*unit));
    let (unit, name) = unit.unwrap_or((1, "s"));
    format!("{} {name}", seconds / unit)
}
