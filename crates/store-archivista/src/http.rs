//! One exchange with the server, bounded in connections, time and length, and what a failure means.

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
/// The longest answer that is read, in bytes: an envelope of 16 MiB of statement.
const LONGEST: usize = 32 * 1024 * 1024;
/// How much of an error is told, in characters.
const MAX_TOLD: usize = 400;

/// The client, with its bounds.
#[derive(Debug)]
pub(crate) struct Client {
    inner: reqwest::Client,
    turns: Semaphore,
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
        login: Option<&Login>,
    ) -> Result<Answer> {
        if let Some(login) = login {
            request = request.basic_auth(&login.user, Some(login.password.expose()));
        }
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

impl Answer {
    /// What this answer means where it is not what was asked for. A password stays out: a server may well repeat it.
    pub(crate) fn fault(&self, what: &str, login: Option<&Login>) -> Error {
        let kind = self.kind();
        let mut why = format!("it answered {}", self.status);
        let told = self.told(login.map(|login| &login.password));
        for more in [told.as_str(), advice(kind)] {
            if !more.is_empty() {
                why.push_str(": ");
                why.push_str(more);
            }
        }
        Error::new(kind, what).with_source(why)
    }

    fn kind(&self) -> ErrorKind {
        match self.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ErrorKind::Unauthorized,
            StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::METHOD_NOT_ALLOWED => {
                ErrorKind::NotFound
            }
            StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => ErrorKind::Timeout,
            StatusCode::PAYLOAD_TOO_LARGE => ErrorKind::TooLarge,
            StatusCode::TOO_MANY_REQUESTS => ErrorKind::Throttled,
            // What it cannot make sense of, it will not the next time.
            _ if self.has("validator failed") || self.has("cannot unmarshal") => {
                ErrorKind::InvalidInput
            }
            status if status.is_server_error() => ErrorKind::Unavailable,
            status if status.is_redirection() => ErrorKind::Configuration,
            status if status.is_client_error() => ErrorKind::InvalidInput,
            _ => ErrorKind::Protocol,
        }
    }

    /// Whether the answer has these words.
    pub(crate) fn has(&self, words: &str) -> bool {
        self.body.windows(words.len()).any(|part| part == words.as_bytes())
    }

    /// The server's words in one line. Pages for people are left out.
    fn told(&self, secret: Option<&Secret>) -> String {
        let text = String::from_utf8_lossy(self.body.get(..4 * MAX_TOLD).unwrap_or(&self.body));
        if text.trim_start().starts_with('<') {
            return String::new();
        }
        let text = match secret {
            Some(secret) if !secret.is_empty() => text.replace(secret.expose(), "[redacted]"),
            _ => text.into_owned(),
        };
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        line.chars().filter(|c| !c.is_control()).take(MAX_TOLD).collect()
    }
}

const fn advice(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Unauthorized => {
            "give the user and password that the server wants in `storage.archivista.url`, as https://USER:PASSWORD@HOST"
        }
        ErrorKind::NotFound | ErrorKind::Configuration => {
            "there is no Archivista at this address: mend `storage.archivista.url`"
        }
        ErrorKind::TooLarge => {
            "keep such runs in another store, or raise the limit of what stands before Archivista"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_with_what_to_do() {
        let check = |status: u16, body: &str, kind, part: &str| {
            let status = StatusCode::from_u16(status).unwrap();
            let answer = Answer { status, body: body.to_owned().into() };
            let login = Login { user: "u".to_owned(), password: Secret::new("hunter2") };
            let error = answer.fault("uploading", Some(&login));
            assert_eq!(error.kind(), kind, "{}", error.report());
            let report = error.report();
            assert!(report.contains(part) && !report.contains("hunter2"), "{report}");
        };
        check(401, "not hunter2", ErrorKind::Unauthorized, "not [redacted]: give the user");
        check(404, "<html>", ErrorKind::NotFound, "404 Not Found: there is no Archivista");
        check(302, "", ErrorKind::Configuration, "mend `storage.archivista.url`");
        check(413, "", ErrorKind::TooLarge, "another store");
        check(500, "ent: validator failed for field", ErrorKind::InvalidInput, "validator");
        check(500, "pq: connection refused\n", ErrorKind::Unavailable, "500");
        check(429, "", ErrorKind::Throttled, "429");
    }

    #[test]
    fn hostile_answers_stay_short() {
        let body = "\u{1b}[2J a\n b".repeat(100_000).into();
        let answer = Answer { status: StatusCode::BAD_REQUEST, body };
        let report = answer.fault("x", None).report();
        assert!(report.len() < 700 && !report.contains(['\u{1b}', '\n']), "{report}");
    }
}
