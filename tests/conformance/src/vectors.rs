//! Where the recorded vectors are. They are not part of the repository.

use std::path::PathBuf;

/// Names the file, where it is not in its usual place; empty, it says that there is none.
pub const VARIABLE: &str = "CHAINS_VECTORS";

/// How many vectors were recorded.
pub const COUNT: usize = 854;

/// The file with the recorded vectors, if there is one.
#[must_use]
pub fn path() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os(VARIABLE) {
        return Some(PathBuf::from(path)).filter(|path| !path.as_os_str().is_empty());
    }
    let usual =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance/provenance.jsonl");
    Some(PathBuf::from(usual)).filter(|path| path.exists())
}
