//! What the server refuses for: Google's errors, and those of the gateway of a Grafeas server.

use chains_core::{Error, ErrorKind, Secret};
use chains_http::{Answer, google};
use reqwest::StatusCode;
use serde::Deserialize;

/// A refusal, read: its [code](https://grpc.io/docs/guides/status-codes/) and words.
#[derive(Debug)]
pub(crate) struct Refusal<'a> {
    answer: &'a Answer,
    told: chains_http::Refusal,
}

/// What gateways answer.
#[derive(Deserialize, Default)]
struct Failure {
    #[serde(default)]
    code: Option<usize>,
    #[serde(default)]
    message: String,
}

/// In the order of their numbers.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

impl<'a> Refusal<'a> {
    pub(crate) fn of(answer: &'a Answer) -> Self {
        let told = google::refusal(answer);
        let told = if told == chains_http::Refusal::default() { of_gateway(answer) } else { told };
        Self { answer, told }
    }

    pub(crate) fn already_exists(&self) -> bool {
        self.told.code == "ALREADY_EXISTS"
    }

    pub(crate) fn denied(&self) -> bool {
        self.told.code == "PERMISSION_DENIED"
    }

    fn kind(&self) -> ErrorKind {
        // A server over gRPC says so as if it had no room at the moment.
        if self.told.message.contains("larger than max") {
            return ErrorKind::TooLarge;
        }
        match self.told.code.as_str() {
            "UNIMPLEMENTED" => ErrorKind::NotFound,
            "OUT_OF_RANGE" => ErrorKind::InvalidInput,
            code => google::kind(code).unwrap_or_else(|| kind(self.answer.status)),
        }
    }

    /// The error, with what to do about it and without secrets: a server may well repeat what it was sent.
    pub(crate) fn error(&self, what: &str, secrets: &[&Secret], advice: &Advice<'_>) -> Error {
        let kind = self.kind();
        self.answer.fault(what, kind, &self.told, &advice.of(kind, &self.told.code), secrets)
    }
}

fn of_gateway(answer: &Answer) -> chains_http::Refusal {
    let Failure { code, message } = serde_json::from_slice(&answer.body).unwrap_or_default();
    let code = code.and_then(|code| CODES.get(code)).copied().unwrap_or_default();
    chains_http::Refusal { code: code.to_owned(), message }
}

/// What a status says, where no code says more.
fn kind(status: StatusCode) -> ErrorKind {
    chains_http::kind(status).unwrap_or_else(|| match status {
        StatusCode::METHOD_NOT_ALLOWED => ErrorKind::NotFound,
        StatusCode::CONFLICT => ErrorKind::Conflict,
        status if status.is_redirection() => ErrorKind::Configuration,
        status if status.is_client_error() => ErrorKind::InvalidInput,
        _ => ErrorKind::Protocol,
    })
}

/// What to do about a refusal depends on whose server it is.
#[derive(Debug)]
pub(crate) struct Advice<'a> {
    pub(crate) project: &'a str,
    pub(crate) is_google: bool,
}

impl Advice<'_> {
    fn of(&self, kind: ErrorKind, code: &str) -> String {
        let project = self.project;
        match kind {
            ErrorKind::Unauthorized if self.is_google && code == "PERMISSION_DENIED" => format!(
                "grant the roles `roles/containeranalysis.notes.editor` and \
                 `roles/containeranalysis.occurrences.editor` on the project {project}; for notes that are there, \
                 `roles/containeranalysis.notes.attacher` is enough in place of the first"
            ),
            ErrorKind::Unauthorized if self.is_google => "check the credentials".to_owned(),
            ErrorKind::Unauthorized => format!(
                "let Chains make notes and occurrences in the project {project} there, list them and attach to the \
                 notes; a user and password go into `storage.grafeas.endpoint`, as https://USER:PASSWORD@HOST"
            ),
            ErrorKind::NotFound | ErrorKind::Configuration => format!(
                "see whether the project {project} is there, and whether `storage.grafeas.endpoint` names a server of \
                 the Grafeas API v1"
            ),
            ErrorKind::TooLarge => "keep records of such runs in another store".to_owned(),
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, body: &str, kind: ErrorKind, part: &str) {
        let status = StatusCode::from_u16(status).unwrap();
        let body = body.to_owned().into();
        let answer = Answer { status, headers: Default::default(), body };
        let refusal = Refusal::of(&answer);
        for is_google in [true, false] {
            let secret = Secret::new("hunter2");
            let error = refusal.error("x", &[&secret], &Advice { project: "p", is_google });
            let report = error.report();
            assert_eq!(error.kind(), kind, "{report}");
            assert!(!report.contains("hunter2"), "{report}");
            if is_google {
                assert!(report.contains(part), "{report}");
            }
        }
    }

    #[test]
    fn errors_of_google_and_of_gateways_are_told_with_what_to_do() {
        let denied =
            r#"{"error":{"code":403,"status":"PERMISSION_DENIED","message":"no hunter2"}}"#;
        check(403, denied, ErrorKind::Unauthorized, "`roles/containeranalysis.notes.editor`");
        check(403, denied, ErrorKind::Unauthorized, "no [redacted]");
        check(403, r#"{"code":7,"message":"denied"}"#, ErrorKind::Unauthorized, "on the project p");
        check(401, "", ErrorKind::Unauthorized, "check the credentials");
        check(404, r#"{"code":5,"message":"Not Found"}"#, ErrorKind::NotFound, "API v1");
        check(404, "404 page not found", ErrorKind::NotFound, "`storage.grafeas.endpoint`");
        check(409, r#"{"code":10,"message":"x"}"#, ErrorKind::Conflict, "ABORTED (x)");
        let large = r#"{"code":8,"message":"grpc: received message larger than max (9 vs. 4)"}"#;
        check(429, large, ErrorKind::TooLarge, "another store");
        check(429, r#"{"code":8,"message":"quota"}"#, ErrorKind::Throttled, "quota");
        check(503, "<html>", ErrorKind::Unavailable, "503");
        check(
            400,
            r#"{"code":3,"message":"occurrence is invalid"}"#,
            ErrorKind::InvalidInput,
            "invalid",
        );
        check(302, "", ErrorKind::Configuration, "302");
        check(500, r#"{"code":99999,"message":[]}"#, ErrorKind::Unavailable, "500");
    }
}
