//! `resolvedDependencies` of SLSA v1.0: what the run used.

use std::borrow::Cow;
use std::collections::HashSet;

use chains_core::{Result, RunKind};
use chains_tekton::Run;
use serde::Serialize;

use super::Version;
use crate::materials::{self, Digests, Material};
use crate::options::{BuildType, Options};
use crate::statement::Encoded;
use crate::uri::Uri;

/// Something that the run used: a
/// [resource descriptor](https://github.com/in-toto/attestation/blob/main/spec/v1/resource_descriptor.md).
#[derive(Debug, Serialize)]
pub(crate) struct Dependency<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    name: Cow<'a, str>,
    #[serde(skip_serializing_if = "Uri::is_empty")]
    uri: Uri<'a>,
    #[serde(skip_serializing_if = "Digests::is_empty")]
    digest: Digests<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Encoded<'a>>,
}

const IMAGE: &str = "";
const INPUT: &str = "inputs/result";
const TASK: &str = "task";
const PIPELINE: &str = "pipeline";
const PIPELINE_TASK: &str = "pipelineTask";
const STEP_ACTION: &str = "stepAction/";

/// What the run used, in the order in which it is found.
pub(crate) fn of<'a>(
    run: &'a Run,
    version: Version,
    options: &Options,
) -> Result<Vec<Dependency<'a>>> {
    let mut found = Collected { alpha4: version == Version::Alpha4, ..Collected::default() };
    match run.kind() {
        RunKind::TaskRun => found.task_run(run)?,
        RunKind::PipelineRun => found.pipeline_run(run, options)?,
    }
    Ok(found.list)
}

/// Dependencies, those that are the same but for their name once.
#[derive(Debug, Default)]
struct Collected<'a> {
    alpha4: bool,
    list: Vec<Dependency<'a>>,
    /// What it is, and the name of the TaskRun that is its content.
    seen: HashSet<(Material<'a>, Option<&'a str>)>,
}

impl<'a> Collected<'a> {
    fn task_run(&mut self, run: &'a Run) -> Result<()> {
        materials::images(run, &mut |image| self.add(IMAGE, image))?;
        if self.alpha4 {
            materials::of_steps(run, &mut |input| self.add(INPUT, input));
            self.step_actions(run);
        }
        materials::of_task(run, &mut |input| self.add(INPUT, input));
        // The task goes in front, and whatever else came from the same place stays.
        if let Some(source) = run.provenance().ref_source() {
            self.list.insert(0, dependency(TASK.into(), materials::ref_source(source)));
        }
        Ok(())
    }

    fn pipeline_run(&mut self, run: &'a Run, options: &Options) -> Result<()> {
        if let Some(source) = run.provenance().ref_source() {
            self.add(PIPELINE, materials::ref_source(source));
        }
        for task in run.executed_tasks() {
            self.pipeline_task(task, options.build_type);
            if self.alpha4 {
                self.step_actions(task);
            }
            materials::images(task, &mut |image| self.add(IMAGE, image))?;
        }
        if self.alpha4 && options.deep_inspection {
            for task in run.executed_tasks() {
                materials::of_steps(task, &mut |input| self.add(INPUT, input));
            }
        }
        materials::of_pipeline(run, options.deep_inspection, &mut |input| self.add(INPUT, input));
        Ok(())
    }

    fn add(&mut self, name: &'static str, material: Material<'a>) {
        let is_new = self.seen.insert((material, None));
        // Where the pipeline came from is told, even if something else came from the same place.
        if is_new || name == PIPELINE {
            self.list.push(dependency(name.into(), material));
        }
    }

    /// Where the steps came from that are remote StepActions; each is told.
    fn step_actions(&mut self, task: &'a Run) {
        for step in task.steps() {
            if let Some(source) = step.ref_source() {
                let material = materials::ref_source(source);
                self.seen.insert((material, None));
                let name = format!("{STEP_ACTION}{}", step.name());
                self.list.push(dependency(name.into(), material));
            }
        }
    }

    /// Where a TaskRun of the pipeline came from; the TaskRun itself too, where the build type asks for it.
    fn pipeline_task(&mut self, task: &'a Run, build_type: BuildType) {
        let source = task.provenance().ref_source().map(materials::ref_source);
        match (build_type, source) {
            (BuildType::Slsa, None) => {}
            (BuildType::Slsa, Some(material)) => self.add(PIPELINE_TASK, material),
            (BuildType::SlsaTekton, material) => {
                let material = material.unwrap_or(Material::NOWHERE);
                if self.seen.insert((material, Some(&task.reference().name))) {
                    let content = Some(Encoded(task.document()));
                    self.list
                        .push(Dependency { content, ..dependency(PIPELINE_TASK.into(), material) });
                }
            }
        }
    }
}

const fn dependency<'a>(name: Cow<'a, str>, material: Material<'a>) -> Dependency<'a> {
    Dependency { name, uri: material.uri, digest: material.digest, content: None }
}
