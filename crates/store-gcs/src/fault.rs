//! What a service refuses, and what that means.

use std::fmt;

use chains_core::{Error, ErrorKind};
use chains_http::{Answer, line};
use reqwest::StatusCode;

/// An answer that is not success.
#[derive(Debug, Clone)]
pub(crate) struct Refused {
    pub(crate) status: StatusCode,
    /// The service's own word, such as `NoSuchBucket`.
    pub(crate) code: String,
    /// Its explanation.
    pub(crate) message: String,
    /// Where the bucket really is, as S3 tells.
    #[cfg_attr(not(feature = "s3"), allow(dead_code, reason = "nobody else tells it"))]
    pub(crate) region: Option<String>,
}

impl Refused {
    /// Reads an answer: XML as S3 and Azure write it, JSON as Google does.
    pub(crate) fn of(answer: &Answer) -> Self {
        let header = |name: &str| answer.header(name).map(told);
        let text = String::from_utf8_lossy(&answer.body);
        let (code, message) = json(&answer.body).unwrap_or_else(|| {
            (
                element(&text, "Code").unwrap_or_default(),
                element(&text, "Message").unwrap_or_default(),
            )
        });
        let code =
            if code.is_empty() { header("x-ms-error-code").unwrap_or_default() } else { code };
        Self { status: answer.status, code, message, region: header("x-amz-bucket-region") }
    }

    /// The kind of error, where the service's own word says no more.
    pub(crate) fn kind(&self) -> ErrorKind {
        match self.code.as_str() {
            "RequestTimeout" => return ErrorKind::Timeout,
            // Of S3 and STS, of Azure's authority: some of them come with status 400.
            "IDPCommunicationError"
            | "InternalError"
            | "server_error"
            | "temporarily_unavailable" => {
                return ErrorKind::Unavailable;
            }
            "SlowDown" | "Throttling" | "ThrottlingException" | "RequestLimitExceeded" => {
                return ErrorKind::Throttled;
            }
            _ => {}
        }
        chains_http::kind(self.status).unwrap_or_else(|| match self.status {
            StatusCode::CONFLICT => ErrorKind::Conflict,
            // Nobody asked on condition.
            StatusCode::NOT_MODIFIED => ErrorKind::Protocol,
            status if status.is_client_error() || status.is_redirection() => {
                ErrorKind::Configuration
            }
            _ => ErrorKind::Protocol,
        })
    }

    /// The error, with what to do about it.
    pub(crate) fn error(&self, what: &str, advice: Option<String>) -> Error {
        let advice = advice.map(|advice| format!(": {advice}")).unwrap_or_default();
        Error::new(self.kind(), what).with_source(format!("{self}{advice}"))
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it answered {}", self.status)?;
        match (self.code.is_empty(), self.message.is_empty()) {
            (true, true) => Ok(()),
            (true, false) => write!(f, " ({})", self.message),
            (false, true) => write!(f, " ({})", self.code),
            (false, false) => write!(f, " ({}: {})", self.code, self.message),
        }
    }
}

impl std::error::Error for Refused {}

/// <https://cloud.google.com/storage/docs/json_api/v1/status-codes>
fn json(body: &[u8]) -> Option<(String, String)> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    let error = value.get("error")?;
    // Token endpoints write `{"error": "invalid_grant", "error_description": …}`.
    let text = |value: Option<&serde_json::Value>| {
        value.and_then(serde_json::Value::as_str).map(told).unwrap_or_default()
    };
    if error.is_string() {
        return Some((text(Some(error)), text(value.get("error_description"))));
    }
    let reason = error.get("errors").and_then(|errors| errors.get(0)?.get("reason"));
    Some((text(reason), text(error.get("message"))))
}

/// The text of the first element of this name.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(told(text))
}

/// One line, and not without end.
pub(crate) fn told(text: &str) -> String {
    line(text.trim_end().trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, body: &str, kind: ErrorKind, told: &str) {
        let status = StatusCode::from_u16(status).unwrap();
        let body = body.to_owned().into();
        let refused = Refused::of(&Answer { status, headers: Default::default(), body });
        assert_eq!((refused.kind(), refused.to_string().as_str()), (kind, told));
    }

    #[test]
    fn refusals_are_read_as_each_service_writes_them() {
        check(
            403,
            r#"{"error":{"code":403,"message":"no access\n","errors":[{"reason":"forbidden"}]}}"#,
            ErrorKind::Unauthorized,
            "it answered 403 Forbidden (forbidden: no access)",
        );
        check(
            404,
            "<?xml version=\"1.0\"?><Error><Code>NoSuchBucket</Code><Message>The specified bucket \
             does not exist.</Message></Error>",
            ErrorKind::NotFound,
            "it answered 404 Not Found (NoSuchBucket: The specified bucket does not exist)",
        );
        check(
            400,
            r#"{"error":"invalid_grant","error_description":"expired"}"#,
            ErrorKind::Configuration,
            "it answered 400 Bad Request (invalid_grant: expired)",
        );
        check(
            503,
            "<Code>SlowDown</Code>",
            ErrorKind::Throttled,
            "it answered 503 Service Unavailable (SlowDown)",
        );
        check(500, "<html>", ErrorKind::Unavailable, "it answered 500 Internal Server Error");
        check(302, "", ErrorKind::Configuration, "it answered 302 Found");
        check(304, "", ErrorKind::Protocol, "it answered 304 Not Modified");
        let told = "it answered 400 Bad Request (RequestTimeout)";
        check(400, "<Code>RequestTimeout</Code>", ErrorKind::Timeout, told);
        let told = "it answered 400 Bad Request (IDPCommunicationError)";
        check(400, "<Code>IDPCommunicationError</Code>", ErrorKind::Unavailable, told);
        let told = "it answered 400 Bad Request (Throttling)";
        check(400, "<Code>Throttling</Code>", ErrorKind::Throttled, told);
        let told = "it answered 400 Bad Request (temporarily_unavailable)";
        check(400, r#"{"error":"temporarily_unavailable"}"#, ErrorKind::Unavailable, told);
        check(429, "[]", ErrorKind::Throttled, "it answered 429 Too Many Requests");
    }

    #[test]
    fn hostile_answers_stay_short() {
        let long = format!("<Code>{}</Code>", "x\u{7}".repeat(10_000));
        let refused = Refused::of(&Answer {
            status: StatusCode::BAD_REQUEST,
            headers: Default::default(),
            body: long.into(),
        });
        assert_eq!(refused.code.len(), chains_http::MAX_TOLD);
    }
}
