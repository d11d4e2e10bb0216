//! `chains explain`: what was made of each result and parameter.

use chains_core::{RunKind, Target, annotations};
use chains_tekton::{Hint, Run, Verdict};
use serde::Serialize;

use crate::args::{ExplainArgs, Output};
use crate::output::{self, Exit, printable};
use crate::runs::{self, Identity, Input};

pub(crate) fn run(args: &ExplainArgs, format: Output) -> anyhow::Result<Exit> {
    let Input { runs, unread } = runs::read(&args.inputs.runs)?;
    let explained: Vec<Explained> = runs.iter().map(Explained::of).collect();
    let exit = if unread.is_empty() { Exit::Done } else { Exit::Unread };
    match format {
        Output::Json => output::json(&All { runs: explained, unread })?,
        Output::Table => {
            explained.iter().for_each(print);
            unread.iter().for_each(output::warning);
        }
    }
    Ok(exit)
}

#[derive(Debug, Serialize)]
struct All {
    runs: Vec<Explained>,
    unread: Vec<runs::Unread>,
}

/// What is known of one run.
#[derive(Debug, Serialize)]
struct Explained {
    #[serde(flatten)]
    run: Identity,
    #[serde(skip)]
    title: String,
    /// Images that are signed.
    images: Vec<String>,
    /// What a reader should know besides.
    notes: Vec<String>,
    hints: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    place: String,
    name: String,
    used: bool,
    verdict: String,
}

impl Explained {
    fn of(run: &Run) -> Self {
        let reference = run.reference();
        let images = run.targets(false).into_iter().filter_map(|target| match target {
            Target::Image(image) => Some(image.to_string()),
            Target::Run => None,
        });
        Self {
            run: Identity::of(reference),
            title: reference.to_string(),
            images: images.collect(),
            notes: notes(run),
            hints: run.explain().into_iter().map(Row::of).collect(),
        }
    }
}

impl Row {
    fn of(hint: Hint) -> Self {
        Self {
            place: hint.place.to_string(),
            used: matches!(hint.verdict, Verdict::Used { .. }),
            verdict: hint.verdict.to_string(),
            name: hint.name,
        }
    }
}

fn notes(run: &Run) -> Vec<String> {
    let mut notes = Vec::new();
    if !run.is_complete() {
        notes.push("not over yet: signed when its condition Succeeded is True or False".to_owned());
    }
    if run.succeeded() == Some(false) {
        notes.push("failed: it is signed all the same".to_owned());
    }
    if let Some(manager) = run.managed_by().filter(|m| !matches!(*m, "" | "tekton.dev/pipeline")) {
        notes.push(format!("managed by {manager}: signed only where `filter.managed-by` lists it"));
    }
    if let Some(signed) = run.reference().annotations.get(annotations::SIGNED) {
        notes.push(format!("annotated {}: {signed}: left alone from now on", annotations::SIGNED));
    }
    if run.kind() == RunKind::PipelineRun {
        if !run.images().is_empty() {
            notes.push(
                "images of a PipelineRun's own results are subjects of its provenance; they are signed \
                 only with `artifacts.oci.from-pipelinerun-results: true`, or by the TaskRun that names them"
                    .to_owned(),
            );
        }
        notes.extend(run.missing_children().iter().map(|child| format!("left out: {child}")));
    }
    notes
}

fn print(explained: &Explained) {
    output::line(printable(&explained.title));
    for note in &explained.notes {
        output::line(format_args!("  note: {}", printable(note)));
    }
    if explained.hints.is_empty() {
        output::line(
            "  no result or parameter looks like a type hint: nothing but the run itself is signed",
        );
    }
    let rows = explained
        .hints
        .iter()
        .map(|hint| [format!("  {}", hint.place), printable(&hint.name), printable(&hint.verdict)]);
    if !explained.hints.is_empty() {
        output::table(["  WHERE", "NAME", "WHAT WAS MADE OF IT"], rows);
    }
    match explained.images.as_slice() {
        [] => output::line("  no image is signed"),
        images => {
            for image in images {
                output::line(format_args!("  image signed: {image}"));
            }
        }
    }
}
