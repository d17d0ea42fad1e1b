//! What AWS's chain finds in variables that `environment_variables` set. The chain reads those of the process, and
//! ours are none of its; so what they name is asked for by name.

use super::environment::Environment;
use super::source::{Base, Role, Source, Token};

const PROFILE: &str = "AWS_PROFILE";
const FILES: [&str; 2] = ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"];
const IDENTITY: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";
const ROLE: &str = "AWS_ROLE_ARN";
const SESSION: &str = "AWS_ROLE_SESSION_NAME";
const STS: &str = "AWS_ENDPOINT_URL_STS";
/// What AWS's log calls us, if nobody says.
pub(super) const SESSION_NAME: &str = "outcrop";

/// Who is asked where the entry names nobody.
pub(super) fn source(environment: &Environment, region: String) -> Source {
    // The chain's own order: a profile that is named, a web identity, a profile by default.
    let is_named = environment.filled(PROFILE).is_some();
    let (base, role) = match (base(environment), identity(environment)) {
        (base, Some((token, role))) if base.is_none() || !is_named => {
            (Base::WebIdentity(token), Some(role))
        }
        (base, _) => (base.unwrap_or(Base::Chain), None),
    };
    Source { base, role, region, sts_endpoint: sts_endpoint(environment) }
}

/// The profile that the configuration's variables name, or whose files they do.
pub(super) fn base(environment: &Environment) -> Option<Base> {
    let is_ours = [PROFILE].iter().chain(&FILES).any(|name| environment.is_configured(name));
    is_ours.then(|| {
        let name = environment.filled(PROFILE).unwrap_or("default").to_owned();
        Base::Profile { name, files: files(environment) }
    })
}

/// The shared files, where they are elsewhere than at home.
pub(super) fn files(environment: &Environment) -> [Option<std::path::PathBuf>; 2] {
    FILES.map(|name| environment.filled(name).map(Into::into))
}

/// The role that the configuration's variables name, and the token it is assumed with.
pub(super) fn identity(environment: &Environment) -> Option<(Token, Role)> {
    if ![IDENTITY, ROLE].iter().any(|name| environment.is_configured(name)) {
        return None;
    }
    let (token, arn) = (environment.filled(IDENTITY)?, environment.filled(ROLE)?);
    let session_name = environment.filled(SESSION).unwrap_or(SESSION_NAME).to_owned();
    let role = Role { arn: arn.to_owned(), session_name, external_id: None, tags: Vec::new() };
    Some((Token::File(token.into()), role))
}

/// STS's address, if the configuration's variables say it.
pub(super) fn sts_endpoint(environment: &Environment) -> Option<String> {
    let endpoint = environment.filled(STS).filter(|_| environment.is_configured(STS));
    endpoint.map(str::to_owned)
}
