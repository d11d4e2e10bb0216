//! Errors as this crate tells them.

use chains_core::{Error, ErrorKind};

/// A check that did not hold; `why` begins with the name of the check.
pub(crate) fn failed(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Verification, why)
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
