//! One attempt at a run: read it, gather its children, take it through the engine, write what came of it.

use std::time::Duration;

use chains_core::{Error, ErrorKind, Progress, Result, annotations};
use chains_engine::Report;
use chains_tekton::Run;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use tokio::time::Instant;

use super::children::Family;
use super::close::{Change, Desk, Written, write};
use super::outcome::{self, Next};
use super::{REFUSED, Worker};
use crate::pause::pause;
use crate::queue::{Done, Item, Lane};
use crate::settings::Active;
use crate::telemetry::Closed;
use crate::watching::{Glance, Seen, Todo, triage};

/// First and longest pause before a PipelineRun with unfinished children is looked at again.
const CHILDREN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

impl Worker {
    /// Does what is to be done, as far as it goes.
    pub(super) async fn work(&self, item: Item) -> Done {
        let done = match item.todo {
            Todo::Nothing => Ok(Done::Finished(item.version)),
            Todo::Guard => self.guard(&item).await,
            Todo::Release => self.release(&item).await,
            Todo::Sign => self.sign(&item).await,
        };
        done.unwrap_or_else(|error| self.refused(item, &error))
    }

    /// The API server could not be asked, or refused: the attempt does not count.
    fn refused(&self, mut item: Item, error: &Error) -> Done {
        if error.kind() == ErrorKind::NotFound {
            return Done::Finished(None);
        }
        tracing::warn!(error = %error.report(), "the API server did not do what was asked, trying again");
        self.metrics.retry(item.key.api.kind, error.kind());
        let longest = REFUSED;
        let first = if error.is_retryable() { Duration::from_millis(500) } else { longest };
        item.not_before = Some(Instant::now() + pause(first, longest, item.waits));
        item.waits = item.waits.saturating_add(1);
        Done::Later(Box::new(item))
    }

    fn desk<'a>(&'a self, item: &'a Item) -> Desk<'a> {
        Desk { runs: &self.runs, fence: &self.fence, key: &item.key }
    }

    async fn guard(&self, item: &Item) -> Result<Done> {
        match self.runs.guard(&item.key).await {
            // Only what was seen is dealt with: the run may have come to its end before the finalizer went on.
            Ok(_) => Ok(Done::Finished(item.version)),
            // It is being deleted, or was: there is nothing to guard.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::NotFound | ErrorKind::Conflict | ErrorKind::InvalidInput
                ) =>
            {
                tracing::debug!(error = %error.report(), "not guarded");
                Ok(Done::Finished(item.version))
            }
            Err(error) => Err(error),
        }
    }

    async fn release(&self, item: &Item) -> Result<Done> {
        let Some(seen) = self.read(item).await? else { return Ok(Done::Finished(None)) };
        let change = Change { release: true, ..Change::default() };
        Ok(finished(write(self.desk(item), &seen.glance, change).await?))
    }

    async fn sign(&self, item: &Item) -> Result<Done> {
        let Some(seen) = self.read(item).await? else { return Ok(Done::Finished(None)) };
        let settings = self.settings.borrow().clone();
        if let Some(active) = &settings {
            match triage(item.key.api.kind, &seen.glance, &active.filter) {
                Todo::Sign => {}
                todo => return Ok(other(item, &seen, todo)),
            }
        }
        let run = match Run::from_json(seen.json.get().as_bytes()) {
            Ok(run) => run,
            Err(error) => return self.hopeless(item, &seen.glance, &error).await,
        };
        let Some(active) = settings else {
            if item.give_up.is_none_or(|at| at > Instant::now()) {
                // The settings went between the taking and here: it waits with the others.
                return Ok(Done::Later(Box::new(item.clone())));
            }
            let error = Error::new(
                ErrorKind::Key,
                "its deletion was asked for, and there was no usable configuration or key to sign it with",
            );
            return self.hopeless(item, &seen.glance, &error).await;
        };
        self.attempt(item, &seen.glance, run, &active).await
    }

    /// The run as it was seen, or as it is now; `None` where it is gone.
    async fn read(&self, item: &Item) -> Result<Option<Seen>> {
        if let Some(json) = &item.json {
            let read = Seen::read(json.clone()).map(Some);
            return read
                .map_err(|e| Error::new(ErrorKind::InvalidInput, "reading a run").with_source(e));
        }
        match self.runs.get(&item.key).await {
            Ok(seen) if seen.glance.uid == item.key.uid => Ok(Some(seen)),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn attempt(&self, item: &Item, seen: &Glance, run: Run, active: &Active) -> Result<Done> {
        let family = if active.engine.makes_statements_of(item.key.api.kind) {
            Family::gather(run, &self.runs, &item.key).await?
        } else {
            Family::alone(run)
        };
        if family.is_unfinished() && may_wait(item, seen, active) {
            return Ok(wait_for_children(item, seen));
        }
        let progress = progress(&family.run);
        let report = active.engine.process(&family.run, &progress).await;
        self.metrics.attempt(item.key.api.kind, &report);
        self.conclude(item, seen, &family, &report, active).await
    }

    async fn conclude(
        &self,
        item: &Item,
        seen: &Glance,
        family: &Family,
        report: &Report,
        active: &Active,
    ) -> Result<Done> {
        let retries = if item.gone { item.waits.checked_sub(1) } else { seen.retries };
        let next = outcome::next(report, retries, &active.retry);
        let why = outcome::reason(report);
        let left_out = family.left_out(&report.missing_children);
        if item.gone {
            self.tell(item, seen, &next, &why, left_out.as_deref());
            return Ok(again_without_run(item, &next));
        }
        let change = outcome::change(report, &next, left_out.clone(), &why);
        let written = match write(self.desk(item), seen, change).await {
            // The API server does not take it, now or later: too large, most likely.
            Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::TooLarge) => {
                return self.hopeless(item, seen, &error).await;
            }
            written => written?,
        };
        if !matches!(written, Written::Overtaken(_)) {
            self.tell(item, seen, &next, &why, left_out.as_deref());
        }
        match (written, next) {
            (Written::Done(version), Next::Again { pause, .. }) => {
                let version = self.keep(item, seen).await.or(version);
                Ok(again(item, version, pause))
            }
            (written, _) => Ok(finished(written)),
        }
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

    /// Nothing can be made of this run, now or later.
    async fn hopeless(&self, item: &Item, seen: &Glance, error: &Error) -> Result<Done> {
        let why = error.report();
        self.tell(item, seen, &Next::Failed, &why, None);
        if item.gone {
            return Ok(Done::Finished(None));
        }
        let change = outcome::hopeless(&why);
        Ok(finished(write(self.desk(item), seen, change).await?))
    }

    /// Tells people and metrics.
    fn tell(&self, item: &Item, seen: &Glance, next: &Next, why: &str, left_out: Option<&str>) {
        let kind = item.key.api.kind;
        let about = || object_reference(item, seen);
        if let Some(left_out) = left_out.filter(|_| *next == Next::Signed) {
            tracing::warn!(left_out, "the provenance does not cover all children");
            let note = format!("the provenance does not cover all children: {left_out}");
            self.events.warning(about(), "ChildrenLeftOut", note);
        }
        let since = seen.completed_at.map(|at| Timestamp::now().duration_since(at));
        let since = since.and_then(|since| Duration::try_from(since).ok());
        match next {
            Next::Signed => {
                self.metrics.closed(kind, Closed::Signed, since);
                tracing::info!("signed");
            }
            Next::Again { retries, pause } => {
                tracing::warn!(why, retries, ?pause, "not signed yet, trying again");
            }
            Next::Failed => {
                self.metrics.closed(kind, Closed::Failed, since);
                tracing::error!(why, "not signed: given up");
                self.events.warning(about(), "SigningFailed", format!("not signed: {why}"));
            }
        }
    }
}

fn again(item: &Item, version: Option<u64>, pause: Duration) -> Done {
    Done::Later(Box::new(Item {
        version: version.or(item.version),
        json: None,
        lane: Lane::Backlog,
        not_before: Some(Instant::now() + pause),
        waits: 0,
        ..item.clone()
    }))
}

/// What an earlier attempt left; what cannot be read is as good as nothing.
fn progress(run: &Run) -> Progress {
    let annotation = run.reference().annotations.get(annotations::PROGRESS);
    let read = annotation.map(|json| Progress::from_json(json));
    match read {
        Some(Ok(progress)) => progress,
        Some(Err(error)) => {
            tracing::warn!(error = %error.report(), "starting anew");
            Progress::default()
        }
        None => Progress::default(),
    }
}

/// It turned out that something else is to be done with the run.
fn other(item: &Item, seen: &Seen, todo: Todo) -> Done {
    if todo == Todo::Nothing {
        return Done::Finished(seen.glance.resource_version.parse().ok());
    }
    Done::Later(Box::new(Item {
        todo,
        lane: Lane::Finalizer,
        json: None,
        not_before: None,
        ..item.clone()
    }))
}

/// Whether there is time to wait for children that are not over: not where the deletion was asked for.
fn may_wait(item: &Item, seen: &Glance, active: &Active) -> bool {
    let waited = item.waiting_since.map(|since| since.elapsed()).unwrap_or_default();
    !item.gone && seen.deleting.is_none() && waited < active.retry.total_time
}

fn wait_for_children(item: &Item, seen: &Glance) -> Done {
    let (first, longest) = CHILDREN;
    tracing::debug!("waiting for TaskRuns that are not over yet");
    Done::Later(Box::new(Item {
        version: seen.resource_version.parse().ok().or(item.version),
        json: None,
        not_before: Some(Instant::now() + pause(first, longest, item.waits)),
        waits: item.waits.saturating_add(1),
        waiting_since: item.waiting_since.or_else(|| Some(Instant::now())),
        ..item.clone()
    }))
}

/// There is no run to keep anything on: what is to be tried again is kept here.
fn again_without_run(item: &Item, next: &Next) -> Done {
    match next {
        Next::Again { retries, pause } => Done::Later(Box::new(Item {
            not_before: Some(Instant::now() + *pause),
            waits: retries.saturating_add(1),
            ..item.clone()
        })),
        Next::Signed | Next::Failed => Done::Finished(None),
    }
}

fn finished(written: Written) -> Done {
    match written {
        Written::Done(version) | Written::Overtaken(version) => Done::Finished(version),
        Written::Gone => Done::Finished(None),
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
