//! Sigstore bundles beside an image: each in a manifest of its own that refers to the image, as OCI 1.1 has it.
//!
//! Registries list what refers to a manifest. Where one does not, whoever writes keeps the list: an index under the
//! tag `sha256-<hex>` ([referrers tag schema][schema]), which others write to at the same time.
//! `cosign` 3 writes and reads the same.
//!
//! [schema]: https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema

mod bundle;
mod index;
mod read;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chains_core::{Digest, ImageName};
use oci_distribution::manifest::OCI_IMAGE_MEDIA_TYPE;

use crate::commit::{Change, Document as _, Place, Tags};
use crate::fault::Result;
use crate::manifest::Descriptor;
use crate::read::Budget;
use crate::registry::{Access, Put, Repository, jitter};

use bundle::{EMPTY, Referrer, SIGNATURE};
pub(crate) use bundle::{NewBundle, Subject};
use index::Index;
pub use read::{Bundled, Bundles};
pub(crate) use read::{bundles, predicate_type};

/// How long to wait at first before blobs that the registry misses are uploaded again.
const MISSED_BACKOFF: Duration = Duration::from_millis(100);

/// How many bundles of the same signature are looked at: anybody who may push may add such.
const MAX_MARKED: usize = 8;

/// Writes bundles.
#[derive(Debug)]
pub(crate) struct Referrers {
    tags: Tags<Index>,
    /// The manifests that are being written: the same one is not written twice at once.
    writing: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

/// What refers to a manifest.
#[derive(Debug)]
struct Listed {
    descriptors: Vec<Descriptor>,
    /// Whether the registry keeps the list.
    by_registry: bool,
}

/// The tag of the list of what refers to a manifest, where the registry keeps none.
fn tag(subject: &Digest) -> String {
    format!("{}-{}", subject.algorithm(), subject.hex())
}

/// Reads the list of what refers to a manifest.
async fn list(repository: &Repository, subject: &Digest, access: Access) -> Result<Listed> {
    let what = format!("listing what refers to {subject}");
    if let Some(pages) = repository.referrers(subject, access).await? {
        let mut descriptors: Vec<Descriptor> = Vec::new();
        for page in &pages {
            descriptors.extend(Index::parse(&what, page)?.manifests);
        }
        return Ok(Listed { descriptors, by_registry: true });
    }
    let index = repository.manifest(&tag(subject), access).await?;
    let index = index.map(|index| Index::parse(&what, &index.bytes)).transpose()?;
    let descriptors = index.map(|index| index.manifests).unwrap_or_default();
    Ok(Listed { descriptors, by_registry: false })
}

impl Referrers {
    pub(crate) fn new(settle: Duration) -> Self {
        Self { tags: Tags::new(settle), writing: Mutex::default() }
    }

    /// Adds a bundle to those of a manifest, unless it is there; tells the digest of the manifest that holds it.
    pub(crate) async fn add(
        &self,
        repository: &Repository,
        name: &ImageName,
        subject: &Subject,
        bundle: &NewBundle,
    ) -> Result<(Change, Digest)> {
        let referrer = Referrer::new(bundle, subject);
        let location = format!("{name}@{}", referrer.digest);
        let lock = self.lock_of(&location);
        let alone = lock.lock().await;
        let change = self.add_alone(repository, name, &subject.digest, bundle, &referrer).await;
        drop(alone);
        self.forget(&location, &lock);
        change
    }

    async fn add_alone(
        &self,
        repository: &Repository,
        name: &ImageName,
        subject: &Digest,
        bundle: &NewBundle,
        referrer: &Referrer,
    ) -> Result<(Change, Digest)> {
        let listed = list(repository, subject, Access::Push).await?;
        let descriptor = &referrer.descriptor;
        if listed.descriptors.iter().any(|there| there.digest == descriptor.digest) {
            return Ok((Change::None, referrer.digest.clone()));
        }
        if let Some(digest) = covering(repository, &listed, bundle, referrer).await? {
            return Ok((Change::None, digest));
        }
        let by_registry = write(repository, bundle, referrer).await? || listed.by_registry;
        // A repository that was not known before the first write had no list to tell of.
        if by_registry || repository.referrers(subject, Access::Push).await?.is_some() {
            return Ok((Change::Added, referrer.digest.clone()));
        }
        let tag = tag(subject);
        let location = format!("{name}:{tag}");
        let place = Place { repository: repository.clone(), location, tag };
        Ok((self.tags.add(&place, descriptor).await?, referrer.digest.clone()))
    }

    fn lock_of(&self, location: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(writing.entry(location.to_owned()).or_default())
    }

    fn forget(&self, location: &str, lock: &Arc<tokio::sync::Mutex<()>>) {
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        // The map's and this one.
        if Arc::strong_count(lock) <= 2 {
            writing.remove(location);
        }
    }
}

/// The one of those listed that holds the same signature with the same log entries, if there is one.
async fn covering(
    repository: &Repository,
    listed: &Listed,
    bundle: &NewBundle,
    referrer: &Referrer,
) -> Result<Option<Digest>> {
    let Some(mark) = referrer.descriptor.annotation(SIGNATURE) else { return Ok(None) };
    let marked = listed.descriptors.iter().filter(|it| it.annotation(SIGNATURE) == Some(mark));
    for candidate in marked.take(MAX_MARKED) {
        let there = read::one(repository, candidate, &Budget::default()).await?;
        if let (Ok(Some(there)), Ok(digest)) = (there, candidate.digest.parse())
            && bundle.is_covered_by(&there.bundle)
        {
            return Ok(Some(digest));
        }
    }
    Ok(None)
}

/// Writes a manifest with what it is made of; tells whether the registry says that it lists it.
///
/// It goes by its digest, so writing it a second time changes nothing.
async fn write(repository: &Repository, bundle: &NewBundle, referrer: &Referrer) -> Result<bool> {
    let reference = referrer.digest.to_string();
    let mut before = 0;
    loop {
        repository.put_blob(bundle.bytes.clone()).await?;
        repository.put_blob(EMPTY).await?;
        let bytes = referrer.bytes.clone();
        match repository.put_manifest(&reference, OCI_IMAGE_MEDIA_TYPE, bytes, before).await? {
            Put::Done { listed, .. } => return Ok(listed),
            Put::Later(wait, fault) => {
                tracing::debug!(%fault, ?wait, "once more");
                tokio::time::sleep(wait).await;
            }
            Put::BlobMissing(fault) => {
                tracing::debug!(%fault, "uploading blobs once more");
                tokio::time::sleep(jitter(MISSED_BACKOFF * (before + 1))).await;
            }
        }
        before += 1;
    }
}
