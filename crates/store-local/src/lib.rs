//! Keeps records in a folder, for people and for `cosign` to read.
//!
//! ```text
//! chains-out/
//!   default/                                          the namespace
//!     taskrun-build-5d1e0c6e-2f6e-4a4e-8b0e-9f0e6a1d2c3b/    kind, name and UID of the run
//!       provenance.json                               the statement, indented
//!       provenance.dsse.json                          the envelope: statement and signature
//!       provenance.sigstore.json                      a Sigstore bundle of the same
//!       provenance.pub                                the public key
//!       image-app-4283fefc63f0-0f3a….json             what is signed for an image, byte for byte
//!       image-app-4283fefc63f0-0f3a….sig              the detached signature, base64
//!       image-app-4283fefc63f0-0f3a….sigstore.json    a Sigstore bundle of it
//!       image-app-4283fefc63f0-0f3a….pub              the public key
//! ```
//!
//! With a certificate there are also `….crt` and `….chain.crt`; without a signature there is the `.json` alone.
//!
//! # Guarantees
//! - Whatever a run is called, nothing is written outside the folder, and two runs never share a folder.
//! - A file is there whole or not at all; two writers of the same record leave one whole record, be they in one
//!   process or in two: they take turns by a lock on the file `.lock` in the folder.
//! - Keeping the same record again changes nothing. Another signature for the same target replaces the first.
//!
//! # Caveats
//! Where the file system has no locks, writers in different processes do not take turns. Readers do not wait for
//! writers: while another signature replaces the first, files of both may be seen.
//!
//! Files are not forced to the disk: after a power cut the last records may be missing, and are written again
//! when the run is signed again.

mod files;
mod json;
mod list;
mod names;
mod read;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use chains_core::{
    Capabilities, Error, ErrorKind, Outcome, ReadBack, ReadQuery, Record, Result, Store, Stored,
};
use tokio::sync::Mutex;

use files::RecordFiles;
pub use list::{Listed, Listing, LocalRecord, RecordKind, Unrecognised};

/// Locked while a record is written.
const LOCK: &str = ".lock";

/// Keeps records in a folder.
///
/// ```
/// use chains_store_local::LocalStore;
/// let store = LocalStore::new("./chains-out");
/// assert_eq!(store.dir(), std::path::Path::new("./chains-out"));
/// ```
#[derive(Debug, Clone)]
pub struct LocalStore {
    dir: PathBuf,
    /// Two writers of one record could otherwise leave files of both. Tasks wait here, processes at [`LOCK`].
    writing: Arc<Mutex<()>>,
}

impl LocalStore {
    /// Keeps records in `dir`, which is made when the first one comes.
    #[must_use]
    pub fn new(dir: impl AsRef<Path>) -> Self {
        Self { dir: dir.as_ref().to_owned(), writing: Arc::default() }
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Everything in the folder: the records, and what is no record.
    ///
    /// A folder within, of a namespace or of a run, is listed just as well, as long as it has its name. One
    /// record that cannot be read does not hide the others: each has its own result. What `chains sign` puts
    /// beside the records is neither: the key pair, and JSON files in `runs/`.
    ///
    /// Whether a record is missing altogether cannot be told.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) where the folder is not there, or the reason why it cannot be read.
    pub async fn list(&self) -> Result<Listing> {
        let dir = self.dir.clone();
        blocking(move || list::everything(&dir)).await
    }
}

#[async_trait]
impl Store for LocalStore {
    fn name(&self) -> &str {
        "local"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { dsse: true, detached: true, unsigned: true }
    }

    /// # Errors
    /// Names the file and why it cannot be written.
    async fn put(&self, record: &Record) -> Result<Outcome> {
        let files = RecordFiles::of(record)?;
        let dir = self.dir.join(names::run_dir(&record.run));
        let location = files.location(&dir);
        let alone = self.writing.lock().await;
        let root = self.dir.clone();
        let changed = blocking(move || {
            let _locked = lock(&root)?;
            files.write(&dir)
        })
        .await?;
        drop(alone);
        Ok(if changed { Outcome::Stored { location } } else { Outcome::AlreadyStored { location } })
    }
}

#[async_trait]
impl ReadBack for LocalStore {
    /// # Errors
    /// Names the file that cannot be read, and
    /// [`Verification`](ErrorKind::Verification) where a bundle is not of the signature beside it.
    async fn read_back(&self, query: ReadQuery<'_>) -> Result<Vec<Stored>> {
        let dir = self.dir.join(names::run_dir(query.run));
        let stems = names::stems(query.target, query.key);
        blocking(move || {
            let records = stems.into_iter().map(|stem| read::record(&dir, &stem));
            records.filter_map(Result::transpose).map(|record| Ok(record?.stored)).collect()
        })
        .await
    }
}

/// Waits for other processes; the lock ends with the file. `None` where the file system has no locks.
fn lock(root: &Path) -> Result<Option<File>> {
    fs::create_dir_all(root)
        .map_err(|e| files::failed(&format!("making the folder {}", root.display()), e))?;
    let path = root.join(LOCK);
    // It is not to be cut: there may be a link in its place.
    let file = File::options().read(true).write(true).create(true).truncate(false).open(&path);
    let file = file.map_err(|e| files::failed(&format!("opening {}", path.display()), e))?;
    Ok(file.lock().is_ok().then_some(file))
}

/// Files block: not where other tasks wait.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| Error::new(ErrorKind::Internal, "working with files").with_source(e))?
}
