//! Finding the records of a folder without knowing the runs.

use std::fs;
use std::path::{Path, PathBuf};

use chains_core::bundle::Bundle;
use chains_core::{PublicKey, Result, Stored};

use crate::files::{BUNDLE, ENVELOPE, PAYLOAD, failed};
use crate::names::{PROVENANCE, STATUS};
use crate::read;

/// Folder, namespace, run.
const DEEPEST: usize = 2;

/// A record that was found in a folder.
#[derive(Debug)]
pub struct Listed {
    /// The file with the payload.
    pub path: PathBuf,
    /// What is kept, or why it cannot be read.
    pub record: Result<LocalRecord>,
}

/// A record as a folder keeps it. Nothing of it is verified.
#[derive(Debug, Clone)]
pub struct LocalRecord {
    /// Payload and signature.
    pub stored: Stored,
    /// The bundle, which holds the same payload and signature; `None` for what is not signed.
    pub bundle: Option<Bundle>,
    /// The public key that lies beside the signature: good for convenience, not for trust.
    pub public_key: Option<PublicKey>,
}

pub(crate) fn records(dir: &Path) -> Result<Vec<Listed>> {
    let mut found = Vec::new();
    visit(dir, 0, &mut found)?;
    found.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(found)
}

fn visit(dir: &Path, depth: usize, found: &mut Vec<Listed>) -> Result<()> {
    let unreadable = |e| failed(&format!("reading the folder {}", dir.display()), e);
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        // The type of a link is a link: none is followed.
        let kind = entry.file_type().map_err(unreadable)?;
        let path = entry.path();
        if kind.is_dir() && depth < DEEPEST {
            visit(&path, depth + 1, found)?;
        } else if kind.is_file()
            && let Some(stem) = stem(&path)
            && let Some(record) = read::record(dir, stem).transpose()
        {
            found.push(Listed { record, path });
        }
    }
    Ok(())
}

/// The stem of a file that holds a payload, as this store names them.
fn stem(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?;
    if [ENVELOPE, BUNDLE].into_iter().any(|other| name.ends_with(&format!(".{other}"))) {
        return None;
    }
    let stem = name.strip_suffix(PAYLOAD)?.strip_suffix('.')?;
    (stem == PROVENANCE || stem == STATUS || stem.starts_with("image-")).then_some(stem)
}
