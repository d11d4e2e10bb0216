//! What waits in the queue.

use std::cmp::Reverse;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use chains_cluster::RunApi;
use jiff::Timestamp;
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::ownership::Bucket;
use crate::watching::Todo;
use crate::work::Verdict;

/// Which run.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) api: RunApi,
    pub(crate) namespace: Arc<str>,
    pub(crate) name: Arc<str>,
    pub(crate) uid: Arc<str>,
    pub(crate) bucket: Bucket,
}

// The API server gives a UID once: it alone tells runs apart.
impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.uid == other.uid
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.uid.hash(state);
    }
}

/// Whose turn it is; what comes first here comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Lane {
    /// Runs that were seen to complete.
    Fresh,
    /// Finalizers to put on, and to take off where a deletion waits for it.
    Finalizer,
    /// Runs that were complete when the watch began, and those that are tried again.
    Backlog,
    /// Finalizers that another program left on runs that are signed: nobody waits for them.
    Tidying,
}

impl Lane {
    pub(crate) const ALL: [Self; 4] = [Self::Fresh, Self::Finalizer, Self::Backlog, Self::Tidying];

    /// A static word for metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Finalizer => "finalizer",
            Self::Backlog => "backlog",
            Self::Tidying => "tidying",
        }
    }
}

/// Its place among all that wait: lane, newest first, then whatever came first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    pub(crate) lane: Lane,
    newest: Reverse<Timestamp>,
    arrival: u64,
}

impl Rank {
    /// Before everything in this lane.
    pub(crate) const fn first_of(lane: Lane) -> Self {
        Self { lane, newest: Reverse(Timestamp::MAX), arrival: 0 }
    }
}

/// A run and what is to be done with it.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) key: Key,
    pub(crate) todo: Todo,
    pub(crate) lane: Lane,
    /// When it completed; the present where that is not known.
    pub(crate) when: Timestamp,
    /// The resource version that it was seen at, where it is a number.
    pub(crate) version: Option<u64>,
    /// The whole object, unless there was no room for it.
    pub(crate) json: Option<Arc<RawValue>>,
    /// Whether the API server no longer has it.
    pub(crate) gone: bool,
    /// Not before this.
    pub(crate) not_before: Option<Instant>,
    /// When it has to be dealt with even if nothing can be signed: somebody waits for its deletion.
    pub(crate) give_up: Option<Instant>,
    /// How many attempts in this process ended with "later".
    pub(crate) waits: u32,
    /// How many retries failed of a run that is gone: there is no annotation to keep it.
    pub(crate) retries: Option<u32>,
    /// What came of an attempt, where the write on the run is all that is left to do.
    pub(crate) verdict: Option<Arc<Verdict>>,
    /// Since when it waits for its children.
    pub(crate) waiting_since: Option<Instant>,
}

impl Item {
    pub(crate) fn rank(&self, arrival: u64) -> Rank {
        Rank { lane: self.lane, newest: Reverse(self.when), arrival }
    }

    /// How many bytes it holds.
    pub(crate) fn bytes(&self) -> usize {
        let verdict = self.verdict.as_ref().map_or(0, |verdict| verdict.bytes());
        self.json.as_ref().map_or(0, |json| json.get().len()) + verdict
    }

    /// Whether the object has to be kept, because it cannot be read again.
    pub(crate) const fn is_only_copy(&self) -> bool {
        self.gone
    }
}
