//! `in-toto` and `slsa/v1`: in-toto Statement v0.1 with
//! [SLSA provenance v0.2](https://slsa.dev/spec/v0.2/provenance).

mod build_config;
mod invocation;
mod materials;

use chains_core::{Format, Payload, Result, RunKind, Target};
use chains_tekton::Run;
use serde::Serialize;

use crate::options::Options;
use crate::statement::{self, Builder};
use crate::subjects::{self, Reading};
use crate::time::{Fraction, Time};
use build_config::BuildConfig;
use invocation::Invocation;
use materials::Merged;

const STATEMENT: &str = "https://in-toto.io/Statement/v0.1";
const PREDICATE: &str = "https://slsa.dev/provenance/v0.2";

/// The format under one of its names.
#[derive(Debug)]
pub(crate) struct SlsaV02 {
    pub(crate) name: &'static str,
    pub(crate) options: Options,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Predicate<'a> {
    builder: Builder<'a>,
    build_type: &'static str,
    invocation: Invocation<'a>,
    build_config: BuildConfig<'a>,
    metadata: Metadata<'a>,
    #[serde(skip_serializing_if = "Merged::is_empty")]
    materials: Merged<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    build_started_on: Option<Time<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    build_finished_on: Option<Time<'a>>,
    completeness: Completeness,
    reproducible: bool,
}

/// Nothing is claimed to be complete.
#[derive(Serialize, Default)]
struct Completeness {
    parameters: bool,
    environment: bool,
    materials: bool,
}

impl Format<Run> for SlsaV02 {
    fn name(&self) -> &'static str {
        self.name
    }

    fn payload(&self, run: &Run, target: &Target) -> Result<Option<Payload>> {
        if !matches!(target, Target::Run) {
            return Ok(None);
        }
        let deep_inspection = self.options.deep_inspection;
        let predicate = Predicate {
            builder: Builder { id: &self.options.builder_id },
            build_type: match run.kind() {
                RunKind::TaskRun => "tekton.dev/v1/TaskRun",
                RunKind::PipelineRun => "tekton.dev/v1/PipelineRun",
            },
            invocation: Invocation::of(run),
            build_config: BuildConfig::of(run),
            metadata: Metadata {
                build_started_on: Time::of(run.status().get("startTime"), Fraction::Shortest),
                build_finished_on: Time::of(run.status().get("completionTime"), Fraction::Shortest),
                completeness: Completeness::default(),
                reproducible: statement::is_reproducible(run),
            },
            materials: Merged::of(run, deep_inspection)?,
        };
        let subjects = subjects::of(run, Reading::AllOutputs, deep_inspection);
        statement::payload(self.name, STATEMENT, PREDICATE, subjects, predicate).map(Some)
    }
}
