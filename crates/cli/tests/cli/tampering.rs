//! What was changed after it was signed is refused, with the reason.

use std::path::Path;

use crate::harness::Scene;

const KEY: [&str; 2] = ["--key", "chains-out/chains.pub"];

/// Signs, changes the one file with this ending, and verifies.
fn check(ending: &str, change: impl FnOnce(&str) -> String, why: &str) {
    let scene = Scene::signed();
    let found = scene.find("chains-out", ending);
    let [file] = found.as_slice() else { panic!("{found:?}") };
    scene.edit(file, change);
    scene.run(&["verify", "chains-out", KEY[0], KEY[1]]).expect(1).says("REFUSED").says(why);
}

#[test]
fn a_changed_statement_is_refused() {
    let change = |text: &str| text.replace("kaniko-chains", "another-task");
    check("/provenance.json", change, "the readable statement is not the one that is signed");
}

#[test]
fn a_changed_envelope_is_refused() {
    check("/provenance.dsse.json", |text| text.replace("\"sig\":\"M", "\"sig\":\"N"), "signature");
}

#[test]
fn an_envelope_of_another_type_is_refused() {
    let scene = Scene::signed();
    // The bundle would be refused first: it is not of the envelope any more.
    std::fs::remove_file(&scene.find("chains-out", "/provenance.sigstore.json")[0]).unwrap();
    let file = scene.find("chains-out", "/provenance.dsse.json").remove(0);
    scene.edit(&file, |text| text.replace("application/vnd.in-toto+json", "application/json"));
    scene.run(&["verify", "chains-out", KEY[0], KEY[1]]).expect(1).says("payload type");
}

#[test]
fn a_changed_image_signature_is_refused() {
    let flip = |text: &str| {
        let last = text.trim_end().trim_end_matches('=').chars().last().unwrap();
        let at = text.rfind(last).unwrap();
        // A character in the middle: the last ones may hold bits that do not count.
        let middle = text.len() / 2;
        let other = if &text[middle..=middle] == "A" { "B" } else { "A" };
        assert!(middle < at);
        format!("{}{other}{}", &text[..middle], &text[middle + 1..])
    };
    check(".sig", flip, "signature");
}

#[test]
fn a_changed_digest_is_refused() {
    let scene = Scene::signed();
    let image = scene.find("chains-out", ".json").into_iter().find(|p| is_document(p)).unwrap();
    scene.edit(&image, |text| text.replace("sha256:b1ecbb5b", "sha256:00000000"));
    scene.run(&["verify", "chains-out", KEY[0], KEY[1]]).expect(1).says("signature");
}

fn is_document(path: &Path) -> bool {
    let name = path.file_name().unwrap().to_string_lossy();
    name.starts_with("image-") && !name.contains("sigstore")
}

#[test]
fn a_bundle_of_something_else_is_refused() {
    let change = |text: &str| text.replace("in-toto+json", "in-toto+yaml");
    check("/provenance.sigstore.json", change, "bundle");
}

#[test]
fn another_key_is_refused_and_named() {
    let scene = Scene::signed();
    scene.run(&["keys", "generate", "--output-key-prefix", "other"]).expect(0);
    scene.run(&["verify", "chains-out", "--key", "other.pub"]).expect(1).says("SHA256:");
    // Either key is enough.
    scene.run(&["verify", "chains-out", "--key", "other.pub", KEY[0], KEY[1]]).expect(0);
}

#[test]
fn an_empty_folder_verifies_nothing() {
    let scene = Scene::signed();
    std::fs::create_dir(scene.path("empty")).unwrap();
    let args = ["verify", "empty", KEY[0], KEY[1], "--output", "json"];
    let said = scene.run(&args).expect(1).json();
    assert_eq!(said[0]["verified"], false);
    assert_eq!(said[0]["error"], "nothing signed was found");
}

#[test]
fn annotations_that_were_changed_are_refused() {
    let scene = Scene::signed();
    scene.run(&["sign", "run.yaml", "--store", "tekton"]).expect(0);
    let file = scene.find("chains-out/runs", ".json").remove(0);
    let path = file.to_str().unwrap().to_owned();
    scene.run(&["verify", &path, KEY[0], KEY[1]]).expect(0);
    let name = "chains.tekton.dev/payload-b1ecbb5bf11b\": \"";
    scene.edit(&file, |text| text.replace(&format!("{name}ey"), &format!("{name}eX")));
    scene.run(&["verify", &path, KEY[0], KEY[1]]).expect(1).says("REFUSED");
}

#[test]
fn a_run_without_signatures_is_refused() {
    let scene = Scene::signed();
    scene.run(&["verify", "run.yaml", KEY[0], KEY[1]]).expect(1).says("carries none");
}
