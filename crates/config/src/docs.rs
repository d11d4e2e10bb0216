//! `docs/configuration.md`, written from the table.

use std::fmt::Write as _;

use crate::FormatName;
use crate::StorageName;
use crate::keys::{Default, Key, Values};
use crate::table::KEYS;

const INTRODUCTION: &str = "\
# Configuration

Written from the table in `crates/config` by `cargo xtask docs`: change it there.

Chains reads the ConfigMap `chains-config` in its own namespace, `tekton-chains`. `chains sign --config` and
`chains config validate` take the same as a file: the manifest in YAML or JSON (alone or among others), a flat map of
keys, or lines of `key=value`.

- An unknown key is an error that names the nearest known one, and a value that is not allowed is an error that tells
  what is. All faults are told at once.
- An empty value is the same as none, except for the `storage` keys of artifacts, where it turns the artifact off.
- Spaces around a value do not count.
- Booleans are `true` and `false` in any case; `t`, `f`, `1` and `0`, which the reference takes, are taken too.
  `transparency.enabled: \"True\"` means `true` (the reference takes that for `false`).
- The controller follows the ConfigMap: a change takes effect as a whole, at once. One with faults is refused as a
  whole, and what was in force before stays; log, Events of the ConfigMap, `/readyz` and the metric
  `chains_config_valid` tell. Without the ConfigMap nothing is signed; where it is deleted while the controller runs,
  what it said last stays in force until the controller starts again.
- The key `_example`, where Knative keeps documentation, is not read.
- *ours* marks what the reference, Tekton Chains in Go, does not have.
";

/// The whole of `docs/configuration.md`: key, values, default and meaning, grouped.
#[must_use]
pub fn docs_table() -> String {
    let mut page = INTRODUCTION.to_owned();
    for section in KEYS {
        let _ = write!(page, "\n## {}\n", section.title);
        if !section.text.is_empty() {
            let _ = write!(page, "\n{}\n", section.text);
        }
        page.push_str("\n| key | values | default | what it does |\n|---|---|---|---|\n");
        for key in section.keys {
            page.push_str(&row(key));
        }
    }
    page
}

fn row(key: &Key) -> String {
    let Key { name, meaning, .. } = key;
    let default = match key.default {
        Default::Value(value) => format!("`{value}`"),
        Default::Unset => String::new(),
        Default::Decided(words) => words.to_owned(),
    };
    let ours = if key.ours { " (*ours*)" } else { "" };
    format!("| `{name}`{ours} | {} | {default} | {meaning} |\n", values(key.values))
}

fn values(values: Values) -> String {
    match values {
        Values::Formats(formats) => quoted(formats.iter().map(|format| match format {
            FormatName::Tekton => "`tekton` (*ours*)".to_owned(),
            other => format!("`{other}`"),
        })),
        Values::OneOf(words) => quoted(words.iter().map(|word| format!("`{word}`"))),
        Values::Storages => {
            let words = quoted(StorageName::ALL.iter().map(|storage| match storage {
                StorageName::PubSub => format!("`{storage}` or `{}`", StorageName::KAFKA),
                StorageName::Local => format!("`{storage}` (*ours*)"),
                other => format!("`{other}`"),
            }));
            format!("a comma list of {words}")
        }
        Values::Boolean => "`true`, `false`".to_owned(),
        Values::Text(words) => words.to_owned(),
    }
}

fn quoted(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(", ")
}
