//! Runs from files, each PipelineRun with its TaskRuns.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use chains_core::RunRef;
use chains_tekton::Run;
use serde::Serialize;

use crate::input;

/// What was read.
#[derive(Debug)]
pub(crate) struct Input {
    /// The runs, in the order of the input.
    pub(crate) runs: Vec<Run>,
    /// What could not be read.
    pub(crate) unread: Vec<Unread>,
}

/// A document that could not be read.
#[derive(Debug, Serialize)]
pub(crate) struct Unread {
    source: String,
    error: String,
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.source, self.error)
    }
}

/// A run's identity, as JSON output has it.
#[derive(Debug, Serialize)]
pub(crate) struct Identity {
    kind: &'static str,
    namespace: String,
    name: String,
    uid: String,
}

impl Identity {
    pub(crate) fn of(run: &RunRef) -> Self {
        Self {
            kind: run.kind.as_str(),
            namespace: run.namespace.to_string(),
            name: run.name.to_string(),
            uid: run.uid.to_string(),
        }
    }
}

/// Reads every run that the paths name; one document's fault does not stop the others.
///
/// # Errors
/// Where nothing at all could be read for a reason that is not in a document: no such file.
pub(crate) fn read(paths: &[PathBuf]) -> anyhow::Result<Input> {
    read_but(paths, None)
}

/// As [`read`], but for what is in the folder that the command itself writes to.
pub(crate) fn read_but(paths: &[PathBuf], out: Option<&Path>) -> anyhow::Result<Input> {
    let mut runs = Vec::new();
    let mut unread = Vec::new();
    for path in input::files(paths, out)? {
        let before = runs.len() + unread.len();
        for document in chains_tekton::read::read_documents(&input::bytes(&path)?) {
            match document {
                Ok(run) => runs.push(run),
                Err(error) => {
                    unread.push(Unread { source: input::name(&path), error: error.report() })
                }
            }
        }
        if runs.len() + unread.len() == before {
            let error = "there is no document in it".to_owned();
            unread.push(Unread { source: input::name(&path), error });
        }
    }
    Ok(Input { runs: Run::adopt_all(runs), unread })
}

/// The run's document, indented, with annotations added.
pub(crate) fn annotated(run: &Run, added: &BTreeMap<String, String>) -> anyhow::Result<String> {
    let mut document = serde_json::to_value(run.document())?;
    let annotations = &mut document["metadata"]["annotations"];
    for (key, value) in added {
        annotations[key] = value.as_str().into();
    }
    Ok(serde_json::to_string_pretty(&document)?)
}
