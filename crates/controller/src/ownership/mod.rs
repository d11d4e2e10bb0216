//! Which replica works on which run: buckets and members, kept in Leases.
//!
//! # How it works
//! Runs are divided into buckets by a hash of their UID. Each bucket is a Lease that names its holder, and each
//! replica a member with a Lease of its own:
//!
//! | Lease | written |
//! |---|---|
//! | `tekton-chains-controller.member.IDENTITY` | by its replica, every third of the lease's duration |
//! | `tekton-chains-controller.bucket-03-of-16` | when the bucket moves, and only then |
//!
//! A bucket is held for as long as its holder is alive, so that a replica sends two requests a turn however many
//! buckets there are: one that renews its member Lease, one that lists all Leases. A watch tells of moves in
//! between; it is a hint to look at once and nothing rests on it.
//!
//! Every replica decides by itself, and alike: who has more than its share gives up, who has less takes of what is
//! free. Who finds a member dead writes on its Lease that nobody holds it, so that those who came later know it too;
//! the Leases of members that are no more are deleted.
//!
//! # Guarantees
//! - No bucket is held by two replicas at once, with these grounds: (1) every write names the version that it
//!   replaces, so of two that take the same bucket one fails; (2) a replica lets go of everything when its last
//!   successful renewal was *sent* two thirds of the duration ago; (3) others take its buckets when they have seen
//!   its Lease unchanged for the whole duration *after they received it*, by their own clock; (4) a replica that let
//!   go goes on in a new session, and what it held in an earlier one it has to take again with a write.
//! - A bucket that changes hands on purpose is drained first: [`Work::drain`].
//! - While members are stable every bucket is held, and the shares differ by one at most.
//!
//! # Assumptions
//! - Monotonic clocks of two machines run at the same rate within a third. Their wall clocks may say what they like.
//! - An identity is used by one process at a time; a process that finds a Lease of its own identity at its start is
//!   its successor and takes over at once, and the other, if it lives, lets go at its next renewal.
//! - Nobody else writes these Leases. Who empties the Lease of a bucket or of a member by hand takes what it stands
//!   for from its holder, which learns of it when it looks next: at once, as long as the watch works. Who deletes
//!   one does so too, but nobody takes it before a lease's duration has passed.
//!
//! # Caveats
//! A process that is stopped and goes on is not told that time has passed. [`Fence::allows`] asks the clock: ask it
//! right before a write.
//!
//! # Rights
//! On `leases` of `coordination.k8s.io` in the system namespace: `list`, `watch`, `create`, `update`, `delete`.
//! Never `get`, never `patch`. Without `watch` moves are seen a few seconds later.

mod bucket;
mod fence;
mod member;
mod moves;
mod plan;
mod record;
mod sightings;
mod store;
mod task;
#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chains_core::{Error, ErrorKind, Result};
use kube::Client;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::pause::random_bits;

pub(crate) use bucket::{Bucket, Buckets, MOST_BUCKETS};
pub(crate) use fence::Fence;

/// The shortest lease: its length is written in whole seconds, and a third of it has to outlast a request.
const SHORTEST_LEASE: Duration = Duration::from_secs(3);

/// What this replica may work on now. The set is empty until the first buckets are taken.
///
/// When it changes, buckets that are gone from it are leaving or lost, and buckets that are new in it may be begun.
pub(crate) type Held = watch::Receiver<Buckets>;

/// What has to be known to take part.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Name of this replica, another for each: the name of its Pod.
    pub(crate) identity: String,
    /// Namespace of the Leases.
    pub(crate) namespace: String,
    /// Into how many buckets the runs are divided, 1 to [`MOST_BUCKETS`]. While replicas with another number are
    /// there, those who come later wait until they are gone.
    pub(crate) total: u16,
    /// How long after its last renewal a replica counts as dead: 3 s or more.
    pub(crate) lease_duration: Duration,
}

/// The work that buckets hold: what is told when some of them go.
#[async_trait]
pub(crate) trait Work: Debug + Send + Sync + 'static {
    /// Ends when nothing of these buckets is in hand any more. They have left [`Held`] before: begin nothing new.
    ///
    /// The future is dropped where it takes too long; [`abort`](Self::abort) follows then.
    async fn drain(&self, leaving: &Buckets);

    /// Drops what is in hand of these buckets, at once: another replica may begin with them. Must not block.
    fn abort(&self, lost: &Buckets);
}

/// How ownership stands: for health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    /// A member, and in touch. That no bucket is held may be right, and the detail says why.
    Ready(String),
    /// Not a member yet.
    Waiting(String),
    /// Something is wrong: what.
    Faulty(String),
}

/// Why buckets moved: for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Move {
    /// Taken by this replica.
    Taken,
    /// Given up by this replica, after draining.
    Given,
    /// Lost by this replica: it was too late, or somebody else wrote the Lease.
    Lost,
}

/// Is told how ownership stands. Must not block.
pub(crate) trait Observer: Debug + Send + Sync + 'static {
    /// Called at every turn, with what may be the same as before.
    fn condition(&self, condition: Condition);

    /// Called when buckets moved: how, how many, and how many are held now.
    fn moved(&self, how: Move, buckets: usize, held: usize);
}

/// The running task that renews, looks and moves.
///
/// Dropped, it lets go at once and leaves without draining; [`shutdown`](Self::shutdown) is the orderly way.
#[derive(Debug)]
pub(crate) struct Handle {
    stop: oneshot::Sender<Duration>,
    fence: Fence,
    task: JoinHandle<()>,
}

impl Handle {
    /// What is to be asked right before a write.
    #[must_use]
    pub(crate) fn fence(&self) -> Fence {
        self.fence.clone()
    }

    /// Ends when the task ends by itself, which is a fault.
    pub(crate) async fn ended(&mut self) -> Result<(), tokio::task::JoinError> {
        (&mut self.task).await
    }

    /// Gives everything up and leaves: drains for most of `within`, then aborts what is still in hand, deletes the
    /// member Lease and releases the buckets, so that others take over at once. Renewals go on meanwhile.
    pub(crate) async fn shutdown(self, within: Duration) {
        // Where the task has ended already there is nobody to be told.
        let _ = self.stop.send(within);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the task that shares buckets ended early");
        }
    }
}

/// Takes part in sharing the buckets; the first ones come with the first change of [`Held`].
///
/// Nothing has been sent when this returns. Must be called within a tokio runtime.
///
/// # Errors
/// [`ErrorKind::Configuration`] where an option is out of its range.
pub(crate) fn start(
    client: Client,
    options: Options,
    work: Arc<dyn Work>,
    observer: Arc<dyn Observer>,
) -> Result<(Held, Handle)> {
    check(&options)?;
    let leases = Arc::new(store::ApiLeases::new(client, &options.namespace));
    let [high, low] = [random_bits(), random_bits()].map(u64::from);
    let chance = task::Chance::from_seed(high << u32::BITS | low);
    Ok(spawn(task::Parts { leases, options, work, observer, chance }))
}

fn spawn(parts: task::Parts) -> (Held, Handle) {
    let (stop, stopped) = oneshot::channel();
    let (task, held, fence) = task::Task::new(parts);
    let task = tokio::spawn(task.run(stopped));
    (held, Handle { stop, fence, task })
}

fn check(options: &Options) -> Result<()> {
    let wrong = |what: String| Err(Error::new(ErrorKind::Configuration, what));
    if options.identity.trim().is_empty() {
        return wrong("the identity of this replica is empty".to_owned());
    }
    if options.total == 0 || options.total > MOST_BUCKETS {
        return wrong(format!("{} buckets: there may be 1 to {MOST_BUCKETS}", options.total));
    }
    if options.lease_duration < SHORTEST_LEASE {
        let given = options.lease_duration;
        return wrong(format!("a lease of {given:?}: it has to last {SHORTEST_LEASE:?} or more"));
    }
    Ok(())
}
