//! The API server's answers as errors of Chains.

use chains_core::{Error, ErrorKind};
use kube::core::Status;

/// What an answer of the API server, or none, means for whatever was attempted: `what` on which object.
///
/// ```
/// # use chains_core::ErrorKind;
/// let refused = kube::Error::Service("connection refused".into());
/// let error = chains_cluster::error("reading the ConfigMap chains-config", refused);
/// assert_eq!(error.kind(), ErrorKind::Unavailable);
/// assert_eq!(error.report(), "reading the ConfigMap chains-config: connection refused");
/// ```
#[must_use]
pub fn error(what: impl Into<String>, error: kube::Error) -> Error {
    let kind = kind_of(&error);
    let told = Error::new(kind, what.into());
    match error {
        // These tell the same again, in the words of the library.
        kube::Error::Api(status) => told.with_source(words_of(&status)),
        kube::Error::Service(cause) => told.with_source(cause),
        kube::Error::HyperError(cause) => told.with_source(cause),
        other => told.with_source(other),
    }
}

fn kind_of(error: &kube::Error) -> ErrorKind {
    match error {
        kube::Error::Api(status) => kind_of_status(status),
        kube::Error::SerdeError(_) | kube::Error::FromUtf8(_) => ErrorKind::Protocol,
        kube::Error::BuildRequest(_)
        | kube::Error::InferConfig(_)
        | kube::Error::InferKubeconfig(_)
        | kube::Error::ProxyProtocolUnsupported { .. }
        | kube::Error::ProxyProtocolDisabled { .. }
        | kube::Error::RustlsTls(_)
        | kube::Error::TlsRequired => ErrorKind::Configuration,
        kube::Error::Auth(_) => ErrorKind::Unauthorized,
        _ => ErrorKind::Unavailable,
    }
}

/// How etcd and its client say that an object is too large.
const TOO_LARGE: [&str; 2] = ["request is too large", "trying to send message larger than max"];

fn kind_of_status(status: &Status) -> ErrorKind {
    match status.code {
        401 | 403 => ErrorKind::Unauthorized,
        404 => ErrorKind::NotFound,
        409 => ErrorKind::Conflict,
        413 => ErrorKind::TooLarge,
        429 => ErrorKind::Throttled,
        408 | 504 => ErrorKind::Timeout,
        400..=499 => ErrorKind::InvalidInput,
        // What etcd cannot hold comes back as a fault of the server; it is one of the object.
        500 if TOO_LARGE.iter().any(|words| status.message.contains(words)) => ErrorKind::TooLarge,
        _ => ErrorKind::Unavailable,
    }
}

/// A proxy on the way may answer without words.
fn words_of(status: &Status) -> String {
    let Status { code, reason, message, .. } = status;
    match (message.trim(), reason.as_str()) {
        ("", "") => format!("the API server answered {code}"),
        ("", reason) => format!("the API server answered {code} {reason}"),
        (message, _) => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(code: u16, message: &str, kind: ErrorKind, report: &str) {
        let status = Status { code, message: message.to_owned(), ..Status::default() };
        let error = error("reading x", kube::Error::Api(status.boxed()));
        assert_eq!((error.kind(), error.report().as_str()), (kind, report));
    }

    #[test]
    fn answers_are_told_in_the_words_of_the_api_server() {
        check(
            403,
            "secrets \"x\" is forbidden",
            ErrorKind::Unauthorized,
            "reading x: secrets \"x\" is forbidden",
        );
        check(404, "", ErrorKind::NotFound, "reading x: the API server answered 404");
        check(409, "later", ErrorKind::Conflict, "reading x: later");
        check(413, "big", ErrorKind::TooLarge, "reading x: big");
        check(422, "bad", ErrorKind::InvalidInput, "reading x: bad");
        check(429, "slow", ErrorKind::Throttled, "reading x: slow");
        check(500, "broken", ErrorKind::Unavailable, "reading x: broken");
        check(504, "late", ErrorKind::Timeout, "reading x: late");
    }
}
