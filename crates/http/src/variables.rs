//! The variables of the environment, as those who need them read them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use chains_core::Secret;

/// Variables of the environment, where credentials are found: the process's own, or some that are given.
///
/// ```
/// use chains_http::Variables;
/// let variables = Variables::of([("AWS_REGION", "eu-central-1"), ("AWS_PROFILE", "")]);
/// assert_eq!(variables.get("AWS_REGION").as_deref(), Some("eu-central-1"));
/// assert_eq!(variables.get("AWS_PROFILE"), None);
/// assert_eq!(format!("{variables:?}"), r#"Variables(["AWS_PROFILE", "AWS_REGION"])"#);
/// ```
#[derive(Clone, Default)]
pub struct Variables(Option<Arc<BTreeMap<String, Secret>>>);

impl Variables {
    /// Those of the process.
    #[must_use]
    pub const fn of_process() -> Self {
        Self(None)
    }

    /// These and no others. No files and no metadata services are looked into then, but for those that they name.
    pub fn of<N: Into<String>, V: Into<String>>(given: impl IntoIterator<Item = (N, V)>) -> Self {
        let given = given.into_iter().map(|(name, value)| (name.into(), Secret::new(value)));
        Self(Some(Arc::new(given.collect())))
    }

    /// The value, unless it is unset or empty: tools of clouds take the two for the same.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        let value = match &self.0 {
            Some(given) => given.get(name).map(|value| value.expose().to_owned()),
            None => std::env::var(name).ok(),
        };
        value.filter(|value| !value.is_empty())
    }

    /// The value of the first of these that is set.
    #[must_use]
    pub fn first(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| self.get(name))
    }

    /// Whether they are other ones than the process's, which libraries read by themselves.
    #[must_use]
    pub const fn are_given(&self) -> bool {
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
