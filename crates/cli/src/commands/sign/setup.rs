//! From the command line to an engine: configuration, output folder, key.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::bail;
use chains_config::{Config, SignerName, StorageName};
use chains_core::Signer;
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

/// The signer where one is needed, and its public key as an argument of `chains verify --key`.
type SignerAndKey = (Option<X509Signer>, Option<String>);

/// What it is done with.
#[derive(Debug)]
pub(crate) struct Signing {
    pub(crate) engine: Engine,
    /// As an argument of `chains verify --key`.
    pub(crate) public_key: Option<String>,
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
        let (signer, public_key) = self.signer(args).await?;
        let key = signer.as_ref().map(|signer| signer.public_key().clone());
        let remarks = Arc::new(Remarks::new(&self.config, key)?);
        let signer = signer.map(|signer| -> Arc<dyn Signer> { Arc::new(signer) });
        let environment = settings::environment(&args.registry, signer)?;
        let engine =
            chains_backends::engine(&self.config, &environment).map_err(settings::report)?;
        Ok(Signing { engine, public_key, remarks })
    }

    async fn signer(&self, args: &SignArgs) -> anyhow::Result<SignerAndKey> {
        if !self.config.signers_in_use().contains(&SignerName::X509) {
            return Ok((None, None));
        }
        let (signer, public_key) = match &self.key(args)? {
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
        Ok((Some(signer), Some(public_key)))
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
    }
}

fn argument(path: &Path) -> String {
    settings::quoted(&path.display().to_string())
}

/// The given configuration; `--store` replaces the stores of what it enables, `--out-dir` the folder. Without
/// configuration and stores everything goes into the folder.
fn configuration(args: &SignArgs) -> anyhow::Result<Config> {
    if args.store.iter().any(|store| store.trim().is_empty()) {
        bail!("--store: name at least one of local, oci, tekton");
    }
    let given = &args.config.config;
    let mut overrides = Vec::new();
    if let Some(folder) = &args.out_dir {
        overrides.push(("storage.local.path", folder.display().to_string()));
    }
    let stores = match (args.store.as_slice(), given.as_slice()) {
        ([], []) => "local".to_owned(),
        ([], _) => return settings::configuration(given, &overrides),
        (stores, _) => stores.join(","),
    };
    // What the configuration disables stays disabled; where it has faults, they are told below.
    let before = settings::configuration(given, &[]).ok();
    let keys =
        ["artifacts.taskrun.storage", "artifacts.pipelinerun.storage", "artifacts.oci.storage"];
    let enabled = before.map_or([true; 3], |config| {
        let artifacts = &config.artifacts;
        [&artifacts.taskrun, &artifacts.pipelinerun, &artifacts.oci].map(|a| !a.storage.is_empty())
    });
    let enabled = keys.into_iter().zip(enabled).filter(|(_, enabled)| *enabled);
    overrides.extend(enabled.map(|(key, _)| (key, stores.clone())));
    settings::configuration(given, &overrides)
}
