//! What came of one run.

use std::path::PathBuf;

use chains_core::{Outcome, RunRef};
use chains_engine::{Report, Stage, StoreReport, TargetReport};
use serde::Serialize;

use crate::output::{self, Exit};
use crate::runs::Identity;

/// What came of one run.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RunOutcome {
    #[serde(flatten)]
    identity: Identity,
    #[serde(skip)]
    pub(crate) run: RunRef,
    pub(crate) status: Status,
    /// Why it was skipped, or failed as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// What a reader should know besides: children that could not be looked into.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    pub(crate) targets: Vec<TargetOutcome>,
    /// The file that holds the run with its annotations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) annotated_run: Option<PathBuf>,
    #[serde(skip)]
    pub(crate) annotated: Option<String>,
}

/// In one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Status {
    /// Signed and stored.
    Signed,
    /// Stored without a signature, as configured.
    Unsigned,
    /// Every store had a reason to keep nothing, or the configuration enables nothing.
    NothingStored,
    /// Something failed; what did not is stored.
    Failed,
    /// Not looked at.
    Skipped,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TargetOutcome {
    pub(crate) target: String,
    format: &'static str,
    short_key: String,
    pub(crate) full_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    log_entries: Vec<String>,
    pub(crate) stores: Vec<StoreOutcome>,
}

#[derive(Debug, Serialize)]
pub(crate) struct StoreOutcome {
    pub(crate) store: String,
    pub(crate) outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) location: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// What a reader should know besides: what the store did not keep, or what it replaced.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) notes: Vec<String>,
}

impl RunOutcome {
    fn new(run: RunRef, status: Status, reason: Option<String>) -> Self {
        Self {
            identity: Identity::of(&run),
            run,
            status,
            reason,
            notes: Vec::new(),
            targets: Vec::new(),
            annotated_run: None,
            annotated: None,
        }
    }

    /// A run that is left alone.
    pub(crate) fn skipped(run: RunRef, reason: String) -> Self {
        Self::new(run, Status::Skipped, Some(reason))
    }

    /// A run of which no report came.
    pub(crate) fn broken(run: RunRef, error: &anyhow::Error) -> Self {
        Self::new(run, Status::Failed, Some(format!("{error:#}")))
    }

    /// What the engine reported, and the run with its annotations where a store keeps something there.
    pub(crate) fn of(report: Report, annotated: Option<String>) -> Self {
        let status = match (report.is_done(), report.is_stored()) {
            (false, _) => Status::Failed,
            (true, false) => Status::NothingStored,
            (true, true) if report.targets.iter().any(|target| target.signed) => Status::Signed,
            (true, true) => Status::Unsigned,
        };
        let unlogged = report.unlogged();
        let notes = report.missing_children.iter().map(|child| format!("left out: {child}"));
        let unlogged = unlogged.map(|why| format!("{why}; signing it again logs it"));
        let notes = notes.chain(unlogged).collect();
        let targets = report.targets.into_iter().map(TargetOutcome::of).collect();
        Self { notes, targets, annotated, ..Self::new(report.run, status, None) }
    }

    /// Notes that it failed after all.
    pub(crate) fn fail(&mut self, error: &anyhow::Error) {
        self.status = Status::Failed;
        self.reason = Some(format!("{error:#}"));
    }

    pub(crate) fn exit(&self) -> Exit {
        if self.status == Status::Failed { Exit::Failed } else { Exit::Done }
    }

    /// A line for the run, one for each target, and below it one for each store.
    pub(crate) fn lines(&self) -> Vec<String> {
        let word = match self.status {
            Status::Signed => "signed",
            Status::Unsigned => "stored without a signature",
            Status::NothingStored => "nothing stored",
            Status::Failed => "failed",
            Status::Skipped => "skipped",
        };
        let verdict = match self.status {
            Status::Signed | Status::Unsigned => output::verdict(true, word),
            Status::Failed => output::verdict(false, word),
            Status::NothingStored | Status::Skipped => word.to_owned(),
        };
        let reason = match &self.reason {
            Some(reason) => format!(": {reason}"),
            None if self.targets.is_empty() => {
                ": the configuration stores nothing of it".to_owned()
            }
            None => String::new(),
        };
        let mut lines = vec![format!(
            "{}: {verdict}{}",
            output::printable(self.run.to_string()),
            output::printable(reason)
        )];
        for target in &self.targets {
            lines.push(output::printable(format!("  {}", target.target)));
            if let Some(failed) = &target.failed {
                lines.push(output::printable(format!("    {failed}")));
            } else if target.stores.is_empty() {
                lines.push("    the format has nothing to say about it".to_owned());
            }
            for store in &target.stores {
                let result = self.result(store);
                lines.push(output::printable(format!("    {}: {result}", store.store)));
                let notes = store.notes.iter();
                lines.extend(notes.map(|note| output::printable(format!("      note: {note}"))));
            }
        }
        lines.extend(self.notes.iter().map(|note| output::printable(format!("  note: {note}"))));
        lines
    }

    fn result(&self, store: &StoreOutcome) -> String {
        match (&store.location, &store.reason, &self.annotated_run) {
            (Some(location), _, _) => format!("{}: {location}", store.outcome),
            (None, Some(reason), _) => format!("{}: {reason}", store.outcome),
            (None, None, Some(path)) => format!("{}: {}", store.outcome, path.display()),
            (None, None, None) => store.outcome.to_owned(),
        }
    }
}

impl TargetOutcome {
    fn of(report: TargetReport) -> Self {
        let failed = report.stopped.map(|(stage, error)| {
            let doing = match stage {
                Stage::Payload => "making the payload",
                Stage::Sign => "signing",
                Stage::Log => "logging",
                Stage::Store => "storing",
            };
            format!("{doing} failed: {}", error.report())
        });
        Self {
            target: report.target.to_string(),
            format: report.format,
            short_key: report.key.short,
            full_key: report.key.full,
            failed,
            log_entries: report.entries,
            stores: report.stores.into_iter().map(StoreOutcome::of).collect(),
        }
    }
}

impl StoreOutcome {
    fn of(report: StoreReport) -> Self {
        let (outcome, location, reason) = match report.result {
            Ok(Outcome::Stored { location }) => ("stored", Some(location), None),
            Ok(Outcome::AlreadyStored { location }) => ("already stored", Some(location), None),
            Ok(Outcome::OnRun { .. }) => ("on the run", None, None),
            Ok(Outcome::Skipped(reason)) => ("skipped", None, Some(reason)),
            Err(error) => ("failed", None, Some(error.report())),
        };
        Self { store: report.store, outcome, location, reason, notes: Vec::new() }
    }
}
