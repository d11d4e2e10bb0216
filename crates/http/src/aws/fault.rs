//! What failures mean: in the body's code, or in a header.

use chains_core::ErrorKind;
use serde::Deserialize;

use crate::{Answer, Refusal};

#[derive(Deserialize, Default)]
struct Failure {
    #[serde(default, rename = "__type")]
    code: String,
    #[serde(default, alias = "Message")]
    message: String,
}

/// The code is in the body, or in a header; a namespace may precede it, and an address follow.
pub(super) fn refusal(title: &str, answer: &Answer) -> Refusal {
    let failure: Failure = serde_json::from_slice(&answer.body).unwrap_or_default();
    let code = match failure.code.is_empty() {
        true => answer.header("x-amzn-errortype").unwrap_or_default().to_owned(),
        false => failure.code,
    };
    let code = code.split(':').next().unwrap_or_default();
    let code = code.rsplit('#').next().unwrap_or_default().to_owned();
    // For AWS's support; in the error, it would make each one another one.
    let request = answer.header("x-amzn-requestid").unwrap_or_default();
    tracing::debug!(request, code, "refused by {title}");
    Refusal { code, message: failure.message }
}

/// Whether credentials were good once: others may be.
pub(super) fn is_expired(code: &str) -> bool {
    matches!(code, "ExpiredTokenException" | "ExpiredToken" | "RequestExpired")
}

/// What a code means that [every service] has; `None` for those of one service alone.
///
/// [every service]: https://docs.aws.amazon.com/kms/latest/APIReference/CommonErrors.html
#[must_use]
pub fn kind(code: &str) -> Option<ErrorKind> {
    Some(match code {
        "AccessDeniedException"
        | "AccessDenied"
        | "NotAuthorized"
        | "OptInRequired"
        | "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "RequestTimeTooSkewed" => ErrorKind::Unauthorized,
        code if is_expired(code) => ErrorKind::Unauthorized,
        "ThrottlingException"
        | "Throttling"
        | "LimitExceededException"
        | "RequestLimitExceeded"
        | "TooManyRequestsException" => ErrorKind::Throttled,
        "InternalFailure" | "ServiceUnavailable" | "ServiceUnavailableException" => {
            ErrorKind::Unavailable
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;
    use reqwest::header::HeaderMap;

    use super::*;

    #[test]
    fn codes_are_in_the_body_or_a_header() {
        let check = |body: &'static str, header: &'static str, code: &str, message: &str| {
            let name = "x-amzn-errortype".parse().unwrap();
            let headers: HeaderMap = [(name, header.parse().unwrap())].into_iter().collect();
            let answer = Answer { status: StatusCode::BAD_REQUEST, headers, body: body.into() };
            let expect = Refusal { code: code.to_owned(), message: message.to_owned() };
            assert_eq!(refusal("AWS", &answer), expect, "{body} {header}");
        };
        check(r#"{"__type":"com.amazonaws.kms#X","message":"m"}"#, "Y", "X", "m");
        check(r#"{"__type":"X","Message":"m"}"#, "", "X", "m");
        check("", "X:http://internal/", "X", "");
        check("<html>", "", "", "");
    }

    #[test]
    fn codes_mean_the_same_everywhere_or_nothing() {
        let check = |code, expect| assert_eq!(kind(code), expect, "{code}");
        check("AccessDeniedException", Some(ErrorKind::Unauthorized));
        check("ExpiredTokenException", Some(ErrorKind::Unauthorized));
        check("ThrottlingException", Some(ErrorKind::Throttled));
        check("ServiceUnavailable", Some(ErrorKind::Unavailable));
        check("ResourceNotFoundException", None);
        check("", None);
    }
}
