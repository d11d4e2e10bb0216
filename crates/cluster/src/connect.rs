//! Finding the API server and connecting to it.

use std::error::Error as StdError;
use std::path::PathBuf;
use std::time::Duration;

use chains_core::{Error, ErrorKind, Result};
use kube::config::{InferConfigError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config, client::ClientBuilder};
use tower::limit::RateLimitLayer;

/// How long connecting to the API server may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Which cluster, and as whom: by default as `kubectl` finds it, else the cluster that the process runs in.
#[derive(Debug, Clone, Default)]
pub struct Connection {
    /// A kubeconfig file, in place of `KUBECONFIG` and `~/.kube/config`.
    pub kubeconfig: Option<PathBuf>,
    /// A context of the kubeconfig, in place of its current one.
    pub context: Option<String>,
    /// How many requests are sent at most; as many as there are where it is unset, until the API server says
    /// that it is too much.
    pub throttle: Option<Throttle>,
}

/// A limit to the requests that are sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Throttle {
    /// Requests a second, in the long run; more than 0.
    pub qps: f32,
    /// Requests at once.
    pub burst: u32,
}

impl Throttle {
    /// Longest time that `burst` requests are spread over.
    const LONGEST: f32 = 3600.0;

    fn layer(self) -> RateLimitLayer {
        let burst = self.burst.max(1);
        // Wide enough for any burst that makes sense; what is no number counts as the longest time.
        #[expect(clippy::cast_precision_loss, reason = "a burst of millions need not be exact")]
        let seconds = (burst as f32 / self.qps).clamp(f32::EPSILON, Self::LONGEST);
        let seconds = if seconds.is_nan() { Self::LONGEST } else { seconds };
        RateLimitLayer::new(u64::from(burst), Duration::from_secs_f32(seconds))
    }
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
                let file = Kubeconfig::read_from(path).map_err(|e| configuration(what(), &e))?;
                Config::from_custom_kubeconfig(file, &options)
                    .await
                    .map_err(|e| configuration(what(), &e))
            }
            None if self.context.is_some() => Config::from_kubeconfig(&options)
                .await
                .map_err(|e| configuration("reading the kubeconfig".to_owned(), &e)),
            None => Config::infer().await.map_err(|e| nowhere(&e)),
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
    let builder = ClientBuilder::try_from(config)
        .map_err(|e| configuration("setting up the connection to the API server".to_owned(), &e))?;
    Ok(match connection.throttle {
        Some(throttle) => builder.with_layer(&throttle.layer()).build(),
        None => builder.build(),
    })
}

/// Neither a kubeconfig nor a cluster around; whoever has a kubeconfig wants to know what is wrong with it.
fn nowhere(error: &InferConfigError) -> Error {
    let kubeconfig = error.source().map_or_else(|| error.to_string(), first_line);
    Error::new(ErrorKind::Configuration, "finding a cluster")
        .with_source(format!("{kubeconfig}; and this process is not in a pod of a cluster"))
}

fn configuration(what: String, why: &(dyn StdError + 'static)) -> Error {
    Error::new(ErrorKind::Configuration, what).with_source(first_line(why))
}

/// Parsers show the lines around a fault, and a kubeconfig has tokens and keys in them.
fn first_line(error: &(dyn StdError + 'static)) -> String {
    let text = match error.downcast_ref() {
        Some(KubeconfigError::ReadConfig(error, path)) => {
            format!("reading the kubeconfig {}: {error}", path.display())
        }
        _ => error.to_string(),
    };
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_of_a_kubeconfig_shows() {
        let text = "users:\n- name: u\n  user: {token: hunter2}\n  : [\n";
        let error = Kubeconfig::from_yaml(text).unwrap_err();
        assert!(error.to_string().contains("hunter2"), "{error}");
        let told = configuration("reading the kubeconfig".to_owned(), &error).report();
        assert!(
            told.starts_with("reading the kubeconfig: ") && !told.contains("hunter2"),
            "{told}"
        );
    }

    #[test]
    fn numbers_that_make_no_sense_are_taken_all_the_same() {
        for (qps, burst) in
            [(0.0, 0), (-1.0, 1), (f32::NAN, 1), (f32::INFINITY, 1), (5.0, u32::MAX)]
        {
            let _ = Throttle { qps, burst }.layer();
        }
    }
}
