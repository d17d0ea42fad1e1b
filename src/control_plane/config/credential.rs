//! What signs a deployment's requests: its own keys, a role, a profile, else what the environment has.
//!
//! ```text
//!   api_key > aws_web_identity_token > aws_role_name > aws_profile_name > aws_access_key_id     the entry's
//!   > AWS_BEARER_TOKEN_BEDROCK > AWS_ACCESS_KEY_ID > the AWS SDK's chain                          else
//! ```
//!
//! That is LiteLLM's order, but for api_key and the bearer token, which it takes for one or for all. Rule:
//! never another credential than the one the configuration means. So what is named and does not work is an
//! error, not a reason to look further.

use super::chain::{self, SESSION_NAME};
use super::document::{Content, Node};
use super::environment::Environment;
use super::problem::Problems;
use super::settings::CredentialSource;
use super::source::{Base, Origin, Role, Source, Token};
use crate::boundary::snapshot::Credential;
use crate::secret::Secret;

const KEY_ID: &str = "aws_access_key_id";
const KEY: &str = "aws_secret_access_key";
const TOKEN: &str = "aws_session_token";
const KEY_ID_VARIABLE: &str = "AWS_ACCESS_KEY_ID";
const KEY_VARIABLE: &str = "AWS_SECRET_ACCESS_KEY";
const TOKEN_VARIABLE: &str = "AWS_SESSION_TOKEN";
const BEARER_VARIABLE: &str = "AWS_BEARER_TOKEN_BEDROCK";
/// Variables that the SDK's chain reads, of the process itself.
const REGION_VARIABLES: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];

/// What belongs to a role, and means nothing without one.
const OF_ROLE: [&str; 5] = [
    "aws_session_name",
    "aws_session_tags",
    "aws_external_id",
    "aws_sts_endpoint",
    "aws_web_identity_token",
];

/// The credential of the entry with `params`, whose requests go to `region`; `None`: an error is noted.
/// `takes_bearer`: the environment's bearer token will do.
pub(super) fn choose(
    params: &Node,
    (region, takes_bearer): (Option<&str>, bool),
    environment: &Environment,
    problems: &mut Problems,
) -> Option<(Origin, CredentialSource)> {
    if let Some(node) = params.get("litellm_credential_name") {
        let hint = "is not supported by this version of Outcrop, which would sign with another credential \
                    than you mean; name the credential's own keys here";
        problems.error(&node.place, hint);
        return None;
    }
    let has = |key: &str| params.get(key).is_some();
    let own: Vec<_> = [KEY_ID, KEY, TOKEN].into_iter().filter_map(|key| params.get(key)).collect();
    if let Some(api_key) = params.get("api_key") {
        for node in own {
            problems.warning(&node.place, "has no effect: `api_key` of the same entry wins");
        }
        for node in OF_ROLE.into_iter().chain(["aws_role_name", "aws_profile_name"]) {
            if let Some(node) = params.get(node) {
                problems.error(&node.place, "cannot go with `api_key`: keep one of the two");
                return None;
            }
        }
        let key = Credential::ApiKey(Secret::new(api_key.quoted_token(problems)?));
        return Some((Origin::Fixed(key), CredentialSource::Entry));
    }
    if !has("aws_role_name")
        && let Some(node) = OF_ROLE.into_iter().find_map(|key| params.get(key))
    {
        problems.error(&node.place, "needs aws_role_name: the role that it is for");
        return None;
    }
    if has("aws_role_name") || has("aws_profile_name") {
        return of_source(params, (region?, !own.is_empty()), environment, problems);
    }
    if !own.is_empty() {
        return Some((Origin::Fixed(of_entry(params, problems)?), CredentialSource::Entry));
    }
    if let Some(key) = environment.filled(BEARER_VARIABLE).filter(|_| takes_bearer) {
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            let message = format!(
                "environment variable {BEARER_VARIABLE} holds a character that no such key has; set it anew"
            );
            problems.error(&params.place, message);
            return None;
        }
        let key = Credential::ApiKey(Secret::new(key.into()));
        return Some((Origin::Fixed(key), CredentialSource::Environment));
    }
    if [KEY_ID_VARIABLE, KEY_VARIABLE].iter().any(|name| environment.filled(name).is_some()) {
        let key = of_environment(params, environment, problems)?;
        return Some((Origin::Fixed(key), CredentialSource::Environment));
    }
    let source = chain::source(environment, region?.to_owned());
    Some((Origin::Source(Box::new(source)), CredentialSource::Environment))
}

/// A role, a profile, or a role by a profile.
fn of_source(
    params: &Node,
    (region, has_keys): (&str, bool),
    environment: &Environment,
    problems: &mut Problems,
) -> Option<(Origin, CredentialSource)> {
    let text = |key: &str, problems: &mut Problems| match params.get(key) {
        Some(node) => node.line_of_text(problems).map(Some),
        None => Some(None),
    };
    let profile = text("aws_profile_name", problems)?;
    let base = if let Some(node) = params.get("aws_web_identity_token") {
        Base::WebIdentity(token(node, environment, problems)?)
    } else if let Some(name) = profile {
        Base::Profile { name, files: chain::files(environment) }
    } else if has_keys {
        Base::Key(of_entry(params, problems)?)
    } else if is_in_environment(environment) {
        Base::Key(of_environment(params, environment, problems)?)
    } else if let Some(base) = chain::base(environment) {
        base
    } else if chain::identity(environment).is_some() {
        let hint = "would be assumed with the role of environment_variables, which cannot be: set \
                    aws_web_identity_token here, or those variables for the process";
        problems.error(&params.get("aws_role_name")?.place, hint);
        return None;
    } else {
        Base::Chain
    };
    let role = match text("aws_role_name", problems)? {
        Some(arn) => Some(Role {
            arn,
            session_name: text("aws_session_name", problems)?.unwrap_or(SESSION_NAME.into()),
            external_id: text("aws_external_id", problems)?,
            tags: params
                .get("aws_session_tags")
                .map_or(Some(Vec::new()), |it| tags(it, problems))?,
        }),
        None => None,
    };
    let sts_endpoint = text("aws_sts_endpoint", problems)?;
    let sts_endpoint = sts_endpoint.or_else(|| chain::sts_endpoint(environment));
    if let (Some(endpoint), Some(node)) = (&sts_endpoint, params.get("aws_sts_endpoint"))
        && !["https://", "http://"].iter().any(|scheme| endpoint.starts_with(scheme))
    {
        problems.error(&node.place, "must start with https:// or http://");
        return None;
    }
    let of_variable = REGION_VARIABLES.into_iter().find_map(|name| environment.filled(name));
    let region = of_variable.unwrap_or(region).to_owned();
    let source = Source { base, role, region, sts_endpoint };
    Some((Origin::Source(Box::new(source)), CredentialSource::Entry))
}

/// As LiteLLM has it: `oidc/file/PATH`, `oidc/env/NAME`, `oidc/env_path/NAME`, a path, or the token itself.
fn token(node: &Node, environment: &Environment, problems: &mut Problems) -> Option<Token> {
    let text = node.quoted_token(problems)?;
    let variable = |name: &str, problems: &mut Problems| {
        let value = environment.filled(name).map(str::to_owned);
        if value.is_none() {
            problems.error(&node.place, "names an environment variable that is not set");
        }
        value
    };
    if let Some(path) = text.strip_prefix("oidc/file/") {
        return Some(Token::File(path.into()));
    }
    if let Some(name) = text.strip_prefix("oidc/env/") {
        return variable(name, problems).map(|token| Token::Text(Secret::new(token)));
    }
    if let Some(name) = text.strip_prefix("oidc/env_path/") {
        return variable(name, problems).map(|path| Token::File(path.into()));
    }
    if text.starts_with("oidc/") {
        let hint =
            "names a provider that is not supported; use oidc/file/, oidc/env/ or oidc/env_path/";
        problems.error(&node.place, hint);
        return None;
    }
    Some(if text.starts_with('/') {
        Token::File(text.into())
    } else {
        Token::Text(Secret::new(text))
    })
}

/// `[{Key: k, Value: v}]`, as AWS has it, or `{k: v}`.
fn tags(node: &Node, problems: &mut Problems) -> Option<Vec<(String, String)>> {
    match &node.content {
        Content::Mapping(entries) => {
            entries.iter().map(|(key, value)| Some((key.clone(), value.text(problems)?))).collect()
        }
        Content::List(items) => items
            .iter()
            .map(|item| match (item.get("Key"), item.get("Value")) {
                (Some(key), Some(value)) => {
                    Some((key.line_of_text(problems)?, value.text(problems)?))
                }
                _ => {
                    problems.error(&item.place, "must have `Key` and `Value`");
                    None
                }
            })
            .collect(),
        _ => {
            problems.error(&node.place, "must be a list of `{Key: …, Value: …}`, or a mapping");
            None
        }
    }
}

/// Whether the environment holds a credential.
pub(super) fn is_in_environment(environment: &Environment) -> bool {
    [KEY_ID_VARIABLE, KEY_VARIABLE].iter().all(|name| environment.filled(name).is_some())
}

fn of_entry(params: &Node, problems: &mut Problems) -> Option<Credential> {
    let (Some(key_id), Some(key)) = (params.get(KEY_ID), params.get(KEY)) else {
        let lone = [KEY_ID, KEY, TOKEN].into_iter().find_map(|key| params.get(key))?;
        let message =
            "aws_access_key_id and aws_secret_access_key go together: set both, or neither";
        problems.error(&lone.place, message);
        return None;
    };
    let access_key_id = key_id.quoted_token(problems).filter(|text| {
        let fits = fits_scope(text);
        if !fits {
            problems.error(&key_id.place, "holds `/`, `,` or `=`, which no access key id does");
        }
        fits
    });
    let secret = key.quoted_token(problems).map(Secret::new);
    let token = match params.get(TOKEN) {
        Some(node) if node.text(problems).as_deref() == Some("") => {
            problems.warning(&node.place, "is empty: taken as unset");
            None
        }
        Some(node) => Some(node.quoted_token(problems).map(Secret::new)?),
        None => None,
    };
    Some(Credential::SigV4 {
        access_key_id: access_key_id?,
        secret_access_key: secret?,
        session_token: token,
    })
}

fn of_environment(
    params: &Node,
    environment: &Environment,
    problems: &mut Problems,
) -> Option<Credential> {
    let [key_id, key, token] =
        [KEY_ID_VARIABLE, KEY_VARIABLE, TOKEN_VARIABLE].map(|name| environment.filled(name));
    let (Some(key_id), Some(key)) = (key_id, key) else {
        let message = match (key_id, key) {
            (Some(_), None) => {
                "environment variable AWS_ACCESS_KEY_ID is set, but not AWS_SECRET_ACCESS_KEY; set both"
            }
            (None, Some(_)) => {
                "environment variable AWS_SECRET_ACCESS_KEY is set, but not AWS_ACCESS_KEY_ID; set both"
            }
            _ => {
                "has no credential: set aws_access_key_id and aws_secret_access_key here or in the environment \
                 (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY), or `api_key: os.environ/AWS_BEARER_TOKEN_BEDROCK`"
            }
        };
        problems.error(&params.place, message);
        return None;
    };
    let pairs =
        [(KEY_ID_VARIABLE, Some(key_id)), (KEY_VARIABLE, Some(key)), (TOKEN_VARIABLE, token)];
    for (name, value) in pairs {
        let visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if !value.is_none_or(visible) || (name == KEY_ID_VARIABLE && !value.is_none_or(fits_scope))
        {
            let message = format!(
                "environment variable {name} holds a character that no such key has; set it anew"
            );
            problems.error(&params.place, message);
            return None;
        }
    }
    Some(Credential::SigV4 {
        access_key_id: key_id.into(),
        secret_access_key: Secret::new(key.into()),
        session_token: token.map(|token| Secret::new(token.into())),
    })
}

/// `Credential=id/date/region/…, SignedHeaders=…`: what delimits an id must not be in it.
fn fits_scope(access_key_id: &str) -> bool {
    !access_key_id.contains(['/', ',', '='])
}
