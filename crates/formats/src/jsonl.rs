//! One case a line: a run and its configuration in, what would be signed out.
//!
//! This is what `chains payload --jsonl` and the tests over recorded vectors speak.
//! A line is `{"object":…, "taskRuns":[…], "config":{…}}`, the last two may be absent. The answer is
//! `{"payloads":[{"artifact":…, "format":…, "shortKey":…, "fullKey":…, "payload":…}], "artifactURIs":[…]}`, with
//! `error` in place of `payload` where there is none, or `{"error":…}` where the line cannot be read. `artifact`
//! is `tekton` (a TaskRun), `tekton-pipeline-run` or `oci` (an image).

use std::collections::BTreeMap;
use std::sync::Arc;

use chains_core::{Error, ErrorKind, Format, Payload, Result, RunKind, Subject, Target};
use chains_tekton::{Json, Run};
use serde::{Deserialize, Serialize};

/// What a configuration asks for, for the kind of run at hand.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// The format of the run itself; `None` where runs of its kind are not signed.
    pub run: Option<Arc<dyn Format<Run>>>,
    /// The format of images; `None` where images are not signed.
    pub image: Option<Arc<dyn Format<Run>>>,
    /// Whether images that a PipelineRun's own results name are signed.
    pub pipeline_images: bool,
}

/// A case as it stands in its line; other fields are ignored.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    object: Json,
    #[serde(default)]
    task_runs: Option<Vec<Json>>,
    #[serde(default)]
    config: BTreeMap<String, String>,
}

/// Answers a line, without the newline at its end.
///
/// `choose` reads the case's configuration for a kind of run. What it refuses is the answer's error.
pub fn answer(
    line: &[u8],
    choose: impl FnOnce(&BTreeMap<String, String>, RunKind) -> Result<Chosen>,
) -> Vec<u8> {
    let answered = read(line).and_then(|(run, config)| {
        let chosen = choose(&config, run.kind())?;
        Ok(describe(&run, &chosen))
    });
    answered.unwrap_or_else(|error| {
        let mut answer = Vec::new();
        write(&mut answer, &[("error", &error.report())], b'{');
        answer.push(b'}');
        answer
    })
}

fn read(line: &[u8]) -> Result<(Run, BTreeMap<String, String>)> {
    let fault = || Error::new(ErrorKind::InvalidInput, "reading a case");
    let line = std::str::from_utf8(line).map_err(|e| fault().with_source(e))?;
    let case: Case = serde_json::from_str(line).map_err(|e| fault().with_source(e))?;
    let run = Run::from_document(case.object).map_err(|e| e.context("object"))?;
    let child = |(index, document)| {
        Run::from_document(document).map_err(|e| e.context(format!("taskRuns[{index}]")))
    };
    let children = case.task_runs.unwrap_or_default().into_iter().enumerate().map(child);
    let children: Vec<Run> = children.collect::<Result<_>>()?;
    Ok((run.with_children(children), case.config))
}

fn describe(run: &Run, chosen: &Chosen) -> Vec<u8> {
    let mut answer = Vec::with_capacity(8192);
    let mut artifacts = Vec::new();
    answer.extend_from_slice(b"{\"payloads\":[");
    let mut first = true;
    for target in run.targets(chosen.pipeline_images) {
        let format = match target {
            Target::Run => &chosen.run,
            Target::Image(_) => &chosen.image,
        };
        let Some(format) = format else { continue };
        if !std::mem::take(&mut first) {
            answer.push(b',');
        }
        let payload = describe_target(&mut answer, run, &target, &**format);
        let subjects = payload.filter(|_| target == Target::Run).map(|payload| payload.subjects);
        artifacts.extend(subjects.iter().flatten().flat_map(Subject::artifact_uris));
    }
    answer.extend_from_slice(b"],\"artifactURIs\":");
    to_json(&mut answer, &artifacts);
    answer.push(b'}');
    answer
}

/// Writes what is made of one target, and hands it back.
fn describe_target(
    answer: &mut Vec<u8>,
    run: &Run,
    target: &Target,
    format: &dyn Format<Run>,
) -> Option<Payload> {
    let key = target.record_key(run.reference());
    let fields = [
        ("artifact", artifact(run, target)),
        ("format", format.name()),
        ("shortKey", &key.short),
        ("fullKey", &key.full),
    ];
    write(answer, &fields, b'{');
    let made = format.payload(run, target).and_then(|payload| {
        let nothing = || format!("format {} says nothing about {target}", format.name());
        payload.ok_or_else(|| Error::new(ErrorKind::Configuration, nothing()))
    });
    match &made {
        Ok(payload) => {
            answer.extend_from_slice(b",\"payload\":");
            answer.extend_from_slice(&payload.bytes);
        }
        Err(error) => write(answer, &[("error", &error.report())], b','),
    }
    answer.push(b'}');
    made.ok()
}

const fn artifact(run: &Run, target: &Target) -> &'static str {
    match (target, run.kind()) {
        (Target::Image(_), _) => "oci",
        (Target::Run, RunKind::TaskRun) => "tekton",
        (Target::Run, RunKind::PipelineRun) => "tekton-pipeline-run",
    }
}

/// Writes fields, the first after `opening`.
fn write(answer: &mut Vec<u8>, fields: &[(&str, &str)], mut opening: u8) {
    for (name, value) in fields {
        answer.push(opening);
        opening = b',';
        to_json(answer, name);
        answer.push(b':');
        to_json(answer, value);
    }
}

fn to_json(answer: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    // Strings and lists of them, into memory: nothing here can fail.
    let _ = serde_json::to_writer(answer, value);
}
