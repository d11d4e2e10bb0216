//! A world in which whole replicas run over one simulated API server, in virtual time: they are stopped, killed,
//! cut off, started again, and at every moment nobody may share a bucket with anybody.

mod replica;
mod server;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::super::bucket::{Bucket, Buckets};
use super::super::fence::Fence;
use super::super::task::Chance;
pub(super) use replica::{Replica, Setup};
pub(super) use server::Server;

/// Duration of leases in this world.
pub(super) const LEASE: Duration = Duration::from_secs(15);
/// From one look at the world to the next; whenever a bucket moves there is a look besides.
const STEP: Duration = Duration::from_millis(310);

/// The API server and every replica that was ever started.
pub(super) struct World {
    pub(super) server: Arc<Server>,
    pub(super) replicas: Vec<Replica>,
    watchman: Arc<Watchman>,
    chance: Chance,
}

/// Knows who may write for which bucket, stopped processes included.
#[derive(Debug, Default)]
pub(super) struct Watchman {
    fences: Mutex<Vec<(String, u16, Fence)>>,
    seen: Mutex<Option<String>>,
}

impl Watchman {
    fn enter(&self, identity: &str, total: u16, fence: Fence) {
        self.lock().push((identity.to_owned(), total, fence));
    }

    /// The process of this identity is no more.
    fn strike(&self, identity: &str) {
        self.lock().retain(|(name, _, _)| name != identity);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(String, u16, Fence)>> {
        self.fences.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes where a run is in the hands of two: buckets of two totals always have runs in common.
    fn look(&self) {
        let mut holders: Vec<(u16, Bucket, String)> = Vec::new();
        for (name, total, fence) in self.lock().iter() {
            let allowed = || (0..*total).map(Bucket::new).filter(|bucket| fence.allows(*bucket));
            for bucket in allowed() {
                let shares =
                    |(of, other, _): &&(u16, Bucket, String)| of != total || *other == bucket;
                if let Some((of, other, holder)) = holders.iter().find(shares) {
                    let text =
                        format!("{other} of {of} with {holder}, {bucket} of {total} with {name}");
                    self.seen.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(text);
                }
            }
            holders.extend(allowed().map(|bucket| (*total, bucket, name.clone())));
        }
    }

    fn forgive(&self) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn check(&self) {
        self.look();
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        assert_eq!(seen, None, "two hold the same");
    }
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            server: Arc::default(),
            replicas: Vec::new(),
            watchman: Arc::default(),
            chance: Chance::from_seed(seed),
        }
    }

    /// Starts a replica; answers with its place in `replicas`.
    pub(super) fn start(&mut self, setup: &Setup) -> usize {
        let replica = Replica::start(&self.server, &self.watchman, setup, self.chance.next());
        self.replicas.push(replica);
        self.replicas.len() - 1
    }

    /// Starts one on a good network; answers with its place in `replicas`.
    pub(super) fn start_as(&mut self, identity: &str, total: u16) -> usize {
        self.start(&Setup::new(identity, total))
    }

    /// The replicas whose process is there and not on its way out.
    pub(super) fn staying(&self) -> impl Iterator<Item = &Replica> {
        self.replicas.iter().filter(|replica| replica.is_staying())
    }

    /// Lets time pass, and looks all the while whether somebody shares a bucket.
    pub(super) async fn pass(&self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.watchman.check();
            sleep_until((Instant::now() + STEP).min(end)).await;
        }
        self.watchman.check();
    }

    /// Lets time pass in which two may share a bucket: what a hand did is not seen at once.
    pub(super) async fn pass_without_promise(&self, time: Duration) {
        sleep(time).await;
        self.watchman.forgive();
    }

    /// Waits until every bucket is worked on and shares differ by one at most; tells how long that took. Panics
    /// where it takes too long.
    pub(super) async fn settle(&self, within: Duration) -> Duration {
        let began = Instant::now();
        while let Err(why) = self.settled() {
            assert!(began.elapsed() < within, "not settled: {why}\n{}", self.server.dump());
            self.watchman.check();
            sleep(Duration::from_millis(7)).await;
        }
        began.elapsed()
    }

    fn settled(&self) -> Result<(), String> {
        let working: Vec<_> =
            self.staying().map(|r| (r.identity.as_str(), r.total, r.working())).collect();
        let Some(total) = working.iter().find(|(_, _, held)| !held.is_empty()).map(|w| w.1) else {
            return if working.is_empty() { Ok(()) } else { Err("nobody holds any".to_owned()) };
        };
        let sharing: Vec<_> = working.iter().filter(|(_, of, _)| *of == total).collect();
        let all: Buckets = sharing.iter().flat_map(|(_, _, held)| held.iter()).collect();
        let sizes = sharing.iter().map(|(_, _, held)| held.len());
        let (least, most) = (sizes.clone().min().unwrap_or(0), sizes.max().unwrap_or(0));
        // While others wait with another total, who comes to the smaller one stands by.
        let alone = sharing.len() == working.len();
        let even = all == Buckets::all(total) && (most - least <= 1 || !alone);
        if even { Ok(()) } else { Err(format!("{working:?}")) }
    }
}

/// Runs a test in virtual time.
pub(super) fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(test);
}
