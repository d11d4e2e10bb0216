//! Runs from files, each PipelineRun with its TaskRuns.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::bail;
use chains_core::RunRef;
use chains_tekton::Run;
use serde::Serialize;

use crate::{input, output};

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

/// Reads every run that the paths name; what is wrong with one path or document does not stop the others.
///
/// # Errors
/// Where no path could be read at all: no such file.
pub(crate) fn read(paths: &[PathBuf]) -> anyhow::Result<Input> {
    read_but(paths, None)
}

/// As [`read`], but for what is in the folder that the command itself writes to.
pub(crate) fn read_but(paths: &[PathBuf], out: Option<&Path>) -> anyhow::Result<Input> {
    let mut reader = Reader::default();
    for path in paths {
        match input::files(path, out) {
            Ok(files) => files.iter().for_each(|file| reader.file(file)),
            Err(error) => reader.not_read(path, &error),
        }
    }
    reader.finish()
}

#[derive(Default)]
struct Reader {
    /// Whether a file could be read, whatever is in it.
    any: bool,
    runs: Vec<Run>,
    unread: Vec<Unread>,
}

impl Reader {
    fn file(&mut self, path: &Path) {
        match input::bytes(path) {
            Ok(bytes) => self.documents(path, &bytes),
            Err(error) => self.not_read(path, &error),
        }
    }

    fn not_read(&mut self, path: &Path, error: &anyhow::Error) {
        // What stands above the cause names the path, as the source does.
        let error = error.root_cause().to_string();
        self.unread.push(Unread { source: input::name(path), error });
    }

    fn documents(&mut self, path: &Path, bytes: &[u8]) {
        self.any = true;
        let source = || input::name(path);
        let documents = chains_tekton::read::read_documents(bytes);
        if documents.is_empty() && is_blank(bytes) {
            let error = "there is no document in it".to_owned();
            self.unread.push(Unread { source: source(), error });
        } else if documents.is_empty() {
            output::note(format_args!("{}: there are no runs in the list", source()));
        }
        let before = self.runs.len();
        for document in documents {
            match document {
                Ok(run) => self.runs.push(run),
                Err(error) => {
                    self.unread.push(Unread { source: source(), error: error.report() });
                }
            }
        }
        tracing::debug!(source = source(), runs = self.runs.len() - before, "read");
    }

    fn finish(self) -> anyhow::Result<Input> {
        if self.any {
            return Ok(Input { runs: Run::adopt_all(self.runs), unread: self.unread });
        }
        let all: Vec<String> = self.unread.iter().map(|one| format!("reading {one}")).collect();
        bail!(all.join("\n"))
    }
}

/// Whether there is nothing but white space, comments and marks of YAML documents.
fn is_blank(bytes: &[u8]) -> bool {
    bytes.split(|byte| *byte == b'\n').all(|line| {
        let line = line.trim_ascii();
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        let line = line.strip_prefix(b"---").unwrap_or(line).trim_ascii_start();
        line.is_empty() || line.starts_with(b"#") || line.starts_with(b"%") || line == b"..."
    })
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
