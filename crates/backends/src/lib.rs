//! What is compiled in: a configuration goes in, an [`Engine`] comes out.
//!
//! Each backend has one line in the tables [`STORES`] and [`SIGNERS`], which turns its section of the
//! configuration into its own options. A backend that is configured and not compiled in is an error that
//! lists those that are.
//!
//! ```
//! use chains_backends::{Environment, engine};
//! use chains_config::Config;
//!
//! let config = Config::read("artifacts.taskrun.storage=\nartifacts.pipelinerun.storage=\nartifacts.oci.storage=")?;
//! let engine = engine(&config, &Environment::anonymous())?;
//! # Ok::<(), chains_core::Error>(())
//! ```

mod environment;
mod formats;
mod kept;
mod registry;
mod signers;
#[cfg(feature = "transparency")]
mod sigstore;
mod stores;

use std::sync::Arc;

use chains_config::{Artifact, Config, SignerName, StorageName, TransparencyMode};
use chains_core::{Error, ErrorKind, Format, Result, Signer, Store};
use chains_engine::{Engine, LogRoute, Metered, Plan, Resilient, Route};
use chains_tekton::Run;

pub use environment::Environment;
pub use formats::Formats;
pub use kept::Kept;
pub use registry::Registry;
pub use signers::{BuildSigner, SIGNERS};
#[cfg(feature = "keyless")]
pub use sigstore::keyless::{
    Evidence, Identity, IdentityPolicy, Keyless, Pattern, VerifiedKeyless, identity_of,
};
pub use stores::{BuildStore, STORES};

/// What the configuration asks for and this program was built without, in the words of the configuration.
///
/// A configuration may be right for the controller and still name what a smaller program lacks.
#[must_use]
pub fn not_built_in(config: &Config) -> Vec<String> {
    let stores = config.storages_in_use();
    // The configuration knows none of those that a program brings along unless it was told.
    let stores = stores.iter().filter(|name| !matches!(name, StorageName::Extra(_)));
    let stores =
        stores.map(|name| name.as_str()).filter(|name| find(STORES, "store", name).is_err());
    let signers = config.signers_in_use();
    let signers = signers
        .iter()
        .map(|name| name.as_str())
        .filter(|name| find(SIGNERS, "signer", name).is_err());
    let mut missing: Vec<String> = stores.map(|name| format!("the store `{name}`")).collect();
    missing.extend(signers.map(|name| format!("the signer `{name}`")));
    #[cfg(feature = "kms")]
    if let Some(kms) = &config.signers.kms
        && config.signers_in_use().contains(&SignerName::Kms)
        && !signers::kms::SERVICES.contains(&kms.key.scheme())
    {
        missing.push(format!("keys of `{}://`", kms.key.scheme()));
    }
    if cfg!(not(feature = "transparency")) && config.transparency.mode != TransparencyMode::Disabled
    {
        missing.push("the transparency log (`transparency.enabled`)".to_owned());
    }
    if cfg!(not(feature = "keyless")) && config.signers.x509.fulcio.enabled {
        missing.push("keyless signing (`signers.x509.fulcio.enabled`)".to_owned());
    }
    missing
}

/// Builds the engine that does what the configuration says.
///
/// # Errors
/// [`ErrorKind::Configuration`] where a backend is not compiled in, and each backend's own errors where its
/// options cannot be used.
pub fn engine(config: &Config, environment: &Environment) -> Result<Engine> {
    let artifacts = &config.artifacts;
    let formats = Formats::new(config)?;
    let mut builder = Builder { config, environment, stores: Vec::new() };
    Engine::new(Plan {
        taskrun: builder.route(&artifacts.taskrun, formats.taskrun)?,
        pipelinerun: builder.route(&artifacts.pipelinerun, formats.pipelinerun)?,
        image: builder.route(&artifacts.oci, formats.image)?,
        pipelinerun_images: artifacts.images_from_pipelinerun_results,
        log: log(config, environment)?,
    })
}

#[cfg(feature = "transparency")]
fn log(config: &Config, environment: &Environment) -> Result<Option<LogRoute>> {
    sigstore::log::route(config, environment)
}

#[cfg(not(feature = "transparency"))]
fn log(config: &Config, _: &Environment) -> Result<Option<LogRoute>> {
    if config.transparency.mode == TransparencyMode::Disabled {
        return Ok(None);
    }
    Err(Error::new(
        ErrorKind::Configuration,
        "`transparency.enabled`: no transparency log is built into this program: set it to `false`",
    ))
}

/// Builds every store once, however many artifacts name it: stores lock what they write.
struct Builder<'a> {
    config: &'a Config,
    environment: &'a Environment,
    stores: Vec<Arc<dyn Store>>,
}

impl Builder<'_> {
    fn route(&mut self, artifact: &Artifact, format: Arc<dyn Format<Run>>) -> Result<Route> {
        if !artifact.is_enabled() {
            return Ok(Route { format, signer: None, stores: Vec::new() });
        }
        let mut stores = Vec::with_capacity(artifact.storage.len());
        for name in &artifact.storage {
            stores.push(self.store(name.as_str())?);
        }
        let signer = signer(artifact.signer, self.config, self.environment)?;
        Ok(Route { format, signer, stores })
    }

    fn store(&mut self, name: &str) -> Result<Arc<dyn Store>> {
        if let Some(built) = self.stores.iter().find(|store| store.name() == name) {
            return Ok(Arc::clone(built));
        }
        let build = match find(STORES, "store", name) {
            Ok(build) => build,
            Err(error) => self.environment.registry.store(name).ok_or(error)?,
        };
        let store = build(self.config, self.environment)?;
        let resilient = Arc::new(Resilient::new(store, self.environment.policy));
        let store: Arc<dyn Store> = match &self.environment.meter {
            Some(meter) => Arc::new(Metered::new(resilient, Arc::clone(meter))),
            None => resilient,
        };
        self.stores.push(Arc::clone(&store));
        Ok(store)
    }
}

/// The signer of this name, with its timeouts and retries; `None` where it leaves payloads unsigned.
///
/// # Errors
/// As for [`engine`].
pub fn signer(
    name: SignerName,
    config: &Config,
    environment: &Environment,
) -> Result<Option<Arc<dyn Signer>>> {
    let build = find(SIGNERS, "signer", name.as_str())?;
    let Some(signer) = build(config, environment)? else {
        return Ok(None);
    };
    let resilient = Arc::new(Resilient::new(signer, environment.policy));
    Ok(Some(match &environment.meter {
        Some(meter) => Arc::new(Metered::new(resilient, Arc::clone(meter))),
        None => resilient,
    }))
}

/// The entry of a table, or an error that lists what there is.
fn find<T: Copy>(table: &[(&'static str, T)], what: &str, name: &str) -> Result<T> {
    table.iter().find(|(known, _)| *known == name).map(|(_, entry)| *entry).ok_or_else(|| {
        let known: Vec<_> = table.iter().map(|(known, _)| *known).collect();
        Error::new(
            ErrorKind::Configuration,
            format!("the {what} `{name}` is not built into this program: {} are", known.join(", ")),
        )
    })
}

/// The code in `docs/embedding.md`.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/embedding.md")]
struct Embedding;
