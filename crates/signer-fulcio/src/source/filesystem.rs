//! A token in a file, e.g. a projected ServiceAccount token.

use std::fs::File;
use std::io::{ErrorKind as IoErrorKind, Read as _};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use chains_core::{Result, Secret};

use super::{IdentitySource, refused};
use crate::IdentityToken;

/// Where the token is looked for where nothing is said, as `cosign` does.
const DEFAULT: &str = "/var/run/sigstore/cosign/oidc-token";
const NAME: &str = "filesystem";
/// No token is longer.
const MAX_TOKEN: u64 = 64 * 1024;

/// A file with a token. It is read for every certificate, so that a token that was replaced is used.
#[derive(Debug, Clone)]
pub struct Filesystem {
    path: PathBuf,
}

impl Filesystem {
    /// The token in this file.
    #[must_use]
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self { path: path.as_ref().to_owned() }
    }
}

impl Default for Filesystem {
    /// The token in `/var/run/sigstore/cosign/oidc-token`.
    fn default() -> Self {
        Self::new(DEFAULT)
    }
}

#[async_trait]
impl IdentitySource for Filesystem {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn is_present(&self) -> bool {
        self.path.exists()
    }

    async fn token(&self, _: &str) -> Result<IdentityToken> {
        let path = self.path.clone();
        let text = tokio::task::spawn_blocking(move || read(&path)).await;
        let text = text.map_err(|e| refused(NAME, e.to_string()))??;
        IdentityToken::parse(text.expose())
            .map_err(|error| error.context(format!("the file {}", self.path.display())))
    }
}

fn read(path: &Path) -> Result<Secret> {
    let failed = |why: String| refused(NAME, format!("the file {}: {why}", path.display()));
    let mut text = String::new();
    let file = File::open(path).map_err(|e| {
        match e.kind() {
        IoErrorKind::NotFound => failed(
            "it is not there: project a ServiceAccount token to this place, or name another one by \
             `signers.x509.identity.token.file`"
                .to_owned(),
        ),
        _ => failed(e.to_string()),
    }
    })?;
    let length = file.take(MAX_TOKEN + 1).read_to_string(&mut text);
    let text = Secret::new(text);
    match length {
        Ok(length) if length as u64 > MAX_TOKEN => {
            Err(failed(format!("it has more than {MAX_TOKEN} bytes")))
        }
        Ok(_) => Ok(text),
        Err(e) => Err(failed(e.to_string())),
    }
}
