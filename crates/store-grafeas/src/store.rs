//! The store: what the calls of the server make together.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use chains_core::{
    Capabilities, Error, ErrorKind, Outcome, ReadBack, ReadQuery, Record, Result, RunRef, Store,
    Stored, Target,
};
use futures_util::stream::{self, StreamExt as _};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::GrafeasOptions;
use crate::api::Api;
use crate::layout::{self, Found, Names, Note, Occurrence};

/// How many artifacts of one record are written at once.
const PARALLEL: usize = 8;
/// How many artifacts can be written at the same time at most.
const TURNS: usize = 256;
/// How many notes are remembered: a cluster has fewer namespaces.
const MOST_NOTES: usize = 4096;

/// Keeps records as notes and occurrences of Grafeas.
///
/// ```
/// use chains_store_grafeas::{GrafeasOptions, GrafeasStore};
///
/// let store = GrafeasStore::new(GrafeasOptions::new("my-project"))?;
/// # Ok::<(), chains_core::Error>(())
/// ```
#[derive(Debug)]
pub struct GrafeasStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    api: Api,
    names: Names,
    turns: Vec<Arc<Mutex<()>>>,
    notes: std::sync::Mutex<HashSet<String>>,
}

/// What became of one occurrence.
struct Kept {
    name: String,
    is_new: bool,
}

impl GrafeasStore {
    /// Speaks to nobody yet: that is for the first record.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] where the options cannot be used.
    pub fn new(options: GrafeasOptions) -> Result<Self> {
        let inner = Inner {
            api: Api::new(&options)?,
            names: Names::new(&options)?,
            turns: std::iter::repeat_with(Arc::default).take(TURNS).collect(),
            notes: std::sync::Mutex::default(),
        };
        Ok(Self(Arc::new(inner)))
    }

    fn what(&self, doing: &str, target: &Target, run: &RunRef) -> String {
        let (address, project) = (self.0.api.address(), &self.0.names.project);
        match target {
            Target::Run => {
                format!("{doing} what is signed of {run} at {address}, project {project}")
            }
            Target::Image(image) => {
                format!(
                    "{doing} the signature of {image}, of {run}, at {address}, project {project}"
                )
            }
        }
    }
}

impl Inner {
    /// Sees to it that the occurrence is there once.
    async fn keep(&self, what: &str, note: &Note, occurrence: &Occurrence) -> Result<Kept> {
        let what = format!("{what}: {}", occurrence.resource);
        let _turn = self.turn(occurrence).await;
        let is_there = |found: &Found| occurrence.is(found);
        let found = self.api.find(&what, occurrence.kind, &occurrence.resource, is_there).await?;
        if let Some(found) = found {
            return Ok(Kept { name: found.name, is_new: false });
        }
        self.note(&what, note).await?;
        let name = match self.api.create(&what, occurrence).await {
            // Somebody has deleted the note since it was made.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.forget(note);
                self.note(&what, note).await?;
                self.api.create(&what, occurrence).await?
            }
            made => made?,
        };
        Ok(Kept { name, is_new: true })
    }

    async fn note(&self, what: &str, note: &Note) -> Result<()> {
        if self.notes.lock().unwrap_or_else(PoisonError::into_inner).contains(&note.id) {
            return Ok(());
        }
        self.api.note(what, note).await?;
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.len() >= MOST_NOTES {
            notes.clear();
        }
        notes.insert(note.id.clone());
        Ok(())
    }

    fn forget(&self, note: &Note) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).remove(&note.id);
    }

    /// Those who write about the same artifact take turns: none makes what another is making.
    async fn turn(&self, occurrence: &Occurrence) -> Option<OwnedMutexGuard<()>> {
        let mut hasher = DefaultHasher::new();
        (&occurrence.note, &occurrence.resource).hash(&mut hasher);
        let index = usize::try_from(hasher.finish() % TURNS as u64).unwrap_or_default();
        match self.turns.get(index) {
            Some(turn) => Some(Arc::clone(turn).lock_owned().await),
            None => None,
        }
    }
}

#[async_trait]
impl Store for GrafeasStore {
    fn name(&self) -> &str {
        "grafeas"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { dsse: true, detached: true, unsigned: false }
    }

    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) where the record is not signed or of the format `tekton`,
    /// [`Unauthorized`](ErrorKind::Unauthorized) where rights are missing, [`NotFound`](ErrorKind::NotFound) where the
    /// project is, or where there is no such server, [`TooLarge`](ErrorKind::TooLarge) where the server takes no message
    /// of this size, [`Unavailable`](ErrorKind::Unavailable) and [`Timeout`](ErrorKind::Timeout) where it is in trouble.
    async fn put(&self, record: &Record) -> Result<Outcome> {
        let what = Arc::new(self.what("keeping", &record.target, &record.run));
        let plan = self.0.names.plan(record).map_err(|e| e.context(&*what))?;
        if plan.occurrences.is_empty() {
            let why = "the run made no artifact that an occurrence could be attached to";
            return Ok(Outcome::Skipped(why.to_owned()));
        }
        let note = Arc::new(plan.note);
        let mut puts = Vec::new();
        for occurrence in plan.occurrences {
            let (inner, note, what) = (Arc::clone(&self.0), Arc::clone(&note), Arc::clone(&what));
            // What is sent may be done whether or not the caller still waits: so its answer is waited for, and the turn
            // kept, by a task of its own.
            puts.push(async move {
                let keeping = async move { inner.keep(&what, &note, &occurrence).await };
                tokio::spawn(keeping).await
            });
        }
        let kept: Vec<_> = stream::iter(puts).buffered(PARALLEL).collect().await;
        let mut locations = Vec::new();
        let mut is_new = false;
        for one in kept {
            let one = one.map_err(|e| Error::new(ErrorKind::Internal, &*what).with_source(e))??;
            is_new |= one.is_new;
            locations.push(self.0.api.location(&one.name));
        }
        let location = locations.join(", ");
        Ok(if is_new { Outcome::Stored { location } } else { Outcome::AlreadyStored { location } })
    }
}

#[async_trait]
impl ReadBack for GrafeasStore {
    /// What the run's note holds of the artifacts, each payload with each signature once.
    ///
    /// # Errors
    /// What the server refuses for.
    async fn read_back(&self, query: ReadQuery<'_>) -> Result<Vec<Stored>> {
        let what = self.what("reading", query.target, query.run);
        let note = self.0.names.note(query.run, query.target).map_err(|e| e.context(&what))?;
        let note_name = self.0.names.of_note(&note.id);
        let mut seen = HashSet::new();
        let mut stored = Vec::new();
        for resource in layout::resources(query.target, &query.key.full, query.subjects) {
            let mut of_note = Vec::new();
            let keep = |found: &Found| {
                if found.note_name == note_name && found.resource_uri == resource {
                    // Others may have attached to the note what is no envelope.
                    if let Some((payload, sig)) = found.parts()
                        && seen.insert((payload.clone(), sig.clone()))
                    {
                        of_note.push((found.name.clone(), payload, sig));
                    }
                }
                false
            };
            self.0.api.find(&what, note.kind, &resource, keep).await?;
            of_note.sort_by(|a, b| a.0.cmp(&b.0));
            stored.extend(of_note.into_iter().map(|(name, payload, sig)| Stored {
                location: self.0.api.location(&name),
                payload,
                signed: Some(layout::signed(sig)),
                certificate: None,
                chain: None,
            }));
        }
        Ok(stored)
    }
}
