//! The TaskRuns of a PipelineRun, and what is told of those that cannot be looked into.

use std::collections::{HashMap, HashSet};

use chains_core::{ErrorKind, Result, RunKind};
use chains_tekton::{Missing, MissingChild, Run};
use serde::Deserialize;

use super::api::Runs;
use crate::queue::Key;

/// How much an annotation tells of children that were left out, in bytes.
const TOLD: usize = 2048;
/// How large all children may be together.
const MOST_BYTES: usize = 32 * 1024 * 1024;

/// A PipelineRun with its TaskRuns.
pub(super) struct Family {
    pub(super) run: Run,
    /// How large the TaskRuns are, as JSON.
    pub(super) bytes: usize,
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

/// What was found of the children that a PipelineRun names. Anybody may give any TaskRun its label.
struct Gathered {
    wanted: HashSet<String>,
    bytes: usize,
    children: Vec<Run>,
    unreadable: HashMap<String, String>,
}

impl Gathered {
    fn of(run: &Run) -> Self {
        let wanted = run.child_references().map(|child| child.name.to_owned()).collect();
        Self { wanted, bytes: 0, children: Vec::new(), unreadable: HashMap::new() }
    }

    fn add(&mut self, json: &str) {
        let Ok(Named { metadata: Name { name } }) = serde_json::from_str(json) else { return };
        if !self.wanted.contains(&name) {
            return;
        }
        self.bytes += json.len();
        if self.bytes > MOST_BYTES {
            let why = format!("all TaskRuns together have more than {MOST_BYTES} bytes");
            self.unreadable.insert(name, why);
            return;
        }
        match Run::from_json(json.as_bytes()) {
            Ok(child) => self.children.push(child),
            Err(error) => {
                self.unreadable.insert(name, error.report());
            }
        }
    }
}

impl Family {
    /// A run without its children.
    pub(super) fn alone(run: Run) -> Self {
        Self { run, bytes: 0, unreadable: HashMap::new() }
    }

    /// Fetches all children with one list. A TaskRun has none.
    ///
    /// A child that cannot be read does not stop the others.
    pub(super) async fn gather(run: Run, runs: &Runs, key: &Key) -> Result<Self> {
        if run.kind() != RunKind::PipelineRun || run.child_references().len() == 0 {
            return Ok(Self::alone(run));
        }
        let mut gathered = Gathered::of(&run);
        let mut next = None;
        loop {
            let page = match runs.children(key, next.as_deref()).await {
                Ok(page) => page,
                // A name that is no label: nothing can be found by it.
                Err(error)
                    if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::NotFound) =>
                {
                    tracing::warn!(error = %error.report(), "the TaskRuns are left out");
                    break;
                }
                Err(error) => return Err(error),
            };
            page.items.iter().for_each(|json| gathered.add(json.get()));
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        let Gathered { bytes, children, unreadable, .. } = gathered;
        Ok(Self { run: run.with_children(children), bytes: bytes.min(MOST_BYTES), unreadable })
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
