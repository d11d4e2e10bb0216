//! `tekton.dev/v1beta1` made into `tekton.dev/v1`, as Tekton's own conversion webhook does it.
//!
//! A run is converted when it is read, so that nothing behind knows two versions, and the same run makes the same
//! payload whichever version it was read in. What v1 has no place for goes where the webhook puts it, into
//! annotations. Runs whose children are written into their own status (`embedded-status: full`, Tekton before
//! 0.45) get `childReferences`; the children themselves are handed back.

use crate::json::{Json, Map};

const RESOURCES: &str = "tekton.dev/v1beta1Resources";
const RESOURCES_RESULT: &str = "tekton.dev/v1beta1ResourcesResult";
const RESOURCES_STATUS: &str = "tekton.dev/v1beta1ResourcesStatus";
const CLOUD_EVENTS: &str = "tekton.dev/v1beta1CloudEvents";

/// Converts a TaskRun.
pub(crate) fn task_run(document: &mut Map) {
    let mut kept = Vec::new();
    if let Some(spec) = object(document, "spec") {
        keep(spec, "resources", RESOURCES, &mut kept);
        reference(spec, "taskRef", "Task");
        overrides(spec);
        if let Some(task) = object(spec, "taskSpec") {
            task_spec(task);
        }
    }
    if let Some(status) = object(document, "status") {
        keep(status, "cloudEvents", CLOUD_EVENTS, &mut kept);
        keep(status, "resourcesResult", RESOURCES_RESULT, &mut kept);
        if let Some(task) = object(status, "taskSpec") {
            keep(task, "resources", RESOURCES_STATUS, &mut kept);
        }
        task_run_status(status);
    }
    finish(document, kept);
}

/// Converts a PipelineRun, and takes out the TaskRuns that are written into its status: name and status of each.
pub(crate) fn pipeline_run(document: &mut Map) -> Vec<(String, Json)> {
    let mut kept = Vec::new();
    if let Some(spec) = object(document, "spec") {
        keep(spec, "resources", RESOURCES, &mut kept);
        pipeline_run_spec(spec);
    }
    let mut embedded = Vec::new();
    if let Some(status) = object(document, "status") {
        status.rename("pipelineResults", "results");
        if let Some(pipeline) = object(status, "pipelineSpec") {
            pipeline_spec(pipeline);
        }
        embedded = take_embedded(status);
    }
    finish(document, kept);
    embedded
}

fn finish(document: &mut Map, kept: Vec<(&'static str, String)>) {
    document.insert("apiVersion", Json::from("tekton.dev/v1"));
    if kept.is_empty() {
        return;
    }
    let Some(metadata) = object(document, "metadata") else {
        return;
    };
    if !matches!(metadata.get("annotations"), Some(Json::Map(_))) {
        metadata.insert("annotations", Json::Map(Map::default()));
    }
    if let Some(annotations) = object(metadata, "annotations") {
        for (key, value) in kept {
            annotations.insert(key, Json::Text(value));
        }
    }
}

fn object<'a>(map: &'a mut Map, key: &str) -> Option<&'a mut Map> {
    map.get_mut(key).and_then(Json::as_map_mut)
}

fn each(map: &mut Map, key: &str, mut convert: impl FnMut(&mut Map)) {
    if let Some(Json::List(items)) = map.get_mut(key) {
        items.iter_mut().filter_map(Json::as_map_mut).for_each(&mut convert);
    }
}

/// Moves a field that v1 does not have into an annotation.
fn keep(
    map: &mut Map,
    key: &str,
    annotation: &'static str,
    kept: &mut Vec<(&'static str, String)>,
) {
    if let Some(value) = map.remove(key).filter(|value| !value.is_null()) {
        kept.push((annotation, value.to_compact()));
    }
}

/// A reference into a Tekton bundle is one by the bundles resolver in v1.
fn reference(map: &mut Map, key: &str, kind: &str) {
    let Some(reference) = object(map, key) else {
        return;
    };
    let Some(bundle) = reference.remove("bundle") else {
        return;
    };
    if bundle.text().is_empty() {
        return;
    }
    let name = reference.remove("name").unwrap_or_default();
    let param = |name: &str, value: Json| {
        Json::Map([("name", Json::from(name)), ("value", value)].into_iter().collect())
    };
    let params = vec![
        param("bundle", bundle),
        param("name", Json::from(name.text())),
        param("kind", Json::from(kind)),
    ];
    reference.insert("resolver", Json::from("bundles"));
    reference.insert("params", Json::List(params));
}

fn overrides(spec: &mut Map) {
    for (from, to) in [("stepOverrides", "stepSpecs"), ("sidecarOverrides", "sidecarSpecs")] {
        spec.rename(from, to);
        each(spec, to, |item| item.rename("resources", "computeResources"));
    }
}

fn task_spec(task: &mut Map) {
    task.remove("resources");
    for key in ["steps", "sidecars"] {
        each(task, key, |container| container.rename("resources", "computeResources"));
    }
    if let Some(template) = object(task, "stepTemplate") {
        template.rename("resources", "computeResources");
    }
}

fn task_run_status(status: &mut Map) {
    status.rename("taskResults", "results");
    if let Some(task) = object(status, "taskSpec") {
        task_spec(task);
    }
    each(status, "steps", |step| {
        let reason = step.get("terminated").map(|state| state.get("reason").clone());
        if let (Some(reason @ Json::Text(_)), None) = (reason, step.get("terminationReason")) {
            step.insert("terminationReason", reason);
        }
    });
    each(status, "retriesStatus", task_run_status);
}

fn pipeline_run_spec(spec: &mut Map) {
    reference(spec, "pipelineRef", "Pipeline");
    if let Some(pipeline) = object(spec, "pipelineSpec") {
        pipeline_spec(pipeline);
    }
    if let Some(timeout) = spec.remove("timeout").filter(|timeout| !timeout.is_null()) {
        spec.insert("timeouts", Json::Map([("pipeline", timeout)].into_iter().collect()));
    }
    let mut template = Map::default();
    for key in ["serviceAccountName", "podTemplate"] {
        if let Some(value) = spec.remove(key).filter(|value| !value.is_null()) {
            template.insert(key, value);
        }
    }
    if spec.get("taskRunTemplate").is_none() {
        spec.insert("taskRunTemplate", Json::Map(template));
    }
    each(spec, "taskRunSpecs", |task| {
        task.rename("taskServiceAccountName", "serviceAccountName");
        task.rename("taskPodTemplate", "podTemplate");
        overrides(task);
    });
}

fn pipeline_spec(pipeline: &mut Map) {
    pipeline.remove("resources");
    for key in ["tasks", "finally"] {
        each(pipeline, key, |task| {
            task.remove("resources");
            reference(task, "taskRef", "Task");
            if let Some(spec) = object(task, "taskSpec") {
                task_spec(spec);
            }
        });
    }
}

/// Turns `taskRuns` and `runs` of a status, objects by name, into child references.
fn take_embedded(status: &mut Map) -> Vec<(String, Json)> {
    let mut references = Vec::new();
    let mut embedded = Vec::new();
    for (key, kind) in [("taskRuns", "TaskRun"), ("runs", "CustomRun")] {
        let Some(Json::Map(children)) = status.remove(key) else {
            continue;
        };
        for (name, child) in children.iter() {
            let task = child.get("pipelineTaskName").text();
            let start = child.at(&["status", "startTime"]).text().to_owned();
            references.push((start, child_reference(kind, name, task)));
            if let ("TaskRun", Json::Map(state)) = (kind, child.get("status")) {
                let mut state = state.clone();
                task_run_status(&mut state);
                embedded.push((name.to_owned(), Json::Map(state)));
            }
        }
    }
    let listed =
        matches!(status.get("childReferences"), Some(Json::List(items)) if !items.is_empty());
    if !listed && !references.is_empty() {
        // Child references are in the order in which the runs were started.
        references.sort_by(|(a, _), (b, _)| a.cmp(b));
        let references = references.into_iter().map(|(_, reference)| reference).collect();
        status.insert("childReferences", Json::List(references));
    }
    embedded
}

fn child_reference(kind: &str, name: &str, task: &str) -> Json {
    Json::Map(
        [
            ("apiVersion", Json::from("tekton.dev/v1")),
            ("kind", Json::from(kind)),
            ("name", Json::from(name)),
            ("pipelineTaskName", Json::from(task)),
        ]
        .into_iter()
        .collect(),
    )
}
