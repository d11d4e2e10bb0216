//! Tekton's types as tables: which fields of a `tekton.dev/v1` run are looked at, what they must be, and which
//! of them Tekton always writes.
//!
//! [`settle`] walks a document along its table once, when it is read. It refuses what the API server could never
//! have returned and says where that stands; after it, the [views](crate::types) need no error handling. And it
//! gives the document the shape that Tekton itself gives it, so that a run from a file and the same run from the
//! API server make the same payload. Fields that are not in a table are left as they are.

use jiff::Timestamp;

use crate::json::{Json, Map};
use crate::quote::{Name, Quoted};
use Shape::{Any, Object, Objects, Text, TextList, Texts, Time, Value};

/// What a value must be.
pub(crate) enum Shape {
    /// Anything.
    Any,
    /// A string.
    Text,
    /// A point in time ([RFC 3339](https://www.rfc-editor.org/rfc/rfc3339)).
    Time,
    /// A param's or result's value: a string, an array of strings or an object of strings; Tekton reads anything
    /// else as the string that it is in JSON.
    Value,
    /// An object of strings.
    Texts,
    /// An array of strings.
    TextList,
    /// An object with these fields, and others.
    Object(Fields),
    /// An array of objects with these fields, and others.
    Objects(Fields),
}

/// The tables that an object's fields are in.
pub(crate) type Fields = &'static [&'static [Field]];

/// A field of an object.
pub(crate) struct Field {
    name: &'static str,
    shape: Shape,
    /// What Tekton writes where the field has no value; `None` where it then leaves the field out.
    zero: Option<Zero>,
}

#[derive(Clone, Copy)]
enum Zero {
    Null,
    EmptyText,
    EmptyObject,
}

/// Why a document was refused.
#[derive(Debug)]
pub(crate) struct Fault {
    /// Names and indices from the fault outwards.
    path: Vec<Step>,
    why: String,
}

#[derive(Debug)]
enum Step {
    Field(String),
    Item(usize),
}

impl Fault {
    fn new(why: String) -> Self {
        Self { path: Vec::new(), why }
    }

    fn inside(mut self, step: Step) -> Self {
        self.path.push(step);
        self
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (depth, step) in self.path.iter().rev().enumerate() {
            match step {
                Step::Field(name) if depth == 0 => write!(f, "{}", Name(name))?,
                Step::Field(name) => write!(f, ".{}", Name(name))?,
                Step::Item(index) => write!(f, "[{index}]")?,
            }
        }
        write!(f, ": {}", self.why)
    }
}

const fn field(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, zero: None }
}

const fn always(name: &'static str, shape: Shape, zero: Zero) -> Field {
    Field { name, shape, zero: Some(zero) }
}

static PARAM: [Field; 2] = [field("name", Text), field("value", Value)];

static PARAM_SPEC: [Field; 2] = [field("default", Value), field("name", Text)];

static REF: [Field; 4] = [
    field("kind", Text),
    field("name", Text),
    field("params", Objects(&[&PARAM])),
    field("resolver", Text),
];

static REF_SOURCE: [Field; 3] =
    [field("digest", Texts), field("entryPoint", Text), field("uri", Text)];

static PROVENANCE: [Field; 2] =
    [field("featureFlags", Object(&[])), field("refSource", Object(&[&REF_SOURCE]))];

/// A step or a sidecar as it is specified.
static CONTAINER: [Field; 6] = [
    field("args", TextList),
    field("command", TextList),
    always("computeResources", Any, Zero::EmptyObject),
    always("name", Text, Zero::EmptyText),
    field("params", Objects(&[&PARAM])),
    field("script", Text),
];

static STEP_TEMPLATE: [Field; 1] = [always("computeResources", Any, Zero::EmptyObject)];

static TASK_SPEC: [Field; 4] = [
    field("params", Objects(&[&PARAM_SPEC])),
    field("sidecars", Objects(&[&CONTAINER])),
    field("stepTemplate", Object(&[&STEP_TEMPLATE])),
    field("steps", Objects(&[&CONTAINER])),
];

static WHEN: [Field; 3] = [field("cel", Text), field("input", Text), field("values", TextList)];

static MATRIX_INCLUDE: [Field; 1] = [field("params", Objects(&[&PARAM]))];

static MATRIX: [Field; 2] =
    [field("include", Objects(&[&MATRIX_INCLUDE])), field("params", Objects(&[&PARAM]))];

/// What a task that is written out inside a pipeline has besides its [`TASK_SPEC`].
static EMBEDDED: [Field; 2] =
    [always("metadata", Any, Zero::EmptyObject), always("spec", Any, Zero::Null)];

static PIPELINE_TASK: [Field; 7] = [
    field("matrix", Object(&[&MATRIX])),
    field("name", Text),
    field("params", Objects(&[&PARAM])),
    field("runAfter", TextList),
    field("taskRef", Object(&[&REF])),
    field("taskSpec", Object(&[&TASK_SPEC, &EMBEDDED])),
    field("when", Objects(&[&WHEN])),
];

static PIPELINE_RESULT: [Field; 2] =
    [always("description", Text, Zero::EmptyText), field("value", Value)];

static PIPELINE_SPEC: [Field; 4] = [
    field("finally", Objects(&[&PIPELINE_TASK])),
    field("params", Objects(&[&PARAM_SPEC])),
    field("results", Objects(&[&PIPELINE_RESULT])),
    field("tasks", Objects(&[&PIPELINE_TASK])),
];

static RESULT: [Field; 2] = [field("name", Text), field("value", Value)];

static CONDITION: [Field; 5] = [
    always("lastTransitionTime", Any, Zero::Null),
    field("message", Text),
    field("reason", Text),
    field("status", Text),
    field("type", Text),
];

/// A step or a sidecar as it ran.
static CONTAINER_STATE: [Field; 4] = [
    field("imageID", Text),
    field("name", Text),
    field("provenance", Object(&[&PROVENANCE])),
    field("results", Objects(&[&RESULT])),
];

/// What the two kinds of run have in common in their status.
static STATUS: [Field; 5] = [
    field("completionTime", Time),
    field("conditions", Objects(&[&CONDITION])),
    field("provenance", Object(&[&PROVENANCE])),
    field("results", Objects(&[&RESULT])),
    field("startTime", Time),
];

static TASK_RUN_STATUS: [Field; 4] = [
    always("podName", Text, Zero::EmptyText),
    field("sidecars", Objects(&[&CONTAINER_STATE])),
    field("steps", Objects(&[&CONTAINER_STATE])),
    field("taskSpec", Object(&[&TASK_SPEC])),
];

static CHILD_REFERENCE: [Field; 4] = [
    field("apiVersion", Text),
    field("kind", Text),
    field("name", Text),
    field("pipelineTaskName", Text),
];

static PIPELINE_RUN_STATUS: [Field; 2] = [
    field("childReferences", Objects(&[&CHILD_REFERENCE])),
    field("pipelineSpec", Object(&[&PIPELINE_SPEC])),
];

static OWNER: [Field; 3] = [field("kind", Text), field("name", Text), field("uid", Text)];

static METADATA: [Field; 6] = [
    field("annotations", Texts),
    field("labels", Texts),
    field("name", Text),
    field("namespace", Text),
    field("ownerReferences", Objects(&[&OWNER])),
    field("uid", Text),
];

static TASK_RUN_SPEC: [Field; 5] = [
    field("managedBy", Text),
    field("params", Objects(&[&PARAM])),
    always("serviceAccountName", Text, Zero::EmptyText),
    field("taskRef", Object(&[&REF])),
    field("taskSpec", Object(&[&TASK_SPEC])),
];

static TASK_RUN_TEMPLATE: [Field; 1] = [field("serviceAccountName", Text)];

static PIPELINE_RUN_SPEC: [Field; 5] = [
    field("managedBy", Text),
    field("params", Objects(&[&PARAM])),
    field("pipelineRef", Object(&[&REF])),
    field("pipelineSpec", Object(&[&PIPELINE_SPEC])),
    always("taskRunTemplate", Object(&[&TASK_RUN_TEMPLATE]), Zero::EmptyObject),
];

static TASK_RUN_FIELDS: [Field; 3] = [
    field("metadata", Object(&[&METADATA])),
    always("spec", Object(&[&TASK_RUN_SPEC]), Zero::EmptyObject),
    field("status", Object(&[&STATUS, &TASK_RUN_STATUS])),
];

static PIPELINE_RUN_FIELDS: [Field; 3] = [
    field("metadata", Object(&[&METADATA])),
    always("spec", Object(&[&PIPELINE_RUN_SPEC]), Zero::EmptyObject),
    field("status", Object(&[&STATUS, &PIPELINE_RUN_STATUS])),
];

/// A TaskRun.
pub(crate) const TASK_RUN: Fields = &[&TASK_RUN_FIELDS];

/// A PipelineRun.
pub(crate) const PIPELINE_RUN: Fields = &[&PIPELINE_RUN_FIELDS];

/// Checks an object against its tables and gives it the shape that Tekton gives it.
pub(crate) fn settle(map: &mut Map, tables: Fields) -> Result<(), Fault> {
    for field in tables.iter().copied().flatten() {
        match map.get_mut(field.name) {
            Some(value) if !value.is_null() => {
                settle_value(value, &field.shape)
                    .map_err(|fault| fault.inside(Step::Field(field.name.to_owned())))?;
            }
            _ => settle_absent(map, field)?,
        }
    }
    Ok(())
}

/// To Tekton `null` is the same as a field that is not there.
fn settle_absent(map: &mut Map, field: &'static Field) -> Result<(), Fault> {
    match (field.zero, &field.shape) {
        // A value that is null is one: the empty string.
        (None, Value) if field.name == "value" && map.get(field.name).is_some() => {
            map.insert(field.name, Json::from(""));
        }
        (None, _) => drop(map.remove(field.name)),
        (Some(Zero::Null), _) => map.insert(field.name, Json::Null),
        (Some(Zero::EmptyText), _) => map.insert(field.name, Json::from("")),
        (Some(Zero::EmptyObject), shape) => {
            let mut empty = Json::Map(Map::default());
            settle_value(&mut empty, shape)?;
            map.insert(field.name, empty);
        }
    }
    Ok(())
}

fn settle_value(value: &mut Json, shape: &'static Shape) -> Result<(), Fault> {
    match (shape, value) {
        (Any, _) | (Text, Json::Text(_)) => Ok(()),
        (Time, Json::Text(text)) => check_time(text),
        (Value, value) => {
            settle_param_value(value);
            Ok(())
        }
        (Object(tables), Json::Map(map)) => settle(map, tables),
        (Objects(tables), Json::List(items)) => each(items, |item| settle_item(item, tables)),
        (TextList, Json::List(items)) => each(items, settle_text),
        (Texts, Json::Map(map)) => {
            for (key, value) in map.values_mut() {
                settle_text(value).map_err(|fault| fault.inside(Step::Field(key.to_owned())))?;
            }
            Ok(())
        }
        (shape, value) => {
            Err(Fault::new(format!("expected {}, found {}", shape.wanted(), value.kind())))
        }
    }
}

fn each(
    items: &mut [Json],
    mut settle: impl FnMut(&mut Json) -> Result<(), Fault>,
) -> Result<(), Fault> {
    for (index, item) in items.iter_mut().enumerate() {
        settle(item).map_err(|fault| fault.inside(Step::Item(index)))?;
    }
    Ok(())
}

fn settle_item(item: &mut Json, tables: Fields) -> Result<(), Fault> {
    if item.is_null() {
        *item = Json::Map(Map::default());
    }
    match item {
        Json::Map(map) => settle(map, tables),
        other => Err(Fault::new(format!("expected an object, found {}", other.kind()))),
    }
}

fn settle_text(value: &mut Json) -> Result<(), Fault> {
    match value {
        Json::Text(_) => Ok(()),
        Json::Null => {
            *value = Json::from("");
            Ok(())
        }
        other => Err(Fault::new(format!("expected a string, found {}", other.kind()))),
    }
}

fn check_time(text: &str) -> Result<(), Fault> {
    text.parse::<Timestamp>().map(drop).map_err(|e| {
        // The parser's message repeats the text.
        let why = crate::quote::message(&e.to_string());
        Fault::new(format!("{} is not a time as in RFC 3339: {why}", Quoted(text)))
    })
}

/// Strings stay, and so do arrays and objects of nothing but strings (null counts as an empty one).
fn settle_param_value(value: &mut Json) {
    let texts_only = match value {
        Json::Text(_) => return,
        Json::Null => {
            *value = Json::from("");
            return;
        }
        Json::List(items) => items.iter().all(is_text_or_null),
        Json::Map(map) => map.iter().all(|(_, item)| is_text_or_null(item)),
        Json::Bool(_) | Json::Integer(_) | Json::Unsigned(_) | Json::Float(_) => false,
    };
    if !texts_only {
        *value = Json::Text(value.to_compact());
        return;
    }
    let empty_text = |item: &mut Json| {
        if item.is_null() {
            *item = Json::from("");
        }
    };
    match value {
        Json::List(items) => items.iter_mut().for_each(empty_text),
        Json::Map(map) => map.values_mut().for_each(|(_, item)| empty_text(item)),
        _ => {}
    }
}

const fn is_text_or_null(value: &Json) -> bool {
    matches!(value, Json::Text(_) | Json::Null)
}

impl Shape {
    const fn wanted(&self) -> &'static str {
        match self {
            Self::Any | Self::Value => "a value",
            Self::Text => "a string",
            Self::Time => "a time as a string",
            Self::Texts => "an object of strings",
            Self::TextList => "an array of strings",
            Self::Object(_) => "an object",
            Self::Objects(_) => "an array of objects",
        }
    }
}
