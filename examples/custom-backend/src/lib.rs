//! The store `cabinet`: a drawer for each target, in it a sheet for each record.
//!
//! ```text
//! /srv/records/                    storage.cabinet.path
//!   0f3ac1…/                       the drawer: SHA-256 of the record's full key
//!     9b1d54….json                 the sheet: SHA-256 of what is in it
//! ```
//!
//! # Guarantees
//! - A sheet is there whole or not at all, whoever writes at once and wherever it is broken off.
//! - Its name follows from what is in it: the same record is one sheet, however often it is put.

mod sheet;

use std::fs;
use std::io::{ErrorKind as Io, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use chains_backends::Environment;
use chains_config::{Config, ExtraKey, ExtraStore};
use chains_core::{
    Capabilities, Error, ErrorKind, Outcome, ReadBack, ReadQuery, Record, Result, Store, Stored,
};

use crate::sheet::Sheet;

const PATH: &str = "storage.cabinet.path";

/// What `chains-config` may say of it.
pub static CABINET: ExtraStore = ExtraStore {
    name: "cabinet",
    keys: &[ExtraKey { name: PATH, required: true, secret: false }],
    capabilities: CAPABILITIES,
    any_payload: true,
};

const CAPABILITIES: Capabilities = Capabilities { dsse: true, detached: true, unsigned: true };

/// Makes it of what `chains-config` says. What cannot be right is refused here: the configuration before stays.
///
/// # Errors
/// [`Configuration`](ErrorKind::Configuration) naming the key and what it must be.
pub fn build(config: &Config, _: &Environment) -> Result<Arc<dyn Store>> {
    let path = config.extra(CABINET.name).get(PATH).unwrap_or_default();
    if !Path::new(path).is_absolute() {
        let why = format!("`{PATH}`: {path:?} is not an absolute path");
        return Err(Error::new(ErrorKind::Configuration, why));
    }
    Ok(Arc::new(Cabinet::new(path)))
}

/// A folder with drawers.
#[derive(Debug, Clone)]
pub struct Cabinet {
    folder: PathBuf,
}

impl Cabinet {
    /// In this folder, which is made when the first record comes.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    fn drawer(&self, key: &str) -> PathBuf {
        // Names of runs and images are anybody's: none of them becomes a part of a path.
        self.folder.join(sheet::digest(key.as_bytes()))
    }
}

#[async_trait]
impl Store for Cabinet {
    fn name(&self) -> &str {
        CABINET.name
    }

    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    async fn put(&self, record: &Record) -> Result<Outcome> {
        let drawer = self.drawer(&record.key.full);
        let text = Sheet::of(record).to_json();
        let path = drawer.join(format!("{}.json", sheet::digest(text.as_bytes())));
        let location = path.display().to_string();
        let about = format!("writing {location} for {}", record.run);
        blocking(move || {
            if path.exists() {
                return Ok(Outcome::AlreadyStored { location });
            }
            write(&drawer, &path, &text).map_err(|error| failed(&about, error))?;
            Ok(Outcome::Stored { location })
        })
        .await
    }
}

#[async_trait]
impl ReadBack for Cabinet {
    async fn read_back(&self, query: ReadQuery<'_>) -> Result<Vec<Stored>> {
        let drawer = self.drawer(&query.key.full);
        blocking(move || {
            let about = format!("reading {}", drawer.display());
            let paths = list(&drawer).map_err(|error| failed(&about, error))?;
            paths.iter().map(|path| read(path)).collect()
        })
        .await
    }
}

/// Writes beside its place, and moves it there when it is whole.
fn write(drawer: &Path, path: &Path, text: &str) -> std::io::Result<()> {
    fs::create_dir_all(drawer)?;
    let mut file = tempfile::Builder::new().prefix(".unfinished-").tempfile_in(drawer)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    // Whoever was quicker has written the same.
    file.persist(path)?;
    Ok(())
}

/// The sheets of a drawer, in a stable order; none where there is no drawer.
fn list(drawer: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(drawer) {
        Err(error) if error.kind() == Io::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let mut paths: Vec<PathBuf> = paths.collect::<std::io::Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    Ok(paths)
}

fn read(path: &Path) -> Result<Stored> {
    let about = format!("reading {}", path.display());
    let bytes = fs::read(path).map_err(|error| failed(&about, error))?;
    Sheet::from_json(&bytes)
        .and_then(|sheet| sheet.stored(path.display().to_string()))
        .map_err(|error| error.context(about))
}

/// What was attempted, and why it failed. A full disk may be emptied, and rights be given: all of it may pass.
fn failed(about: &str, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, about).with_source(error)
}

/// Files block: not where other tasks wait.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::new(ErrorKind::Internal, "working with files").with_source(error))?
}
