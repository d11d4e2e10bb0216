//! What can be set about the store.

use std::path::PathBuf;
use std::time::Duration;

use chains_core::Secret;

/// Options of [`ArchivistaStore`](crate::ArchivistaStore).
#[derive(Debug, Clone)]
pub struct ArchivistaOptions {
    /// The server's address (`storage.archivista.url`). A user and password in it are shown to this server by basic
    /// authentication, and to nobody else.
    pub url: Secret,
    /// PEM files with certificate authorities to trust besides the system's.
    pub ca_files: Vec<PathBuf>,
    /// Bounds.
    pub limits: Limits,
}

impl ArchivistaOptions {
    /// The server at this address, with everything else as usual.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: Secret::new(url), ca_files: Vec::new(), limits: Limits::default() }
    }
}

/// Bounds of an [`ArchivistaStore`](crate::ArchivistaStore).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How many requests are made at once; further ones wait for their turn. As many connections are kept.
    pub concurrency: usize,
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// How long one request may take, from connecting to the last byte of the answer.
    pub request_timeout: Duration,
}

impl Default for Limits {
    /// 32 at once, five seconds, twenty seconds.
    fn default() -> Self {
        Self {
            concurrency: 32,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(20),
        }
    }
}
