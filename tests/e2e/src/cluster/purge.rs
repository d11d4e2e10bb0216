//! Makes a used cluster like a new one.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{
    Api,
    runtime::{SIXTEEN, at_once},
};

/// Collections of a namespace that cases or Chains write to.
const IN_NAMESPACES: [&str; 7] = [
    "/api/v1/namespaces/{}/configmaps",
    "/api/v1/namespaces/{}/secrets",
    "/api/v1/namespaces/{}/serviceaccounts",
    "/api/v1/namespaces/{}/events",
    "/apis/coordination.k8s.io/v1/namespaces/{}/leases",
    "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles",
    "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings",
];
const OF_THE_CLUSTER: [&str; 2] = [
    "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
];
const RUNS: [&str; 3] = ["v1/taskruns", "v1/pipelineruns", "v1beta1/customruns"];

/// Deletes all runs, whatever holds them, and all that Chains was given. Namespaces stay: without Kubernetes'
/// controllers they would end never.
pub(super) fn purge(api: &Api) -> Result<()> {
    for runs in RUNS {
        delete_runs(api, runs).with_context(|| format!("delete all {runs}"))?;
    }
    for namespace in items(api, "/api/v1/namespaces")? {
        let name = namespace["metadata"]["name"].as_str().unwrap_or_default();
        // The system's own, which the API server takes part in.
        if name.starts_with("kube-") {
            continue;
        }
        for collection in IN_NAMESPACES {
            api.delete(&collection.replace("{}", name))?;
        }
    }
    for collection in OF_THE_CLUSTER {
        for object in items(api, collection)? {
            if object["metadata"]["labels"]["kubernetes.io/bootstrapping"].is_null() {
                let name = object["metadata"]["name"].as_str().unwrap_or_default();
                api.delete(&format!("{collection}/{name}"))?;
            }
        }
    }
    Ok(())
}

fn delete_runs(api: &Api, runs: &str) -> Result<()> {
    let (version, plural) = runs.split_once('/').context("version and plural")?;
    let all = items(api, &format!("/apis/tekton.dev/{runs}"))?;
    let collection =
        |namespace: &str| format!("/apis/tekton.dev/{version}/namespaces/{namespace}/{plural}");
    let namespace = |run: &Value| run["metadata"]["namespace"].as_str().map(str::to_owned);
    let held: Vec<&Value> =
        all.iter().filter(|run| !run["metadata"]["finalizers"].is_null()).collect();
    at_once(SIXTEEN, held, |run| {
        let name = run["metadata"]["name"].as_str().unwrap_or_default();
        let path = format!("{}/{name}", collection(&namespace(run).unwrap_or_default()));
        async move {
            let free = json!({ "metadata": { "finalizers": null } });
            match api.merge_async(&path, &free).await {
                // What was being deleted is gone with its last finalizer.
                Err(error) if super::api::code(&error) != Some(404) => Err(error),
                _ => Ok(()),
            }
        }
    })?;
    let namespaces: BTreeSet<String> = all.iter().filter_map(namespace).collect();
    namespaces.iter().try_for_each(|namespace| api.delete(&collection(namespace)))
}

fn items(api: &Api, path: &str) -> Result<Vec<Value>> {
    let mut list = api.get(path)?;
    Ok(list["items"].as_array_mut().map(std::mem::take).unwrap_or_default())
}
