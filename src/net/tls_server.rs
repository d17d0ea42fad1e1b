//! TLS towards clients: what they are shown, and who of them is let in.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use ring::digest::{Context, SHA256};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{UnbufferedServerConnection, WebPkiClientVerifier},
};

use super::{
    tcp::Socket,
    tls::{Session, TlsError, provider},
};
use crate::buffer::Buffer;

/// PEM files.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerFiles {
    /// Our certificate, and those between it and an authority's.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Authorities; clients must show a certificate of one of them.
    pub client_ca: Option<PathBuf>,
}

/// What the cores share for connections from clients: certificate, key, tickets for those that come back.
#[derive(Clone)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    /// Of all that was read.
    fingerprint: [u8; 32],
}

impl fmt::Debug for ServerTls {
    /// The key is nobody's business.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("ServerTls")
    }
}

impl PartialEq for ServerTls {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}

impl ServerTls {
    /// Reads the files.
    ///
    /// # Errors
    /// Which file, and what is wrong with it.
    pub fn read(files: &ServerFiles) -> Result<Self, String> {
        let mut fingerprint = Context::new(&SHA256);
        let chain = certificates(&files.certificate)?;
        chain.iter().for_each(|certificate| fingerprint.update(certificate));
        let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| {
            format!("{}: holds no private key in PEM form: {error}", files.key.display())
        })?;
        fingerprint.update(key.secret_der());
        let provider = Arc::new(provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let builder = match &files.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(path)? {
                    fingerprint.update(&certificate);
                    roots.add(certificate).map_err(|error| in_file(path, &error))?;
                }
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.with_client_cert_verifier(verifier.map_err(|error| in_file(path, &error))?)
            }
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|error| {
            let (certificate, key) = (files.certificate.display(), files.key.display());
            format!("{certificate} and {key} do not belong together, or cannot be used: {error}")
        })?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.ticketer = ticketer().map_err(|error| error.to_string())?;
        let fingerprint = fingerprint.finish().as_ref().try_into().expect("SHA-256 has 32 bytes");
        Ok(Self { config: Arc::new(config), fingerprint })
    }

    /// Performs the handshake with a client. Bound it with a time-out.
    ///
    /// # Errors
    /// [`TlsError`]; the client was told why, if it speaks TLS.
    pub async fn accept(
        &self,
        socket: &Socket,
        received: Buffer,
        stall: Duration,
    ) -> Result<(Session<UnbufferedServerConnection>, Buffer), TlsError> {
        let connection = UnbufferedServerConnection::new(self.config.clone())?;
        Session::shake(connection, socket, received, stall).await
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).and_then(|certificates| certificates.collect());
    match all {
        Ok(all) if all.is_empty() => {
            Err(format!("{}: holds no certificate in PEM form", path.display()))
        }
        Ok(all) => Ok(all),
        Err(error) => Err(in_file(path, &error)),
    }
}

fn in_file(path: &Path, error: &impl fmt::Display) -> String {
    format!("{}: {error}", path.display())
}

#[cfg(feature = "aws-lc")]
fn ticketer() -> Result<Arc<dyn rustls::server::ProducesTickets>, rustls::Error> {
    rustls::crypto::aws_lc_rs::Ticketer::new()
}

#[cfg(not(feature = "aws-lc"))]
fn ticketer() -> Result<Arc<dyn rustls::server::ProducesTickets>, rustls::Error> {
    rustls::crypto::ring::Ticketer::new()
}
