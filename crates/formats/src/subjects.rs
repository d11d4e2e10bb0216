//! Subjects: what a run made.

use std::collections::HashSet;
use std::hash::Hash;

use chains_core::{ImageDigest, RunKind, Subject};
use chains_tekton::types::NamedList;
use chains_tekton::{Run, hints};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// Which results count, and as what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Every hint of the run's results is a subject.
    AllOutputs,
    /// Products only, those of steps too; what remains is a by-product. This is `slsa/v2alpha4`.
    BuildArtifacts,
}

/// What the run made, each thing once.
pub(crate) fn of(run: &Run, reading: Reading, deep_inspection: bool) -> Vec<Subject> {
    let mut subjects = Vec::new();
    let deep = deep_inspection && run.kind() == RunKind::PipelineRun;
    match reading {
        Reading::AllOutputs => {
            if deep {
                run.executed_tasks().for_each(|task| all_outputs(task.results(), &mut subjects));
            }
            all_outputs(run.results(), &mut subjects);
        }
        Reading::BuildArtifacts => {
            run.steps().for_each(|step| build_artifacts(step.results(), &mut subjects));
            build_artifacts(run.results(), &mut subjects);
            if deep {
                for task in run.executed_tasks() {
                    task.steps().for_each(|step| build_artifacts(step.results(), &mut subjects));
                    build_artifacts(task.results(), &mut subjects);
                }
            }
        }
    }
    deduplicate(subjects)
}

fn all_outputs(results: NamedList<'_>, subjects: &mut Vec<Subject>) {
    subjects.extend(hints::images(results).iter().map(image));
    let pairs = hints::artifacts(results).into_iter();
    let outputs = hints::build_outputs(results).into_iter().map(|output| output.artifact);
    subjects.extend(pairs.chain(outputs).map(artifact));
}

fn build_artifacts(results: NamedList<'_>, subjects: &mut Vec<Subject>) {
    let outputs = hints::build_outputs(results).into_iter().filter(|output| output.build);
    subjects.extend(outputs.map(|output| artifact(output.artifact)));
    subjects.extend(hints::images(results).iter().map(image));
}

fn image(image: &ImageDigest) -> Subject {
    let algorithm = image.digest.algorithm().as_str();
    subject(image.name.to_string(), algorithm, image.digest.hex())
}

fn artifact(artifact: hints::Artifact<'_>) -> Subject {
    let (algorithm, hex) = artifact.digest_as_given();
    subject(artifact.uri.to_owned(), algorithm, hex)
}

fn subject(name: String, algorithm: &str, hex: &str) -> Subject {
    Subject { name, digest: [(algorithm.to_owned(), hex.to_owned())].into() }
}

/// Keeps the first of equal items.
fn deduplicate<T: Eq + Hash>(items: Vec<T>) -> Vec<T> {
    if items.len() < 2 {
        return items;
    }
    let mut seen = HashSet::with_capacity(items.len());
    let first: Vec<bool> = items.iter().map(|item| seen.insert(item)).collect();
    items.into_iter().zip(first).filter_map(|(item, first)| first.then_some(item)).collect()
}

/// Subjects as a statement has them.
#[derive(Debug)]
pub(crate) struct Subjects<'a>(pub(crate) &'a [Subject]);

impl Subjects<'_> {
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Subjects<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(One))
    }
}

struct One<'a>(&'a Subject);

impl Serialize for One<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("name", &self.0.name)?;
        map.serialize_entry("digest", &self.0.digest)?;
        map.end()
    }
}
