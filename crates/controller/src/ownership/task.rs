//! The task of a replica: renews, looks, and lets go when it is too late.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use chains_core::{Error, ErrorKind, Result};
use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, FuturesUnordered, StreamExt as _};
use k8s_openapi::api::coordination::v1::Lease;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::bucket::{Bucket, Buckets};
use super::fence::Fence;
use super::member::Membership;
use super::moves::Drained;
use super::record::{Holder, Record, What, Writer};
use super::sightings::{Moment, Sightings};
use super::store::{Change, Leases};
use super::{Condition, Held, Observer, Options, Work};

/// Pause between a hint and the look that follows: changes come in groups.
const SETTLE: Duration = Duration::from_millis(20);
/// Pause between two looks that hints asked for.
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);
/// Pause before a watch that failed is tried again; meanwhile the turns see what changes.
const BEFORE_WATCHING_AGAIN: Duration = Duration::from_secs(30);
/// The longest pause between two attempts: when the API server is back, work is to go on.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Failed looks in a row that may be a hiccup.
const HICCUPS: u32 = 2;

/// What a task is made of.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) leases: Arc<dyn Leases>,
    pub(super) options: Options,
    pub(super) work: Arc<dyn Work>,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) chance: Chance,
}

/// Random numbers for jitter and names of sessions: nothing that has to be secret.
#[derive(Debug)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) const fn from_seed(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number: SplitMix64.
    pub(super) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// `duration`, shortened by up to a seventh: replicas that start together do not stay together.
    fn spread(&mut self, duration: Duration) -> Duration {
        let part = u32::try_from(self.next() % 1000).unwrap_or(0);
        duration - duration / 7 * part / 1000
    }
}

/// What follows from the duration of a lease.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// From a renewal to the next.
    pub(super) renew: Duration,
    /// From the sending of a successful renewal until everything is let go.
    pub(super) deadline: Duration,
    /// For one request.
    pub(super) request: Duration,
    /// For the work in hand of buckets that move on purpose.
    pub(super) drain: Duration,
}

impl Times {
    fn of(lease: Duration) -> Self {
        Self { renew: lease / 3, deadline: lease * 2 / 3, request: lease / 6, drain: lease * 2 }
    }

    /// Before the next attempt after so many failures in a row.
    fn pause(self, failures: u32) -> Duration {
        let doubled = (self.renew / 20).saturating_mul(1 << (failures.clamp(1, 8) - 1));
        doubled.min(self.renew).min(LONGEST_PAUSE)
    }
}

/// A replica's state.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) leases: Arc<dyn Leases>,
    pub(super) work: Arc<dyn Work>,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) total: u16,
    pub(super) lease_duration: Duration,
    pub(super) writer: Writer,
    pub(super) times: Times,
    pub(super) chance: Chance,
    pub(super) fence: Fence,
    publish: watch::Sender<Buckets>,
    started: Instant,

    /// Our identity in the present session.
    pub(super) holder: Holder,
    pub(super) membership: Membership,
    /// Held in this session, with what is leaving: the Leases as they were written last.
    pub(super) held: BTreeMap<Bucket, Lease>,
    /// Held, but to be given up; each with the number of its drain.
    pub(super) leaving: BTreeMap<Bucket, u64>,
    pub(super) drains: FuturesUnordered<BoxFuture<'static, Drained>>,
    /// How many drains there were.
    pub(super) draining: u64,

    /// The Leases as they were listed last, by name.
    pub(super) records: HashMap<String, Record>,
    pub(super) sightings: Sightings,
    pub(super) changes: Changes,
    /// When to renew.
    pub(super) renew_at: Instant,
    /// When to look, apart from after a renewal.
    pub(super) look_at: Option<Instant>,
    looked_at: Instant,
    renewals_failed: u32,
    looks_failed: u32,
}

/// The watch, where there is one.
#[derive(Default)]
pub(super) struct Changes {
    stream: Option<BoxStream<'static, Result<Change>>>,
    not_before: Option<Instant>,
}

impl std::fmt::Debug for Changes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Changes").field("watching", &self.stream.is_some()).finish_non_exhaustive()
    }
}

impl Changes {
    /// The next change; never, while there is no watch.
    async fn next(&mut self) -> Option<Result<Change>> {
        match &mut self.stream {
            Some(stream) => stream.next().await,
            None => std::future::pending().await,
        }
    }

    /// Watches from `version` on, unless it does already or failed lately.
    pub(super) fn watch(&mut self, leases: &dyn Leases, version: String) {
        let may = self.not_before.is_none_or(|at| Instant::now() >= at);
        if self.stream.is_none() && may {
            self.stream = Some(leases.watch(version));
        }
    }
}

impl Task {
    /// A replica that has sent nothing yet.
    pub(super) fn new(parts: Parts) -> (Self, Held, Fence) {
        let Parts { leases, options, work, observer, mut chance } = parts;
        let (publish, held) = watch::channel(Buckets::default());
        let fence = Fence::default();
        let now = Instant::now();
        let session = format!("{:012x}-1", chance.next() >> 16);
        let writer = Writer {
            namespace: options.namespace,
            total: options.total,
            duration: options.lease_duration,
        };
        let task = Self {
            leases,
            work,
            observer,
            total: options.total,
            lease_duration: options.lease_duration,
            writer,
            times: Times::of(options.lease_duration),
            chance,
            fence: fence.clone(),
            publish,
            started: now,
            holder: Holder { identity: options.identity, session },
            membership: Membership::default(),
            held: BTreeMap::new(),
            leaving: BTreeMap::new(),
            drains: FuturesUnordered::new(),
            draining: 0,
            records: HashMap::new(),
            sightings: Sightings::default(),
            changes: Changes::default(),
            renew_at: now,
            look_at: None,
            looked_at: now,
            renewals_failed: 0,
            looks_failed: 0,
        };
        (task, held, fence)
    }

    /// Takes part until it is told to stop, with the time it has for that.
    pub(super) async fn run(mut self, mut stop: oneshot::Receiver<Duration>) {
        self.observer.condition(Condition::Waiting("joining the other replicas".to_owned()));
        let within = loop {
            let (deadline, wake) = (self.deadline(), self.wake());
            tokio::select! {
                biased;
                () = at(deadline) => self.lose("the Lease could not be renewed in time"),
                within = &mut stop => break within.unwrap_or_default(),
                Some(drained) = self.drains.next() => self.end_drain(drained).await,
                change = self.changes.next() => self.hear(change),
                () = sleep_until(wake) => self.turn().await,
            }
        };
        self.leave(within).await;
    }

    fn wake(&self) -> Instant {
        self.look_at.map_or(self.renew_at, |look_at| look_at.min(self.renew_at))
    }

    /// Renews where it is time, and looks.
    async fn turn(&mut self) {
        self.look_at = None;
        if Instant::now() >= self.renew_at && !self.renew_in_time().await {
            return;
        }
        if !self.is_member() {
            return;
        }
        self.looked_at = Instant::now();
        match self.look().await {
            Ok(()) => self.looks_failed = 0,
            Err(error) => {
                self.looks_failed += 1;
                let pause = self.chance.spread(self.times.pause(self.looks_failed));
                self.look_within(pause);
                tracing::warn!(error = %error.report(), "cannot see the other replicas");
                if self.looks_failed > HICCUPS || !error.is_retryable() {
                    self.observer.condition(Condition::Faulty(error.report()));
                }
            }
        }
    }

    /// Renews, or becomes a member; tells whether this replica is one now.
    pub(super) async fn renew_in_time(&mut self) -> bool {
        let asked = Instant::now();
        match self.renew().await {
            Ok(()) => {
                self.renewals_failed = 0;
                self.renew_at = asked + self.chance.spread(self.times.renew);
                true
            }
            Err(error) => {
                self.renewals_failed += 1;
                let pause = self.chance.spread(self.times.pause(self.renewals_failed));
                self.renew_at = Instant::now() + pause;
                tracing::warn!(error = %error.report(), ?pause, "could not renew the Lease of this replica");
                if !self.is_member() {
                    self.observer.condition(Condition::Faulty(error.report()));
                }
                false
            }
        }
    }

    /// Takes a change that the watch told of as a hint to look.
    fn hear(&mut self, change: Option<Result<Change>>) {
        let now = self.now();
        let is_news = match change {
            Some(Ok(Change::There(lease))) => Record::read(lease).is_some_and(|record| {
                if matches!(record.what, What::Member { .. }) {
                    self.sightings.note(&record.name, Some(&record.version), now);
                }
                let known = self.records.get(&record.name);
                let is_ours = record.holder.as_ref() == Some(&self.holder);
                !is_ours && !known.is_some_and(|known| known.says_the_same(&record))
            }),
            Some(Ok(Change::Gone(lease))) => Record::read(lease).is_some(),
            Some(Err(error)) => {
                tracing::debug!(error = %error.report(), "the watch of Leases ended");
                let not_before = Instant::now() + BEFORE_WATCHING_AGAIN;
                self.changes = Changes { stream: None, not_before: Some(not_before) };
                false
            }
            None => {
                self.changes = Changes::default();
                false
            }
        };
        if is_news {
            let since = self.looked_at.elapsed();
            self.look_within(SETTLE.max(BETWEEN_LOOKS.saturating_sub(since)));
        }
    }

    /// Looks at the latest so much later.
    pub(super) fn look_within(&mut self, pause: Duration) {
        let at = Instant::now() + pause;
        self.look_at = Some(self.look_at.map_or(at, |look_at| look_at.min(at)));
    }

    /// Tells everybody what is held, where that has changed.
    pub(super) fn tell(&self) {
        let all = self.all_held();
        let now = all.without(&self.all_leaving());
        self.fence.set(all);
        self.publish.send_if_modified(|before| {
            let changed = *before != now;
            *before = now;
            changed
        });
    }

    /// Held, with what is leaving.
    pub(super) fn all_held(&self) -> Buckets {
        self.held.keys().copied().collect()
    }

    /// Held, but to be given up.
    pub(super) fn all_leaving(&self) -> Buckets {
        self.leaving.keys().copied().collect()
    }

    /// The time by this process's own clock.
    pub(super) fn now(&self) -> Moment {
        self.started.elapsed()
    }

    /// A moment as the runtime's clock has it.
    pub(super) fn instant(&self, moment: Moment) -> Instant {
        self.started + moment
    }

    /// When a request that is sent now is given up: at the latest when all is let go.
    pub(super) fn request_until(&self) -> Instant {
        let until = Instant::now() + self.times.request;
        self.deadline().map_or(until, |deadline| until.min(deadline))
    }
}

/// `request`, given up at `until`. It may have arrived all the same.
pub(super) async fn by<T>(
    until: Instant,
    what: &str,
    request: impl Future<Output = Result<T>>,
) -> Result<T> {
    let late = |_| Err(Error::new(ErrorKind::Timeout, format!("{what}: no answer in time")));
    timeout_at(until, request).await.unwrap_or_else(late)
}

/// Ends at that time; never, where there is none.
pub(super) async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}
