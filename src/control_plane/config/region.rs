//! The region that a deployment's signatures name.
//!
//! ```text
//! aws_region_name > bedrock/<region>/ > the ARN's > the custom endpoint's > environment > us-west-2
//! ```
//!
//! That is LiteLLM's order, but for the endpoint's: a signature for another region than the host's is
//! refused by AWS, so what the host says is better than a default.

use super::deployment::Chosen;
use super::document::Node;
use super::environment::Environment;
use super::problem::Problems;
use super::settings::Endpoint;
use crate::bedrock::model;

/// In LiteLLM's order.
const VARIABLES: [&str; 3] = ["AWS_REGION_NAME", "AWS_REGION", "AWS_DEFAULT_REGION"];
/// LiteLLM's.
const DEFAULT: &str = "us-west-2";
const FORM: &str = "is no AWS region; write one as us-east-1";

/// The region of the entry with `params`; `None`: an error is noted. `named`: the endpoint of its own,
/// itself `None` if that is wrong.
pub(super) fn choose(
    params: &Node,
    chosen: Option<&Chosen>,
    named: Option<&Option<Endpoint>>,
    environment: &Environment,
    problems: &mut Problems,
) -> Option<String> {
    if let Some(node) = params.get("region_name") {
        problems
            .warning(&node.place, "has no effect, in LiteLLM too; did you mean `aws_region_name`?");
    }
    let (arn, prefix) = match chosen {
        Some(chosen) => (chosen.arn_region.as_deref(), chosen.prefix_region.as_deref()),
        None => (None, None),
    };
    let host =
        named.and_then(Option::as_ref).and_then(|endpoint| model::host_region(&endpoint.host));
    let region = match params.get("aws_region_name") {
        Some(node) => of_node(node, problems)?,
        None => match prefix.or(arn).or(host) {
            Some(region) => region.into(),
            None if chosen.is_none() || named.is_none() => return None, // one of the two might have told
            None => of_environment(params, environment, problems)?,
        },
    };
    let place = &params.get("aws_region_name").unwrap_or(params).place;
    for (other, what) in [(prefix, "model's prefix"), (arn, "ARN"), (host, "endpoint")] {
        if let Some(other) = other.filter(|other| *other != region) {
            let message = format!(
                "requests are signed for {region}, but the {what} names {other}; AWS may refuse them"
            );
            problems.warning(place, message);
        }
    }
    Some(region)
}

/// The region of `outcrop.passthrough`; `None`: an error is noted.
pub(super) fn of_passthrough(
    params: &Node,
    environment: &Environment,
    problems: &mut Problems,
) -> Option<String> {
    match params.get("aws_region_name") {
        Some(node) => of_node(node, problems),
        None => of_environment(params, environment, problems),
    }
}

fn of_node(node: &Node, problems: &mut Problems) -> Option<String> {
    let region = node.text(problems)?;
    if !model::is_region(&region) {
        problems.error(&node.place, format!("{} {FORM}", node.shown()));
        return None;
    }
    Some(region)
}

fn of_environment(
    params: &Node,
    environment: &Environment,
    problems: &mut Problems,
) -> Option<String> {
    let set = VARIABLES.into_iter().find_map(|name| Some((name, environment.filled(name)?)));
    let Some((name, region)) = set else {
        let message =
            format!("names no region: {DEFAULT} is taken, as in LiteLLM; set aws_region_name");
        problems.warning(&params.place, message);
        return Some(DEFAULT.into());
    };
    if model::is_region(region) {
        return Some(region.into());
    }
    problems.error(&params.place, format!("the value of environment variable {name} {FORM}"));
    None
}
