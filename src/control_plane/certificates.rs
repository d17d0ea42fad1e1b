//! Certificates, from the files that settings name: at start, and again on each SIGHUP.
//!
//! One function reads them all, so that a reload takes all of them or none.

use std::{path::PathBuf, sync::Arc};

use super::{config::Settings, supervisor::RunError};
use crate::net::{
    tls::{self, Certificates, ClientTls},
    tls_server::ServerTls,
};

/// Reads what the settings name, and sees that TLS can be set up with it.
///
/// # Errors
/// [`RunError::TrustedRoots`], [`RunError::Tls`].
pub fn read(settings: &Settings) -> Result<Certificates, RunError> {
    let file = settings.trusted_roots_file.as_deref();
    let trusted = tls::trusted_roots(file).map_err(|error| {
        RunError::TrustedRoots(file.map_or_else(PathBuf::new, Into::into), error)
    })?;
    ClientTls::new(Arc::clone(&trusted)).map_err(|error| RunError::Tls(error.to_string()))?;
    let server = settings.tls.as_ref().map(ServerTls::read).transpose();
    Ok(Certificates { trusted, server: server.map_err(RunError::Tls)? })
}
