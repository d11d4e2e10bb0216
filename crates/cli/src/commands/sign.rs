//! `chains sign`: takes runs down the line and tells what came of them.

mod report;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use chains_config::{Config, SignerName};
use chains_core::{Progress, Signer, annotations};
use chains_engine::{Engine, Report};
use chains_tekton::Run;
use futures_util::stream::{self, StreamExt as _};
use indicatif::{ProgressBar, ProgressStyle};

use crate::args::{Output, SignArgs};
use crate::output::Exit;
use crate::runs::{self, Input};
use crate::{input, keys, output, settings};

use report::{RunOutcome, Summary};

/// From how many runs on a progress bar is worth its lines.
const MANY: usize = 20;

pub(crate) async fn run(args: SignArgs, format: Output) -> anyhow::Result<Exit> {
    let config = configuration(&args)?;
    let Input { runs, unread } = runs::read(&args.inputs.runs)?;
    // Where nothing can be read, no key is made and nothing is left behind.
    let (outcomes, public_key) = match runs.as_slice() {
        [] => (Vec::new(), None),
        _ => sign_all(runs, &config, &args).await?,
    };
    let summary = Summary::new(outcomes, unread, &config, &args, public_key);
    match format {
        Output::Json => output::json(&summary)?,
        Output::Table => summary.print(),
    }
    Ok(summary.exit())
}

async fn sign_all(
    runs: Vec<Run>,
    config: &Config,
    args: &SignArgs,
) -> anyhow::Result<(Vec<RunOutcome>, Option<PathBuf>)> {
    let (signer, public_key) = signer(args, config)?;
    let environment = settings::environment(&args.registry, signer)?;
    let engine = chains_backends::engine(config, &environment).map_err(settings::report)?;
    let outcomes = process(&engine, runs, usize::from(args.jobs), &args.out_dir).await?;
    Ok((outcomes, public_key))
}

/// The given configuration; `--store` replaces every store in it, and without either everything goes into
/// the output folder.
fn configuration(args: &SignArgs) -> anyhow::Result<Config> {
    let mut overrides = vec![("storage.local.path", args.out_dir.display().to_string())];
    let stores = if args.store.is_empty() && args.config.config.is_empty() {
        Some("local".to_owned())
    } else {
        Some(args.store.join(",")).filter(|stores| !stores.is_empty())
    };
    if let Some(stores) = stores {
        for key in
            ["artifacts.taskrun.storage", "artifacts.pipelinerun.storage", "artifacts.oci.storage"]
        {
            overrides.push((key, stores.clone()));
        }
    }
    settings::configuration(&args.config.config, &overrides)
}

/// The signer where one is needed, and the file of its public key where there is one.
fn signer(
    args: &SignArgs,
    config: &Config,
) -> anyhow::Result<(Option<Arc<dyn Signer>>, Option<PathBuf>)> {
    if !config.signers_in_use().contains(&SignerName::X509) {
        return Ok((None, None));
    }
    let (signer, public_key) = match &args.key {
        Some(path) => (keys::signer(path)?, keys::public_beside(path)),
        None => {
            let (signer, public_key) = keys::of_folder(&args.out_dir)?;
            (signer, Some(public_key))
        }
    };
    Ok((Some(Arc::new(signer)), public_key))
}

/// Works on `jobs` runs at once; the outcomes come in the order of the runs.
async fn process(
    engine: &Engine,
    runs: Vec<Run>,
    jobs: usize,
    folder: &Path,
) -> anyhow::Result<Vec<RunOutcome>> {
    let bar = progress_bar(runs.len());
    let work = runs.into_iter().map(|run| {
        let (engine, bar) = (engine.clone(), bar.clone());
        async move {
            // A task of its own: payloads and signatures of many runs use every core.
            let outcome = tokio::spawn(async move { sign_one(&engine, run).await }).await;
            bar.inc(1);
            outcome.context("signing a run")?
        }
    });
    let outcomes: Vec<_> = stream::iter(work).buffered(jobs).collect().await;
    bar.finish_and_clear();
    outcomes.into_iter().map(|outcome| keep_annotated(outcome?, folder)).collect()
}

fn progress_bar(runs: usize) -> ProgressBar {
    if runs < MANY {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(runs as u64);
    if let Ok(style) =
        ProgressStyle::with_template("{bar:40} {pos}/{len} runs, {per_sec}, {eta} left")
    {
        bar.set_style(style);
    }
    bar
}

async fn sign_one(engine: &Engine, run: Run) -> anyhow::Result<RunOutcome> {
    if !run.is_complete() {
        return Ok(RunOutcome::unfinished(run.reference().clone()));
    }
    let report = engine.process(&run, &progress(&run)).await;
    let annotated = wants_annotations(&report)
        .then(|| runs::annotated(&run, &report.annotations()))
        .transpose()?;
    Ok(RunOutcome::of(report, annotated))
}

/// What earlier attempts left on the run; what cannot be read is as good as nothing.
fn progress(run: &Run) -> Progress {
    let left = run.reference().annotations.get(annotations::PROGRESS);
    left.and_then(|json| Progress::from_json(json).ok()).unwrap_or_default()
}

/// Whether a store keeps something on the run itself.
fn wants_annotations(report: &Report) -> bool {
    report
        .annotations()
        .keys()
        .any(|key| key.as_str() != annotations::SIGNED && key.as_str() != annotations::PROGRESS)
}

/// Writes the run with its annotations into the folder: nobody else owns it here.
fn keep_annotated(mut outcome: RunOutcome, folder: &Path) -> anyhow::Result<RunOutcome> {
    if let Some(annotated) = outcome.annotated.take() {
        let run = &outcome.run;
        let folder = folder.join("runs");
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("making the folder {}", folder.display()))?;
        let path = folder.join(format!("{}-{}.json", run.kind.as_lower(), run.uid));
        input::write(&path, &annotated)?;
        outcome.annotated_run = Some(path);
    }
    Ok(outcome)
}
