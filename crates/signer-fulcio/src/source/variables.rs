//! The environment variables that sources look at.

use std::collections::BTreeMap;
use std::fmt;

use chains_core::Secret;

/// Environment variables, taken once: some of them hold credentials, so values never show.
#[derive(Clone, Default)]
pub struct Variables(BTreeMap<String, Secret>);

/// All that a source looks at.
const KNOWN: [&str; 9] = [
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_URL",
    "BUILDKITE_AGENT_ACCESS_TOKEN",
    "BUILDKITE_AGENT_ENDPOINT",
    "BUILDKITE_JOB_ID",
    "GCE_METADATA_HOST",
    "GOOGLE_SERVICE_ACCOUNT_NAME",
    "SIGSTORE_ID_TOKEN",
    "SPIFFE_ENDPOINT_SOCKET",
];

impl Variables {
    /// Those of this process.
    #[must_use]
    pub fn of_process() -> Self {
        KNOWN.iter().filter_map(|name| Some((*name, std::env::var(name).ok()?))).collect()
    }

    /// The value; an empty one is none.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(Secret::expose).filter(|value| !value.is_empty())
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Variables {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), Secret::new(value))).collect())
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
