//! A certificate authority made at start, and the leaf certificates it issues.
//!
//! Nothing is kept: each [`Authority`] is new, lives in memory, and writes only its own certificate
//! (never a key) to a path, for clients to trust. Several stand-ins share one.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// A CA that lives as long as the process.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    der: CertificateDer<'static>,
    pem: String,
}

impl Authority {
    /// A new CA with a P-256 key. Fails only if the system has no randomness.
    pub fn generate() -> io::Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Outcrop stand-in CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let certificate = params.self_signed(&key).map_err(io::Error::other)?;
        let (der, pem) = (certificate.der().clone(), certificate.pem());
        Ok(Self { issuer: Issuer::new(params, key), der, pem })
    }

    /// The CA's certificate as PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The CA's certificate as DER, for a client's root store.
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// Writes the CA's certificate as PEM. Errors are the file system's.
    pub fn write_pem(&self, path: &Path) -> io::Result<()> {
        std::fs::write(path, &self.pem)
    }

    /// Names that a stand-in for `region` answers to.
    pub fn names_of_region(region: &str) -> Vec<String> {
        let mut names: Vec<String> =
            ["localhost", "*.localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
        names.push(format!("bedrock-runtime.{region}.amazonaws.com"));
        names
    }

    /// A server's TLS configuration with a new leaf for `names` (DNS names or addresses): TLS 1.2
    /// and 1.3, ALPN http/1.1, session tickets on.
    pub fn server_config(&self, names: Vec<String>) -> io::Result<Arc<ServerConfig>> {
        let mut params = CertificateParams::new(names).map_err(io::Error::other)?;
        params.distinguished_name.push(DnType::CommonName, "Outcrop stand-in");
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let leaf = params.signed_by(&key, &self.issuer).map_err(io::Error::other)?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| {
                builder.with_no_client_auth().with_single_cert(vec![leaf.der().clone()], key.into())
            })
            .map_err(io::Error::other)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.ticketer = ring::Ticketer::new().map_err(io::Error::other)?;
        Ok(Arc::new(config))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_authority_is_its_own() {
        let (one, other) = (Authority::generate().unwrap(), Authority::generate().unwrap());
        assert!(one.pem().starts_with("-----BEGIN CERTIFICATE-----"));
        assert_ne!(one.pem(), other.pem());
        one.server_config(Authority::names_of_region("eu-west-1")).unwrap();
    }
}
