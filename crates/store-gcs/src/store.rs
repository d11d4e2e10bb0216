//! The store: where a record goes, and what is done where something is there already.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use async_trait::async_trait;
use bytes::Bytes;
use chains_core::{
    Capabilities, Error, ErrorKind, Outcome, ReadBack, ReadQuery, Record, Result, Store, Stored,
};
use tokio::sync::{Mutex, MutexGuard};

use crate::layout::{Comparison, Part, Place, Set};
use crate::objects::{Creation, Objects};
use crate::read;

/// How many records may be written at once by one store, unless their names fall together.
const TURNS: usize = 1024;

/// Keeps records as objects in a bucket. See the [crate](crate) for what it guarantees.
#[derive(Debug)]
pub struct BucketStore {
    name: &'static str,
    prefix: String,
    pub(crate) objects: Box<dyn Objects>,
    turns: Turns,
}

/// What became of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// It was not all there, and is now.
    Now,
    /// It was there.
    Before,
    /// Something else is there, and was left alone.
    Taken,
}

impl BucketStore {
    pub(crate) fn new(name: &'static str, prefix: &str, objects: Box<dyn Objects>) -> Self {
        let prefix = prefix.trim_matches('/').to_owned();
        Self { name, prefix, objects, turns: Turns::new() }
    }

    /// Keeps the set at `base`, unless something else is there.
    async fn keep(&self, base: &str, set: &Set) -> Result<Kept> {
        // What is written last tells whether anything is there; where nothing can be overwritten, creating the others
        // tells the rest.
        if !self.objects.holds_to_preconditions()
            || self.objects.get(&set.last().of(base)).await?.is_some()
        {
            return self.complete(base, set, false).await;
        }
        let mut created = false;
        for item in set.items() {
            match self.create(base, set, item.part).await? {
                Creation::Created => created = true,
                // Left by an attempt that broke off, or somebody writes at the same time.
                Creation::Exists => return self.complete(base, set, created).await,
            }
        }
        Ok(Kept::Now)
    }

    /// Looks at all that is there, and adds what is missing.
    async fn complete(&self, base: &str, set: &Set, created: bool) -> Result<Kept> {
        let Comparison::Missing(missing) = set.compare(&self.look(base, &Part::ALL).await?) else {
            return Ok(Kept::Taken);
        };
        if missing.is_empty() {
            return Ok(if created { Kept::Now } else { Kept::Before });
        }
        for part in &missing {
            if self.create(base, set, *part).await? == Creation::Exists {
                match set.compare(&self.look(base, &[*part]).await?) {
                    Comparison::Missing(none) if none.is_empty() => {}
                    Comparison::Missing(_) => return Err(self.moving(base)),
                    Comparison::Differs => return Ok(Kept::Taken),
                }
            }
        }
        if !self.objects.holds_to_preconditions()
            && set.compare(&self.look(base, &missing).await?) != Comparison::Missing(Vec::new())
        {
            return Err(self.moving(base));
        }
        Ok(Kept::Now)
    }

    async fn create(&self, base: &str, set: &Set, part: Part) -> Result<Creation> {
        let Some(item) = set.item(part) else { return Ok(Creation::Exists) };
        self.objects.create(&part.of(base), item.media_type, item.content.clone()).await
    }

    /// What is there of each of these parts.
    async fn look(&self, base: &str, parts: &[Part]) -> Result<Vec<(Part, Option<Bytes>)>> {
        let mut found = Vec::with_capacity(parts.len());
        for part in parts {
            found.push((*part, self.objects.get(&part.of(base)).await?));
        }
        Ok(found)
    }

    fn moving(&self, base: &str) -> Error {
        Error::new(ErrorKind::Conflict, format!("writing {}", self.objects.url(base))).with_source(
            "what was written there is no longer there: somebody else writes at the same time",
        )
    }

    fn location(&self, base: &str, set: &Set) -> String {
        self.objects.url(&set.last().of(base))
    }
}

#[async_trait]
impl Store for BucketStore {
    fn name(&self) -> &str {
        self.name
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { dsse: true, detached: true, unsigned: true }
    }

    async fn put(&self, record: &Record) -> Result<Outcome> {
        let set = Set::of(record)?;
        let place = Place::of(&self.prefix, &record.run, &record.key)?;
        let _turn = self.turns.take(place.base()).await;
        let beside = place.beside(&set);
        for base in [place.base(), &beside] {
            let location = self.location(base, &set);
            match self.keep(base, &set).await? {
                Kept::Now => return Ok(Outcome::Stored { location }),
                Kept::Before => return Ok(Outcome::AlreadyStored { location }),
                Kept::Taken => tracing::debug!(location, "something else is there and stays"),
            }
        }
        let url = self.objects.url(&beside);
        let why =
            "objects with these names hold something that was not written by Chains: remove them";
        Err(Error::new(ErrorKind::Conflict, format!("writing {url}"))
            .with_source(why)
            .with_retryable(false))
    }
}

#[async_trait]
impl ReadBack for BucketStore {
    async fn read_back(&self, query: ReadQuery<'_>) -> Result<Vec<Stored>> {
        let place = Place::of(&self.prefix, query.run, query.key)?;
        read::sets(&*self.objects, &place).await
    }
}

/// Those who write the same record take turns: it spares them the others' half-written sets, and protects them on
/// servers that do not hold to preconditions.
#[derive(Debug)]
struct Turns(Vec<Mutex<()>>);

impl Turns {
    fn new() -> Self {
        Self(std::iter::repeat_with(Mutex::default).take(TURNS).collect())
    }

    async fn take(&self, base: &str) -> Option<MutexGuard<'_, ()>> {
        let mut hasher = DefaultHasher::new();
        base.hash(&mut hasher);
        let index = usize::try_from(hasher.finish() % TURNS as u64).unwrap_or_default();
        match self.0.get(index) {
            Some(turn) => Some(turn.lock().await),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests;
