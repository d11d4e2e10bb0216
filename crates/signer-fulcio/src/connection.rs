//! How servers are reached: TLS, time limits, proxies; and what is taken of their answers.

use std::fmt;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use chains_core::{ErrorKind, Secret};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Certificate, Client, RequestBuilder, Response, StatusCode};

use crate::fault::{Fault, Result};

const USER_AGENT: &str = concat!("chains/", env!("CARGO_PKG_VERSION"));
/// How much of an answer is read.
const MAX_ANSWER: usize = 1024 * 1024;
/// The longest wait that a server may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// Which proxy requests go through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Proxy {
    /// Those of `HTTPS_PROXY`, `HTTP_PROXY` and `ALL_PROXY`, save for hosts in `NO_PROXY`.
    #[default]
    Environment,
    /// None.
    Direct,
    /// This one for all hosts: an address, which may hold user and password.
    Address(Secret),
}

/// How servers are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// PEM files with certificate authorities to trust beside the system's.
    /// `SSL_CERT_FILE` and `SSL_CERT_DIR` replace the system's.
    pub ca_files: Vec<PathBuf>,
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// How long one request may take, from connecting to the last byte of the answer.
    pub request_timeout: Duration,
    /// Which proxy requests go through; those to metadata servers of a cloud never do.
    pub proxy: Proxy,
}

impl Default for Connection {
    fn default() -> Self {
        Self {
            ca_files: Vec::new(),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            proxy: Proxy::Environment,
        }
    }
}

/// The HTTP client of a connection, made when first needed: who never sends a request needs no certificates.
pub(crate) struct Http {
    connection: Connection,
    client: OnceLock<Client>,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.connection.fmt(f)
    }
}

impl Http {
    pub(crate) const fn new(connection: Connection) -> Self {
        Self { connection, client: OnceLock::new() }
    }

    /// The client. It follows no redirects: what it sends is meant for one host.
    pub(crate) fn client(&self) -> Result<&Client> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = self.build()?;
        Ok(self.client.get_or_init(|| client))
    }

    fn build(&self) -> Result<Client> {
        let connection = &self.connection;
        let failed = |e: reqwest::Error| {
            let what = "setting up TLS and proxies";
            // The address of a proxy may hold a password.
            Fault::new(ErrorKind::Configuration, what, chains_core::chain(&e.without_url()))
        };
        let builder = Client::builder()
            .user_agent(USER_AGENT)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(connection.connect_timeout)
            .timeout(connection.request_timeout)
            .tls_backend_rustls()
            .tls_certs_merge(roots(&connection.ca_files)?);
        let builder = match &connection.proxy {
            Proxy::Environment => builder,
            Proxy::Direct => builder.no_proxy(),
            Proxy::Address(address) => {
                builder.proxy(reqwest::Proxy::all(address.expose()).map_err(|_| {
                    let why = "the address of the proxy cannot be read";
                    Fault::new(ErrorKind::Configuration, "setting up TLS and proxies", why)
                })?)
            }
        };
        builder.build().map_err(failed)
    }
}

fn roots(ca_files: &[PathBuf]) -> Result<Vec<Certificate>> {
    let mut roots = Vec::new();
    for path in ca_files {
        let odd = |why: String| {
            let what = format!("reading certificate authorities from {}", path.display());
            Fault::new(ErrorKind::Configuration, what, why)
        };
        let pem = std::fs::read(path).map_err(|e| odd(e.to_string()))?;
        let found = Certificate::from_pem_bundle(&pem).map_err(|e| odd(chains_core::chain(&e)))?;
        if found.is_empty() {
            return Err(odd("it holds no certificate".to_owned()));
        }
        roots.extend(found);
    }
    Ok(roots)
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Of an answer that is too long: its beginning.
    pub(crate) body: Vec<u8>,
}

/// Sends a request once.
pub(crate) async fn send(what: &str, request: RequestBuilder) -> Result<Answer> {
    let response = request.send().await.map_err(|e| Fault::from_reqwest(what, e))?;
    let (status, headers) = (response.status(), response.headers().clone());
    let body = body(what, response).await?;
    Ok(Answer { status, headers, body })
}

async fn body(what: &str, mut response: Response) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| Fault::from_reqwest(what, e))? {
        if body.len() + chunk.len() > MAX_ANSWER {
            let why = format!("the answer has more than {MAX_ANSWER} bytes");
            return Err(Fault::new(ErrorKind::Protocol, what, why));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

impl Answer {
    /// What this answer means where it is not what was asked for; `told` is what it says.
    pub(crate) fn fault(&self, what: &str, told: &str) -> Fault {
        let kind = match self.status {
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => ErrorKind::NotFound,
            StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => ErrorKind::Timeout,
            StatusCode::TOO_MANY_REQUESTS => ErrorKind::Throttled,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST => {
                ErrorKind::Unauthorized
            }
            status if status.is_server_error() => ErrorKind::Unavailable,
            _ => ErrorKind::Protocol,
        };
        let why = if told.is_empty() {
            format!("it answered {}", self.status)
        } else {
            format!("it answered {}: {told}", self.status)
        };
        Fault { wait: self.wait(), ..Fault::new(kind, what, why) }
    }

    /// How long it asks to wait ([RFC 9110 §10.2.3](https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3)), in
    /// seconds; a date is not understood.
    fn wait(&self) -> Option<Duration> {
        let seconds = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
    }
}

/// Text from the outside, fit for an error message: on one line, and cut where it is long.
pub(crate) fn told(text: &str) -> String {
    const LONGEST: usize = 300;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().filter(|c| !c.is_control()).take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_what_to_do() {
        let check = |status: u16, after: Option<&str>, kind: ErrorKind, wait: Option<u64>| {
            let mut headers = HeaderMap::new();
            if let Some(after) = after {
                headers.insert(RETRY_AFTER, after.parse().expect("a header"));
            }
            let status = StatusCode::from_u16(status).expect("a status");
            let fault = Answer { status, headers, body: Vec::new() }.fault("asking", "");
            assert_eq!(fault.kind, kind, "{status}");
            assert_eq!(fault.wait, wait.map(Duration::from_secs), "{status}");
            assert!(chains_core::Error::from(fault).is_retryable(), "{status}");
        };
        check(400, None, ErrorKind::Unauthorized, None);
        check(404, None, ErrorKind::NotFound, None);
        check(418, None, ErrorKind::Protocol, None);
        check(429, Some("7"), ErrorKind::Throttled, Some(7));
        check(429, Some("99999999"), ErrorKind::Throttled, Some(600));
        check(429, Some("-1"), ErrorKind::Throttled, None);
        check(503, Some("soon"), ErrorKind::Unavailable, None);
        check(504, None, ErrorKind::Timeout, None);
    }

    #[test]
    fn ca_files_are_read_or_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ca.pem");
        let check = |content: Option<&str>, expect: &str| {
            if let Some(content) = content {
                std::fs::write(&path, content).expect("written");
            }
            let connection = Connection { ca_files: vec![path.clone()], ..Connection::default() };
            let fault = Http::new(connection).client().expect_err("refused").report();
            assert!(fault.contains(expect) && fault.contains("ca.pem"), "{fault}");
        };
        check(None, "No such file");
        check(Some("nothing"), "it holds no certificate");
    }

    #[test]
    fn a_proxys_password_is_not_told() {
        let proxy = Proxy::Address(Secret::new("http://user:hunter2@[bad"));
        let connection = Connection { proxy, ..Connection::default() };
        let http = Http::new(connection);
        let fault = http.client().expect_err("refused").report();
        assert!(!format!("{fault} {http:?}").contains("hunter2"), "{fault} {http:?}");
    }
}
