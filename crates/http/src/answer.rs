//! What came back, and what it means where it is not what was asked for.

use bytes::Bytes;
use chains_core::{Error, ErrorKind, Result, Secret};
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderValue};
use serde::de::DeserializeOwned;

/// How much of what others wrote is told, in characters.
pub const MAX_TOLD: usize = 400;

/// An answer of whatever status, read whole.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// What a service says that it refuses for: its own code and words, where it has such.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusal {
    /// Its code, a word.
    pub code: String,
    /// Its explanation, for people.
    pub message: String,
}

impl Answer {
    /// Reads what was asked for.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`]. The parser's own words stay out: they may quote a token.
    pub fn json<T: DeserializeOwned>(&self, what: &str) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|e| {
            let why = format!("its answer is not what the API promises (at column {})", e.column());
            Error::new(ErrorKind::Protocol, what).with_source(why)
        })
    }

    /// A header's text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// What this answer means where it is not what was asked for: what was attempted, status, the service's code and words,
    /// and what to do (`advice`, which may be empty). `secrets` are kept out of what the service says.
    #[must_use]
    pub fn fault(
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

impl Refusal {
    /// Code and words in one line, without secrets: a service may well repeat what it was sent.
    #[must_use]
    pub fn told(&self, secrets: &[&Secret]) -> String {
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

/// What others wrote, in one line of [`MAX_TOLD`] characters at most.
///
/// ```
/// assert_eq!(chains_http::line("no\n  rights\u{7}"), "no rights");
/// ```
#[must_use]
pub fn line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().filter(|c| !c.is_control()).take(MAX_TOLD).collect()
}

/// What a status means that says the same everywhere; `None` where it hangs on who answers: success, redirects, and what
/// is wrong with a request.
#[must_use]
pub fn kind(status: StatusCode) -> Option<ErrorKind> {
    Some(match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ErrorKind::Unauthorized,
        StatusCode::NOT_FOUND | StatusCode::GONE => ErrorKind::NotFound,
        StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => ErrorKind::Timeout,
        StatusCode::PAYLOAD_TOO_LARGE => ErrorKind::TooLarge,
        StatusCode::TOO_MANY_REQUESTS => ErrorKind::Throttled,
        status if status.is_server_error() => ErrorKind::Unavailable,
        _ => return None,
    })
}

/// A header that no log shows.
///
/// # Errors
/// [`ErrorKind::Unauthorized`] where it holds what no header may.
pub fn secret_header(what: &str, secret: &Secret) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(secret.expose()).map_err(|_| {
        let why = "the token holds characters that no token has";
        Error::new(ErrorKind::Unauthorized, what).with_source(why)
    })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &'static str) -> Answer {
        let status = StatusCode::from_u16(status).unwrap();
        Answer { status, headers: HeaderMap::new(), body: Bytes::from_static(body.as_bytes()) }
    }

    #[test]
    fn refusals_are_told_with_what_to_do_and_without_secrets() {
        let check = |code: &str, message: &str, advice: &str, expect: &str| {
            let refusal = Refusal { code: code.to_owned(), message: message.to_owned() };
            let (secret, none) = (Secret::new("hunter2"), Secret::default());
            let kind = ErrorKind::Unauthorized;
            let error = answer(403, "").fault("asking", kind, &refusal, advice, &[&secret, &none]);
            assert_eq!(
                (error.kind(), error.report()),
                (kind, format!("asking: it answered {expect}"))
            );
        };
        check("", "", "", "403 Forbidden");
        check("DENIED", "", "", "403 Forbidden: DENIED");
        check("", "not\nhunter2", "give another", "403 Forbidden: not [redacted]: give another");
        check("DENIED", "no", "", "403 Forbidden: DENIED (no)");
    }

    #[test]
    fn hostile_words_stay_short() {
        let message = "\u{1b}[2J a\n b".repeat(100_000);
        let told = Refusal { code: String::new(), message }.told(&[]);
        assert_eq!(told.chars().count(), MAX_TOLD);
        assert!(!told.contains(['\u{1b}', '\n']), "{told}");
    }

    #[test]
    fn statuses_mean_the_same_everywhere_or_nothing() {
        let check = |status, expect| {
            assert_eq!(kind(StatusCode::from_u16(status).unwrap()), expect, "{status}");
        };
        check(403, Some(ErrorKind::Unauthorized));
        check(410, Some(ErrorKind::NotFound));
        check(408, Some(ErrorKind::Timeout));
        check(413, Some(ErrorKind::TooLarge));
        check(429, Some(ErrorKind::Throttled));
        check(504, Some(ErrorKind::Timeout));
        check(599, Some(ErrorKind::Unavailable));
        for open in [200, 304, 307, 400, 405, 409] {
            check(open, None);
        }
    }

    #[test]
    fn what_cannot_be_read_is_not_quoted() {
        let error = answer(200, "hunter2").json::<u32>("asking").unwrap_err();
        let words = "asking: its answer is not what the API promises (at column 1)";
        assert_eq!((error.kind(), error.report().as_str()), (ErrorKind::Protocol, words));
        assert_eq!(answer(200, "7").json::<u32>("asking").unwrap(), 7);
    }

    #[test]
    fn tokens_in_headers_do_not_show() {
        let value = secret_header("asking", &Secret::new("Bearer hunter2")).unwrap();
        assert!(!format!("{value:?}").contains("hunter2"));
        let error = secret_header("asking", &Secret::new("hunter2\n")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthorized);
        assert!(!error.report().contains("hunter2"), "{}", error.report());
    }
}
