//! What a row of the table of keys is, and finding a key by its name or near it.

use crate::draft::Draft;
use crate::table::KEYS;
use crate::values::Read;
use crate::{ExtraStore, Fault, FormatName};

/// A heading of the documentation with its keys.
pub(crate) struct Section {
    pub(crate) title: &'static str,
    /// What to know before the table; may be empty.
    pub(crate) text: &'static str,
    pub(crate) keys: &'static [Key],
}

/// A row of the table.
#[derive(Clone, Copy)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) values: Values,
    pub(crate) default: Default,
    pub(crate) meaning: &'static str,
    /// Reads the value and puts it where it belongs, or says why it is refused.
    pub(crate) set: fn(&mut Draft, &str) -> Read<()>,
    /// Not in the reference.
    pub(crate) ours: bool,
    /// The value must not be shown.
    pub(crate) secret: bool,
    /// Whether it is an address whose query, which there must be none of, may hold a secret: it is never shown.
    pub(crate) without_query: bool,
    /// An empty value has a meaning of its own.
    pub(crate) may_be_empty: bool,
}

/// What a key may hold, for the documentation; `set` is what decides.
#[derive(Clone, Copy)]
pub(crate) enum Values {
    /// One of these words.
    Formats(&'static [FormatName]),
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Names of stores.
    Storages,
    /// `true` or `false`.
    Boolean,
    /// In words.
    Text(&'static str),
}

/// What holds where no value is given.
#[derive(Clone, Copy)]
pub(crate) enum Default {
    /// This value.
    Value(&'static str),
    /// None.
    Unset,
    /// None, and whoever uses the setting decides: told in words.
    Decided(&'static str),
}

impl Default {
    pub(crate) const fn value(self) -> Option<&'static str> {
        match self {
            Self::Value(value) => Some(value),
            Self::Unset | Self::Decided(_) => None,
        }
    }
}

impl Key {
    pub(crate) const fn new(
        name: &'static str,
        values: Values,
        set: fn(&mut Draft, &str) -> Read<()>,
        meaning: &'static str,
    ) -> Self {
        let default = Default::Unset;
        Self {
            name,
            values,
            default,
            meaning,
            set,
            ours: false,
            secret: false,
            without_query: false,
            may_be_empty: false,
        }
    }

    pub(crate) const fn default(self, value: &'static str) -> Self {
        Self { default: Default::Value(value), ..self }
    }

    pub(crate) const fn decided(self, words: &'static str) -> Self {
        Self { default: Default::Decided(words), ..self }
    }

    pub(crate) const fn ours(self) -> Self {
        Self { ours: true, ..self }
    }

    pub(crate) const fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    pub(crate) const fn without_query(self) -> Self {
        Self { without_query: true, ..self }
    }

    pub(crate) const fn may_be_empty(self) -> Self {
        Self { may_be_empty: true, ..self }
    }
}

/// Keys of old releases of the reference, which its present release ignores, with their successors.
static RETIRED: &[(&str, &str)] = &[
    ("artifacts.taskrun.formats.enabled", "artifacts.taskrun.format"),
    ("artifacts.taskrun.storage.enabled", "artifacts.taskrun.storage"),
    ("formats.enabled-formats", "artifacts.taskrun.format"),
    ("signer.x509.kmsRef", "signers.kms.kmsref"),
    ("signers.kms.auth.path", "signers.kms.auth.oidc.path"),
    ("signers.kms.auth.role", "signers.kms.auth.oidc.role"),
    ("signers.kms.auth.token-dir", "signers.kms.auth.token-path"),
    ("signers.x509.fulcio.auth", "signers.x509.fulcio.provider"),
];

/// Where Knative keeps an example of the other keys; never read.
const EXAMPLE: &str = "_example";

/// All rows.
pub(crate) fn all() -> impl Iterator<Item = &'static Key> {
    KEYS.iter().flat_map(|section| section.keys)
}

/// The faults of those that are not in the table.
pub(crate) fn unknown<'a>(
    names: impl Iterator<Item = &'a String>,
    extras: &[&'static ExtraStore],
) -> Vec<Fault> {
    // Comparing with every key takes a while: a file of another kind has unknown keys only.
    const MOST_SUGGESTIONS: usize = 100;
    let extra = extras.iter().flat_map(|store| store.keys).map(|key| key.name);
    let known: Vec<&'static str> = all().map(|key| key.name).chain(extra).collect();
    names
        .filter(|name| *name != EXAMPLE && !known.contains(&name.as_str()))
        .enumerate()
        .map(|(index, name)| unknown_key(name, &known, index < MOST_SUGGESTIONS))
        .collect()
}

fn unknown_key(name: &str, known: &[&'static str], suggest: bool) -> Fault {
    if let Some((_, successor)) = RETIRED.iter().find(|(old, _)| *old == name) {
        let message = "a key of old releases that is no longer read";
        return Fault { suggestion: Some((*successor).to_owned()), ..Fault::of(name, message) };
    }
    let suggestion = if suggest { nearest(name, known) } else { None };
    Fault { suggestion: suggestion.map(str::to_owned), ..Fault::of(name, "unknown key") }
}

/// The key with the fewest edits between, unless that would be more than half of it.
fn nearest(name: &str, known: &[&'static str]) -> Option<&'static str> {
    // Longer than any key by far: not a slip of the pen, and slow to compare.
    const LONGEST: usize = 128;
    if name.len() > LONGEST {
        return None;
    }
    let name = name.to_lowercase();
    known
        .iter()
        .map(|key| (strsim::damerau_levenshtein(&name, key), *key))
        .filter(|(edits, key)| edits * 2 <= key.len())
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, key)| key)
}
