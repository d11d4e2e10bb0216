//! What signers promise, and how many certificates that takes.

use std::sync::Arc;
use std::time::Duration;

use chains_core::Signer;
use chains_signer_fulcio::Status;
use chains_testkit::signer::{Determinism, suite};

use crate::support::{Behaviour, Fulcio, signer, token};

const LONG: Behaviour = Behaviour::Issue(Duration::from_secs(600));

#[tokio::test]
async fn it_keeps_the_contract_of_signers_with_one_certificate() {
    let fulcio = Fulcio::start(LONG).await;
    let signer = Arc::new(signer(&fulcio, &token(), Some(fulcio.authority.trust())));
    let as_signer: Arc<dyn Signer> = signer.clone();
    suite(as_signer, Determinism::Deterministic).await;
    assert_eq!(fulcio.asked(), 1);
    assert!(matches!(*signer.status().borrow(), Status::Ready { .. }));
}

#[tokio::test]
async fn a_thousand_signatures_take_one_certificate() {
    let fulcio = Fulcio::start(LONG).await;
    let signer = Arc::new(signer(&fulcio, &token(), None));
    let tasks: Vec<_> = (0..1000u32)
        .map(|number| {
            let signer = Arc::clone(&signer);
            tokio::spawn(async move { signer.sign(&number.to_be_bytes()).await })
        })
        .collect();
    for task in tasks {
        task.await.expect("it ends").expect("a signature");
    }
    assert_eq!(fulcio.asked(), 1);
}

/// Two thirds of a certificate's time are used, then there is a new one with a new key: each signature verifies with
/// the certificate that it came with.
#[tokio::test]
async fn signatures_carry_the_certificate_that_they_were_made_under() {
    let fulcio = Fulcio::start(Behaviour::Issue(Duration::from_secs(3))).await;
    let signer = signer(&fulcio, &token(), Some(fulcio.authority.trust()));
    let mut certificates = Vec::new();
    while certificates.len() < 2 {
        let signature = signer.sign(b"message").await.expect("a signature");
        let material = &signature.material;
        let verified = chains_verify::verify(
            &material.public_key,
            signature.algorithm,
            b"message",
            &signature.bytes,
        );
        verified.expect("it holds");
        let certificate = material.certificate.clone().expect("a certificate");
        assert!(key_is_in(&certificate, material.public_key.raw()));
        if certificates.last() != Some(&certificate) {
            certificates.push(certificate);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(material_chain(&signer).await, fulcio.authority.chain.concat());
}

async fn material_chain(signer: &dyn Signer) -> String {
    signer.material().await.expect("material").chain.clone().expect("a chain")
}

fn key_is_in(certificate: &str, key: &[u8]) -> bool {
    use x509_cert::der::{DecodePem as _, Encode as _};
    let certificate = x509_cert::Certificate::from_pem(certificate).expect("a certificate");
    let spki = certificate.tbs_certificate().subject_public_key_info().to_der().expect("DER");
    spki.ends_with(key)
}
