//! Settings → snapshot: what the data plane needs, in the shape it needs it.

use std::{collections::HashMap, sync::Arc};

use super::{
    admin,
    config::{self, Settings},
};
use crate::{
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

/// Makes a snapshot of checked settings.
#[must_use]
pub fn snapshot(settings: &Settings, endpoints: &mut Endpoints) -> Snapshot {
    let mut names: Vec<&str> = Vec::new();
    let mut members: HashMap<&str, Vec<(usize, u64)>> = HashMap::new();
    for (index, deployment) in settings.deployments.iter().enumerate() {
        let name = deployment.model_name.as_str();
        let group = members.entry(name).or_default();
        if group.is_empty() {
            names.push(name);
        }
        group.push((index, deployment.weight));
    }
    let pages = admin::pages(&names);
    let groups = members.iter().map(|(name, members)| ((*name).to_owned(), Group::new(members)));
    Snapshot {
        generation: next_generation(),
        keys: Keys::new(settings.master_key.as_ref().map(|key| key.expose())),
        routes: Routes::new(groups),
        deployments: settings.deployments.iter().map(|it| deployment(it, endpoints)).collect(),
        pages,
        content_bytes_max: settings.max_request_bytes,
        metrics_need_key: settings.accounting.metrics_need_key,
    }
}

fn deployment(settings: &config::Deployment, endpoints: &mut Endpoints) -> Deployment {
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
    deployment
}
