//! Binds what is signed to a run: makes the payload of the run anew and compares.
//!
//! A signature holds wherever it is copied to. That it is of *this* run is known only where this run makes what
//! is signed.

use chains_core::{Error, Result, RunKind, Target};
use chains_formats::{Options, by_name};
use chains_tekton::{Missing, Run};
use serde_json::Value;

use super::checks::refusal;
use super::compare::{self, Extent};

/// How many places are told where a document differs.
const TOLD: usize = 3;

/// Checks that a statement is what a format makes of the run, whatever the settings were; tells so in words.
///
/// # Errors
/// [`Verification`](chains_core::ErrorKind::Verification) telling where it differs.
pub(crate) fn statement(run: &Run, payload: &[u8]) -> Result<String> {
    let signed = read(payload)?;
    let (formats, options) = settings(run, &signed)?;
    let alone = without_children(run)?;
    let all = [("", Some(run)), (" without its TaskRuns", alone.as_ref())];
    let mut nearest = Nearest::default();
    for (how, run) in all.into_iter().filter_map(|(how, run)| Some((how, run?))) {
        if nearest.try_all(run, formats, &options, &signed, Extent::Whole) {
            return Ok(format!("the statement is what this run makes{how}"));
        }
    }
    let missing = missing_children(run);
    if missing > 0 {
        nearest = Nearest::default();
        if nearest.try_all(run, formats, &options, &signed, Extent::WithoutChildren) {
            return Ok(format!(
                "the statement is what this run makes, as far as can be told: {missing} of its TaskRuns are not at \
                 hand"
            ));
        }
    }
    Err(nearest.error("statement"))
}

/// Checks that a payload is the status of the run.
///
/// # Errors
/// [`Verification`](chains_core::ErrorKind::Verification) telling where it differs.
pub(crate) fn status(run: &Run, payload: &[u8]) -> Result<String> {
    let mut nearest = Nearest::default();
    let signed = read(payload)?;
    if nearest.try_all(run, &["tekton"], &[Options::default()], &signed, Extent::Whole) {
        return Ok("the status is the one of this run".to_owned());
    }
    Err(nearest.error("status"))
}

fn read(payload: &[u8]) -> Result<Value> {
    serde_json::from_slice(payload)
        .map_err(|e| refusal("run: what is signed is not JSON").with_source(e))
}

/// The formats that make such a statement, and the settings that they may have had.
fn settings(run: &Run, signed: &Value) -> Result<(&'static [&'static str], Vec<Options>)> {
    let text = |pointer| signed.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let mut options = Options::default();
    let formats: &[&str] = match text("/predicateType") {
        "https://slsa.dev/provenance/v0.2" => {
            text("/predicate/builder/id").clone_into(&mut options.builder_id);
            &["in-toto"]
        }
        "https://slsa.dev/provenance/v1" => {
            text("/predicate/runDetails/builder/id").clone_into(&mut options.builder_id);
            options.build_type = text("/predicate/buildDefinition/buildType")
                .parse()
                .map_err(|error: Error| refusal("run: no run makes it").with_source(error))?;
            &["slsa/v2alpha4", "slsa/v2alpha3"]
        }
        other => {
            return Err(refusal(format!("run: no run makes a statement with predicate {other:?}")));
        }
    };
    let deep = Options { deep_inspection: true, ..options.clone() };
    Ok(match run.kind() {
        RunKind::TaskRun => (formats, vec![options]),
        RunKind::PipelineRun => (formats, vec![options, deep]),
    })
}

/// Its TaskRuns may have been gone when a PipelineRun was signed.
fn without_children(run: &Run) -> Result<Option<Run>> {
    if run.children().len() == 0 {
        return Ok(None);
    }
    Run::from_document(run.document().clone()).map(Some)
}

/// How many TaskRuns there were that the statement may speak of and that are not there.
fn missing_children(run: &Run) -> usize {
    let gone = |why| matches!(why, Missing::Absent | Missing::Unfinished);
    run.missing_children().iter().filter(|child| gone(child.why)).count()
}

/// Where the payload that comes nearest differs.
#[derive(Debug, Default)]
struct Nearest {
    differences: Option<Vec<String>>,
    /// Why a payload could not be made.
    failure: Option<Error>,
}

impl Nearest {
    /// Whether one of the formats makes what is signed, with one of the options.
    fn try_all(
        &mut self,
        run: &Run,
        formats: &[&str],
        options: &[Options],
        signed: &Value,
        extent: Extent,
    ) -> bool {
        for format in formats {
            for options in options {
                match made(run, format, options) {
                    Ok(made) => {
                        let differences = compare::differences(signed, &made, extent);
                        if differences.is_empty() {
                            return true;
                        }
                        if self.differences.as_ref().is_none_or(|d| d.len() > differences.len()) {
                            self.differences = Some(differences);
                        }
                    }
                    Err(error) => self.failure = Some(error),
                }
            }
        }
        false
    }

    fn error(self, what: &str) -> Error {
        match (self.differences, self.failure) {
            (Some(all), _) => {
                let told: Vec<&str> = all.iter().take(TOLD).map(String::as_str).collect();
                let more = match all.len().saturating_sub(TOLD) {
                    0 => String::new(),
                    more => format!(" and {more} more places"),
                };
                let told = told.join(", ");
                refusal(format!("run: the {what} differs from this run at {told}{more}"))
            }
            (None, Some(error)) => {
                refusal(format!("run: this run makes no {what}")).with_source(error)
            }
            (None, None) => refusal(format!("run: this run makes no {what}")),
        }
    }
}

fn made(run: &Run, format: &str, options: &Options) -> Result<Value> {
    match by_name(format, options)?.payload(run, &Target::Run)? {
        Some(payload) => read(&payload.bytes),
        None => Err(refusal(format!("the format {format} says nothing about it"))),
    }
}
