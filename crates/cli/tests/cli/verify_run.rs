//! A run's records must be of that run, and all of it.

use serde_json::{Value, json};

use crate::harness::{Said, Scene, TASK_RUN};

const UID: &str = "6c1f1a1e-2c63-4f39-9a41-5c0d3c6f4b7a";
const PREFIX: &str = "chains.tekton.dev/";
const IMAGE: &str = "b1ecbb5bf11b";

/// Signs what is in a file into annotations, and gives the runs with them.
fn signed(scene: &Scene, runs: impl AsRef<[u8]>, config: &[&str]) -> Vec<Value> {
    scene.write("in.yaml", runs);
    let mut args = vec!["sign", "in.yaml", "--store", "tekton", "-o", "json"];
    config.iter().for_each(|pair| args.extend(["-c", pair]));
    let said = scene.run(&args).expect(0).json();
    let files = said["runs"].as_array().unwrap().iter().map(|run| run["annotatedRun"].as_str());
    let read = |file: &str| std::fs::read(scene.path(file)).unwrap();
    files.map(|file| serde_json::from_slice(&read(file.unwrap())).unwrap()).collect()
}

fn verify(scene: &Scene, runs: &[Value]) -> Said {
    let documents: Vec<String> = runs.iter().map(Value::to_string).collect();
    scene.write("signed.yaml", documents.join("\n---\n"));
    scene.run(&["verify", "signed.yaml", "--key", "chains-out/chains.pub"])
}

fn annotation<'a>(run: &'a mut Value, name: &str) -> &'a mut Value {
    &mut run["metadata"]["annotations"][format!("{PREFIX}{name}")]
}

/// Another run, with the records of the first under its own names.
fn copied(from: &Value, onto: &str) -> Value {
    let mut run: Value = from.clone();
    run["metadata"]["uid"] = onto.into();
    let annotations = run["metadata"]["annotations"].as_object_mut().unwrap();
    let renamed = std::mem::take(annotations);
    annotations.extend(renamed.into_iter().map(|(key, value)| (key.replace(UID, onto), value)));
    run
}

/// Signs with this configuration, and verifies as it is and with other labels and annotations.
fn holds(config: &[&str]) {
    let scene = Scene::new();
    let mut runs = signed(&scene, TASK_RUN, config);
    let words = if config.iter().any(|pair| pair.ends_with("=tekton")) {
        "the status is the one of this run"
    } else {
        "the statement is what this run makes"
    };
    verify(&scene, &runs).expect(0).says(words);
    runs[0]["metadata"]["labels"]["added"] = "later".into();
    runs[0]["metadata"]["annotations"]["added"] = "later".into();
    runs[0]["metadata"]["resourceVersion"] = "12345".into();
    verify(&scene, &runs).expect(0).says(words);
    runs[0]["status"]["completionTime"] = "2026-03-02T10:15:23Z".into();
    verify(&scene, &runs).expect(1).says("differs from this run at ");
}

#[test]
fn every_format_is_bound_to_its_run() {
    holds(&[]);
    holds(&["builder.id=https://ci.example.com"]);
    holds(&["artifacts.taskrun.format=slsa/v1"]);
    holds(&["artifacts.taskrun.format=slsa/v2alpha3"]);
    holds(&["artifacts.taskrun.format=slsa/v2alpha4", "builder.id=https://ci.example.com"]);
    let tekton = "builddefinition.buildtype=https://tekton.dev/chains/v2/slsa-tekton";
    holds(&["artifacts.taskrun.format=slsa/v2alpha4", tekton]);
    holds(&["artifacts.taskrun.format=tekton"]);
}

#[test]
fn another_runs_provenance_is_refused() {
    let other = "00000000-2c63-4f39-9a41-5c0d3c6f4b7a";
    let scene = Scene::new();
    let mut run = copied(&signed(&scene, TASK_RUN, &[])[0], other);
    run["spec"]["params"][0]["value"] = "registry.example.com/evil".into();
    let place = "differs from this run at predicate.invocation.parameters.IMAGE";
    verify(&scene, &[run]).expect(1).says(place);

    let scene = Scene::new();
    let format = ["artifacts.taskrun.format=slsa/v2alpha4"];
    let run = copied(&signed(&scene, TASK_RUN, &format)[0], other);
    let place = "differs from this run at predicate.runDetails.metadata.invocationId";
    verify(&scene, &[run]).expect(1).says(place);
}

#[test]
fn results_that_were_changed_are_refused() {
    for format in ["in-toto", "slsa/v2alpha3", "slsa/v2alpha4"] {
        let scene = Scene::new();
        let mut runs = signed(&scene, TASK_RUN, &[&format!("artifacts.taskrun.format={format}")]);
        runs[0]["status"]["results"][1]["value"] = format!("sha256:{}", "0".repeat(64)).into();
        verify(&scene, &runs)
            .expect(1)
            .says("differs from this run at")
            .says("subject")
            .says("annotations for b1ecbb5bf11b: the run names no such thing");
    }
}

#[test]
fn a_missing_record_of_the_run_is_a_failure_and_one_of_an_image_a_note() {
    let scene = Scene::new();
    let runs = signed(&scene, TASK_RUN, &[]);
    let own = format!("taskrun-{UID}");
    let without = |short: &str| {
        let mut run = runs[0].clone();
        let annotations = run["metadata"]["annotations"].as_object_mut().unwrap();
        annotations.retain(|key, _| !key.ends_with(short));
        run
    };
    verify(&scene, &[without(&own)]).expect(1).says("carries none of its own").says("signs ");
    verify(&scene, &[without(IMAGE)]).expect(0).says("no signature of it on the run");
    let args = ["verify", "signed.yaml", "--key", "chains-out/chains.pub", "-o", "json"];
    let said = scene.run(&args).expect(0).json();
    assert_eq!(said[0]["notes"].as_array().unwrap().len(), 1);
    assert_eq!(said[0]["items"][0]["kind"], "attestation");
    verify(&scene, &[without("")]).expect(1).says("carries none in its annotations");
}

#[test]
fn a_broken_annotation_hides_nothing_else() {
    let scene = Scene::new();
    let runs = signed(&scene, TASK_RUN, &[]);
    let mut broken = runs[0].clone();
    *annotation(&mut broken, &format!("payload-taskrun-{UID}")) = "not base64".into();
    verify(&scene, &[broken]).expect(1).says("reading annotation").says("image signature");
    let mut broken = runs[0].clone();
    *annotation(&mut broken, &format!("signature-{IMAGE}")) = "not base64".into();
    verify(&scene, &[broken, runs[0].clone()])
        .expect(1)
        .says("reading annotation")
        .says("the statement is what this run makes");
}

#[test]
fn an_image_signature_is_for_its_repository() {
    let scene = Scene::new();
    let elsewhere = TASK_RUN.replace("registry.example.com/team", "elsewhere.example.com/team");
    let mut theirs = signed(&scene, elsewhere, &[]).remove(0);
    let mut ours = signed(&scene, TASK_RUN, &[]).remove(0);
    for part in ["payload", "signature"] {
        let name = format!("{part}-{IMAGE}");
        *annotation(&mut ours, &name) = annotation(&mut theirs, &name).clone();
    }
    verify(&scene, &[ours]).expect(1).says("image: elsewhere.example.com/team/kaniko-chains@");
}

/// A PipelineRun with the TaskRun that built the image, the TaskRun first.
fn pipeline() -> [String; 2] {
    let child = TASK_RUN.replace("\n  labels:", "\n  labels:\n    tekton.dev/pipelineRun: release");
    let parent = json!({
        "apiVersion": "tekton.dev/v1", "kind": "PipelineRun",
        "metadata": {"name": "release", "namespace": "default", "uid": "5f0e"},
        "spec": {"pipelineRef": {"name": "release"}},
        "status": {
            "startTime": "2026-03-02T10:14:39Z", "completionTime": "2026-03-02T10:15:30Z",
            "conditions": [{"type": "Succeeded", "status": "True"}],
            "pipelineSpec": {"tasks": [{"name": "build", "taskRef": {"name": "kaniko-chains"}}]},
            "childReferences": [{"apiVersion": "tekton.dev/v1", "kind": "TaskRun",
                "name": "build-push-run-output-image", "pipelineTaskName": "build"}]
        }
    });
    [child, parent.to_string()]
}

fn of_pipeline(format: &str, deep: bool) {
    let scene = Scene::new();
    let format = format!("artifacts.pipelinerun.format={format}");
    let deep = format!("artifacts.pipelinerun.enable-deep-inspection={deep}");
    let tekton = "builddefinition.buildtype=https://tekton.dev/chains/v2/slsa-tekton";
    let config = [format.as_str(), &deep, tekton];
    // With its TaskRun at hand when it was signed: then here too, or not.
    let mut runs = signed(&scene, pipeline().join("\n---\n"), &config);
    runs[0]["metadata"]["labels"]["added"] = "later".into();
    verify(&scene, &runs).expect(0);
    let parent = runs.remove(1);
    let alone = std::slice::from_ref(&parent);
    verify(&scene, alone).expect(0).says("1 of its TaskRuns are not at hand");
    let mut other = parent.clone();
    other["status"]["startTime"] = "2026-03-02T10:14:38Z".into();
    verify(&scene, &[other.clone()]).expect(1).says("differs from this run at predicate.");
    other = parent;
    let result = json!({"name": "IMAGES", "value": format!("evil@sha256:{}", "0".repeat(64))});
    other["status"]["results"] = json!([result]);
    verify(&scene, &[other]).expect(1).says("differs from this run at ").says("subject");

    // Without its TaskRun when it was signed.
    let [child, parent] = pipeline();
    let parent = signed(&scene, parent, &config).remove(0);
    verify(&scene, std::slice::from_ref(&parent)).expect(0);
    let child = signed(&scene, child, &config).remove(0);
    verify(&scene, &[parent, child]).expect(0).says("without its TaskRuns");
}

#[test]
fn a_pipeline_run_is_bound_with_and_without_its_task_runs() {
    for format in ["in-toto", "slsa/v2alpha3", "slsa/v2alpha4"] {
        of_pipeline(format, false);
        of_pipeline(format, true);
    }
}

#[test]
fn a_pipeline_run_of_which_only_the_status_is_signed_needs_no_task_runs() {
    let scene = Scene::new();
    let format = ["artifacts.pipelinerun.format=tekton"];
    let parent = signed(&scene, &pipeline()[1], &format).remove(0);
    verify(&scene, &[parent]).expect(0).says("the status is the one of this run");
}

/// The same digest in two repositories has one place on the run.
#[test]
fn one_image_in_two_repositories_is_told() {
    let scene = Scene::new();
    let digest = "sha256:b1ecbb5bf11b1c4c1f0e3a5a9b83d8bb6c5e6c37d9a2f0e4c6c9b1e4f5a7d2c3";
    let images = format!(
        "  results:\n    - {{name: IMAGES, value: 'one.example.com/app@{digest},two.example.com/app@{digest}'}}\n"
    );
    let run = TASK_RUN.replacen("  results:\n", &images, 1);
    scene.write("in.yaml", &run);
    let args = ["sign", "in.yaml", "--store", "tekton", "-o", "json"];
    let said = scene.run(&args).json();
    let Some(file) = said["runs"][0]["annotatedRun"].as_str() else {
        panic!("{said:#}");
    };
    scene
        .run(&["verify", file, "--key", "chains-out/chains.pub"])
        .expect(0)
        .says("no signature of it on the run");
}
