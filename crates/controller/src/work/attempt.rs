//! One attempt at a run: read it, gather its children, take it through the engine.

use std::sync::Arc;
use std::time::Duration;

use chains_core::{Error, ErrorKind, Progress, Result, annotations};
use chains_engine::Until;
use chains_tekton::Run;
use futures_util::FutureExt as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::children::Family;
use super::close::{Change, write};
use super::conclude::finished;
use super::outcome::{self, Next, Verdict};
use super::room::Taken;
use super::{REFUSED, Worker};
use crate::queue::{Done, Item, Lane};
use crate::settings::Active;
use crate::watching::{Glance, Seen, Todo, triage};

/// First and longest pause before a PipelineRun with unfinished children is looked at again.
const CHILDREN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// How long one attempt may take: a registry that never answers must not hold up the runs of others.
pub(crate) const ATTEMPT: Duration = Duration::from_secs(120);

impl Worker {
    /// Does what is to be done, as far as it goes.
    pub(super) async fn work(&self, item: Item, hurry: CancellationToken) -> Done {
        let done = match item.todo {
            Todo::Nothing => Ok(Done::Finished(item.version)),
            Todo::Guard => self.guard(&item).await,
            Todo::Release => self.release(&item).await,
            Todo::Sign => self.sign(&item, hurry).await,
        };
        done.unwrap_or_else(|error| refused(item, &error))
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
        if let Some(active) = self.settings.borrow().as_ref() {
            let todo = triage(item.key.api.kind, &seen.glance, &active.filter);
            if todo != Todo::Release {
                return Ok(other(item, &seen, todo));
            }
        }
        let change = Change { release: true, ..Change::default() };
        Ok(finished(write(self.desk(item), &seen.glance, change).await?))
    }

    async fn sign(&self, item: &Item, hurry: CancellationToken) -> Result<Done> {
        let Some(seen) = self.read(item).await? else { return Ok(Done::Finished(None)) };
        if let Some(verdict) = &item.verdict {
            return Ok(self.write_again(item, &seen, verdict).await);
        }
        let settings = self.settings.borrow().clone();
        if let Some(active) = &settings {
            match triage(item.key.api.kind, &seen.glance, &active.filter) {
                Todo::Sign => {}
                todo => return Ok(other(item, &seen, todo)),
            }
        } else if item.give_up.is_none_or(|at| at > Instant::now()) {
            // The settings went between the taking and here: it waits with the others.
            let not_before = Some(Instant::now() + Duration::from_millis(100));
            return Ok(Done::Later(Box::new(Item { not_before, ..item.clone() })));
        }
        let room = self.room.take(seen.json.get().len()).await;
        let run = match (Run::from_json(seen.json.get().as_bytes()), settings) {
            (Ok(run), Some(active)) => {
                return self.attempt(item, &seen, run, &active, (room, hurry)).await;
            }
            (Ok(_), None) => Error::new(
                ErrorKind::Key,
                "its deletion was asked for, and there was no usable configuration or key to sign it with",
            ),
            (Err(error), _) => error,
        };
        let verdict = Verdict::hopeless(run.report());
        Ok(self.conclude(item, &seen.glance, Arc::new(verdict)).await)
    }

    /// Everything was done but the write.
    async fn write_again(&self, item: &Item, seen: &Seen, verdict: &Arc<Verdict>) -> Done {
        if seen.glance.mark == crate::watching::Mark::None {
            return self.conclude(item, &seen.glance, Arc::clone(verdict)).await;
        }
        Done::Finished(seen.glance.resource_version.parse().ok())
    }

    /// The run as it was seen, or as it is now; `None` where it is gone.
    pub(super) async fn read(&self, item: &Item) -> Result<Option<Seen>> {
        if let Some(json) = &item.json {
            let read = Seen::read(Arc::clone(json)).map(Some);
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

    async fn attempt(
        &self,
        item: &Item,
        Seen { glance: seen, json, .. }: &Seen,
        run: Run,
        active: &Active,
        (mut room, hurry): (Taken<'_>, CancellationToken),
    ) -> Result<Done> {
        let family = if active.engine.makes_statements_of(item.key.api.kind) {
            Family::gather(run, &self.runs, &item.key).await?
        } else {
            Family::alone(run)
        };
        if family.bytes > 0 {
            // Not beside what it has: two that wait for more, each for the other's, would wait for ever.
            drop(room);
            room = self.room.take(json.get().len() + family.bytes).await;
        }
        if family.is_unfinished() && may_wait(item, seen, active) {
            return Ok(wait_for_children(item, seen));
        }
        if !self.fence.allows(item.key.bucket) {
            return Ok(Done::Finished(None));
        }
        let progress = progress(&family.run);
        let until = until(hurry.clone());
        let mut report = active.engine.process_until(&family.run, &progress, until).await;
        self.metrics.attempt(item.key.api.kind, &report);
        drop(room);
        let retries = if item.gone { item.retries } else { seen.retries };
        let next = match outcome::next(&mut report, retries, &active.retry) {
            Next::Again { .. } | Next::Failed if hurry.is_cancelled() => Next::Interrupted,
            next => next,
        };
        let verdict = Verdict::of(&report, next, family.left_out(&report.missing_children));
        Ok(self.conclude(item, seen, Arc::new(verdict)).await)
    }
}

/// The time for one attempt, or less where it has to come to its end before.
fn until(hurry: CancellationToken) -> Until {
    let over = async move {
        // It is the same whether it was the time or the hurry.
        let _ = tokio::time::timeout(ATTEMPT, hurry.cancelled()).await;
    };
    over.boxed().shared()
}

/// The API server could not be asked, or refused: the attempt does not count.
fn refused(mut item: Item, error: &Error) -> Done {
    tracing::warn!(error = %error.report(), "the API server did not do what was asked, trying again");
    let first = if error.is_retryable() { Duration::from_millis(500) } else { REFUSED };
    item.put_off(first, REFUSED);
    Done::Later(Box::new(item))
}

/// What an earlier attempt left; what cannot be read is as good as nothing.
fn progress(run: &Run) -> Progress {
    let annotation = run.reference().annotations.get(annotations::PROGRESS);
    match annotation.map(|json| Progress::from_json(json)) {
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
    let lane = if todo == Todo::Sign { Lane::Backlog } else { Lane::Finalizer };
    Done::Later(Box::new(Item { todo, lane, json: None, not_before: None, ..item.clone() }))
}

/// Whether there is time to wait for children that are not over: not where the deletion was asked for.
fn may_wait(item: &Item, seen: &Glance, active: &Active) -> bool {
    let waited = item.waiting_since.map(|since| since.elapsed()).unwrap_or_default();
    !item.gone && seen.deleting.is_none() && waited < active.retry.total_time
}

fn wait_for_children(item: &Item, seen: &Glance) -> Done {
    let (first, longest) = CHILDREN;
    tracing::debug!("waiting for TaskRuns that are not over yet");
    let mut item = Item {
        version: seen.resource_version.parse().ok().or(item.version),
        json: None,
        waiting_since: item.waiting_since.or_else(|| Some(Instant::now())),
        ..item.clone()
    };
    item.put_off(first, longest);
    Done::Later(Box::new(item))
}
