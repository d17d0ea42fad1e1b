//! Settings → snapshot: what the data plane needs, in the shape it needs it.

use std::{collections::HashMap, io, sync::Arc, time::Duration};

use ring::digest::{Context, SHA256};

use super::{
    admin,
    config::{self, OnClientDisconnect, OnFull, Settings},
    groups::{self, Grouped},
    names::{DeploymentName, KeyName, MASTER_KEY_NAME, Names},
    passthrough, wildcards,
};
use crate::{
    bedrock::usage::Family,
    boundary::ledger::entry::KeyRef,
    boundary::snapshot::{Credential, Deployment, Endpoint, Snapshot, Timeouts, next_generation},
    policy::{auth::Keys, standing::Standing},
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

    /// The one for this place.
    pub fn of(&mut self, place: &config::Endpoint) -> Arc<Endpoint> {
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

/// How deployments, credentials and endpoints stand: as long as the process lives, whatever is configured.
#[derive(Default)]
pub struct Standings(HashMap<String, Arc<Standing>>);

impl Standings {
    fn of(&mut self, name: String) -> Arc<Standing> {
        let slot = self.0.len();
        self.0.entry(name).or_insert_with(|| Arc::new(Standing::new(slot))).clone()
    }

    /// Of the deployment with this id.
    pub fn deployment(&mut self, id: &str) -> Arc<Standing> {
        self.of(format!("deployment {id}"))
    }

    /// Of this credential.
    pub fn credential(&mut self, credential: &Credential) -> Arc<Standing> {
        let mut hash = Context::new(&SHA256);
        let parts = match credential {
            Credential::SigV4 { access_key_id, secret_access_key, session_token } => [
                access_key_id.as_str(),
                secret_access_key.expose(),
                session_token.as_ref().map_or("", |token| token.expose()),
            ],
            Credential::ApiKey(key) => ["", "", key.expose()],
        };
        for part in parts {
            hash.update(part.as_bytes());
            hash.update(b"\0");
        }
        self.of(format!("credential {:x?}", hash.finish().as_ref()))
    }

    /// Of this endpoint.
    pub fn endpoint(&mut self, endpoint: &Endpoint) -> Arc<Standing> {
        self.of(format!("endpoint {}", endpoint.index))
    }
}

/// What outlives a snapshot, and what snapshots name.
#[derive(Default)]
pub struct Lasting {
    /// Places to connect to.
    pub endpoints: Endpoints,
    /// How all stand.
    pub standings: Standings,
}

/// Makes a snapshot of checked settings. What ledger entries will refer to is named by then.
///
/// # Errors
/// When a name cannot be written down.
pub fn snapshot(
    settings: &Settings,
    lasting: &mut Lasting,
    names: &mut Names,
) -> io::Result<Snapshot> {
    let entries = wildcards::entries(settings);
    let meant = wildcards::meant(&entries, settings);
    let endpoints = &mut lasting.endpoints;
    names.hold();
    let served = entries.iter().chain(meant.iter().map(|meant| &meant.entry));
    let deployments: io::Result<Vec<_>> =
        served.map(|it| deployment(it, settings, endpoints, names)).collect();
    let mut deployments = deployments?;
    let Grouped { mut groups, routes, listed } =
        groups::group(settings, (&entries, &meant), &deployments, &mut lasting.standings);
    let made = (&mut deployments, &mut groups);
    let passthrough = passthrough::add(settings, lasting, names, made)?;
    let routes = routes.with_passthrough(passthrough);
    let key = match &settings.master_key {
        Some(_) => names
            .add_key(&KeyName { api_key: MASTER_KEY_NAME.into(), alias: MASTER_KEY_NAME.into() })?,
        None => KeyRef::default(),
    };
    names.settle()?;
    let router = &settings.router;
    Ok(Snapshot {
        generation: next_generation(),
        keys: Keys::new(settings.master_key.as_ref().map(|key| key.expose())),
        routes,
        groups,
        deployments,
        listed: settings.deployments.len(),
        request_timeout: Duration::from_millis(router.request_timeout_ms),
        fallbacks_max: router.fallbacks_max,
        first_frame_failover: router.first_frame_failover,
        pages: admin::pages(&listed),
        content_bytes_max: settings.max_request_bytes,
        bounds: settings.bounds,
        key,
        drains_abandoned: settings.accounting.on_client_disconnect == OnClientDisconnect::Drain,
        refuses_unaccounted: settings.accounting.on_full == OnFull::Refuse,
        metrics_need_key: settings.accounting.metrics_need_key,
    })
}

fn deployment(
    settings: &config::Deployment,
    all: &Settings,
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
    let (own, router) = (&settings.own, &all.router);
    let defaults = Timeouts::default();
    let millis = Duration::from_millis;
    deployment.timeouts = Timeouts {
        head: own.timeout_ms.or(router.timeout_ms).map_or(defaults.head, millis),
        stream: own.stream_timeout_ms.or(router.stream_timeout_ms).map(millis),
        idle: defaults.idle,
    };
    deployment.reference = names.add_deployment(&DeploymentName {
        id: settings.id.clone(),
        model_group: settings.model_name.clone(),
        model: settings.bedrock_model_id.clone(),
        region: settings.region.clone(),
        api_base: place.url(),
    })?;
    Ok(deployment)
}
