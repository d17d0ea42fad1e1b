//! What `outcrop check` prints: what was understood, deployment by deployment. Never a secret.

use std::fmt;

use super::settings::{CredentialSource, Deployment, DriverChoice, Loaded, Settings};
use crate::boundary::snapshot::Credential;

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
    let source = match deployment.credential_source {
        CredentialSource::Entry => "the entry's own",
        CredentialSource::Environment => "of the environment",
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
    writeln!(out, "request content  at most {} bytes", settings.max_request_bytes)?;
    writeln!(out, "driver           {driver}")?;
    writeln!(out, "shutdown grace   {} s", settings.shutdown_grace_s)?;
    match &settings.trusted_roots_file {
        Some(file) => writeln!(out, "trusted roots    Mozilla's, and {}", file.display()),
        None => writeln!(out, "trusted roots    Mozilla's"),
    }
}
