//! Settings → snapshot: what the data plane needs, in the shape it needs it.

use std::{collections::HashMap, io, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::sync::mpsc::UnboundedSender;

use super::{
    admin,
    config::{self, OnClientDisconnect, OnFull, Origin, Settings, Source},
    groups::{self, Grouped},
    names::{DeploymentName, KeyName, MASTER_KEY_NAME, Names},
    passthrough, wildcards,
};
use crate::{
    bedrock::usage::Family,
    boundary::credential::CredentialCell,
    boundary::ledger::entry::KeyRef,
    boundary::snapshot::{Deployment, Endpoint, Pages, Snapshot, Timeouts, next_generation},
    policy::{
        auth::{ClientCredential, Keys},
        standing::Standing,
    },
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

    /// Of the credential that comes from there.
    pub fn credential(&mut self, origin: &Origin) -> Arc<Standing> {
        self.of(format!("credential {:x?}", origin.key()))
    }

    /// Of this endpoint.
    pub fn endpoint(&mut self, endpoint: &Endpoint) -> Arc<Standing> {
        self.of(format!("endpoint {}", endpoint.index))
    }
}

/// The credentials of a process: one for each origin, whoever uses it.
#[derive(Default)]
pub struct Credentials {
    cells: HashMap<[u8; 32], Arc<CredentialCell>>,
    /// Those that somebody must be asked for.
    pub renewable: Vec<Renewable>,
    /// Who asks, is told of those that come later.
    pub newcomers: Option<UnboundedSender<Renewable>>,
}

/// A credential that somebody is asked for.
#[derive(Clone)]
pub struct Renewable {
    /// Who.
    pub source: Source,
    /// Where it is put.
    pub cell: Arc<CredentialCell>,
    /// The ids of the deployments that use it now.
    pub users: Arc<ArcSwap<Vec<String>>>,
}

impl Credentials {
    /// The one that comes from there, for the deployment with this id.
    pub fn of(&mut self, origin: &Origin, user: &str) -> Arc<CredentialCell> {
        let known = self.cells.entry(origin.key()).or_insert_with(|| match origin {
            Origin::Fixed(credential) => Arc::new(CredentialCell::fixed(credential.clone())),
            Origin::Source(source) => {
                let cell = Arc::new(CredentialCell::renewable());
                let (source, users) = ((**source).clone(), Arc::default());
                let renewable = Renewable { source, cell: cell.clone(), users };
                if let Some(newcomers) = &self.newcomers {
                    let _ = newcomers.send(renewable.clone()); // or nobody asks any more
                }
                self.renewable.push(renewable);
                cell
            }
        });
        let cell = known.clone();
        let renewable = self.renewable.iter().find(|it| Arc::ptr_eq(&it.cell, &cell));
        if let Some(users) = renewable.map(|it| &it.users)
            && !users.load().iter().any(|known| known == user)
        {
            let mut more = (**users.load()).clone();
            more.push(user.to_owned());
            users.store(Arc::new(more));
        }
        cell
    }

    /// A new configuration says anew who uses what.
    fn forget_users(&self) {
        self.renewable.iter().for_each(|it| it.users.store(Arc::default()));
    }
}

/// What outlives a snapshot, and what snapshots name.
#[derive(Default)]
pub struct Lasting {
    /// What requests are signed with.
    pub credentials: Credentials,
    /// `/health/readiness`.
    pub ready: Arc<ArcSwap<Bytes>>,
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
    names.hold();
    lasting.credentials.forget_users();
    let served = entries.iter().chain(meant.iter().map(|meant| &meant.entry));
    let deployments: io::Result<Vec<_>> =
        served.map(|it| deployment(it, settings, lasting, names)).collect();
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
    let mut client_keys: Vec<KeyRef> = Vec::new();
    for client in &settings.client_credentials {
        let alias = client.access_key_id.clone();
        let api_key = format!("client_credential:{alias}");
        client_keys.push(names.add_key(&KeyName { api_key, alias })?);
    }
    let master = settings.master_key.as_ref().map(|key| key.expose());
    let mut clients = settings.client_credentials.clone();
    // Who has the key has its pair, too: `outcrop client-credentials` prints it.
    clients.extend(master.map(ClientCredential::derived));
    client_keys.extend(master.map(|_| key));
    names.settle()?;
    if lasting.ready.load().is_empty() {
        lasting.ready.store(Arc::new(admin::ready_page(&[])));
    }
    let router = &settings.router;
    Ok(Snapshot {
        generation: next_generation(),
        keys: Keys::new(master).with_clients(clients, settings.needs_verified_signature),
        client_keys,
        routes,
        groups,
        deployments,
        listed: settings.deployments.len(),
        request_timeout: Duration::from_millis(router.request_timeout_ms),
        fallbacks_max: router.fallbacks_max,
        first_frame_failover: router.first_frame_failover,
        pages: Pages { ready: lasting.ready.clone(), ..admin::pages(&listed) },
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
    lasting: &mut Lasting,
    names: &mut Names,
) -> io::Result<Deployment> {
    let place = &settings.endpoint;
    let mut deployment = Deployment::new(
        settings.id.clone(),
        settings.region.clone(),
        &settings.bedrock_model_id,
        &place.base_path,
        lasting.endpoints.of(place),
        lasting.credentials.of(&settings.credential, &settings.id),
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
