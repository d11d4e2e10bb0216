//! `byproducts` of SLSA v1.0: results that are no products.

use std::fmt;

use chains_core::RunKind;
use chains_tekton::types::{Named, NamedList};
use chains_tekton::{Run, hints};
use serde::{Serialize, Serializer};

use super::Version;
use crate::statement::Encoded;

/// A result.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Byproduct<'a> {
    name: Name<'a>,
    content: Encoded<'a>,
    media_type: &'static str,
}

/// `KIND/RUN/RESULT`, or `KIND/RESULT`.
#[derive(Debug)]
struct Name<'a> {
    kind: &'static str,
    run: Option<&'a str>,
    result: &'a str,
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind)?;
        if let Some(run) = self.run {
            write!(f, "/{run}")?;
        }
        write!(f, "/{}", self.result)
    }
}

impl Serialize for Name<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The by-products of a run, in the order of its results.
pub(crate) fn of(run: &Run, version: Version, deep_inspection: bool) -> Vec<Byproduct<'_>> {
    let mut byproducts = Vec::new();
    match version {
        Version::Alpha3 => {
            let all = run.results().into_iter();
            byproducts.extend(all.map(|result| byproduct(results_of(run), None, result)));
        }
        Version::Alpha4 => {
            remaining(run, &mut byproducts);
            if deep_inspection && run.kind() == RunKind::PipelineRun {
                run.executed_tasks().for_each(|task| remaining(task, &mut byproducts));
            }
        }
    }
    byproducts
}

const fn results_of(run: &Run) -> &'static str {
    match run.kind() {
        RunKind::TaskRun => "taskRunResults",
        RunKind::PipelineRun => "pipelineRunResults",
    }
}

/// Results of the run and of its steps that are no subjects.
fn remaining<'a>(run: &'a Run, byproducts: &mut Vec<Byproduct<'a>>) {
    let name = Some(&*run.reference().name);
    let mut add = |kind, results: NamedList<'a>| {
        let remaining = results
            .into_iter()
            .filter(|result| !hints::names_image(result.name) && !hints::is_build_output(*result));
        byproducts.extend(remaining.map(|result| byproduct(kind, name, result)));
    };
    add(results_of(run), run.results());
    run.steps().for_each(|step| add("stepResults", step.results()));
}

const fn byproduct<'a>(
    kind: &'static str,
    run: Option<&'a str>,
    result: Named<'a>,
) -> Byproduct<'a> {
    Byproduct {
        name: Name { kind, run, result: result.name },
        content: Encoded(result.value),
        media_type: "application/json",
    }
}
