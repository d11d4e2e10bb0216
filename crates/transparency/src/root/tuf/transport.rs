//! Files of a TUF repository: from the network, and from a copy where that cannot be reached.
//!
//! The copy is trusted for nothing: what comes from it is verified like what comes from the network, its expiry too.

use std::fmt;
use std::io::ErrorKind as IoErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use chains_core::{Digest, chain};
use futures_util::stream;
use reqwest::Url;
use tough::{Transport, TransportError, TransportErrorKind, TransportStream};

use crate::http::{self, Http};

/// No file is larger.
const MAX_FILE: usize = 10 * 1024 * 1024;

/// Why the repository gave no answer: what tells that apart from an answer that does not verify.
#[derive(Debug)]
pub(super) struct NotReached(String);

impl fmt::Display for NotReached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotReached {}

fn not_reached(url: &Url, why: String) -> TransportError {
    TransportError::new_with_cause(TransportErrorKind::Other, url.path(), NotReached(why))
}

/// A transport for one update.
#[derive(Debug, Clone)]
pub(super) struct Cached {
    http: Http,
    folder: Option<PathBuf>,
    /// The repository did not answer: nobody waits for it once more in the same update.
    unreachable: Arc<AtomicBool>,
}

impl Cached {
    pub(super) fn new(http: Http, folder: Option<PathBuf>) -> Self {
        Self { http, folder, unreachable: Arc::default() }
    }

    fn copy(&self, url: &Url) -> Option<PathBuf> {
        let name = Digest::sha256_of(url.path().as_bytes());
        self.folder.as_ref().map(|folder| folder.join(name.hex()))
    }

    async fn keep(&self, url: &Url, content: &[u8]) {
        let Some(copy) = self.copy(url) else {
            return;
        };
        // Renamed into place, so that nobody ever reads half a file.
        let part = copy.with_extension(format!("{}.part", std::process::id()));
        let kept = match tokio::fs::write(&part, content).await {
            Ok(()) => tokio::fs::rename(&part, &copy).await,
            Err(error) => Err(error),
        };
        if let Err(error) = kept {
            let why = error.to_string();
            tracing::warn!(path = %copy.display(), why, "a copy of a TUF file could not be kept");
        }
    }

    /// The copy of a file, after the repository could not be reached for `why`.
    async fn fall_back(&self, url: &Url, why: String) -> Result<Bytes, TransportError> {
        if let Some(copy) = self.copy(url) {
            match tokio::fs::read(&copy).await {
                Ok(content) => {
                    tracing::debug!(path = url.path(), why, "taking the copy of a TUF file");
                    return Ok(content.into());
                }
                // That there is no newer root is what the repository said when it was reached.
                Err(error)
                    if error.kind() == IoErrorKind::NotFound
                        && url.path().ends_with(".root.json") =>
                {
                    return Err(TransportError::new(TransportErrorKind::FileNotFound, url.path()));
                }
                Err(_) => {}
            }
        }
        Err(not_reached(url, why))
    }

    async fn get(&self, url: &Url) -> Result<Bytes, TransportError> {
        if self.unreachable.load(Ordering::SeqCst) {
            return self.fall_back(url, "it was not reached a moment ago".to_owned()).await;
        }
        let answer = match http::send("fetching", self.http.get(url.clone()), MAX_FILE).await {
            Ok(answer) => answer,
            Err(error) => {
                self.unreachable.store(true, Ordering::SeqCst);
                return self.fall_back(url, chain(&error)).await;
            }
        };
        match answer.status.as_u16() {
            200 => {
                self.keep(url, &answer.body).await;
                Ok(answer.body)
            }
            // Buckets answer 403 for what is not there.
            403 | 404 | 410 => {
                Err(TransportError::new(TransportErrorKind::FileNotFound, url.path()))
            }
            status if status >= 500 || status == 429 => {
                self.fall_back(url, format!("it answered {}", answer.status)).await
            }
            _ => Err(not_reached(url, format!("it answered {}", answer.status))),
        }
    }
}

#[async_trait]
impl Transport for Cached {
    async fn fetch(&self, url: Url) -> Result<TransportStream, TransportError> {
        let content = self.get(&url).await?;
        Ok(Box::pin(stream::iter([Ok(content)])))
    }
}
