//! What a checked configuration says. Nothing here can be invalid: only `load` makes it.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::problem::Problem;
use super::source::Origin;
use crate::bedrock::operation::{ActionSet, Service};
use crate::bedrock::price::{NoRate, Overrides, PriceMap, Priced, Question};
use crate::boundary::snapshot::Bounds;
use crate::net::tls_server::ServerFiles;
use crate::policy::auth::ClientCredential;
use crate::policy::group::{CoolDowns, Retries, Strategy};
use crate::secret::Secret;

/// A configuration that holds no error.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What it says.
    pub settings: Settings,
    /// What it says without effect; in the order of the file.
    pub warnings: Vec<Problem>,
}

/// All that Outcrop is told at start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `model_list`, in its order; ids are unique.
    pub deployments: Vec<Deployment>,
    /// `general_settings.master_key`, else `LITELLM_MASTER_KEY`; never empty.
    pub master_key: Option<Secret>,
    /// `general_settings.dangerously_permit_weak_or_unset_master_key`, or the variable
    /// `LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY`.
    pub permit_weak_master_key: bool,
    /// `outcrop.driver`.
    pub driver: DriverChoice,
    /// `general_settings.max_request_size_mb` in bytes (1 MB = 2^20 B, as LiteLLM counts).
    pub max_request_bytes: u64,
    /// `SSL_CERT_FILE`: PEM certificates trusted besides Mozilla's.
    pub trusted_roots_file: Option<PathBuf>,
    /// `SSL_CERTFILE_PATH`, `SSL_KEYFILE_PATH` and `outcrop.tls.client_ca`: what clients' connections are secured with.
    pub tls: Option<ServerFiles>,
    /// `general_settings.max_in_flight_requests_per_worker`, and of `outcrop`: `max_connections_per_worker`,
    /// `max_content_in_flight_mb_per_worker`, `max_requests_per_connection`.
    pub bounds: Bounds,
    /// `outcrop.shutdown_grace_s`.
    pub shutdown_grace_s: u64,
    /// `outcrop.prices`: what stands over the built-in table.
    pub price_map: Option<PriceMap>,
    /// Ledger, store, access log, metrics.
    pub accounting: Accounting,
    /// How requests find their deployment, and what happens when it fails.
    pub router: Router,
    /// `outcrop.client_credentials`; ids are unique.
    pub client_credentials: Vec<ClientCredential>,
    /// `outcrop.require_verified_signature`.
    pub needs_verified_signature: bool,
    /// `outcrop.passthrough`, or `AWS_REGION_NAME`.
    pub passthrough: Option<Passthrough>,
}

/// Where goes what the model list does not serve.
#[derive(Clone, Debug)]
pub struct Passthrough {
    /// Where each service is, in the order of [`Service::ALL`].
    pub endpoints: [Endpoint; Service::ALL.len()],
    /// The region that signatures name.
    pub region: String,
    /// What signs or authenticates requests.
    pub credential: Origin,
    /// Where `credential` came from.
    pub credential_source: CredentialSource,
    /// `allowed_operations`.
    pub allowed: ActionSet,
    /// `outcrop.unlisted_models: passthrough`: models that are not in the model list, too.
    pub takes_models: bool,
    /// `outcrop.unlisted_paths: allow`: paths that nobody knows, too.
    pub takes_unlisted_paths: bool,
    /// `AWS_REGION_NAME` alone turned it on.
    pub is_by_variable: bool,
}

/// `router_settings`, and what stands elsewhere for the same.
#[derive(Clone, Debug)]
pub struct Router {
    /// `routing_strategy`.
    pub strategy: Strategy,
    /// `num_retries` and `retry_policy`.
    pub retries: Retries,
    /// `model_group_retry_policy`: by group, retries by class.
    pub group_retries: Vec<(String, [Option<u8>; 8])>,
    /// `retry_after`.
    pub retry_after_ms: u64,
    /// `timeout`, else `litellm_settings.request_timeout`.
    pub timeout_ms: Option<u64>,
    /// `stream_timeout`.
    pub stream_timeout_ms: Option<u64>,
    /// `outcrop.request_timeout_s`: the whole of a request.
    pub request_timeout_ms: u64,
    /// `cooldown_time`, `allowed_fails`, `allowed_fails_policy`.
    pub cool_downs: CoolDowns,
    /// `disable_cooldowns`.
    pub disable_cool_downs: bool,
    /// `fallbacks`: group, and the groups it falls back to. All are there.
    pub fallbacks: Vec<(String, Vec<String>)>,
    /// `default_fallbacks`, for groups without their own.
    pub default_fallbacks: Vec<String>,
    /// `max_fallbacks`.
    pub fallbacks_max: u8,
    /// `enable_weighted_failover`.
    pub weighted_failover: bool,
    /// `optional_pre_call_checks: [enforce_model_rate_limits]`.
    pub enforces_rates: bool,
    /// `default_max_parallel_requests`.
    pub max_parallel: Option<u64>,
    /// `model_group_alias`. The groups are there.
    pub aliases: Vec<Alias>,
    /// `outcrop.first_frame_failover`.
    pub first_frame_failover: bool,
}

/// A further name of a group.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Alias {
    /// What clients may ask for.
    pub name: String,
    /// What they get.
    pub group: String,
    /// It is not listed.
    pub is_hidden: bool,
}

impl Default for Router {
    fn default() -> Self {
        Self {
            strategy: Strategy::default(),
            retries: Retries { any: 2, by_class: [None; 8] },
            group_retries: Vec::new(),
            retry_after_ms: 0,
            timeout_ms: None,
            stream_timeout_ms: None,
            request_timeout_ms: 3_600_000,
            cool_downs: CoolDowns { time_ms: 5_000, allowed: None, by_class: [None; 8] },
            disable_cool_downs: false,
            fallbacks: Vec::new(),
            default_fallbacks: Vec::new(),
            fallbacks_max: 5,
            weighted_failover: false,
            enforces_rates: false,
            max_parallel: None,
            aliases: Vec::new(),
            first_frame_failover: true,
        }
    }
}

/// What a deployment has of its own.
#[derive(Clone, Debug, Default)]
pub struct Own {
    /// `timeout`.
    pub timeout_ms: Option<u64>,
    /// `stream_timeout`.
    pub stream_timeout_ms: Option<u64>,
    /// `order`: its tier.
    pub order: Option<u32>,
    /// `rpm`: requests in a minute.
    pub rpm: Option<u64>,
    /// `tpm`: tokens in a minute.
    pub tpm: Option<u64>,
    /// `max_parallel_requests`.
    pub max_parallel: Option<u64>,
    /// `num_retries`, else `max_retries`.
    pub retries: Option<u8>,
    /// `cooldown_time`.
    pub cool_down_ms: Option<u64>,
    /// `allowed_fails`.
    pub allowed_fails: Option<u32>,
    /// `allowed_fails_policy`.
    pub allowed_fails_policy: Option<[Option<u32>; 8]>,
}

/// How requests are accounted for.
#[derive(Clone, Debug)]
pub struct Accounting {
    /// `outcrop.data_dir`, else the folder that holds the configuration: `outcrop.db` and the ledger.
    pub data_dir: PathBuf,
    /// `outcrop.ledger.enabled`: false keeps no account of anything, for measuring what that costs.
    pub enabled: bool,
    /// `outcrop.ledger.on_full`.
    pub on_full: OnFull,
    /// `outcrop.ledger.sync_ms`: how often the ledger is forced to disk; what a power failure may take.
    pub sync_ms: u64,
    /// `outcrop.on_client_disconnect`.
    pub on_client_disconnect: OnClientDisconnect,
    /// `outcrop.access_log`.
    pub access_log: AccessLog,
    /// `litellm_settings.json_logs`, else the variable `JSON_LOGS`.
    pub json_logs: bool,
    /// `general_settings.database_url`, else the variable `DATABASE_URL`: PostgreSQL. None: SQLite.
    pub database_url: Option<Secret>,
    /// `general_settings.disable_spend_logs`: roll-ups alone, no row per request.
    pub disable_spend_logs: bool,
    /// `general_settings.maximum_spend_logs_retention_period`: rows older than this are deleted.
    pub retention_s: Option<u64>,
    /// `litellm_settings.require_auth_for_metrics_endpoint`.
    pub metrics_need_key: bool,
}

impl Accounting {
    /// All defaults, with `data_dir`.
    #[must_use]
    pub fn in_folder(data_dir: PathBuf) -> Self {
        Self {
            data_dir,
            enabled: true,
            on_full: OnFull::default(),
            sync_ms: 1000,
            on_client_disconnect: OnClientDisconnect::default(),
            access_log: AccessLog::default(),
            json_logs: false,
            database_url: None,
            disable_spend_logs: false,
            retention_s: None,
            metrics_need_key: true,
        }
    }
}

/// What to do when the ledger can take no more entries, because the disk is full.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum OnFull {
    /// Serve, and count each entry that is lost.
    #[default]
    Serve,
    /// Answer 503: nothing is served that is not accounted for.
    Refuse,
}

/// What to do with an answer whose client left.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum OnClientDisconnect {
    /// Close the upstream connection; the usage is what was seen by then.
    #[default]
    Cancel,
    /// Read on to the usage at the answer's end, within bounds.
    Drain,
}

/// Where the access log goes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum AccessLog {
    /// To stdout if that is a terminal, or if `json_logs` is set; else nowhere.
    #[default]
    Auto,
    /// Nowhere.
    Off,
    /// To stdout.
    Stdout,
    /// To this file, reopened on SIGHUP.
    File(PathBuf),
}

/// How the data plane talks to the kernel.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum DriverChoice {
    /// io_uring where the kernel lets us, else epoll.
    #[default]
    Auto,
    /// io_uring, or no start.
    IoUring,
    /// epoll.
    Epoll,
}

/// One entry of `model_list`.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// The group it belongs to: the name clients ask for.
    pub model_name: String,
    /// Unique; visible ASCII, 1 to 256 bytes.
    pub id: String,
    /// What AWS is asked for: a bare model id or an ARN, not percent-encoded.
    pub bedrock_model_id: String,
    /// What its tokens cost, or why nobody knows.
    pub price: Result<Priced, NoRate>,
    /// Prices of its own, of `litellm_params` and `model_info`.
    pub own_prices: Overrides,
    /// `model_info.base_model`, else what `model` says where `model_id` says something else.
    pub base_model: Option<String>,
    /// The region that signatures name.
    pub region: String,
    /// Where requests go.
    pub endpoint: Endpoint,
    /// What signs or authenticates them.
    pub credential: Origin,
    /// Where `credential` came from.
    pub credential_source: CredentialSource,
    /// Time-outs, tier, limits, retries, cool-down.
    pub own: Own,
    /// Relative to the others of its group; 0: never picked unless all are 0.
    pub weight: u64,
    /// Where the entry starts in `file`, from 1.
    pub line: usize,
    /// The file that holds the entry.
    pub file: PathBuf,
}

impl Deployment {
    /// That takes any model by AWS's own id; without prices or limits of its own.
    #[must_use]
    pub fn of_any_model(
        (id, model_name): (String, &str),
        (region, endpoint): (&str, Endpoint),
        (credential, credential_source): (Origin, CredentialSource),
    ) -> Self {
        Self {
            model_name: model_name.to_owned(),
            id,
            bedrock_model_id: "*".to_owned(),
            price: Err(NoRate::NotListed),
            own_prices: Overrides::default(),
            base_model: None,
            region: region.to_owned(),
            endpoint,
            credential,
            credential_source,
            own: Own::default(),
            weight: 1,
            line: 0,
            file: PathBuf::new(),
        }
    }

    /// Whether clients name the model.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        self.model_name.contains('*')
    }

    /// What its price is looked up by.
    #[must_use]
    pub fn price_question<'a>(&'a self, map: Option<&'a PriceMap>) -> Question<'a> {
        Question {
            model: &self.bedrock_model_id,
            region: &self.region,
            base_model: self.base_model.as_deref(),
            overrides: &self.own_prices,
            map,
        }
    }
}

/// Where an upstream listens.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Endpoint {
    /// `https`, else `http`.
    pub tls: bool,
    /// Lower case; a name, an IPv4 address, or an IPv6 address without brackets.
    pub host: String,
    /// Never 0.
    pub port: u16,
    /// Goes in front of Bedrock's own path: `""`, or as `/x/y`, without a slash at its end.
    pub base_path: String,
}

impl Endpoint {
    /// What the `Host` field says: the host, and the port unless it is the scheme's own (RFC 9110
    /// §4.2). An IPv6 address stands in brackets.
    #[must_use]
    pub fn authority(&self) -> String {
        let mut authority =
            if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port != if self.tls { 443 } else { 80 } {
            write!(authority, ":{}", self.port).expect("a String takes all");
        }
        authority
    }

    /// `https://host/base`, for people.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority(), self.base_path)
    }
}

/// Where an [`Origin`] came from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CredentialSource {
    /// The deployment's own `litellm_params`.
    Entry,
    /// The environment: `AWS_BEARER_TOKEN_BEDROCK`, `AWS_ACCESS_KEY_ID`, or the SDK's chain.
    Environment,
}
