//! `outcrop.client_credentials`: access keys that clients sign with, and whose signatures are checked.

use super::document::{Content, Node};
use super::keys;
use super::problem::Problems;
use crate::policy::auth::ClientCredential;
use crate::secret::Secret;

/// botocore's and AWS's own bounds on an access key id.
const ID_BYTES: std::ops::RangeInclusive<usize> = 8..=128;
/// Shorter ones could be guessed: 128 bits in base64.
const SECRET_BYTES_MIN: usize = 22;

/// Those of the list that are right.
pub(super) fn read(node: Option<&Node>, problems: &mut Problems) -> Vec<ClientCredential> {
    let Some(node) = node else { return Vec::new() };
    let Content::List(items) = &node.content else {
        if !matches!(node.content, Content::Missing) {
            problems
                .error(&node.place, format!("must be a list of access keys, not {}", node.kind()));
        }
        return Vec::new();
    };
    let mut clients: Vec<ClientCredential> = Vec::new();
    for item in items {
        keys::CLIENT_CREDENTIAL.check(item, problems);
        let Some(client) = of(item, problems) else { continue };
        if clients.iter().any(|known| known.access_key_id == client.access_key_id) {
            problems.error(&item.place, "has the access_key_id of another one");
        } else {
            clients.push(client);
        }
    }
    clients
}

fn of(item: &Node, problems: &mut Problems) -> Option<ClientCredential> {
    let (Some(id), Some(secret)) = (item.get("access_key_id"), item.get("secret_access_key"))
    else {
        problems.error(&item.place, "must have `access_key_id` and `secret_access_key`");
        return None;
    };
    let access_key_id = id.quoted_token(problems)?;
    let fits =
        access_key_id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    if !fits || !ID_BYTES.contains(&access_key_id.len()) {
        problems.error(&id.place, "must be 8 to 128 letters, digits, `_`, `-` or `.`");
        return None;
    }
    let text = secret.quoted_token(problems)?;
    if text.len() < SECRET_BYTES_MIN {
        problems.error(
            &secret.place,
            "is too short to be a secret: `openssl rand -base64 30` makes one",
        );
        return None;
    }
    Some(ClientCredential { access_key_id, secret_access_key: Secret::new(text) })
}
