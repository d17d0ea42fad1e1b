//! `GET /health`: how each deployment stands, by the requests that it has had. No token is spent, unless
//! `probe=true` asks for a call of one token to each.
//!
//! The shape is LiteLLM's: `healthy_endpoints`, `unhealthy_endpoints`, and their counts. A deployment is
//! healthy if it may be asked and its last attempt did well, or if nobody has asked it yet.

use std::time::Duration;

use axum::{Json, extract::State, http::Uri};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::timeout};

use super::{desk::Desk, parameters::Parameters, probe, refusal::Refusal};
use crate::{
    boundary::snapshot::Snapshot,
    limits::{PROBES_AT_ONCE_MAX, PROBES_MS_MAX},
    net::clock,
    policy::{
        group::Member,
        standing::{StandingView, State as Standing},
    },
};

/// `GET /health?model=&model_id=&probe=true`.
pub(super) async fn health(State(desk): State<Desk>, uri: Uri) -> Result<Json<Value>, Refusal> {
    let parameters = Parameters::of(&uri, &["model", "model_id", "probe"])?;
    let flag = |value: &str| match value {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    };
    let probes = parameters.word("probe", flag, "true or false")?.unwrap_or(false);
    let (group, id) = (parameters.text("model"), parameters.text("model_id"));
    let snapshot = desk.published.newest();
    let wanted: Vec<_> = deployments(&snapshot)
        .into_iter()
        .filter(|(name, member)| {
            let its_id = &snapshot.deployments[member.deployment].id;
            // LiteLLM's `model` is either.
            group.is_none_or(|group| group == *name || group == its_id)
                && id.is_none_or(|id| id == its_id)
        })
        .collect();
    if wanted.is_empty() && (group.is_some() || id.is_some()) {
        return Err(Refusal::bad_request("No deployment of the model list is called so."));
    }
    let probed = if probes { probe_all(&desk, &snapshot, &wanted).await } else { Vec::new() };
    let (mut healthy, mut unhealthy) = (Vec::new(), Vec::new());
    for (at, (name, member)) in wanted.into_iter().enumerate() {
        let now_ms = clock::now_ms();
        let view = member.worst(now_ms);
        let deployment = &snapshot.deployments[member.deployment];
        let mut described = json!({
            "model": name,
            "model_id": deployment.id,
            "api_base": deployment.api_base,
            "aws_region_name": deployment.region,
            "state": word(&view),
            "cooldowns": view.cooldowns,
            "last_failure": view.last_failure.map(|(failure, at_ms)| json!({
                "failure": failure.word(), "seconds_ago": seconds(now_ms, at_ms),
            })),
            "last_success_seconds_ago":
                (view.last_success_ms > 0).then(|| seconds(now_ms, view.last_success_ms)),
        });
        if let Standing::Cooling { until_ms } = view.state {
            described["cooling_down_for_s"] =
                (until_ms.saturating_sub(now_ms).div_ceil(1000)).into();
        }
        let mut is_healthy = view.is_healthy();
        if let Some(probed) = probed.get(at) {
            described["probe"] = probed.described.clone();
            is_healthy = probed.is_good;
        }
        if is_healthy { &mut healthy } else { &mut unhealthy }.push(described);
    }
    let counts = (healthy.len(), unhealthy.len());
    Ok(Json(json!({
        "healthy_endpoints": healthy, "unhealthy_endpoints": unhealthy,
        "healthy_count": counts.0, "unhealthy_count": counts.1,
    })))
}

/// Each deployment once, with its group's name: the model list's in its order, wildcards among them, then what
/// `outcrop.passthrough` has.
fn deployments(snapshot: &Snapshot) -> Vec<(&str, &Member)> {
    let mut found: Vec<Option<(&str, &Member)>> = vec![None; snapshot.deployments.len()];
    for group in &snapshot.groups {
        for member in &group.members {
            let at = member.deployment;
            // Behind the list stands each model that a wildcard means, too, which stands as the wildcard does.
            if at < snapshot.listed || snapshot.deployments[at].is_of_service() {
                found[at].get_or_insert((&group.name, member));
            }
        }
    }
    found.into_iter().flatten().collect()
}

async fn probe_all(
    desk: &Desk,
    snapshot: &Snapshot,
    wanted: &[(&str, &Member)],
) -> Vec<probe::Probed> {
    let known = desk.known();
    let mut under_way = JoinSet::new();
    let mut results: Vec<Option<probe::Probed>> = wanted.iter().map(|_| None).collect();
    let limit = Duration::from_millis(PROBES_MS_MAX);
    let asking = async {
        for (at, (_, member)) in wanted.iter().enumerate() {
            if under_way.len() >= PROBES_AT_ONCE_MAX
                && let Some(Ok((at, probed))) = under_way.join_next().await
            {
                results[at] = Some(probed);
            }
            let (address, known) = (desk.address, known.clone());
            let deployment = &snapshot.deployments[member.deployment];
            if !deployment.is_of_model() {
                results[at] = Some(probe::Probed::of_no_model(&member.worst(clock::now_ms())));
                continue;
            }
            let id = deployment.id.clone();
            under_way.spawn(async move {
                let asked = known.models.asked(&id).unwrap_or_default();
                (at, probe::probe(address, known.master_key.as_ref(), (&id, asked)).await)
            });
        }
        while let Some(ended) = under_way.join_next().await {
            if let Ok((at, probed)) = ended {
                results[at] = Some(probed);
            }
        }
    };
    let _those_that_are_late_are_lost = timeout(limit, asking).await;
    results.into_iter().map(|it| it.unwrap_or_else(probe::Probed::lost)).collect()
}

fn word(view: &StandingView) -> &'static str {
    match view.state {
        Standing::Cooling { .. } => "cooling_down",
        Standing::HalfOpen | Standing::OnTrial { .. } => "on_trial",
        Standing::Well if view.fails_in_row > 0 => "failing",
        Standing::Well if view.last_success_ms == 0 => "not_asked_yet",
        Standing::Well => "well",
    }
}

fn seconds(now_ms: u64, at_ms: u64) -> u64 {
    now_ms.saturating_sub(at_ms) / 1000
}
