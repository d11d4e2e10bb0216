//! What is counted and timed. `docs/metrics.md` lists all of it; a test compares the two.
//!
//! Labels have a bounded number of values: static words, and the names of what is compiled in. No name of a run, an
//! image or a registry is ever a label.

mod families;
mod process;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chains_core::{ErrorKind, RunKind, Target};
use chains_engine::{Call, Meter, Report, Stage};

use self::families::{Families, error_type};

/// How a run was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closed {
    /// Everything is stored, and the run says so.
    Signed,
    /// It was given up, and the run says so.
    Failed,
}

impl Closed {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Signed => "signed",
            Self::Failed => "failed",
        }
    }
}

/// Everything that is counted and timed; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    families: Arc<Families>,
}

impl Metrics {
    /// All of it at zero.
    pub(crate) fn new() -> Self {
        Self { families: Arc::new(Families::new()) }
    }

    /// An attempt at a run has ended, whatever came of it.
    pub(crate) fn attempt(&self, kind: RunKind, report: &Report) {
        let counted = self.families.kind(kind);
        for target in &report.targets {
            if target.signed && !target.resumed {
                counted.signed.inc();
            }
            if !target.entries.is_empty() {
                counted.uploaded.inc();
            }
            let stored = target.stores.iter().filter(|store| store.is_stored()).count();
            counted.stored.inc_by(stored as u64);
        }
        // As in the reference, failures of images are not among these: `chains_store_outcomes_total` has them.
        for failure in report.failures().filter(|failure| *failure.target == Target::Run) {
            counted.failures.get_or_create(&[error_type(failure.stage)]).inc();
        }
    }

    /// A run was closed: the write went through. `since_completion` is how long ago the run had completed.
    pub(crate) fn closed(&self, kind: RunKind, how: Closed, since_completion: Option<Duration>) {
        let labels = [("kind", kind.as_lower()), ("outcome", how.as_str())];
        self.families.runs.get_or_create(&labels).inc();
        if how == Closed::Failed {
            return;
        }
        self.families.kind(kind).marked.inc();
        if let Some(waited) = since_completion {
            let family = &self.families.completion_to_signed;
            family.get_or_create(&[("kind", kind.as_lower())]).observe(waited.as_secs_f64());
        }
    }

    /// A run will be tried again, because of this.
    pub(crate) fn retry(&self, kind: RunKind, reason: ErrorKind) {
        let labels = [("kind", kind.as_lower()), ("reason", reason.as_str())];
        self.families.retries.get_or_create(&labels).inc();
    }

    /// How many wait in a lane of the queue: `ready`, or `delayed` until a later time.
    pub(crate) fn backlog(&self, lane: &'static str, state: &'static str, waiting: usize) {
        let labels = [("lane", lane), ("state", state)];
        self.families.backlog.get_or_create(&labels).set(gauge(waiting));
    }

    /// How many are worked on now.
    pub(crate) fn in_flight(&self, runs: usize) {
        self.families.in_flight.set(gauge(runs));
    }

    /// How many may be worked on at once now.
    pub(crate) fn concurrency_limit(&self, runs: usize) {
        self.families.concurrency_limit.set(gauge(runs));
    }

    /// Whether the configuration that the cluster has now is in use; not so while an older one is kept.
    pub(crate) fn config_valid(&self, valid: bool) {
        self.families.config_valid.set(valid.into());
    }

    /// Whether the key that the configuration asks for can be used.
    pub(crate) fn key_valid(&self, valid: bool) {
        self.families.signing_key_valid.set(valid.into());
    }

    /// How many buckets this replica holds.
    pub(crate) fn buckets_held(&self, buckets: usize) {
        self.families.buckets_held.set(gauge(buckets));
    }

    /// All of it in the OpenMetrics text format.
    ///
    /// # Errors
    /// Where a value cannot be written down.
    pub(crate) fn openmetrics(&self) -> Result<String, fmt::Error> {
        self.families.encode()
    }
}

impl Meter for Metrics {
    fn measured(&self, call: &Call<'_>) {
        let Call { stage, backend, outcome, took, .. } = *call;
        match stage {
            Stage::Store => self.families.stores.observe(backend, outcome, took),
            Stage::Sign => self.families.signers.observe(backend, outcome, took),
            Stage::Log => self.families.log.observe(outcome, took),
            // Nothing is called to make a payload.
            Stage::Payload => {}
        }
    }
}

fn gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
