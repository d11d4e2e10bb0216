//! Signs with a key in a key management service, with the credentials that the environment has.
//!
//! ```sh
//! cargo run -p chains-signer-kms --example sign -- hashivault://cosign 'some text'
//! cargo run -p chains-signer-kms --example sign -- awskms:///alias/signing 'some text' 1000
//! ```
//!
//! Prints the public key and the signature in base64; with a number, signs so often at once and tells how long that
//! took. Settings of `signers.kms.auth.*` are taken from variables of the same name, e.g. `AUTH_OIDC_ROLE`.

#![allow(clippy::print_stdout, reason = "an example prints what it does")]

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chains_core::{Secret, Signer};
use chains_signer_kms::{KmsOptions, KmsSigner, Reference, RsaPadding, Spire, VaultOptions};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let reference: Reference =
        arguments.next().ok_or("a reference, please")?.parse().map_err(told)?;
    let message = arguments.next().unwrap_or_else(|| "hello".to_owned());
    let count: usize = arguments.next().map_or(Ok(0), |text| text.parse())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(sign(reference, &message, count))
}

async fn sign(reference: Reference, message: &str, count: usize) -> Result<(), Box<dyn Error>> {
    let mut options = KmsOptions::new(reference);
    options.vault = vault_options();
    options.ca_files = variable("CA_FILE").into_iter().map(Into::into).collect();
    let signer = Arc::new(KmsSigner::new(options).map_err(told)?);
    let signature = signer.sign(message.as_bytes()).await.map_err(told)?;
    println!("{}", signature.material.public_key.to_pem()?);
    println!("key id     {}", signature.material.key_id());
    println!("algorithm  {}", signature.algorithm.as_str());
    println!("signature  {}", STANDARD.encode(&signature.bytes));
    if count > 0 {
        many(&signer, count).await?;
    }
    Ok(())
}

async fn many(signer: &Arc<KmsSigner>, count: usize) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let tasks: Vec<_> = (0..count)
        .map(|number| {
            let signer = Arc::clone(signer);
            tokio::spawn(async move { signer.sign(&number.to_be_bytes()).await })
        })
        .collect();
    let mut failed = 0;
    for task in tasks {
        if let Err(error) = task.await? {
            failed += 1;
            println!("failed: {}", error.report());
        }
    }
    let took = start.elapsed();
    let rate = count as f64 / took.as_secs_f64();
    println!("{count} signatures in {took:?}: {rate:.0} a second, {failed} failed");
    Ok(())
}

fn vault_options() -> VaultOptions {
    VaultOptions {
        address: variable("AUTH_ADDRESS"),
        token: variable("AUTH_TOKEN").map(Secret::new),
        token_path: variable("AUTH_TOKEN_PATH").map(Into::into),
        oidc_path: variable("AUTH_OIDC_PATH"),
        oidc_role: variable("AUTH_OIDC_ROLE"),
        oidc_token_path: variable("AUTH_OIDC_TOKEN_PATH").map(Into::into),
        spire: variable("AUTH_SPIRE_SOCK").map(|socket| Spire {
            socket,
            audience: variable("AUTH_SPIRE_AUDIENCE").unwrap_or_default(),
        }),
        rsa: match variable("RSA_PADDING").as_deref() {
            Some("pss") => RsaPadding::Pss,
            _ => RsaPadding::Pkcs1,
        },
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// With every cause.
fn told(error: chains_core::Error) -> Box<dyn Error> {
    format!("{}: {}", error.kind(), error.report()).into()
}
