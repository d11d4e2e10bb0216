//! One case a line: a run and its configuration in, what would be signed out.
//!
//! This is what `chains payload` shows, and what `chains payload --jsonl` and the tests over recorded vectors speak.
//! A line is `{"object":…, "taskRuns":[…], "config":{…}}`, the last two may be absent. The answer is
//! `{"payloads":[{"artifact":…, "format":…, "shortKey":…, "fullKey":…, "payload":…}], "artifactURIs":[…]}`, with
//! `error` in place of `payload` where there is none, or `{"error":…}` where the line cannot be read. `artifact`
//! is `tekton` (a TaskRun), `tekton-pipeline-run` or `oci` (an image).

use std::collections::BTreeMap;
use std::sync::Arc;

use chains_core::{Error, ErrorKind, Format, Payload, RecordKey, Result, RunKind, Subject, Target};
use chains_tekton::{Json, Run};
use serde::ser::{Error as _, SerializeStruct as _};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

/// What is signed of the kind of run at hand, and in which format.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// The format of the run itself; `None` where runs of its kind are not signed.
    pub run: Option<Arc<dyn Format<Run>>>,
    /// The format of images; `None` where images are not signed.
    pub image: Option<Arc<dyn Format<Run>>>,
    /// Whether images that a PipelineRun's own results name are signed.
    pub pipeline_images: bool,
}

/// What is made of one run. Serialized, it is the answer to a line.
#[derive(Debug, Serialize)]
pub struct Answer {
    /// One for each target.
    pub payloads: Vec<Answered>,
    /// The subjects of the run, each as `NAME@ALGORITHM:HEX`.
    #[serde(rename = "artifactURIs")]
    pub artifact_uris: Vec<String>,
}

/// What is made of one target.
#[derive(Debug)]
pub struct Answered {
    /// `tekton`, `tekton-pipeline-run` or `oci`.
    pub artifact: &'static str,
    /// The name of the format.
    pub format: &'static str,
    /// The names under which it would be kept.
    pub key: RecordKey,
    /// The payload, or why there is none.
    pub payload: Result<Payload>,
}

/// A case as it stands in its line; other fields are ignored.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    object: Json,
    #[serde(default)]
    task_runs: Option<Vec<Json>>,
    #[serde(default)]
    config: Option<BTreeMap<String, String>>,
}

/// Answers a line.
///
/// `choose` reads the case's configuration for a kind of run.
///
/// # Errors
/// Where the line or the runs in it cannot be read, and what `choose` refuses.
pub fn answer(
    line: &[u8],
    choose: impl FnOnce(BTreeMap<String, String>, RunKind) -> Result<Chosen>,
) -> Result<Answer> {
    let fault = || Error::new(ErrorKind::InvalidInput, "reading a case");
    let line = std::str::from_utf8(line).map_err(|e| fault().with_source(e))?;
    let case: Case = serde_json::from_str(line).map_err(|e| fault().with_source(e))?;
    let run = Run::from_document(case.object).map_err(|e| e.context("object"))?;
    let child = |(index, document)| {
        Run::from_document(document).map_err(|e| e.context(format!("taskRuns[{index}]")))
    };
    let children = case.task_runs.unwrap_or_default().into_iter().enumerate().map(child);
    let run = run.with_children(children.collect::<Result<Vec<Run>>>()?);
    let chosen = choose(case.config.unwrap_or_default(), run.kind())?;
    Ok(Answer::of(&run, &chosen))
}

/// The answer as it stands in its line, without a newline at the end.
#[must_use]
pub fn to_line(answer: &Result<Answer>) -> Vec<u8> {
    #[derive(Serialize)]
    struct Refused {
        error: String,
    }
    let refused = |error: String| serde_json::to_vec(&Refused { error }).unwrap_or_default();
    match answer {
        Ok(answer) => serde_json::to_vec(answer).unwrap_or_else(|error| refused(error.to_string())),
        Err(error) => refused(error.report()),
    }
}

impl Answer {
    /// Makes the payloads of a run's targets, as far as these are chosen.
    #[must_use]
    pub fn of(run: &Run, chosen: &Chosen) -> Self {
        let mut answer = Self { payloads: Vec::new(), artifact_uris: Vec::new() };
        for target in run.targets(chosen.pipeline_images) {
            let format = match target {
                Target::Run => &chosen.run,
                Target::Image(_) => &chosen.image,
            };
            let Some(format) = format else { continue };
            let made = Answered::of(run, &target, &**format);
            if let (Target::Run, Ok(payload)) = (&target, &made.payload) {
                let uris = payload.subjects.iter().flat_map(Subject::artifact_uris);
                answer.artifact_uris.extend(uris);
            }
            answer.payloads.push(made);
        }
        answer
    }
}

impl Answered {
    fn of(run: &Run, target: &Target, format: &dyn Format<Run>) -> Self {
        let payload = format.payload(run, target).and_then(|payload| {
            let nothing = || format!("format {} says nothing about {target}", format.name());
            payload.ok_or_else(|| Error::new(ErrorKind::Configuration, nothing()))
        });
        let artifact = match (target, run.kind()) {
            (Target::Image(_), _) => "oci",
            (Target::Run, RunKind::TaskRun) => "tekton",
            (Target::Run, RunKind::PipelineRun) => "tekton-pipeline-run",
        };
        Self { artifact, format: format.name(), key: target.record_key(run.reference()), payload }
    }
}

impl Serialize for Answered {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Answered", 5)?;
        fields.serialize_field("artifact", self.artifact)?;
        fields.serialize_field("format", self.format)?;
        fields.serialize_field("shortKey", &self.key.short)?;
        fields.serialize_field("fullKey", &self.key.full)?;
        match &self.payload {
            // The bytes as they are: what is shown is what is signed.
            Ok(payload) => {
                let raw: &RawValue =
                    serde_json::from_slice(&payload.bytes).map_err(S::Error::custom)?;
                fields.serialize_field("payload", raw)?;
            }
            Err(error) => fields.serialize_field("error", &error.report())?,
        }
        fields.end()
    }
}
