//! `chains payload --jsonl`: a line in, a line out.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use chains_conformance::golden;
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

/// The golden set, by the command itself: the very bytes.
#[test]
fn golden_set_is_answered_by_the_command() {
    let scene = Scene::new();
    let families = golden::families();
    assert!(!families.is_empty());
    for family in families {
        let cases: String = family.cases.iter().map(|case| case.line.clone() + "\n").collect();
        let said = scene.run_with(&["payload", "--jsonl"], cases.as_bytes());
        let expected = std::fs::read_to_string(&family.answers).unwrap();
        let lines = said.out.lines().zip(expected.lines()).zip(&family.cases);
        for ((found, expected), case) in lines {
            assert_eq!(found, expected, "{}", case.name);
        }
        assert_eq!(said.out.lines().count(), family.cases.len());
        let refused = expected.lines().any(|line| line.starts_with(r#"{"error":"#));
        assert_eq!(said.code, if refused { 3 } else { 0 }, "{}", said.err);
    }
}

/// Whoever asks, waits for the answer and then asks again is not left waiting.
#[test]
fn each_answer_comes_before_the_next_question() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_chains"))
        .args(["payload", "--jsonl"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let (tell, answers) = mpsc::channel();
    let output = BufReader::new(child.stdout.take().unwrap());
    let reader = std::thread::spawn(move || {
        for line in output.lines() {
            let _ = tell.send(line.unwrap());
        }
    });
    for name in ["one", "two", "three"] {
        input.write_all((case(name, json!({})) + "\n").as_bytes()).unwrap();
        let answer = answers.recv_timeout(Duration::from_secs(60)).expect("an answer in time");
        assert!(answer.contains(&format!("taskrun-{name}")), "{answer}");
    }
    drop(input);
    assert!(child.wait().unwrap().success());
    reader.join().unwrap();
}

#[test]
fn a_line_without_end_is_refused_and_the_next_answered() {
    let most = 64 * 1024 * 1024;
    let of_length = |length: usize| {
        let case = case("long", json!({}));
        " ".repeat(length - case.len()) + &case
    };
    let input = [of_length(most), of_length(most + 1), case("next", json!({}))].join("\n");
    let said = Scene::new().run_with(&["payload", "--jsonl"], input.as_bytes()).expect(3);
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(lines[0].contains("taskrun-long"), "{}", lines[0]);
    assert_eq!(lines[1], r#"{"error":"reading a case: the line is over 64 MiB"}"#);
    assert!(lines[2].contains("taskrun-next"), "{}", lines[2]);
}

#[test]
fn configurations_lie_under_those_of_the_cases() {
    let scene = Scene::new();
    scene.write("base", "artifacts.taskrun.format=slsa/v2alpha4\nbuilder.id=https://a.example\n");
    let input = [
        case("one", json!({"builder.id": "https://b.example"})),
        case("two", json!({"artifacts.taskrun.format": "in-toto"})),
        case("three", json!({"artifacts.taskrun.storage": ""})),
    ];
    let args = ["payload", "--jsonl", "--config", "base", "--config", "artifacts.oci.storage="];
    let said = scene.run_with(&args, input.join("\n").as_bytes()).expect(0);
    let lines: Vec<Value> =
        said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let predicate = |index: usize| &lines[index]["payloads"][0]["payload"]["predicate"];
    assert_eq!(predicate(0)["runDetails"]["builder"]["id"], "https://b.example");
    assert_eq!(predicate(1)["builder"]["id"], "https://a.example");
    // What is not signed is left out.
    assert_eq!(lines[2], json!({"payloads": [], "artifactURIs": []}));

    let refused = |args: &[&str], why: &str| {
        let said = scene.run_with(args, input[0].as_bytes()).expect(2);
        assert!(said.out.is_empty() && said.err.contains(why), "{} {}", said.out, said.err);
    };
    refused(&["payload", "--jsonl", "--config", "builder.di=x"], "builder.id");
    refused(&["payload", "--jsonl", "--config", "missing"], "neither a file nor KEY=VALUE");
    refused(&["payload", "--jsonl", "--config", "-"], "standard input holds the cases");
}

/// `chains payload RUN` says the same of a run as `--jsonl`, beside which run it is.
#[test]
fn documents_are_answered_alike() {
    let scene = Scene::new();
    let line = case("one", json!({}));
    let object = serde_json::from_str::<Value>(&line).unwrap()["object"].to_string();
    scene.write("run.json", format!("{object}\n{{\"kind\":\"Pod\",\"apiVersion\":\"v1\"}}\n"));
    let said = scene.run(&["payload", "run.json", "--output", "json"]).expect(3);
    let shown: Value = serde_json::from_str(&said.out).unwrap();
    let said = scene.run_with(&["payload", "--jsonl"], line.as_bytes()).expect(0);
    let mut answer: Value = serde_json::from_str(&said.out).unwrap();
    for (key, value) in [("kind", "TaskRun"), ("namespace", ""), ("name", "one"), ("uid", "one")] {
        answer[key] = value.into();
    }
    assert_eq!(shown["runs"], json!([answer]));
    assert_eq!(shown["unread"].as_array().map(Vec::len), Some(1), "{shown}");
}
