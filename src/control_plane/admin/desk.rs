//! What the admin pages need to know, and from whom: so that they can be tested without a store.

use std::{fmt, future::Future, net::SocketAddr, pin::Pin, sync::Arc};

use arc_swap::ArcSwap;
use ring::digest::{SHA256, digest};
use serde_json::Value;

use super::{models::ModelList, price_list::PriceList};
use crate::{
    boundary::snapshot::Published,
    control_plane::{
        config::Settings,
        names::MASTER_KEY_NAME,
        spend::{LogsQuery, Report, ReportQuery},
    },
    secret::Secret,
};

/// An answer to come.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Why the store does not answer. Who asked reads it: it holds no secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unavailable(pub String);

impl fmt::Display for Unavailable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Knows what was spent.
pub trait Spend: Send + Sync {
    /// Sums.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn report<'a>(&'a self, query: &'a ReportQuery) -> Pending<'a, Result<Report, Unavailable>>;

    /// Rows, newest first, each a JSON object with LiteLLM's names.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn logs<'a>(&'a self, query: &'a LogsQuery) -> Pending<'a, Result<Vec<Value>, Unavailable>>;
}

/// Knows what was counted.
pub trait Metrics: Send + Sync {
    /// All of it, in Prometheus's text format.
    fn text(&self) -> Pending<'_, String>;
}

/// One who need not wait for it.
impl<F: Fn() -> String + Send + Sync> Metrics for F {
    fn text(&self) -> Pending<'_, String> {
        Box::pin(std::future::ready(self()))
    }
}

/// Where the pages get what they show.
#[derive(Clone)]
pub struct Desk {
    spend: Option<Arc<dyn Spend>>,
    pub(super) metrics: Arc<dyn Metrics>,
    knowledge: Knowledge,
    /// How deployments stand.
    pub(super) published: Arc<Published>,
    /// Where this proxy listens itself.
    pub(super) address: SocketAddr,
}

/// What the configuration in force says; a reload changes it for whoever holds it.
#[derive(Clone)]
pub struct Knowledge(Arc<ArcSwap<Known>>);

impl Knowledge {
    /// Of these settings.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(Known::of(settings))))
    }

    /// From here on of these.
    pub fn take(&self, settings: &Settings) {
        self.0.store(Arc::new(Known::of(settings)));
    }
}

/// What a configuration says of models, prices and keys.
pub(super) struct Known {
    pub(super) prices: PriceList,
    pub(super) models: ModelList,
    pub(super) master_key: Option<Secret>,
}

impl Desk {
    /// Of a proxy that knows this, and listens at `address`. `spend` is none if nothing is recorded.
    pub fn new(
        knowledge: Knowledge,
        spend: Option<Arc<dyn Spend>>,
        metrics: Arc<dyn Metrics>,
        (published, address): (Arc<Published>, SocketAddr),
    ) -> Self {
        Self { spend, metrics, knowledge, published, address }
    }

    pub(super) fn known(&self) -> Arc<Known> {
        self.knowledge.0.load_full()
    }

    /// # Errors
    /// Nothing is recorded.
    pub(super) fn spend(&self) -> Result<&dyn Spend, Unavailable> {
        let nothing =
            || Unavailable("nothing is recorded, since outcrop.ledger.enabled is false".to_owned());
        self.spend.as_deref().ok_or_else(nothing)
    }

    /// A key's name, from what a client calls it: as LiteLLM does, a key itself is taken for its hash.
    pub(super) fn key_name(&self, called: String) -> String {
        let name = if called.starts_with("sk-") { hashed(&called) } else { called };
        let known = self.known();
        let is_master = known.master_key.as_ref().is_some_and(|key| hashed(key.expose()) == name);
        if is_master { MASTER_KEY_NAME.to_owned() } else { name }
    }
}

impl Known {
    fn of(settings: &Settings) -> Self {
        Self {
            prices: PriceList::of(settings),
            models: ModelList::of(settings),
            master_key: settings.master_key.clone(),
        }
    }
}

/// SHA-256 in hexadecimal: LiteLLM's name of a key.
fn hashed(key: &str) -> String {
    digest(&SHA256, key.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
