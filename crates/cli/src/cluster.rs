//! What the command does in a Kubernetes cluster, beside `chains retry`.

use std::path::PathBuf;

use chains_cluster::kube::Client;
use chains_cluster::{Connection, keys};
use chains_core::{ErrorKind, PublicKey, Secret};
use chains_signer_x509::{KeyKind, X509Signer};
use clap::Args;

pub(crate) use chains_cluster::SecretRef;

use crate::settings::quoted;

/// Which cluster, where one is asked.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Cluster")]
pub(crate) struct ClusterArgs {
    /// Kubeconfig file, in place of KUBECONFIG and ~/.kube/config.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig, in place of its current one.
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
}

/// The public half of a pair that was made.
pub(crate) struct Generated {
    pub(crate) public_key: PublicKey,
    /// There were keys before.
    pub(crate) replaced: bool,
}

/// A cluster that can be asked.
pub(crate) struct Cluster {
    pub(crate) client: Client,
    address: String,
}

impl Cluster {
    /// An error of the cluster as one of the command, with a hint where there is one.
    pub(crate) fn report(&self, error: chains_core::Error) -> anyhow::Error {
        let hint = match error.kind() {
            ErrorKind::Unavailable | ErrorKind::Timeout => {
                format!("; the API server is {}", self.address)
            }
            ErrorKind::Unauthorized => "; the kubeconfig says as whom it is asked".to_owned(),
            _ => String::new(),
        };
        anyhow::anyhow!("{}{hint}", error.report())
    }
}

impl ClusterArgs {
    /// Connects; nothing is sent yet.
    pub(crate) async fn connect(&self) -> anyhow::Result<Cluster> {
        let connection = Connection {
            kubeconfig: self.kubeconfig.clone(),
            context: self.context.clone(),
            ..Connection::default()
        };
        let told = |error: chains_core::Error| anyhow::anyhow!(error.report());
        let address = connection.config().await.map_err(told)?.cluster_url.to_string();
        tracing::debug!(address, "connecting to the API server");
        let client = chains_cluster::connect(&connection).await.map_err(told)?;
        Ok(Cluster { client, address })
    }

    /// The options again, to be put behind a command.
    pub(crate) fn options(&self) -> String {
        let file = self.kubeconfig.as_ref().map(|file| file.display().to_string());
        [("kubeconfig", file), ("context", self.context.clone())]
            .into_iter()
            .filter_map(|(name, value)| Some(format!(" --{name} {}", quoted(&value?))))
            .collect()
    }

    /// The private key in a Secret.
    pub(crate) async fn signer(&self, at: &SecretRef) -> anyhow::Result<X509Signer> {
        let cluster = self.connect().await?;
        let secret = keys::fetch(&cluster.client, at).await.map_err(|e| cluster.report(e))?;
        keys::signer(&secret, at).map_err(|error| anyhow::anyhow!(error.report()))
    }

    /// The public key in a Secret, or of the private one in it.
    pub(crate) async fn public_key(&self, at: &SecretRef) -> anyhow::Result<PublicKey> {
        let cluster = self.connect().await?;
        let secret = keys::fetch(&cluster.client, at).await.map_err(|e| cluster.report(e))?;
        keys::public_key(&secret, at).map_err(|error| anyhow::anyhow!(error.report()))
    }

    /// Makes the Secret with a new pair; the password is asked for when it is clear that nothing is refused.
    pub(crate) async fn generate(
        &self,
        at: &SecretRef,
        kind: KeyKind,
        force: bool,
        password: impl FnOnce() -> anyhow::Result<Secret>,
    ) -> anyhow::Result<Generated> {
        let cluster = self.connect().await?;
        let client = &cluster.client;
        let refused = |error: chains_core::Error| match error.kind() {
            ErrorKind::Conflict if !force => anyhow::anyhow!(
                "{}: choose another name, or replace the keys with --force",
                error.report()
            ),
            _ => cluster.report(error),
        };
        keys::check_vacant(client, at, force).await.map_err(refused)?;
        let made = keys::generate(client, at, kind, &password()?, force).await.map_err(refused)?;
        Ok(Generated { public_key: made.public_key, replaced: made.replaced })
    }
}
