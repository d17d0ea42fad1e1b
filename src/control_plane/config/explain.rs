//! What `outcrop check` prints: what was understood, deployment by deployment. Never a secret.

use std::fmt;

use super::settings::Loaded;

/// Writes group by group, deployment by deployment, then the warnings.
///
/// # Errors
/// Those of `out`.
pub fn explain(loaded: &Loaded, out: &mut impl fmt::Write) -> fmt::Result {
    for warning in &loaded.warnings {
        writeln!(out, "{warning}")?;
    }
    Ok(())
}
