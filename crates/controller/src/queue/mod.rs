//! Orders what is to be done: new completions first, then what only needs its finalizer, then the backlog, each
//! newest first.
//!
//! Memory is bounded: of every run that waits its key is kept, and whole objects only within a fixed budget, those
//! first that are worked on first. A run whose object is not kept costs one more read.

mod finished;
mod item;
mod limit;
mod state;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::ownership::{Buckets, Work};

pub(crate) use item::{Item, Key, Lane};
pub(crate) use state::{Counts, Done};

use state::State;

/// How long what is in hand may go on where its bucket is to go. What is left of the time is for writing down what
/// is done.
const UNHURRIED: Duration = Duration::from_secs(8);

/// Bounds of a queue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// How many runs may be worked on at once, however slow what they wait for is.
    pub(crate) concurrency: usize,
    /// How many bytes of whole objects may wait.
    pub(crate) bytes: usize,
}

/// The queue; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Something changed that may let the dispatcher go on.
    changed: Notify,
    /// A run that was in hand is no longer.
    ended: Notify,
}

impl Queue {
    pub(crate) fn new(bounds: Bounds) -> Self {
        let shared = Shared {
            state: Mutex::new(State::new(bounds)),
            changed: Notify::new(),
            ended: Notify::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock can panic half-way through a change.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a run in its place, or replaces what is known of it.
    pub(crate) fn offer(&self, item: Item) {
        self.state().offer(item, Instant::now());
        self.shared.changed.notify_one();
    }

    /// The run is no longer there, and this is its last state. Where a finalizer of ours was `held` on it until
    /// then, its last write was the one that took it off: only who still had it to do needs to know.
    pub(crate) fn vanished(&self, item: Item, held: bool) {
        self.state().vanished(item, held, Instant::now());
        self.shared.changed.notify_one();
    }

    /// Takes a run out: nothing is to be done with it any more.
    pub(crate) fn forget(&self, key: &Key) {
        self.state().forget(key);
    }

    /// Waits for the next run that may be worked on.
    pub(crate) async fn take(&self) -> Item {
        loop {
            let (item, wake) = self.state().take(Instant::now());
            if let Some(item) = item {
                return item;
            }
            let changed = self.shared.changed.notified();
            match wake {
                Some(at) => {
                    let _ = tokio::time::timeout_at(at, changed).await;
                }
                None => changed.await,
            }
        }
    }

    /// What asks the work on a run that was taken to come to its end and to keep what is done.
    pub(crate) fn hurry(&self, key: &Key) -> CancellationToken {
        self.state().hurry(key)
    }

    /// Says how the work on a run that was taken can be stopped.
    pub(crate) fn started(&self, key: &Key, handle: AbortHandle) {
        self.state().started(key, handle);
    }

    /// Says how the work on a run that was taken ended, and how long it took.
    pub(crate) fn done(&self, key: &Key, done: Done, took: Option<Duration>) {
        self.state().done(key, done, took, Instant::now());
        self.shared.changed.notify_one();
        self.shared.ended.notify_waiters();
    }

    /// Whether runs may be signed now; what needs no signature goes on all the same.
    pub(crate) fn allow_signing(&self, allowed: bool) {
        self.state().allow_signing(allowed);
        self.shared.changed.notify_one();
    }

    /// The buckets whose runs may be taken; what waits of others is forgotten.
    pub(crate) fn hold(&self, buckets: Buckets) {
        self.state().hold(buckets);
        self.shared.changed.notify_one();
    }

    /// How much there is.
    pub(crate) fn counts(&self) -> Counts {
        self.state().counts()
    }

    /// Waits until nothing that `of` chooses is in hand.
    async fn idle(&self, of: impl Fn(&Key) -> bool + Send) {
        loop {
            let ended = self.shared.ended.notified();
            tokio::pin!(ended);
            // From here on no end is missed.
            ended.as_mut().enable();
            if !self.state().in_hand().any(&of) {
                return;
            }
            ended.await;
        }
    }
}

#[async_trait]
impl Work for Queue {
    async fn drain(&self, leaving: &Buckets) {
        self.state().leave(leaving);
        let idle = self.idle(|key| leaving.contains(key.bucket));
        tokio::pin!(idle);
        if tokio::time::timeout(UNHURRIED, &mut idle).await.is_err() {
            // What hangs would be aborted in the end, and what is done of it forgotten.
            self.state().hurry_up(leaving);
            idle.await;
        }
    }

    fn abort(&self, lost: &Buckets) {
        let mut state = self.state();
        state.leave(lost);
        state.abort(lost);
        drop(state);
        self.shared.ended.notify_waiters();
    }
}
