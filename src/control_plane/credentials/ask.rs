//! One source, and how it is asked: AWS's own providers, and its STS where a role is to be assumed.

use std::{path::Path, time::SystemTime};

use aws_config::{
    BehaviorVersion, Region, default_provider::credentials::DefaultCredentialsChain,
    profile::ProfileFileCredentialsProvider, provider_config::ProviderConfig,
};
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider},
};
use aws_sdk_sts::types::{Credentials as Assumed, Tag};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_types::error::display::DisplayErrorContext;

use super::http::Http;
use crate::{
    boundary::snapshot::Credential,
    control_plane::config::{Base, Role, Source, Token},
    secret::Secret,
};

/// Characters of an error that are worth showing.
const ERROR_CHARS_MAX: usize = 400;

/// A credential, and when it ends, if it does.
#[derive(Debug)]
pub struct Given {
    /// It.
    pub credential: Credential,
    /// By the wall clock.
    pub expires: Option<SystemTime>,
}

/// A source that can be asked again and again.
pub struct Asker {
    base: Option<SharedCredentialsProvider>,
    token: Option<Token>,
    role: Option<(Role, aws_sdk_sts::Client)>,
}

impl Asker {
    /// Prepares for `source`; asks nobody yet.
    pub async fn new(source: &Source, http: &Http) -> Self {
        let version = BehaviorVersion::v2026_01_12();
        let region = Region::new(source.region.clone());
        let config = ProviderConfig::without_region()
            .with_region(Some(region.clone()))
            .with_behavior_version(Some(version))
            .with_sleep_impl(TokioSleep::new())
            .with_http_client(http.clone());
        let base = match &source.base {
            Base::Chain => {
                let chain = DefaultCredentialsChain::builder().region(region.clone());
                Some(SharedCredentialsProvider::new(chain.configure(config).build().await))
            }
            Base::Profile { name, files } => Some(profile(name, files, &config)),
            Base::Key(credential) => key(credential).map(SharedCredentialsProvider::new),
            Base::WebIdentity(_) => None,
        };
        let token = match &source.base {
            Base::WebIdentity(token) => Some(token.clone()),
            _ => None,
        };
        let role = source.role.clone().map(|role| {
            let mut sts = aws_sdk_sts::Config::builder()
                .behavior_version(version)
                .region(region)
                .sleep_impl(TokioSleep::new())
                .http_client(http.clone());
            if let Some(endpoint) = &source.sts_endpoint {
                sts = sts.endpoint_url(endpoint.as_str());
            }
            if let Some(base) = &base {
                sts = sts.credentials_provider(base.clone());
            }
            (role, aws_sdk_sts::Client::from_conf(sts.build()))
        });
        Self { base, token, role }
    }

    /// Asks.
    ///
    /// # Errors
    /// Why there is none, in words without a secret.
    pub async fn ask(&self) -> Result<Given, String> {
        match (&self.role, &self.token, &self.base) {
            (Some((role, sts)), Some(token), _) => with_token(role, sts, token).await,
            (Some((role, sts)), None, _) => assume(role, sts).await,
            (None, _, Some(base)) => {
                let given = base.provide_credentials().await;
                given.map_err(|error| words(&error)).and_then(|it| of_chain(&it))
            }
            (None, _, None) => Err("a web identity token needs a role".to_owned()),
        }
    }
}

fn profile(
    name: &str,
    files: &[Option<std::path::PathBuf>; 2],
    config: &ProviderConfig,
) -> SharedCredentialsProvider {
    use aws_runtime::env_config::file::{EnvConfigFileKind as Kind, EnvConfigFiles};
    let kinds = [Kind::Config, Kind::Credentials];
    let mut from = EnvConfigFiles::builder();
    for (kind, file) in kinds.into_iter().zip(files) {
        from = match (file, kind) {
            (Some(path), kind) => from.with_file(kind, path),
            (None, Kind::Config) => from.include_default_config_file(true),
            (None, Kind::Credentials) => from.include_default_credentials_file(true),
        };
    }
    let provider = ProfileFileCredentialsProvider::builder()
        .profile_name(name)
        .profile_files(from.build())
        .configure(config);
    SharedCredentialsProvider::new(provider.build())
}

fn key(credential: &Credential) -> Option<Credentials> {
    let Credential::SigV4 { access_key_id, secret_access_key, session_token } = credential else {
        return None;
    };
    let token = session_token.as_ref().map(|token| token.expose().to_owned());
    Some(Credentials::new(access_key_id, secret_access_key.expose(), token, None, "outcrop"))
}

async fn assume(role: &Role, sts: &aws_sdk_sts::Client) -> Result<Given, String> {
    let mut asked = sts
        .assume_role()
        .role_arn(&role.arn)
        .role_session_name(&role.session_name)
        .set_external_id(role.external_id.clone());
    for (key, value) in &role.tags {
        let tag = Tag::builder().key(key).value(value).build().map_err(|error| words(&error))?;
        asked = asked.tags(tag);
    }
    let given = asked.send().await.map_err(|error| words(&error))?;
    of_sts(given.credentials())
}

async fn with_token(
    role: &Role,
    sts: &aws_sdk_sts::Client,
    token: &Token,
) -> Result<Given, String> {
    let token = match token {
        Token::File(path) => Secret::new(read(path).await?),
        Token::Text(token) => token.clone(),
    };
    let given = sts
        .assume_role_with_web_identity()
        .role_arn(&role.arn)
        .role_session_name(&role.session_name)
        .web_identity_token(token.expose())
        .send()
        .await
        .map_err(|error| words(&error))?;
    of_sts(given.credentials())
}

/// A small file of the machine's own: read where we are, nobody waits for it.
async fn read(path: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(text.trim().to_owned())
}

fn of_sts(given: Option<&Assumed>) -> Result<Given, String> {
    let given = given.ok_or("STS gave none")?;
    let expires = SystemTime::try_from(*given.expiration()).ok();
    let parts = (given.access_key_id(), given.secret_access_key(), Some(given.session_token()));
    Ok(Given { credential: checked(parts)?, expires })
}

fn of_chain(given: &Credentials) -> Result<Given, String> {
    let parts = (given.access_key_id(), given.secret_access_key(), given.session_token());
    Ok(Given { credential: checked(parts)?, expires: given.expiry() })
}

/// What goes into heads must be fit for them, whoever says it.
fn checked((id, secret, token): (&str, &str, Option<&str>)) -> Result<Credential, String> {
    let visible = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if !visible(id) || id.contains(['/', ',', '=']) || !visible(secret) {
        return Err("what it gave is no access key".to_owned());
    }
    let token = token.filter(|token| !token.is_empty());
    if !token.is_none_or(visible) {
        return Err("what it gave is no session token".to_owned());
    }
    Ok(Credential::SigV4 {
        access_key_id: id.to_owned(),
        secret_access_key: Secret::new(secret.to_owned()),
        session_token: token.map(|token| Secret::new(token.to_owned())),
    })
}

/// What a person needs of an error, in one line.
fn words(error: &impl std::error::Error) -> String {
    let text = DisplayErrorContext(error).to_string();
    let shown = text.split(" (").next().unwrap_or(&text);
    let clean = shown.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    clean.take(ERROR_CHARS_MAX).collect()
}
