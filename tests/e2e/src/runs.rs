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
            "conditions": [{
                "type": "Succeeded",
                "status": "True",
                "reason": "Succeeded",
                "message": "All Steps have completed executing",
                "lastTransitionTime": "2026-01-02T03:05:05Z",
            }],
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
