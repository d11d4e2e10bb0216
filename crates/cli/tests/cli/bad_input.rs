//! Whatever is put in: an error or a stated skip, an exit code, and never a panic.

use serde_json::json;

use crate::harness::{Scene, TASK_RUN};

/// Signs this document; returns what was said.
fn check(document: impl AsRef<[u8]>, code: i32, says: &str) {
    let scene = Scene::new();
    scene.write("run.yaml", document);
    scene.run(&["sign", "run.yaml"]).expect(code).says(says);
    scene.run(&["explain", "run.yaml"]);
    scene.run(&["payload", "run.yaml"]);
}

#[test]
fn broken_documents_are_told() {
    check("a: [", 3, "not read");
    check("", 3, "there is no document in it");
    check(b"kind: \xff\xfe", 3, "UTF-8");
    check("{\"kind\":", 3, "not read");
    check("just words", 3, "not read");
    check(TASK_RUN.replace("kind: TaskRun", "kind: Deployment"), 3, "Deployment");
    check(TASK_RUN.replace("tekton.dev/v1\n", "tekton.dev/v9\n"), 3, "v9");
    check(TASK_RUN.replacen("  name: build-push-run-output-image\n", "", 1), 3, "name");
    check(
        TASK_RUN.replacen("  name: build-push", "  name: ../../build-push", 1),
        3,
        "metadata.name",
    );
}

#[test]
fn deep_nesting_is_refused() {
    check(format!("{}{}", "[".repeat(200_000), "]".repeat(200_000)), 3, "not read");
    check(format!("{}1{}", "{\"a\":".repeat(50_000), "}".repeat(50_000)), 3, "not read");
}

#[test]
fn aliases_that_multiply_are_refused() {
    let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for level in 1..12 {
        let before = format!("*a{}", level - 1);
        let ten = vec![before; 10].join(",");
        bomb.push_str(&format!("a{level}: &a{level} [{ten}]\n"));
    }
    check(bomb, 3, "not read");
}

#[test]
fn a_document_of_ten_mebibytes_is_read() {
    let filler = "x".repeat(10 * 1024 * 1024);
    let big = TASK_RUN
        .replace("write-url\n      container", &format!("write-url-{filler}\n      container"));
    check(big, 0, "1 signed");
}

#[test]
fn a_run_that_is_not_over_is_skipped() {
    let document = TASK_RUN.split("status:").next().unwrap().to_owned();
    check(document, 0, "skipped: still running");
}

/// A run with these results, as JSON.
fn with_results(results: serde_json::Value) -> String {
    json!({
        "apiVersion": "tekton.dev/v1", "kind": "TaskRun",
        "metadata": {"name": "odd", "namespace": "ci", "uid": "1-2-3"},
        "status": {"conditions": [{"type": "Succeeded", "status": "True"}], "results": results}
    })
    .to_string()
}

fn image(url: serde_json::Value, digest: serde_json::Value) -> String {
    with_results(
        json!([{"name": "IMAGE_URL", "value": url}, {"name": "IMAGE_DIGEST", "value": digest}]),
    )
}

#[test]
fn odd_results_leave_the_image_out_and_sign_the_run() {
    let sha256 = format!("sha256:{}", "ab".repeat(32));
    for url in [
        json!(7),
        json!(null),
        json!(["a"]),
        json!({"a": "b"}),
        json!(""),
        json!("UPPER/case"),
        json!("reg.io/a b"),
        json!("reg.io/a\u{0}b"),
        json!("reg.io/\u{202e}evil"),
        json!("../../etc/passwd"),
        json!("-"),
    ] {
        check_left_out(&image(url, json!(sha256)));
    }
    for digest in [
        json!("sha512:ab"),
        json!(format!("sha512:{}", "ab".repeat(64))),
        json!("sha256:"),
        json!(64),
        json!(format!("sha256:{}", "AB".repeat(32))),
        json!(format!("md5:{}", "ab".repeat(16))),
        json!({}),
        json!("sha256:sha256"),
        json!(format!("{sha256}\n{sha256}")),
    ] {
        check_left_out(&image(json!("reg.io/app"), digest));
    }
}

/// Either the run is signed and no image is, or the document is refused: nothing in between.
fn check_left_out(document: &str) {
    let scene = Scene::new();
    scene.write("run.json", document);
    let said = scene.run(&["sign", "run.json", "-o", "json"]);
    let summary = said.json();
    let images = summary["runs"][0]["targets"].as_array().map_or(0, |targets| targets.len() - 1);
    assert_eq!(images, 0, "{document} made {summary}");
    assert!(
        said.code == 0
            || (said.code == 3 && !summary["unread"][0]["error"].as_str().unwrap().is_empty()),
        "{document} made {said:?}"
    );
}

#[test]
fn escape_sequences_in_results_do_not_reach_the_terminal() {
    let scene = Scene::new();
    let hidden = "reg.io/app\u{1b}[2K\u{1b}[1A";
    scene.write("run.json", image(json!(hidden), json!("sha256:ab")));
    let said = scene.run(&["explain", "run.json"]).expect(0);
    assert!(!said.out.contains('\u{1b}'), "{:?}", said.out);
}

#[test]
fn what_is_not_there_is_told() {
    let scene = Scene::new();
    scene.run(&["sign", "nowhere.yaml"]).expect(2).says("nowhere.yaml");
    std::fs::create_dir(scene.path("empty")).unwrap();
    scene.run(&["sign", "empty"]).expect(2).says("no .yaml");
    scene.write("run.yaml", TASK_RUN);
    scene.run(&["sign", "run.yaml", "--key", "nowhere.key"]).expect(2).says("nowhere.key");
    scene.run(&["sign", "run.yaml", "--store", "ftp"]).expect(2).says("ftp");
    let no_bucket = ["sign", "run.yaml", "--store", "gcs"];
    scene.run(&no_bucket).expect(2).says("`storage.gcs.bucket`: must be set");
    scene.run(&["sign"]).expect(2);
    scene.run(&["sing"]).expect(2).says("sign");
}

#[test]
fn one_missing_path_does_not_stop_the_others() {
    let scene = Scene::new();
    scene.write("run.yaml", TASK_RUN);
    std::fs::create_dir(scene.path("empty")).unwrap();
    for command in ["sign", "explain", "payload"] {
        let said = scene.run(&[command, "nowhere.yaml", "run.yaml", "empty"]).expect(3);
        said.says("nowhere.yaml: No such file").says("empty: the folder has no .yaml");
    }
    scene.run(&["sign", "nowhere.yaml", "run.yaml"]).expect(3).says("1 signed, 0 failed");
    // Where nothing can be read, nothing is done.
    let said = scene.run(&["sign", "nowhere.yaml", "empty"]).expect(2);
    said.says("reading nowhere.yaml: No such file").says("reading empty: the folder has no");
}

#[test]
fn a_list_may_be_empty() {
    let scene = Scene::signed();
    let lists = [
        "apiVersion: v1\nkind: List\nitems: []\n",
        r#"{"apiVersion": "tekton.dev/v1", "kind": "TaskRunList", "items": []}"#,
    ];
    for list in lists {
        for command in ["sign", "explain", "payload"] {
            let said = scene.run_with(&[command, "-"], list.as_bytes()).expect(0);
            said.says("standard input: there are no runs in the list");
        }
        let verify = ["verify", "-", "--key", "chains-out/chains.pub"];
        scene.run_with(&verify, list.as_bytes()).expect(1).says("nothing signed was found");
    }
    for blank in ["", "\n", "---\n# nothing\n...\n", "\u{feff}---\n"] {
        let said = scene.run_with(&["sign", "-"], blank.as_bytes()).expect(3);
        said.says("there is no document in it");
    }
}

#[test]
fn a_folder_that_cannot_be_written_fails_the_run() {
    let scene = Scene::signed();
    let chains_out = scene.path("chains-out/default");
    std::fs::remove_dir_all(&chains_out).unwrap();
    std::fs::write(&chains_out, "a file where a folder should be").unwrap();
    scene
        .run(&["sign", "run.yaml"])
        .expect(1)
        .says("0 signed, 1 failed")
        .says("chains-out/default");
}
