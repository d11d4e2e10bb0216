//! What came of a run, by target and store.

use std::collections::{BTreeMap, BTreeSet};

use chains_core::{Error, Outcome, Progress, RecordKey, RunRef, Target, annotations};
use chains_tekton::MissingChild;

/// Where on the line something failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Making the payload.
    Payload,
    /// Signing.
    Sign,
    /// Logging.
    Log,
    /// Storing.
    Store,
}

impl Stage {
    /// A static word for metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Payload => "payload",
            Self::Sign => "sign",
            Self::Log => "log",
            Self::Store => "store",
        }
    }
}

/// What one store did with one target.
#[derive(Debug)]
pub struct StoreReport {
    /// The store's name.
    pub store: String,
    /// What it did, or why it could not.
    pub result: Result<Outcome, Error>,
}

/// What came of one target.
#[derive(Debug)]
pub struct TargetReport {
    /// What was signed.
    pub target: Target,
    /// The names it is kept under.
    pub key: RecordKey,
    /// The format of its payload.
    pub format: &'static str,
    /// Why the target did not get as far as the stores.
    pub stopped: Option<(Stage, Error)>,
    /// Whether there was nothing to say about it.
    pub nothing_to_say: bool,
    /// Whether its payload carries a signature.
    pub signed: bool,
    /// Whether the signature of an earlier attempt was taken over.
    pub resumed: bool,
    /// Addresses of its log entries: several where it went into several logs.
    pub entries: Vec<String>,
    /// Why it is not logged, where the plan does not require that.
    pub unlogged: Option<Error>,
    /// Stores that were done with it in an earlier attempt.
    pub stored_before: BTreeSet<String>,
    /// What each of the other stores did, in the order of the plan.
    pub stores: Vec<StoreReport>,
}

impl TargetReport {
    /// Whether nothing is left to do.
    #[must_use]
    pub fn is_done(&self) -> bool {
        let may_be_logged = self.unlogged.as_ref().is_some_and(Error::is_retryable);
        self.stopped.is_none() && !may_be_logged && self.is_held()
    }

    fn is_held(&self) -> bool {
        self.stores.iter().all(|store| store.result.is_ok())
    }

    /// Whether a store holds it: done is also what every store skipped.
    #[must_use]
    pub fn is_stored(&self) -> bool {
        !self.stored_before.is_empty() || self.stores.iter().any(StoreReport::is_stored)
    }
}

impl StoreReport {
    /// Whether the store holds it now; a skip is not stored.
    #[must_use]
    pub const fn is_stored(&self) -> bool {
        matches!(
            self.result,
            Ok(Outcome::Stored { .. } | Outcome::AlreadyStored { .. } | Outcome::OnRun { .. })
        )
    }
}

/// One thing that went wrong.
#[derive(Debug, Clone, Copy)]
pub struct Failure<'a> {
    /// For which target.
    pub target: &'a Target,
    /// Where on the line.
    pub stage: Stage,
    /// In which store, where it was a store.
    pub store: Option<&'a str>,
    /// Why.
    pub error: &'a Error,
}

/// What came of a run.
#[derive(Debug)]
pub struct Report {
    /// The run.
    pub run: RunRef,
    /// Its targets, the run itself first; none where the run is not complete.
    pub targets: Vec<TargetReport>,
    /// Whether the run is complete. Nothing is done for one that is not.
    pub complete: bool,
    /// Children of a PipelineRun that its provenance could not look into.
    pub missing_children: Vec<MissingChild>,
    pub(crate) on_run: BTreeMap<String, String>,
    pub(crate) progress: Progress,
}

impl Report {
    /// Whether nothing is left to do; the run may have had nothing to store.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.complete && self.targets.iter().all(TargetReport::is_done)
    }

    /// Gives up to log what is stored already, where the plan does not require it: nothing is left to do for that then.
    ///
    /// Whoever does not try again, or has tried often enough, calls this.
    pub fn give_up_logging(&mut self) {
        for target in &mut self.targets {
            target.unlogged = target.unlogged.take().map(|error| error.with_retryable(false));
        }
    }

    /// Why some of it is not logged, in one line, where all else is done.
    #[must_use]
    pub fn unlogged(&self) -> Option<String> {
        let errors = self.targets.iter().filter_map(|target| target.unlogged.as_ref());
        let mut told: Vec<String> = errors.map(Error::report).collect();
        told.dedup();
        (!told.is_empty()).then(|| format!("not logged: {}", told.join("; ")))
    }

    /// Whether a store holds any of it.
    #[must_use]
    pub fn is_stored(&self) -> bool {
        self.targets.iter().any(TargetReport::is_stored)
    }

    /// Everything that went wrong, in the order of the targets.
    pub fn failures(&self) -> impl Iterator<Item = Failure<'_>> {
        self.targets.iter().flat_map(|target| {
            let stopped = target.stopped.iter().map(|(stage, error)| Failure {
                target: &target.target,
                stage: *stage,
                store: None,
                error,
            });
            let stores = target.stores.iter().filter_map(|report| {
                report.result.as_ref().err().map(|error| Failure {
                    target: &target.target,
                    stage: Stage::Store,
                    store: Some(&report.store),
                    error,
                })
            });
            let unlogged = target.unlogged.iter().map(|error| Failure {
                target: &target.target,
                stage: Stage::Log,
                store: None,
                error,
            });
            stopped.chain(unlogged).chain(stores)
        })
    }

    /// Whether another attempt may bring it further: something failed, and not for good.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.failures().any(|failure| failure.error.is_retryable())
    }

    /// What is done, for the next attempt.
    #[must_use]
    pub const fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The annotations to write on the run in one closing write: what stores keep there, the log's entries,
    /// and `signed: true` where everything is done, else the progress.
    #[must_use]
    pub fn annotations(&self) -> BTreeMap<String, String> {
        let mut all = self.on_run.clone();
        if !self.complete {
            return all;
        }
        if self.is_done() {
            all.insert(annotations::SIGNED.to_owned(), "true".to_owned());
            all.extend(self.unlogged().map(|why| (annotations::REASON.to_owned(), why)));
        } else if !self.progress.targets.is_empty() {
            all.insert(annotations::PROGRESS.to_owned(), self.progress.to_json());
        }
        all
    }

    /// The annotations of the run to remove in the same write: what earlier attempts left and nobody needs.
    pub fn obsolete_annotations(&self) -> impl Iterator<Item = &'static str> {
        let obsolete = [
            annotations::PROGRESS,
            annotations::RETRIES,
            annotations::REASON,
            annotations::NEXT_ATTEMPT,
        ];
        let done = self.is_done();
        let unlogged = self.targets.iter().any(|target| target.unlogged.is_some());
        let obsolete =
            obsolete.into_iter().filter(move |name| *name != annotations::REASON || !unlogged);
        obsolete.into_iter().filter(move |name| done && self.run.annotations.contains_key(*name))
    }
}
