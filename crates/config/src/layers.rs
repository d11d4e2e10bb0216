//! Laying sources of keys and values over each other, and turning the result into a configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::draft::Draft;
use crate::fault::shorten;
use crate::keys::{self, Key};
use crate::values::without_userinfo;
use crate::{Config, ExtraKey, ExtraStore, Fault, Faults, check, read};

/// What is shown in place of a secret.
const REDACTED: &str = "[redacted]";

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Origin {
    /// Nobody gave one.
    Default,
    /// The ConfigMap, in a file or in the cluster.
    File,
    /// The command line.
    CommandLine,
}

impl Origin {
    /// The word for tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::File => "file",
            Self::CommandLine => "command line",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A key with the value in effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The key.
    pub key: &'static str,
    /// The value as written, secrets as `[redacted]`; `None` where it is unset.
    pub value: Option<String>,
    /// Where the value comes from.
    pub origin: Origin,
}

/// Sources of keys and values, laid over each other: what is added later wins.
///
/// ```
/// use chains_config::{Layers, Origin};
///
/// let config = Layers::new()
///     .text("builder.id: https://ci.example.com\ntransparency.enabled: 'true'")
///     .pairs(Origin::CommandLine, [("transparency.enabled".to_owned(), "false".to_owned())])
///     .resolve()?;
/// let setting = config.settings().iter().find(|s| s.key == "transparency.enabled");
/// assert_eq!(setting.map(|s| s.origin), Some(Origin::CommandLine));
/// # Ok::<(), chains_config::Faults>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Layers {
    values: BTreeMap<String, Value>,
    faults: Vec<Fault>,
    extras: Vec<&'static ExtraStore>,
}

/// What a layer says about a key. No `Debug`: it may be a secret.
#[derive(Clone)]
struct Value {
    text: String,
    origin: Origin,
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Value").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl Layers {
    /// No layers: the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a text, in any of the forms that [`Config::read`] takes. What is wrong with it is kept
    /// for [`resolve`](Self::resolve).
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        let (pairs, faults) = read::pairs(text);
        self.faults.extend(faults);
        self.pairs(Origin::File, pairs)
    }

    /// Knows stores that the program brings along, by their names and keys.
    #[must_use]
    pub fn extra_stores(mut self, stores: impl IntoIterator<Item = &'static ExtraStore>) -> Self {
        self.extras.extend(stores);
        self
    }

    /// Adds keys and values; of a key given twice, the last counts.
    #[must_use]
    pub fn pairs(
        mut self,
        origin: Origin,
        pairs: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        for (key, text) in pairs {
            self.values.insert(key, Value { text, origin });
        }
        self
    }

    /// Adds the keys of a ConfigMap's `binaryData`: faults, each of them.
    #[must_use]
    pub fn binary<'a>(mut self, keys: impl IntoIterator<Item = &'a String>) -> Self {
        self.faults.extend(keys.into_iter().map(|key| Fault::of(key, read::IN_BINARY_DATA)));
        self
    }

    /// Checks everything as a whole.
    ///
    /// # Errors
    /// Everything that is wrong, in one go.
    pub fn resolve(self) -> Result<Config, Faults> {
        let (config, faults) = self.resolve_with_faults();
        Faults::check(faults)?;
        Ok(config)
    }

    /// The configuration as far as it can be had, and what is wrong with it.
    pub(crate) fn resolve_with_faults(mut self) -> (Config, Vec<Fault>) {
        let mut faults = std::mem::take(&mut self.faults);
        faults.extend(keys::unknown(self.values.keys(), &self.extras));
        let mut draft = Draft { extras: self.extras.clone(), ..Draft::default() };
        let mut settings = Vec::new();
        for key in keys::all() {
            let (value, origin) = self.value_of(key);
            if let Some(text) = value
                && let Err(why) = (key.set)(&mut draft, text)
            {
                faults.push(Fault::of(key.name, refusal(key, text, &why)));
            }
            settings.push(Setting {
                key: key.name,
                value: value.map(|text| shown(key, text)),
                origin,
            });
        }
        for store in &self.extras {
            for key in store.keys {
                settings.push(self.extra(store, key, &mut draft));
            }
        }
        let at_fault: BTreeSet<_> = faults.iter().filter_map(|fault| fault.key.clone()).collect();
        // A value that cannot be read is told once: what depends on it is not a second fault.
        let depending = check::together(&draft);
        faults.extend(
            depending
                .into_iter()
                .filter(|fault| fault.key.as_ref().is_none_or(|key| !at_fault.contains(key))),
        );
        (draft.finish(settings), faults)
    }

    /// The value in effect of a store's key that the program brings along; its store checks it.
    fn extra(&self, store: &ExtraStore, key: &ExtraKey, draft: &mut Draft) -> Setting {
        let given = self.values.get(key.name);
        let value = given.map(|value| value.text.trim()).filter(|text| !text.is_empty());
        if let Some(text) = value {
            draft.extra_sections.entry(store.name).or_default().set(key.name, text);
        }
        let shown =
            |text: &str| if key.secret { REDACTED.to_owned() } else { without_userinfo(text) };
        Setting {
            key: key.name,
            value: value.map(shown),
            origin: given.map_or(Origin::Default, |value| value.origin),
        }
    }

    /// The value in effect. An empty one is the same as none, except where the key says otherwise.
    fn value_of(&self, key: &Key) -> (Option<&str>, Origin) {
        let Some(value) = self.values.get(key.name) else {
            return (key.default.value(), Origin::Default);
        };
        let text = value.text.trim();
        let text =
            if text.is_empty() && !key.may_be_empty { key.default.value() } else { Some(text) };
        (text, value.origin)
    }
}

fn refusal(key: &Key, text: &str, why: &str) -> String {
    if key.secret {
        format!("the value {why}")
    } else {
        format!("{:?} {why}", shorten(&shown(key, text)))
    }
}

fn shown(key: &Key, text: &str) -> String {
    if key.secret {
        return REDACTED.to_owned();
    }
    match text.find(['?', '#']).and_then(|end| text.get(..=end)) {
        Some(address) if key.without_query => format!("{}{REDACTED}", without_userinfo(address)),
        _ => without_userinfo(text),
    }
}
