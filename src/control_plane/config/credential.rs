//! What signs a deployment's requests: its own keys, else those of the environment.
//!
//! Rule: never another credential than the one the configuration means. So a source that this version
//! does not know is an error, not a reason to look further.

use super::document::Node;
use super::environment::Environment;
use super::problem::Problems;
use super::settings::CredentialSource;
use crate::boundary::snapshot::Credential;
use crate::secret::Secret;

const KEY_ID: &str = "aws_access_key_id";
const KEY: &str = "aws_secret_access_key";
const TOKEN: &str = "aws_session_token";
const KEY_ID_VARIABLE: &str = "AWS_ACCESS_KEY_ID";
const KEY_VARIABLE: &str = "AWS_SECRET_ACCESS_KEY";
const TOKEN_VARIABLE: &str = "AWS_SESSION_TOKEN";

/// LiteLLM's other sources.
const UNSUPPORTED: [&str; 8] = [
    "litellm_credential_name",
    "aws_profile_name",
    "aws_role_name",
    "aws_session_name",
    "aws_session_tags",
    "aws_web_identity_token",
    "aws_external_id",
    "aws_sts_endpoint",
];

/// The credential of the entry with `params`; `None`: an error is noted.
pub(super) fn choose(
    params: &Node,
    environment: &Environment,
    problems: &mut Problems,
) -> Option<(Credential, CredentialSource)> {
    let mut refused = false;
    for node in UNSUPPORTED.into_iter().filter_map(|key| params.get(key)) {
        refused = true;
        let hint = "is not supported by this version of Outcrop, which would sign with another credential \
                    than you mean; use aws_access_key_id and aws_secret_access_key, or api_key";
        problems.error(&node.place, hint);
    }
    if refused {
        return None;
    }
    let own = [KEY_ID, KEY, TOKEN].into_iter().filter_map(|key| params.get(key));
    let credential = if let Some(api_key) = params.get("api_key") {
        for node in own {
            problems.warning(&node.place, "has no effect: `api_key` of the same entry wins");
        }
        Credential::ApiKey(Secret::new(api_key.quoted_token(problems)?))
    } else if own.count() > 0 {
        of_entry(params, problems)?
    } else {
        return Some((
            of_environment(params, environment, problems)?,
            CredentialSource::Environment,
        ));
    };
    Some((credential, CredentialSource::Entry))
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
