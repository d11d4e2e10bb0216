//! A certificate authority of the test's own, and what it certifies.

use std::path::{Path, PathBuf};

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::scene::Scene;

/// A private certificate authority that nobody trusts unless told to.
#[derive(Debug)]
pub struct Authority {
    certificate: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

/// A server's certificate and key, as PEM files.
#[derive(Debug)]
pub struct ServerKeys {
    /// The certificate.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

impl Authority {
    /// Makes one, with its certificate in the case's folder.
    ///
    /// # Errors
    /// If the certificate cannot be made or written.
    pub fn new(scene: &Scene<'_>, name: &str) -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let certificate = scene.write(&format!("{name}.pem"), params.self_signed(&key)?.pem())?;
        Ok(Self { certificate, issuer: Issuer::new(params, key) })
    }

    /// Its certificate: what `SSL_CERT_FILE` names for those who trust it.
    #[must_use]
    pub fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// Certifies a server on loopback.
    ///
    /// # Errors
    /// If the certificate cannot be made or written.
    pub fn certify(&self, scene: &Scene<'_>, name: &str) -> Result<ServerKeys> {
        let params = CertificateParams::new(["127.0.0.1".to_owned(), "localhost".to_owned()])?;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(ServerKeys {
            certificate: scene.write(&format!("{name}.crt"), certificate.pem())?,
            key: scene.write(&format!("{name}.key"), key.serialize_pem())?,
        })
    }
}
