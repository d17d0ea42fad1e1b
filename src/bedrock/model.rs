//! Model ids, ARNs and regions, and the hosts that serve them.
//!
//! A model goes to AWS as a bare id (`anthropic.claude-v2`, `us.amazon.nova-lite-v1:0`) or as an ARN,
//! which holds slashes. LiteLLM's users write routes and regions in front of it:
//!
//! ```text
//! bedrock/ us-west-2/ converse/ us.anthropic.claude-sonnet-4-20250514-v1:0
//! provider  region     route    id, all that AWS takes
//! ```
//!
//! Source: AWS's `partitions.json` and the endpoint rules of bedrock-runtime; LiteLLM's Bedrock docs.

use std::fmt;

/// The name of Bedrock's runtime in hosts; signatures name it `bedrock`.
pub const RUNTIME: &str = "bedrock-runtime";

/// How the region's first parts name its partition, and the DNS suffix there. The last row is for all others.
const DNS_SUFFIXES: [(&str, &str); 8] = [
    ("cn-", "amazonaws.com.cn"),
    ("us-gov-", "amazonaws.com"),
    ("eusc-", "amazonaws.eu"),
    ("us-iso-", "c2s.ic.gov"),
    ("us-isob-", "sc2s.sgov.gov"),
    ("eu-isoe-", "cloud.adc-e.uk"),
    ("us-isof-", "csp.hci.ic.gov"),
    ("", "amazonaws.com"),
];

/// LiteLLM's routes: how it calls a model. Outcrop takes that from the client's request.
const ROUTES: [&str; 3] = ["converse", "invoke", "converse_like"];
/// LiteLLM's hints at the family of an imported model, in front of its ARN.
const FAMILIES: [&str; 7] = ["llama", "deepseek_r1", "nova", "nova-2", "qwen2", "qwen3", "openai"];

/// What stands in front of the ids of cross-region inference profiles.
const AREAS: [&str; 14] =
    ["us", "eu", "apac", "global", "us-gov", "au", "jp", "in", "ca", "sa", "mx", "il", "me", "af"];

/// A model string, taken apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Model<'a> {
    /// What AWS is asked for: a bare id or an ARN.
    pub id: &'a str,
    /// The region written in front of it.
    pub region: Option<&'a str>,
    /// Whether `bedrock/` stood in front.
    pub provider_named: bool,
}

/// A model string that names something Bedrock does not serve.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NotBedrock<'a> {
    /// Another provider than `bedrock` stands in front.
    Provider(&'a str),
    /// A route stands behind `bedrock/` that is none of Bedrock's runtime.
    Route(&'a str),
    /// Nothing is left when the prefixes are gone.
    Empty,
}

impl fmt::Display for NotBedrock<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Provider(name) => write!(out, "provider `{name}`: only Bedrock is served"),
            Self::Route(name) => {
                write!(out, "`bedrock/{name}/` is not served; write `bedrock/<model id or ARN>`")
            }
            Self::Empty => out.write_str("names no model; write `bedrock/<model id or ARN>`"),
        }
    }
}

/// Takes `bedrock/`, a route and a region away from the front of a model string; the last two at most
/// once each, in either order.
///
/// # Errors
/// If what is left is no model of Bedrock's.
pub fn parse(text: &str) -> Result<Model<'_>, NotBedrock<'_>> {
    let (mut id, provider_named) = match text.strip_prefix("bedrock/") {
        Some(rest) => (rest, true),
        None => (text, false),
    };
    let (mut region, mut routed) = (None, false);
    while let Some((first, rest)) = id.split_once('/').filter(|_| !is_arn(id)) {
        if ROUTES.contains(&first) && !routed {
            routed = true;
        } else if is_region(first) && region.is_none() {
            region = Some(first);
        } else if !(FAMILIES.contains(&first) && is_arn(rest) && (provider_named || routed)) {
            let named = provider_named || routed || region.is_some();
            return Err(if named { NotBedrock::Route(first) } else { NotBedrock::Provider(first) });
        }
        id = rest;
    }
    if id.is_empty() { Err(NotBedrock::Empty) } else { Ok(Model { id, region, provider_named }) }
}

/// The model id behind a cross-region profile id; `None` if `id` is no such profile's.
#[must_use]
pub fn without_area(id: &str) -> Option<&str> {
    let (area, rest) = id.split_once('.')?;
    (AREAS.contains(&area) && rest.contains('.')).then_some(rest)
}

/// Whether `id` is meant as an ARN.
#[must_use]
pub fn is_arn(id: &str) -> bool {
    id.starts_with("arn:")
}

/// The region of `arn:partition:service:region:account:resource`; `None` if the text has no such form.
#[must_use]
pub fn arn_region(arn: &str) -> Option<&str> {
    let mut parts = arn.splitn(6, ':');
    let mut part = || parts.next();
    let (scheme, partition, service, region) = (part()?, part()?, part()?, part()?);
    let (_account, resource) = (part()?, part()?);
    let formed = scheme == "arn" && partition.starts_with("aws") && !service.is_empty();
    (formed && !resource.is_empty() && is_region(region)).then_some(region)
}

/// Whether `text` has the form of a region: `us-east-1`, `us-gov-west-1`, `eusc-de-east-1`. A form, not
/// a list: AWS opens regions faster than proxies are updated.
#[must_use]
pub fn is_region(text: &str) -> bool {
    let parts = || text.split('-');
    let last = parts().next_back().unwrap_or_default();
    let word = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_lowercase())
            && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    (3..=5).contains(&parts().count())
        && text.len() <= 32
        && (2..=4).contains(&parts().next().unwrap_or_default().len())
        && parts().rev().skip(1).all(word)
        && (1..=2).contains(&last.len())
        && last.bytes().all(|byte| byte.is_ascii_digit())
}

/// The DNS suffix of the partition that `region` lies in.
#[must_use]
pub fn dns_suffix(region: &str) -> &'static str {
    let row = DNS_SUFFIXES.iter().find(|(prefix, _)| region.starts_with(prefix));
    row.expect("the last row fits all").1
}

/// The public host of `service` ([`RUNTIME`], …) in `region`.
#[must_use]
pub fn host(service: &str, region: &str) -> String {
    format!("{service}.{region}.{}", dns_suffix(region))
}

/// The region that a host of Bedrock's runtime names, be it public, FIPS or a VPC endpoint
/// (`vpce-….bedrock-runtime.us-east-1.vpce.amazonaws.com`).
#[must_use]
pub fn host_region(host: &str) -> Option<&str> {
    let mut labels = host.split('.');
    labels.find(|label| *label == RUNTIME || *label == "bedrock-runtime-fips")?;
    labels.next().filter(|label| is_region(label))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str =
        "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/a1b2/c3";

    #[test]
    fn prefixes_leave_the_bare_id() {
        let check = |text: &str, id: &str, region: Option<&str>| {
            let model = parse(text).unwrap();
            assert_eq!((model.id, model.region), (id, region), "{text}");
        };
        let claude = "anthropic.claude-v2:1";
        check(claude, claude, None);
        for route in ["", "converse/", "invoke/", "converse_like/"] {
            check(&format!("bedrock/{route}{claude}"), claude, None);
            check(&format!("bedrock/{route}us-west-2/{claude}"), claude, Some("us-west-2"));
            check(&format!("bedrock/us-west-2/{route}{claude}"), claude, Some("us-west-2"));
            check(&format!("us-gov-west-1/{route}{claude}"), claude, Some("us-gov-west-1"));
            check(&format!("bedrock/{route}{ARN}"), ARN, None);
            check(&format!("bedrock/{route}llama/{ARN}"), ARN, None);
        }
        check(ARN, ARN, None);
        check("bedrock/us.amazon.nova-lite-v1:0", "us.amazon.nova-lite-v1:0", None);
    }

    #[test]
    fn what_is_not_bedrock_is_refused() {
        assert_eq!(parse("openai/gpt-4o"), Err(NotBedrock::Provider("openai")));
        assert_eq!(parse("vertex_ai/x/y"), Err(NotBedrock::Provider("vertex_ai")));
        assert_eq!(parse("bedrock/agent/A/B"), Err(NotBedrock::Route("agent")));
        assert_eq!(parse("bedrock/converse/converse/x"), Err(NotBedrock::Route("converse")));
        assert_eq!(parse("bedrock/us-east-1/us-east-1/x"), Err(NotBedrock::Route("us-east-1")));
        assert_eq!(parse("/x"), Err(NotBedrock::Provider("")));
        for text in ["", "bedrock/", "bedrock/converse/", "bedrock/us-east-1/"] {
            assert_eq!(parse(text), Err(NotBedrock::Empty), "{text}");
        }
    }

    #[test]
    fn regions_are_known_by_their_form() {
        let good = "us-east-1 ap-southeast-4 us-gov-west-1 cn-north-1 eusc-de-east-1 us-iso-east-1 \
                    us-isob-east-1 eu-isoe-west-1 us-isof-south-1 mx-central-1 il-central-1";
        for region in good.split_whitespace() {
            assert!(is_region(region), "{region}");
        }
        for region in [
            "",
            "-",
            "us",
            "us-east",
            "us-east-",
            "us-east-one",
            "US-EAST-1",
            "us_east_1",
            "us-east-1a",
        ]
        .into_iter()
        .chain([
            "us--1",
            "us-1-1",
            "-us-east-1",
            "us-east-1\r\n",
            "us-east-1/..",
            "us.east-1",
            "us-east-100",
        ])
        .chain([
            "u-east-1",
            "a-b-c-d-e-1",
            "üs-east-1",
            "us-east-1 ",
            "anthropic-claude-2",
        ]) {
            assert!(!is_region(region), "{region:?}");
        }
    }

    #[test]
    fn each_partition_has_its_hosts() {
        let check = |region: &str, suffix: &str| {
            let host = host(RUNTIME, region);
            assert_eq!(host, format!("bedrock-runtime.{region}.{suffix}"));
            assert_eq!(host_region(&host), Some(region));
        };
        check("us-east-1", "amazonaws.com");
        check("xx-new-9", "amazonaws.com");
        check("cn-northwest-1", "amazonaws.com.cn");
        check("us-gov-east-1", "amazonaws.com");
        check("eusc-de-east-1", "amazonaws.eu");
        check("us-iso-east-1", "c2s.ic.gov");
        check("us-isob-east-1", "sc2s.sgov.gov");
        check("eu-isoe-west-1", "cloud.adc-e.uk");
        check("us-isof-south-1", "csp.hci.ic.gov");
    }

    #[test]
    fn hosts_name_their_region() {
        let vpce = "vpce-0a-1b.bedrock-runtime.ap-south-1.vpce.amazonaws.com";
        assert_eq!(host_region(vpce), Some("ap-south-1"));
        assert_eq!(host_region("bedrock-runtime-fips.us-east-2.amazonaws.com"), Some("us-east-2"));
        for host in [
            "",
            "localhost",
            "us-east-1.example.com",
            "bedrock-runtime",
            "bedrock-runtime.example.com",
        ] {
            assert_eq!(host_region(host), None, "{host}");
        }
    }

    #[test]
    fn arns_name_their_region() {
        assert_eq!(arn_region(ARN), Some("eu-west-1"));
        assert_eq!(
            arn_region("arn:aws:bedrock:us-east-1::foundation-model/a.b-v1:0"),
            Some("us-east-1")
        );
        assert_eq!(arn_region("arn:aws-us-gov:bedrock:us-gov-west-1:1:x/y"), Some("us-gov-west-1"));
        for arn in [
            "",
            "arn:",
            "arn:aws:s3:::bucket",
            "arn:aws:bedrock:us-east-1:1",
            "arn:aws:bedrock:us-east-1:1:",
        ]
        .into_iter()
        .chain([
            "urn:aws:bedrock:us-east-1:1:x",
            "arn:gcp:bedrock:us-east-1:1:x",
            "arn:aws::us-east-1:1:x",
        ]) {
            assert_eq!(arn_region(arn), None, "{arn}");
        }
    }
}
