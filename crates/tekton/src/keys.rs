//! Keys that nearly every run has: they need no copy each.

/// The name as a constant, if it is one of those that runs are full of.
///
/// By length first: then there are a handful to compare with.
#[rustfmt::skip]
pub(crate) fn known(name: &str) -> Option<&'static str> {
    let names: &[&'static str] = match name.len() {
        3 => &["cpu", "env", "uid", "uri"],
        4 => &["args", "kind", "name", "sha1", "spec", "time", "type", "when"],
        5 => &["image", "input", "steps", "tasks", "value"],
        6 => &["digest", "inputs", "labels", "limits", "matrix", "memory", "params", "reason", "script", "sha256", "status", "values"],
        7 => &["command", "default", "finally", "imageID", "include", "manager", "message", "outputs", "podName", "results", "retries", "running", "subPath", "taskRef", "timeout", "waiting"],
        8 => &["emptyDir", "exitCode", "fieldsV1", "metadata", "operator", "pipeline", "requests", "resolver", "runAfter", "sidecars", "taskSpec", "timeouts"],
        9 => &["container", "mountPath", "namespace", "operation", "refSource", "startTime", "startedAt", "workspace"],
        10 => &["apiVersion", "conditions", "controller", "coschedule", "entryPoint", "fieldsType", "finalizers", "finishedAt", "generation", "properties", "provenance", "terminated", "workspaces"],
        11 => &["annotations", "containerID", "description", "pipelineRef", "podTemplate", "spanContext", "traceparent"],
        12 => &["featureFlags", "generateName", "pipelineSpec", "skippedTasks", "taskRunSpecs", "volumeMounts"],
        13 => &["managedFields", "maxResultSize"],
        14 => &["completionTime"],
        15 => &["childReferences", "enableAPIFields", "isBuildArtifact", "ownerReferences", "resourceVersion", "securityContext", "taskRunTemplate", "tekton.dev/task"],
        16 => &["computeResources", "pipelineTaskName"],
        17 => &["creationTimestamp", "terminationReason"],
        18 => &["blockOwnerDeletion", "lastTransitionTime", "serviceAccountName"],
        19 => &["tekton.dev/memberOf", "tekton.dev/pipeline", "volumeClaimTemplate"],
        21 => &["awaitSidecarReadiness"],
        22 => &["resultExtractionMethod", "tekton.dev/pipelineRun"],
        23 => &["tekton.dev/pipelineTask"],
        24 => &["enforceNonfalsifiability"],
        25 => &["verificationNoMatchPolicy"],
        27 => &["pipeline.tekton.dev/release"],
        28 => &["app.kubernetes.io/managed-by"],
        32 => &["runningInEnvWithInjectedSidecars"],
        _ => return None,
    };
    names.iter().find(|known| **known == name).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_is_found() {
        for name in
            ["uid", "pipelineTaskName", "runningInEnvWithInjectedSidecars", "tekton.dev/task"]
        {
            assert_eq!(known(name), Some(name));
        }
        for name in ["", "x", "uix", "Name", "pipelineTaskNamf", "sha512"] {
            assert_eq!(known(name), None, "{name}");
        }
    }
}
