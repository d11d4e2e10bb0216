//! `chains payload --jsonl`: a line in, a line out.

use serde_json::{Value, json};

use crate::harness::Scene;

fn case(name: &str, config: Value) -> String {
    json!({
        "object": {
            "apiVersion": "tekton.dev/v1", "kind": "TaskRun", "metadata": {"name": name, "uid": name},
            "status": {"conditions": [{"type": "Succeeded", "status": "True"}]}
        },
        "config": config
    })
    .to_string()
}

#[test]
fn every_line_is_answered_in_order() {
    let scene = Scene::new();
    let input = [
        case("one", json!({})),
        "{broken".to_owned(),
        case("two", json!({"artifacts.taskrun.format": "slsa/v2alpha4"})),
        case("three", json!({"artifacts.taskrun.fromat": "x"})),
        "{}".to_owned(),
    ];
    let said = scene.run_with(&["payload", "--jsonl"], input.join("\n").as_bytes()).expect(3);
    let lines: Vec<Value> =
        said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 5);
    assert_eq!(lines[0]["payloads"][0]["shortKey"], "taskrun-one");
    assert_eq!(
        lines[0]["payloads"][0]["payload"]["predicateType"],
        "https://slsa.dev/provenance/v0.2"
    );
    assert_eq!(
        lines[2]["payloads"][0]["payload"]["predicateType"],
        "https://slsa.dev/provenance/v1"
    );
    assert!(lines[1]["error"].is_string() && lines[4]["error"].is_string());
    assert!(lines[3]["error"].as_str().unwrap().contains("artifacts.taskrun.format"));
}
