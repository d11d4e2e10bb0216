//! Signing into a folder, again, from other places, and what is skipped.

use serde_json::json;

use crate::harness::{Scene, TASK_RUN};

#[test]
fn a_run_is_signed_and_the_printed_command_verifies_it() {
    let scene = Scene::new();
    scene.write("run.yaml", TASK_RUN);
    let said = scene.run(&["sign", "run.yaml"]).expect(0).says("1 signed, 0 failed, 0 skipped");
    let command = said.out.lines().last().unwrap().trim();
    let args: Vec<&str> = command.strip_prefix("chains ").unwrap().split(' ').collect();
    scene.run(&args).expect(0).says("chains-out: verified");
    assert!(!said.out.contains('\u{1b}'), "no colour where there is no terminal");
}

#[test]
fn signing_again_changes_no_file() {
    let scene = Scene::signed();
    let files = || -> Vec<(_, Vec<u8>)> {
        let paths = scene.find("chains-out", "");
        paths.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
    };
    let before = files();
    scene.run(&["sign", "run.yaml"]).expect(0).says("already stored");
    assert_eq!(before, files());
}

#[test]
fn json_output_is_one_document() {
    let scene = Scene::new();
    scene.write("run.yaml", TASK_RUN);
    let said = scene.run(&["sign", "run.yaml", "--output", "json"]).expect(0).json();
    let run = &said["runs"][0];
    assert_eq!(run["kind"], "TaskRun");
    assert_eq!(run["signed"], true);
    assert_eq!(run["targets"][0]["format"], "in-toto");
    assert_eq!(run["targets"][1]["shortKey"], "b1ecbb5bf11b");
    assert_eq!(run["targets"][1]["stores"][0]["outcome"], "stored");
    assert_eq!(said["verify"].as_array().unwrap().len(), 1);
}

#[test]
fn a_pipeline_run_finds_its_task_runs_among_the_inputs() {
    let scene = Scene::new();
    let child = TASK_RUN.replace("\n  labels:", "\n  labels:\n    tekton.dev/pipelineRun: release");
    let pipeline = json!({
        "apiVersion": "tekton.dev/v1", "kind": "PipelineRun",
        "metadata": {"name": "release", "namespace": "default", "uid": "5f0e"},
        "status": {
            "conditions": [{"type": "Succeeded", "status": "True"}],
            "pipelineSpec": {"tasks": [{"name": "build", "taskRef": {"name": "kaniko-chains"}}]},
            "childReferences": [{"apiVersion": "tekton.dev/v1", "kind": "TaskRun",
                "name": "build-push-run-output-image", "pipelineTaskName": "build"}]
        }
    });
    scene.write("runs/a-pipeline.json", pipeline.to_string());
    scene.write("runs/deeper/task.yaml", child);
    let args = [
        "payload",
        "runs",
        "-c",
        "artifacts.pipelinerun.enable-deep-inspection=true",
        "-o",
        "json",
    ];
    let made = scene.run(&args).expect(0).json();
    assert_eq!(made["runs"].as_array().unwrap().len(), 2);
    let uris = made["runs"][0]["artifactURIs"].to_string();
    assert!(uris.contains("kaniko-chains@sha256:b1ecbb5bf11b"), "{uris}");
    scene.run(&["sign", "runs"]).expect(0).says("2 signed");
}

#[test]
fn several_documents_on_standard_input_are_told_apart() {
    let scene = Scene::new();
    let running =
        TASK_RUN.replace("status: \"True\"", "status: Unknown").replace("6c1f1a1e", "00000000");
    let other = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n";
    let input = format!("{TASK_RUN}---\n{running}---\n{other}");
    let said = scene.run_with(&["sign", "-"], input.as_bytes()).expect(3);
    said.says("1 signed, 0 failed, 1 skipped, 1 not read")
        .says("the run is not over")
        .says("Secret");
}

#[test]
fn the_store_tekton_writes_a_run_that_verifies() {
    let scene = Scene::new();
    scene.write("run.yaml", TASK_RUN);
    let said = scene.run(&["sign", "run.yaml", "--store", "tekton", "-o", "json"]).expect(0).json();
    let file = said["runs"][0]["annotatedRun"].as_str().unwrap();
    let run: serde_json::Value =
        serde_json::from_slice(&std::fs::read(scene.path(file)).unwrap()).unwrap();
    assert_eq!(run["metadata"]["annotations"]["chains.tekton.dev/signed"], "true");
    scene
        .run(&["verify", file, "--key", "chains-out/chains.pub"])
        .expect(0)
        .says("image signature")
        .says("attestation");
}

#[test]
fn unsigned_statements_are_kept_where_that_can_be() {
    let scene = Scene::new();
    scene.write("run.yaml", TASK_RUN);
    let unsigned = ["-c", "artifacts.taskrun.signer=none", "-c", "artifacts.oci.storage="];
    let mut args = vec!["sign", "run.yaml", "-c", "artifacts.taskrun.storage=local"];
    args.extend(unsigned);
    scene.run(&args).expect(0).says("stored");
    assert_eq!(scene.find("chains-out", ".json").len(), 1);
    args[3] = "artifacts.taskrun.storage=oci";
    scene.run(&args).expect(2).says("oci");
}

#[test]
fn explain_tells_why_an_image_is_left_out() {
    let scene = Scene::new();
    scene.write("run.yaml", TASK_RUN.replace("a7d2c3\n", "a7d2c\n"));
    scene.run(&["explain", "run.yaml"]).expect(0).says("63").says("no image is signed");
}
