//! What failures mean: <https://cloud.google.com/apis/design/errors>.

use chains_core::ErrorKind;
use serde::Deserialize;

use crate::{Answer, Refusal};

#[derive(Deserialize, Default)]
struct Failure {
    #[serde(default)]
    error: Told,
}

#[derive(Deserialize, Default)]
struct Told {
    #[serde(default)]
    status: String,
    #[serde(default)]
    message: String,
}

/// Code and words of an answer; empty where it is none of Google's.
#[must_use]
pub fn refusal(answer: &Answer) -> Refusal {
    let told = serde_json::from_slice::<Failure>(&answer.body).unwrap_or_default().error;
    Refusal { code: told.status, message: told.message }
}

/// What a [code] means where something is stored; `None` where the status says as much.
///
/// [code]: https://grpc.io/docs/guides/status-codes/
#[must_use]
pub fn kind(code: &str) -> Option<ErrorKind> {
    Some(match code {
        "UNAUTHENTICATED" | "PERMISSION_DENIED" => ErrorKind::Unauthorized,
        "NOT_FOUND" => ErrorKind::NotFound,
        "ABORTED" | "ALREADY_EXISTS" => ErrorKind::Conflict,
        "RESOURCE_EXHAUSTED" => ErrorKind::Throttled,
        "DEADLINE_EXCEEDED" | "CANCELLED" => ErrorKind::Timeout,
        "UNAVAILABLE" | "INTERNAL" | "UNKNOWN" => ErrorKind::Unavailable,
        "FAILED_PRECONDITION" => ErrorKind::Configuration,
        "INVALID_ARGUMENT" => ErrorKind::InvalidInput,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;

    use super::*;

    #[test]
    fn refusals_are_read() {
        let check = |body: &'static str, code: &str, message: &str| {
            let (status, headers) = (StatusCode::FORBIDDEN, Default::default());
            let expect = Refusal { code: code.to_owned(), message: message.to_owned() };
            assert_eq!(refusal(&Answer { status, headers, body: body.into() }), expect, "{body}");
        };
        let body = r#"{"error":{"code":403,"status":"PERMISSION_DENIED","message":"no"}}"#;
        check(body, "PERMISSION_DENIED", "no");
        check(r#"{"error":{}}"#, "", "");
        check(r#"{"error":"invalid_grant"}"#, "", "");
        check("<html>", "", "");
    }

    #[test]
    fn codes_say_what_it_is() {
        let check = |code, expect| assert_eq!(kind(code), expect, "{code}");
        check("PERMISSION_DENIED", Some(ErrorKind::Unauthorized));
        check("ABORTED", Some(ErrorKind::Conflict));
        check("UNAVAILABLE", Some(ErrorKind::Unavailable));
        check("UNIMPLEMENTED", None);
        check("", None);
    }
}
