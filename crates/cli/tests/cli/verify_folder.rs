//! In a folder nothing is passed over, and nothing passes for what it is not.

use std::fs;
use std::path::{Path, PathBuf};

use chains_core::{Payload, Store as _, Target};
use chains_store_local::LocalStore;
use chains_testkit::fake::FakeSigner;
use chains_testkit::fixture;

use crate::harness::{Said, Scene, TASK_RUN};

const KEY: [&str; 2] = ["--key", "chains-out/chains.pub"];
const DEFAULT: &str = "artifacts.taskrun.format=in-toto";

fn verify(scene: &Scene) -> Said {
    scene.run(&["verify", "chains-out", KEY[0], KEY[1]])
}

/// Signs with a configuration, changes the run's folder, and verifies.
fn check(config: &str, change: impl FnOnce(&Scene, &Path), why: &str) {
    let scene = Scene::new();
    scene.write("run.yaml", TASK_RUN);
    scene.run(&["sign", "run.yaml", "-c", config, "--store", "local"]).expect(0);
    verify(&scene).expect(0);
    let folder = folder(&scene);
    change(&scene, &folder);
    verify(&scene).expect(1).says("REFUSED").says(why);
}

fn folder(scene: &Scene) -> PathBuf {
    let payloads = scene.find("chains-out/default", ".json");
    payloads[0].parent().unwrap().to_owned()
}

/// Gives every file of a record the stem of another.
fn rename(scene: &Scene, from: &str, to: &str) {
    for path in scene.find("chains-out/default", "") {
        let name = path.file_name().unwrap().to_str().unwrap();
        if let Some(rest) = name.strip_prefix(from) {
            fs::rename(&path, path.with_file_name(format!("{to}{rest}"))).unwrap();
        }
    }
}

fn image_stem(scene: &Scene) -> String {
    let signature = scene.find("chains-out/default", ".sig").pop().unwrap();
    signature.file_stem().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn unknown_files_are_failures() {
    let plant = |name: &'static str| {
        move |scene: &Scene, _: &Path| scene.write(&format!("chains-out/{name}"), "{}")
    };
    check(DEFAULT, plant("provenance.json"), "not checked: no record of a run");
    check(DEFAULT, plant("default/other/provenance.json"), "not checked: no folder of a run");
    check(DEFAULT, plant("default/a/b/c/provenance.json"), "not checked");
    check(DEFAULT, plant("default/taskrun-x-1/read.me"), "not checked: no file of a record");
    check(
        DEFAULT,
        plant("default/taskrun-x-1/status.sig"),
        "the payload that belongs to it is missing",
    );
}

#[cfg(unix)]
#[test]
fn links_are_failures() {
    let link = |_: &Scene, folder: &Path| {
        let other = folder.with_file_name("taskrun-other-1");
        std::os::unix::fs::symlink(folder, other).unwrap();
    };
    check(DEFAULT, link, "not checked: a link");
}

#[test]
fn a_record_without_its_payload_is_a_failure() {
    let remove =
        |_: &Scene, folder: &Path| fs::remove_file(folder.join("provenance.json")).unwrap();
    check(DEFAULT, remove, "the payload that belongs to it is missing");
}

#[test]
fn what_the_command_writes_beside_the_records_is_known() {
    let scene = Scene::signed();
    scene.run(&["sign", "run.yaml", "--store", "tekton"]).expect(0);
    assert_eq!(scene.find("chains-out/runs", ".json").len(), 1);
    verify(&scene).expect(0);
}

#[test]
fn a_record_is_what_its_name_says() {
    let to_image = |scene: &Scene, _: &Path| {
        let stem = image_stem(scene);
        rename(scene, &stem, "removed");
        rename(scene, "provenance", &stem);
    };
    check(
        DEFAULT,
        to_image,
        "content: expected is a signature of an image, found a statement of another kind",
    );
    let to_provenance = |scene: &Scene, _: &Path| {
        rename(scene, "provenance", "removed");
        rename(scene, &image_stem(scene), "provenance");
    };
    check(DEFAULT, to_provenance, "content: expected is a DSSE envelope, found a bare signature");
    let to_status = |scene: &Scene, _: &Path| rename(scene, &image_stem(scene), "status");
    check(DEFAULT, to_status, "status: it is none of a run");
    let status_to_image = |scene: &Scene, _: &Path| {
        rename(scene, "status", "image-app-0123456789ab-0123456789abcdef");
    };
    check("artifacts.taskrun.format=tekton", status_to_image, "reading a simple signing document");
}

/// The status of a run may hold anything, an image signature's fields too. Chains does not sign such a one; an
/// older release may have.
#[tokio::test]
async fn a_status_that_looks_like_an_image_signature_is_none() {
    let scene = Scene::new();
    let (run, image) = (fixture::run("build"), fixture::image("app"));
    let document = String::from_utf8(fixture::simple_signing(&image).bytes.to_vec()).unwrap();
    let conditions = "\"conditions\":[{\"type\":\"Succeeded\",\"status\":\"True\"}]";
    let bytes = document.replace("\"optional\":null", conditions).into();
    let payload = Payload { bytes, ..fixture::status() };
    let signer = FakeSigner::new(1);
    let store = LocalStore::new(scene.path("chains-out"));
    let keep = async |target| {
        let record = fixture::signed(&run, target, payload.clone(), &signer);
        store.put(&record).await.unwrap();
    };
    scene.write("chains-out/chains.pub", signer.public_key().to_pem().unwrap());
    keep(Target::Run).await;
    let said = scene.run(&["verify", "chains-out", KEY[0], KEY[1], "-o", "json"]).expect(0).json();
    assert_eq!(said[0]["items"][0]["kind"], "signature");
    keep(Target::Image(image)).await;
    verify(&scene).expect(1).says("reading a simple signing document");
}

#[test]
fn an_image_record_is_named_for_its_image() {
    let other = |scene: &Scene, _: &Path| {
        rename(scene, &image_stem(scene), "image-kaniko-chains-000000000000-0123456789abcdef");
    };
    check(DEFAULT, other, "the file is named for another image");
}

#[test]
fn a_folder_of_another_run_is_refused() {
    let uid = |_: &Scene, folder: &Path| {
        fs::rename(folder, folder.with_file_name("taskrun-other-5f0e")).unwrap();
    };
    check("artifacts.taskrun.format=slsa/v2alpha4", uid, "the folder of another one");
    let kind = |_: &Scene, folder: &Path| {
        let name = folder.file_name().unwrap().to_str().unwrap().replace("taskrun", "pipelinerun");
        fs::rename(folder, folder.with_file_name(name)).unwrap();
    };
    check(DEFAULT, kind, "the folder is named for a PipelineRun");
}

#[test]
fn an_image_of_another_run_is_refused() {
    let scene = Scene::signed();
    let other = TASK_RUN
        .replace("6c1f1a1e", "00000000")
        .replace("build-push-run-output-image", "other")
        .replace("team/kaniko-chains", "team/other");
    scene.write("other.yaml", other);
    scene.run(&["sign", "other.yaml"]).expect(0);
    verify(&scene).expect(0).says("the provenance beside it speaks of this image");
    let theirs = scene.find("chains-out", "/provenance.json").remove(1);
    for path in scene.find("chains-out", "") {
        let name = path.file_name().unwrap();
        if name.to_str().unwrap().starts_with("image-kaniko") {
            fs::copy(&path, theirs.with_file_name(name)).unwrap();
        }
    }
    verify(&scene).expect(1).says("the provenance beside it does not speak of this image");
}
