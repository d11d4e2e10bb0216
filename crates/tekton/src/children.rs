//! A PipelineRun and the TaskRuns that it started.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use chains_core::{Result, RunKind, RunRef};

use crate::json::Json;
use crate::quote::Name;
use crate::run::Run;
use crate::types::{ChildReference, PipelineTask};

const PIPELINE_TASK_LABEL: &str = "tekton.dev/pipelineTask";
const PIPELINE_RUN_LABEL: &str = "tekton.dev/pipelineRun";

/// The TaskRuns of a PipelineRun that are at hand, with the task of the pipeline that each ran.
#[derive(Debug, Clone, Default)]
pub(crate) struct Children(Vec<Child>);

#[derive(Debug, Clone)]
struct Child {
    task: String,
    run: Run,
}

impl Children {
    /// Children that were written into the status of their PipelineRun.
    pub(crate) fn embedded(parent: &RunRef, statuses: Vec<(String, Json)>) -> Result<Self> {
        let child = |(name, status): (String, Json)| {
            let run = Run::from_status(parent, &name, status)
                .map_err(|e| e.context(format!("{parent}: status.taskRuns.{}", Name(&name))))?;
            Ok(Child { task: String::new(), run })
        };
        statuses.into_iter().map(child).collect::<Result<_>>().map(Self)
    }
}

/// The PipelineRun that a TaskRun belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner<'a> {
    /// Its name, in the namespace of the TaskRun.
    pub name: &'a str,
    /// Its UID, where an owner reference tells it.
    pub uid: Option<&'a str>,
}

/// A child of a PipelineRun that cannot be looked into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingChild {
    /// The kind that the PipelineRun names.
    pub kind: String,
    /// The name that the PipelineRun names.
    pub name: String,
    /// The task of the pipeline that it runs.
    pub pipeline_task: String,
    /// Why nothing is known about it.
    pub why: Missing,
}

/// Why a child of a PipelineRun cannot be looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Missing {
    /// A run of a custom controller, which says nothing about what it used and made.
    Custom,
    /// A PipelineRun inside a PipelineRun: it is signed on its own.
    Pipeline,
    /// A TaskRun that is not there.
    Absent,
    /// A TaskRun that is not over yet.
    Unfinished,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Custom => "is run by a custom controller and cannot be looked into",
            Self::Pipeline => "is a PipelineRun, which is signed on its own",
            Self::Absent => "is not there",
            Self::Unfinished => "is not over yet",
        })
    }
}

impl fmt::Display for MissingChild {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", Name(&self.kind), Name(&self.name), self.why)
    }
}

impl Run {
    /// Gives a PipelineRun those of the TaskRuns that it [owns](Run::owns); the others are left out.
    ///
    /// Their order does not matter. Of several with one name, one whose owner reference names this PipelineRun
    /// counts, else the first; and a TaskRun that is given counts before the same one in the PipelineRun's own
    /// status. A TaskRun has no children: it stays as it is.
    #[must_use]
    pub fn with_children(self, task_runs: impl IntoIterator<Item = Self>) -> Self {
        let mut index = TaskRuns::default();
        for run in task_runs {
            index.add(&run);
        }
        self.adopt(&index)
    }

    /// Gives each PipelineRun its TaskRuns, as [`Run::with_children`] does, from among the runs themselves. All
    /// runs stay, in their order.
    #[must_use]
    pub fn adopt_all(runs: Vec<Self>) -> Vec<Self> {
        let mut index = TaskRuns::default();
        for run in &runs {
            index.add(run);
        }
        runs.into_iter().map(|run| run.adopt(&index)).collect()
    }

    fn adopt(mut self, task_runs: &TaskRuns) -> Self {
        if self.kind() != RunKind::PipelineRun {
            return self;
        }
        let mut seen = HashSet::new();
        let names = self.child_task_runs().filter(|name| seen.insert(*name));
        let found = names.filter_map(|name| task_runs.find(self.reference(), name)).cloned();
        let mut children: Vec<Child> =
            found.map(|run| Child { task: String::new(), run }).collect();
        let given: HashSet<Arc<str>> =
            children.iter().map(|child| Arc::clone(&child.run.reference().name)).collect();
        let embedded = std::mem::take(&mut self.children.0).into_iter();
        children.extend(embedded.filter(|child| !given.contains(&child.run.reference().name)));
        self.children = Children(children);
        self.arrange_children();
        self
    }

    /// Puts the children into the order in which they were started and finds the task of each.
    pub(crate) fn arrange_children(&mut self) {
        if self.children.0.is_empty() {
            return;
        }
        let mut children = std::mem::take(&mut self.children.0);
        let mut references: HashMap<&str, (usize, &str)> = HashMap::new();
        for (index, child) in self.child_references().enumerate() {
            references.entry(child.name).or_insert((index, child.pipeline_task));
        }
        for child in &mut children {
            let label = child.run.labels().get(PIPELINE_TASK_LABEL).as_text();
            let listed = || references.get(&*child.run.reference().name).map(|(_, task)| *task);
            child.task = label.or_else(listed).unwrap_or_default().to_owned();
        }
        children.sort_by_cached_key(|child| {
            let name = child.run.reference().name.clone();
            let index = references.get(&*name).map_or(usize::MAX, |(index, _)| *index);
            (index, name)
        });
        drop(references);
        self.children = Children(children);
    }

    /// `status.childReferences` of a PipelineRun: the runs that it started, in that order.
    pub fn child_references(&self) -> impl ExactSizeIterator<Item = ChildReference<'_>> {
        self.status().get("childReferences").list().iter().map(ChildReference::of)
    }

    /// The names of the TaskRuns among the child references.
    fn child_task_runs(&self) -> impl Iterator<Item = &str> {
        let is_task_run = |child: &ChildReference<'_>| matches!(child.kind, "TaskRun" | "");
        self.child_references().filter(is_task_run).map(|child| child.name)
    }

    /// The TaskRuns that a PipelineRun was [given](Run::with_children), in the order in which they were started.
    pub fn children(&self) -> impl ExactSizeIterator<Item = &Self> {
        self.children.0.iter().map(|child| &child.run)
    }

    /// The children that ran a task of the pipeline: one, or several where the task has a matrix or was retried.
    pub fn children_of<'a>(&'a self, task: PipelineTask<'a>) -> impl Iterator<Item = &'a Self> {
        let name = task.name();
        self.children.0.iter().filter(move |child| child.task == name).map(|child| &child.run)
    }

    /// The children that ran to their end, in the order of the pipeline's tasks.
    pub fn executed_tasks(&self) -> impl Iterator<Item = &Self> {
        let tasks = self.pipeline_spec().into_iter().flat_map(|pipeline| pipeline.tasks());
        tasks.flat_map(|(task, _)| self.children_of(task)).filter(|run| run.was_executed())
    }

    /// Whether the run has a completion time: a task that was skipped has none.
    #[must_use]
    pub fn was_executed(&self) -> bool {
        !self.status().get("completionTime").is_null()
    }

    /// The children of a PipelineRun that cannot be looked into, and why. What is known of the others is signed.
    #[must_use]
    pub fn missing_children(&self) -> Vec<MissingChild> {
        let at_hand: HashMap<&str, &Self> =
            self.children().map(|run| (&*run.reference().name, run)).collect();
        let missing = |child: ChildReference<'_>| {
            let why = match child.kind {
                "PipelineRun" => Missing::Pipeline,
                "TaskRun" | "" => match at_hand.get(child.name) {
                    Some(run) if run.is_complete() => return None,
                    Some(_) => Missing::Unfinished,
                    None => Missing::Absent,
                },
                _ => Missing::Custom,
            };
            Some(MissingChild {
                kind: child.kind.to_owned(),
                name: child.name.to_owned(),
                pipeline_task: child.pipeline_task.to_owned(),
                why,
            })
        };
        self.child_references().filter_map(missing).collect()
    }

    /// The PipelineRun that this run says it belongs to, by its owner references, else by its labels.
    ///
    /// Whoever creates a run chooses these: nothing is to be trusted for their sake. [`Run::owns`] asks the
    /// PipelineRun.
    #[must_use]
    pub fn owner(&self) -> Option<Owner<'_>> {
        if let Some(owner) = self.pipeline_owners().next() {
            return Some(Owner { name: owner.get("name").text(), uid: owner.get("uid").as_text() });
        }
        let name = self.labels().get(PIPELINE_RUN_LABEL).as_text()?;
        Some(Owner { name, uid: None })
    }

    fn pipeline_owners(&self) -> impl Iterator<Item = &Json> {
        let owners = self.document().at(&["metadata", "ownerReferences"]).list();
        owners.iter().filter(|owner| owner.get("kind").text() == "PipelineRun")
    }

    /// The UIDs of the PipelineRuns that the run names as its owners.
    fn owner_uids(&self) -> impl Iterator<Item = &str> {
        self.pipeline_owners().map(|owner| owner.get("uid").text()).filter(|uid| !uid.is_empty())
    }

    /// Whether a TaskRun belongs to this PipelineRun: it is in the same namespace, this one's status lists it
    /// among its child references, and it does not say that it belongs to another PipelineRun.
    ///
    /// What the TaskRun itself says never makes it a child, only the status does, which Tekton's controller alone
    /// writes: else whoever may create a TaskRun could put what it made into the provenance of another's pipeline.
    /// A status of `v1beta1` that holds its TaskRuns lists them too.
    #[must_use]
    pub fn owns(&self, task_run: &Self) -> bool {
        let (own, other) = (self.reference(), task_run.reference());
        let mut owners = task_run.owner_uids().peekable();
        own.kind == RunKind::PipelineRun
            && other.kind == RunKind::TaskRun
            && own.namespace == other.namespace
            && self.child_task_runs().any(|name| name == &*other.name)
            // A name may be used again; a UID is not.
            && (owners.peek().is_none() || owners.any(|uid| uid == &*own.uid))
    }
}

/// TaskRuns by namespace, name and owner, so that each PipelineRun finds its own without a look at all others.
#[derive(Default)]
struct TaskRuns(HashMap<TaskRunKey, Run>);

/// Namespace, name, and the UID of a PipelineRun that the TaskRun names as its owner, if it names one.
type TaskRunKey = (Arc<str>, Arc<str>, Option<Arc<str>>);

impl TaskRuns {
    /// Of two with one key the first stays.
    fn add(&mut self, run: &Run) {
        if run.kind() != RunKind::TaskRun {
            return;
        }
        let mut put = |uid: Option<Arc<str>>| {
            let (namespace, name) = (&run.reference().namespace, &run.reference().name);
            let key = (Arc::clone(namespace), Arc::clone(name), uid);
            self.0.entry(key).or_insert_with(|| run.clone());
        };
        let mut uids = run.owner_uids().peekable();
        if uids.peek().is_none() {
            put(None);
        }
        uids.for_each(|uid| put(Some(uid.into())));
    }

    fn find(&self, parent: &RunRef, name: &str) -> Option<&Run> {
        let namespace = Arc::clone(&parent.namespace);
        let mut key = (namespace, Arc::from(name), Some(Arc::clone(&parent.uid)));
        self.0.get(&key).or_else(|| {
            key.2 = None;
            self.0.get(&key)
        })
    }
}
