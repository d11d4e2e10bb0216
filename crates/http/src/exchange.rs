//! One exchange with a server, and what it means where there is no answer.

use std::error::Error as StdError;

use bytes::Bytes;
use chains_core::{Error, ErrorKind, Result, chain};
use reqwest::{RequestBuilder, Response};

use crate::{Answer, throttle};

/// How answers are read, and failures told.
///
/// ```
/// use chains_http::Exchange;
/// const EXCHANGE: Exchange = Exchange { names_host: true, ..Exchange::up_to(64 * 1024) };
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exchange {
    /// The longest answer that is read, in bytes.
    pub longest: usize,
    /// What a longer one is.
    pub too_long: ErrorKind,
    /// What it is where nobody trusts the certificate of the other side.
    pub untrusted: ErrorKind,
    /// Whether failures name the host: where what is attempted does not say it.
    pub names_host: bool,
    /// Whether a request is sent again where the other side asks to wait and says for how long, within bounds
    /// ([RFC 9110 §10.2.3](https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3)): twice at most, and not after more
    /// than 20 seconds.
    pub waits: bool,
}

impl Exchange {
    /// Reads up to so many bytes of an answer; a longer one is none, and neither is one of somebody who is not trusted.
    #[must_use]
    pub const fn up_to(longest: usize) -> Self {
        Self {
            longest,
            too_long: ErrorKind::Protocol,
            // Nobody will trust it a moment later, unless somebody changes something.
            untrusted: ErrorKind::Verification,
            names_host: false,
            waits: false,
        }
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// Where there is no answer, or one without end. An answer of whatever status is none.
    pub async fn send(&self, what: &str, request: RequestBuilder) -> Result<Answer> {
        if !self.waits {
            return self.once(what, request).await;
        }
        let mut before = 0;
        loop {
            let Some(attempt) = request.try_clone() else {
                let why = "a request that cannot be sent again";
                return Err(Error::new(ErrorKind::Internal, what).with_source(why));
            };
            let answer = self.once(what, attempt).await?;
            let Some(wait) = throttle::wait(answer.status, &answer.headers, before) else {
                return Ok(answer);
            };
            tracing::debug!(what, status = %answer.status, ?wait, "once more");
            tokio::time::sleep(throttle::spread(wait)).await;
            before += 1;
        }
    }

    async fn once(&self, what: &str, request: RequestBuilder) -> Result<Answer> {
        let mut response = request.send().await.map_err(|e| self.unanswered(what, e))?;
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        Ok(Answer { status, headers, body: self.body(what, response).await? })
    }

    async fn body(&self, what: &str, mut response: Response) -> Result<Bytes> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| self.unanswered(what, e))? {
            if body.len() + chunk.len() > self.longest {
                let why = format!("the answer has more than {} bytes", self.longest);
                return Err(Error::new(self.too_long, what).with_source(why));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.into())
    }

    /// A request that got no answer.
    fn unanswered(&self, what: &str, error: reqwest::Error) -> Error {
        let kind = match &error {
            e if e.is_timeout() => ErrorKind::Timeout,
            e if e.is_builder() => ErrorKind::Configuration,
            e if is_untrusted(e) => self.untrusted,
            _ => ErrorKind::Unavailable,
        };
        // The rest of an address may carry passwords, signatures and tokens.
        let host = error.url().and_then(|url| url.host_str()).unwrap_or("the server").to_owned();
        let why = chain(&error.without_url());
        let why = if self.names_host { format!("{host}: {why}") } else { why };
        Error::new(kind, what).with_source(why)
    }
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

#[cfg(test)]
mod tests;
