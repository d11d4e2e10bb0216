//! `chains keys`: makes key pairs, and shows public keys.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use chains_signer_x509::{KeyKind, KeyPair};
use serde::Serialize;

use crate::args::{KeySource, KeyType, KeysCommand, Output};
use crate::cluster::{ClusterArgs, SecretRef};
use crate::output::Exit;
use crate::{input, keys, output, settings};

pub(crate) async fn run(command: KeysCommand, format: Output) -> anyhow::Result<Exit> {
    match command {
        KeysCommand::Generate { secret: None, key_type, output_key_prefix, force, cluster: _ } => {
            let prefix = output_key_prefix.unwrap_or_else(|| DEFAULT_PREFIX.into());
            in_files(key_type, &prefix, force, format)
        }
        KeysCommand::Generate { secret: Some(at), key_type, output_key_prefix, force, cluster } => {
            let public_key = output_key_prefix.map(|prefix| with_ending(&prefix, ".pub"));
            let wanted = Wanted { at, kind: kind_of(key_type), public_key, force };
            in_secret(wanted, &cluster, format).await
        }
        KeysCommand::Public { key, cluster } => public(&key, &cluster, format).await,
    }
}

/// Of the files, where none is given.
const DEFAULT_PREFIX: &str = "chains";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Made {
    private_key: PathBuf,
    public_key: PathBuf,
    key_id: String,
}

fn in_files(kind: KeyType, prefix: &Path, force: bool, format: Output) -> anyhow::Result<Exit> {
    let (private_key, public_key) = (with_ending(prefix, ".key"), with_ending(prefix, ".pub"));
    check_vacant(&[&private_key, &public_key], force)?;
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

fn with_ending(prefix: &Path, ending: &str) -> PathBuf {
    let mut name = prefix.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

fn check_vacant(paths: &[&PathBuf], force: bool) -> anyhow::Result<()> {
    match paths.iter().find(|path| path.exists() && !force) {
        None => Ok(()),
        Some(path) => bail!(
            "{} exists: choose another --output-key-prefix, or replace it with --force",
            path.display()
        ),
    }
}

/// A Secret that is to be made.
struct Wanted {
    at: SecretRef,
    kind: KeyKind,
    /// Where to write the public key, too.
    public_key: Option<PathBuf>,
    force: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MadeSecret {
    secret: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key: Option<PathBuf>,
    key_id: String,
    /// There were keys before.
    replaced: bool,
    pem: String,
}

async fn in_secret(wanted: Wanted, cluster: &ClusterArgs, format: Output) -> anyhow::Result<Exit> {
    let Wanted { at, kind, public_key, force } = wanted;
    check_vacant(public_key.as_slice().iter().collect::<Vec<_>>().as_slice(), force)?;
    let made = cluster.generate(&at, kind, force, keys::new_password).await?;
    let pem = made.public_key.to_pem().map_err(settings::report)?;
    if let Some(path) = &public_key {
        input::write(path, &pem)?;
    }
    let key_id = made.public_key.id().to_owned();
    let replaced = made.replaced;
    let made = MadeSecret { secret: at.to_string(), public_key, key_id, replaced, pem };
    match format {
        Output::Json => output::json(&made)?,
        Output::Table => made.print(cluster),
    }
    if replaced {
        output::warning(format_args!(
            "the keys in {at} were replaced: pods that mount it may keep the old ones until they are started anew"
        ));
    }
    Ok(Exit::Done)
}

impl MadeSecret {
    fn print(&self, cluster: &ClusterArgs) {
        let show = || format!("chains keys public --key {}{}", self.secret, cluster.options());
        let public_key = self.public_key.as_ref().map(|path| path.display().to_string());
        output::line(format_args!("secret      {}", self.secret));
        output::line(format_args!("public key  {}", public_key.unwrap_or_else(show)));
        output::line(format_args!("key id      {}", self.key_id));
    }
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

async fn public(key: &KeySource, cluster: &ClusterArgs, format: Output) -> anyhow::Result<Exit> {
    let key = match key {
        KeySource::File(_) => keys::signer(key, cluster).await?.public_key().clone(),
        KeySource::Secret(at) => cluster.public_key(at).await?,
        KeySource::Kms(key) => keys::of_service(key, &[]).await?,
    };
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
