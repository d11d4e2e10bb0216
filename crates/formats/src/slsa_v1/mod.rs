//! `slsa/v2alpha3` and `slsa/v2alpha4`: in-toto Statement v1 with
//! [SLSA provenance v1.0](https://slsa.dev/spec/v1.0/provenance).

mod build_definition;
mod byproducts;
mod dependencies;

use chains_core::{Format, Payload, Result, Target};
use chains_tekton::Run;
use serde::Serialize;

use crate::options::Options;
use crate::statement::{self, Builder};
use crate::subjects::{self, Reading};
use crate::time::{Fraction, Time};
use build_definition::BuildDefinition;
use byproducts::Byproduct;

const STATEMENT: &str = "https://in-toto.io/Statement/v1";
const PREDICATE: &str = "https://slsa.dev/provenance/v1";

/// The format in one of its versions.
#[derive(Debug)]
pub(crate) struct SlsaV1 {
    pub(crate) version: Version,
    pub(crate) options: Options,
}

/// The two versions that are in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// All results are by-products, and those of steps are not looked at.
    Alpha3,
    /// Results of steps count, and products are told from by-products.
    Alpha4,
}

impl Version {
    const fn name(self) -> &'static str {
        match self {
            Self::Alpha3 => "slsa/v2alpha3",
            Self::Alpha4 => "slsa/v2alpha4",
        }
    }

    const fn reading(self) -> Reading {
        match self {
            Self::Alpha3 => Reading::AllOutputs,
            Self::Alpha4 => Reading::BuildArtifacts,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Predicate<'a> {
    build_definition: BuildDefinition<'a>,
    run_details: RunDetails<'a>,
}

#[derive(Serialize)]
struct RunDetails<'a> {
    builder: Builder<'a>,
    metadata: Metadata<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    byproducts: Vec<Byproduct<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    invocation_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_on: Option<Time<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_on: Option<Time<'a>>,
}

impl Format<Run> for SlsaV1 {
    fn name(&self) -> &'static str {
        self.version.name()
    }

    fn payload(&self, run: &Run, target: &Target) -> Result<Option<Payload>> {
        if !matches!(target, Target::Run) {
            return Ok(None);
        }
        let deep_inspection = self.options.deep_inspection;
        let predicate = Predicate {
            build_definition: BuildDefinition::of(run, self.version, &self.options)?,
            run_details: RunDetails {
                builder: Builder { id: &self.options.builder_id },
                metadata: Metadata {
                    invocation_id: &run.reference().uid,
                    started_on: Time::of(run.status().get("startTime"), Fraction::Thirds),
                    finished_on: Time::of(run.status().get("completionTime"), Fraction::Thirds),
                },
                byproducts: byproducts::of(run, self.version, deep_inspection),
            },
        };
        let subjects = subjects::of(run, self.version.reading(), deep_inspection);
        statement::payload(self.name(), STATEMENT, PREDICATE, subjects, predicate).map(Some)
    }
}
