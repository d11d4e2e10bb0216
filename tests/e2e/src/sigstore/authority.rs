//! The authority behind Fulcio: a root and an intermediate, whose keys the case holds.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType,
    SignatureAlgorithm, date_time_ymd,
};

use super::Identity;

/// Where a certificate of Fulcio tells whose word it believed.
const ISSUER: &[u64] = &[1, 3, 6, 1, 4, 1, 57264, 1, 8];

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

    /// Certifies in PEM that a key on P-256 was somebody's for some days of long ago.
    ///
    /// # Errors
    /// If it is not a public key in PEM.
    pub fn certify_long_ago(&self, public_pem: &str, who: &Identity) -> Result<String> {
        let base64: String = public_pem.lines().filter(|line| !line.starts_with("-----")).collect();
        let der = STANDARD.decode(base64)?;
        let point = der.len().checked_sub(POINT).context("not a key on P-256")?;
        let key = Point(der[point..].to_vec());
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::Rfc822Name(who.name.as_str().try_into()?)];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        params.not_before = date_time_ymd(2024, 1, 1);
        params.not_after = date_time_ymd(2024, 1, 3);
        // UTF8String, whose length fits into one byte here.
        let length = u8::try_from(who.issuer.len())?;
        let issuer = [&[0x0c, length], who.issuer.as_bytes()].concat();
        params.custom_extensions = vec![CustomExtension::from_oid_content(ISSUER, issuer)];
        Ok(params.signed_by(&key, &self.intermediate)?.pem())
    }
}

/// How long a point of P-256 is, at the end of a public key.
const POINT: usize = 65;

/// A public key whose private one somebody else has.
struct Point(Vec<u8>);

impl PublicKeyData for Point {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

fn params(name: &str) -> CertificateParams {
    // Valid since long before now, as rcgen has it by default.
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::OrganizationName, "example.test");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}
