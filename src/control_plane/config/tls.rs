//! What clients' connections are secured with: LiteLLM's flags (or their variables), and `outcrop.tls`.

use std::path::PathBuf;

use super::document::Node;
use super::environment::Environment;
use super::keys;
use super::problem::Problems;
use crate::net::tls_server::{ServerFiles, ServerTls};

/// Of `--ssl_certfile_path`, as LiteLLM names it.
pub const CERTIFICATE_VARIABLE: &str = "SSL_CERTFILE_PATH";
/// Of `--ssl_keyfile_path`.
pub const KEY_VARIABLE: &str = "SSL_KEYFILE_PATH";

/// The files, all of which can be used.
pub(super) fn read(
    root: &Node,
    node: Option<&Node>,
    environment: &Environment,
    problems: &mut Problems,
) -> Option<ServerFiles> {
    let client_ca = node.and_then(|node| {
        keys::TLS.check(node, problems);
        let path = node.get("client_ca")?;
        let text = path.line_of_text(problems)?;
        let folder = path.place.file.parent();
        Some(folder.map_or_else(|| PathBuf::from(&text), |folder| folder.join(&text)))
    });
    let file = |name| environment.filled(name).map(PathBuf::from);
    let files = match (file(CERTIFICATE_VARIABLE), file(KEY_VARIABLE)) {
        (Some(certificate), Some(key)) => ServerFiles { certificate, key, client_ca },
        (None, None) => {
            if let Some(node) = node {
                let message = "has no effect without --ssl_certfile_path and --ssl_keyfile_path: clients come in plain text";
                problems.warning(&node.place, message);
            }
            return None;
        }
        (certificate, _) => {
            let (given, missing) = match certificate {
                Some(_) => ("--ssl_certfile_path", "--ssl_keyfile_path"),
                None => ("--ssl_keyfile_path", "--ssl_certfile_path"),
            };
            problems
                .error(&root.place, format!("{given} is given without {missing}: TLS needs both"));
            return None;
        }
    };
    if let Err(what) = ServerTls::read(&files) {
        let place = match (&files.client_ca, node) {
            (Some(path), Some(node)) if what.starts_with(&path.display().to_string()) => {
                &node.place
            }
            _ => &root.place,
        };
        problems.error(place, format!("TLS for clients: {what}"));
        return None;
    }
    Some(files)
}
