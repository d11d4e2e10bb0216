//! A certificate authority with an intermediate one, as Fulcio has.

use std::sync::Arc;
use std::time::Duration;

use chains_core::PublicKey;
use chains_signer_fulcio as fulcio;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    PublicKeyData, SanType, SignatureAlgorithm,
};

/// Issues certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// PEM: the intermediate one, then the root.
    pub(crate) chain: [String; 2],
}

/// A key of somebody else.
struct Foreign<'a>(&'a PublicKey);

impl PublicKeyData for Foreign<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0.raw()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = || KeyPair::generate().expect("a key");
        let root_key = key();
        let root = authority("root").self_signed(&root_key).expect("a certificate");
        let root_issuer = Issuer::new(authority("root"), root_key);
        let intermediate_key = key();
        let mut params = authority("intermediate");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        let intermediate =
            params.signed_by(&intermediate_key, &root_issuer).expect("a certificate");
        let chain = [intermediate.pem(), root.pem()];
        Self { issuer: Issuer::new(params, intermediate_key), chain }
    }

    /// PEM of a certificate for this key.
    pub(crate) fn issue(&self, key: &PublicKey, lifetime: Duration) -> String {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        let email = "me@example.com".try_into().expect("an address");
        params.subject_alt_names = vec![SanType::Rfc822Name(email)];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        params.not_before = std::time::SystemTime::now().into();
        params.not_after = params.not_before + lifetime;
        params.signed_by(&Foreign(key), &self.issuer).expect("a certificate").pem()
    }

    /// Whoever trusts it, and no log.
    pub(crate) fn trust(&self) -> Arc<dyn fulcio::TrustSource> {
        Arc::new(fulcio::Trust { authorities: vec![self.authority()], ct_logs: Vec::new() })
    }

    pub(crate) fn authority(&self) -> fulcio::Authority {
        fulcio::Authority::from_pem(&self.chain.concat(), fulcio::Window::default())
            .expect("an authority")
    }
}
