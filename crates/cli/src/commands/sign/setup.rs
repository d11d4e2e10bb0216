//! From the command line to an engine: configuration, output folder, key.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use chains_backends::Environment;
use chains_config::{Artifact, Config, Origin, SignerName, StorageName};
use chains_core::{PublicKey, Signer};
use chains_engine::Engine;
use chains_signer_x509::X509Signer;

use super::remarks::Remarks;
use crate::args::{KeySource, SignArgs};
use crate::cluster::ClusterArgs;
use crate::{keys, settings};

/// The stores that keep everything in the output folder.
const HERE: [StorageName; 2] = [StorageName::Local, StorageName::Tekton];

/// What is to be done, before anything is.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) config: Config,
    /// Of the store `local`, of new keys, of annotated runs.
    pub(crate) folder: PathBuf,
}

/// What verifies: a key to be compared with, where it stays the same, and the options of `chains verify`.
type Verifying = (Option<PublicKey>, String);

/// What it is done with.
#[derive(Debug)]
pub(crate) struct Signing {
    pub(crate) engine: Engine,
    /// As options of `chains verify`.
    pub(crate) verifying: Vec<String>,
    pub(super) remarks: Arc<Remarks>,
}

impl Setup {
    pub(crate) fn new(args: &SignArgs) -> anyhow::Result<Self> {
        let config = configuration(args)?;
        let folder = config.storage.local.path.clone();
        Ok(Self { config, folder })
    }

    /// Loads or makes the key, and builds the engine.
    pub(crate) async fn signing(&self, args: &SignArgs) -> anyhow::Result<Signing> {
        let mut keys = Vec::new();
        let x509 = self.x509(args, &mut keys).await?;
        let x509 = x509.map(|signer| -> Arc<dyn Signer> { Arc::new(signer) });
        let environment = settings::environment(&args.registry, x509, args.sigstore.token())?;
        let engine =
            chains_backends::engine(&self.config, &environment).map_err(settings::report)?;
        // The engine has this signer too.
        keys.extend(self.kms(&environment).await?);
        keys.extend(self.keyless(&environment).await?);
        let (of_signers, verifying): (Vec<_>, Vec<_>) = keys.into_iter().unzip();
        let of_signers = of_signers.into_iter().flatten().collect();
        let remarks = Arc::new(Remarks::new(&self.config, of_signers)?);
        Ok(Signing { engine, verifying, remarks })
    }

    async fn x509(
        &self,
        args: &SignArgs,
        keys: &mut Vec<Verifying>,
    ) -> anyhow::Result<Option<X509Signer>> {
        let uses = self.config.signers_in_use().contains(&SignerName::X509);
        if !uses || self.config.signers.x509.fulcio.enabled {
            return Ok(None);
        }
        let (signer, shown) = match &self.key(args)? {
            Some(key) => {
                let signer = keys::signer(key, &args.cluster).await?;
                let shown = shown(key, &signer, &args.cluster);
                (signer, shown)
            }
            None => {
                self.check_stays_here()?;
                let (signer, public) = keys::of_folder(&self.folder)?;
                (signer, argument(&public))
            }
        };
        keys.push((Some(signer.public_key().clone()), format!("--key {shown}")));
        Ok(Some(signer))
    }

    /// Asks the service for its public key: what is wrong with the reference or the login is told once, and before
    /// anything is signed.
    async fn kms(&self, environment: &Environment) -> anyhow::Result<Option<Verifying>> {
        let (true, Some(section)) =
            (self.config.signers_in_use().contains(&SignerName::Kms), &self.config.signers.kms)
        else {
            return Ok(None);
        };
        let told = |error: chains_core::Error| anyhow::anyhow!(error.report());
        let signer = chains_backends::signer(SignerName::Kms, &self.config, environment);
        let signer = signer.map_err(told)?.context("the signer `kms` signs nothing")?;
        let material = signer.material().await.map_err(told)?;
        let shown = settings::quoted(section.key.as_str());
        Ok(Some((Some(material.public_key.clone()), format!("--key {shown}"))))
    }

    /// Gets the first certificate: what is wrong with the token or the server is told once, and before anything is
    /// signed.
    async fn keyless(&self, environment: &Environment) -> anyhow::Result<Option<Verifying>> {
        let uses = self.config.signers_in_use().contains(&SignerName::X509);
        if !uses || !self.config.signers.x509.fulcio.enabled {
            return Ok(None);
        }
        let told = |error: chains_core::Error| anyhow::anyhow!(error.report());
        let signer = chains_backends::signer(SignerName::X509, &self.config, environment);
        let signer = signer.map_err(told)?.context("the signer `x509` signs nothing")?;
        let material = signer.material().await.map_err(told)?;
        let identity = chains_backends::identity_of(&material).map_err(told)?;
        let quoted = |text: &str| settings::quoted(text);
        let subject = identity.subjects.first().map(String::as_str).unwrap_or_default();
        let issuer = identity.issuer.as_deref().unwrap_or_default();
        let mut shown = format!(
            "--certificate-identity {} --certificate-oidc-issuer {}",
            quoted(subject),
            quoted(issuer)
        );
        if let Some(root) = &self.config.sigstore.trusted_root {
            shown.push_str(&format!(" --trusted-root {}", argument(root)));
        }
        Ok(Some((None, shown)))
    }

    /// The key that is given, or else that of the configuration.
    fn key(&self, args: &SignArgs) -> anyhow::Result<Option<KeySource>> {
        let of_config = || match &self.config.signers.x509.key {
            None => Ok(None),
            Some(key) => KeySource::of(key.to_string().into()).map(Some),
        };
        let key = args.key.clone().map_or_else(of_config, |key| Ok(Some(key)));
        key.map_err(|why| anyhow::anyhow!("`signers.x509.key`: {why}"))
    }

    /// A key that was made on the spot signs nothing that leaves the folder: nobody could trust it.
    fn check_stays_here(&self) -> anyhow::Result<()> {
        let stores = self.config.storages_in_use();
        match stores.iter().find(|store| !HERE.contains(store)) {
            None => Ok(()),
            Some(store) => {
                bail!("signing into the store `{store}` needs a key: give it with --key")
            }
        }
    }
}

/// The public key as an argument of `chains verify --key`.
fn shown(key: &KeySource, signer: &X509Signer, cluster: &ClusterArgs) -> String {
    match key {
        KeySource::Secret(at) => format!("{at}{}", cluster.options()),
        KeySource::File(path) => keys::public_beside(path, signer.public_key()).map_or_else(
            || format!("<(chains keys public --key {})", argument(path)),
            |public| argument(&public),
        ),
        KeySource::Kms(key) => settings::quoted(key.as_str()),
    }
}

fn argument(path: &Path) -> String {
    settings::quoted(&path.display().to_string())
}

/// The given configuration; `--store` replaces the stores of what it enables, `--out-dir` the folder, `--key` the
/// signer where the key is in a service. Without configuration and stores everything goes into the folder.
fn configuration(args: &SignArgs) -> anyhow::Result<Config> {
    if args.store.iter().any(|store| store.trim().is_empty()) {
        bail!("--store: name at least one of local, oci, tekton");
    }
    let given = &args.config.config;
    let mut overrides = Vec::new();
    if let Some(folder) = &args.out_dir {
        overrides.push(("storage.local.path", folder.display().to_string()));
    }
    // What the configuration says by itself; where it has faults, they are told in the end.
    let before = settings::configuration(given, &[]).ok();
    let is = |holds: fn(&Artifact) -> bool| {
        before.as_ref().map_or([true; 3], |config| {
            let artifacts = &config.artifacts;
            [&artifacts.taskrun, &artifacts.pipelinerun, &artifacts.oci].map(holds)
        })
    };
    let mut replace = |keys: [&'static str; 3], those: [bool; 3], value: &str| {
        let chosen = keys.into_iter().zip(those).filter(|(_, chosen)| *chosen);
        overrides.extend(chosen.map(|(key, _)| (key, value.to_owned())));
    };
    let stores = match (args.store.as_slice(), given.as_slice()) {
        ([], []) => Some("local".to_owned()),
        ([], _) => None,
        (stores, _) => Some(stores.join(",")),
    };
    if let Some(stores) = stores {
        // What the configuration disables stays disabled.
        replace(STORAGE_KEYS, is(|artifact| !artifact.storage.is_empty()), &stores);
    }
    if let Some(KeySource::Kms(key)) = &args.key {
        // What it leaves unsigned stays so.
        replace(SIGNER_KEYS, is(|artifact| artifact.signer != SignerName::None), "kms");
        overrides.push(("signers.kms.kmsref", key.to_string()));
    }
    let logs = before.as_ref().is_some_and(|config| {
        let settings = config.settings().iter();
        let mut told = settings.filter(|setting| setting.key == "transparency.enabled");
        told.any(|setting| setting.origin != Origin::Default)
    });
    overrides.extend(args.sigstore.overrides(logs));
    settings::configuration(given, &overrides)
}

const STORAGE_KEYS: [&str; 3] =
    ["artifacts.taskrun.storage", "artifacts.pipelinerun.storage", "artifacts.oci.storage"];
const SIGNER_KEYS: [&str; 3] =
    ["artifacts.taskrun.signer", "artifacts.pipelinerun.signer", "artifacts.oci.signer"];
