//! Runs as Tekton leaves them behind.

use serde_json::{Value, json};

/// The TaskRun of the Tekton blog's demo: kaniko built `image` and reported `digest`.
///
/// `name` tells runs apart: the uid follows from it.
#[must_use]
pub fn kaniko(name: &str, image: &str, digest: &str) -> Value {
    with_results(
        name,
        &json!([
            { "name": "IMAGE_DIGEST", "type": "string", "value": digest },
            { "name": "IMAGE_URL", "type": "string", "value": image },
        ]),
    )
}

/// A successful TaskRun with these results; its provenance holds `name`, as the value of a parameter.
#[must_use]
pub fn with_results(name: &str, results: &Value) -> Value {
    let steps = json!([{
        "name": "build-and-push",
        "image": "gcr.io/kaniko-project/executor:v1.5.1",
        "command": ["/kaniko/executor"],
        "args": ["--destination=$(params.IMAGE)", "--digest-file=$(results.IMAGE_DIGEST.path)"],
    }]);
    let task = json!({
        "params": [{ "name": "IMAGE", "type": "string" }],
        "results": [{ "name": "IMAGE_DIGEST" }, { "name": "IMAGE_URL" }],
        "steps": steps,
    });
    json!({
        "apiVersion": "tekton.dev/v1",
        "kind": "TaskRun",
        "metadata": { "name": name, "namespace": "default", "uid": uid(name) },
        "spec": {
            "params": [{ "name": "IMAGE", "value": format!("somewhere/{name}") }],
            "serviceAccountName": "default",
            "taskRef": { "kind": "Task", "name": "kaniko-chains" },
        },
        "status": {
            "conditions": succeeded(),
            "startTime": "2026-01-02T03:04:05Z",
            "completionTime": "2026-01-02T03:05:05Z",
            "podName": format!("{name}-pod"),
            "results": results,
            "taskSpec": task,
            "steps": [{
                "name": "build-and-push",
                "container": "step-build-and-push",
                "imageID": format!("gcr.io/kaniko-project/executor@sha256:{}", "6".repeat(64)),
                "terminated": {
                    "exitCode": 0,
                    "reason": "Completed",
                    "startedAt": "2026-01-02T03:04:10Z",
                    "finishedAt": "2026-01-02T03:05:00Z",
                },
            }],
        },
    })
}

/// A TaskRun that did not succeed.
#[must_use]
pub fn failed(name: &str) -> Value {
    let mut run = with_results(name, &json!([]));
    let condition = &mut run["status"]["conditions"][0];
    condition["status"] = "False".into();
    condition["reason"] = "Failed".into();
    condition["message"] = "\"step-build-and-push\" exited with code 1".into();
    run["status"]["steps"][0]["terminated"]["exitCode"] = 1.into();
    run
}

/// What a pipeline started for one of its tasks.
#[derive(Clone, Copy, Debug)]
pub enum Child {
    /// A TaskRun.
    Task(&'static str),
    /// A TaskRun each, for so many combinations of parameters.
    Matrix(&'static str, usize),
    /// A TaskRun of the `finally` section.
    Finally(&'static str),
    /// A CustomRun.
    Custom(&'static str),
    /// A TaskRun that was deleted since.
    Gone(&'static str),
}

/// A PipelineRun, and what it started.
#[derive(Clone, Debug)]
pub struct Family {
    /// The PipelineRun.
    pub run: Value,
    /// What is there of its children.
    pub children: Vec<Value>,
}

/// A successful PipelineRun with these children, whose TaskRuns built `image` with `digest`.
#[must_use]
pub fn pipeline(name: &str, children: &[Child], image: &str, digest: &str) -> Family {
    let mut there = Vec::new();
    let mut references = Vec::new();
    let (mut tasks, mut finally) = (Vec::new(), Vec::new());
    let task = |task: &str| json!({ "name": task, "taskRef": { "kind": "Task", "name": task } });
    for child in children {
        let names = match child {
            Child::Matrix(of, count) => (0..*count).map(|n| format!("{name}-{of}-{n}")).collect(),
            Child::Task(of) | Child::Finally(of) | Child::Custom(of) | Child::Gone(of) => {
                vec![format!("{name}-{of}")]
            }
        };
        let (Child::Task(of)
        | Child::Matrix(of, _)
        | Child::Finally(of)
        | Child::Custom(of)
        | Child::Gone(of)) = *child;
        match child {
            Child::Finally(_) => finally.push(task(of)),
            _ => tasks.push(task(of)),
        }
        for child_name in names {
            let custom = matches!(child, Child::Custom(_));
            references.push(json!({
                "apiVersion": if custom { "tekton.dev/v1beta1" } else { "tekton.dev/v1" },
                "kind": if custom { "CustomRun" } else { "TaskRun" },
                "name": child_name,
                "pipelineTaskName": of,
            }));
            if matches!(child, Child::Gone(_)) {
                continue;
            }
            let mut run =
                if custom { custom_run(&child_name) } else { kaniko(&child_name, image, digest) };
            run["metadata"]["labels"] = json!({
                "tekton.dev/pipelineRun": name,
                "tekton.dev/pipelineTask": of,
                "tekton.dev/memberOf": if matches!(child, Child::Finally(_)) { "finally" } else { "tasks" },
            });
            there.push(run);
        }
    }
    let run = json!({
        "apiVersion": "tekton.dev/v1",
        "kind": "PipelineRun",
        "metadata": { "name": name, "uid": uid(name), "labels": { "tekton.dev/pipeline": "release" } },
        "spec": {
            "pipelineRef": { "name": "release" },
            "taskRunTemplate": { "serviceAccountName": "default" },
        },
        "status": {
            "conditions": succeeded(),
            "startTime": "2026-01-02T03:04:00Z",
            "completionTime": "2026-01-02T03:05:10Z",
            "childReferences": references,
            "pipelineSpec": { "tasks": tasks, "finally": finally },
        },
    });
    Family { run, children: there }
}

fn custom_run(name: &str) -> Value {
    json!({
        "apiVersion": "tekton.dev/v1beta1",
        "kind": "CustomRun",
        "metadata": { "name": name },
        "spec": { "customRef": { "apiVersion": "example.test/v1", "kind": "Approval" } },
        "status": { "conditions": succeeded(), "completionTime": "2026-01-02T03:05:05Z" },
    })
}

fn succeeded() -> Value {
    json!([{
        "type": "Succeeded",
        "status": "True",
        "reason": "Succeeded",
        "message": "All Steps have completed executing",
        "lastTransitionTime": "2026-01-02T03:05:05Z",
    }])
}

/// The uid of the run `name`: any will do, as long as each run has its own.
#[must_use]
pub fn uid(name: &str) -> String {
    use sha2::{Digest as _, Sha256};
    let hash = hex::encode(Sha256::digest(name));
    format!(
        "{}-{}-4{}-8{}-{}",
        &hash[..8],
        &hash[8..12],
        &hash[12..15],
        &hash[15..18],
        &hash[18..30]
    )
}
