//! The few keys of the configuration that payloads depend on.

use std::collections::BTreeMap;

use chains_core::{Error, ErrorKind, Result, RunKind};
use chains_formats::jsonl::Chosen;
use chains_formats::{Options, by_name};

/// The formats that a case's configuration asks for.
///
/// # Errors
/// Where a key or a value is not one that the cases use.
pub fn choose(config: &BTreeMap<String, String>, kind: RunKind) -> Result<Chosen> {
    let mut options = Options::default();
    let (mut taskrun, mut pipelinerun) = ("in-toto", "in-toto");
    for (key, value) in config {
        match key.as_str() {
            "artifacts.taskrun.format" => taskrun = value,
            "artifacts.pipelinerun.format" => pipelinerun = value,
            "artifacts.pipelinerun.enable-deep-inspection" => {
                options.deep_inspection = value == "true";
            }
            "builder.id" => options.builder_id.clone_from(value),
            "builddefinition.buildtype" => options.build_type = value.parse()?,
            other => {
                return Err(Error::new(ErrorKind::Configuration, format!("unknown key {other:?}")));
            }
        }
    }
    let name = match kind {
        RunKind::TaskRun => taskrun,
        RunKind::PipelineRun => pipelinerun,
    };
    Ok(Chosen {
        run: Some(by_name(name, &options)?),
        image: Some(by_name("simplesigning", &options)?),
        pipeline_images: false,
    })
}
