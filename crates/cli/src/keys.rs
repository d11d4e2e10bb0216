//! Private and public keys from files, passwords, and the key pair that is made where none is given.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use chains_core::{PublicKey, Secret};
use chains_signer_x509::{KeyKind, KeyPair, X509Signer};

use crate::{input, output, settings};

/// Name of the private key that is made where none is given.
const DEFAULT_KEY: &str = "chains.key";
/// Name of its public key.
const DEFAULT_PUBLIC_KEY: &str = "chains.pub";

/// Loads a private key: a PEM file, or a folder as the controller mounts it.
pub(crate) fn signer(path: &Path) -> anyhow::Result<X509Signer> {
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
    if !std::io::stdin().is_terminal() {
        anyhow::bail!("the key needs a password: set COSIGN_PASSWORD, or run this at a terminal");
    }
    Ok(Secret::new(rpassword::prompt_password(prompt).context("reading the password")?))
}

/// The key pair of the output folder; made, without a password, where there is none yet.
pub(crate) fn of_folder(folder: &Path) -> anyhow::Result<(X509Signer, PathBuf)> {
    let private = folder.join(DEFAULT_KEY);
    let public = folder.join(DEFAULT_PUBLIC_KEY);
    if !private.exists() {
        let pair = KeyPair::generate(KeyKind::P256).map_err(settings::report)?;
        std::fs::create_dir_all(folder)
            .with_context(|| format!("making the folder {}", folder.display()))?;
        let pem = pair.private_pem().map_err(settings::report)?;
        input::write_private(&private, pem.expose(), false)?;
        let pem = pair.public_pem().map_err(settings::report)?;
        input::write(&public, &pem)?;
        output::note(format_args!(
            "made the key pair {} and {}",
            private.display(),
            public.display()
        ));
    }
    Ok((signer(&private)?, public))
}

/// Public keys from PEM files.
pub(crate) fn public(paths: &[PathBuf]) -> anyhow::Result<Vec<PublicKey>> {
    paths
        .iter()
        .map(|path| {
            PublicKey::from_pem(&input::text(path)?)
                .map_err(settings::report)
                .with_context(|| format!("loading the public key {}", path.display()))
        })
        .collect()
}

/// The public key that lies beside a private one: `cosign.pub` beside `cosign.key`.
pub(crate) fn public_beside(private: &Path) -> Option<PathBuf> {
    let public =
        if private.is_dir() { private.join("cosign.pub") } else { private.with_extension("pub") };
    public.is_file().then_some(public)
}
