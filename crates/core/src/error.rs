//! The one public error: what was attempted on what, and why it failed.

use std::error::Error as StdError;
use std::fmt;

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as one word: the label of metrics and the word in `chains.tekton.dev/reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A run, a document or an argument cannot be read or is not what it must be.
    InvalidInput,
    /// The configuration is at fault.
    Configuration,
    /// A key is missing, cannot be read or cannot be used.
    Key,
    /// A signature could not be made.
    Signing,
    /// A signature, envelope, digest or proof does not hold.
    Verification,
    /// What was asked for does not exist.
    NotFound,
    /// Another writer was there first, again and again.
    Conflict,
    /// Credentials are missing or refused.
    Unauthorized,
    /// The backend cannot hold what it was given.
    Unsupported,
    /// What was to be stored is over a limit of the backend.
    TooLarge,
    /// The backend asks to slow down.
    Throttled,
    /// No answer in time.
    Timeout,
    /// The backend cannot be reached or answers that it is broken.
    Unavailable,
    /// The backend answered something that its protocol does not allow.
    Protocol,
    /// A fault of Chains itself.
    Internal,
}

impl ErrorKind {
    /// The static name: a metric label, never changed once released.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidInput => "invalid_input",
            Self::Configuration => "configuration",
            Self::Key => "key",
            Self::Signing => "signing",
            Self::Verification => "verification",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Unauthorized => "unauthorized",
            Self::Unsupported => "unsupported",
            Self::TooLarge => "too_large",
            Self::Throttled => "throttled",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::Protocol => "protocol",
            Self::Internal => "internal",
        }
    }

    /// Whether the same attempt may succeed later without anybody changing anything.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        matches!(self, Self::Conflict | Self::Throttled | Self::Timeout | Self::Unavailable)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A failure, told as "what was attempted on what", with its cause as [`source`](StdError::source).
///
/// `Display` gives the context alone, so that reporters that walk the chain say nothing twice;
/// [`Error::report`] gives the whole chain in one line.
///
/// ```
/// use chains_core::{Error, ErrorKind};
/// let cause = std::io::Error::other("connection refused");
/// let error = Error::new(ErrorKind::Unavailable, "pushing to registry.example.com").with_source(cause);
/// assert!(error.is_retryable());
/// assert_eq!(error.report(), "pushing to registry.example.com: connection refused");
/// ```
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    retryable: bool,
    context: String,
    source: Option<Box<dyn StdError + Send + Sync + 'static>>,
}

impl Error {
    /// An error of `kind`; whether it is retryable follows from the kind.
    pub fn new(kind: ErrorKind, context: impl Into<String>) -> Self {
        Self { kind, retryable: kind.is_retryable(), context: context.into(), source: None }
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Says otherwise than the kind does whether a later attempt may succeed.
    #[must_use]
    pub const fn with_retryable(mut self, retryable: bool) -> Self {
        self.retryable = retryable;
        self
    }

    /// Wraps this error in a wider context; kind and retryability stay.
    #[must_use]
    pub fn context(self, context: impl Into<String>) -> Self {
        Self {
            kind: self.kind,
            retryable: self.retryable,
            context: context.into(),
            source: Some(Box::new(self)),
        }
    }

    /// What went wrong, as one word.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the same attempt may succeed later.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        self.retryable
    }

    /// The whole chain in one line, outermost first, joined by `: `.
    #[must_use]
    pub fn report(&self) -> String {
        chain(self)
    }
}

/// Any error with its causes in one line, outermost first, joined by `: `.
#[must_use]
pub fn chain(error: &dyn StdError) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        // Libraries often repeat their cause in their own message.
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        source = cause.source();
    }
    line
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.context)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
