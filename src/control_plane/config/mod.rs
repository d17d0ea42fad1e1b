//! config.yaml (LiteLLM's keys) → checked settings; errors with file, line and key.
//!
//! ```text
//! file → yaml + lines → document → include → substitute → deployment, general → Settings
//!        values  where   nodes     one tree   os.environ/  judged, every problem noted
//! ```
//!
//! A wrong value is an error and stops the start; a key without effect is a warning. All problems are
//! reported at once. No message holds a secret, nor any value that came out of a variable.

use std::fs;
use std::path::Path;

mod accounting;
mod chain;
mod clients;
mod credential;
mod database;
mod deployment;
mod document;
mod endpoint;
mod environment;
mod explain;
mod general;
mod identity;
mod include;
mod keys;
mod lines;
mod numbers;
mod passthrough;
mod patience;
mod price;
mod problem;
mod read;
mod region;
mod router;
mod settings;
mod source;
mod substitute;
#[cfg(test)]
mod tests;
mod tls;
mod weight;
mod yaml;

pub use crate::boundary::snapshot::Credential;
pub use crate::secret::Secret;
pub use environment::Environment;
pub use explain::explain;
pub use problem::{Problem, Severity};
pub use settings::{
    AccessLog, Accounting, Alias, CredentialSource, Deployment, DriverChoice, Endpoint, Loaded,
    OnClientDisconnect, OnFull, Own, Passthrough, Router, Settings,
};
pub use source::{Base, Origin, Role, Source, Token};
pub use tls::{CERTIFICATE_VARIABLE, KEY_VARIABLE};

/// Reads the configuration at `path`, and what it includes, and checks all of it.
///
/// # Errors
/// All problems found, warnings among them, if at least one is an error.
pub fn load(path: &Path, environment: &Environment) -> Result<Loaded, Vec<Problem>> {
    load_by(path, environment, &|path| fs::read(path))
}

/// [`load`] by another way to read files.
pub(super) fn load_by(
    path: &Path,
    environment: &Environment,
    read_file: include::ReadFile<'_>,
) -> Result<Loaded, Vec<Problem>> {
    let mut problems = problem::Problems::default();
    let settings = include::read(path, read_file, &mut problems).map(|mut root| {
        let mut environment = environment.clone();
        substitute::substitute(&mut root, &mut environment, &mut problems);
        let prices = price::map(&root, read_file, &mut problems);
        let deployments = deployment::read(&root, prices.as_ref(), &environment, &mut problems);
        let mut settings = general::read(&root, deployments, &environment, &mut problems);
        settings.price_map = prices;
        settings
    });
    match settings {
        Some(settings) if !problems.stop() => {
            Ok(Loaded { settings, warnings: problems.sorted(path) })
        }
        _ => Err(problems.sorted(path)),
    }
}
