//! Where to listen, and whether it is safe to.
//!
//! A proxy that lets everybody in spends its owner's money. So without a master key, or with one that
//! stands in public documentation, the default is this machine alone, and an explicit wider host is
//! refused unless the operator says that it is meant.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::config::Settings;

/// Keys in LiteLLM's and our own public documentation: whoever scans the internet tries them first.
const PUBLIC_KEYS: [&str; 7] = [
    "sk-1234",
    "sk-12345",
    "sk-123456",
    "sk-1234567890",
    "sk-litellm",
    "sk-litellm-master-key",
    "sk-master-key",
];
/// LiteLLM's default port.
pub const DEFAULT_PORT: u16 = 4000;

/// Where to listen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Bind {
    /// The address.
    pub address: SocketAddr,
    /// Why it is not the usual one, for the start-up line.
    pub reason: Option<&'static str>,
}

/// Why not to start.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum BindError {
    /// The host is neither an address nor `localhost`.
    NotAnAddress(String),
    /// The host is reachable from elsewhere, and the key is no protection; holds what is wrong with it.
    Unsafe(&'static str),
}

impl std::fmt::Display for BindError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotAnAddress(host) => {
                write!(
                    f,
                    "--host {host:?} is not an IP address; give one to listen on, as 0.0.0.0 or 127.0.0.1"
                )
            }
            Self::Unsafe(weakness) => write!(
                f,
                "refusing to listen beyond this machine: {weakness}. Set general_settings.master_key (or \
                 LITELLM_MASTER_KEY) to a secret of your own, use --host 127.0.0.1, or set \
                 general_settings.dangerously_permit_weak_or_unset_master_key: true"
            ),
        }
    }
}

/// Decides from the flags and the key.
///
/// # Errors
/// [`BindError`].
pub fn decide(
    host: Option<&str>,
    port: Option<u16>,
    settings: &Settings,
) -> Result<Bind, BindError> {
    let port = port.unwrap_or(DEFAULT_PORT);
    let weakness = weakness(settings.master_key.as_ref().map(|key| key.expose()));
    let weakness = weakness.filter(|_| !settings.permit_weak_master_key);
    let Some(host) = host else {
        let ip = if weakness.is_some() { Ipv4Addr::LOCALHOST } else { Ipv4Addr::UNSPECIFIED };
        return Ok(Bind { address: SocketAddr::new(ip.into(), port), reason: weakness });
    };
    let ip: IpAddr = match host {
        "localhost" => Ipv4Addr::LOCALHOST.into(),
        other => other
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse()
            .map_err(|_| BindError::NotAnAddress(host.to_owned()))?,
    };
    match weakness {
        Some(weakness) if !ip.to_canonical().is_loopback() => Err(BindError::Unsafe(weakness)),
        _ => Ok(Bind { address: SocketAddr::new(ip, port), reason: None }),
    }
}

/// Whether an address that is listened on already may be, with these settings.
///
/// # Errors
/// [`BindError::Unsafe`].
pub fn check(address: SocketAddr, settings: &Settings) -> Result<(), BindError> {
    let weakness = weakness(settings.master_key.as_ref().map(|key| key.expose()));
    match weakness.filter(|_| !settings.permit_weak_master_key) {
        Some(weakness) if !address.ip().to_canonical().is_loopback() => {
            Err(BindError::Unsafe(weakness))
        }
        _ => Ok(()),
    }
}

fn weakness(master_key: Option<&str>) -> Option<&'static str> {
    match master_key {
        None => Some("no master key is set, so any client is let in"),
        Some(key) if PUBLIC_KEYS.contains(&key) => {
            Some("the master key stands in public documentation")
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boundary::snapshot::Bounds;
    use crate::{
        control_plane::config::{Accounting, DriverChoice, Router},
        secret::Secret,
    };

    fn settings(key: Option<&str>, permit: bool) -> Settings {
        Settings {
            deployments: Vec::new(),
            master_key: key.map(|key| Secret::new(key.to_owned())),
            permit_weak_master_key: permit,
            driver: DriverChoice::Auto,
            max_request_bytes: 1,
            trusted_roots_file: None,
            tls: None,
            price_map: None,
            bounds: Bounds::default(),
            shutdown_grace_s: 1,
            accounting: Accounting::in_folder(".".into()),
            passthrough: None,
            client_credentials: Vec::new(),
            needs_verified_signature: false,
            router: Router::default(),
        }
    }

    fn check(key: Option<&str>, permit: bool, host: Option<&str>, expected: Result<&str, ()>) {
        let decided =
            decide(host, None, &settings(key, permit)).map(|bind| bind.address.to_string());
        assert_eq!(
            decided.map_err(|_| ()),
            expected.map(str::to_owned),
            "{key:?} {permit} {host:?}"
        );
    }

    #[test]
    fn a_key_may_not_become_weak_where_all_can_reach_us() {
        let may = |address: &str, key, permit| {
            super::check(address.parse().unwrap(), &settings(key, permit)).is_ok()
        };
        for weak in [None, Some("sk-1234")] {
            assert!(may("127.0.0.1:4000", weak, false) && may("[::1]:4000", weak, false));
            assert!(!may("0.0.0.0:4000", weak, false) && !may("[::]:4000", weak, false));
            assert!(may("0.0.0.0:4000", weak, true));
        }
        assert!(may("0.0.0.0:4000", Some("sk-of-our-own"), false));
    }

    #[test]
    fn a_weak_key_stays_on_this_machine() {
        check(Some("sk-of-our-own"), false, None, Ok("0.0.0.0:4000"));
        for weak in [None, Some("sk-1234")] {
            check(weak, false, None, Ok("127.0.0.1:4000"));
            check(weak, false, Some("127.0.0.1"), Ok("127.0.0.1:4000"));
            check(weak, false, Some("127.9.9.9"), Ok("127.9.9.9:4000"));
            check(weak, false, Some("::1"), Ok("[::1]:4000"));
            check(weak, false, Some("[::1]"), Ok("[::1]:4000"));
            check(weak, false, Some("localhost"), Ok("127.0.0.1:4000"));
            check(weak, false, Some("::ffff:127.0.0.1"), Ok("[::ffff:127.0.0.1]:4000"));
            for wide in ["0.0.0.0", "::", "10.0.0.1", "192.168.1.1", "::ffff:10.0.0.1"] {
                check(weak, false, Some(wide), Err(()));
            }
            check(weak, true, Some("0.0.0.0"), Ok("0.0.0.0:4000"));
            check(weak, true, None, Ok("0.0.0.0:4000"));
        }
        check(Some("sk-of-our-own"), false, Some("::"), Ok("[::]:4000"));
        check(Some("sk-of-our-own"), false, Some("example.com"), Err(()));
    }
}
