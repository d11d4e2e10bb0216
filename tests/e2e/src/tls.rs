//! A certificate authority of the test's own, and what it certifies.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::sigstore::Keys;

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
    /// Makes one, with its certificate in `folder`.
    ///
    /// # Errors
    /// If the certificate cannot be made or written.
    pub fn new(folder: &Path, name: &str) -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let certificate = write(folder, &format!("{name}.pem"), &params.self_signed(&key)?.pem())?;
        Ok(Self { certificate, issuer: Issuer::new(params, key) })
    }

    /// Its certificate: what `SSL_CERT_FILE` names for those who trust it.
    #[must_use]
    pub fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// Certifies a server on loopback, with certificate and key in `folder`.
    ///
    /// # Errors
    /// If the certificate cannot be made or written.
    pub fn certify(&self, folder: &Path, name: &str) -> Result<ServerKeys> {
        let params = CertificateParams::new(["127.0.0.1".to_owned(), "localhost".to_owned()])?;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(ServerKeys {
            certificate: write(folder, &format!("{name}.crt"), &certificate.pem())?,
            key: write(folder, &format!("{name}.key"), &key.serialize_pem())?,
        })
    }
}

/// A key pair without a certificate: private and public, in PEM files that begin with `name`.
///
/// # Errors
/// If it cannot be made or written.
pub fn key_pair(folder: &Path, name: &str) -> Result<Keys> {
    let key = KeyPair::generate()?;
    Ok(Keys {
        private: write(folder, &format!("{name}.pem"), &key.serialize_pem())?,
        public: write(folder, &format!("{name}.pub"), &key.public_key_pem())?,
    })
}

fn write(folder: &Path, name: &str, content: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    fs::write(&path, content).with_context(|| format!("write {}", path.display()))?;
    Ok(path)
}
