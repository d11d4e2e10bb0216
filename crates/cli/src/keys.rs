//! Private and public keys from files and services, passwords, and the key pair that is made where none is given.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use chains_backends::Environment;
use chains_config::{Config, KmsRef, SignerName};
use chains_core::{PublicKey, Secret};
use chains_signer_x509::{KeyKind, KeyPair, X509Signer};

use crate::args::KeySource;
use crate::cluster::ClusterArgs;
use crate::{input, output, settings};

/// Name of the private key that is made where none is given.
const DEFAULT_KEY: &str = "chains.key";
/// Name of its public key.
const DEFAULT_PUBLIC_KEY: &str = "chains.pub";

/// Loads a private key: a PEM file, a folder as the controller mounts it, or the Secret itself.
pub(crate) async fn signer(key: &KeySource, cluster: &ClusterArgs) -> anyhow::Result<X509Signer> {
    let signer = match key {
        KeySource::File(path) => of_file(path)?,
        KeySource::Secret(at) => cluster.signer(at).await?,
        KeySource::Kms(key) => bail!("{key} stays in its service: it cannot be loaded"),
    };
    tracing::debug!(%key, id = signer.public_key().id(), "loaded the private key");
    Ok(signer)
}

fn of_file(path: &Path) -> anyhow::Result<X509Signer> {
    if path.is_dir() {
        return X509Signer::from_dir(path).map_err(settings::report);
    }
    let pem = Secret::new(input::text(path)?);
    let password = if pem.expose().contains("-----BEGIN ENCRYPTED") {
        Some(password(&format!("Password of {}: ", path.display()))?)
    } else {
        None
    };
    X509Signer::from_pem(pem.expose(), password.as_ref())
        .map_err(settings::report)
        .with_context(|| format!("loading the private key {}", path.display()))
}

/// The password from the environment, or from the terminal.
pub(crate) fn password(prompt: &str) -> anyhow::Result<Secret> {
    if let Some(password) = std::env::var_os("COSIGN_PASSWORD") {
        let password = password.into_string();
        return password
            .map(Secret::new)
            .map_err(|_| anyhow::anyhow!("COSIGN_PASSWORD is not UTF-8"));
    }
    // From the terminal itself: standard input may be the run to sign.
    let password = rpassword::prompt_password(prompt);
    Ok(Secret::new(
        password.context("asking for the password at the terminal; set COSIGN_PASSWORD")?,
    ))
}

/// A new password: from the environment, or from the terminal twice.
pub(crate) fn new_password() -> anyhow::Result<Secret> {
    let first = password("Password for the new private key: ")?;
    if std::env::var_os("COSIGN_PASSWORD").is_none() && password("Again: ")? != first {
        bail!("the two passwords differ: nothing was written");
    }
    Ok(first)
}

/// The key pair of the output folder; made, without a password, where there is none yet.
pub(crate) fn of_folder(folder: &Path) -> anyhow::Result<(X509Signer, PathBuf)> {
    let private = folder.join(DEFAULT_KEY);
    let public = folder.join(DEFAULT_PUBLIC_KEY);
    if !private.exists() {
        make(folder, &private)?;
    }
    let signer = of_file(&private)?;
    let pem = signer.public_key().to_pem().map_err(settings::report)?;
    if input::text(&public).ok().as_deref() != Some(pem.as_str()) {
        input::write(&public, &pem)?;
    }
    Ok((signer, public))
}

/// Makes a private key, unless another process does so at the same time.
fn make(folder: &Path, private: &Path) -> anyhow::Result<()> {
    let what = || format!("writing {}", private.display());
    let pair = KeyPair::generate(KeyKind::P256).map_err(settings::report)?;
    let pem = pair.private_pem().map_err(settings::report)?;
    std::fs::create_dir_all(folder)
        .with_context(|| format!("making the folder {}", folder.display()))?;
    match input::write_private(private, pem.expose(), false) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error).with_context(what),
        Ok(()) => {
            output::note(format_args!(
                "made the private key {}, without a password",
                private.display()
            ));
            Ok(())
        }
    }
}

/// Public keys, from PEM files, Secrets and key management services.
pub(crate) async fn public(
    keys: &[KeySource],
    cluster: &ClusterArgs,
    ca_files: &[PathBuf],
) -> anyhow::Result<Vec<PublicKey>> {
    let mut all = Vec::with_capacity(keys.len());
    for key in keys {
        let found = match key {
            KeySource::File(path) => public_of_file(path)?,
            KeySource::Secret(at) => cluster.public_key(at).await?,
            KeySource::Kms(key) => of_service(key, ca_files).await?,
        };
        tracing::debug!(%key, id = found.id(), "loaded the public key");
        all.push(found);
    }
    Ok(all)
}

/// The public key that signs now, as the service tells it.
pub(crate) async fn of_service(key: &KmsRef, ca_files: &[PathBuf]) -> anyhow::Result<PublicKey> {
    let pair = ("signers.kms.kmsref".to_owned(), key.to_string());
    let config = Config::from_pairs([pair]).map_err(|faults| settings::error_of(&faults))?;
    let environment = Environment { ca_files: ca_files.to_vec(), ..Environment::anonymous() };
    let signer = chains_backends::signer(SignerName::Kms, &config, &environment)
        .map_err(|error| anyhow::anyhow!(error.report()))?;
    let signer = signer.context("the signer `kms` signs nothing")?;
    let material = signer.material().await.map_err(|error| anyhow::anyhow!(error.report()))?;
    Ok(material.public_key.clone())
}

fn public_of_file(path: &Path) -> anyhow::Result<PublicKey> {
    let pem = input::text(path)?;
    // Whoever verifies needs no private key, and should not be handed one.
    if pem.contains("PRIVATE KEY-----") {
        let private = settings::quoted(&path.display().to_string());
        let public = settings::quoted(&path.with_extension("pub").display().to_string());
        // A file is not to be replaced by what is read from it.
        let public = if public == private { "PUBLIC.pub" } else { &public };
        bail!(
            "{private} is a private key, and verifying takes the public one: \
             get it with `chains keys public --key {private} > {public}`"
        );
    }
    PublicKey::from_pem(&pem)
        .map_err(settings::report)
        .with_context(|| format!("loading the public key {}", path.display()))
}

/// The file of the public key that lies beside a private one, where it is that key's: `cosign.pub` beside
/// `cosign.key`.
pub(crate) fn public_beside(private: &Path, key: &PublicKey) -> Option<PathBuf> {
    let path =
        if private.is_dir() { private.join("cosign.pub") } else { private.with_extension("pub") };
    let pem = path.is_file().then(|| input::text(&path).ok())??;
    PublicKey::from_pem(&pem).is_ok_and(|found| found == *key).then_some(path)
}
