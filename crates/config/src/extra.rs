//! Stores that a program brings along, which this workspace does not know: their names and keys are as good as its own.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use chains_core::{Capabilities, Secret};

/// A store that a program brings along, as the configuration sees it.
///
/// ```
/// use chains_config::{ExtraKey, ExtraStore, Layers};
/// use chains_core::Capabilities;
///
/// static CABINET: ExtraStore = ExtraStore {
///     name: "cabinet",
///     keys: &[ExtraKey { name: "storage.cabinet.path", required: true, secret: false }],
///     capabilities: Capabilities { dsse: true, detached: true, unsigned: true },
///     any_payload: true,
/// };
///
/// let text = "artifacts.taskrun.storage=tekton,cabinet\nstorage.cabinet.path=/srv/records";
/// let config = Layers::new().extra_stores([&CABINET]).text(text).resolve()?;
/// assert_eq!(config.extra("cabinet").get("storage.cabinet.path"), Some("/srv/records"));
///
/// let faults = Layers::new().extra_stores([&CABINET]).text("storage.cabinet.pth=/srv").resolve().unwrap_err();
/// assert_eq!(faults.to_string(), "`storage.cabinet.pth`: unknown key: did you mean `storage.cabinet.path`?");
/// # Ok::<(), chains_config::Faults>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ExtraStore {
    /// The name in `artifacts.*.storage`. A name that Chains has already stays the one of Chains.
    pub name: &'static str,
    /// Its keys: all that it has.
    pub keys: &'static [ExtraKey],
    /// What it can hold; the store itself says the same.
    pub capabilities: Capabilities,
    /// Whether it keeps payloads of any kind, or only statements and image signatures.
    pub any_payload: bool,
}

/// A key of a store that a program brings along.
#[derive(Debug, Clone, Copy)]
pub struct ExtraKey {
    /// The whole key, e.g. `storage.cabinet.path`.
    pub name: &'static str,
    /// Whether it must be set where the store is in use.
    pub required: bool,
    /// Whether its value must not be shown.
    pub secret: bool,
}

// The name is what tells stores apart.
impl PartialEq for ExtraStore {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for ExtraStore {}

impl PartialOrd for ExtraStore {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ExtraStore {
    fn cmp(&self, other: &Self) -> Ordering {
        self.name.cmp(other.name)
    }
}

impl Hash for ExtraStore {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

/// The values that are set of such a store's keys. Any of them may be a secret: none shows in `Debug`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExtraSection {
    values: BTreeMap<&'static str, Secret>,
}

impl ExtraSection {
    pub(crate) const EMPTY: &Self = &Self { values: BTreeMap::new() };

    /// The value of a key, without spaces around it; `None` where it is not set or empty.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(Secret::expose)
    }

    pub(crate) fn set(&mut self, key: &'static str, value: &str) {
        self.values.insert(key, Secret::new(value));
    }
}
