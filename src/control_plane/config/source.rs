//! Where a credential comes from: it is written down, or somebody is asked for it, again and again.

use std::{fmt, path::PathBuf};

use ring::digest::{Context, SHA256};

use crate::boundary::snapshot::Credential;
use crate::secret::Secret;

/// Where a deployment's credential comes from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// It is written down, here or in the environment.
    Fixed(Credential),
    /// It is asked for.
    Source(Box<Source>),
}

/// Who is asked for temporary credentials. Deployments with equal ones share what they get.
#[derive(Clone, Debug)]
pub struct Source {
    /// Where the first credential comes from.
    pub base: Base,
    /// What is assumed with it.
    pub role: Option<Role>,
    /// The region whose STS is asked.
    pub region: String,
    /// `aws_sts_endpoint`, else AWS's own.
    pub sts_endpoint: Option<String>,
}

/// Where the first credential comes from.
#[derive(Clone, Debug)]
pub enum Base {
    /// The AWS SDK's own chain: environment, profile, web identity, container, instance.
    Chain,
    /// `aws_profile_name`, of the shared files: keys, a role, SSO or a process.
    Profile {
        /// Its name.
        name: String,
        /// `AWS_CONFIG_FILE` and `AWS_SHARED_CREDENTIALS_FILE`.
        files: [Option<PathBuf>; 2],
    },
    /// The entry's own access key, or the environment's.
    Key(Credential),
    /// `aws_web_identity_token`: the role is assumed with it, unsigned.
    WebIdentity(Token),
}

/// A token of an identity provider.
#[derive(Clone, Debug)]
pub enum Token {
    /// In this file, read anew each time.
    File(PathBuf),
    /// Itself.
    Text(Secret),
}

/// A role to assume.
#[derive(Clone, Debug)]
pub struct Role {
    /// `aws_role_name`.
    pub arn: String,
    /// `aws_session_name`.
    pub session_name: String,
    /// `aws_external_id`.
    pub external_id: Option<String>,
    /// `aws_session_tags`: keys and values.
    pub tags: Vec<(String, String)>,
}

impl Origin {
    /// The same for two that give the same credential. Shows nothing of it.
    #[must_use]
    pub fn key(&self) -> [u8; 32] {
        let mut hash = Context::new(&SHA256);
        let mut add = |part: &str| {
            hash.update(&(part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        };
        match self {
            Self::Fixed(credential) => parts(credential).iter().for_each(|part| add(part)),
            Self::Source(source) => {
                add(&format!("{source:?}")); // without its secrets
                match &source.base {
                    Base::Key(credential) => parts(credential).iter().for_each(|part| add(part)),
                    Base::WebIdentity(Token::Text(token)) => add(token.expose()),
                    _ => {}
                }
            }
        }
        hash.finish().as_ref().try_into().expect("SHA-256 has 32 bytes")
    }

    /// The public half of what is written down; else empty.
    #[must_use]
    pub fn access_key_id(&self) -> &str {
        match self {
            Self::Fixed(Credential::SigV4 { access_key_id, .. }) => access_key_id,
            Self::Fixed(Credential::ApiKey(_)) | Self::Source(_) => "",
        }
    }
}

fn parts(credential: &Credential) -> [&str; 3] {
    match credential {
        Credential::SigV4 { access_key_id, secret_access_key, session_token } => [
            access_key_id,
            secret_access_key.expose(),
            session_token.as_ref().map_or("", |token| token.expose()),
        ],
        Credential::ApiKey(key) => ["", "", key.expose()],
    }
}

impl fmt::Display for Source {
    /// For people; no secret.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(role) = &self.role {
            write!(out, "role {}, ", role.arn)?;
        }
        match &self.base {
            Base::Chain => out.write_str("by the AWS SDK's chain"),
            Base::Profile { name, .. } => write!(out, "by profile {name}"),
            Base::Key(_) => out.write_str("by an access key"),
            Base::WebIdentity(Token::File(path)) => {
                write!(out, "by the token in {}", path.display())
            }
            Base::WebIdentity(Token::Text(_)) => out.write_str("by a web identity token"),
        }
    }
}
