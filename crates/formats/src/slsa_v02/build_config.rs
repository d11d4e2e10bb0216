//! `buildConfig` of SLSA v0.2: the steps of a TaskRun, the tasks of a PipelineRun.

use std::collections::HashMap;
use std::fmt;

use chains_core::RunKind;
use chains_tekton::types::{ContainerState, PipelineTask, Step};
use chains_tekton::{Json, Map, Run};
use serde::{Serialize, Serializer};

use super::invocation::Invocation;
use crate::after;
use crate::time::{Fraction, Time};
use crate::uri::Uri;

/// What was run.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BuildConfig<'a> {
    /// Of a TaskRun.
    Steps(Vec<StepRun<'a>>),
    /// Of a PipelineRun; nothing where it is not known what the pipeline was.
    Tasks(Option<Vec<TaskRun<'a>>>),
}

impl<'a> BuildConfig<'a> {
    pub(crate) fn of(run: &'a Run) -> Self {
        match run.kind() {
            RunKind::TaskRun => Self::Steps(steps_by_name(run)),
            RunKind::PipelineRun => Self::Tasks(tasks(run)),
        }
    }
}

/// A step with what is specified for it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StepRun<'a> {
    entry_point: EntryPoint<'a>,
    arguments: &'a Json,
    environment: StepEnvironment<'a>,
    /// Always null: steps have none.
    annotations: Option<()>,
}

#[derive(Debug, Serialize)]
struct StepEnvironment<'a> {
    container: &'a str,
    image: Uri<'a>,
}

/// The script, else the words of the command.
#[derive(Debug)]
struct EntryPoint<'a>(Option<Step<'a>>);

impl fmt::Display for EntryPoint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(step) = self.0 else { return Ok(()) };
        for (index, word) in step.command().enumerate() {
            f.write_str(if index == 0 { "" } else { " " })?;
            f.write_str(word)?;
        }
        Ok(())
    }
}

impl Serialize for EntryPoint<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.map(Step::script) {
            Some(script) if !script.is_empty() => serializer.serialize_str(script),
            _ => serializer.collect_str(self),
        }
    }
}

impl<'a> StepRun<'a> {
    fn of(state: ContainerState<'a>, step: Option<Step<'a>>) -> Self {
        const NULL: &Json = &Json::Null;
        Self {
            entry_point: EntryPoint(step),
            arguments: step.map_or(NULL, Step::args),
            environment: StepEnvironment {
                container: state.name(),
                image: Uri::image(state.image_id()),
            },
            annotations: None,
        }
    }
}

/// The steps that ran, each with the specified step of the same name.
fn steps_by_name(run: &Run) -> Vec<StepRun<'_>> {
    let mut specified: HashMap<&str, Step<'_>> = HashMap::new();
    for step in run.task_spec().into_iter().flat_map(|task| task.steps()) {
        specified.entry(step.name()).or_insert(step);
    }
    run.steps().map(|state| StepRun::of(state, specified.get(state.name()).copied())).collect()
}

/// The steps that ran, each with the specified step in the same place; `None` where they do not go together.
fn steps_by_place<'a>(run: &'a Run) -> Option<Vec<StepRun<'a>>> {
    let specified = run.task_spec()?.steps();
    if specified.len() != run.steps().len() {
        return None;
    }
    let step_run = |(step, state): (Step<'a>, ContainerState<'a>)| {
        let is_other = state.name().starts_with("unnamed-") && !step.name().is_empty();
        (!is_other).then(|| StepRun::of(state, Some(step)))
    };
    specified.zip(run.steps()).map(step_run).collect()
}

/// A TaskRun of a PipelineRun.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TaskRun<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    after: Vec<&'a str>,
    #[serde(rename = "ref")]
    reference: TaskRef<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_on: Option<Time<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_on: Option<Time<'a>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    service_account_name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    status: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    steps: Vec<StepRun<'a>>,
    invocation: Invocation<'a>,
    #[serde(skip_serializing_if = "<[Json]>::is_empty")]
    results: &'a [Json],
}

/// The task that is referred to; an empty object where it is written out.
#[derive(Debug)]
struct TaskRef<'a>(Option<&'a Json>);

impl Serialize for TaskRef<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(reference) => reference.serialize(serializer),
            None => Map::default().serialize(serializer),
        }
    }
}

fn tasks(run: &Run) -> Option<Vec<TaskRun<'_>>> {
    let mut tasks = Vec::new();
    let mut last = None;
    for (task, is_finally) in run.pipeline_spec()?.tasks() {
        let mut known = false;
        for child in run.children_of(task) {
            known = true;
            let steps = if child.was_executed() { steps_by_place(child) } else { None };
            // A TaskRun whose steps are not those of its task cannot be told about.
            let Some(steps) = steps else { continue };
            let mut after = after::of(task);
            if is_finally && after.is_empty() {
                after.extend(last);
            }
            tasks.push(TaskRun::of(run, task, child, after, steps));
        }
        if known && !is_finally {
            last = Some(task.name());
        }
    }
    Some(tasks)
}

impl<'a> TaskRun<'a> {
    fn of(
        parent: &'a Run,
        task: PipelineTask<'a>,
        child: &'a Run,
        after: Vec<&'a str>,
        steps: Vec<StepRun<'a>>,
    ) -> Self {
        Self {
            name: task.name(),
            after,
            reference: TaskRef(task.task_ref()),
            started_on: Time::of(child.status().get("startTime"), Fraction::Shortest),
            finished_on: Time::of(child.status().get("completionTime"), Fraction::Shortest),
            service_account_name: parent
                .spec()
                .at(&["taskRunTemplate", "serviceAccountName"])
                .text(),
            status: match child.first_condition() {
                "True" => "Succeeded",
                "False" => "Failed",
                "Unknown" => "Running",
                _ => "",
            },
            steps,
            invocation: Invocation::of(child),
            results: child.status().get("results").list(),
        }
    }
}
