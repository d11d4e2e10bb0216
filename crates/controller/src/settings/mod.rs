//! What the controller does now: the ConfigMap and the keys, checked as a whole and swapped in at once.
//!
//! # Expected flow
//! The ConfigMap `chains-config` and the key are watched. Where both are good, an [`Engine`] is made of them, and
//! takes the place of the one before: whoever works on a run keeps the one that the run began with.
//!
//! # Guarantees
//! - A configuration with faults changes nothing: the one before stays in force. Event, log, health and metric say
//!   what is wrong; one Event for one set of faults.
//! - A key that cannot be read changes nothing either. A key that was taken away signs no more: there are no
//!   settings until there is one again, and runs wait.
//! - A key that the configuration no longer names signs no more, whatever is wrong with the one that it names.
//! - A key is decrypted once, when its bytes change.
//!
//! # Assumptions
//! - The rights to `list` and `watch` the ConfigMaps by name, and the Secret where the configuration names one.
//!
//! # Caveats
//! - Without the ConfigMap nothing is signed. Where it is deleted while the controller runs, what it said last
//!   stays in force until the controller starts again.

mod configuration;
mod desk;
mod follow;
mod key;
mod level;
mod news;
mod place;
mod retry;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use chains_backends::Environment;
use chains_config::Filter;
use chains_engine::Engine;
use kube::Client;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::Level;

use self::desk::Desk;
use crate::events::Events;
use crate::telemetry::Health;

pub(crate) use self::retry::Retry;

/// What to do with a run: all of one configuration.
#[derive(Debug)]
pub(crate) struct Active {
    /// The line that it goes down.
    pub(crate) engine: Engine,
    /// Which runs are looked at.
    pub(crate) filter: Filter,
    /// How often a failed one is tried again.
    pub(crate) retry: Retry,
}

/// What is in force now; `None` while nothing can be signed: there is no configuration yet, or no key.
pub(crate) type Settings = watch::Receiver<Option<Arc<Active>>>;

/// Which runs are looked at, as the last good configuration says, whether there is a key or not; `None` until there
/// was one.
pub(crate) type Filters = watch::Receiver<Option<Filter>>;

/// Where settings come from, and what goes into the engines besides.
pub(crate) struct Options {
    /// The namespace of the ConfigMaps.
    pub(crate) namespace: String,
    /// The ConfigMap: `chains-config`.
    pub(crate) config_map: String,
    /// The ConfigMap with the level of the log: `CONFIG_LOGGING_NAME`, or `config-logging`.
    pub(crate) logging_config_map: String,
    /// The folder with the key, where the configuration names no other place.
    pub(crate) signing_secrets: PathBuf,
    /// For the engines; the signer in it is not looked at.
    pub(crate) environment: Environment,
    /// Told the level of the log when it changes.
    pub(crate) set_log_level: Arc<dyn Fn(Level) + Send + Sync>,
    /// Told when other backends come into force.
    pub(crate) set_backends: Arc<dyn Fn() + Send + Sync>,
    /// Told whether what the cluster has now is in use.
    pub(crate) set_valid: Arc<dyn Fn(Subject, bool) + Send + Sync>,
}

/// What can be at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    /// The ConfigMap.
    Configuration,
    /// The key behind `x509`; valid too where none is needed.
    SigningKey,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { namespace, config_map, logging_config_map, signing_secrets, .. } = self;
        f.debug_struct("Options")
            .field("namespace", namespace)
            .field("config_map", config_map)
            .field("logging_config_map", logging_config_map)
            .field("signing_secrets", signing_secrets)
            .finish_non_exhaustive()
    }
}

/// Starts to follow configuration and key, until `stop` is done.
pub(crate) fn start(
    client: Client,
    options: Options,
    events: Events,
    health: &Health,
    stop: impl Future<Output = ()> + Send + 'static,
) -> (Settings, Filters, JoinHandle<()>) {
    let (settings, receiver) = watch::channel(None);
    let (filter, filters) = watch::channel(None);
    let desk = Desk::new(client, options, events, health, settings, filter);
    let task = tokio::spawn(async move {
        tokio::select! {
            () = stop => {}
            () = desk.run() => {}
        }
    });
    (receiver, filters, task)
}
