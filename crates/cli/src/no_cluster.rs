//! In place of `cluster.rs` where the command is built without the feature `kubernetes`: there are no options for a
//! cluster, and no reference to a Secret can be read.

use std::fmt;
use std::str::FromStr;

use chains_core::{PublicKey, Secret};
use chains_signer_x509::{KeyKind, X509Signer};
use clap::Args;

/// No options.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ClusterArgs {}

/// There is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SecretRef {}

impl SecretRef {
    pub(crate) fn is_meant_by(text: &str) -> bool {
        text.starts_with("k8s://")
    }
}

impl FromStr for SecretRef {
    type Err = String;

    fn from_str(_: &str) -> Result<Self, String> {
        Err("access to Kubernetes is not built into this program (feature `kubernetes`)".to_owned())
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

/// The public half of a pair that was made.
pub(crate) struct Generated {
    pub(crate) public_key: PublicKey,
    pub(crate) replaced: bool,
}

impl ClusterArgs {
    pub(crate) fn options(&self) -> String {
        String::new()
    }

    pub(crate) async fn signer(&self, at: &SecretRef) -> anyhow::Result<X509Signer> {
        match *at {}
    }

    pub(crate) async fn public_key(&self, at: &SecretRef) -> anyhow::Result<PublicKey> {
        match *at {}
    }

    pub(crate) async fn generate(
        &self,
        at: &SecretRef,
        _: KeyKind,
        _: bool,
        _: impl FnOnce() -> anyhow::Result<Secret>,
    ) -> anyhow::Result<Generated> {
        match *at {}
    }
}
