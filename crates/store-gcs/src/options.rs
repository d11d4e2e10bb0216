//! What all buckets have in common: bounds, and the variables of the environment.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chains_core::Secret;

/// Bounds of a [`BucketStore`](crate::BucketStore).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How many requests are under way at once, and so how many connections there are; further ones wait.
    pub concurrency: usize,
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// How long one request may take, from connecting to the last byte of the answer; as long for a token.
    pub request_timeout: Duration,
}

impl Default for Limits {
    /// 64 at once, five seconds, thirty seconds.
    fn default() -> Self {
        Self {
            concurrency: 64,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
        }
    }
}

/// Variables of the environment, where credentials are found: the process's own, or some that are given.
///
/// ```
/// use chains_store_gcs::Variables;
/// let variables = Variables::of([("AWS_SECRET_ACCESS_KEY", "hunter2")]);
/// assert_eq!(format!("{variables:?}"), r#"Variables(["AWS_SECRET_ACCESS_KEY"])"#);
/// ```
#[derive(Clone, Default)]
pub struct Variables(Option<Arc<BTreeMap<String, Secret>>>);

impl Variables {
    /// Those of the process.
    #[must_use]
    pub const fn of_process() -> Self {
        Self(None)
    }

    /// These and no others.
    pub fn of<N: Into<String>, V: Into<String>>(given: impl IntoIterator<Item = (N, V)>) -> Self {
        let given = given.into_iter().map(|(name, value)| (name.into(), Secret::new(value)));
        Self(Some(Arc::new(given.collect())))
    }

    /// The value, unless it is unset or empty: tools of clouds take the two for the same.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let value = match &self.0 {
            Some(given) => given.get(name).map(|value| value.expose().to_owned()),
            None => std::env::var(name).ok(),
        };
        value.filter(|value| !value.is_empty())
    }

    /// The value, where these are other variables than the process's.
    #[cfg(feature = "gcs")]
    pub(crate) fn given(&self, name: &str) -> Option<String> {
        self.0.as_ref().and_then(|_| self.get(name))
    }

    /// Whether they are other ones than the process's.
    #[cfg(feature = "gcs")]
    pub(crate) const fn are_given(&self) -> bool {
        self.0.is_some()
    }

    /// The first of these that is set.
    #[cfg(feature = "foreign")]
    pub(crate) fn first(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| self.get(name))
    }
}

/// Names alone: values may be secrets.
impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(given) => f.debug_tuple("Variables").field(&given.keys()).finish(),
            None => f.write_str("Variables(of the process)"),
        }
    }
}
