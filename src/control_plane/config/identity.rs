//! The id of each deployment: its own, else one that stays the same as long as the entry means the same.

use std::collections::{BTreeMap, btree_map::Entry};
use std::fmt::Write as _;

use ring::digest;

use super::document::Node;
use super::problem::{Place, Problems};
use super::settings::Deployment;

/// Answers carry the id in a field.
const ID_BYTES_MAX: usize = 256;

/// `model_info.id`: `Ok(None)` if there is none. `Err`: an error is noted.
pub(super) fn explicit(
    info: Option<&Node>,
    problems: &mut Problems,
) -> Result<Option<(String, Place)>, ()> {
    let Some(node) = info.and_then(|info| info.get("id")) else { return Ok(None) };
    let id = node.token(problems).ok_or(())?;
    if id.len() > ID_BYTES_MAX {
        problems.error(&node.place, format!("is longer than {ID_BYTES_MAX} characters"));
        return Err(());
    }
    Ok(Some((id, node.place.clone())))
}

/// The first 16 hex digits of SHA-256 over what tells the deployment from others; no secret. Of several
/// that say the same, `ordinal` tells which.
pub(super) fn derive(deployment: &Deployment, ordinal: usize) -> String {
    let access_key_id = deployment.credential.access_key_id();
    let (endpoint, ordinal) = (deployment.endpoint.url(), ordinal.to_string());
    let Deployment { model_name, bedrock_model_id, region, .. } = deployment;
    let mut hash = digest::Context::new(&digest::SHA256);
    for part in
        [model_name, bedrock_model_id, region, endpoint.as_str(), access_key_id, ordinal.as_str()]
    {
        hash.update(part.as_bytes());
        hash.update(b"\n"); // no part holds one, so no two lists of parts read alike
    }
    hash.finish().as_ref()[..8].iter().fold(String::new(), |mut id, byte| {
        write!(id, "{byte:02x}").expect("a String takes all");
        id
    })
}

/// Gives ids to the deployments that have none, and refuses those that two have. Each comes with the place
/// of its id, or of its entry.
pub(super) fn assign(deployments: &mut [(Deployment, Place)], problems: &mut Problems) {
    let mut ordinals: BTreeMap<String, usize> = BTreeMap::new();
    for (deployment, _) in deployments.iter_mut().filter(|(deployment, _)| deployment.id.is_empty())
    {
        let ordinal = ordinals.entry(derive(deployment, 0)).or_default();
        deployment.id = derive(deployment, *ordinal);
        *ordinal += 1;
    }
    let mut places: BTreeMap<&str, &Place> = BTreeMap::new();
    for (deployment, place) in &*deployments {
        match places.entry(&deployment.id) {
            Entry::Vacant(free) => {
                free.insert(place);
            }
            Entry::Occupied(first) => {
                let first = first.get();
                let (file, line) = (first.file.display(), first.line);
                problems.error(
                    place,
                    format!("the id is that of {file}:{line} too; give each entry its own"),
                );
            }
        }
    }
}
