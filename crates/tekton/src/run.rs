//! A TaskRun or PipelineRun, read and checked.

use std::fmt;
use std::sync::Arc;

use chains_core::{Error, ErrorKind, ImageDigest, Result, RunKind, RunRef, Target};
use jiff::Timestamp;
use serde::de::{Deserialize, Deserializer, Error as _};

use crate::children::Children;
use crate::json::{Json, Map};
use crate::quote::{Name, Quoted};
use crate::types::{ContainerState, NamedList, PipelineSpec, Provenance, TaskSpec};
use crate::{convert, hints, schema};

const GROUP: &str = "tekton.dev";

/// A TaskRun or a PipelineRun, finished or not, in the shape of `tekton.dev/v1`.
///
/// Cheap to clone: clones share the document.
///
/// ```
/// let run = chains_tekton::Run::from_json(br#"{
///     "apiVersion": "tekton.dev/v1", "kind": "TaskRun",
///     "metadata": {"name": "build", "namespace": "ci", "uid": "7f7e"},
///     "status": {"conditions": [{"type": "Succeeded", "status": "True"}]}
/// }"#)?;
/// assert!(run.is_complete());
/// assert_eq!(run.reference().to_string(), "TaskRun ci/build");
/// # Ok::<(), chains_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Run {
    reference: RunRef,
    document: Arc<Json>,
    pub(crate) children: Children,
}

impl Run {
    /// Reads a run from JSON.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] where it is not JSON or a field is not what Tekton's types say, naming the
    /// field; [`ErrorKind::Unsupported`] where it is another kind of object or an unknown version.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        let document = serde_json::from_slice(json).map_err(|e| {
            Error::new(ErrorKind::InvalidInput, "reading a run as JSON").with_source(e)
        })?;
        Self::from_document(document)
    }

    /// Takes a document that was read already.
    ///
    /// # Errors
    /// As [`Run::from_json`].
    pub fn from_document(document: Json) -> Result<Self> {
        let Json::Map(mut document) = document else {
            return Err(invalid(format!("a run is a JSON object, not {}", document.kind())));
        };
        let (kind, old) = kind_and_version(&document)?;
        let mut embedded = Vec::new();
        match (kind, old) {
            (RunKind::TaskRun, true) => convert::task_run(&mut document),
            (RunKind::PipelineRun, true) => embedded = convert::pipeline_run(&mut document),
            (_, false) => {}
        }
        settle(&mut document, kind)?;
        let reference = reference_of(&document, kind)?;
        let children = Children::embedded(&reference, embedded)?;
        let mut run = Self { reference, document: Arc::new(Json::Map(document)), children };
        run.arrange_children();
        Ok(run)
    }

    /// A TaskRun of which only the status is known: one that was written into its PipelineRun.
    pub(crate) fn from_status(parent: &RunRef, name: &str, status: Json) -> Result<Self> {
        let metadata = [("name", Json::from(name)), ("namespace", Json::from(&*parent.namespace))];
        let mut document: Map = [
            ("apiVersion", Json::from("tekton.dev/v1")),
            ("kind", Json::from("TaskRun")),
            ("metadata", Json::Map(metadata.into_iter().collect())),
            ("status", status),
        ]
        .into_iter()
        .collect();
        settle(&mut document, RunKind::TaskRun)?;
        let reference = RunRef {
            kind: RunKind::TaskRun,
            name: name.into(),
            uid: "".into(),
            annotations: Arc::default(),
            ..parent.clone()
        };
        let document = Arc::new(Json::Map(document));
        Ok(Self { reference, document, children: Children::default() })
    }

    /// Which run it is.
    #[must_use]
    pub const fn reference(&self) -> &RunRef {
        &self.reference
    }

    /// TaskRun or PipelineRun.
    #[must_use]
    pub const fn kind(&self) -> RunKind {
        self.reference.kind
    }

    /// The whole run as it was read, in the shape of `tekton.dev/v1`.
    #[must_use]
    pub fn document(&self) -> &Json {
        &self.document
    }

    /// `spec`.
    #[must_use]
    pub fn spec(&self) -> &Json {
        self.document.get("spec")
    }

    /// `status`; null where the run has none.
    #[must_use]
    pub fn status(&self) -> &Json {
        self.document.get("status")
    }

    /// `metadata.labels`; null where there are none.
    #[must_use]
    pub fn labels(&self) -> &Json {
        self.document.at(&["metadata", "labels"])
    }

    /// `metadata.annotations`; null where there are none.
    #[must_use]
    pub fn annotations(&self) -> &Json {
        self.document.at(&["metadata", "annotations"])
    }

    /// Whether the run is over: its condition `Succeeded` is `True` or `False`.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.succeeded().is_some()
    }

    /// Whether the run succeeded; `None` while it is not over.
    #[must_use]
    pub fn succeeded(&self) -> Option<bool> {
        let conditions = self.status().get("conditions").list();
        let succeeded = conditions.iter().find(|c| c.get("type").text() == "Succeeded")?;
        match succeeded.get("status").text() {
            "True" => Some(true),
            "False" => Some(false),
            _ => None,
        }
    }

    /// The status of the first condition, `True`, `False` or `Unknown`.
    #[must_use]
    pub fn first_condition(&self) -> &str {
        self.status().get("conditions").list().first().map_or("", |c| c.get("status").text())
    }

    /// `status.startTime`.
    #[must_use]
    pub fn start_time(&self) -> Option<Timestamp> {
        self.status().get("startTime").text().parse().ok()
    }

    /// `status.completionTime`.
    #[must_use]
    pub fn completion_time(&self) -> Option<Timestamp> {
        self.status().get("completionTime").text().parse().ok()
    }

    /// `spec.managedBy`: the controller that looks after the run, where it is not Tekton's own.
    #[must_use]
    pub fn managed_by(&self) -> Option<&str> {
        self.spec().get("managedBy").as_text()
    }

    /// `spec.params`.
    #[must_use]
    pub fn params(&self) -> NamedList<'_> {
        NamedList::values(self.spec().get("params"))
    }

    /// `status.results`.
    #[must_use]
    pub fn results(&self) -> NamedList<'_> {
        NamedList::values(self.status().get("results"))
    }

    /// `status.provenance`.
    #[must_use]
    pub fn provenance(&self) -> Provenance<'_> {
        Provenance(self.status().get("provenance"))
    }

    /// Whether the definition of the run came from a remote place: `taskRef.resolver` or `pipelineRef.resolver`
    /// names one that is not the cluster itself.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        let reference = match self.kind() {
            RunKind::TaskRun => "taskRef",
            RunKind::PipelineRun => "pipelineRef",
        };
        !matches!(self.spec().at(&[reference, "resolver"]).text(), "" | "Cluster")
    }

    /// `status.steps` of a TaskRun.
    pub fn steps(&self) -> impl ExactSizeIterator<Item = ContainerState<'_>> {
        self.status().get("steps").list().iter().map(ContainerState)
    }

    /// `status.sidecars` of a TaskRun.
    pub fn sidecars(&self) -> impl ExactSizeIterator<Item = ContainerState<'_>> {
        self.status().get("sidecars").list().iter().map(ContainerState)
    }

    /// `status.taskSpec` of a TaskRun.
    #[must_use]
    pub fn task_spec(&self) -> Option<TaskSpec<'_>> {
        TaskSpec::some(self.status().get("taskSpec"))
    }

    /// `status.pipelineSpec` of a PipelineRun.
    #[must_use]
    pub fn pipeline_spec(&self) -> Option<PipelineSpec<'_>> {
        PipelineSpec::some(self.status().get("pipelineSpec"))
    }

    /// The images that the run's results name, each once, in the order of the hints: pairs of URL and digest,
    /// `IMAGES`, build artifacts.
    #[must_use]
    pub fn images(&self) -> Vec<ImageDigest> {
        hints::images(self.results())
    }

    /// What is to be signed: the run, then, of a TaskRun, its images; those of a PipelineRun's own results only
    /// where `pipeline_images` asks for them.
    #[must_use]
    pub fn targets(&self, pipeline_images: bool) -> Vec<Target> {
        let mut targets = vec![Target::Run];
        if self.kind() == RunKind::TaskRun || pipeline_images {
            targets.extend(self.images().into_iter().map(Target::Image));
        }
        targets
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run")
            .field("reference", &self.reference)
            .field("children", &self.children)
            .finish_non_exhaustive()
    }
}

impl<'de> Deserialize<'de> for Run {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let document = Json::deserialize(deserializer)?;
        Self::from_document(document).map_err(|e| D::Error::custom(e.report()))
    }
}

/// The kind, and whether the version is the old one.
fn kind_and_version(document: &Map) -> Result<(RunKind, bool)> {
    let text = |key: &str| match document.get(key) {
        Some(Json::Text(text)) if !text.is_empty() => Ok(text.as_str()),
        Some(Json::Text(_)) | None => Err(invalid(format!("the document has no {key}"))),
        Some(other) => Err(invalid(format!("{key}: expected a string, found {}", other.kind()))),
    };
    let (version, kind) = (text("apiVersion")?, text("kind")?);
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let kind = match kind {
        "TaskRun" if group == GROUP => RunKind::TaskRun,
        "PipelineRun" if group == GROUP => RunKind::PipelineRun,
        other => {
            let name = document.get("metadata").map_or("", |m| m.get("name").text());
            let group =
                if group.is_empty() { String::new() } else { format!(" of {}", Name(group)) };
            return Err(unsupported(format!(
                "{} {}{group} is neither a TaskRun nor a PipelineRun of {GROUP}",
                Name(other),
                Quoted(name)
            )));
        }
    };
    match version {
        "v1" => Ok((kind, false)),
        "v1beta1" => Ok((kind, true)),
        other => Err(unsupported(format!(
            "{kind} of {GROUP}/{}: known versions are v1, v1beta1",
            Name(other)
        ))),
    }
}

fn settle(document: &mut Map, kind: RunKind) -> Result<()> {
    let table = match kind {
        RunKind::TaskRun => schema::TASK_RUN,
        RunKind::PipelineRun => schema::PIPELINE_RUN,
    };
    schema::settle(document, table).map_err(|fault| {
        let name = document.get("metadata").map_or("", |m| m.get("name").text());
        invalid(format!("{kind} {}: {fault}", Quoted(name)))
    })
}

fn reference_of(document: &Map, kind: RunKind) -> Result<RunRef> {
    static NULL: Json = Json::Null;
    let metadata = document.get("metadata").unwrap_or(&NULL);
    let name = identifier(metadata, "name", kind)?;
    let uid = identifier(metadata, "uid", kind)?;
    let namespace = metadata.get("namespace").text();
    if !namespace.is_empty() {
        identifier(metadata, "namespace", kind)?;
    }
    let spec = document.get("spec").unwrap_or(&NULL);
    let service_account = match kind {
        RunKind::TaskRun => spec.get("serviceAccountName"),
        RunKind::PipelineRun => spec.at(&["taskRunTemplate", "serviceAccountName"]),
    };
    let annotations = metadata.get("annotations").as_map().map(|annotations| {
        annotations.iter().map(|(key, value)| (key.to_owned(), value.text().to_owned())).collect()
    });
    Ok(RunRef {
        kind,
        namespace: namespace.into(),
        name: name.into(),
        uid: uid.into(),
        service_account: Some(service_account.text())
            .filter(|name| !name.is_empty())
            .map(Into::into),
        annotations: Arc::new(annotations.unwrap_or_default()),
    })
}

/// A name that stores may use as a part of a key or path: the API server gives no others.
fn identifier<'a>(metadata: &'a Json, key: &str, kind: RunKind) -> Result<&'a str> {
    let text = metadata.get(key).text();
    if text.is_empty() {
        let hint = if key == "uid" { ": only a run that a cluster ran has one" } else { "" };
        return Err(invalid(format!("{kind} without metadata.{key}{hint}")));
    }
    let fits = text.len() <= 253
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'));
    if fits {
        Ok(text)
    } else {
        let text = Quoted(text);
        Err(invalid(format!("{kind}: metadata.{key} {text} is not a name that Kubernetes gives")))
    }
}

fn invalid(why: String) -> Error {
    Error::new(ErrorKind::InvalidInput, why)
}

fn unsupported(why: String) -> Error {
    Error::new(ErrorKind::Unsupported, why)
}
