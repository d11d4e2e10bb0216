//! `chains payload`: prints what would be signed.

use std::io::{BufRead, Read as _};

use anyhow::{Context as _, bail};
use chains_backends::Formats;
use chains_config::{Layers, Origin};
use chains_core::{Error, ErrorKind};
use chains_formats::jsonl::{self, Answer, Answered};
use serde::Serialize;

use crate::args::{Output, PayloadArgs};
use crate::output::Exit;
use crate::runs::{self, Identity, Input};
use crate::{output, settings};

pub(crate) fn run(args: &PayloadArgs, format: Output) -> anyhow::Result<Exit> {
    if args.jsonl { lines(&args.config.config) } else { documents(args, format) }
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
        .map(|run| OfRun {
            run: Identity::of(run.reference()),
            answer: Answer::of(run, &formats.chosen(run.kind())),
        })
        .collect();
    let mut exit = if unread.is_empty() { Exit::Done } else { Exit::Unread };
    if runs.iter().flat_map(|run| &run.answer.payloads).any(|made| made.payload.is_err()) {
        exit = exit.and(Exit::Failed);
    }
    match format {
        Output::Json => output::json(&All { runs, unread })?,
        Output::Table => {
            for made in runs.iter().flat_map(|run| &run.answer.payloads) {
                print(made)?;
            }
            unread.iter().for_each(output::warning);
        }
    }
    Ok(exit)
}

/// One payload for people: its key on standard error, the document on standard output.
fn print(made: &Answered) -> anyhow::Result<()> {
    output::note(format_args!("# {} {} ({})", made.artifact, made.key.full, made.format));
    match &made.payload {
        Ok(payload) => {
            let value: serde_json::Value = serde_json::from_slice(&payload.bytes)?;
            output::json(&value)
        }
        Err(error) => {
            output::warning(format_args!("no payload for {}: {}", made.key.full, error.report()));
            Ok(())
        }
    }
}

/// The longest line that is read, in bytes: a PipelineRun of a thousand TaskRuns has a few MiB.
const LONGEST_LINE: u64 = 64 * 1024 * 1024;

/// Answers a line for each line, at once; one that cannot be read does not stop the rest.
fn lines(given: &[String]) -> anyhow::Result<Exit> {
    if given.iter().any(|one| one == "-") {
        bail!("--config -: with --jsonl, standard input holds the cases");
    }
    let layers = settings::layers(given)?;
    // What is wrong with these is wrong for every line.
    layers.clone().resolve().map_err(|faults| settings::error_of(&faults))?;
    let mut input = std::io::stdin().lock();
    let mut exit = Exit::Done;
    let mut line = Vec::new();
    while let Some(fits) = next_line(&mut input, &mut line).context("reading standard input")? {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let answer = if fits { case(&line, &layers) } else { Err(too_long()) };
        if answer.is_err() {
            exit = exit.and(Exit::Unread);
        }
        let mut answer = jsonl::to_line(&answer);
        answer.push(b'\n');
        // Standard output passes whole lines on: whoever asks one by one is not left waiting.
        output::raw(&answer);
    }
    Ok(exit)
}

/// Reads a line, and tells whether it is whole: of one that is too long the rest is passed over. `None` at the end.
fn next_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<Option<bool>> {
    line.clear();
    if input.by_ref().take(LONGEST_LINE + 1).read_until(b'\n', line)? == 0 {
        return Ok(None);
    }
    let fits = line.ends_with(b"\n") || line.len() as u64 <= LONGEST_LINE;
    if !fits {
        input.skip_until(b'\n')?;
    }
    Ok(Some(fits))
}

fn too_long() -> Error {
    let most = LONGEST_LINE / (1024 * 1024);
    Error::new(ErrorKind::InvalidInput, format!("reading a case: the line is over {most} MiB"))
}

fn case(line: &[u8], layers: &Layers) -> chains_core::Result<Answer> {
    jsonl::answer(line, |config, kind| {
        let config = layers.clone().pairs(Origin::CommandLine, config).resolve()?;
        Ok(Formats::new(&config)?.chosen(kind))
    })
}
