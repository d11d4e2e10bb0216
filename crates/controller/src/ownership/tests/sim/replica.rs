//! A replica of the simulated world: the real task, in a process that can be stopped and killed.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::super::super::bucket::Buckets;
use super::super::super::task::{Chance, Parts, Task};
use super::super::super::{Condition, Held, Move, Observer, Options, Work};
use super::Watchman;
use super::server::{Network, Server, Weather};

/// How a replica is started.
#[derive(Debug, Clone)]
pub(in super::super) struct Setup {
    pub(in super::super) identity: String,
    pub(in super::super) total: u16,
    pub(in super::super) weather: Weather,
    /// The longest that the work in hand takes to end.
    pub(in super::super) drain: Duration,
    /// How fast its monotonic clock runs, in percent.
    pub(in super::super) clock: u32,
}

impl Setup {
    pub(in super::super) fn new(identity: &str, total: u16) -> Self {
        let drain = Duration::from_millis(200);
        Self { identity: identity.to_owned(), total, weather: Weather::FAIR, drain, clock: 100 }
    }
}

/// A process, there or gone.
pub(in super::super) struct Replica {
    pub(in super::super) identity: String,
    pub(in super::super) total: u16,
    pub(in super::super) weather: Arc<Mutex<Weather>>,
    pub(in super::super) told: Arc<Told>,
    held: Held,
    stopped: watch::Sender<bool>,
    leave: Option<oneshot::Sender<Duration>>,
    process: JoinHandle<()>,
}

/// What the replica told its work and its observer.
#[derive(Debug)]
pub(in super::super) struct Told {
    drain: Duration,
    chance: Mutex<Chance>,
    said: Mutex<Said>,
    watchman: Arc<Watchman>,
}

/// What was told, as it was told last.
#[derive(Debug, Default, Clone)]
pub(in super::super) struct Said {
    pub(in super::super) condition: Option<Condition>,
    pub(in super::super) drained: Buckets,
    pub(in super::super) aborted: Buckets,
    pub(in super::super) moves: Vec<(Move, usize, usize)>,
}

impl Told {
    pub(in super::super) fn said(&self) -> Said {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, note: impl FnOnce(&mut Said)) {
        note(&mut self.said.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

#[async_trait]
impl Work for Told {
    async fn drain(&self, leaving: &Buckets) {
        let most = u64::try_from(self.drain.as_millis()).unwrap_or(u64::MAX).max(1);
        let drawn = self.chance.lock().unwrap_or_else(PoisonError::into_inner).next() % most;
        sleep(Duration::from_millis(drawn)).await;
        self.note(|said| said.drained.extend(leaving.iter()));
    }

    fn abort(&self, lost: &Buckets) {
        self.note(|said| said.aborted.extend(lost.iter()));
    }
}

impl Observer for Told {
    fn condition(&self, condition: Condition) {
        self.note(|said| said.condition = Some(condition));
    }

    fn moved(&self, how: Move, buckets: usize, held: usize) {
        self.note(|said| said.moves.push((how, buckets, held)));
        self.watchman.look();
    }
}

impl Replica {
    pub(super) fn start(
        server: &Arc<Server>,
        watchman: &Arc<Watchman>,
        setup: &Setup,
        seed: u64,
    ) -> Self {
        let weather = Arc::new(Mutex::new(setup.weather));
        let mut chance = Chance::from_seed(seed);
        let told = Arc::new(Told {
            drain: setup.drain,
            chance: Mutex::new(Chance::from_seed(chance.next())),
            said: Mutex::default(),
            watchman: Arc::clone(watchman),
        });
        let options = Options {
            identity: setup.identity.clone(),
            namespace: "tekton-chains".to_owned(),
            total: setup.total,
            lease_duration: super::LEASE,
        };
        let parts = Parts {
            leases: Arc::new(Network::new(server, &weather, chance.next())),
            options,
            work: Arc::clone(&told) as Arc<dyn Work>,
            observer: Arc::clone(&told) as Arc<dyn Observer>,
            chance,
        };
        let (mut task, held, fence) = Task::new(parts);
        // A clock that runs slow makes everything that this replica waits for last longer.
        let scale = |time: Duration| time * 100 / setup.clock;
        task.times.renew = scale(task.times.renew);
        task.times.deadline = scale(task.times.deadline);
        task.times.request = scale(task.times.request);
        watchman.enter(&setup.identity, setup.total, fence);
        let (leave, stop) = oneshot::channel();
        let (stopped, gate) = watch::channel(false);
        let process = tokio::spawn(gated(task.run(stop), gate));
        let (identity, total) = (setup.identity.clone(), setup.total);
        Self { identity, total, weather, told, held, stopped, leave: Some(leave), process }
    }

    /// What it works on.
    pub(in super::super) fn working(&self) -> Buckets {
        self.held.borrow().clone()
    }

    /// Whether there is a process, stopped or not.
    pub(in super::super) fn is_there(&self) -> bool {
        !self.process.is_finished()
    }

    /// Whether there is a process that was not told to leave.
    pub(in super::super) fn is_staying(&self) -> bool {
        self.is_there() && self.leave.is_some()
    }

    pub(in super::super) fn change_weather(&self, change: impl FnOnce(&mut Weather)) {
        change(&mut self.weather.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// As SIGSTOP and SIGCONT do.
    pub(in super::super) fn stop(&self, stopped: bool) {
        self.stopped.send_replace(stopped);
    }

    /// As SIGKILL does: what it sent arrives all the same.
    pub(in super::super) async fn kill(&mut self) {
        self.leave = None;
        self.process.abort();
        let _ = (&mut self.process).await;
        self.told.watchman.strike(&self.identity);
    }

    /// As SIGTERM does.
    pub(in super::super) fn leave(&mut self, within: Duration) {
        if let Some(leave) = self.leave.take() {
            let _ = leave.send(within);
        }
    }
}

/// Runs a process, but not while it is stopped.
async fn gated(process: impl Future<Output = ()>, mut stopped: watch::Receiver<bool>) {
    let mut process = pin!(process);
    loop {
        if *stopped.borrow_and_update() {
            if stopped.changed().await.is_err() {
                return;
            }
            continue;
        }
        tokio::select! {
            biased;
            Ok(()) = stopped.changed() => {}
            () = &mut process => return,
        }
    }
}
