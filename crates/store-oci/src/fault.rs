//! What went wrong, in a form that several waiting callers can share.

use std::error::Error as StdError;
use std::fmt;

use chains_core::{Error, ErrorKind, chain};

/// A failure: what was attempted on what, and why it failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: ErrorKind,
    pub(crate) what: String,
    pub(crate) why: String,
}

pub(crate) type Result<T, E = Fault> = std::result::Result<T, E>;

impl Fault {
    pub(crate) fn new(kind: ErrorKind, what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { kind, what: what.into(), why: why.into() }
    }

    /// A request that got no answer.
    pub(crate) fn from_reqwest(what: &str, error: reqwest::Error) -> Self {
        let kind = match &error {
            e if e.is_timeout() => ErrorKind::Timeout,
            e if e.is_builder() => ErrorKind::Configuration,
            // Nobody will trust it a moment later, unless somebody changes something.
            e if matches!(tls_error(e), Some(rustls::Error::InvalidCertificate(_))) => {
                ErrorKind::Verification
            }
            _ => ErrorKind::Unavailable,
        };
        // Addresses may carry signatures and tokens.
        Self::new(kind, what, chain(&error.without_url()))
    }
}

/// What TLS failed with, if that is why. The errors of rustls come wrapped in those of I/O, more than once, and those
/// skip what they wrap in the chain of sources.
pub(crate) fn tls_error(error: &reqwest::Error) -> Option<&rustls::Error> {
    let mut source = StdError::source(error);
    while let Some(cause) = source {
        if let Some(tls) = within(cause) {
            return Some(tls);
        }
        source = cause.source();
    }
    None
}

fn within<'a>(cause: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    cause.downcast_ref().or_else(|| within(cause.downcast_ref::<std::io::Error>()?.get_ref()?))
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}

impl StdError for Fault {}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::new(fault.kind, fault.what).with_source(fault.why)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let why = StdError::source(&error).map_or_else(|| "it failed".to_owned(), chain);
        Self::new(error.kind(), error.to_string(), why)
    }
}
