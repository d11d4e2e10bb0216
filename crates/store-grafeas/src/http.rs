//! One exchange with the server, bounded in connections, time and length.

use std::error::Error as StdError;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use chains_core::{Error, ErrorKind, Result, Secret, chain};
use reqwest::redirect::Policy;
use reqwest::{Certificate, RequestBuilder, StatusCode};
use tokio::sync::Semaphore;
use url::Url;

use crate::Limits;
use crate::address::Login;

const USER_AGENT: &str = concat!("chains/", env!("CARGO_PKG_VERSION"));
/// Connections that nobody used for so long are closed: before load balancers do it, which tell nobody.
const IDLE: Duration = Duration::from_secs(50);
/// The longest answer that is read, in bytes: a page of large occurrences.
const LONGEST: usize = 64 * 1024 * 1024;

/// The client, with its bounds.
#[derive(Debug)]
pub(crate) struct Client {
    inner: reqwest::Client,
    turns: Semaphore,
}

/// What is shown to the server.
#[derive(Debug)]
pub(crate) enum Credential<'a> {
    None,
    Login(&'a Login),
    Token(Secret),
}

impl Credential<'_> {
    /// What must not be told.
    pub(crate) fn secret(&self) -> Option<&Secret> {
        match self {
            Self::None => None,
            Self::Login(login) => Some(&login.password),
            Self::Token(token) => Some(token),
        }
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
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
            // A redirect would carry the password to whoever is named there.
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
        Ok(Self { inner, turns: Semaphore::new(limits.concurrency.max(1)) })
    }

    pub(crate) fn get(&self, url: Url) -> RequestBuilder {
        self.inner.get(url)
    }

    pub(crate) fn post(&self, url: Url) -> RequestBuilder {
        self.inner.post(url).header("Content-Type", "application/json")
    }

    /// Sends a request and reads the whole answer, of whatever status.
    ///
    /// # Errors
    /// Where there is no answer, or one without end.
    pub(crate) async fn send(
        &self,
        what: &str,
        mut request: RequestBuilder,
        credential: &Credential<'_>,
    ) -> Result<Answer> {
        request = match credential {
            Credential::None => request,
            Credential::Login(login) => {
                request.basic_auth(&login.user, Some(login.password.expose()))
            }
            Credential::Token(token) => request.bearer_auth(token.expose()),
        };
        let closed = |e| Error::new(ErrorKind::Internal, what).with_source(e);
        let _turn = self.turns.acquire().await.map_err(closed)?;
        let mut response = request.send().await.map_err(|e| unanswered(what, e))?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| unanswered(what, e))? {
            if body.len() + chunk.len() > LONGEST {
                let why = format!("the answer has more than {LONGEST} bytes");
                return Err(Error::new(ErrorKind::Protocol, what).with_source(why));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, body: body.into() })
    }
}

/// The certificates in a file; at least one.
fn certificates(path: &Path) -> Result<Vec<Certificate>> {
    let what = format!("reading certificate authorities from {}", path.display());
    let refused = |why: String| Error::new(ErrorKind::Configuration, &what).with_source(why);
    let pem = std::fs::read(path).map_err(|e| refused(e.to_string()))?;
    let found = Certificate::from_pem_bundle(&pem).map_err(|e| refused(chain(&e)))?;
    if found.is_empty() {
        return Err(refused("it holds no certificate".to_owned()));
    }
    Ok(found)
}

/// A request that got no answer.
fn unanswered(what: &str, error: reqwest::Error) -> Error {
    let kind = match &error {
        e if e.is_timeout() => ErrorKind::Timeout,
        e if e.is_builder() => ErrorKind::Configuration,
        // Nobody will trust it a moment later, unless somebody changes something.
        e if is_untrusted(e) => ErrorKind::Verification,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, what).with_source(chain(&error.without_url()))
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
