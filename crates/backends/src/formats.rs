//! The formats that a configuration chooses.

use std::sync::Arc;

use chains_config::{Artifact, Config, EncodingFormat, StorageName};
use chains_core::{Format, Result, RunKind};
use chains_formats::Options;
use chains_formats::jsonl::Chosen;
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
            image: if in_bundles(config) {
                chains_formats::image_statement()
            } else {
                format(&artifacts.oci)?
            },
            enabled: [&artifacts.taskrun, &artifacts.pipelinerun, &artifacts.oci]
                .map(Artifact::is_enabled),
            pipelinerun_images: artifacts.images_from_pipelinerun_results,
        })
    }

    /// What is signed of a kind of run: the formats of what is enabled.
    #[must_use]
    pub fn chosen(&self, kind: RunKind) -> Chosen {
        let [taskrun, pipelinerun, image] = self.enabled;
        let run = match kind {
            RunKind::TaskRun => taskrun.then_some(&self.taskrun),
            RunKind::PipelineRun => pipelinerun.then_some(&self.pipelinerun),
        };
        Chosen {
            run: run.cloned(),
            image: image.then(|| Arc::clone(&self.image)),
            pipeline_images: self.pipelinerun_images,
        }
    }
}

/// Whether signatures of images are kept in bundles. One signature is for all stores, so the others get the same.
fn in_bundles(config: &Config) -> bool {
    config.storage.oci.encoding == EncodingFormat::SigstoreBundle
        && config.artifacts.oci.storage.contains(&StorageName::Oci)
}
