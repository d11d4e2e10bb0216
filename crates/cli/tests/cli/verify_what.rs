//! What an argument of `chains verify` names, and of which type an attestation must be.

use crate::harness::Scene;

const KEY: [&str; 2] = ["--key", "chains-out/chains.pub"];

#[test]
fn a_mistyped_path_is_no_image() {
    let scene = Scene::signed();
    for path in [
        "chains-ot",
        "chains-out/defalt",
        "./run",
        "run.yml",
        "../no-such-thing-here",
        "/nowhere/x:1",
    ] {
        let said = scene.run(&["verify", path, KEY[0], KEY[1], "-o", "json"]).expect(1).json();
        let error = said[0]["error"].as_str().unwrap();
        assert!(error.starts_with("there is no such file or folder"), "{path}: {error}");
    }
}

#[cfg(unix)]
#[test]
fn pipes_and_links_are_files() {
    let scene = Scene::signed();
    let run = std::fs::read(scene.path("run.yaml")).unwrap();
    let said = scene.run_with(&["verify", "/dev/stdin", KEY[0], KEY[1]], &run).expect(1);
    said.says("carries none");
    std::os::unix::fs::symlink("nothing", scene.path("link:1")).unwrap();
    scene.run(&["verify", "link:1", KEY[0], KEY[1]]).expect(1).says("reading link:1");
}

#[test]
fn a_statement_must_have_the_type_that_is_asked_for() {
    let scene = Scene::signed();
    let verify = |kind: &str| scene.run(&["verify", "chains-out", KEY[0], KEY[1], "--type", kind]);
    verify("slsaprovenance").expect(0);
    verify("https://slsa.dev/provenance/v0.2").expect(0);
    verify("slsaprovenance1").expect(1).says("predicate type: ");
    verify("https://spdx.dev/Document").expect(1).says("is not https://spdx.dev/Document");
    verify("provenance").expect(2).says("slsaprovenance1");
}

#[test]
fn json_has_one_shape() {
    let scene = Scene::signed();
    let said = scene.run(&["verify", "chains-out", "nothing", KEY[0], KEY[1], "-o", "json"]);
    let said = said.expect(1).json();
    let keys = |value: &serde_json::Value| -> Vec<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(keys(&said[0]), ["items", "notes", "verified", "what"]);
    assert_eq!(keys(&said[1]), ["error", "items", "notes", "verified", "what"]);
    assert_eq!(keys(&said[0]["items"][0]), ["checks", "kind", "location", "verified"]);
    assert_eq!(keys(&said[0]["items"][0]["checks"][0]), ["detail", "passed"]);
}
