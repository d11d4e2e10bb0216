//! Where roots of trust come from.

use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use chains_core::{Error, ErrorKind, Result};

use super::{SigningConfig, TrustedRoot};

/// What is trusted, and which services to use where that is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// The logs and authorities that count.
    pub root: TrustedRoot,
    /// Which services to use.
    pub config: Option<SigningConfig>,
}

/// Knows what is trusted at the moment. Asked for with every signature: answers from memory.
#[async_trait]
pub trait TrustSource: Debug + Send + Sync + 'static {
    /// What is trusted now.
    ///
    /// # Errors
    /// Where it is not known, and could not be found out.
    async fn trust(&self) -> Result<Arc<Trust>>;

    /// Looks for news before it is time, since something is by nobody who is trusted: a key may have been renewed. Called
    /// whenever that is so, so it limits itself how often it asks somebody else. By default there are never any news.
    async fn look_again(&self) {}
}

/// What was read once and does not change.
#[derive(Debug, Clone, Default)]
pub struct FixedTrust(Arc<Trust>);

impl FixedTrust {
    /// Trusts this.
    #[must_use]
    pub fn new(trust: Trust) -> Self {
        Self(Arc::new(trust))
    }

    /// Reads `trusted_root.json` and, if named, `signing_config.json`.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] where a file cannot be read or is not what it must be.
    pub fn from_files(trusted_root: &Path, signing_config: Option<&Path>) -> Result<Self> {
        let root = TrustedRoot::from_json(&read(trusted_root)?);
        let root = root.map_err(|e| unusable(trusted_root, e))?;
        let config = signing_config
            .map(|path| SigningConfig::from_json(&read(path)?).map_err(|e| unusable(path, e)));
        Ok(Self::new(Trust { root, config: config.transpose()? }))
    }
}

#[async_trait]
impl TrustSource for FixedTrust {
    async fn trust(&self) -> Result<Arc<Trust>> {
        Ok(Arc::clone(&self.0))
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|e| unusable(path, e))
}

fn unusable(path: &Path, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Configuration, format!("reading {}", path.display())).with_source(error)
}
