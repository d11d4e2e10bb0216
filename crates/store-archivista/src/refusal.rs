//! What the server refuses for.

use chains_core::{Error, ErrorKind};
use chains_http::{Address, Answer, MAX_TOLD, Refusal};
use reqwest::StatusCode;

/// What an answer means where it is not what was asked for. A password stays out: a server may well repeat it.
pub(crate) fn fault(answer: &Answer, what: &str, address: &Address) -> Error {
    let kind = kind(answer);
    answer.fault(what, kind, &refusal(answer), advice(kind), &address.secrets())
}

fn kind(answer: &Answer) -> ErrorKind {
    match chains_http::kind(answer.status) {
        None if answer.status == StatusCode::METHOD_NOT_ALLOWED => ErrorKind::NotFound,
        // What it cannot make sense of, it will not the next time.
        None | Some(ErrorKind::Unavailable)
            if has(answer, "validator failed") || has(answer, "cannot unmarshal") =>
        {
            ErrorKind::InvalidInput
        }
        Some(kind) => kind,
        None if answer.status.is_redirection() => ErrorKind::Configuration,
        None if answer.status.is_client_error() => ErrorKind::InvalidInput,
        None => ErrorKind::Protocol,
    }
}

/// Whether the answer has these words.
pub(crate) fn has(answer: &Answer, words: &str) -> bool {
    answer.body.windows(words.len()).any(|part| part == words.as_bytes())
}

/// The server's words. Pages for people are left out.
fn refusal(answer: &Answer) -> Refusal {
    let text = String::from_utf8_lossy(answer.body.get(..4 * MAX_TOLD).unwrap_or(&answer.body));
    let message = if text.trim_start().starts_with('<') { String::new() } else { text.into() };
    Refusal { code: String::new(), message }
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
    use bytes::Bytes;
    use chains_core::Secret;

    use super::*;

    fn report(status: u16, body: impl Into<Bytes>) -> (ErrorKind, String) {
        let status = StatusCode::from_u16(status).unwrap();
        let answer = Answer { status, headers: Default::default(), body: body.into() };
        let url = Secret::new("https://u:hunter2@archivista.example.com");
        let address = Address::parse("reading", &url).unwrap();
        let error = fault(&answer, "uploading", &address);
        (error.kind(), error.report())
    }

    #[test]
    fn refusals_are_told_with_what_to_do() {
        let check = |status, body: &'static str, kind, part: &str| {
            let (found, report) = report(status, body);
            assert_eq!(found, kind, "{report}");
            assert!(report.contains(part) && !report.contains("hunter2"), "{report}");
        };
        check(401, "not hunter2", ErrorKind::Unauthorized, "not [redacted]: give the user");
        check(404, "<html>", ErrorKind::NotFound, "404 Not Found: there is no Archivista");
        check(405, "", ErrorKind::NotFound, "there is no Archivista");
        check(302, "", ErrorKind::Configuration, "mend `storage.archivista.url`");
        check(413, "", ErrorKind::TooLarge, "another store");
        check(500, "ent: validator failed for field", ErrorKind::InvalidInput, "validator");
        check(500, "pq: connection refused\n", ErrorKind::Unavailable, "500");
        check(409, "", ErrorKind::InvalidInput, "409");
        check(429, "", ErrorKind::Throttled, "429");
        check(200, "", ErrorKind::Protocol, "200");
    }

    #[test]
    fn hostile_answers_stay_short() {
        let (_, report) = report(400, "\u{1b}[2J a\n b".repeat(100_000));
        assert!(report.len() < 700 && !report.contains(['\u{1b}', '\n']), "{report}");
    }
}
