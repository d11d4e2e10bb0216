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
fn what_another_key_signed_is_told_to_be_replaced() {
    let scene = Scene::signed();
    scene.run(&["keys", "generate", "--output-key-prefix", "k"]).expect(0);
    let args = ["sign", "run.yaml", "--key", "k.key", "-o", "json"];
    let outcome = |index: usize| {
        let said = scene.run(&args).expect(0).json();
        let store = &said["runs"][0]["targets"][index]["stores"][0];
        (
            store["outcome"].as_str().unwrap().to_owned(),
            store["notes"][0].as_str().map(str::to_owned),
        )
    };
    let note = "what was there was signed by another key";
    assert_eq!(outcome(1), ("replaced".to_owned(), Some(note.to_owned())));
    assert_eq!(outcome(1), ("already stored".to_owned(), None));
    scene.run(&["sign", "run.yaml"]).expect(0).says("replaced").says(note);
}

#[test]
fn the_key_of_the_configuration_is_used() {
    let scene = Scene::signed();
    let keys = scene.path("keys");
    scene.write("keys/x509.pem", std::fs::read(scene.path("chains-out/chains.key")).unwrap());
    let key = format!("signers.x509.key={}", keys.display());
    scene
        .run(&["sign", "run.yaml", "-c", &key, "--store", "local"])
        .expect(0)
        .says("already stored");
    let args = ["sign", "run.yaml", "-c", "signers.x509.key=k8s://ci/keys", "--store", "local"];
    scene.run(&args).expect(2);
}

#[test]
fn json_output_is_one_document() {
    let scene = Scene::new();
    scene.write("run.yaml", TASK_RUN);
    let said = scene.run(&["sign", "run.yaml", "--output", "json"]).expect(0).json();
    let run = &said["runs"][0];
    assert_eq!(run["kind"], "TaskRun");
    assert_eq!(run["status"], "signed");
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
    said.says("1 signed, 0 failed, 1 skipped, 1 not read").says("still running").says("Secret");
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
    scene.run(&args).expect(0).says("0 signed").says("1 stored without a signature");
    assert_eq!(scene.find("chains-out", ".json").len(), 1);
    args[3] = "artifacts.taskrun.storage=oci";
    scene.run(&args).expect(2).says("oci");
}

#[test]
fn what_is_stored_nowhere_is_not_called_signed() {
    let scene = Scene::signed();
    let no_image = TASK_RUN.replace("IMAGE_", "OTHER_");
    scene.write("run.yaml", no_image);
    let args = ["sign", "run.yaml", "--store", "oci", "--key", "chains-out/chains.key"];
    let said = scene.run(&args).expect(0).says("0 signed").says("1 with nothing to store");
    assert!(!said.out.contains("Verify it with"), "{}", said.out);
    let disabled =
        ["taskrun", "pipelinerun", "oci"].map(|kind| format!("artifacts.{kind}.storage="));
    let mut args = vec!["sign", "run.yaml"];
    disabled.iter().for_each(|setting| args.extend(["-c", setting]));
    scene.run(&args).expect(0).says("the configuration stores nothing of it");
}

#[test]
fn a_key_that_was_made_on_the_spot_signs_nothing_that_leaves_the_folder() {
    let scene = Scene::new();
    scene.write("run.yaml", TASK_RUN);
    scene.run(&["sign", "run.yaml", "--store", "oci"]).expect(2).says("--key");
    assert!(!scene.path("chains-out").exists());
    scene.run(&["sign", "run.yaml", "--store", ""]).expect(2).says("--store");
}

#[test]
fn the_folder_of_the_configuration_is_used() {
    let scene = Scene::new();
    scene.write("run.yaml", TASK_RUN);
    let config = ["-c", "storage.local.path=wanted", "-c", "artifacts.taskrun.storage=local"];
    let mut args = vec!["sign", "run.yaml", "-c", "artifacts.oci.storage="];
    args.extend(config);
    scene.run(&args).expect(0).says("chains verify wanted");
    assert!(scene.path("wanted/chains.pub").exists() && !scene.path("chains-out").exists());
    args.extend(["--out-dir", "other"]);
    scene.run(&args).expect(0).says("chains verify other");
}

#[test]
fn what_the_controller_would_leave_alone_is_left_alone() {
    let scene = Scene::new();
    let signed = TASK_RUN.replace(
        "    pipeline.tekton.dev/release: v1.6.0",
        "    pipeline.tekton.dev/release: v1.6.0\n    chains.tekton.dev/signed: \"true\"",
    );
    scene.write("run.yaml", signed);
    scene.run(&["sign", "run.yaml"]).expect(0).says("1 skipped").says("--again");
    scene.run(&["sign", "run.yaml", "--again"]).expect(0).says("1 signed");
    scene.write(
        "run.yaml",
        TASK_RUN.replace("\nspec:", "\nspec:\n  managedBy: someone.example.com"),
    );
    scene.run(&["sign", "run.yaml"]).expect(0).says("someone.example.com").says("1 skipped");
    let accept = "filter.managed-by=someone.example.com";
    let stores = "artifacts.taskrun.storage=local";
    let images = "artifacts.oci.storage=local";
    let args = ["sign", "run.yaml", "-c", accept, "-c", stores, "-c", images];
    scene.run(&args).expect(0).says("1 signed");
}

#[test]
fn one_runs_failure_is_told_among_the_others() {
    let scene = Scene::signed();
    scene.write("chains-out/runs", "a file where a folder should be");
    let args = ["sign", "run.yaml", "--store", "local,tekton", "-o", "json"];
    let said = scene.run(&args).expect(1).json();
    assert_eq!(said["runs"][0]["status"], "failed");
    assert!(said["runs"][0]["reason"].as_str().unwrap().contains("chains-out/runs"));
    let stores = said["runs"][0]["targets"][0]["stores"].as_array().unwrap();
    assert!(stores.iter().any(|store| store["store"] == "local" && store["outcome"] != "failed"));
}

#[test]
fn children_that_could_not_be_looked_into_are_told() {
    let scene = Scene::new();
    let pipeline = json!({
        "apiVersion": "tekton.dev/v1", "kind": "PipelineRun",
        "metadata": {"name": "release", "namespace": "default", "uid": "5f0e"},
        "status": {
            "conditions": [{"type": "Succeeded", "status": "True"}],
            "childReferences": [
                {"apiVersion": "tekton.dev/v1", "kind": "TaskRun", "name": "gone", "pipelineTaskName": "a"},
                {"apiVersion": "example.dev/v1", "kind": "CustomRun", "name": "custom", "pipelineTaskName": "b"}
            ]
        }
    });
    scene.write("run.json", pipeline.to_string());
    scene.run(&["sign", "run.json"]).expect(0).says("1 signed").says("gone").says("custom");
}

#[test]
fn several_first_uses_at_once_share_one_key() {
    let scene = Scene::new();
    scene.write("run.yaml", TASK_RUN);
    std::thread::scope(|scope| {
        let all: Vec<_> =
            (0..4).map(|_| scope.spawn(|| scene.run(&["sign", "run.yaml"]))).collect();
        for said in all {
            said.join().unwrap().expect(0);
        }
    });
    scene.run(&["verify", "chains-out", "--key", "chains-out/chains.pub"]).expect(0);
}

#[test]
fn signing_a_folder_leaves_out_what_was_written_into_it() {
    let scene = Scene::signed();
    scene.run(&["sign", ".", "--store", "local,tekton"]).expect(0).says("1 signed");
    scene.run(&["sign", "."]).expect(0).says("1 signed, 0 failed, 0 skipped");
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_is_told() {
    let scene = Scene::signed();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_chains"))
        .args(["explain", "run.yaml"])
        .current_dir(scene.path(""))
        .stdout(full)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("writing to standard output"));
}

#[test]
fn explain_tells_why_an_image_is_left_out() {
    let scene = Scene::new();
    scene.write("run.yaml", TASK_RUN.replace("a7d2c3\n", "a7d2c\n"));
    scene.run(&["explain", "run.yaml"]).expect(0).says("63").says("no image is signed");
}
