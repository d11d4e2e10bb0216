//! The formats that a configuration chooses, and what they make of a run without signing it.

use std::sync::Arc;

use chains_config::{Artifact, Config};
use chains_core::{Format, Payload, Result, RunKind, Target};
use chains_formats::Options;
use chains_tekton::Run;

/// The format of each kind of target.
#[derive(Debug, Clone)]
pub struct Formats {
    pub(crate) taskrun: Arc<dyn Format<Run>>,
    pub(crate) pipelinerun: Arc<dyn Format<Run>>,
    pub(crate) image: Arc<dyn Format<Run>>,
    enabled: [bool; 3],
    pipelinerun_images: bool,
}

/// What a format made of one target.
#[derive(Debug)]
pub struct Made {
    /// The target.
    pub target: Target,
    /// The name of the format.
    pub format: &'static str,
    /// The payload; `None` where there is nothing to say.
    pub payload: Result<Option<Payload>>,
}

impl Formats {
    /// Chooses the formats.
    ///
    /// # Errors
    /// [`Configuration`](chains_core::ErrorKind::Configuration) where a format does not go with its target.
    pub fn new(config: &Config) -> Result<Self> {
        let options = Options {
            builder_id: config.builder_id.clone(),
            build_type: config.build_type.as_str().parse()?,
            deep_inspection: config.artifacts.deep_inspection,
        };
        let artifacts = &config.artifacts;
        let format =
            |artifact: &Artifact| chains_formats::by_name(artifact.format.as_str(), &options);
        Ok(Self {
            taskrun: format(&artifacts.taskrun)?,
            pipelinerun: format(&artifacts.pipelinerun)?,
            image: format(&artifacts.oci)?,
            enabled: [&artifacts.taskrun, &artifacts.pipelinerun, &artifacts.oci]
                .map(Artifact::is_enabled),
            pipelinerun_images: artifacts.images_from_pipelinerun_results,
        })
    }

    /// What would be signed of the run: each enabled target with its payload.
    pub fn payloads<'a>(&'a self, run: &'a Run) -> impl Iterator<Item = Made> + 'a {
        let kind = run.reference().kind;
        run.targets(self.pipelinerun_images).into_iter().filter_map(move |target| {
            let (format, enabled) = match (&target, kind) {
                (Target::Run, RunKind::TaskRun) => (&self.taskrun, self.enabled[0]),
                (Target::Run, RunKind::PipelineRun) => (&self.pipelinerun, self.enabled[1]),
                (Target::Image(_), _) => (&self.image, self.enabled[2]),
            };
            enabled.then(|| Made {
                format: format.name(),
                payload: format.payload(run, &target),
                target,
            })
        })
    }
}
