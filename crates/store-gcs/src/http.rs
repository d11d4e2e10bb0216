//! HTTP towards the services: one client for each store, bounded in connections, time and the length of answers.

use std::error::Error as StdError;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chains_core::{Error, ErrorKind, Result, chain};
use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use reqwest::{Certificate, ClientBuilder, Request, StatusCode};
use tokio::sync::Semaphore;
use url::{Host, Url};

use crate::{Limits, MAX_OBJECT};

const USER_AGENT: &str = concat!("chains/", env!("CARGO_PKG_VERSION"));
/// Connections that nobody used for so long are closed: before load balancers do it, which tell nobody.
const IDLE: Duration = Duration::from_secs(50);

/// The client; clones share its connections and its bounds.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    usual: reqwest::Client,
    /// Asks no proxy.
    direct: reqwest::Client,
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
        let usual = builder(limits, &roots);
        let direct = builder(limits, &roots).no_proxy();
        let turns = Arc::new(Semaphore::new(limits.concurrency.max(1)));
        Ok(Self { usual: built(usual)?, direct: built(direct)?, turns })
    }

    /// Sends a request and reads the whole answer, of whatever status.
    ///
    /// # Errors
    /// Where there is no answer, or one without end.
    pub(crate) async fn send(&self, request: Request) -> Result<Answer> {
        let host = request.url().host_str().unwrap_or("the server").to_owned();
        let _turn = self.turns.acquire().await;
        let client = if is_beside_us(request.url()) { &self.direct } else { &self.usual };
        let mut response = client.execute(request).await.map_err(|e| unanswered(&host, e))?;
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

/// What both clients are made of.
fn builder(limits: &Limits, roots: &[Certificate]) -> ClientBuilder {
    reqwest::Client::builder()
        .user_agent(USER_AGENT)
        // A redirect would carry credentials to whoever is named there.
        .redirect(Policy::none())
        .connect_timeout(limits.connect_timeout)
        .timeout(limits.request_timeout)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(limits.concurrency)
        .tls_backend_rustls()
        .tls_certs_merge(roots.iter().cloned())
}

fn built(builder: ClientBuilder) -> Result<reqwest::Client> {
    builder.build().map_err(|e| {
        Error::new(ErrorKind::Configuration, "making an HTTP client").with_source(chain(&e))
    })
}

/// Whether this is on this machine, or one of the metadata services beside it, which hand out credentials: no proxy
/// reaches the right one, or may see what it answers.
pub(crate) fn is_beside_us(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_link_local() || address.is_loopback(),
        // `fd00:ec2::/32` is where AWS has them.
        Some(Host::Ipv6(address)) => {
            address.is_loopback() || matches!(address.segments(), [0xfd00, 0xec2, ..])
        }
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_services_are_beside_us() {
        let is = |url: &str| is_beside_us(&Url::parse(url).unwrap());
        for near in [
            "http://169.254.169.254/metadata",
            "http://169.254.170.23/v1/credentials",
            "http://[fd00:ec2::23]/v1/credentials",
            "http://127.0.0.1:40342",
            "http://[::1]",
            "http://localhost:1",
        ] {
            assert!(is(near), "{near}");
        }
        for far in ["http://10.0.0.1", "http://[fd00::1]", "http://localhost.example.com"] {
            assert!(!is(far), "{far}");
        }
    }
}
