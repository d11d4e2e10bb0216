//! `chains sign`: takes runs down the line and tells what came of them.

mod outcome;
mod remarks;
mod setup;
mod summary;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use chains_config::Config;
use chains_core::{Progress, annotations};
use chains_engine::{Engine, Report};
use chains_tekton::Run;
use futures_util::stream::{self, StreamExt as _};

use crate::args::{Output, SignArgs};
use crate::output::Exit;
use crate::runs::{self, Input};
use crate::{input, output, progress};

use outcome::RunOutcome;
use remarks::Remarks;
use setup::{Setup, Signing};
use summary::Summary;

pub(crate) async fn run(args: SignArgs, format: Output) -> anyhow::Result<Exit> {
    let setup = Setup::new(&args)?;
    let Input { runs, unread } = runs::read_but(&args.inputs.runs, Some(&setup.folder))?;
    let (chosen, mut outcomes) = choose(runs, &setup.config, args.again);
    // Where there is nothing to sign, no key is made and nothing is left behind.
    let signing = if chosen.is_empty() { None } else { Some(setup.signing(&args).await?) };
    if let Some(signing) = &signing {
        outcomes.extend(process(signing, chosen, usize::from(args.jobs), &setup.folder).await);
    }
    outcomes.sort_by_key(|(position, _)| *position);
    let outcomes = outcomes.into_iter().map(|(_, outcome)| outcome).collect();
    let verifying = signing.map(|signing| signing.verifying).unwrap_or_default();
    let summary = Summary::new(outcomes, unread, summary::commands(&setup, &args, verifying));
    match format {
        Output::Json => output::json(&summary)?,
        Output::Table => summary.print(),
    }
    Ok(summary.exit())
}

type Positioned<T> = Vec<(usize, T)>;

/// The runs that are to be signed, and why the others are not; each with its place in the input.
fn choose(
    runs: Vec<Run>,
    config: &Config,
    again: bool,
) -> (Positioned<Run>, Positioned<RunOutcome>) {
    let mut chosen = Vec::new();
    let mut skipped = Vec::new();
    for (position, run) in runs.into_iter().enumerate() {
        match reason_to_skip(&run, config, again) {
            None => chosen.push((position, run)),
            Some(reason) => {
                skipped.push((position, RunOutcome::skipped(run.reference().clone(), reason)));
            }
        }
    }
    (chosen, skipped)
}

/// What the controller would leave alone is left alone here.
fn reason_to_skip(run: &Run, config: &Config, again: bool) -> Option<String> {
    if !run.is_complete() {
        let why = "still running: its condition Succeeded is neither True nor False";
        return Some(why.to_owned());
    }
    if !config.filter.accepts(run.managed_by()) {
        let manager = run.managed_by().unwrap_or_default();
        return Some(format!("managed by {manager}, which `filter.managed-by` does not list"));
    }
    let signed = run.reference().annotations.get(annotations::SIGNED);
    let signed = signed.filter(|value| !again && matches!(value.as_str(), "true" | "failed"))?;
    Some(format!(
        "annotated {}: {signed}; use --again to sign it all the same",
        annotations::SIGNED
    ))
}

/// Works on `jobs` runs at once.
async fn process(
    signing: &Signing,
    runs: Positioned<Run>,
    jobs: usize,
    folder: &Path,
) -> Positioned<RunOutcome> {
    let bar = progress::bar(runs.len(), "runs");
    let work = runs.into_iter().map(|(position, run)| {
        let (engine, bar) = (signing.engine.clone(), bar.clone());
        let remarks = Arc::clone(&signing.remarks);
        async move {
            let reference = run.reference().clone();
            // A task of its own: payloads and signatures of many runs use every core.
            let outcome = tokio::spawn(async move { sign_one(&engine, &remarks, run).await }).await;
            bar.inc(1);
            let outcome = outcome.unwrap_or_else(|e| RunOutcome::broken(reference, &e.into()));
            (position, outcome)
        }
    });
    let outcomes: Vec<_> = stream::iter(work).buffer_unordered(jobs).collect().await;
    bar.finish_and_clear();
    let keep = |(position, outcome)| (position, keep_annotated(outcome, folder));
    outcomes.into_iter().map(keep).collect()
}

/// Progress on a run from a file is not taken over: nobody says who wrote it, and stores keep nothing twice.
async fn sign_one(engine: &Engine, remarks: &Remarks, run: Run) -> RunOutcome {
    let start = Instant::now();
    let of_others = remarks.before(&run).await;
    let mut report = engine.process(&run, &Progress::default()).await;
    // There is no later attempt that could.
    report.give_up_logging();
    tracing::debug!(run = %report.run, targets = report.targets.len(), took = ?start.elapsed(), "worked on");
    match annotated(&run, &report) {
        Ok(annotated) => {
            let mut outcome = RunOutcome::of(report, annotated);
            remarks.after(&run, &of_others, &mut outcome);
            outcome
        }
        Err(error) => RunOutcome::broken(report.run, &error),
    }
}

/// The run with what stores keep on it, where one does.
fn annotated(run: &Run, report: &Report) -> anyhow::Result<Option<String>> {
    let added = report.annotations();
    let closing = [annotations::SIGNED, annotations::PROGRESS];
    if added.keys().all(|key| closing.contains(&key.as_str())) {
        return Ok(None);
    }
    runs::annotated(run, &added).map(Some)
}

/// Writes the run with its annotations into the folder: nobody else owns it here.
fn keep_annotated(mut outcome: RunOutcome, folder: &Path) -> RunOutcome {
    if let Some(annotated) = outcome.annotated.take() {
        match write_annotated(&outcome, folder, &annotated) {
            Ok(path) => outcome.annotated_run = Some(path),
            Err(error) => outcome.fail(&error),
        }
    }
    outcome
}

fn write_annotated(
    outcome: &RunOutcome,
    folder: &Path,
    annotated: &str,
) -> anyhow::Result<std::path::PathBuf> {
    let folder = folder.join("runs");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("making the folder {}", folder.display()))?;
    let path = folder.join(format!("{}-{}.json", outcome.run.kind.as_lower(), outcome.run.uid));
    input::write(&path, annotated)?;
    Ok(path)
}
