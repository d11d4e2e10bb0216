//! Finding the API server and connecting to it.

use std::path::PathBuf;
use std::time::Duration;

use chains_core::{Error, ErrorKind, Result};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

/// How long connecting to the API server may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Which cluster, and as whom: by default as `kubectl` finds it, else the cluster that the process runs in.
#[derive(Debug, Clone, Default)]
pub struct Connection {
    /// A kubeconfig file, in place of `KUBECONFIG` and `~/.kube/config`.
    pub kubeconfig: Option<PathBuf>,
    /// A context of the kubeconfig, in place of its current one.
    pub context: Option<String>,
}

impl Connection {
    /// Finds address and credentials.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] telling which places were looked at.
    pub async fn config(&self) -> Result<Config> {
        let options =
            KubeConfigOptions { context: self.context.clone(), ..KubeConfigOptions::default() };
        let found = match &self.kubeconfig {
            Some(path) => {
                let what = || format!("reading the kubeconfig {}", path.display());
                let file = Kubeconfig::read_from(path).map_err(|e| configuration(what(), e))?;
                Config::from_custom_kubeconfig(file, &options)
                    .await
                    .map_err(|e| configuration(what(), e))
            }
            None if self.context.is_some() => Config::from_kubeconfig(&options)
                .await
                .map_err(|e| configuration("reading the kubeconfig".to_owned(), e)),
            None => Config::infer().await.map_err(|e| {
                configuration("looking for a kubeconfig and for a cluster around".to_owned(), e)
            }),
        };
        let mut config = found?;
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        Ok(config)
    }
}

/// Connects. Nothing is sent yet: the first request tells whether the API server is there.
///
/// Answers 429, 503 and 504 are retried, after what `Retry-After` says where they say it.
///
/// # Errors
/// [`ErrorKind::Configuration`] where there is no usable kubeconfig and no cluster around.
pub async fn connect(connection: &Connection) -> Result<Client> {
    let config = connection.config().await?;
    Client::try_from(config)
        .map_err(|e| configuration("setting up the connection to the API server".to_owned(), e))
}

fn configuration(what: String, why: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Configuration, what).with_source(why)
}
