//! A world in which whole replicas run over one simulated API server, in virtual time: they are stopped, killed,
//! cut off, started again, and at every moment nobody may share a bucket with anybody.

mod replica;
mod server;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::super::bucket::{Bucket, Buckets};
use super::super::task::Chance;
pub(super) use replica::{Replica, Setup};
pub(super) use server::Server;

/// Duration of leases in this world.
pub(super) const LEASE: Duration = Duration::from_secs(15);

/// The API server and every replica that was ever started.
pub(super) struct World {
    pub(super) server: Arc<Server>,
    pub(super) replicas: Vec<Replica>,
    chance: Chance,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let server = Arc::new(Server::default());
        Self { server, replicas: Vec::new(), chance: Chance::from_seed(seed) }
    }

    /// Starts a replica; answers with its place in `replicas`.
    pub(super) fn start(&mut self, setup: &Setup) -> usize {
        let replica = Replica::start(&self.server, setup, self.chance.next());
        self.replicas.push(replica);
        self.replicas.len() - 1
    }

    /// The replicas whose process is there and not on its way out.
    pub(super) fn staying(&self) -> impl Iterator<Item = &Replica> {
        self.replicas.iter().filter(|replica| replica.is_staying())
    }

    /// Lets time pass, and looks all the while whether somebody shares a bucket.
    pub(super) async fn pass(&self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.check();
            let step = Instant::now() + Duration::from_millis(53);
            sleep_until(step.min(end)).await;
        }
        self.check();
    }

    /// No run is in two buckets' hands: neither of one total, nor across totals.
    fn check(&self) {
        let mut holders: Vec<(u16, Bucket, &str)> = Vec::new();
        for replica in self.replicas.iter().filter(|replica| replica.is_there()) {
            for bucket in replica.allowed().iter() {
                for (total, other, name) in &holders {
                    let shared = *total != replica.total || *other == bucket;
                    assert!(
                        !shared,
                        "bucket {other} of {total} is held by {name}, and {bucket} of {} by {}",
                        replica.total, replica.identity
                    );
                }
            }
            let allowed = replica.allowed();
            holders.extend(allowed.iter().map(|b| (replica.total, b, replica.identity.as_str())));
        }
    }

    /// Waits until every bucket is worked on and shares differ by one at most; panics where that takes too long.
    pub(super) async fn settle(&self, within: Duration) {
        let end = Instant::now() + within;
        while let Err(why) = self.settled() {
            assert!(Instant::now() < end, "not settled: {why}\n{}", self.server.dump());
            self.check();
            sleep(Duration::from_millis(53)).await;
        }
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
        let told = || format!("{working:?}");
        if all != Buckets::all(total) || most - least > 1 { Err(told()) } else { Ok(()) }
    }
}
