//! The HTTP client of all services, and what its answers mean as errors.

use std::path::PathBuf;
use std::time::Duration;

use chains_core::{Error, ErrorKind, Result};
use chains_http::{Answer, Exchange, Settings, Tls, build};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, RequestBuilder, Url};

use crate::fault::quoted;

/// How services are spoken to. Proxies are those of the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpOptions {
    /// PEM files with certificate authorities to trust beside the system's.
    /// `SSL_CERT_FILE` and `SSL_CERT_DIR` replace the system's.
    pub ca_files: Vec<PathBuf>,
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// How long one request may take, from connecting to the last byte of the answer. A log of version 2 answers
    /// when its next checkpoint is out: 20 seconds are the least to wait for it.
    pub request_timeout: Duration,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            ca_files: Vec::new(),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(60),
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Http(Client);

impl Http {
    pub(crate) fn new(options: &HttpOptions) -> Result<Self> {
        let settings = Settings {
            ca_files: &options.ca_files,
            connect_timeout: options.connect_timeout,
            request_timeout: options.request_timeout,
            most_idle: usize::MAX,
        };
        let builder = settings.builder(Tls::default())?;
        build("setting up TLS for the transparency log", builder).map(Self)
    }

    pub(crate) fn get(&self, url: Url) -> RequestBuilder {
        self.0.get(url)
    }

    pub(crate) fn post(
        &self,
        url: Url,
        content_type: &'static str,
        body: Vec<u8>,
    ) -> RequestBuilder {
        self.0.post(url).header(CONTENT_TYPE, content_type).body(body)
    }
}

/// Sends a request and reads the answer, as long as it is not longer than `limit` bytes.
pub(crate) async fn send(what: &str, request: RequestBuilder, limit: usize) -> Result<Answer> {
    // `Verification` is what does not stand up to a proof: of a log that nobody trusts there is none yet.
    let exchange = Exchange { untrusted: ErrorKind::Unavailable, ..Exchange::up_to(limit) };
    exchange.send(what, request).await
}

/// The error of an answer that is none of those that the caller knows what to do with.
///
/// What is likely to pass may be tried again; what was refused will be refused again.
pub(crate) fn refused(what: &str, answer: &Answer) -> Error {
    let kind = match answer.status.as_u16() {
        401 | 403 | 407 => ErrorKind::Unauthorized,
        404 => ErrorKind::NotFound,
        408 => ErrorKind::Timeout,
        413 => ErrorKind::TooLarge,
        425 | 429 => ErrorKind::Throttled,
        // A log that is frozen for good, and one that will never know how.
        405 | 501 => ErrorKind::Unsupported,
        500..=599 => ErrorKind::Unavailable,
        400..=499 => ErrorKind::InvalidInput,
        _ => ErrorKind::Protocol,
    };
    let why = match message(answer) {
        Some(message) => format!("it answered {}: {}", answer.status, quoted(&message)),
        None => format!("it answered {}", answer.status),
    };
    Error::new(kind, what).with_source(why)
}

/// What the service says in its answer: the `message` of a JSON body, or the body where it is short text.
pub(crate) fn message(answer: &Answer) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Told {
        message: String,
    }
    if let Ok(told) = serde_json::from_slice::<Told>(&answer.body) {
        return Some(told.message);
    }
    let text = std::str::from_utf8(&answer.body).ok()?.trim();
    (!text.is_empty() && !text.starts_with('<')).then(|| text.to_owned())
}

/// An address that requests go to, without what must not be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Service {
    url: Url,
    shown: String,
}

impl Service {
    /// # Errors
    /// [`ErrorKind::Configuration`] where it is no http or https URL.
    pub(crate) fn new(what: &str, text: &str) -> Result<Self> {
        let failed = |why: String| {
            let context = format!("the address of the {what}");
            Error::new(ErrorKind::Configuration, context).with_source(why)
        };
        let mut url = Url::parse(text.trim_end_matches('/')).map_err(|e| failed(e.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(failed("it is not an http or https URL".to_owned()));
        }
        url.set_fragment(None);
        let mut shown = url.clone();
        shown.set_query(None);
        // Neither fails for http and https.
        let _ = shown.set_username("");
        let _ = shown.set_password(None);
        Ok(Self { url, shown: shown.as_str().trim_end_matches('/').to_owned() })
    }

    /// The address without user and password, and without a slash at its end.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    /// The address itself.
    pub(crate) fn url(&self) -> Url {
        self.url.clone()
    }

    /// The service at an address below it.
    pub(crate) fn below(&self, path: &str) -> Self {
        Self { url: self.at(path), shown: format!("{}{path}", self.shown) }
    }

    /// An address below it.
    pub(crate) fn at(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        url.set_path(&format!("{}{path}", self.url.path().trim_end_matches('/')));
        url
    }
}
