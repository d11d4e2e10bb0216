//! HTTP towards the services: one client for each store, bounded in connections, time and the length of answers.

use std::error::Error as StdError;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chains_core::{Error, ErrorKind, Result, chain};
use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use reqwest::{Certificate, Request, StatusCode};
use tokio::sync::Semaphore;

use crate::{Limits, MAX_OBJECT};

const USER_AGENT: &str = concat!("chains/", env!("CARGO_PKG_VERSION"));
/// Connections that nobody used for so long are closed: before load balancers do it, which tell nobody.
const IDLE: Duration = Duration::from_secs(50);

/// The client; clones share its connections and its bounds.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    inner: reqwest::Client,
    turns: Arc<Semaphore>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Client {
    /// # Errors
    /// [`ErrorKind::Configuration`] where a file of certificate authorities cannot be used.
    pub(crate) fn new(limits: &Limits, ca_files: &[PathBuf]) -> Result<Self> {
        let mut roots = Vec::new();
        for path in ca_files {
            roots.extend(certificates(path)?);
        }
        let built = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            // A redirect would carry credentials to whoever is named there.
            .redirect(Policy::none())
            .connect_timeout(limits.connect_timeout)
            .timeout(limits.request_timeout)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(limits.concurrency)
            .tls_backend_rustls()
            .tls_certs_merge(roots)
            .build();
        let inner = built.map_err(|e| {
            Error::new(ErrorKind::Configuration, "making an HTTP client").with_source(chain(&e))
        })?;
        Ok(Self { inner, turns: Arc::new(Semaphore::new(limits.concurrency.max(1))) })
    }

    /// Sends a request and reads the whole answer, of whatever status.
    ///
    /// # Errors
    /// Where there is no answer, or one without end.
    pub(crate) async fn send(&self, request: Request) -> Result<Answer> {
        let host = request.url().host_str().unwrap_or("the server").to_owned();
        let _turn = self.turns.acquire().await;
        let mut response = self.inner.execute(request).await.map_err(|e| unanswered(&host, e))?;
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| unanswered(&host, e))? {
            if body.len() + chunk.len() > MAX_OBJECT {
                let why = format!("{host}: the answer has more than {MAX_OBJECT} bytes");
                return Err(Error::new(ErrorKind::TooLarge, why));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, headers, body: body.into() })
    }
}

/// A request that got no answer. Addresses stay out of it: their queries may hold signatures and tokens.
fn unanswered(host: &str, error: reqwest::Error) -> Error {
    let kind = match &error {
        e if e.is_timeout() => ErrorKind::Timeout,
        e if e.is_builder() => ErrorKind::Configuration,
        // Nobody will trust it a moment later, unless somebody changes something.
        e if is_untrusted(e) => ErrorKind::Verification,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, host).with_source(chain(&error.without_url()))
}

fn is_untrusted(error: &reqwest::Error) -> bool {
    let mut cause = StdError::source(error);
    while let Some(error) = cause {
        if let Some(tls) = tls_error(error) {
            return matches!(tls, rustls::Error::InvalidCertificate(_));
        }
        cause = error.source();
    }
    false
}

/// The errors of rustls come wrapped in those of I/O, more than once, and those skip what they wrap.
fn tls_error<'a>(cause: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    cause.downcast_ref().or_else(|| tls_error(cause.downcast_ref::<std::io::Error>()?.get_ref()?))
}

fn certificates(path: &PathBuf) -> Result<Vec<Certificate>> {
    let what = format!("reading certificate authorities from {}", path.display());
    let failed = |why: String| Error::new(ErrorKind::Configuration, &what).with_source(why);
    let pem = std::fs::read(path).map_err(|e| failed(e.to_string()))?;
    let found = Certificate::from_pem_bundle(&pem).map_err(|e| failed(chain(&e)))?;
    if found.is_empty() {
        return Err(failed("it holds no certificate".to_owned()));
    }
    Ok(found)
}
