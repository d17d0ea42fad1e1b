//! Settings → snapshot: what the data plane needs, in the shape it needs it.

use std::{collections::HashMap, io, sync::Arc};

use super::{
    admin,
    config::{self, OnClientDisconnect, OnFull, Settings},
    names::{DeploymentName, KeyName, MASTER_KEY_NAME, Names},
};
use crate::{
    bedrock::usage::Family,
    boundary::ledger::entry::KeyRef,
    boundary::snapshot::{Deployment, Endpoint, Snapshot, next_generation},
    policy::{auth::Keys, balance::Group, route::Routes},
};

/// The endpoints of a process: one for each place, whoever names it, as long as the process lives.
#[derive(Default)]
pub struct Endpoints(Vec<Arc<Endpoint>>);

impl Endpoints {
    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[Arc<Endpoint>] {
        &self.0
    }

    fn of(&mut self, place: &config::Endpoint) -> Arc<Endpoint> {
        let same = |it: &&Arc<Endpoint>| {
            it.tls == place.tls && it.host == place.host && it.port == place.port
        };
        if let Some(known) = self.0.iter().find(same) {
            return known.clone();
        }
        let (host, authority) = (place.host.clone(), place.authority());
        let endpoint =
            Arc::new(Endpoint::new(self.0.len(), place.tls, host, place.port, authority));
        self.0.push(endpoint.clone());
        endpoint
    }
}

/// Makes a snapshot of checked settings. What ledger entries will refer to is named by then.
///
/// # Errors
/// When a name cannot be written down.
pub fn snapshot(
    settings: &Settings,
    endpoints: &mut Endpoints,
    names: &mut Names,
) -> io::Result<Snapshot> {
    let mut groups_named: Vec<&str> = Vec::new();
    let mut members: HashMap<&str, Vec<(usize, u64)>> = HashMap::new();
    for (index, deployment) in settings.deployments.iter().enumerate() {
        let name = deployment.model_name.as_str();
        let group = members.entry(name).or_default();
        if group.is_empty() {
            groups_named.push(name);
        }
        group.push((index, deployment.weight));
    }
    let pages = admin::pages(&groups_named);
    let groups = members.iter().map(|(name, members)| ((*name).to_owned(), Group::new(members)));
    let deployments: io::Result<Vec<_>> =
        settings.deployments.iter().map(|it| deployment(it, endpoints, names)).collect();
    let key = match &settings.master_key {
        Some(_) => names
            .add_key(&KeyName { api_key: MASTER_KEY_NAME.into(), alias: MASTER_KEY_NAME.into() })?,
        None => KeyRef::default(),
    };
    Ok(Snapshot {
        generation: next_generation(),
        keys: Keys::new(settings.master_key.as_ref().map(|key| key.expose())),
        routes: Routes::new(groups),
        deployments: deployments?,
        pages,
        content_bytes_max: settings.max_request_bytes,
        key,
        drains_abandoned: settings.accounting.on_client_disconnect == OnClientDisconnect::Drain,
        refuses_unaccounted: settings.accounting.on_full == OnFull::Refuse,
        metrics_need_key: settings.accounting.metrics_need_key,
    })
}

fn deployment(
    settings: &config::Deployment,
    endpoints: &mut Endpoints,
    names: &mut Names,
) -> io::Result<Deployment> {
    let place = &settings.endpoint;
    let mut deployment = Deployment::new(
        settings.id.clone(),
        settings.region.clone(),
        &settings.bedrock_model_id,
        &place.base_path,
        endpoints.of(place),
        settings.credential.clone(),
    );
    deployment.rate = settings.price.as_ref().ok().map(|priced| Box::new(priced.rate));
    if deployment.family == Family::Unknown {
        // An application profile does not say its model; what it is priced as does, or base_model.
        let key = settings.price.as_ref().ok().and_then(|priced| priced.rule.key.as_deref());
        let key = key.or(settings.base_model.as_deref());
        deployment.family = key.map_or(Family::Unknown, |key| {
            Family::of(key.rsplit_once('/').map_or(key, |(_region, id)| id))
        });
    }
    deployment.api_base = place.url();
    deployment.reference = names.add_deployment(&DeploymentName {
        id: settings.id.clone(),
        model_group: settings.model_name.clone(),
        model: settings.bedrock_model_id.clone(),
        region: settings.region.clone(),
        api_base: place.url(),
    })?;
    Ok(deployment)
}
