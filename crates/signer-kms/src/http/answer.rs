//! One exchange, and what came back.

use std::error::Error as StdError;

use bytes::Bytes;
use chains_core::{Error, ErrorKind, Result, Secret, chain};
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;

use super::throttle;

/// The longest answer that is read, in bytes: those of these services have a few kilobytes.
const LONGEST: usize = 4 * 1024 * 1024;
/// How much of an error is told, in characters.
const MAX_TOLD: usize = 400;

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// What a service says that it refuses for: its own code and words.
#[derive(Debug, Default)]
pub(crate) struct Refusal {
    pub(crate) code: String,
    pub(crate) message: String,
}

/// Sends a request, again where the other side asks to wait and says for how long.
///
/// # Errors
/// Where there is no answer. An answer of whatever status is none.
pub(crate) async fn send(what: &str, request: RequestBuilder) -> Result<Answer> {
    let mut before = 0;
    loop {
        let Some(attempt) = request.try_clone() else {
            let why = "a request that cannot be sent again";
            return Err(Error::new(ErrorKind::Internal, what).with_source(why));
        };
        let response = attempt.send().await.map_err(|e| unanswered(what, e))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = body(what, response).await?;
        let Some(wait) = throttle::wait(status, &headers, before) else {
            return Ok(Answer { status, headers, body });
        };
        tracing::debug!(what, %status, ?wait, "once more");
        tokio::time::sleep(throttle::spread(wait)).await;
        before += 1;
    }
}

async fn body(what: &str, mut response: reqwest::Response) -> Result<Bytes> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| unanswered(what, e))? {
        if body.len() + chunk.len() > LONGEST {
            let why = format!("the answer has more than {LONGEST} bytes");
            return Err(Error::new(ErrorKind::Protocol, what).with_source(why));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.into())
}

/// A header that no log shows.
///
/// # Errors
/// [`ErrorKind::Unauthorized`] where it holds what no header may.
pub(crate) fn secret_header(what: &str, secret: &Secret) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(secret.expose()).map_err(|_| {
        let why = "the token holds characters that no token has";
        Error::new(ErrorKind::Unauthorized, what).with_source(why)
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// A request that got no answer.
pub(crate) fn unanswered(what: &str, error: reqwest::Error) -> Error {
    let kind = match &error {
        e if e.is_timeout() => ErrorKind::Timeout,
        e if e.is_builder() => ErrorKind::Configuration,
        // Nobody will trust it a moment later, unless somebody changes something.
        e if is_untrusted(e) => ErrorKind::Verification,
        _ => ErrorKind::Unavailable,
    };
    // The rest of an address may carry signatures and tokens.
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
    /// [`ErrorKind::Protocol`]. The parser's own words stay out: they may quote a token.
    pub(crate) fn json<T: DeserializeOwned>(&self, what: &str) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|e| {
            let why = format!("its answer is not what the API promises (at column {})", e.column());
            Error::new(ErrorKind::Protocol, what).with_source(why)
        })
    }

    /// A header's text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// What this answer means where it is not what was asked for; `secrets` are kept out of what is told.
    pub(crate) fn fault(
        &self,
        what: &str,
        kind: ErrorKind,
        refusal: &Refusal,
        secrets: &[&Secret],
    ) -> Error {
        let told = refusal.told(secrets);
        let why = if told.is_empty() {
            format!("it answered {}", self.status)
        } else {
            format!("it answered {}: {told}", self.status)
        };
        Error::new(kind, what).with_source(why)
    }
}

/// What a status says, where the service's own code says no more.
pub(crate) fn kind(status: StatusCode) -> ErrorKind {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ErrorKind::Unauthorized,
        StatusCode::NOT_FOUND | StatusCode::GONE => ErrorKind::NotFound,
        StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => ErrorKind::Timeout,
        StatusCode::PAYLOAD_TOO_LARGE => ErrorKind::TooLarge,
        StatusCode::TOO_MANY_REQUESTS => ErrorKind::Throttled,
        status if status.is_server_error() => ErrorKind::Unavailable,
        status if status.is_client_error() => ErrorKind::Signing,
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
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        line.chars().filter(|c| !c.is_control()).take(MAX_TOLD).collect()
    }
}
