//! Certificates of real authorities, and the reasons why others are refused.

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    PublicKeyData as _,
};
use rustls_pki_types::pem::PemObject as _;

use super::*;
use crate::trust::Window;

const LEAF: &str = include_str!("../../tests/fixtures/public-leaf.pem");
const CHAIN: &str = include_str!("../../tests/fixtures/public-chain.pem");
const OTHER_CHAIN: &str = include_str!("../../tests/fixtures/extensions-chain.pem");

fn trust(pem: &str, valid: Window) -> Trust {
    let authority = Authority::from_pem(pem, valid).expect("an authority");
    Trust { authorities: vec![authority], ct_logs: Vec::new() }
}

fn key_of(certificates: &Certificates) -> PublicKey {
    let key = certificates.leaf.tbs_certificate().subject_public_key_info().to_der();
    PublicKey::from_spki_der(&key.expect("DER")).expect("a key")
}

fn read(pems: &[&str]) -> Certificates {
    let pems: Vec<_> = pems.iter().map(|pem| (*pem).to_owned()).collect();
    Certificates::read(&pems).expect("certificates")
}

fn refused<T: std::fmt::Debug>(found: Result<T, String>, part: &str) {
    let why = found.expect_err("refused");
    assert!(why.contains(part), "{why}");
}

#[test]
fn a_real_certificate_leads_up_to_its_authority() {
    let now = SystemTime::now();
    let whole = read(&[LEAF, CHAIN]);
    let key = key_of(&whole);
    whole.check(&key, None, now).expect("by the answer alone");
    whole.check(&key, Some(&trust(CHAIN, Window::default())), now).expect("by the trust");
    read(&[LEAF]).check(&key, None, now).expect("nothing says otherwise");
    read(&[LEAF])
        .check(&key, Some(&trust(CHAIN, Window::default())), now)
        .expect("the trust knows what is between");
    let other = trust(OTHER_CHAIN, Window::default());
    refused(whole.check(&key, Some(&other), now), "leads up to no trusted authority");
    let past = Window { start: None, end: Some(UNIX_EPOCH) };
    refused(whole.check(&key, Some(&trust(CHAIN, past)), now), "none of the trusted authorities");
    refused(whole.check(&key, Some(&Trust::default()), now), "none of the trusted authorities");
    let ours = crate::key::EphemeralKey::generate().expect("a key");
    refused(whole.check(ours.public_key(), None, now), "for another key than ours");
    refused(read(&[LEAF, OTHER_CHAIN]).check(&key, None, now), "its chain does not hold");
}

#[test]
fn what_is_stored_is_what_came() {
    let whole = read(&[&format!("{LEAF}{CHAIN}")]);
    assert_eq!(whole.leaf_pem().expect("PEM"), LEAF);
    assert_eq!(whole.chain_pem().expect("PEM").as_deref(), Some(CHAIN));
    assert_eq!(read(&[LEAF]).chain_pem().expect("PEM"), None);
    let (start, end) = whole.validity();
    assert_eq!(end.duration_since(start).expect("in order"), Duration::from_secs(600));
}

#[test]
fn odd_answers_are_refused() {
    let check = |pems: &[&str], part: &str| {
        let pems: Vec<_> = pems.iter().map(|pem| (*pem).to_owned()).collect();
        refused(Certificates::read(&pems), part);
    };
    check(&[], "there is no certificate");
    check(&["", "nothing"], "there is no certificate");
    check(&["-----BEGIN CERTIFICATE-----\nAAAA"], "not PEM");
    check(&["-----BEGIN CERTIFICATE-----\n%\n-----END CERTIFICATE-----\n"], "not PEM");
    check(&["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"], "cannot be read");
    check(&[LEAF; 11], "more than 10");
    check(&[&LEAF.repeat(11)], "more than 10");
}

/// An authority that issues what it is asked for.
fn issue(change: impl FnOnce(&mut CertificateParams)) -> (Certificates, String) {
    let authority = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = params.self_signed(&authority).expect("a certificate");
    let issuer = Issuer::new(params, authority);
    let subject = KeyPair::generate().expect("a key");
    let mut leaf = CertificateParams::default();
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
    change(&mut leaf);
    let leaf = leaf.signed_by(&subject, &issuer).expect("a certificate");
    let certificates = read(&[&leaf.pem(), &root.pem()]);
    assert!(
        certificates.der().windows(subject.der_bytes().len()).any(|w| w == subject.der_bytes())
    );
    (certificates, root.pem())
}

#[test]
fn certificates_for_something_else_are_refused() {
    let now = SystemTime::now();
    let check = |change: fn(&mut CertificateParams), expect: Option<&str>| {
        let (certificates, root) = issue(change);
        let key = key_of(&certificates);
        for trust in [None, Some(trust(&root, Window::default()))] {
            let found = certificates.check(&key, trust.as_ref(), now);
            match expect {
                None => found.expect("it holds"),
                Some(part) => refused(found, part),
            }
        }
    };
    check(|_| {}, None);
    let tls = |params: &mut CertificateParams| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    };
    check(tls, Some("RequiredEkuNotFound"));
    check(|params| params.extended_key_usages.clear(), Some("RequiredEkuNotFound"));
    check(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained), Some("CaUsed"));
}

#[test]
fn a_broken_signature_breaks_the_chain() {
    let (certificates, root) = issue(|_| {});
    let key = key_of(&certificates);
    let mut der = certificates.der().to_vec();
    let last = der.len() - 1;
    der[last] ^= 1;
    let broken = read(&[&to_pem(&der).expect("PEM"), &root]);
    refused(broken.check(&key, None, SystemTime::now()), "InvalidSignatureForPublicKey");
    let der = CertificateDer::from_pem_slice(root.as_bytes()).expect("PEM");
    assert_eq!(
        certificates.issuer_key_hashes(&[]),
        read(&[LEAF, &root]).issuer_key_hashes_of(&der)
    );
}

impl Certificates {
    /// The hash of the key in a certificate, whoever issued ours.
    fn issuer_key_hashes_of(&self, der: &[u8]) -> Vec<[u8; 32]> {
        let certificate = parse(der).expect("a certificate");
        let key = certificate.tbs_certificate().subject_public_key_info().to_der().expect("DER");
        vec![Sha256::digest(key).into()]
    }
}
