//! `buildDefinition` of SLSA v1.0: what was asked for, and what it was made from.

use chains_core::Result;
use chains_tekton::types::RefSource;
use chains_tekton::{Json, Run};
use serde::{Serialize, Serializer};

use super::Version;
use super::dependencies::{self, Dependency};
use crate::options::{BuildType, Options};

/// How the build was done.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BuildDefinition<'a> {
    build_type: &'static str,
    external_parameters: ExternalParameters<'a>,
    internal_parameters: InternalParameters<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    resolved_dependencies: Vec<Dependency<'a>>,
}

/// What the one who started the run asked for.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExternalParameters<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    build_config_source: Option<BuildConfigSource<'a>>,
    run_spec: &'a Json,
}

/// The remote place of the task or pipeline.
#[derive(Serialize)]
struct BuildConfigSource<'a> {
    path: &'a str,
    #[serde(rename = "ref")]
    reference: FirstDigest<'a>,
    repository: &'a str,
}

/// `algorithm:hex` of the digest whose algorithm comes first by its name; empty where there is none.
struct FirstDigest<'a>(RefSource<'a>);

impl Serialize for FirstDigest<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.digest().next() {
            Some((algorithm, hex)) => serializer.collect_str(&format_args!("{algorithm}:{hex}")),
            None => serializer.serialize_str(""),
        }
    }
}

/// What the platform decided.
#[derive(Serialize)]
struct InternalParameters<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<&'a Json>,
    #[serde(rename = "tekton-pipelines-feature-flags", skip_serializing_if = "Option::is_none")]
    feature_flags: Option<&'a Json>,
}

impl<'a> BuildDefinition<'a> {
    pub(crate) fn of(run: &'a Run, version: Version, options: &Options) -> Result<Self> {
        let tekton = options.build_type == BuildType::SlsaTekton;
        let source = run.provenance().ref_source().filter(|_| run.is_remote());
        Ok(Self {
            build_type: options.build_type.as_str(),
            external_parameters: ExternalParameters {
                build_config_source: source.map(|source| BuildConfigSource {
                    path: source.entry_point(),
                    reference: FirstDigest(source),
                    repository: source.uri(),
                }),
                run_spec: run.spec(),
            },
            internal_parameters: InternalParameters {
                annotations: tekton.then(|| run.annotations()),
                labels: tekton.then(|| run.labels()),
                feature_flags: run.provenance().feature_flags(),
            },
            resolved_dependencies: dependencies::of(run, version, options)?,
        })
    }
}
