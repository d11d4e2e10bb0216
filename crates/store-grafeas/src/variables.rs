//! The variables of the environment, as those who need them read them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use chains_core::Secret;

/// Variables of the environment: the process's own, or some that are given.
///
/// ```
/// use chains_store_grafeas::Variables;
/// let variables = Variables::of([("GOOGLE_CLOUD_UNIVERSE_DOMAIN", "example.com")]);
/// assert_eq!(format!("{variables:?}"), r#"Variables(["GOOGLE_CLOUD_UNIVERSE_DOMAIN"])"#);
/// ```
#[derive(Clone, Default)]
pub struct Variables(Option<Arc<BTreeMap<String, Secret>>>);

impl Variables {
    /// Those of the process.
    #[must_use]
    pub const fn of_process() -> Self {
        Self(None)
    }

    /// These and no others. No files and no metadata services are looked into then.
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

    /// Whether they are other ones than the process's.
    pub(crate) const fn are_given(&self) -> bool {
        self.0.is_some()
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
