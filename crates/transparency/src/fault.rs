//! Errors as this crate tells them.

use chains_core::{Error, ErrorKind};

/// A check that did not hold; `why` begins with the name of the check.
pub(crate) fn failed(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Verification, why)
}

/// What is by nobody who is trusted, or not yet: a log or an authority may have a newer key than what is known of them, so
/// it may be tried again.
pub(crate) fn untrusted(why: impl Into<String>) -> Error {
    failed(why).with_retryable(true)
}

/// Whether it is such an error: no other check may be tried again.
pub(crate) fn is_untrusted(error: &Error) -> bool {
    error.kind() == ErrorKind::Verification && error.is_retryable()
}

/// An answer that the protocol does not allow.
pub(crate) fn protocol(what: &str, why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Protocol, what).with_source(why.into())
}

/// Text from the outside, fit for an error message: quoted, and cut where it is long.
pub(crate) fn quoted(text: &str) -> String {
    const LONGEST: usize = 300;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}
