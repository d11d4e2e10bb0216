//! Adding to a tag that others write to at the same time: layers to a manifest, manifests to an index.
//!
//! Registries have no conditional write: who reads a manifest, adds a layer and writes it back undoes what
//! another has written in between. Against that:
//!
//! 1. Within a store, one writer at a time has a tag. Those that wait for it with the same credential
//!    are served by the one that goes first: one read, one write for all of them.
//! 2. Everything that can be uploaded is uploaded before; then the tag is looked at once more, and written only
//!    if it is still what the new manifest was made from. What is left as *window* are these two requests.
//! 3. After the write, a writer waits for four times as long as its own window took, and for no less than
//!    [`OciOptions::settle`](crate::OciOptions::settle), and looks again: a writer elsewhere that had looked at the tag
//!    before our write has written by then. Whose item is gone starts over, after a random delay.
//!
//! So nothing is lost within a store; among stores and processes, nothing is lost as long as no window is
//! longer than the wait of another writer, and each writer ends with its item confirmed or with an
//! error that says it is not.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use chains_core::{Digest, ErrorKind};
use tokio::sync::OnceCell;

use crate::fault::{Fault, Result};
use crate::registry::{Access, Put, Repository, jitter};

/// How often an item is written anew because another writer undid it.
const MAX_ROUNDS: u32 = 12;
/// How often a document is made anew because the tag has changed before it was written.
const MAX_BASES: u32 = 20;
/// How long to wait at first before blobs that the registry misses are uploaded again.
const MISSED_BACKOFF: Duration = Duration::from_millis(100);
/// How many windows to wait before looking whether a write was undone.
const WINDOWS: u32 = 4;
const LONGEST_SETTLE: Duration = Duration::from_secs(10);
const LONGEST_BACKOFF: Duration = Duration::from_secs(3);

/// What a tag holds: a document that grows by items.
pub(crate) trait Document: Debug + Clone + PartialEq + Send + Sync + 'static {
    /// What is added to it.
    type Item: Debug + Clone + Send + Sync + 'static;

    /// One without items.
    fn empty() -> Self;

    /// Reads what a registry has.
    fn parse(what: &str, bytes: &[u8]) -> Result<Self>;

    /// Whether nothing would be gained by adding the item.
    fn covers(&self, item: &Self::Item) -> bool;

    /// Adds an item after those that are there, which stay.
    fn add(&mut self, what: &str, item: &Self::Item) -> Result<()>;

    /// Its media type, and the document as it is written, with the blob that has to be there before, if any.
    fn write(&self) -> (&str, Bytes, Option<Bytes>);

    /// The blob that has to be there before the item is written, if any, with its digest.
    fn blob(item: &Self::Item) -> Option<(&str, &Bytes)>;
}

/// What became of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// It was there before.
    None,
    /// It is there now.
    Added,
}

/// A tag of a repository.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) repository: Repository,
    /// Of the repository with the tag: `registry.example.com/app:sha256-….att`.
    pub(crate) location: String,
    pub(crate) tag: String,
}

/// The tags that are being written to.
#[derive(Debug)]
pub(crate) struct Tags<D: Document> {
    settle: Duration,
    open: Mutex<HashMap<String, Arc<Tag<D>>>>,
}

#[derive(Debug)]
struct Tag<D: Document> {
    writing: tokio::sync::Mutex<()>,
    waiting: Mutex<Vec<Arc<Ticket<D::Item>>>>,
    seen: Mutex<Option<Snapshot<D>>>,
    /// Blobs by digest: those that are the same are uploaded once, even if many come with one at once.
    uploads: Mutex<HashMap<String, Arc<OnceCell<()>>>>,
}

/// An item that waits to be written.
#[derive(Debug)]
struct Ticket<I> {
    repository: Repository,
    item: I,
    done: Mutex<Option<Result<Written>>>,
}

/// What a tag was when it was looked at last.
#[derive(Debug, Clone)]
struct Snapshot<D> {
    digest: Digest,
    document: D,
}

#[derive(Debug, Clone, Copy)]
enum Written {
    /// Nothing had to be written.
    Nothing,
    /// It was written, and the tag was out of sight for so long.
    After(Duration),
}

impl<D: Document> Tags<D> {
    pub(crate) fn new(settle: Duration) -> Self {
        Self { settle, open: Mutex::default() }
    }

    /// Adds an item to what the tag holds, unless it is there.
    pub(crate) async fn add(&self, place: &Place, item: &D::Item) -> Result<Change> {
        let open = self.open(&place.location);
        self.add_to(&open.tag, place, item).await
    }

    async fn add_to(&self, tag: &Tag<D>, place: &Place, item: &D::Item) -> Result<Change> {
        let base = tag.look(place, None).await?;
        if base.is_some_and(|base| base.document.covers(item)) {
            return Ok(Change::None);
        }
        tag.upload(place, item).await?;
        let mut change = Change::None;
        for round in 0..MAX_ROUNDS {
            match tag.write(place, item).await? {
                Written::Nothing => return Ok(change),
                Written::After(window) => {
                    change = Change::Added;
                    if self.has_settled(tag, place, item, window).await? {
                        return Ok(change);
                    }
                }
            }
            tracing::debug!(location = place.location, round, "another writer undid a write");
            let backoff = (self.settle / 4 * 2u32.saturating_pow(round)).min(LONGEST_BACKOFF);
            tokio::time::sleep(jitter(backoff)).await;
        }
        let why = format!("other writers undid it {MAX_ROUNDS} times");
        Err(Fault::new(ErrorKind::Conflict, format!("writing to {}", place.location), why))
    }

    /// Whether the item is still there once every other writer that began before must have written.
    async fn has_settled(
        &self,
        tag: &Tag<D>,
        place: &Place,
        item: &D::Item,
        window: Duration,
    ) -> Result<bool> {
        let wait = (window * WINDOWS).clamp(self.settle, LONGEST_SETTLE.max(self.settle));
        tokio::time::sleep(wait + jitter(wait / 2)).await;
        let digest = place.repository.manifest_digest(&place.tag, Access::Push).await?;
        let now = tag.look(place, digest.as_ref()).await?;
        Ok(now.is_some_and(|now| now.document.covers(item)))
    }

    fn open<'a>(&'a self, location: &'a str) -> Open<'a, D> {
        let mut open = lock(&self.open);
        let tag = Arc::clone(open.entry(location.to_owned()).or_default());
        Open { tags: self, location, tag }
    }
}

/// A tag that is being written to; it is forgotten with the last who writes, or gives up.
#[derive(Debug)]
struct Open<'a, D: Document> {
    tags: &'a Tags<D>,
    location: &'a str,
    tag: Arc<Tag<D>>,
}

impl<D: Document> Drop for Open<'_, D> {
    fn drop(&mut self) {
        let mut open = lock(&self.tags.open);
        // The map's and this one.
        if Arc::strong_count(&self.tag) <= 2 {
            open.remove(self.location);
        }
    }
}

impl<D: Document> Default for Tag<D> {
    fn default() -> Self {
        Self {
            writing: tokio::sync::Mutex::default(),
            waiting: Mutex::default(),
            seen: Mutex::default(),
            uploads: Mutex::default(),
        }
    }
}

impl<D: Document> Tag<D> {
    /// What the tag holds; from memory where it was seen before with this digest.
    async fn look(&self, place: &Place, digest: Option<&Digest>) -> Result<Option<Snapshot<D>>> {
        if let Some(digest) = digest {
            let seen = lock(&self.seen);
            if let Some(seen) = seen.as_ref().filter(|seen| seen.digest == *digest) {
                return Ok(Some(seen.clone()));
            }
        }
        let Some(fetched) = place.repository.manifest(&place.tag, Access::Push).await? else {
            *lock(&self.seen) = None;
            return Ok(None);
        };
        let what = format!("reading the manifest {}", place.location);
        let document = D::parse(&what, &fetched.bytes)?;
        let snapshot = Snapshot { digest: fetched.digest, document };
        *lock(&self.seen) = Some(snapshot.clone());
        Ok(Some(snapshot))
    }

    async fn upload(&self, place: &Place, item: &D::Item) -> Result<()> {
        let Some((digest, bytes)) = D::blob(item) else { return Ok(()) };
        let cell = {
            let mut uploads = lock(&self.uploads);
            Arc::clone(uploads.entry(digest.to_owned()).or_default())
        };
        let upload = || place.repository.put_blob(bytes.clone());
        cell.get_or_try_init(upload).await.copied()
    }

    /// Writes the item, together with those that wait for the same with the same credential.
    async fn write(&self, place: &Place, item: &D::Item) -> Result<Written> {
        let own = Arc::new(Ticket {
            repository: place.repository.clone(),
            item: item.clone(),
            done: Mutex::default(),
        });
        lock(&self.waiting).push(Arc::clone(&own));
        let _alone = self.writing.lock().await;
        if let Some(done) = lock(&own.done).take() {
            return done;
        }
        let others = self.take_waiting(&own);
        let items: Vec<&D::Item> =
            std::iter::once(item).chain(others.iter().map(|ticket| &ticket.item)).collect();
        let results = self.write_all(place, &items).await;
        let mut results = results.into_iter();
        let first = results.next();
        for (ticket, result) in others.iter().zip(results) {
            *lock(&ticket.done) = Some(result);
        }
        first.unwrap_or(Ok(Written::Nothing))
    }

    /// Those that wait with the same credential: nobody's item is written by another one's right.
    fn take_waiting(&self, own: &Arc<Ticket<D::Item>>) -> Vec<Arc<Ticket<D::Item>>> {
        let mut waiting = lock(&self.waiting);
        let (mine, rest) = std::mem::take(&mut *waiting)
            .into_iter()
            .filter(|ticket| !Arc::ptr_eq(ticket, own))
            .partition(|ticket| ticket.repository.same_session(&own.repository));
        *waiting = rest;
        mine
    }

    /// One result for each item.
    async fn write_all(&self, place: &Place, items: &[&D::Item]) -> Vec<Result<Written>> {
        let mut refused: Vec<Option<Fault>> = Vec::new();
        let written = self.replace(place, items, &mut refused).await;
        let one = |fault: Option<Fault>| fault.map_or_else(|| written.clone(), Err);
        refused.resize(items.len(), None);
        refused.into_iter().map(one).collect()
    }

    /// Reads, adds, writes: until nobody else has written between the two.
    async fn replace(
        &self,
        place: &Place,
        items: &[&D::Item],
        refused: &mut Vec<Option<Fault>>,
    ) -> Result<Written> {
        let what = format!("writing to {}", place.location);
        let mut current = lock(&self.seen).as_ref().map(|seen| seen.digest.clone());
        let mut before = 0;
        for _ in 0..MAX_BASES {
            let base = match &current {
                Some(digest) => self.look(place, Some(digest)).await?,
                None => None,
            };
            let (base_digest, old) = base.map(|base| (base.digest, base.document)).unzip();
            let old = old.unwrap_or_else(D::empty);
            let mut new = old.clone();
            *refused = items.iter().map(|item| new.add(&what, item).err()).collect();
            if new == old {
                return Ok(Written::Nothing);
            }
            if let (_, _, Some(blob)) = new.write() {
                place.repository.put_blob(blob).await?;
            }
            let started = Instant::now();
            current = place.repository.manifest_digest(&place.tag, Access::Push).await?;
            if current != base_digest {
                continue;
            }
            if let Some(digest) = self.put(place, &new, items, before).await? {
                *lock(&self.seen) = Some(Snapshot { digest, document: new });
                return Ok(Written::After(started.elapsed()));
            }
            before += 1;
        }
        let why = format!("it has changed {MAX_BASES} times before it could be written");
        Err(Fault::new(ErrorKind::Conflict, what, why))
    }

    /// Writes a document; `None` where that is worth another attempt, which begins with another look.
    async fn put(
        &self,
        place: &Place,
        document: &D,
        items: &[&D::Item],
        before: u32,
    ) -> Result<Option<Digest>> {
        let repository = &place.repository;
        let (media_type, bytes, _) = document.write();
        match repository.put_manifest(&place.tag, media_type, bytes, before).await? {
            Put::Done { digest, .. } => Ok(Some(digest)),
            Put::Later(wait, fault) => {
                tracing::debug!(%fault, ?wait, "once more");
                tokio::time::sleep(wait).await;
                Ok(None)
            }
            Put::BlobMissing(fault) => {
                tracing::debug!(%fault, "uploading blobs once more");
                tokio::time::sleep(jitter(MISSED_BACKOFF * (before + 1))).await;
                for (_, bytes) in items.iter().filter_map(|item| D::blob(item)) {
                    repository.put_blob(bytes.clone()).await?;
                }
                Ok(None)
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
