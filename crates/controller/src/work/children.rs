//! The TaskRuns of a PipelineRun, and what is told of those that cannot be looked into.

use std::collections::HashMap;

use chains_core::{Result, RunKind};
use chains_tekton::{Missing, MissingChild, Run};
use serde::Deserialize;

use super::api::Runs;
use crate::queue::Key;

/// How much an annotation tells of children that were left out, in bytes.
const TOLD: usize = 2048;

/// A PipelineRun with its TaskRuns.
pub(super) struct Family {
    pub(super) run: Run,
    /// TaskRuns that are there and cannot be read, with the reason.
    unreadable: HashMap<String, String>,
}

#[derive(Deserialize)]
struct Named {
    metadata: Name,
}

#[derive(Deserialize)]
struct Name {
    name: String,
}

impl Family {
    /// A run without its children.
    pub(super) fn alone(run: Run) -> Self {
        Self { run, unreadable: HashMap::new() }
    }

    /// Fetches all children with one list. A TaskRun has none.
    ///
    /// A child that cannot be read does not stop the others.
    pub(super) async fn gather(run: Run, runs: &Runs, key: &Key) -> Result<Self> {
        if run.kind() != RunKind::PipelineRun || run.child_references().len() == 0 {
            return Ok(Self::alone(run));
        }
        let mut children = Vec::new();
        let mut unreadable = HashMap::new();
        for json in runs.children(key).await? {
            match Run::from_json(json.get().as_bytes()) {
                Ok(child) => children.push(child),
                Err(error) => {
                    if let Ok(named) = serde_json::from_str::<Named>(json.get()) {
                        unreadable.insert(named.metadata.name, error.report());
                    }
                }
            }
        }
        Ok(Self { run: run.with_children(children), unreadable })
    }

    /// Whether a TaskRun of it is not over yet.
    pub(super) fn is_unfinished(&self) -> bool {
        self.run.missing_children().iter().any(|child| child.why == Missing::Unfinished)
    }

    /// What the provenance leaves out, in words; nothing where it leaves out nothing.
    pub(super) fn left_out(&self, missing: &[MissingChild]) -> Option<String> {
        let mut told = String::new();
        for child in missing {
            let unreadable =
                self.unreadable.get(&child.name).filter(|_| child.why == Missing::Absent);
            let one = match unreadable {
                Some(why) => format!("{} {} cannot be read: {why}", child.kind, child.name),
                None => child.to_string(),
            };
            if told.len() + one.len() > TOLD {
                told.push_str("; and others");
                break;
            }
            if !told.is_empty() {
                told.push_str("; ");
            }
            told.push_str(&one);
        }
        (!told.is_empty()).then_some(told)
    }
}
