//! Roots of trust from a [TUF](https://theupdateframework.github.io/specification/latest/) repository.
//!
//! What TUF is about (signatures, versions that never go back, expiry) is `tough`'s work; here it gets our HTTP
//! client, a copy on disk for when the repository cannot be reached, and its turn in the background.

mod transport;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chains_core::{Error, ErrorKind, Result, chain};
use futures_util::TryStreamExt as _;
use tokio::sync::OnceCell;
use tokio::time::Instant;
use tough::{RepositoryLoader, TargetName};

use self::transport::{Cached, NotReached};
use super::{SigningConfig, Trust, TrustSource, TrustedRoot};
use crate::HttpOptions;
use crate::http::{self, Http, Service};

/// The repository of the public instance of Sigstore.
pub const SIGSTORE_MIRROR: &str = "https://tuf-repo-cdn.sigstore.dev";
/// The 15th root of that repository, from <https://github.com/sigstore/root-signing>: later ones follow from it.
const SIGSTORE_ROOT: &[u8] = include_bytes!("../sigstore.root.json");

const TRUSTED_ROOT: &str = "trusted_root.json";
const SIGNING_CONFIG: &str = "signing_config.v0.2.json";
/// No target is larger; what is trusted is some 10 KiB.
const MAX_TARGET: usize = 4 * 1024 * 1024;
/// How long to wait before a refresh that failed is tried again.
const AGAIN: Duration = Duration::from_secs(300);
/// How old what is known has to be before it is fetched anew because something else is not trusted.
const SOONEST: Duration = Duration::from_secs(60);

/// Options of [`TufTrust`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TufOptions {
    /// Address of the repository (`signers.x509.tuf.mirror.url`).
    pub mirror: String,
    /// The `root.json` to start from: any that the repository ever had, at the public one from the 12th on, since
    /// those before name keys by what is not their hash. Unset: that of the public instance at its repository; at another
    /// one, `root.json` is fetched from there once, with a warning: whoever answers then is believed. It is kept in the
    /// cache.
    pub root: Option<Vec<u8>>,
    /// A folder to keep what was fetched in; it is made where it is missing. Unset: a restart needs the repository.
    pub cache: Option<PathBuf>,
    /// How old what is trusted may grow before it is fetched anew, in the background.
    pub refresh: Duration,
    /// How the repository is spoken to.
    pub http: HttpOptions,
}

impl Default for TufOptions {
    fn default() -> Self {
        Self {
            mirror: SIGSTORE_MIRROR.to_owned(),
            root: None,
            cache: None,
            refresh: Duration::from_secs(60 * 60),
            http: HttpOptions::default(),
        }
    }
}

/// Trusts what a TUF repository says: its targets `trusted_root.json` and, where there is one, `signing_config.v0.2.json`.
///
/// Nothing is fetched before the first signature. From then on the answer comes from memory, and is fetched anew in the
/// background when it has grown old; where that fails, what is known stays in use, which a warning tells.
#[derive(Debug, Clone)]
pub struct TufTrust(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    repository: Repository,
    refresh: Duration,
    known: Mutex<Option<Known>>,
    /// One fetches at a time; the others wait for what it finds.
    first: tokio::sync::Mutex<()>,
    refreshing: AtomicBool,
}

#[derive(Debug, Clone)]
struct Known {
    trust: Arc<Trust>,
    /// When it was fetched, or that was tried.
    since: Instant,
    /// When it is to be fetched anew.
    until: Instant,
}

impl TufTrust {
    /// Sets up the client; nothing is connected to yet.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] where the address is no URL, the folder cannot be made, or a file of certificate
    /// authorities cannot be read.
    pub fn new(options: TufOptions) -> Result<Self> {
        let is_public = options.mirror.trim_end_matches('/') == SIGSTORE_MIRROR;
        let known = options.root.or_else(|| is_public.then(|| SIGSTORE_ROOT.to_vec()));
        let root = OnceCell::new_with(known);
        let service = Service::new("TUF repository", &options.mirror)?;
        let http = Http::new(&options.http)?;
        for folder in
            options.cache.iter().flat_map(|cache| [cache.join("files"), cache.join("metadata")])
        {
            std::fs::create_dir_all(&folder).map_err(|e| {
                let what = format!("making the folder {}", folder.display());
                Error::new(ErrorKind::Configuration, what).with_source(e)
            })?;
        }
        let repository = Repository { http, service, root, cache: options.cache };
        Ok(Self(Arc::new(Shared {
            repository,
            refresh: options.refresh,
            known: Mutex::default(),
            first: tokio::sync::Mutex::default(),
            refreshing: AtomicBool::new(false),
        })))
    }
}

#[async_trait]
impl TrustSource for TufTrust {
    async fn trust(&self) -> Result<Arc<Trust>> {
        if let Some(known) = self.0.known() {
            if known.until <= Instant::now() && !self.0.refreshing.swap(true, Ordering::SeqCst) {
                let shared = Arc::clone(&self.0);
                tokio::spawn(async move { shared.refresh().await });
            }
            return Ok(known.trust);
        }
        let _alone = self.0.first.lock().await;
        match self.0.known() {
            Some(known) => Ok(known.trust),
            None => self.0.fetch().await,
        }
    }

    async fn look_again(&self) {
        let soonest = SOONEST.min(self.0.refresh);
        let _alone = self.0.first.lock().await;
        if self.0.known().is_some_and(|known| known.since.elapsed() >= soonest) {
            self.0.fetch_anew().await;
        }
    }
}

impl Shared {
    fn known(&self) -> Option<Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn know(&self, trust: Arc<Trust>, until: Instant) {
        let known = Known { trust, since: Instant::now(), until };
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
    }

    async fn fetch(&self) -> Result<Arc<Trust>> {
        let trust = Arc::new(self.repository.fetch().await?);
        self.know(Arc::clone(&trust), Instant::now() + self.refresh);
        Ok(trust)
    }

    async fn refresh(&self) {
        let alone = self.first.lock().await;
        self.fetch_anew().await;
        drop(alone);
        self.refreshing.store(false, Ordering::SeqCst);
    }

    /// What is known stays in use where that fails.
    async fn fetch_anew(&self) {
        if let Err(error) = self.fetch().await {
            let (why, again) = (error.report(), AGAIN);
            tracing::warn!(
                why,
                ?again,
                "roots of trust could not be refreshed: those known stay in use"
            );
            if let Some(known) = self.known() {
                self.know(known.trust, Instant::now() + AGAIN);
            }
        }
    }
}

#[derive(Debug)]
struct Repository {
    http: Http,
    service: Service,
    /// The root to begin with, once it is known.
    root: OnceCell<Vec<u8>>,
    cache: Option<PathBuf>,
}

impl Repository {
    /// The root that the repository shows of itself; a restart takes the one that was shown first.
    async fn shown_root(&self) -> Result<Vec<u8>> {
        let kept = self.cache.as_ref().map(|cache| cache.join("root.json"));
        if let Some(root) = kept.as_ref().and_then(|path| std::fs::read(path).ok()) {
            return Ok(root);
        }
        let what = format!("fetching root.json from {}", self.service.shown());
        let answer =
            http::send(&what, self.http.get(self.service.at("/root.json")), MAX_TARGET).await?;
        if answer.status != reqwest::StatusCode::OK {
            return Err(http::refused(&what, &answer));
        }
        let repository = self.service.shown();
        tracing::warn!(
            repository,
            "no `root.json` is configured: taking the one that the repository shows"
        );
        if let Some(path) = kept
            && let Err(error) = std::fs::write(&path, &answer.body)
        {
            let (path, why) = (path.display(), error.to_string());
            tracing::warn!(%path, why, "`root.json` is not kept: a restart fetches it again");
        }
        Ok(answer.body.into())
    }

    async fn fetch(&self) -> Result<Trust> {
        let what = || format!("fetching roots of trust from {}", self.service.shown());
        let files = self.cache.as_ref().map(|cache| cache.join("files"));
        let transport = Cached::new(self.http.clone(), files);
        let (metadata, targets) = (self.service.at("/"), self.service.at("/targets/"));
        let root = self.root.get_or_try_init(|| self.shown_root()).await?;
        let mut loader = RepositoryLoader::new(root, metadata, targets).transport(transport);
        if let Some(cache) = &self.cache {
            loader = loader.datastore(cache.join("metadata"));
        }
        let repository = loader.load().await.map_err(|e| fault(e).context(what()))?;
        let root = target(&repository, TRUSTED_ROOT).await.map_err(|e| e.context(what()))?;
        let Some(root) = root else {
            let why = format!("it has no target {TRUSTED_ROOT}");
            return Err(Error::new(ErrorKind::NotFound, what()).with_source(why));
        };
        let config = target(&repository, SIGNING_CONFIG).await.map_err(|e| e.context(what()))?;
        let config = config.map(|json| SigningConfig::from_json(&json)).transpose();
        Ok(Trust {
            root: TrustedRoot::from_json(&root).map_err(|e| e.context(what()))?,
            config: config.map_err(|e| e.context(what()))?,
        })
    }
}

async fn target(repository: &tough::Repository, name: &str) -> Result<Option<Vec<u8>>> {
    let target = TargetName::new(name).map_err(fault)?;
    let Some(mut stream) = repository.read_target(&target).await.map_err(fault)? else {
        return Ok(None);
    };
    let mut content = Vec::new();
    while let Some(chunk) = stream.try_next().await.map_err(fault)? {
        if content.len() + chunk.len() > MAX_TARGET {
            let why = format!("the target {name} has more than {MAX_TARGET} bytes");
            return Err(Error::new(ErrorKind::Protocol, why));
        }
        content.extend_from_slice(&chunk);
    }
    Ok(Some(content))
}

fn fault(error: tough::error::Error) -> Error {
    use tough::error::Error as E;
    let kind = match &error {
        E::DatastoreCreate { .. }
        | E::DatastoreInit { .. }
        | E::DatastoreOpen { .. }
        | E::DatastoreRemove { .. } => ErrorKind::Configuration,
        error if was_not_reached(error) => ErrorKind::Unavailable,
        // What is missing, expired, or not what was signed.
        _ => ErrorKind::Verification,
    };
    Error::new(kind, "reading a TUF repository").with_source(chain(&error))
}

fn was_not_reached(error: &(dyn std::error::Error + 'static)) -> bool {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.into_iter().any(|cause| cause.is::<NotReached>())
}
