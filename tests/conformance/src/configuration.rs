//! From a case's configuration to formats, by the way that `chains payload --jsonl` goes.

use std::collections::BTreeMap;

use chains_backends::Formats;
use chains_config::{Layers, Origin};
use chains_core::{Result, RunKind};
use chains_formats::jsonl::Chosen;

/// The formats that a case's configuration asks for, over the defaults.
///
/// # Errors
/// Everything that is wrong with the configuration.
pub fn choose(config: BTreeMap<String, String>, kind: RunKind) -> Result<Chosen> {
    let config = Layers::new().pairs(Origin::CommandLine, config).resolve()?;
    Ok(Formats::new(&config)?.chosen(kind))
}
