//! Writes on a run what came of it: annotations and finalizers in one patch, so that nobody sees half of it.

use std::collections::BTreeMap;
use std::time::Duration;

use chains_core::{Error, ErrorKind, Result, annotations};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::api::Runs;
use crate::ownership::Fence;
use crate::pause::Backoff;
use crate::queue::Key;
use crate::watching::{Glance, Mark};

/// What is to be written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// Annotations to set.
    pub(crate) set: BTreeMap<String, String>,
    /// Annotations to take off.
    pub(crate) unset: Vec<&'static str>,
    /// Whether our finalizers are to be taken off.
    pub(crate) release: bool,
}

/// How the write ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// The run has it, at this resource version.
    Done(Option<u64>),
    /// The run is no longer there.
    Gone,
    /// Somebody else had finished the run already.
    Overtaken(Option<u64>),
}

impl Change {
    /// How many bytes it adds.
    pub(super) fn size(&self) -> usize {
        annotations::size(&self.set)
    }

    /// The merge patch for the run as it is known. The API server refuses it where the run has changed since: a
    /// list of finalizers is replaced as a whole, and one that another writer put on would be lost.
    fn patch(&self, key: &Key, run: &Glance) -> Value {
        let mut metadata = Map::new();
        metadata.insert("uid".to_owned(), json!(&*key.uid));
        metadata.insert("resourceVersion".to_owned(), json!(run.resource_version));
        if self.release && run.is_held(key.api.kind) {
            metadata.insert("finalizers".to_owned(), json!(run.others(key.api.kind)));
        }
        let mut all: Map<String, Value> =
            self.set.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        all.extend(self.unset.iter().map(|name| ((*name).to_owned(), Value::Null)));
        if !all.is_empty() {
            metadata.insert("annotations".to_owned(), all.into());
        }
        json!({ "metadata": metadata })
    }
}

/// Where and by which right something is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Desk<'a> {
    pub(super) runs: &'a Runs,
    pub(super) fence: &'a Fence,
    pub(super) key: &'a Key,
}

/// Writes: on a fresh read where somebody else wrote in between, again where the API server does not answer. What was
/// signed and stored would have to be done again otherwise.
///
/// # Errors
/// Where the API server refuses, and where it took too long.
pub(super) async fn write(desk: Desk<'_>, seen: &Glance, mut change: Change) -> Result<Written> {
    let key = desk.key;
    let mut patience = Patience::new();
    let mut fresh: Option<Glance> = None;
    loop {
        let run = fresh.as_ref().unwrap_or(seen);
        if !desk.fence.allows(key.bucket) {
            // Another replica works on it, or will in a moment.
            return Ok(Written::Overtaken(None));
        }
        match desk.runs.merge(key, change.patch(key, run)).await {
            Ok(version) => return Ok(Written::Done(version)),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Written::Gone),
            Err(error) => patience.bear(error).await?,
        }
        let Some(now) = reread(desk.runs, key, &mut patience).await? else {
            return Ok(Written::Gone);
        };
        if now.mark != Mark::None && seen.mark == Mark::None {
            let version = now.resource_version.parse().ok();
            if !(change.release && now.is_held(key.api.kind)) {
                // A write without an answer may have been taken all the same.
                let ours = patience.unanswered;
                return Ok(if ours { Written::Done(version) } else { Written::Overtaken(version) });
            }
            change = Change { release: true, ..Change::default() };
        }
        keep_entries(&mut change, now.transparency.as_deref().unwrap_or_default());
        fresh = Some(now);
    }
}

/// How long and how often a write is tried.
struct Patience {
    began: Instant,
    backoff: Backoff,
    conflicts: u32,
    /// Whether the API server did not say what became of a write.
    unanswered: bool,
}

impl Patience {
    /// A run that others write on without end, and an API server that is away for long, are come back to later.
    const LONGEST: Duration = Duration::from_secs(60);

    fn new() -> Self {
        let backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(3));
        Self { began: Instant::now(), backoff, conflicts: 0, unanswered: false }
    }

    /// Waits before another try, or gives the error back where there is to be none.
    async fn bear(&mut self, error: Error) -> Result<()> {
        match error.kind() {
            // The first conflict is nobody's fault.
            ErrorKind::Conflict if self.conflicts == 0 => {
                self.conflicts += 1;
                return Ok(());
            }
            ErrorKind::Conflict => self.conflicts += 1,
            ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Throttled => {
                self.unanswered = true;
                tracing::warn!(error = %error.report(), "the API server does not answer, trying again");
            }
            _ => return Err(error),
        }
        if self.began.elapsed() > Self::LONGEST {
            return Err(error);
        }
        tokio::time::sleep(self.backoff.next()).await;
        Ok(())
    }
}

/// The run as it is now; `None` where it is gone, or another has its name.
async fn reread(runs: &Runs, key: &Key, patience: &mut Patience) -> Result<Option<Glance>> {
    loop {
        match runs.get(key).await {
            Ok(seen) if seen.glance.uid == key.uid => return Ok(Some(seen.glance)),
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => patience.bear(error).await?,
        }
    }
}

/// Adds the addresses of log entries that another writer put on the run in between.
fn keep_entries(change: &mut Change, others: &str) {
    if let Some(ours) = change.set.get_mut(annotations::TRANSPARENCY) {
        let missing: Vec<&str> = others
            .split(',')
            .filter(|one| !one.is_empty() && !ours.split(',').any(|our| our == *one))
            .collect();
        if !missing.is_empty() {
            *ours = format!("{},{ours}", missing.join(","));
        }
    }
}
