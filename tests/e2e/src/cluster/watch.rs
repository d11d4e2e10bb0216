//! What becomes of runs, as it happens: their metadata, by a watch.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use futures_util::StreamExt as _;
use kube::{
    Resource as _, ResourceExt as _,
    api::{ApiResource, DynamicObject},
    core::PartialObjectMeta,
    runtime::{WatchStreamExt as _, watcher},
};
use tokio::task::JoinHandle;

use super::{Cluster, runtime::handle};

/// How long a case waits for something that is to come. Two cores are shared by everything.
const LIMIT: Duration = Duration::from_secs(90);

/// What is known of a run.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its annotations.
    pub annotations: HashMap<String, String>,
    /// Its finalizers.
    pub finalizers: Vec<String>,
    /// Whether someone wants it deleted.
    pub deleting: bool,
    /// Whether it is gone.
    pub gone: bool,
    /// When this was learnt.
    pub at: Instant,
}

impl Seen {
    /// An annotation of Chains, by its name after the slash.
    #[must_use]
    pub fn chains(&self, name: &str) -> Option<&str> {
        self.annotations.get(&format!("chains.tekton.dev/{name}")).map(String::as_str)
    }

    /// Whether it is signed.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        self.chains("signed") == Some("true")
    }

    /// Whether signing it was given up.
    #[must_use]
    pub fn is_failed(&self) -> bool {
        self.chains("signed") == Some("failed")
    }

    /// Whether a finalizer of Chains is on it.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.finalizers.iter().any(|name| name.starts_with("chains.tekton.dev"))
    }
}

type Known = HashMap<String, Seen>;

/// Follows all runs of a kind in a namespace.
#[derive(Debug)]
pub struct Watch {
    shared: Arc<(Mutex<Known>, Condvar)>,
    task: JoinHandle<()>,
}

impl Watch {
    /// Begins to follow the runs of the kind with this plural.
    ///
    /// # Errors
    /// If there is no runtime.
    pub fn start(cluster: &Cluster, namespace: &str, plural: &str) -> Result<Self> {
        let version = cluster.tekton_version().to_owned();
        let resource = ApiResource {
            group: "tekton.dev".to_owned(),
            api_version: format!("tekton.dev/{version}"),
            version,
            kind: if plural == "taskruns" { "TaskRun" } else { "PipelineRun" }.to_owned(),
            plural: plural.to_owned(),
        };
        let runs: kube::Api<PartialObjectMeta<DynamicObject>> =
            kube::Api::namespaced_with(cluster.api().client().clone(), namespace, &resource);
        let shared = Arc::new((Mutex::default(), Condvar::new()));
        let known = Arc::clone(&shared);
        let task = handle()?.spawn(async move {
            let events = watcher(runs, watcher::Config::default()).default_backoff();
            let mut events = pin!(events);
            while let Some(event) = events.next().await {
                // An API server that restarts breaks a watch; it goes on by itself.
                let Ok(event) = event else { continue };
                note(&known, event);
            }
        });
        Ok(Self { shared, task })
    }

    /// Waits until `is_so` of the run `name`, and tells what is known of it then.
    ///
    /// # Errors
    /// If it does not come to that in a minute and a half.
    pub fn until(&self, name: &str, is_so: impl Fn(&Seen) -> bool) -> Result<Seen> {
        self.until_all(&[name], is_so)?;
        let known = self.lock();
        known.get(name).cloned().ok_or_else(|| anyhow::anyhow!("{name} is not known"))
    }

    /// Waits until `is_so` of all these runs.
    ///
    /// # Errors
    /// If it does not come to that in a minute and a half; the error tells of how many it is so, and what is
    /// known of one of the others.
    pub fn until_all<S: AsRef<str>>(
        &self,
        names: &[S],
        is_so: impl Fn(&Seen) -> bool,
    ) -> Result<()> {
        self.within(LIMIT, names, is_so)
    }

    /// As [`Watch::until_all`], where there is more to do.
    ///
    /// # Errors
    /// If it does not come to that within `limit`.
    pub fn within<S: AsRef<str>>(
        &self,
        limit: Duration,
        names: &[S],
        is_so: impl Fn(&Seen) -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + limit;
        let mut known = self.lock();
        loop {
            let not_so = |name: &&S| !known.get(name.as_ref()).is_some_and(&is_so);
            let missing: Vec<&str> = names.iter().filter(not_so).map(AsRef::as_ref).collect();
            let Some(first) = missing.first() else { return Ok(()) };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let (count, all) = (missing.len(), names.len());
                let seen = known.get(*first);
                bail!(
                    "{count} of {all} runs did not come to it in {limit:?}: {first} is {seen:#?}"
                );
            }
            known =
                self.shared.1.wait_timeout(known, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// What is known of the run `name` now.
    #[must_use]
    pub fn now(&self, name: &str) -> Option<Seen> {
        self.lock().get(name).cloned()
    }

    /// How many runs it is so of now.
    #[must_use]
    pub fn count(&self, is_so: impl Fn(&Seen) -> bool) -> usize {
        self.lock().values().filter(|seen| is_so(seen)).count()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Event = watcher::Event<PartialObjectMeta<DynamicObject>>;

fn note(shared: &(Mutex<Known>, Condvar), event: Event) {
    let (object, gone) = match event {
        watcher::Event::Apply(object) | watcher::Event::InitApply(object) => (object, false),
        watcher::Event::Delete(object) => (object, true),
        watcher::Event::Init | watcher::Event::InitDone => return,
    };
    let seen = Seen {
        annotations: object.annotations().clone().into_iter().collect(),
        finalizers: object.finalizers().to_vec(),
        deleting: object.meta().deletion_timestamp.is_some(),
        gone,
        at: Instant::now(),
    };
    shared.0.lock().unwrap_or_else(PoisonError::into_inner).insert(object.name_any(), seen);
    shared.1.notify_all();
}
