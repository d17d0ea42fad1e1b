//! config.yaml (LiteLLM's keys) → checked settings; errors with file, line and key.

use std::path::Path;

mod environment;
mod explain;
mod problem;
mod secret;
mod settings;

pub use environment::Environment;
pub use explain::explain;
pub use problem::{Problem, Severity};
pub use secret::Secret;
pub use settings::{
    Credential, CredentialSource, Deployment, DriverChoice, Endpoint, Loaded, Settings,
};

/// Reads the configuration at `path`, and what it includes, and checks all of it.
///
/// # Errors
/// All problems found, warnings among them, if at least one is an error.
pub fn load(path: &Path, _environment: &Environment) -> Result<Loaded, Vec<Problem>> {
    Err(vec![Problem {
        severity: Severity::Error,
        file: path.into(),
        line: 0,
        key: String::new(),
        message: "cannot be read yet".into(),
    }])
}
