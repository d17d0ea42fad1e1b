//! `outcrop.passthrough` → one deployment and one group for each of Bedrock's services.

use std::io;

use super::{
    config::{Passthrough, Settings},
    names::{DeploymentName, Names},
    prepare::Lasting,
};
use crate::{
    bedrock::operation::Service,
    boundary::snapshot::Deployment,
    policy::{
        group::{CoolDowns, Group, Limits, Member, Retries},
        route,
    },
};

/// What these deployments' group is called.
const GROUP: &str = "passthrough";

/// The id of the deployment for this place of [`Service::ALL`].
#[must_use]
pub fn id(place: usize) -> String {
    format!("{GROUP}/{}", Service::ALL[place].name())
}

/// Appends the deployments, and says where they are.
///
/// # Errors
/// When a name cannot be written down.
pub fn add(
    settings: &Settings,
    lasting: &mut Lasting,
    names: &mut Names,
    (deployments, groups): (&mut Vec<Deployment>, &mut Vec<Group>),
) -> io::Result<Option<route::Passthrough>> {
    let Some(passthrough) = &settings.passthrough else { return Ok(None) };
    let mut places = [0; Service::ALL.len()];
    for (at, place) in places.iter_mut().enumerate() {
        deployments.push(deployment(at, passthrough, lasting, names)?);
        *place = groups.len();
        groups.push(group(deployments, settings, lasting));
    }
    let (allowed, takes_unlisted_paths) = (passthrough.allowed, passthrough.takes_unlisted_paths);
    Ok(Some(route::Passthrough { groups: places, allowed, takes_unlisted_paths }))
}

fn deployment(
    at: usize,
    passthrough: &Passthrough,
    lasting: &mut Lasting,
    names: &mut Names,
) -> io::Result<Deployment> {
    let (place, region) = (&passthrough.endpoints[at], &passthrough.region);
    let endpoint = lasting.endpoints.of(place);
    let credential = passthrough.credential.clone();
    let base_path = &place.base_path;
    let mut deployment =
        Deployment::service(id(at), region.clone(), base_path, endpoint, credential);
    deployment.api_base = place.url();
    deployment.reference = names.add_deployment(&DeploymentName {
        id: id(at),
        model_group: GROUP.to_owned(),
        model: String::new(),
        region: region.clone(),
        api_base: place.url(),
    })?;
    Ok(deployment)
}

/// Of the last deployment alone. Nothing is tried again here: what a second try of such an operation does,
/// only its client knows.
fn group(deployments: &[Deployment], settings: &Settings, lasting: &mut Lasting) -> Group {
    let at = deployments.len() - 1;
    let made = &deployments[at];
    let member = Member {
        deployment: at,
        weight: 1,
        order: u32::MAX,
        cost: None,
        limits: Limits::default(),
        standing: lasting.standings.deployment(&made.id),
        credential: lasting.standings.credential(&made.credential),
        endpoint: lasting.standings.endpoint(&made.endpoint),
        cool_down: CoolDowns { time_ms: 0, allowed: None, by_class: Default::default() },
    };
    Group {
        name: GROUP.to_owned(),
        members: vec![member],
        strategy: settings.router.strategy,
        retries: Retries::default(),
        retry_after_ms: 0,
        fallbacks: Vec::new(),
        weighted_failover: false,
    }
}
