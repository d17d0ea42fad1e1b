//! Names → addresses, on the thread that may wait, and again every so often.
//!
//! The last good addresses are kept when a name stops resolving: AWS's front ends outlive many a DNS
//! outage. Source: `../shared/guides/reliability.md`, U18.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{net::lookup_host, task::JoinSet, time::timeout};

use crate::{
    boundary::snapshot::Endpoint,
    limits::{RESOLVE_MS_MAX, RESOLVED_ADDRESSES_MAX},
};

/// Resolves all endpoints at once; returns the hosts that have no address, now or from before.
pub async fn resolve_all(endpoints: &[Arc<Endpoint>]) -> Vec<String> {
    let mut lookups = JoinSet::new();
    for endpoint in endpoints {
        let endpoint = endpoint.clone();
        lookups.spawn(async move {
            let found = resolve(&endpoint.host, endpoint.port).await;
            if !found.is_empty() {
                endpoint.publish_addresses(found);
            }
            endpoint.addresses().is_empty().then(|| endpoint.host.clone())
        });
    }
    let mut unresolved: Vec<String> = lookups.join_all().await.into_iter().flatten().collect();
    unresolved.sort();
    unresolved
}

/// The addresses of `host`, in the order to try them; none if it does not resolve in time.
async fn resolve(host: &str, port: u16) -> Vec<SocketAddr> {
    let lookup = timeout(Duration::from_millis(RESOLVE_MS_MAX), lookup_host((host, port)));
    match lookup.await {
        Ok(Ok(found)) => alternating(found.take(RESOLVED_ADDRESSES_MAX).collect()),
        Ok(Err(_)) | Err(_) => Vec::new(),
    }
}

/// Families in turn, the resolver's first one first (RFC 8305 §4): if one of them does not work here,
/// the second try already is of the other.
fn alternating(found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(first) = found.first().copied() else { return found };
    let (mut same, mut other): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|address| address.is_ipv4() == first.is_ipv4());
    same.reverse();
    other.reverse();
    let mut ordered = Vec::with_capacity(same.len() + other.len());
    while let Some(address) = same.pop() {
        ordered.push(address);
        ordered.extend(other.pop());
    }
    other.reverse();
    ordered.extend(other);
    ordered.dedup();
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns() {
        let addresses = |texts: &[&str]| -> Vec<SocketAddr> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        let found = addresses(&["[::1]:1", "[::2]:1", "1.1.1.1:1", "1.1.1.2:1", "1.1.1.3:1"]);
        let expected = addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "1.1.1.2:1", "1.1.1.3:1"]);
        assert_eq!(alternating(found), expected);
        assert!(alternating(Vec::new()).is_empty());
    }

    #[test]
    fn good_addresses_outlive_a_failing_name() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let endpoint =
            Arc::new(Endpoint::new(0, true, "does-not-exist.invalid".into(), 443, String::new()));
        assert_eq!(
            runtime.block_on(resolve_all(std::slice::from_ref(&endpoint))),
            ["does-not-exist.invalid"]
        );
        endpoint.publish_addresses(vec!["127.0.0.1:443".parse().unwrap()]);
        assert!(runtime.block_on(resolve_all(std::slice::from_ref(&endpoint))).is_empty());
        assert_eq!(endpoint.addresses().len(), 1);
    }
}
