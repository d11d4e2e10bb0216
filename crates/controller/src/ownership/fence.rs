//! The last word on whether something may still be written.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::bucket::{Bucket, Buckets};

/// Tells, right before a write, whether the bucket is still this replica's.
///
/// A process that was stopped for a while (a suspended machine, a starved CPU) runs on as if nothing had happened,
/// and what it was told before may not hold any more. The fence compares with the clock when it is asked.
///
/// # Guarantees
/// When [`allows`](Self::allows) answers yes, no other replica holds the bucket. Nor will any that takes it from us
/// within the next third of the lease's duration: that long a write may take to arrive. A bucket that is given up is
/// another's as soon as its work has ended or was aborted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fence {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    mine: Buckets,
    until: Option<Instant>,
}

impl Fence {
    /// Whether work on this bucket may still be written: it is held, or leaving and not yet released.
    #[must_use]
    pub(crate) fn allows(&self, bucket: Bucket) -> bool {
        self.with(|state| {
            state.until.is_some_and(|until| Instant::now() < until) && state.mine.contains(bucket)
        })
    }

    /// Sets what is held, with what is leaving.
    pub(super) fn set(&self, mine: Buckets) {
        self.with(|state| state.mine = mine);
    }

    /// Sets until when it is.
    pub(super) fn extend(&self, until: Instant) {
        self.with(|state| state.until = Some(until));
    }

    /// From now on nothing may be written.
    pub(super) fn close(&self) {
        self.with(|state| *state = State::default());
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
