//! Where a deployment's requests go: `api_base`, `aws_bedrock_runtime_endpoint`, the environment.
//!
//! An endpoint becomes a `Host` field, a connection and the start of a signed path, so only what all three
//! read alike is let in. Its text is never shown: somebody may have written a password into it.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::document::Node;
use super::environment::Environment;
use super::problem::Problems;
use super::settings::Endpoint;
use crate::bedrock::{model, operation::Service};

/// The environment's endpoint for all deployments that name none, as in LiteLLM.
const VARIABLE: &str = "AWS_BEDROCK_RUNTIME_ENDPOINT";

/// The endpoint that the configuration names, else the environment. `Ok(None)`: neither does.
/// `Err`: an error is noted.
pub(super) fn named(
    params: &Node,
    environment: &Environment,
    problems: &mut Problems,
) -> Result<Option<Endpoint>, ()> {
    let keys = ["api_base", "aws_bedrock_runtime_endpoint"];
    if let [Some(_), Some(own)] = keys.map(|key| params.get(key)) {
        problems.warning(&own.place, "has no effect: `api_base` of the same entry wins");
    }
    named_by(params, keys, VARIABLE, environment, problems)
}

/// By the first of these keys that is there, else by the environment's `variable`.
pub(super) fn named_by(
    params: &Node,
    keys: [&str; 2],
    variable: &str,
    environment: &Environment,
    problems: &mut Problems,
) -> Result<Option<Endpoint>, ()> {
    let [base, own] = keys.map(|key| params.get(key));
    let (text, place, of) = if let Some(node) = base.or(own) {
        (node.text(problems).ok_or(())?, &node.place, String::new())
    } else if let Some(text) = environment.filled(variable) {
        (text.to_string(), &params.place, format!("environment variable {variable} "))
    } else {
        return Ok(None);
    };
    parse(&text).map(Some).map_err(|fault| problems.error(place, format!("{of}{fault}")))
}

/// The public endpoint of one of Bedrock's services in `region`.
pub(super) fn public(service: Service, region: &str) -> Endpoint {
    Endpoint {
        tls: true,
        host: model::host(service.name(), region),
        port: 443,
        base_path: String::new(),
    }
}

/// Whether what goes to `endpoint` leaves this machine.
pub(super) fn is_loopback(endpoint: &Endpoint) -> bool {
    let host = endpoint.host.as_str();
    host == "localhost"
        || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        || host.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback())
}

/// `scheme://host[:port][/base/path]` (RFC 3986 §3), less what has no place in an endpoint.
fn parse(text: &str) -> Result<Endpoint, &'static str> {
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("holds a space, a line break or another control character; remove it");
    }
    if !text.is_ascii() {
        return Err("holds characters outside ASCII; write the host in its xn-- form");
    }
    let (scheme, rest) = text.split_once("://").ok_or("must start with https:// or http://")?;
    let tls = match scheme.to_ascii_lowercase().as_str() {
        "https" => true,
        "http" => false,
        _ => return Err("must start with https:// or http://"),
    };
    if rest.contains(['?', '#']) {
        return Err("must not hold a query or a fragment (`?`, `#`)");
    }
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if authority.contains('@') {
        return Err("must not hold a user or a password; use aws_access_key_id or api_key");
    }
    let (host, port) = split_port(authority)?;
    let port = match port {
        None => {
            if tls {
                443
            } else {
                80
            }
        }
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits
            .parse()
            .ok()
            .filter(|port| *port > 0)
            .ok_or("has a port that is not from 1 to 65535")?,
        Some(_) => return Err("has a port that is no number"),
    };
    Ok(Endpoint { tls, host, port, base_path: base_path(path)? })
}

fn split_port(authority: &str) -> Result<(String, Option<&str>), &'static str> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (address, rest) = rest.split_once(']').ok_or("has a `[` without a `]`")?;
        let address: Ipv6Addr =
            address.parse().map_err(|_| "has no IPv6 address between `[` and `]`")?;
        let port = match rest.strip_prefix(':') {
            None if rest.is_empty() => None,
            None => return Err("has text between `]` and the port"),
            port => port,
        };
        return Ok((address.to_string(), port));
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    let host = host.to_ascii_lowercase();
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    if host.is_empty() || host.len() > 253 || !host.split('.').all(label) {
        return Err("names no valid host");
    }
    let numeric = host
        .split('.')
        .next_back()
        .is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    if numeric && host.parse::<Ipv4Addr>().is_err() {
        return Err("names no valid IPv4 address");
    }
    Ok((host, port))
}

/// `""` or `/x/y`. Slashes at the end go: Bedrock's own path starts with one.
fn base_path(path: &str) -> Result<String, &'static str> {
    let path = path.trim_end_matches('/');
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        let good = match byte {
            b'%' => {
                let digits = rest.next().zip(rest.next());
                digits.is_some_and(|(a, b)| a.is_ascii_hexdigit() && b.is_ascii_hexdigit())
            }
            _ => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&byte),
        };
        if !good {
            return Err("has a path with a character that must be percent-encoded");
        }
    }
    for segment in path.split('/').skip(1) {
        if matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "" | "." | "..") {
            return Err("has a path with an empty, `.` or `..` segment");
        }
    }
    Ok(path.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_taken_apart() {
        let check = |text: &str, tls: bool, authority: &str, port: u16, base_path: &str| {
            let endpoint = parse(text).unwrap();
            assert_eq!((endpoint.tls, endpoint.port), (tls, port), "{text}");
            assert_eq!(
                (endpoint.authority().as_str(), endpoint.base_path.as_str()),
                (authority, base_path),
                "{text}"
            );
            assert_eq!(
                parse(&endpoint.url()).unwrap(),
                endpoint,
                "an endpoint's URL is that endpoint's"
            );
        };
        check("https://Example.com", true, "example.com", 443, "");
        check("HTTPS://example.com:443/", true, "example.com", 443, "");
        check("http://localhost:8080/a/b//", false, "localhost:8080", 8080, "/a/b");
        check("http://127.0.0.1", false, "127.0.0.1", 80, "");
        check("https://[::1]:8443/x%2Fy", true, "[::1]:8443", 8443, "/x%2Fy");
        check("https://[0:0::1]", true, "[::1]", 443, "");
        check("http://x:443", false, "x:443", 443, "");
    }

    #[test]
    fn what_is_no_endpoint_is_refused() {
        let bad = [
            "",
            "example.com",
            "ftp://x",
            "https://",
            "https:///x",
            "https://u:p@x",
            "https://x?y",
            "https://x#y",
            "https://x/a b",
            "https://x\r\n",
            "https://x/\r\nEvil: 1",
            "https://x/\u{7f}",
            "https://é.com",
            "https://x:0",
            "https://x:65536",
            "https://x:",
            "https://x:+1",
            "https://x:1:2",
            "https://[::1",
            "https://[x]",
            "https://[::1]x",
            "https://::1",
            "https://a..b",
            "https://.a",
            "https://a.",
            "https://1.2.3",
            "https://999.1.1.1",
            "https://x/../y",
            "https://x/%2e%2E",
            "https://x/a//b",
            "https://x/./a",
            "https://x/%2",
            "https://x/%zz",
            "https://x\\y",
            "https://x/\"",
            "//x",
            "https:x",
        ];
        for text in bad {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn loopback_stays_on_this_machine() {
        for (text, loopback) in [
            ("http://localhost", true),
            ("http://127.9.9.9", true),
            ("http://[::1]", true),
            ("http://10.0.0.1", false),
        ] {
            assert_eq!(is_loopback(&parse(text).unwrap()), loopback, "{text}");
        }
    }
}
