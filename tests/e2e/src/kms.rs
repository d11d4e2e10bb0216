//! Key management services: each started for a case, with keys made through its own API, and signers that use them.

mod audit;
mod aws;
mod azure;
mod google;
mod jwt;
mod openbao;
mod proxy;
mod spire;

use std::sync::Arc;

use anyhow::{Context, Result, anyhow, ensure};
use chains_core::{Error, Signature, Signer};
use chains_signer_kms::{KmsOptions, KmsSigner, Variables};

pub use audit::{Audited, busiest_second};
pub use aws::{MINISTACK, MiniStack};
pub use azure::{AZURE, AzureVault};
pub use google::{CLOUD_KMS, CloudKms, GOOGLE_CLIENT, Made, service_account};
pub use jwt::JwtIssuer;
pub use openbao::{OPENBAO, OpenBao};
pub use proxy::Proxy;
pub use spire::{SPIRE, Spire};

/// Options for a reference, with these variables and none of the process's.
///
/// # Errors
/// If the reference is malformed.
pub fn options(reference: &str, variables: &[(&str, &str)]) -> Result<KmsOptions> {
    let mut options = KmsOptions::new(reference.parse().map_err(told)?);
    options.variables = Variables::of(variables.iter().copied());
    Ok(options)
}

/// A signer of these options.
///
/// # Errors
/// If they are refused.
pub fn signer(options: KmsOptions) -> Result<Arc<KmsSigner>> {
    KmsSigner::new(options).map(Arc::new).map_err(told)
}

/// Signs, and expects that the signature is one by the key that comes with it.
///
/// # Errors
/// If it is not, or there is none.
pub async fn signed(signer: &KmsSigner, message: &[u8]) -> Result<Signature> {
    let signature = signer.sign(message).await.map_err(told)?;
    let key = &signature.material.public_key;
    chains_verify::verify(key, signature.algorithm, message, &signature.bytes).map_err(told)?;
    Ok(signature)
}

/// Signs, whatever comes of it.
///
/// # Errors
/// Never: what comes of it is what is given.
pub async fn attempt(signer: &KmsSigner) -> Result<chains_core::Result<Signature>> {
    Ok(signer.sign(b"message").await)
}

/// Signs, and expects to be refused for a reason of this kind, in these words.
///
/// # Errors
/// If a signature is made, or the reason is another one.
pub async fn refused(signer: &KmsSigner, kind: &str, words: &[&str]) -> Result<Error> {
    let error = signer.sign(b"message").await.err().context("it signs")?;
    expect(&error, kind, words)?;
    Ok(error)
}

/// Expects an error of this kind, in these words.
///
/// # Errors
/// If it is another one.
pub fn expect(error: &Error, kind: &str, words: &[&str]) -> Result<()> {
    let report = error.report();
    ensure!(error.kind().as_str() == kind, "{}, not {kind}: {report}", error.kind());
    for word in words {
        ensure!(report.contains(word), "{report:?} has not {word:?}");
    }
    Ok(())
}

/// With every cause in one line.
fn told(error: Error) -> anyhow::Error {
    anyhow!("{}: {}", error.kind(), error.report())
}
