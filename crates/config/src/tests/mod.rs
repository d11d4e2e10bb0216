//! Tests over the table of keys: every row, every rule, every form of input.

mod forms;
mod rows;
mod rules;
mod samples;

use crate::{Config, Faults, Layers, Origin};

/// Reads `key=value` pairs.
fn config(pairs: &[(&str, &str)]) -> Result<Config, Faults> {
    Config::from_pairs(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())))
}

/// Checks what is told about a text: nothing, or these faults, one a line.
#[track_caller]
fn check(text: &str, expect: &str) {
    let told = match Config::read(text) {
        Ok(_) => String::new(),
        Err(faults) => faults.iter().map(|fault| format!("{fault}\n")).collect(),
    };
    assert_eq!(told.trim_end(), expect.trim(), "reading {text:?}");
}

#[test]
fn defaults_have_no_faults() {
    let (config, faults) = Layers::new().resolve_with_faults();
    assert_eq!(faults, []);
    assert_eq!(config, Config::default());
    assert_eq!(config, Config::from_pairs([]).unwrap());
    assert!(config.settings().iter().all(|setting| setting.origin == Origin::Default));
}
