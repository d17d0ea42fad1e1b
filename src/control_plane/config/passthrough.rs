//! `outcrop.passthrough`, `unlisted_models`, `unlisted_paths`: where goes what the model list does not serve.
//!
//! Without `outcrop.passthrough`, `AWS_REGION_NAME` turns it on, with the environment's credential, as in
//! LiteLLM, whose agents go there too. `outcrop.passthrough: false` turns it off.

use super::document::{Content, Node};
use super::environment::Environment;
use super::keys;
use super::problem::Problems;
use super::settings::{Endpoint, Passthrough};
use super::{credential, endpoint, region};
use crate::bedrock::operation::{Action, ActionSet, Service};

/// LiteLLM's: its agents go to this region, and nowhere without it.
const REGION_VARIABLE: &str = "AWS_REGION_NAME";
/// Keys that name a service's endpoint, and the environment's variable for it, LiteLLM's or AWS's own.
const ENDPOINTS: [(&str, &str); Service::ALL.len()] = [
    ("aws_bedrock_runtime_endpoint", "AWS_BEDROCK_RUNTIME_ENDPOINT"),
    ("aws_bedrock_agent_runtime_endpoint", "AWS_ENDPOINT_URL_BEDROCK_AGENT_RUNTIME"),
    ("aws_bedrock_endpoint", "AWS_ENDPOINT_URL_BEDROCK"),
];

/// All of it; the section `outcrop` is checked by who calls.
pub(super) fn read(
    root: &Node,
    environment: &Environment,
    problems: &mut Problems,
) -> Option<Passthrough> {
    let value = |section: &str, key: &str| root.get(section).and_then(|section| section.get(key));
    let refuses_agents = value("general_settings", "disable_bedrock_agent_runtime_passthrough")
        .and_then(|node| node.flag(problems))
        .unwrap_or(false);
    let unlisted_models = value("outcrop", "unlisted_models");
    let takes_models = unlisted_models.is_some_and(|node| is(node, "passthrough", problems));
    let unlisted_paths = value("outcrop", "unlisted_paths");
    let takes_unlisted_paths = unlisted_paths.is_some_and(|node| is(node, "allow", problems));
    let said = value("outcrop", "passthrough");
    let passthrough = match said.map(|node| (node, &node.content)) {
        Some((_, Content::Missing | Content::Bool(false))) => None,
        Some((node, Content::Mapping(_))) => {
            keys::PASSTHROUGH.check(node, problems);
            of(node, environment, problems)
        }
        Some((node, Content::Bool(true))) => of(node, environment, problems),
        Some((node, _)) => {
            problems.error(
                &node.place,
                format!("must be a mapping, or true or false, not {}", node.kind()),
            );
            None
        }
        None if environment.filled(REGION_VARIABLE).is_some()
            && credential::is_in_environment(environment) =>
        {
            of(root, environment, problems)
        }
        None => None,
    };
    for node in
        [unlisted_models.filter(|_| takes_models), unlisted_paths.filter(|_| takes_unlisted_paths)]
    {
        if let (Some(node), None) = (node, &passthrough) {
            problems.error(
                &node.place,
                "needs outcrop.passthrough, whose credential and region it would take",
            );
        }
    }
    passthrough.map(|mut passthrough| {
        if refuses_agents {
            let agents = |action: &Action| action.service() == Service::AgentRuntime;
            let kept =
                Action::ALL.into_iter().filter(|it| passthrough.allowed.has(*it) && !agents(it));
            passthrough.allowed = kept.fold(ActionSet::default(), ActionSet::with);
        }
        Passthrough {
            takes_models,
            takes_unlisted_paths,
            is_by_variable: said.is_none(),
            ..passthrough
        }
    })
}

fn is(node: &Node, word: &str, problems: &mut Problems) -> bool {
    match &node.content {
        Content::Text(text) if text == word => return true,
        Content::Text(text) if text == "refuse" => {}
        Content::Missing => {}
        _ => problems.error(&node.place, format!("must be {word} or refuse")),
    }
    false
}

/// By the keys of `node`; the environment says what they do not.
fn of(node: &Node, environment: &Environment, problems: &mut Problems) -> Option<Passthrough> {
    let absent = Node { place: node.place.clone(), content: Content::Null, variable: None };
    let params = if matches!(node.content, Content::Mapping(_)) && !node.place.key.is_empty() {
        node
    } else {
        &absent
    };
    let region = region::of_passthrough(params, environment, problems);
    let credential = credential::choose(params, environment, problems);
    let allowed =
        params.get("allowed_operations").map_or(Some(ActionSet::ALL), |it| allowed(it, problems));
    let named = ENDPOINTS.map(|(key, variable)| {
        endpoint::named_by(params, [key, "api_base"], variable, environment, problems)
    });
    let (region, (credential, credential_source)) = (region?, credential?);
    let mut endpoints: Vec<Endpoint> = Vec::new();
    for (service, named) in Service::ALL.into_iter().zip(named) {
        endpoints.push(named.ok()?.unwrap_or_else(|| endpoint::public(service, &region)));
    }
    Some(Passthrough {
        endpoints: endpoints.try_into().expect("one for each service"),
        region,
        credential,
        credential_source,
        allowed: allowed?,
        takes_models: false,
        takes_unlisted_paths: false,
        is_by_variable: false,
    })
}

/// Names of operations, of services, or `*`.
fn allowed(node: &Node, problems: &mut Problems) -> Option<ActionSet> {
    let one = std::slice::from_ref(node);
    let items = if let Content::List(items) = &node.content { items.as_slice() } else { one };
    let mut set = ActionSet::default();
    for item in items {
        let name = item.text(problems)?;
        let of_service =
            |service: Service| Action::ALL.into_iter().filter(move |it| it.service() == service);
        if name == "*" {
            set = ActionSet::ALL;
        } else if let Some(service) = Service::ALL.into_iter().find(|it| it.name() == name) {
            set = of_service(service).fold(set, ActionSet::with);
        } else if let Some(action) = Action::from_name(&name) {
            set = set.with(action);
        } else {
            let names = Action::ALL.iter().map(|action| action.name());
            let name = name.escape_debug().to_string();
            let message = match keys::nearest(&name, names) {
                Some(near) => {
                    format!("`{name}` is no operation of Bedrock's; did you mean `{near}`?")
                }
                None => format!(
                    "`{name}` is no operation of Bedrock's; write one as ApplyGuardrail, a service as \
                     bedrock-agent-runtime, or \"*\""
                ),
            };
            problems.error(&item.place, message);
            return None;
        }
    }
    Some(set)
}
