//! The authority behind Fulcio: a root and an intermediate, whose keys the case holds.

use std::path::{Path, PathBuf};

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// A root, and an intermediate that certifies whoever signs.
#[derive(Debug)]
pub struct CodeSigning {
    /// The intermediate, then the root, in PEM.
    pub chain: PathBuf,
    /// The root in PEM.
    pub root: PathBuf,
    /// The key of the intermediate in PEM.
    pub key: PathBuf,
    /// The same certificates as DER, the intermediate first.
    pub certificates: Vec<Vec<u8>>,
    intermediate: Issuer<'static, KeyPair>,
}

impl CodeSigning {
    /// Makes one in `folder`.
    ///
    /// # Errors
    /// If it cannot be made or written.
    pub fn new(folder: &Path) -> Result<Self> {
        let key = KeyPair::generate()?;
        let params = params("root");
        let root = params.self_signed(&key)?;
        let issuer = Issuer::new(params, key);

        let key = KeyPair::generate()?;
        let mut params = self::params("intermediate");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        let intermediate = params.signed_by(&key, &issuer)?;

        let write = |name: &str, content: String| -> Result<PathBuf> {
            let path = folder.join(name);
            std::fs::write(&path, content)?;
            Ok(path)
        };
        Ok(Self {
            chain: write("fulcio-chain.pem", intermediate.pem() + &root.pem())?,
            root: write("fulcio-root.pem", root.pem())?,
            key: write("fulcio-key.pem", key.serialize_pem())?,
            certificates: vec![intermediate.der().to_vec(), root.der().to_vec()],
            intermediate: Issuer::new(params, key),
        })
    }

    /// Who certifies, for what no honest authority would certify.
    #[must_use]
    pub fn intermediate(&self) -> &Issuer<'static, KeyPair> {
        &self.intermediate
    }
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::OrganizationName, "example.test");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}
