//! What `chains sign` tells.

use std::path::PathBuf;

use chains_config::{Config, StorageName};
use chains_core::{Outcome, RunRef, Target};
use chains_engine::{Report, StoreReport, TargetReport};
use serde::Serialize;

use crate::args::SignArgs;
use crate::output::{self, Exit};
use crate::runs::{Identity, Unread};

/// What came of one run.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RunOutcome {
    #[serde(flatten)]
    identity: Identity,
    #[serde(skip)]
    pub(crate) run: RunRef,
    signed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<&'static str>,
    targets: Vec<TargetOutcome>,
    /// The file that holds the run with its annotations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) annotated_run: Option<PathBuf>,
    #[serde(skip)]
    pub(crate) annotated: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TargetOutcome {
    target: String,
    format: &'static str,
    short_key: String,
    full_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<Failed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_entry: Option<String>,
    stores: Vec<StoreOutcome>,
}

#[derive(Debug, Serialize)]
struct Failed {
    stage: &'static str,
    error: String,
}

#[derive(Debug, Serialize)]
struct StoreOutcome {
    store: String,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl RunOutcome {
    /// A run that is still running.
    pub(crate) fn unfinished(run: RunRef) -> Self {
        let skipped =
            Some("the run is not over: it has no condition Succeeded that is True or False");
        let identity = Identity::of(&run);
        Self {
            identity,
            run,
            signed: false,
            skipped,
            targets: Vec::new(),
            annotated_run: None,
            annotated: None,
        }
    }

    /// What the engine reported, and the run with its annotations where a store keeps something there.
    pub(crate) fn of(report: Report, annotated: Option<String>) -> Self {
        let signed = report.is_done();
        let targets = report.targets.into_iter().map(TargetOutcome::of).collect();
        let (identity, run) = (Identity::of(&report.run), report.run);
        Self { identity, run, signed, skipped: None, targets, annotated_run: None, annotated }
    }

    const fn exit(&self) -> Exit {
        if self.signed || self.skipped.is_some() { Exit::Done } else { Exit::Failed }
    }

    /// One row a target and store; the run's name stands in its first row only.
    fn rows(&self) -> Vec<[String; 4]> {
        let mut rows = Vec::new();
        let mut row = |target: &str, store: &str, result: String| {
            let run = if rows.is_empty() { self.run.to_string() } else { String::new() };
            rows.push([run, target.to_owned(), store.to_owned(), output::printable(result)]);
        };
        if let Some(reason) = self.skipped {
            row("", "", format!("skipped: {reason}"));
        }
        for target in &self.targets {
            let name = short_name(&target.target);
            if let Some(failed) = &target.failed {
                row(&name, "", format!("failed to {}: {}", failed.stage, failed.error));
            } else if target.stores.is_empty() {
                row(&name, "", "nothing to say".to_owned());
            }
            for store in &target.stores {
                row(&name, &store.store, self.result(store));
            }
        }
        rows
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
        Self {
            target: report.target.to_string(),
            format: report.format,
            short_key: report.key.short,
            full_key: report.key.full,
            failed: report
                .stopped
                .map(|(stage, error)| Failed { stage: stage.as_str(), error: error.report() }),
            log_entry: report.entry,
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
        Self { store: report.store, outcome, location, reason }
    }
}

/// Everything `chains sign` tells.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    runs: Vec<RunOutcome>,
    unread: Vec<Unread>,
    /// Commands that verify what was signed.
    verify: Vec<String>,
}

impl Summary {
    pub(crate) fn new(
        runs: Vec<RunOutcome>,
        unread: Vec<Unread>,
        config: &Config,
        args: &SignArgs,
        public_key: Option<PathBuf>,
    ) -> Self {
        let key = key_argument(args, public_key);
        let verify = key.map(|key| verify_commands(&runs, config, args, &key)).unwrap_or_default();
        Self { runs, unread, verify }
    }

    pub(crate) fn exit(&self) -> Exit {
        let unread = if self.unread.is_empty() { Exit::Done } else { Exit::Unread };
        self.runs.iter().fold(unread, |exit, run| exit.and(run.exit()))
    }

    pub(crate) fn print(&self) {
        if !self.runs.is_empty() {
            let rows = self.runs.iter().flat_map(RunOutcome::rows);
            output::table(["RUN", "TARGET", "STORE", "RESULT"], rows);
            output::line("");
        }
        for unread in &self.unread {
            output::warning(unread);
        }
        let signed = self.runs.iter().filter(|run| run.signed).count();
        let skipped = self.runs.iter().filter(|run| run.skipped.is_some()).count();
        let failed = self.runs.len() - signed - skipped;
        let mut line = format!("{signed} signed, {failed} failed, {skipped} skipped");
        if !self.unread.is_empty() {
            line.push_str(&format!(", {} not read", self.unread.len()));
        }
        output::line(line);
        if signed > 0 && !self.verify.is_empty() {
            output::line("\nVerify it with:");
            for command in &self.verify {
                output::line(format_args!("  {command}"));
            }
        }
    }
}

fn key_argument(args: &SignArgs, public_key: Option<PathBuf>) -> Option<String> {
    match (public_key, &args.key) {
        (Some(public), _) => Some(quoted(&public.display().to_string())),
        (None, Some(private)) => {
            Some(format!("<(chains keys public --key {})", quoted(&private.display().to_string())))
        }
        (None, None) => None,
    }
}

/// One command for each place that something can be verified in; of many images or runs, the first.
fn verify_commands(
    runs: &[RunOutcome],
    config: &Config,
    args: &SignArgs,
    key: &str,
) -> Vec<String> {
    let stores = config.storages_in_use();
    let mut what = Vec::new();
    if stores.contains(&StorageName::Local) {
        what.push((quoted(&args.out_dir.display().to_string()), String::new()));
    }
    if stores.contains(&StorageName::Tekton)
        && let Some(path) = runs.iter().find_map(|run| run.annotated_run.as_ref())
    {
        what.push((quoted(&path.display().to_string()), String::new()));
    }
    if stores.contains(&StorageName::Oci)
        && let Some(image) = first_image(runs)
    {
        what.push((quoted(image), registry_options(config, args)));
    }
    what.into_iter()
        .map(|(what, options)| format!("chains verify {what} --key {key}{options}"))
        .collect()
}

fn first_image(runs: &[RunOutcome]) -> Option<&str> {
    let mut targets = runs.iter().flat_map(|run| &run.targets);
    targets
        .find(|target| target.target != Target::Run.to_string())
        .map(|target| target.target.as_str())
}

fn registry_options(config: &Config, args: &SignArgs) -> String {
    let mut options = String::new();
    if let Some(repository) = &config.storage.oci.repository {
        options.push_str(&format!(" --repository {}", quoted(&repository.to_string())));
    }
    for host in &args.registry.insecure_registry {
        options.push_str(&format!(" --insecure-registry {}", quoted(host)));
    }
    for file in &args.registry.ca_file {
        options.push_str(&format!(" --ca-file {}", quoted(&file.display().to_string())));
    }
    options
}

/// The target with as much of its digest as tells images apart.
fn short_name(target: &str) -> String {
    match target.split_once("@sha256:") {
        Some((name, hex)) => {
            format!("{name}@sha256:{}…", hex.chars().take(12).collect::<String>())
        }
        None => target.to_owned(),
    }
}

/// As a shell takes it.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+,=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
