//! Views of the parts of a run, by their names in `tekton.dev/v1`.
//!
//! A view borrows from the run's document and costs nothing to make. What a run does not say is empty: an empty
//! string, no items, `None`.

use crate::json::{Json, Map};

/// A param, the default of a param, or a result: a name and its value.
#[derive(Debug, Clone, Copy)]
pub struct Named<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its value: a string, an array of strings, an object of strings; null where it has none.
    pub value: &'a Json,
}

impl<'a> Named<'a> {
    /// The value if it is a string, else the empty string.
    #[must_use]
    pub fn text(self) -> &'a str {
        self.value.text()
    }
}

/// Params or results, in the order of the document.
#[derive(Debug, Clone, Copy, Default)]
pub struct NamedList<'a> {
    items: &'a [Json],
    /// The key of the value: `default` for the params of a task or pipeline.
    key: &'static str,
}

impl<'a> NamedList<'a> {
    pub(crate) fn values(list: &'a Json) -> Self {
        Self { items: list.list(), key: "value" }
    }

    pub(crate) fn defaults(list: &'a Json) -> Self {
        Self { items: list.list(), key: "default" }
    }

    /// How many there are.
    #[must_use]
    pub const fn len(self) -> usize {
        self.items.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.items.is_empty()
    }
}

impl<'a> IntoIterator for NamedList<'a> {
    type Item = Named<'a>;
    type IntoIter = NamedIter<'a>;

    fn into_iter(self) -> NamedIter<'a> {
        NamedIter { items: self.items.iter(), key: self.key }
    }
}

/// Iterator over a [`NamedList`].
#[derive(Debug, Clone)]
pub struct NamedIter<'a> {
    items: std::slice::Iter<'a, Json>,
    key: &'static str,
}

impl<'a> Iterator for NamedIter<'a> {
    type Item = Named<'a>;

    fn next(&mut self) -> Option<Named<'a>> {
        let item = self.items.next()?;
        Some(Named { name: item.get("name").text(), value: item.get(self.key) })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.items.size_hint()
    }
}

/// Declares a view over an object of the document.
macro_rules! view {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name<'a>(pub(crate) &'a Json);

        impl<'a> $name<'a> {
            /// The object itself.
            #[must_use]
            pub const fn json(self) -> &'a Json {
                self.0
            }

            /// A view, unless there is nothing to look at.
            #[allow(dead_code, reason = "not every view is optional")]
            pub(crate) fn some(json: &'a Json) -> Option<Self> {
                (!json.is_null()).then_some(Self(json))
            }
        }
    };
}

view! {
    /// `provenance`: where a definition came from.
    Provenance
}

impl<'a> Provenance<'a> {
    /// `featureFlags`.
    #[must_use]
    pub fn feature_flags(self) -> Option<&'a Json> {
        Some(self.0.get("featureFlags")).filter(|flags| !flags.is_null())
    }

    /// `refSource`.
    #[must_use]
    pub fn ref_source(self) -> Option<RefSource<'a>> {
        RefSource::some(self.0.get("refSource"))
    }
}

view! {
    /// `provenance.refSource`: the remote place of a definition.
    RefSource
}

impl<'a> RefSource<'a> {
    /// `uri`.
    #[must_use]
    pub fn uri(self) -> &'a str {
        self.0.get("uri").text()
    }

    /// `digest`: hex by algorithm, in the order of the algorithms' names.
    pub fn digest(self) -> impl ExactSizeIterator<Item = (&'a str, &'a str)> {
        static EMPTY: Map = Map::new();
        let map = self.0.get("digest").as_map().unwrap_or(&EMPTY);
        map.iter().map(|(algorithm, hex)| (algorithm, hex.text()))
    }

    /// `entryPoint`.
    #[must_use]
    pub fn entry_point(self) -> &'a str {
        self.0.get("entryPoint").text()
    }
}

view! {
    /// A step of a task as it is specified.
    Step
}

impl<'a> Step<'a> {
    /// `name`.
    #[must_use]
    pub fn name(self) -> &'a str {
        self.0.get("name").text()
    }

    /// `command`.
    pub fn command(self) -> impl ExactSizeIterator<Item = &'a str> {
        self.0.get("command").list().iter().map(Json::text)
    }

    /// `args`, as it stands; null where there is none.
    #[must_use]
    pub fn args(self) -> &'a Json {
        self.0.get("args")
    }

    /// `script`.
    #[must_use]
    pub fn script(self) -> &'a str {
        self.0.get("script").text()
    }
}

view! {
    /// `status.taskSpec`: the task that ran.
    TaskSpec
}

impl<'a> TaskSpec<'a> {
    /// Defaults of the params that have one.
    pub fn param_defaults(self) -> impl Iterator<Item = Named<'a>> {
        defaults(self.0)
    }

    /// `steps`.
    pub fn steps(self) -> impl ExactSizeIterator<Item = Step<'a>> {
        self.0.get("steps").list().iter().map(Step)
    }
}

fn defaults(spec: &Json) -> impl Iterator<Item = Named<'_>> {
    NamedList::defaults(spec.get("params")).into_iter().filter(|param| !param.value.is_null())
}

view! {
    /// A step or a sidecar as it ran.
    ContainerState
}

impl<'a> ContainerState<'a> {
    /// `name`.
    #[must_use]
    pub fn name(self) -> &'a str {
        self.0.get("name").text()
    }

    /// `imageID`: what the kubelet says that it ran.
    #[must_use]
    pub fn image_id(self) -> &'a str {
        self.0.get("imageID").text()
    }

    /// `results` of the step.
    #[must_use]
    pub fn results(self) -> NamedList<'a> {
        NamedList::values(self.0.get("results"))
    }

    /// `provenance.refSource`, of a step that is a remote StepAction.
    #[must_use]
    pub fn ref_source(self) -> Option<RefSource<'a>> {
        Provenance(self.0.get("provenance")).ref_source()
    }
}

view! {
    /// `status.pipelineSpec`: the pipeline that ran.
    PipelineSpec
}

impl<'a> PipelineSpec<'a> {
    /// Defaults of the params that have one.
    pub fn param_defaults(self) -> impl Iterator<Item = Named<'a>> {
        defaults(self.0)
    }

    /// `tasks`, then `finally`; each with whether it is one of the latter.
    pub fn tasks(self) -> impl Iterator<Item = (PipelineTask<'a>, bool)> {
        let tasks = self.0.get("tasks").list().iter().map(|task| (PipelineTask(task), false));
        let finally = self.0.get("finally").list().iter().map(|task| (PipelineTask(task), true));
        tasks.chain(finally)
    }
}

view! {
    /// A task of a pipeline.
    PipelineTask
}

impl<'a> PipelineTask<'a> {
    /// `name`.
    #[must_use]
    pub fn name(self) -> &'a str {
        self.0.get("name").text()
    }

    /// `taskRef`.
    #[must_use]
    pub fn task_ref(self) -> Option<&'a Json> {
        Some(self.0.get("taskRef")).filter(|reference| !reference.is_null())
    }

    /// `runAfter`.
    pub fn run_after(self) -> impl ExactSizeIterator<Item = &'a str> {
        self.0.get("runAfter").list().iter().map(Json::text)
    }

    /// Every string of the task that may refer to another task's result, in the order in which Tekton looks at
    /// them: params, matrix, when expressions, and the steps and sidecars of a task that is written out.
    pub fn visit_expressions(self, visit: &mut dyn FnMut(&'a str)) {
        let matrix = self.0.get("matrix");
        let include = matrix.get("include").list().iter().map(|include| include.get("params"));
        for params in [self.0.get("params"), matrix.get("params")].into_iter().chain(include) {
            for param in NamedList::values(params) {
                each_text(param.value, visit);
            }
        }
        for when in self.0.get("when").list() {
            visit(when.get("input").text());
            visit(when.get("cel").text());
            each_text(when.get("values"), visit);
        }
        for key in ["steps", "sidecars"] {
            for container in self.0.at(&["taskSpec", key]).list() {
                visit_container(container, visit);
            }
        }
    }
}

fn visit_container<'a>(container: &'a Json, visit: &mut dyn FnMut(&'a str)) {
    for key in ["name", "image", "imagePullPolicy", "script", "workingDir"] {
        visit(container.get(key).text());
    }
    each_text(container.get("command"), visit);
    each_text(container.get("args"), visit);
    for variable in container.get("env").list() {
        visit(variable.get("value").text());
        for source in ["secretKeyRef", "configMapKeyRef"] {
            let source = variable.at(&["valueFrom", source]);
            visit(source.get("key").text());
            visit(source.get("name").text());
        }
    }
}

fn each_text<'a>(value: &'a Json, visit: &mut dyn FnMut(&'a str)) {
    match value {
        Json::Text(text) => visit(text),
        Json::List(items) => items.iter().for_each(|item| visit(item.text())),
        Json::Map(map) => map.iter().for_each(|(_, item)| visit(item.text())),
        _ => {}
    }
}

/// An entry of `status.childReferences`: a run that a PipelineRun started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChildReference<'a> {
    /// `TaskRun`, `CustomRun`, `Run` or `PipelineRun`.
    pub kind: &'a str,
    /// Its name, in the namespace of the PipelineRun.
    pub name: &'a str,
    /// The task of the pipeline that it runs.
    pub pipeline_task: &'a str,
}

impl<'a> ChildReference<'a> {
    pub(crate) fn of(json: &'a Json) -> Self {
        Self {
            kind: json.get("kind").text(),
            name: json.get("name").text(),
            pipeline_task: json.get("pipelineTaskName").text(),
        }
    }
}
