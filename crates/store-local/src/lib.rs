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
//! - A file is there whole or not at all; two writers of the same record leave one whole record.
//! - Keeping the same record again changes nothing. Another signature for the same target replaces the first.
//!
//! # Caveats
//! Files are not forced to the disk: after a power cut the last records may be missing, and are written again
//! when the run is signed again.

mod files;
mod json;
mod list;
mod names;
mod read;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use chains_core::{
    Capabilities, Error, ErrorKind, Outcome, ReadBack, ReadQuery, Record, Result, Store, Stored,
};
use tokio::sync::Mutex;

use files::RecordFiles;
pub use list::{Listed, LocalRecord};

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
    /// Two writers of one record could otherwise leave files of both.
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

    /// Every record in the folder, sorted by path; other files are passed over.
    ///
    /// A folder within, of a namespace or of a run, is listed just as well. One record that cannot be read
    /// does not hide the others: each has its own result.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) where the folder is not there, or the reason why it cannot be read.
    pub async fn list(&self) -> Result<Vec<Listed>> {
        let dir = self.dir.clone();
        blocking(move || list::records(&dir)).await
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
        let changed = blocking(move || files.write(&dir)).await?;
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

/// Files block: not where other tasks wait.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| Error::new(ErrorKind::Internal, "working with files").with_source(e))?
}
