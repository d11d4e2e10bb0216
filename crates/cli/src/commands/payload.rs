//! `chains payload`: prints what would be signed.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufWriter, Write as _};

use anyhow::Context as _;
use chains_backends::{Formats, Made};
use chains_core::{RunKind, RunRef, Target};
use chains_tekton::Run;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::args::{Output, PayloadArgs};
use crate::output::Exit;
use crate::runs::{self, Identity, Input};
use crate::{output, settings};

pub(crate) fn run(args: &PayloadArgs, format: Output) -> anyhow::Result<Exit> {
    if args.jsonl { lines(&args.config.config) } else { documents(args, format) }
}

/// What is made of one run.
#[derive(Debug, Serialize)]
struct Answer {
    payloads: Vec<Answered>,
    #[serde(rename = "artifactURIs", skip_serializing_if = "Vec::is_empty")]
    artifact_uris: Vec<String>,
}

/// What is made of one target: a payload, or why there is none.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answered {
    artifact: &'static str,
    format: &'static str,
    short_key: String,
    full_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Answer {
    fn of(formats: &Formats, run: &Run) -> Self {
        let mut answer = Self { payloads: Vec::new(), artifact_uris: Vec::new() };
        for made in formats.payloads(run) {
            if let (Target::Run, Ok(Some(payload))) = (&made.target, &made.payload) {
                answer.artifact_uris =
                    payload.subjects.iter().flat_map(|subject| subject.artifact_uris()).collect();
            }
            answer.payloads.extend(Answered::of(run.reference(), made));
        }
        answer
    }

    fn has_error(&self) -> bool {
        self.payloads.iter().any(|payload| payload.error.is_some())
    }
}

impl Answered {
    /// Nothing where the format has nothing to say.
    fn of(run: &RunRef, made: Made) -> Option<Self> {
        let key = made.target.record_key(run);
        let artifact = match (&made.target, run.kind) {
            (Target::Image(_), _) => "oci",
            (Target::Run, RunKind::TaskRun) => "tekton",
            (Target::Run, RunKind::PipelineRun) => "tekton-pipeline-run",
        };
        let (payload, error) = match made.payload {
            Ok(None) => return None,
            Ok(Some(payload)) => match raw(&payload.bytes) {
                Ok(json) => (Some(json), None),
                Err(error) => (None, Some(format!("{error:#}"))),
            },
            Err(error) => (None, Some(error.report())),
        };
        Some(Self {
            artifact,
            format: made.format,
            short_key: key.short,
            full_key: key.full,
            payload,
            error,
        })
    }
}

/// The payload's bytes as they are: what is shown is what is signed.
fn raw(bytes: &[u8]) -> anyhow::Result<Box<RawValue>> {
    let text = std::str::from_utf8(bytes).context("the payload is not UTF-8")?;
    Ok(RawValue::from_string(text.to_owned())?)
}

#[derive(Debug, Serialize)]
struct OfRun {
    #[serde(flatten)]
    run: Identity,
    #[serde(flatten)]
    answer: Answer,
}

#[derive(Debug, Serialize)]
struct All {
    runs: Vec<OfRun>,
    unread: Vec<runs::Unread>,
}

fn documents(args: &PayloadArgs, format: Output) -> anyhow::Result<Exit> {
    let config = settings::configuration(&args.config.config, &[])?;
    let formats = Formats::new(&config).map_err(settings::report)?;
    let Input { runs, unread } = runs::read(&args.runs)?;
    let runs: Vec<OfRun> = runs
        .iter()
        .map(|run| OfRun { run: Identity::of(run.reference()), answer: Answer::of(&formats, run) })
        .collect();
    let mut exit = if unread.is_empty() { Exit::Done } else { Exit::Unread };
    if runs.iter().any(|run| run.answer.has_error()) {
        exit = exit.and(Exit::Failed);
    }
    match format {
        Output::Json => output::json(&All { runs, unread })?,
        Output::Table => {
            for payload in runs.iter().flat_map(|run| &run.answer.payloads) {
                print(payload)?;
            }
            unread.iter().for_each(output::warning);
        }
    }
    Ok(exit)
}

/// One payload for people: its key on standard error, the document on standard output.
fn print(payload: &Answered) -> anyhow::Result<()> {
    output::note(format_args!("# {} {} ({})", payload.artifact, payload.full_key, payload.format));
    if let Some(error) = &payload.error {
        output::warning(format_args!("no payload for {}: {error}", payload.full_key));
    }
    if let Some(document) = &payload.payload {
        let value: serde_json::Value = serde_json::from_str(document.get())?;
        output::json(&value)?;
    }
    Ok(())
}

/// One case of `--jsonl`.
#[derive(Debug, Deserialize)]
struct Case<'a> {
    #[serde(borrow)]
    object: &'a RawValue,
    #[serde(borrow, default, rename = "taskRuns")]
    task_runs: Option<Vec<&'a RawValue>>,
    #[serde(default)]
    config: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Serialize)]
struct Refused {
    error: String,
}

/// Answers a line for each line; one that cannot be read does not stop the rest.
fn lines(given: &[String]) -> anyhow::Result<Exit> {
    let mut input = std::io::stdin().lock();
    let mut output = BufWriter::new(std::io::stdout().lock());
    let mut exit = Exit::Done;
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line).context("reading standard input")? == 0 {
            break;
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        match case(&line, given) {
            Ok(answer) => serde_json::to_writer(&mut output, &answer)?,
            Err(error) => {
                exit = exit.and(Exit::Unread);
                serde_json::to_writer(&mut output, &Refused { error: format!("{error:#}") })?;
            }
        }
        output.write_all(b"\n")?;
    }
    output.flush()?;
    Ok(exit)
}

fn case(line: &[u8], given: &[String]) -> anyhow::Result<Answer> {
    let case: Case<'_> = serde_json::from_slice(line).context("reading the case")?;
    let config = case.config.unwrap_or_default();
    let pairs: Vec<(&str, String)> =
        config.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
    let config = settings::configuration(given, &pairs)?;
    let formats = Formats::new(&config).map_err(settings::report)?;
    let read = |json: &RawValue| Run::from_json(json.get().as_bytes()).map_err(settings::report);
    let mut run = read(case.object)?;
    if let Some(children) = case.task_runs {
        let children: Vec<Run> =
            children.into_iter().map(read).collect::<Result<_, _>>().context("reading taskRuns")?;
        run = run.with_children(children);
    }
    Ok(Answer::of(&formats, &run))
}
