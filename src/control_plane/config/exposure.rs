//! A file that holds secrets and that every user of the machine can read: an operator's slip, worth a word.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use super::document::{Content, Node};
use super::problem::{Place, Problems};

/// Keys whose values are secrets, wherever they stand; in capitals, as variables.
const SECRETS: [&str; 8] = [
    "master_key",
    "litellm_master_key",
    "api_key",
    "aws_bearer_token_bedrock",
    "aws_secret_access_key",
    "aws_session_token",
    "secret_access_key",
    "database_url",
];
/// Others may read.
const READABLE_BY_OTHERS: u32 = 0o004;

/// Warns once for each such file. Called before variables are put in: what they hold is not in the file.
pub(super) fn check(root: &Node, problems: &mut Problems) {
    let mut told: Vec<Place> = Vec::new();
    walk(root, &mut |place| {
        let is_told = told.iter().any(|known| known.file == place.file);
        if !is_told && is_readable_by_others(&place.file) {
            told.push(place.clone());
        }
    });
    for place in told {
        let message = "is a secret in a file that every user of this machine can read: `chmod o-r` it, or keep the \
             secret in a variable (os.environ/NAME)";
        problems.warning(&place, message);
    }
}

fn walk(node: &Node, found: &mut impl FnMut(&Place)) {
    if let Content::List(items) = &node.content {
        items.iter().for_each(|item| walk(item, found));
    }
    for (key, value) in node.entries() {
        match &value.content {
            Content::Text(text) | Content::Number(_, text)
                if SECRETS.iter().any(|secret| key.eq_ignore_ascii_case(secret))
                    && !text.is_empty()
                    && !text.starts_with("os.environ/") =>
            {
                found(&value.place);
            }
            _ => walk(value, found),
        }
    }
}

fn is_readable_by_others(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|it| it.permissions().mode() & READABLE_BY_OTHERS != 0)
}
