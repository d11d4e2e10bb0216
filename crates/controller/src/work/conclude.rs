//! Writes what came of an attempt, and tells people and metrics.

use std::sync::Arc;
use std::time::Duration;

use chains_core::{Error, ErrorKind};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use tokio::time::Instant;

use super::close::{Desk, Written, write};
use super::outcome::{Next, Verdict};
use super::{REFUSED, Worker};
use crate::pause::pause;
use crate::queue::{Done, Item, Lane};
use crate::telemetry::Closed;
use crate::watching::Glance;

impl Worker {
    /// Writes the verdict on the run. Where that cannot be now, the verdict is kept: only the write is left to do.
    pub(super) async fn conclude(&self, item: &Item, seen: &Glance, verdict: Arc<Verdict>) -> Done {
        if item.gone {
            self.tell(item, seen, &verdict);
            return again_without_run(item, &verdict.next);
        }
        let written = match write(self.desk(item), seen, verdict.change.clone()).await {
            Ok(written) => written,
            Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::TooLarge) => {
                return self.at_least(item, seen, &error).await;
            }
            Err(error) => return unwritten(item, verdict, &error),
        };
        if !matches!(written, Written::Overtaken(_)) {
            self.tell(item, seen, &verdict);
        }
        match (written, &verdict.next) {
            (Written::Done(version), Next::Again { pause, .. }) => {
                let version = self.keep(item, seen).await.or(version);
                again(item, version, *pause)
            }
            (Written::Done(version), Next::Interrupted) => {
                let version = self.keep(item, seen).await.or(version);
                again(item, version, Duration::ZERO)
            }
            (written, _) => finished(written),
        }
    }

    /// The API server will never take the whole: the run is closed with as much as there is room for.
    async fn at_least(&self, item: &Item, seen: &Glance, refused: &Error) -> Done {
        let why = refused.report();
        for change in Verdict::at_least(&why) {
            match write(self.desk(item), seen, change).await {
                Ok(written) => {
                    self.tell(item, seen, &Verdict::hopeless(why));
                    return finished(written);
                }
                Err(error) => tracing::warn!(error = %error.report(), "not closed yet"),
            }
        }
        self.events.warning(object_reference(item, seen), "NotClosed", why);
        let mut item = item.clone();
        item.put_off(REFUSED, REFUSED);
        Done::Later(Box::new(item))
    }

    /// A run that is to be tried again must not go before: puts the finalizer on where it was first seen complete.
    async fn keep(&self, item: &Item, seen: &Glance) -> Option<u64> {
        if seen.deleting.is_some() || seen.is_held(item.key.api.kind) {
            return None;
        }
        self.runs.guard(&item.key).await.unwrap_or_else(|error| {
            tracing::warn!(error = %error.report(), "not guarded");
            None
        })
    }

    pub(super) fn desk<'a>(&'a self, item: &'a Item) -> Desk<'a> {
        Desk { runs: &self.runs, fence: &self.fence, key: &item.key }
    }

    /// Tells people and metrics.
    fn tell(&self, item: &Item, seen: &Glance, verdict: &Verdict) {
        let kind = item.key.api.kind;
        let since = seen.completed_at.map(|at| Timestamp::now().duration_since(at));
        let since = since.and_then(|since| Duration::try_from(since).ok());
        let why = &verdict.why;
        match &verdict.next {
            Next::Signed => {
                self.metrics.closed(kind, Closed::Signed, since);
                tracing::info!("signed");
                self.tell_left_out(item, seen, verdict);
            }
            Next::Again { retries, pause, cause } => {
                self.metrics.retry(kind, *cause);
                tracing::warn!(why, retries, ?pause, "not signed yet, trying again");
            }
            Next::Interrupted => {
                tracing::info!(why, "stopped on the way: what is done is kept on the run");
            }
            Next::Failed => {
                self.metrics.closed(kind, Closed::Failed, since);
                tracing::error!(why, "not signed: given up");
                let note = format!("not signed: {why}");
                self.events.warning(object_reference(item, seen), "SigningFailed", note);
            }
        }
    }

    fn tell_left_out(&self, item: &Item, seen: &Glance, verdict: &Verdict) {
        if let Some(left_out) = &verdict.left_out {
            tracing::warn!(left_out, "the provenance does not cover all children");
            let note = format!("the provenance does not cover all children: {left_out}");
            self.events.warning(object_reference(item, seen), "ChildrenLeftOut", note);
        }
    }
}

/// The API server does not take the write now.
fn unwritten(item: &Item, verdict: Arc<Verdict>, error: &Error) -> Done {
    tracing::warn!(error = %error.report(), "what was done could not be written on the run, trying again");
    let first = if error.is_retryable() { Duration::from_secs(1) } else { REFUSED };
    let mut item = Item { verdict: Some(verdict), json: None, ..item.clone() };
    item.put_off(first, REFUSED);
    Done::Later(Box::new(item))
}

fn again(item: &Item, version: Option<u64>, pause: Duration) -> Done {
    Done::Later(Box::new(Item {
        version: version.or(item.version),
        json: None,
        verdict: None,
        lane: Lane::Backlog,
        not_before: Some(Instant::now() + pause),
        waits: 0,
        ..item.clone()
    }))
}

/// There is no run to keep anything on: what is to be tried again is kept here.
fn again_without_run(item: &Item, next: &Next) -> Done {
    match next {
        Next::Again { retries, pause, .. } => Done::Later(Box::new(Item {
            not_before: Some(Instant::now() + *pause),
            retries: Some(*retries),
            ..item.clone()
        })),
        Next::Signed | Next::Interrupted | Next::Failed => Done::Finished(None),
    }
}

pub(super) fn finished(written: Written) -> Done {
    match written {
        Written::Done(version) | Written::Overtaken(version) => Done::Finished(version),
        Written::Gone => Done::Finished(None),
    }
}

impl Item {
    /// Not before a pause that grows with each wait.
    pub(super) fn put_off(&mut self, first: Duration, longest: Duration) {
        self.not_before = Some(Instant::now() + pause(first, longest, self.waits));
        self.waits = self.waits.saturating_add(1);
    }
}

fn object_reference(item: &Item, seen: &Glance) -> ObjectReference {
    let resource = item.key.api.resource();
    ObjectReference {
        api_version: Some(resource.api_version),
        kind: Some(resource.kind),
        namespace: Some(item.key.namespace.to_string()),
        name: Some(item.key.name.to_string()),
        uid: Some(item.key.uid.to_string()),
        resource_version: Some(seen.resource_version.to_string()),
        ..ObjectReference::default()
    }
}
