//! Which run is spoken of.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::RecordKey;

/// The two kinds of run that Chains signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RunKind {
    /// A `TaskRun`: one pod.
    TaskRun,
    /// A `PipelineRun`: a graph of runs.
    PipelineRun,
}

impl RunKind {
    /// The Kubernetes kind, as in `kind: TaskRun`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TaskRun => "TaskRun",
            Self::PipelineRun => "PipelineRun",
        }
    }

    /// The kind in lower case, as record keys and metrics have it.
    #[must_use]
    pub const fn as_lower(self) -> &'static str {
        match self {
            Self::TaskRun => "taskrun",
            Self::PipelineRun => "pipelinerun",
        }
    }
}

impl fmt::Display for RunKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A run's identity and the little of it that backends need; cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRef {
    /// TaskRun or PipelineRun.
    pub kind: RunKind,
    /// Namespace; empty where a file did not say.
    pub namespace: Arc<str>,
    /// Name within the namespace.
    pub name: Arc<str>,
    /// The UID that the API server gave it.
    pub uid: Arc<str>,
    /// The ServiceAccount that the run's pods use: whose registry credentials apply.
    pub service_account: Option<Arc<str>>,
    /// The annotations that the run had when it was read.
    pub annotations: Arc<BTreeMap<String, String>>,
}

impl RunRef {
    /// Keys of the run's own record: `taskrun-<uid>` and `tekton.dev-v1-TaskRun-<uid>`.
    #[must_use]
    pub fn record_key(&self) -> RecordKey {
        RecordKey {
            short: format!("{}-{}", self.kind.as_lower(), self.uid),
            full: format!("tekton.dev-v1-{}-{}", self.kind, self.uid),
        }
    }
}

impl fmt::Display for RunRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, namespace, name, .. } = self;
        if namespace.is_empty() {
            write!(f, "{kind} {name}")
        } else {
            write!(f, "{kind} {namespace}/{name}")
        }
    }
}
