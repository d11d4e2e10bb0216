//! What went wrong, in a form that several waiting callers can share.

use std::time::Duration;

use chains_core::{Error, ErrorKind, chain};

/// A failure: what was attempted on what, and why it failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: ErrorKind,
    pub(crate) what: String,
    pub(crate) why: String,
    /// How long the other side asks to wait before it is asked again.
    pub(crate) wait: Option<Duration>,
}

pub(crate) type Result<T, E = Fault> = std::result::Result<T, E>;

impl Fault {
    pub(crate) fn new(kind: ErrorKind, what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { kind, what: what.into(), why: why.into(), wait: None }
    }

    /// A request that got no answer.
    pub(crate) fn from_reqwest(what: &str, error: reqwest::Error) -> Self {
        let kind = match &error {
            e if e.is_timeout() => ErrorKind::Timeout,
            e if e.is_builder() => ErrorKind::Configuration,
            _ => ErrorKind::Unavailable,
        };
        // Addresses may carry tokens.
        Self::new(kind, what, chain(&error.without_url()))
    }

    /// In one line.
    pub(crate) fn report(&self) -> String {
        format!("{}: {}", self.what, self.why)
    }
}

impl From<Fault> for Error {
    /// Always worth another attempt: whatever keeps a certificate from being issued is outside of what is to be
    /// signed, and whoever runs the service may mend it meanwhile.
    fn from(fault: Fault) -> Self {
        Self::new(fault.kind, fault.what).with_source(fault.why).with_retryable(true)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let why = std::error::Error::source(&error).map_or_else(|| "it failed".to_owned(), chain);
        Self::new(error.kind(), error.to_string(), why)
    }
}
