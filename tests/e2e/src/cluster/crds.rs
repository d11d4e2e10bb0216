//! Tekton's resources, as far as an API server needs to know them.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::Cluster;

const PATH: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const SERVED_WITHIN: Duration = Duration::from_secs(30);

/// Kinds, with their names in paths.
const KINDS: [(&str, &str); 3] =
    [("TaskRun", "taskruns"), ("PipelineRun", "pipelineruns"), ("CustomRun", "customruns")];

/// Makes them known, and waits until they are served.
pub(super) fn apply(cluster: &Cluster) -> Result<()> {
    for (kind, plural) in KINDS {
        let crd = definition(kind, plural, cluster.options.v1beta1_only);
        cluster.api().create(PATH, &crd)?;
    }
    let deadline = Instant::now() + SERVED_WITHIN;
    for (kind, plural) in KINDS {
        let version = if kind == "CustomRun" { "v1beta1" } else { cluster.tekton_version() };
        let path = format!("/apis/tekton.dev/{version}/{plural}");
        while cluster.api().find(&path).unwrap_or_default().is_none() {
            ensure!(Instant::now() < deadline, "{plural} are not served");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    Ok(())
}

fn definition(kind: &str, plural: &str, v1beta1_only: bool) -> Value {
    let version = |name: &str, storage: bool| {
        json!({
            "name": name,
            "served": true,
            "storage": storage,
            "subresources": { "status": {} },
            "schema": {
                "openAPIV3Schema": {
                    "type": "object",
                    "x-kubernetes-preserve-unknown-fields": true,
                },
            },
        })
    };
    // A CustomRun was never more than beta.
    let versions = if v1beta1_only || kind == "CustomRun" {
        vec![version("v1beta1", true)]
    } else {
        vec![version("v1", true), version("v1beta1", false)]
    };
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{plural}.tekton.dev") },
        "spec": {
            "group": "tekton.dev",
            "scope": "Namespaced",
            "preserveUnknownFields": false,
            "names": {
                "kind": kind,
                "plural": plural,
                "singular": kind.to_lowercase(),
                "categories": ["tekton", "tekton-pipelines"],
            },
            "conversion": { "strategy": "None" },
            "versions": versions,
        },
    })
}
