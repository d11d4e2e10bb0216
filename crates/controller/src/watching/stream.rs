//! The watches: one for each kind of run, and for each namespace where only some are looked at.

use std::time::Duration;

use chains_cluster::{RunApi, Version};
use chains_config::Filter;
use chains_core::RunKind;
use futures_util::{TryStreamExt, pin_mut};
use jiff::Timestamp;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};
use tokio::time::Instant;

use super::glance::Seen;
use super::state::WatchState;
use super::triage::{Todo, triage};
use crate::ownership::Bucket;
use crate::pause::Backoff;
use crate::queue::{Item, Key, Lane, Queue};
use crate::settings::Settings;

/// How long one watch request lasts. A connection that died without a word is noticed a little later.
const REQUEST_SECONDS: u32 = 240;
/// How many objects a page has where the API server does not stream lists: few, as all of a page are in memory.
const PAGE: u32 = 10;
/// After how many failed requests in a row a watch counts as broken.
const TOLD_AFTER: u32 = 3;
/// How long a deletion waits for a first configuration.
const PATIENCE: Duration = Duration::from_secs(600);

/// Which runs are watched, and where they go.
#[derive(Debug, Clone)]
pub(crate) struct Watching {
    pub(crate) queue: Queue,
    pub(crate) settings: Settings,
    /// Which of them are looked at.
    pub(crate) filter: Filter,
    /// How many buckets the runs are parted into.
    pub(crate) buckets: u16,
}

/// One watch.
pub(crate) struct Watch {
    client: Client,
    api: RunApi,
    namespace: Option<String>,
    watching: Watching,
    state: WatchState,
    streaming: bool,
    /// How many requests failed since one was answered.
    failures: u32,
}

impl Watch {
    pub(crate) fn new(
        client: Client,
        api: RunApi,
        namespace: Option<String>,
        watching: Watching,
        state: WatchState,
    ) -> Self {
        Self { client, api, namespace, watching, state, streaming: true, failures: 0 }
    }

    /// Watches for ever: what goes wrong is told to health, and tried again.
    pub(crate) async fn run(mut self) {
        loop {
            self.follow().await;
        }
    }

    /// Lists and follows until it has to begin anew. A watch that only broke is taken up where it broke.
    async fn follow(&mut self) {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
        let stream = watcher::watcher(self.resources(), self.config());
        pin_mut!(stream);
        loop {
            match stream.try_next().await {
                Ok(Some(event)) => {
                    if matches!(event, Event::InitDone | Event::Apply(_) | Event::Delete(_)) {
                        backoff.reset();
                        self.failures = 0;
                    }
                    self.event(event);
                }
                Ok(None) => return,
                // It fell too far behind: the stream lists by itself.
                Err(watcher::Error::WatchError(status)) if status.code == 410 => {
                    tokio::time::sleep(backoff.next()).await;
                }
                Err(error) => {
                    let anew = self.failed(&error).await;
                    tokio::time::sleep(backoff.next()).await;
                    if anew {
                        return;
                    }
                }
            }
        }
    }

    fn resources(&self) -> Api<Seen> {
        let resource = self.api.resource();
        match &self.namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        }
    }

    fn config(&self) -> watcher::Config {
        let config = watcher::Config::default().timeout(REQUEST_SECONDS);
        if self.streaming { config.streaming_lists() } else { config.page_size(PAGE) }
    }

    fn event(&self, event: Event<Seen>) {
        match event {
            Event::Init => {}
            Event::InitApply(seen) => {
                self.state.ok(self.place());
                self.seen(seen, Lane::Backlog);
            }
            Event::InitDone => self.state.ok(self.place()),
            Event::Apply(seen) => {
                self.state.ok(self.place());
                self.seen(seen, Lane::Fresh);
            }
            Event::Delete(seen) => {
                self.state.ok(self.place());
                self.gone(seen);
            }
        }
    }

    fn place(&self) -> &str {
        self.namespace.as_deref().unwrap_or("*")
    }

    fn seen(&self, seen: Seen, lane: Lane) {
        match self.triage(&seen) {
            Todo::Nothing => self.watching.queue.forget(&self.key(&seen)),
            todo => self.watching.queue.offer(self.item(seen, todo, lane, false)),
        }
    }

    /// The run is no longer there. Where it was complete and nothing held it back, it can be signed all the same.
    fn gone(&self, seen: Seen) {
        if self.triage(&seen) == Todo::Sign {
            let held = seen.glance.is_held(self.api.kind);
            let item = self.item(seen, Todo::Sign, Lane::Fresh, true);
            self.watching.queue.vanished(item, held);
        } else {
            self.watching.queue.forget(&self.key(&seen));
        }
    }

    fn triage(&self, seen: &Seen) -> Todo {
        triage(self.api.kind, &seen.glance, &self.watching.filter)
    }

    fn key(&self, seen: &Seen) -> Key {
        let glance = &seen.glance;
        Key {
            api: self.api,
            namespace: glance.namespace.clone(),
            name: glance.name.clone(),
            uid: glance.uid.clone(),
            bucket: Bucket::of(&glance.uid, self.watching.buckets),
        }
    }

    fn item(&self, seen: Seen, todo: Todo, lane: Lane, gone: bool) -> Item {
        let key = self.key(&seen);
        let glance = &seen.glance;
        let lane = match todo {
            Todo::Sign if glance.retries.is_none() => lane,
            Todo::Sign => Lane::Backlog,
            Todo::Release if glance.deleting.is_none() => Lane::Tidying,
            Todo::Guard | Todo::Release | Todo::Nothing => Lane::Finalizer,
        };
        let (patience, now) = (self.patience(), Timestamp::now());
        let sign = todo == Todo::Sign;
        Item {
            key,
            todo,
            lane,
            // Whoever may write the status could be first for ever with a time to come.
            when: glance.completed_at.map_or(now, |at| at.min(now)),
            version: glance.resource_version.parse().ok(),
            gone,
            not_before: glance.next_attempt.filter(|_| sign).map(|at| instant(at, patience)),
            give_up: glance
                .deleting
                .filter(|_| sign)
                .map(|since| instant(since + patience, patience)),
            waits: 0,
            retries: None,
            verdict: None,
            waiting_since: None,
            json: sign.then_some(seen.json),
        }
    }

    /// The longest that a run waits for its next attempt, whatever its annotations say, and the longest that a
    /// deletion waits for a key.
    fn patience(&self) -> Duration {
        let settings = self.watching.settings.borrow();
        settings.as_ref().map_or(PATIENCE, |active| active.retry.total_time)
    }

    /// Tells what went wrong, and whether to begin anew.
    async fn failed(&mut self, error: &watcher::Error) -> bool {
        let namespace = self.namespace.as_deref();
        let place = namespace.map(|name| format!(" in the namespace {name}")).unwrap_or_default();
        let what = format!("watching {}s{place}", self.api.kind);
        let status = status_code(error);
        if self.streaming && matches!(status, Some(400 | 422)) {
            tracing::info!(kind = %self.api.kind, "the API server does not stream lists: reading them in pages");
            self.streaming = false;
            return true;
        }
        let anew = status == Some(404) && self.rediscover().await;
        let why = match status {
            Some(403) => {
                format!("{what}: forbidden: the role needs the verbs get, list and watch on them")
            }
            Some(404) => {
                format!("{what}: the API server knows no such resource: is Tekton installed?")
            }
            _ => format!("{what}: {}", chain(error)),
        };
        tracing::warn!(kind = %self.api.kind, namespace = self.place(), "{why}");
        self.failures += 1;
        // A watch that broke goes on where it broke, and says nothing while nothing happens.
        if self.failures >= TOLD_AFTER || status.is_some() {
            self.state.waiting(self.place(), why);
        }
        anew
    }

    /// Whether the resource is served in another version by now.
    async fn rediscover(&mut self) -> bool {
        match Version::discover(&self.client).await {
            Ok(Some(version)) => std::mem::replace(&mut self.api.version, version) != version,
            Ok(None) | Err(_) => false,
        }
    }
}

/// When that is on this process's clock; not later than `patience` from now, whoever wrote it.
fn instant(at: Timestamp, patience: Duration) -> Instant {
    let ahead = at.duration_since(Timestamp::now());
    let ahead = Duration::try_from(ahead).unwrap_or_default();
    Instant::now() + ahead.min(patience)
}

fn status_code(error: &watcher::Error) -> Option<u16> {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => Some(status.code),
        _ => None,
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// All watches: for both kinds of run, and for each namespace.
pub(crate) fn kinds_and_namespaces(namespaces: &[String]) -> Vec<(RunKind, Option<String>)> {
    let places: Vec<Option<String>> = if namespaces.is_empty() {
        vec![None]
    } else {
        namespaces.iter().cloned().map(Some).collect()
    };
    let kinds = [RunKind::TaskRun, RunKind::PipelineRun];
    places.iter().flat_map(|place| kinds.map(|kind| (kind, place.clone()))).collect()
}
