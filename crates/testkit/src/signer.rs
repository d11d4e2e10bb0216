//! The contract of a signer.

use std::sync::Arc;

use chains_core::{Signature, Signer};

/// Whether signing the same message again gives the same signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Determinism {
    /// It does: RFC 6979, Ed25519, RSA with PKCS#1 v1.5.
    Deterministic,
    /// It need not: a KMS that draws a nonce.
    Randomised,
}

/// How many signatures are made at once.
const CONCURRENT: usize = 32;
/// A large message.
const LARGE: usize = 4 * 1024 * 1024;

/// Checks that a signer keeps its contract.
///
/// Every signature verifies, also of an empty and of a large message and of many at once; it does not
/// verify another message; it is of the key that [`Signer::material`] announced; signing again gives the same
/// bytes where it should; nothing secret shows in its `Debug` output as far as that can be told.
///
/// # Panics
/// Where the contract is broken.
pub async fn suite(signer: Arc<dyn Signer>, determinism: Determinism) {
    assert!(!signer.name().is_empty(), "a signer has a name");
    for message in [b"".as_slice(), b"message", &vec![7; LARGE]] {
        let first = verified(&*signer, message).await;
        let second = verified(&*signer, message).await;
        assert_eq!(first.algorithm, second.algorithm, "the algorithm does not change");
        if determinism == Determinism::Deterministic {
            assert_eq!(first.bytes, second.bytes, "the same message has the same signature");
        }
    }
    concurrent(&signer).await;
    let shown = format!("{signer:?}");
    assert!(!shown.contains("PRIVATE KEY"), "no private key shows: {shown}");
}

async fn verified(signer: &dyn Signer, message: &[u8]) -> Signature {
    let announced = signer.material().await.expect("the signer tells its material");
    let signature = signer.sign(message).await.expect("the signer signs");
    if announced.certificate.is_none() {
        assert_eq!(announced, signature.material, "the material is the one that was announced");
    }
    let key = &signature.material.public_key;
    chains_verify::verify(key, signature.algorithm, message, &signature.bytes)
        .expect("the signature verifies with the algorithm and the key it came with");
    let other = [message, b"."].concat();
    chains_verify::verify(key, signature.algorithm, &other, &signature.bytes)
        .expect_err("the signature is not over another message");
    signature
}

async fn concurrent(signer: &Arc<dyn Signer>) {
    let tasks: Vec<_> = (0..CONCURRENT)
        .map(|number| {
            let signer = Arc::clone(signer);
            tokio::spawn(async move { verified(&*signer, &number.to_be_bytes()).await })
        })
        .collect();
    for task in tasks {
        task.await.expect("every signature of many at once verifies");
    }
}
