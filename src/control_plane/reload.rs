//! SIGHUP: the configuration is read again, and takes effect while all goes on; or it holds an error, and
//! nothing changes.
//!
//! ```text
//!   files ── load ──▶ Settings ─┬─ an error: told with file, line and key; the former stays in force
//!                               └─ names ─▶ disk ─▶ readers      an entry's names are there before the entry
//!                                  certificates                  new connections
//!                                  new endpoints resolved        so that their first request need not fail
//!                                  Snapshot published            requests under way keep theirs
//! ```
//!
//! What outlives a snapshot (endpoints, standings) keeps its places: pools, cool-downs and limits go on.
//! It grows by what is new, and shrinks with the process: some hundred bytes for each endpoint, deployment
//! id or credential that was ever configured.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::time::{sleep, timeout};

use super::{
    admin::Knowledge,
    bind, certificates,
    config::{self, Environment, Settings},
    names::SharedNames,
    prepare::{self, Lasting},
    resolver,
};
use crate::{
    boundary::{
        counters::CoreReader,
        orders::Orders,
        snapshot::{Endpoint, Published},
    },
    limits::{RELOAD_SEEN_MS_MAX, RESOLVE_AT_START_MS_MAX, TICK_MS},
    net::{clock, tls::Certificates},
};

/// Where the configuration is read from, at start and at each SIGHUP.
#[derive(Clone, Debug)]
pub struct Source {
    /// The file.
    pub path: PathBuf,
    /// A process's never changes from outside.
    pub environment: Environment,
}

/// How reloads went: for metrics.
#[derive(Debug)]
pub struct Reloads {
    taken: AtomicU64,
    refused: AtomicU64,
    is_last_ok: AtomicBool,
    in_force_since: AtomicU64,
}

/// [`Reloads`] at one moment.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ReloadCounts {
    /// Reloads that took effect.
    pub taken: u64,
    /// Reloads that found an error, and changed nothing.
    pub refused: u64,
    /// Whether the files, when they were last read, held no error.
    pub is_last_ok: bool,
    /// Since when what is in force is, in seconds since 1970.
    pub in_force_since: u64,
}

impl Default for Reloads {
    /// As after a start.
    fn default() -> Self {
        Self {
            taken: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            is_last_ok: AtomicBool::new(true),
            in_force_since: AtomicU64::new(clock::unix_now().0),
        }
    }
}

impl Reloads {
    /// As they are now.
    #[must_use]
    pub fn counts(&self) -> ReloadCounts {
        ReloadCounts {
            taken: self.taken.load(Relaxed),
            refused: self.refused.load(Relaxed),
            is_last_ok: self.is_last_ok.load(Relaxed),
            in_force_since: self.in_force_since.load(Relaxed),
        }
    }

    fn count(&self, is_ok: bool) {
        if is_ok {
            self.taken.fetch_add(1, Relaxed);
            self.in_force_since.store(clock::unix_now().0, Relaxed);
        } else {
            self.refused.fetch_add(1, Relaxed);
        }
        self.is_last_ok.store(is_ok, Relaxed);
    }
}

/// Everything that a reload changes, and what it must not.
pub struct Reloader {
    /// As at the start: what cannot change is compared with these.
    pub started_with: Settings,
    /// Where we listen.
    pub address: SocketAddr,
    /// What outlives snapshots.
    pub lasting: Lasting,
    /// What entries refer to.
    pub names: SharedNames,
    /// What the pages show.
    pub knowledge: Knowledge,
    /// What new connections are secured with.
    pub certificates: Arc<ArcSwap<Certificates>>,
    /// What requests go by.
    pub published: Arc<Published>,
    /// What the cores look at.
    pub orders: Arc<Orders>,
    /// Where the cores say that they live.
    pub cores: Vec<CoreReader>,
    /// How it went.
    pub reloads: Arc<Reloads>,
}

impl Reloader {
    /// Reads `source` again, and puts it in force, which every core has seen when this ends; or tells why not.
    pub async fn reload(&mut self, source: &Source, say: &mut impl FnMut(&str)) {
        let result = self.try_reload(source, say).await;
        self.reloads.count(result.is_ok());
        match result {
            Ok(deployments) => {
                self.wait_for_cores().await;
                say(&format!("configuration reloaded: {deployments} deployments"));
            }
            Err(reason) => say(&format!(
                "RELOAD REFUSED: {reason}; the configuration of before stays in force"
            )),
        }
    }

    /// How many deployments there are now; or why all stays as it is.
    async fn try_reload(
        &mut self,
        source: &Source,
        say: &mut impl FnMut(&str),
    ) -> Result<usize, String> {
        let loaded = config::load(&source.path, &source.environment).map_err(|problems| {
            problems.iter().for_each(|problem| say(&problem.to_string()));
            format!("{} holds errors", source.path.display())
        })?;
        loaded.warnings.iter().for_each(|warning| say(&warning.to_string()));
        let settings = loaded.settings;
        bind::check(self.address, &settings).map_err(|error| error.to_string())?;
        let certificates = certificates::read(&settings).map_err(|error| error.to_string())?;
        let mut names = (**self.names.load()).clone();
        let snapshot = prepare::snapshot(&settings, &mut self.lasting, &mut names);
        let snapshot = snapshot.map_err(|error| format!("names cannot be written: {error}"))?;
        // From here on nothing fails.
        self.names.rcu(|now| now.with(&names)); // the books may have found further ones
        resolve_new(self.lasting.endpoints.all()).await;
        if !self.certificates.load().is_same(&certificates) {
            self.certificates.store(Arc::new(certificates));
        }
        self.orders.grace_ms.store(settings.shutdown_grace_s * 1000, Relaxed);
        self.published.publish(snapshot);
        self.knowledge.take(&settings);
        for key in fixed_until_restart(&self.started_with, &settings) {
            say(&format!("{key} has changed, which takes effect at the next start only (warning)"));
        }
        Ok(settings.deployments.len())
    }

    /// Until every core has had a turn of its own since. One that begins after the publishing sees it; the one that is under way may not.
    pub async fn wait_for_cores(&self) {
        let turns = || self.cores.iter().map(|core| core.read().ticks).collect::<Vec<_>>();
        let before = turns();
        let has_seen = || before.iter().zip(turns()).all(|(before, now)| now >= before + 2);
        let limit = Duration::from_millis(RELOAD_SEEN_MS_MAX);
        let _a_core_that_hangs = timeout(limit, async {
            while !has_seen() {
                sleep(Duration::from_millis(TICK_MS / 10)).await;
            }
        })
        .await;
    }
}

/// Endpoints that have no address get one before they are used, if DNS is well.
async fn resolve_new(all: &[Arc<Endpoint>]) {
    let new: Vec<_> = all.iter().filter(|it| it.addresses().is_empty()).cloned().collect();
    let limit = Duration::from_millis(RESOLVE_AT_START_MS_MAX);
    let _or_later = timeout(limit, resolver::resolve_all(&new)).await;
}

/// Keys whose values differ, and are looked at when a process starts only.
fn fixed_until_restart(before: &Settings, now: &Settings) -> Vec<&'static str> {
    let (old, new) = (&before.accounting, &now.accounting);
    let url = |url: &Option<config::Secret>| url.as_ref().map(|url| url.expose().to_owned());
    let all = [
        ("outcrop.driver", before.driver != now.driver),
        ("outcrop.data_dir", old.data_dir != new.data_dir),
        ("outcrop.ledger.enabled", old.enabled != new.enabled),
        ("outcrop.ledger.sync_ms", old.sync_ms != new.sync_ms),
        ("outcrop.access_log", old.access_log != new.access_log),
        ("litellm_settings.json_logs", old.json_logs != new.json_logs),
        ("general_settings.database_url", url(&old.database_url) != url(&new.database_url)),
        ("general_settings.disable_spend_logs", old.disable_spend_logs != new.disable_spend_logs),
        (
            "general_settings.maximum_spend_logs_retention_period",
            old.retention_s != new.retention_s,
        ),
    ];
    all.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
}
