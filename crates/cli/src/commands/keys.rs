//! `chains keys`: makes key pairs, and shows public keys.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use chains_signer_x509::{KeyKind, KeyPair};
use serde::Serialize;

use crate::args::{KeyType, KeysCommand, Output};
use crate::output::Exit;
use crate::{input, keys, output, settings};

pub(crate) fn run(command: KeysCommand, format: Output) -> anyhow::Result<Exit> {
    match command {
        KeysCommand::Generate { key_type, output_key_prefix, force } => {
            generate(key_type, &output_key_prefix, force, format)
        }
        KeysCommand::Public { key } => public(&key, format),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Made {
    private_key: PathBuf,
    public_key: PathBuf,
    key_id: String,
}

fn generate(kind: KeyType, prefix: &Path, force: bool, format: Output) -> anyhow::Result<Exit> {
    let with_ending = |ending: &str| {
        let mut name = prefix.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let (private_key, public_key) = (with_ending(".key"), with_ending(".pub"));
    for path in [&private_key, &public_key] {
        if path.exists() && !force {
            bail!(
                "{} exists: choose another --output-key-prefix, or replace it with --force",
                path.display()
            );
        }
    }
    let password = keys::new_password()?;
    let pair = KeyPair::generate(kind_of(kind)).map_err(settings::report)?;
    let pem = pair.private_pem_encrypted(&password).map_err(settings::report)?;
    input::write_private(&private_key, &pem, force)
        .with_context(|| format!("writing {}", private_key.display()))?;
    input::write(&public_key, &pair.public_pem().map_err(settings::report)?)?;
    let key_id = pair.public_key().id().to_owned();
    match format {
        Output::Json => output::json(&Made { private_key, public_key, key_id })?,
        Output::Table => {
            output::line(format_args!("private key  {}", private_key.display()));
            output::line(format_args!("public key   {}", public_key.display()));
            output::line(format_args!("key id       {key_id}"));
        }
    }
    Ok(Exit::Done)
}

const fn kind_of(kind: KeyType) -> KeyKind {
    match kind {
        KeyType::EcdsaP256 => KeyKind::P256,
        KeyType::EcdsaP384 => KeyKind::P384,
        KeyType::Ed25519 => KeyKind::Ed25519,
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    key_id: String,
    algorithm: &'static str,
    pem: String,
}

fn public(key: &Path, format: Output) -> anyhow::Result<Exit> {
    let signer = keys::signer(key)?;
    let key = signer.public_key();
    let pem = key.to_pem().map_err(settings::report)?;
    match format {
        Output::Table => output::raw(pem.as_bytes()),
        Output::Json => output::json(&Shown {
            key_id: key.id().to_owned(),
            algorithm: key.algorithm().as_str(),
            pem,
        })?,
    }
    Ok(Exit::Done)
}
