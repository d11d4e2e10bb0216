//! The HTTP client, which is kept as long as who asks, so that connections are.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chains_core::{Error, ErrorKind, Result, chain};
use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use reqwest::{Certificate, ClientBuilder, Identity, RequestBuilder};
use tokio::sync::Semaphore;
use url::Url;

use crate::{Answer, Exchange};

const USER_AGENT: &str = concat!("chains/", env!("CARGO_PKG_VERSION"));
/// Connections that nobody used for so long are closed: before load balancers do it, which tell nobody.
const IDLE: Duration = Duration::from_secs(50);

/// How servers are reached. Proxies are those of the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`).
#[derive(Debug, Clone, Copy)]
pub struct Settings<'a> {
    /// PEM files with certificate authorities to trust besides the system's.
    pub ca_files: &'a [PathBuf],
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// How long one request may take, from connecting to the last byte of the answer.
    pub request_timeout: Duration,
    /// How many connections to one server are kept while nobody uses them.
    pub most_idle: usize,
}

/// How the other side's certificate is checked, and what is shown to it.
#[derive(Debug, Default)]
pub struct Tls {
    /// Authorities to trust in place of the system's; empty means the system's.
    pub only: Vec<Certificate>,
    /// The certificate to show, with its key.
    pub identity: Option<Identity>,
    /// Whether any certificate will do.
    pub accept_any: bool,
}

impl Settings<'_> {
    /// A builder with all of this. The client follows no redirects: what it sends is meant for one host.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] where a file with authorities cannot be used.
    pub fn builder(&self, tls: Tls) -> Result<ClientBuilder> {
        let mut roots = Vec::new();
        for path in self.ca_files {
            roots.extend(certificates(path)?);
        }
        let builder = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .redirect(Policy::none())
            .connect_timeout(self.connect_timeout)
            .timeout(self.request_timeout)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(self.most_idle)
            .tls_backend_rustls();
        let builder = if tls.accept_any {
            builder.tls_danger_accept_invalid_certs(true)
        } else if tls.only.is_empty() {
            builder.tls_certs_merge(roots)
        } else {
            builder.tls_certs_only(tls.only.into_iter().chain(roots))
        };
        Ok(match tls.identity {
            Some(identity) => builder.identity(identity),
            None => builder,
        })
    }
}

/// The client; `what` says what it is for.
///
/// # Errors
/// [`ErrorKind::Configuration`] where TLS cannot be set up.
pub fn build(what: &str, builder: ClientBuilder) -> Result<reqwest::Client> {
    let failed = |e| Error::new(ErrorKind::Configuration, what).with_source(chain(&e));
    builder.build().map_err(failed)
}

/// The certificates in a file with PEM; at least one.
///
/// # Errors
/// [`ErrorKind::Configuration`] where it cannot be read or holds none.
pub fn certificates(path: &Path) -> Result<Vec<Certificate>> {
    let what = format!("reading certificate authorities from {}", path.display());
    let pem = std::fs::read(path)
        .map_err(|e| Error::new(ErrorKind::Configuration, &what).with_source(e))?;
    certificates_in(&pem).map_err(|e| e.context(what))
}

/// The certificates in PEM; at least one.
///
/// # Errors
/// [`ErrorKind::Configuration`] where it cannot be read or holds none.
pub fn certificates_in(pem: &[u8]) -> Result<Vec<Certificate>> {
    let refused = |why: String| Error::new(ErrorKind::Configuration, why);
    let found = Certificate::from_pem_bundle(pem).map_err(|e| refused(chain(&e)))?;
    if found.is_empty() {
        return Err(refused("it holds no certificate".to_owned()));
    }
    Ok(found)
}

/// A client whose requests take turns; clones share its connections and its turns.
#[derive(Debug, Clone)]
pub struct Client {
    inner: reqwest::Client,
    turns: Arc<Semaphore>,
    exchange: Exchange,
}

impl Client {
    /// A client that makes so many requests at once, and at least one; further ones wait.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] where a file with authorities cannot be used.
    pub fn new(settings: &Settings<'_>, concurrency: usize, exchange: Exchange) -> Result<Self> {
        let inner = build("making an HTTP client", settings.builder(Tls::default())?)?;
        Ok(Self { inner, turns: Arc::new(Semaphore::new(concurrency.max(1))), exchange })
    }

    /// A request for what is there.
    pub fn get(&self, url: Url) -> RequestBuilder {
        self.inner.get(url)
    }

    /// A request that brings JSON.
    pub fn post(&self, url: Url) -> RequestBuilder {
        self.inner.post(url).header(CONTENT_TYPE, "application/json")
    }

    /// Any other request, made by this client.
    pub fn request(&self, request: reqwest::Request) -> RequestBuilder {
        RequestBuilder::from_parts(self.inner.clone(), request)
    }

    /// Sends a request when it is its turn, and reads the whole answer, of whatever status.
    ///
    /// # Errors
    /// Where there is no answer, or one without end.
    pub async fn send(&self, what: &str, request: RequestBuilder) -> Result<Answer> {
        let closed = |e| Error::new(ErrorKind::Internal, what).with_source(e);
        let _turn = self.turns.acquire().await.map_err(closed)?;
        self.exchange.send(what, request).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_authorities_are_read_or_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let check = |content: Option<&str>, expect: &str| {
            if let Some(content) = content {
                std::fs::write(&path, content).unwrap();
            }
            let second = Duration::from_secs(1);
            let ca_files = [path.clone()];
            let settings = Settings {
                ca_files: &ca_files,
                connect_timeout: second,
                request_timeout: second,
                most_idle: 1,
            };
            let error = settings.builder(Tls::default()).unwrap_err();
            let (kind, report) = (error.kind(), error.report());
            assert_eq!(kind, ErrorKind::Configuration, "{report}");
            let what = "reading certificate authorities from ";
            assert!(report.starts_with(what) && report.ends_with(expect), "{report}");
        };
        check(None, "ca.pem: No such file or directory (os error 2)");
        check(Some("nothing"), "ca.pem: it holds no certificate");
    }
}
