//! What failures of MongoDB mean.
//!
//! Codes: <https://www.mongodb.com/docs/manual/reference/error-codes/>.

use chains_core::{Error, ErrorKind};
use mongodb::error::{Error as Failure, ErrorKind as Kind, WriteFailure};

use super::connection::Connection;

const DUPLICATE_KEY: [i32; 3] = [11000, 11001, 12582];
const UNAUTHORIZED: i32 = 13;
const AUTHENTICATION_FAILED: i32 = 18;
/// Atlas has one code for all that it refuses.
const ATLAS: i32 = 8000;
const BSON_TOO_LARGE: [i32; 2] = [10334, 17420];
/// How much of an error is told, in characters.
const MAX_TOLD: usize = 600;

pub(super) fn is_duplicate(error: &Failure) -> bool {
    code(error).is_some_and(|code| DUPLICATE_KEY.contains(&code))
}

/// Whether other credentials may be let in.
pub(super) fn is_refused(error: &Failure) -> bool {
    kind(error) == Some(ErrorKind::Unauthorized)
}

/// An error in our words; what to do comes last.
pub(super) fn told(what: &str, error: &Failure, connection: &Connection) -> Error {
    let kind = kind(error).unwrap_or(ErrorKind::Unavailable);
    let words = connection.redacted(&words(error));
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    let words: String = words.chars().filter(|c| !c.is_control()).take(MAX_TOLD).collect();
    if kind == ErrorKind::TooLarge {
        return too_large(&words).context(what);
    }
    let why = match advice(kind, error) {
        "" => words,
        advice => format!("{words}: {advice}"),
    };
    let error = Error::new(kind, what).with_source(why);
    match kind {
        // A Secret that is rotated reaches us later than the server.
        ErrorKind::Unauthorized => error.with_retryable(connection.may_change()),
        _ => error,
    }
}

/// Over the server's limit, for good.
pub(super) fn too_large(words: &str) -> Error {
    let why = format!(
        "{words}, and MongoDB takes 16777216 (16 MiB) at most: keep records of such runs in another store"
    );
    Error::new(ErrorKind::TooLarge, "writing a document").with_source(why)
}

fn advice(kind: ErrorKind, error: &Failure) -> &'static str {
    match kind {
        ErrorKind::Unauthorized if code(error) == Some(UNAUTHORIZED) => {
            "grant `find`, `insert` and `update` on the collection, as the role `readWrite` does"
        }
        ErrorKind::Unauthorized => {
            "check the user, the password and `authSource` of MongoDB's connection string"
        }
        ErrorKind::Unavailable if matches!(&*error.kind, Kind::ServerSelection { .. }) => {
            "check the hosts and `tls` of MongoDB's connection string, and that they can be reached from here"
        }
        _ => "",
    }
}

/// `None` where nothing more is known than that it failed.
pub(super) fn kind(error: &Failure) -> Option<ErrorKind> {
    if let Some(code) = code(error) {
        return Some(by_code(code, &words(error)));
    }
    Some(match &*error.kind {
        Kind::InvalidArgument { .. } | Kind::InvalidTlsConfig { .. } => ErrorKind::Configuration,
        Kind::Authentication { .. } => ErrorKind::Unauthorized,
        Kind::ServerSelection { message, .. } if is_about_credentials(message) => {
            ErrorKind::Unauthorized
        }
        Kind::Bson(_) | Kind::InvalidResponse { .. } => ErrorKind::Protocol,
        Kind::IncompatibleServer { .. } => ErrorKind::Unsupported,
        Kind::Io(io) if io.kind() == std::io::ErrorKind::TimedOut => ErrorKind::Timeout,
        Kind::DnsResolve { .. }
        | Kind::Io(_)
        | Kind::ConnectionPoolCleared { .. }
        | Kind::ServerSelection { .. }
        | Kind::Shutdown
        // Written, and not known to be so by as many servers as were asked for.
        | Kind::Write(WriteFailure::WriteConcernError(_)) => ErrorKind::Unavailable,
        _ => return None,
    })
}

/// A server that refuses credentials is no longer selected for a moment, and who asks meanwhile is told so in words alone.
fn is_about_credentials(message: &str) -> bool {
    ["SCRAM failure", "AuthenticationFailed", "Authentication failed", "authentication failed"]
        .iter()
        .any(|words| message.contains(words))
}

fn by_code(code: i32, words: &str) -> ErrorKind {
    match code {
        UNAUTHORIZED | AUTHENTICATION_FAILED | 11 | 31 | 33 | 334 => ErrorKind::Unauthorized,
        ATLAS if words.contains("auth") || words.contains("not allowed") => ErrorKind::Unauthorized,
        code if BSON_TOO_LARGE.contains(&code) => ErrorKind::TooLarge,
        // Words of servers that speak the protocol and have no such code.
        _ if words.contains("object to insert too large") => ErrorKind::TooLarge,
        50 | 262 => ErrorKind::Timeout,
        112 => ErrorKind::Conflict,
        // Failed validation, names that are not allowed, documents that are nested too deeply.
        2 | 9 | 14 | 15 | 22 | 52 | 56 | 57 | 59 | 73 | 115 | 121 | 16755 | 17419 => {
            ErrorKind::InvalidInput
        }
        code if DUPLICATE_KEY.contains(&code) => ErrorKind::Conflict,
        // Another primary, a server that starts or stops, and whatever else servers will think of.
        _ => ErrorKind::Unavailable,
    }
}

fn code(error: &Failure) -> Option<i32> {
    match &*error.kind {
        Kind::Command(command) => Some(command.code),
        Kind::Write(WriteFailure::WriteError(write)) => Some(write.code),
        _ => None,
    }
}

fn words(error: &Failure) -> String {
    match &*error.kind {
        Kind::Command(it) if it.code_name.is_empty() => format!("{} ({})", it.message, it.code),
        Kind::Command(it) => format!("{} ({} {})", it.message, it.code_name, it.code),
        Kind::Write(WriteFailure::WriteError(it)) => format!("{} ({})", it.message, it.code),
        Kind::Write(WriteFailure::WriteConcernError(it)) => {
            format!(
                "it is not written to as many servers as asked for: {} ({})",
                it.message, it.code
            )
        }
        // The rest of it is the driver's view of all servers.
        Kind::ServerSelection { message, .. } if is_about_credentials(message) => {
            "no server lets it in: authentication failed".to_owned()
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_say_what_it_is() {
        let check = |code, words, expect| assert_eq!(by_code(code, words), expect, "{code}");
        check(13, "not authorized on chains", ErrorKind::Unauthorized);
        check(18, "Authentication failed.", ErrorKind::Unauthorized);
        check(8000, "bad auth : authentication failed", ErrorKind::Unauthorized);
        check(8000, "something else", ErrorKind::Unavailable);
        check(10334, "BSONObj size is invalid", ErrorKind::TooLarge);
        check(50, "operation exceeded time limit", ErrorKind::Timeout);
        check(121, "Document failed validation", ErrorKind::InvalidInput);
        check(10107, "not primary", ErrorKind::Unavailable);
    }

    #[test]
    fn servers_that_refuse_are_told_from_those_that_are_away() {
        let refused =
            "Topology: { Servers: [ { Error: Kind: SCRAM failure: authentication failed } ] }";
        assert!(is_about_credentials(refused));
        assert!(!is_about_credentials("Topology: { Servers: [ { Error: Connection refused } ] }"));
    }
}
