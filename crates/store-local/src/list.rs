//! Finding the records of a folder without knowing the runs, and naming all else that is in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirEntry, FileType};
use std::path::{Path, PathBuf};

use chains_core::bundle::Bundle;
use chains_core::{ImageDigest, PublicKey, Result, RunKind, Stored};

use crate::files::{EXTENSIONS, PAYLOAD, failed};
use crate::{LOCK, names, read};

/// The folder in which `chains sign` puts runs with their annotations; a namespace may be called the same.
const RUNS: &str = "runs";
/// Files that `chains sign` puts beside the namespaces.
const KEY_PAIR: [&str; 2] = ["chains.key", "chains.pub"];

/// Everything that is in a folder.
#[derive(Debug, Default)]
pub struct Listing {
    /// The records, sorted by path.
    pub records: Vec<Listed>,
    /// What is no part of a record, sorted by path.
    pub unrecognised: Vec<Unrecognised>,
}

/// A record that was found in a folder.
#[derive(Debug)]
pub struct Listed {
    /// The file with the payload.
    pub path: PathBuf,
    /// What the file's name says it is.
    pub kind: RecordKind,
    /// What is kept, or why it cannot be read.
    pub record: Result<LocalRecord>,
    /// Name of the run's folder.
    folder: String,
    stem: String,
}

/// What a record is, by the name of its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordKind {
    /// `provenance`: an in-toto statement about the run, in an envelope.
    Provenance,
    /// `status`: the status of the run, as the format `tekton` signs it.
    Status,
    /// `image-…`: the signature of an image.
    Image,
}

/// Something in a folder that this store did not put there, or not in this place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unrecognised {
    /// Where it is.
    pub path: PathBuf,
    /// What is odd about it.
    pub why: &'static str,
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

impl Listed {
    /// The kind of run that the folder is named for.
    #[must_use]
    pub fn run_kind(&self) -> Option<RunKind> {
        names::run_kind(&self.folder)
    }

    /// Whether the folder is named for a run with this UID; `None` where its name has a hash in place of it.
    #[must_use]
    pub fn is_of_uid(&self, uid: &str) -> Option<bool> {
        (!self.folder.contains(names::HASHED)).then(|| self.folder.ends_with(&format!("-{uid}")))
    }

    /// Whether the file is named for this image, in this repository.
    #[must_use]
    pub fn is_of_image(&self, image: &ImageDigest) -> bool {
        self.kind == RecordKind::Image && self.stem == names::image_stem(image)
    }
}

/// Where a folder is in the tree.
#[derive(Debug, Clone, Copy)]
enum Level {
    /// Holds namespaces.
    Top,
    /// Holds runs' folders.
    Namespace,
    /// Holds records.
    Run,
}

pub(crate) fn everything(dir: &Path) -> Result<Listing> {
    let mut found = Listing::default();
    match level(dir)? {
        Level::Top => found.top(dir)?,
        Level::Namespace => found.namespace(dir, false)?,
        Level::Run => found.run(dir)?,
    }
    found.records.sort_by(|left, right| left.path.cmp(&right.path));
    found.unrecognised.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(found)
}

/// A folder named and filled like a run's is one, and one that holds such is a namespace's.
fn level(dir: &Path) -> Result<Level> {
    if is_run(dir)? {
        return Ok(Level::Run);
    }
    for (entry, kind) in entries(dir)? {
        if kind.is_dir() && is_run(&entry.path())? {
            return Ok(Level::Namespace);
        }
    }
    Ok(Level::Top)
}

fn is_run(dir: &Path) -> Result<bool> {
    if names::run_kind(&name_of(dir)).is_none() {
        return Ok(false);
    }
    let is_payload = |entry: &DirEntry| {
        let name = entry.file_name();
        let parts = name.to_str().and_then(split);
        parts.is_some_and(|(_, _, extension)| extension == PAYLOAD)
    };
    Ok(entries(dir)?.iter().any(|(entry, _)| is_payload(entry)))
}

/// The folder's own name, also of `.` and of a link to it.
fn name_of(dir: &Path) -> String {
    let real = fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
    real.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn entries(dir: &Path) -> Result<Vec<(DirEntry, FileType)>> {
    let unreadable = |e| failed(&format!("reading the folder {}", dir.display()), e);
    let entries = fs::read_dir(dir).map_err(unreadable)?;
    // The type of a link is a link: none is followed.
    entries
        .map(|entry| entry.and_then(|entry| entry.file_type().map(|kind| (entry, kind))))
        .collect::<std::io::Result<_>>()
        .map_err(unreadable)
}

impl Listing {
    fn top(&mut self, dir: &Path) -> Result<()> {
        for (entry, kind) in entries(dir)? {
            let (path, name) = (entry.path(), entry.file_name());
            let is_known = KEY_PAIR.iter().chain(&[LOCK]).any(|known| name == **known);
            if kind.is_dir() {
                self.namespace(&path, name == RUNS)?;
            } else if !(kind.is_file() && is_known) {
                self.odd(path, kind, "no record of a run");
            }
        }
        Ok(())
    }

    fn namespace(&mut self, dir: &Path, has_documents: bool) -> Result<()> {
        for (entry, kind) in entries(dir)? {
            let path = entry.path();
            let is_document = path.extension().is_some_and(|ending| ending == PAYLOAD);
            if kind.is_dir() && names::run_kind(&name_of(&path)).is_some() {
                self.run(&path)?;
            } else if !(has_documents && kind.is_file() && is_document) {
                self.odd(path, kind, "no folder of a run");
            }
        }
        Ok(())
    }

    fn run(&mut self, dir: &Path) -> Result<()> {
        let mut records: BTreeMap<String, (RecordKind, BTreeSet<&'static str>)> = BTreeMap::new();
        for (entry, kind) in entries(dir)? {
            let name = entry.file_name();
            match name.to_str().and_then(split) {
                Some((what, stem, extension)) if kind.is_file() => {
                    records
                        .entry(stem.to_owned())
                        .or_insert((what, BTreeSet::new()))
                        .1
                        .insert(extension);
                }
                _ => self.odd(entry.path(), kind, "no file of a record"),
            }
        }
        if records.is_empty() {
            self.unrecognised.push(Unrecognised {
                path: dir.to_owned(),
                why: "a run's folder without a record",
            });
        }
        for (stem, (kind, extensions)) in records {
            self.record(dir, stem, kind, &extensions);
        }
        Ok(())
    }

    fn record(
        &mut self,
        dir: &Path,
        stem: String,
        kind: RecordKind,
        there: &BTreeSet<&'static str>,
    ) {
        let path = |extension: &str| dir.join(format!("{stem}.{extension}"));
        match read::record(dir, &stem).transpose() {
            Some(record) if there.contains(PAYLOAD) => {
                let path = path(PAYLOAD);
                self.records.push(Listed { path, kind, record, folder: name_of(dir), stem });
            }
            _ => {
                let why = "the payload that belongs to it is missing";
                let of = |extension: &&str| Unrecognised { path: path(extension), why };
                self.unrecognised.extend(there.iter().map(of));
            }
        }
    }

    fn odd(&mut self, path: PathBuf, kind: FileType, why: &'static str) {
        let why = if kind.is_symlink() { "a link" } else { why };
        self.unrecognised.push(Unrecognised { path, why });
    }
}

/// A file's name as this store gives it: what it is of, stem and extension.
fn split(name: &str) -> Option<(RecordKind, &str, &'static str)> {
    // The longest extension that fits: `dsse.json` ends in `json` too.
    let ends =
        |extension: &&&str| name.strip_suffix(**extension).is_some_and(|stem| stem.ends_with('.'));
    let extension = EXTENSIONS.iter().filter(ends).max_by_key(|extension| extension.len())?;
    let stem = name.strip_suffix(extension)?.strip_suffix('.')?;
    let kind = match stem {
        names::PROVENANCE => RecordKind::Provenance,
        names::STATUS => RecordKind::Status,
        image if image.starts_with(names::IMAGE) => RecordKind::Image,
        _ => return None,
    };
    Some((kind, stem, extension))
}
