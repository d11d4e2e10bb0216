//! Whom to trust among the services of Sigstore: files that are read again when they change, or a TUF repository.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use chains_config::{Config, X509};
use chains_core::{Digest, Error, ErrorKind, Result};
use chains_transparency::{
    HttpOptions, SigningConfig, Trust, TrustSource, TrustedRoot, TufOptions, TufTrust,
};

use super::log::http;
use crate::Environment;

/// How often files are looked at, at most: what is trusted is asked for with every signature.
const LOOK: Duration = Duration::from_secs(5);
/// No file is larger.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// Where it is told whom to trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inputs {
    trusted_root: Option<PathBuf>,
    signing_config: Option<PathBuf>,
    mirror: String,
    root: Option<PathBuf>,
    cache: Option<PathBuf>,
    http: HttpOptions,
}

/// Where it is told whom to trust, as far as anything is: `uses_public` says that a service of the public
/// instance of Sigstore is used, whose TUF repository is known.
///
/// Nothing is fetched for services of one's own that nobody vouches for.
pub(crate) fn inputs(
    config: &Config,
    environment: &Environment,
    uses_public: bool,
) -> Option<Inputs> {
    let (files, x509) = (&config.sigstore, &config.signers.x509);
    let own_mirror = x509.tuf_mirror_url.as_str() != X509::PUBLIC_MIRROR;
    let is_told = files.trusted_root.is_some()
        || files.signing_config.is_some()
        || own_mirror
        || x509.tuf_root.is_some();
    (is_told || uses_public).then(|| of(config, environment))
}

/// The same where somebody verifies, who cannot do without.
pub(crate) fn of(config: &Config, environment: &Environment) -> Inputs {
    let (files, x509) = (&config.sigstore, &config.signers.x509);
    Inputs {
        trusted_root: files.trusted_root.clone(),
        signing_config: files.signing_config.clone(),
        mirror: x509.tuf_mirror_url.as_str().to_owned(),
        root: x509.tuf_root.clone(),
        cache: environment.cache.clone(),
        http: http(environment),
    }
}

/// The source for these inputs: the one that is in use already, where there is one.
pub(crate) fn roots(inputs: Inputs, environment: &Environment) -> Result<Arc<Roots>> {
    environment.kept.get_or_make(inputs, Roots::new)
}

/// Knows whom to trust. Nothing is read or fetched before it is asked.
#[derive(Debug)]
pub(crate) struct Roots {
    /// In place of `trusted_root`.
    repository: Option<TufTrust>,
    trusted_root: Option<PathBuf>,
    signing_config: Option<PathBuf>,
    known: Mutex<Option<Known>>,
}

/// What was read, and of which files.
#[derive(Debug)]
struct Known {
    /// `None` where it is to be looked at again, whatever the time.
    looked: Option<Instant>,
    stamps: Stamps,
    trust: Arc<Trust>,
}

/// When files were written, and their sizes; of a repository, which of its answers it was.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamps {
    files: [Option<(SystemTime, u64)>; 2],
    repository: Option<Arc<Trust>>,
}

impl Roots {
    fn new(inputs: &Inputs) -> Result<Self> {
        let repository = match &inputs.trusted_root {
            Some(_) => None,
            None => Some(repository(inputs)?),
        };
        Ok(Self {
            repository,
            trusted_root: inputs.trusted_root.clone(),
            signing_config: inputs.signing_config.clone(),
            known: Mutex::default(),
        })
    }

    fn recent(&self) -> Option<Arc<Trust>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.as_ref()?;
        known.looked.filter(|looked| looked.elapsed() < LOOK)?;
        Some(Arc::clone(&known.trust))
    }

    fn stamps(&self, repository: Option<Arc<Trust>>) -> Stamps {
        let stamp = |path: &Option<PathBuf>| {
            let found = std::fs::metadata(path.as_ref()?).ok()?;
            Some((found.modified().ok()?, found.len()))
        };
        Stamps { files: [stamp(&self.trusted_root), stamp(&self.signing_config)], repository }
    }

    fn read(&self, repository: Option<&Trust>) -> Result<Trust> {
        let root = match (&self.trusted_root, repository) {
            (Some(path), _) => TrustedRoot::from_json(&read(path)?).map_err(|e| odd(path, e))?,
            (None, Some(trust)) => trust.root.clone(),
            (None, None) => TrustedRoot::default(),
        };
        let config = match &self.signing_config {
            Some(path) => Some(signing_config(path)?),
            None => repository.and_then(|trust| trust.config.clone()),
        };
        Ok(Trust { root, config })
    }

    /// Reads what changed. What cannot be read any more leaves what was known in use, with a warning.
    fn look(&self, repository: Option<Arc<Trust>>) -> Result<Arc<Trust>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let looked = Some(Instant::now());
        let stamps = self.stamps(repository);
        if let Some(known) = known.as_mut().filter(|known| known.stamps == stamps) {
            known.looked = looked;
            return Ok(Arc::clone(&known.trust));
        }
        let trust = match (self.read(stamps.repository.as_deref()), known.as_ref()) {
            (Ok(trust), _) => Arc::new(trust),
            (Err(error), None) => return Err(error),
            (Err(error), Some(known)) => {
                let why = error.report();
                tracing::warn!(why, "roots of trust cannot be read: those known stay in use");
                Arc::clone(&known.trust)
            }
        };
        *known = Some(Known { looked, stamps, trust: Arc::clone(&trust) });
        Ok(trust)
    }
}

impl Roots {
    async fn ask(&self) -> Result<Arc<Trust>> {
        match &self.repository {
            // It answers from memory by itself.
            Some(repository) if self.signing_config.is_none() => repository.trust().await,
            repository => {
                if let Some(trust) = self.recent() {
                    return Ok(trust);
                }
                let repository = match repository {
                    Some(repository) => Some(repository.trust().await?),
                    None => None,
                };
                self.look(repository)
            }
        }
    }

    /// Has files read again, even those that look as they did.
    fn forget(&self) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.as_mut() {
            known.looked = None;
            known.stamps.files = [None, None];
        }
    }
}

#[async_trait]
impl TrustSource for Roots {
    async fn trust(&self) -> Result<Arc<Trust>> {
        // A file may be mounted late, a repository be mended: no run is given up for that.
        self.ask().await.map_err(|e| e.with_retryable(true))
    }

    async fn look_again(&self) {
        if let Some(repository) = &self.repository {
            repository.look_again().await;
        }
        self.forget();
    }
}

/// Reads a signing config.
pub(crate) fn signing_config(path: &Path) -> Result<SigningConfig> {
    SigningConfig::from_json(&read(path)?).map_err(|e| odd(path, e))
}

fn repository(inputs: &Inputs) -> Result<TufTrust> {
    let root = inputs.root.as_deref().map(read).transpose()?;
    // Several repositories do not share a folder.
    let name = Digest::sha256_of(inputs.mirror.as_bytes()).hex().get(..16).map(str::to_owned);
    let cache = inputs.cache.as_ref().zip(name).map(|(cache, name)| cache.join("tuf").join(name));
    let cache = cache.filter(|folder| match std::fs::create_dir_all(folder) {
        Ok(()) => true,
        Err(error) => {
            let (folder, why) = (folder.display(), error.to_string());
            tracing::warn!(%folder, why, "roots of trust are not kept: a restart fetches them again");
            false
        }
    });
    let http = inputs.http.clone();
    let mirror = inputs.mirror.clone();
    TufTrust::new(TufOptions { mirror, root, cache, http, ..TufOptions::default() })
        .map_err(|e| e.context("`signers.x509.tuf.mirror.url`"))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let size = std::fs::metadata(path).map_err(|e| odd(path, e))?.len();
    if size > MAX_FILE {
        return Err(odd(path, std::io::Error::other(format!("it has more than {MAX_FILE} bytes"))));
    }
    std::fs::read(path).map_err(|e| odd(path, e))
}

fn odd(path: &Path, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Configuration, format!("reading {}", path.display())).with_source(error)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

    use super::*;

    const ROOT: &str =
        r#"{"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"}"#;

    #[tokio::test]
    async fn a_root_that_is_mounted_late_is_waited_for_and_read_again_when_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trusted_root.json");
        let inputs = Inputs {
            trusted_root: Some(path.clone()),
            ..of(&Config::default(), &Environment::anonymous())
        };
        let roots = Roots::new(&inputs).unwrap();
        let error = roots.trust().await.unwrap_err();
        assert!(error.is_retryable(), "{}", error.report());
        std::fs::write(&path, ROOT).unwrap();
        let first = roots.trust().await.unwrap();
        assert!(Arc::ptr_eq(&first, &roots.trust().await.unwrap()), "from memory");
        roots.look_again().await;
        let second = roots.trust().await.unwrap();
        assert!(!Arc::ptr_eq(&first, &second) && first == second, "read again");
    }
}
