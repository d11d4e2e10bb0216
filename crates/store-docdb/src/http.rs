//! HTTP towards services: the client, one exchange, and what a failure among the answers means.

use std::error::Error as StdError;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use chains_core::{Error, ErrorKind, Result, Secret, chain};
use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;

use crate::DocDbOptions;

const USER_AGENT: &str = concat!("chains/", env!("CARGO_PKG_VERSION"));
/// Connections that nobody used for so long are closed: before load balancers do it, which tell nobody.
const IDLE: Duration = Duration::from_secs(50);
/// The longest answer that is read, in bytes: a document of the largest kind, with its bytes in base64.
const LONGEST: usize = 4 * 1024 * 1024;
/// How much of an error is told, in characters.
const MAX_TOLD: usize = 400;

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    #[cfg_attr(
        not(feature = "dynamodb"),
        allow(dead_code, reason = "only DynamoDB tells something there")
    )]
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// What a service says that it refuses for: its own code and words.
#[derive(Debug, Default)]
pub(crate) struct Refusal {
    pub(crate) code: String,
    pub(crate) message: String,
}

/// A builder with everything that both services have in common. It follows no redirects: credentials go along.
/// Trusted are `only` in place of the system's authorities, if any, and those of the options.
///
/// # Errors
/// Where a file with authorities cannot be read.
pub(crate) fn client(options: &DocDbOptions, only: Vec<Certificate>) -> Result<ClientBuilder> {
    let mut roots = Vec::new();
    for path in &options.ca_files {
        roots.extend(certificates(path)?);
    }
    let limits = &options.limits;
    let builder = Client::builder()
        .user_agent(USER_AGENT)
        .redirect(Policy::none())
        .connect_timeout(limits.connect_timeout)
        .timeout(limits.request_timeout)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(usize::try_from(limits.concurrency).unwrap_or(usize::MAX))
        .tls_backend_rustls();
    Ok(if only.is_empty() {
        builder.tls_certs_merge(roots)
    } else {
        builder.tls_certs_only(only.into_iter().chain(roots))
    })
}

/// # Errors
/// [`ErrorKind::Configuration`] where TLS cannot be set up.
pub(crate) fn built(what: &str, builder: ClientBuilder) -> Result<Client> {
    let failed = |e| Error::new(ErrorKind::Configuration, what).with_source(chain(&e));
    builder.build().map_err(failed)
}

/// The certificates in a file; at least one.
pub(crate) fn certificates(path: &Path) -> Result<Vec<Certificate>> {
    let what = format!("reading certificate authorities from {}", path.display());
    let refused = |why: String| Error::new(ErrorKind::Configuration, &what).with_source(why);
    let pem = std::fs::read(path).map_err(|e| refused(e.to_string()))?;
    let found = Certificate::from_pem_bundle(&pem).map_err(|e| refused(chain(&e)))?;
    if found.is_empty() {
        return Err(refused("it holds no certificate".to_owned()));
    }
    Ok(found)
}

/// Sends a request.
///
/// # Errors
/// Where there is no answer. An answer of whatever status is none.
pub(crate) async fn send(what: &str, request: RequestBuilder) -> Result<Answer> {
    let mut response = request.send().await.map_err(|e| unanswered(what, e))?;
    let (status, headers) = (response.status(), response.headers().clone());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| unanswered(what, e))? {
        if body.len() + chunk.len() > LONGEST {
            let why = format!("the answer has more than {LONGEST} bytes");
            return Err(Error::new(ErrorKind::Protocol, what).with_source(why));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, headers, body: body.into() })
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
    let host = error.url().and_then(|url| url.host_str()).unwrap_or("the server").to_owned();
    Error::new(kind, what).with_source(format!("{host}: {}", chain(&error.without_url())))
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

impl Answer {
    /// Reads what was asked for.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`].
    pub(crate) fn json<T: DeserializeOwned>(&self, what: &str) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|e| {
            let why = format!("its answer is not what the API promises: {e}");
            Error::new(ErrorKind::Protocol, what).with_source(why)
        })
    }

    /// What this answer means where it is not what was asked for; `advice` says what to do, `secrets` are kept out.
    pub(crate) fn fault(
        &self,
        what: &str,
        kind: ErrorKind,
        refusal: &Refusal,
        advice: &str,
        secrets: &[&Secret],
    ) -> Error {
        let mut why = format!("it answered {}", self.status);
        for more in [refusal.told(secrets).as_str(), advice] {
            if !more.is_empty() {
                why.push_str(": ");
                why.push_str(more);
            }
        }
        Error::new(kind, what).with_source(why)
    }
}

/// What a status says, where the service's own code says no more.
pub(crate) fn kind(status: StatusCode) -> ErrorKind {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ErrorKind::Unauthorized,
        StatusCode::NOT_FOUND | StatusCode::GONE => ErrorKind::NotFound,
        StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => ErrorKind::Timeout,
        StatusCode::CONFLICT => ErrorKind::Conflict,
        StatusCode::PAYLOAD_TOO_LARGE => ErrorKind::TooLarge,
        StatusCode::TOO_MANY_REQUESTS => ErrorKind::Throttled,
        status if status.is_server_error() => ErrorKind::Unavailable,
        status if status.is_client_error() => ErrorKind::InvalidInput,
        _ => ErrorKind::Protocol,
    }
}

impl Refusal {
    /// Code and words in one line, without secrets: a service may well repeat what it was sent.
    pub(crate) fn told(&self, secrets: &[&Secret]) -> String {
        let text = match (self.code.is_empty(), self.message.is_empty()) {
            (true, _) => self.message.clone(),
            (_, true) => self.code.clone(),
            _ => format!("{} ({})", self.code, self.message),
        };
        let text = secrets
            .iter()
            .filter(|secret| !secret.is_empty())
            .fold(text, |text, secret| text.replace(secret.expose(), "[redacted]"));
        line(&text)
    }
}

/// What others wrote, in one line that is not too long.
pub(crate) fn line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().filter(|c| !c.is_control()).take(MAX_TOLD).collect()
}
