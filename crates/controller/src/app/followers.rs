//! Tasks that follow one thing and tell it to another: settings and buckets to the queue and the watches, the
//! queue's size to the metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chains_cluster::{RunApi, Version};
use chains_config::Filter;
use chains_core::RunKind;
use kube::Client;
use tokio::task::JoinSet;

use crate::ownership::Held;
use crate::pause::Backoff;
use crate::queue::Queue;
use crate::settings::Settings;
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

    /// Watches while this replica holds any bucket; begins anew when it gets another, or when the filter lets in
    /// runs that were passed over before.
    async fn watches(mut self, states: BTreeMap<RunKind, WatchState>) {
        let version = self.version(&states).await;
        let mut running = JoinSet::new();
        let mut before = self.held.borrow_and_update().clone();
        let mut filter = self.filter(Filter { managed_by: BTreeSet::new() });
        self.queue.hold(before.clone());
        self.restart(version, &states, &mut running).await;
        loop {
            tokio::select! {
                changed = self.held.changed() => if changed.is_err() { std::future::pending::<()>().await },
                changed = self.settings.changed() => if changed.is_err() { std::future::pending::<()>().await },
            }
            let held = self.held.borrow_and_update().clone();
            self.queue.hold(held.clone());
            self.settings.mark_unchanged();
            let now = self.filter(filter.clone());
            if !held.without(&before).is_empty()
                || (held.is_empty() && !before.is_empty())
                || now != filter
            {
                tokio::time::sleep(SETTLE).await;
                let held = self.held.borrow_and_update().clone();
                self.queue.hold(held);
                self.restart(version, &states, &mut running).await;
            }
            before = self.held.borrow().clone();
            filter = now;
        }
    }

    /// The filter in force; while there are no settings, what held `before`.
    fn filter(&self, before: Filter) -> Filter {
        self.settings.borrow().as_ref().map_or(before, |active| active.filter.clone())
    }

    async fn restart(
        &self,
        version: Version,
        states: &BTreeMap<RunKind, WatchState>,
        running: &mut JoinSet<()>,
    ) {
        running.shutdown().await;
        if self.held.borrow().is_empty() {
            for state in states.values() {
                state.idle("other replicas hold all runs");
            }
            return;
        }
        for (kind, namespace) in kinds_and_namespaces(&self.namespaces) {
            let watching = Watching {
                queue: self.queue.clone(),
                settings: self.settings.clone(),
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
