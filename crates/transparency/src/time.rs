//! Moments, as seconds since 1970.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// A moment, in seconds since 1970, as RFC 3339 has it.
#[must_use]
pub fn show(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}

/// Reads RFC 3339; a part of a second is dropped.
pub(crate) fn read(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_second)
}

/// A moment of a certificate.
pub(crate) fn of_certificate(time: x509_cert::time::Time) -> i64 {
    i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX)
}

/// The clock of this machine.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// From when to when something may be used: seconds since 1970, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Validity {
    /// The first second; open where `None`.
    pub start: Option<i64>,
    /// The last second; open where `None`.
    pub end: Option<i64>,
}

impl Validity {
    /// Whether the moment is inside.
    #[must_use]
    pub fn contains(&self, seconds: i64) -> bool {
        self.start.is_none_or(|start| start <= seconds) && self.end.is_none_or(|end| seconds <= end)
    }
}

impl std::fmt::Display for Validity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let end = |end: Option<i64>| end.map_or_else(|| "…".to_owned(), show);
        write!(f, "{} to {}", end(self.start), end(self.end))
    }
}
