//! Tasks that follow one thing and tell it to another: settings and buckets to the queue and the watches, the
//! queue's size to the metrics.

use std::collections::BTreeMap;
use std::time::Duration;

use chains_cluster::{RunApi, Version};
use chains_config::Filter;
use chains_core::RunKind;
use kube::Client;
use tokio::task::JoinSet;

use crate::ownership::{Buckets, Held};
use crate::pause::Backoff;
use crate::queue::Queue;
use crate::settings::{Filters, Settings};
use crate::telemetry::{Health, Metrics};
use crate::watching::{Watch, WatchState, Watching, kinds_and_namespaces};

/// How often the gauges are brought up to date.
const GAUGES: Duration = Duration::from_secs(1);
/// Buckets often come in several steps: the watches begin anew once, after them.
const SETTLE: Duration = Duration::from_millis(50);

/// What the tasks follow, and whom they tell.
#[derive(Clone)]
pub(super) struct Followers {
    pub(super) client: Client,
    pub(super) queue: Queue,
    pub(super) settings: Settings,
    pub(super) filters: Filters,
    pub(super) held: Held,
    pub(super) namespaces: Vec<String>,
    pub(super) buckets: u16,
    pub(super) health: Health,
    pub(super) metrics: Metrics,
}

impl Followers {
    pub(super) fn spawn(self, tasks: &mut JoinSet<()>) {
        let states = BTreeMap::from([
            (RunKind::TaskRun, WatchState::new(self.health.part("taskruns"))),
            (RunKind::PipelineRun, WatchState::new(self.health.part("pipelineruns"))),
        ]);
        tasks.spawn(self.clone().watches(states));
        tasks.spawn(self.clone().signing());
        tasks.spawn(self.gauges());
    }

    /// Nothing is signed while there are no settings.
    async fn signing(mut self) {
        loop {
            let ready = self.settings.borrow_and_update().is_some();
            self.queue.allow_signing(ready);
            if self.settings.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    async fn gauges(self) {
        loop {
            let counts = self.queue.counts();
            for (lane, waiting) in counts.ready {
                self.metrics.backlog(lane.as_str(), "ready", waiting);
            }
            self.metrics.backlog("backlog", "delayed", counts.delayed);
            self.metrics.in_flight(counts.in_hand);
            self.metrics.concurrency_limit(counts.limit);
            self.health.beat();
            tokio::time::sleep(GAUGES).await;
        }
    }

    /// Watches while this replica holds any bucket, and from the first good configuration on; begins anew when it gets
    /// another bucket, or when the filter lets in runs that were passed over before.
    async fn watches(mut self, states: BTreeMap<RunKind, WatchState>) {
        let version = self.version(&states).await;
        let mut running = JoinSet::new();
        let mut before = Buckets::default();
        let mut filter = None;
        loop {
            let held = self.held.borrow_and_update().clone();
            let now = self.filters.borrow_and_update().clone();
            self.queue.hold(held.clone());
            let gained = !held.without(&before).is_empty();
            if gained || held.is_empty() || now != filter {
                self.restart(version, &states, &held, now.as_ref(), &mut running).await;
            }
            (before, filter) = (held, now);
            let changed = tokio::select! {
                changed = self.held.changed() => changed,
                changed = self.filters.changed() => changed,
            };
            if changed.is_err() {
                // Whoever tells it has ended: the process is about to.
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(SETTLE).await;
        }
    }

    async fn restart(
        &self,
        version: Version,
        states: &BTreeMap<RunKind, WatchState>,
        held: &Buckets,
        filter: Option<&Filter>,
        running: &mut JoinSet<()>,
    ) {
        running.shutdown().await;
        states.values().for_each(WatchState::clear);
        let Some(filter) = filter else { return };
        if held.is_empty() {
            states.values().for_each(|state| state.idle("other replicas hold all runs"));
            return;
        }
        for (kind, namespace) in kinds_and_namespaces(&self.namespaces) {
            let watching = Watching {
                queue: self.queue.clone(),
                settings: self.settings.clone(),
                filter: filter.clone(),
                buckets: self.buckets,
            };
            let Some(state) = states.get(&kind) else { continue };
            let api = RunApi { kind, version };
            let watch = Watch::new(self.client.clone(), api, namespace, watching, state.clone());
            running.spawn(watch.run());
        }
    }

    /// Asks until the API server says which version of Tekton's runs it serves.
    async fn version(&self, states: &BTreeMap<RunKind, WatchState>) -> Version {
        let mut backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(10));
        loop {
            let why = match Version::discover(&self.client).await {
                Ok(Some(version)) => {
                    tracing::info!(version = version.as_str(), "found Tekton's runs");
                    return version;
                }
                Ok(None) => {
                    "the API server serves no runs of tekton.dev: is Tekton installed?".to_owned()
                }
                Err(error) => error.report(),
            };
            tracing::warn!("{why}");
            for state in states.values() {
                state.waiting("*", why.clone());
            }
            tokio::time::sleep(backoff.next()).await;
        }
    }
}
