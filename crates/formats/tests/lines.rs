//! One case a line, and the names that a configuration may give.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;

use chains_core::{Error, ErrorKind, Result, RunKind};
use chains_formats::jsonl::{self, Chosen, to_line};
use chains_formats::{BuildType, NAMES, Options, by_name};
use serde_json::{Value, json};

const RUN: &str = r#"{"apiVersion":"tekton.dev/v1","kind":"KIND","metadata":{"name":"a","uid":"u"},
    "status":{"results":[{"name":"IMAGES","value":"nginx@sha256:HEX"}]}}"#;

fn run(kind: &str) -> String {
    RUN.replace("KIND", kind).replace("HEX", &"a".repeat(64))
}

fn chosen(run: Option<&str>, image: Option<&str>, pipeline_images: bool) -> Chosen {
    let format = |name: &str| by_name(name, &Options::default()).unwrap();
    Chosen { run: run.map(format), image: image.map(format), pipeline_images }
}

fn answer(
    line: &[u8],
    choose: impl FnOnce(BTreeMap<String, String>, RunKind) -> Result<Chosen>,
) -> Vec<u8> {
    to_line(&jsonl::answer(line, choose))
}

fn check(line: &str, chosen: Chosen, expect: &[&str]) {
    let answer: Value =
        serde_json::from_slice(&answer(line.as_bytes(), |_, _| Ok(chosen))).unwrap();
    let told: Vec<_> = answer["payloads"]
        .as_array()
        .unwrap()
        .iter()
        .map(|made| {
            let text = |key: &str| made[key].as_str().unwrap_or_default();
            let what = if made["payload"].is_object() { "payload" } else { text("error") };
            format!("{} {} {}: {what}", text("artifact"), text("format"), text("shortKey"))
        })
        .collect();
    assert_eq!(told, expect, "{line}");
}

#[test]
fn targets_are_those_that_are_asked_for() {
    let task = format!(r#"{{"object":{}}}"#, run("TaskRun"));
    let image = "oci simplesigning aaaaaaaaaaaa: payload";
    check(
        &task,
        chosen(Some("slsa/v2alpha4"), Some("simplesigning"), false),
        &["tekton slsa/v2alpha4 taskrun-u: payload", image],
    );
    check(&task, chosen(Some("tekton"), None, false), &["tekton tekton taskrun-u: payload"]);
    check(&task, chosen(None, Some("simplesigning"), false), &[image]);
    check(&task, chosen(None, None, true), &[]);
    check(
        &task,
        chosen(Some("simplesigning"), Some("in-toto"), true),
        &[
            "tekton simplesigning taskrun-u: format simplesigning says nothing about run",
            "oci in-toto aaaaaaaaaaaa: format in-toto says nothing about IMAGE",
        ]
        .map(|line| {
            line.replace(
                "IMAGE",
                &format!("index.docker.io/library/nginx@sha256:{}", "a".repeat(64)),
            )
        })
        .each_ref()
        .map(String::as_str),
    );
    let pipeline = format!(r#"{{"object":{},"taskRuns":null}}"#, run("PipelineRun"));
    let own = "tekton-pipeline-run in-toto pipelinerun-u: payload";
    check(&pipeline, chosen(Some("in-toto"), Some("simplesigning"), false), &[own]);
    check(&pipeline, chosen(Some("in-toto"), Some("simplesigning"), true), &[own, image]);
}

#[test]
fn artifacts_are_the_subjects_of_the_run() {
    let line = format!(r#"{{"object":{},"name":"ignored"}}"#, run("TaskRun"));
    let chosen = chosen(Some("in-toto"), Some("simplesigning"), false);
    let answer: Value =
        serde_json::from_slice(&answer(line.as_bytes(), |_, _| Ok(chosen))).unwrap();
    let uri = format!("index.docker.io/library/nginx@sha256:{}", "a".repeat(64));
    assert_eq!(answer["artifactURIs"], json!([uri]));
}

/// The format `tekton` signs with the key of images: no status may be read as an image signature.
#[test]
fn a_status_that_is_an_image_signature_is_refused() {
    let check = |status: &str, refused: Option<&str>| {
        let object = format!(
            r#"{{"apiVersion":"tekton.dev/v1","kind":"TaskRun","metadata":{{"name":"a","uid":"u"}},"status":{status}}}"#
        );
        let run = chains_tekton::Run::from_json(object.as_bytes()).unwrap();
        for name in NAMES {
            let format = by_name(name, &Options::default()).unwrap();
            let payload = format.payload(&run, &chains_core::Target::Run);
            let error = payload.err().map(|error| error.report());
            let expect = refused.filter(|_| name == "tekton").map(|member| {
                format!(
                    "TaskRun a: format tekton does not sign status.{member}: with this member the signed status \
                     would be an image signature"
                )
            });
            assert_eq!(error, expect, "{name} {status}");
        }
    };
    let critical = r#"{"identity":{"docker-reference":""},"image":{"docker-manifest-digest":"sha256:00"},
        "type":"cosign container image signature"}"#;
    check(&format!(r#"{{"critical":{critical}}}"#), Some("critical"));
    check(&format!(r#"{{"podName":"a","Critical":{critical},"optional":null}}"#), Some("Critical"));
    check(r#"{"cRITICAL":null}"#, Some("cRITICAL"));
    check(&format!(r#"{{"extra":{{"critical":{critical}}}}}"#), None);
    check(r#"{"criticality":"high"}"#, None);
}

#[test]
fn lines_that_cannot_be_answered() {
    let check = |line: &[u8], why: &str| {
        let answer = answer(line, |_, _| Ok(chosen(None, None, false)));
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        let error = answer["error"].as_str().unwrap();
        assert!(error.contains(why), "{error}");
    };
    check(b"", "reading a case: EOF");
    check(b"\xff", "reading a case: invalid utf-8");
    check(b"[]", "reading a case: ");
    check(b"{}", "reading a case: missing field `object`");
    check(br#"{"object":5}"#, "object: a run is a JSON object, not a number");
    check(br#"{"object":{"apiVersion":"v1","kind":"Pod"}}"#, "object: Pod");
    let child = format!(r#"{{"object":{},"taskRuns":[{},7]}}"#, run("PipelineRun"), run("TaskRun"));
    check(child.as_bytes(), "taskRuns[1]: a run is a JSON object, not a number");
    let line = format!(r#"{{"object":{},"config":{{"a":"b"}}}}"#, run("TaskRun"));
    let refused = answer(line.as_bytes(), |config, _| {
        Err(Error::new(ErrorKind::Configuration, format!("{config:?} will not do")))
    });
    assert_eq!(refused, br#"{"error":"{\"a\": \"b\"} will not do"}"#);
}

#[test]
fn names() {
    for name in NAMES {
        assert_eq!(by_name(name, &Options::default()).unwrap().name(), name);
    }
    let error = by_name("slsa/v2alpha5", &Options::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert_eq!(
        error.to_string(),
        "unknown format \"slsa/v2alpha5\": known are in-toto, slsa/v1, slsa/v2alpha3, slsa/v2alpha4, tekton, \
         simplesigning"
    );
    for known in BuildType::ALL {
        assert_eq!(known.to_string().parse::<BuildType>().unwrap(), known);
    }
    let error = "slsa".parse::<BuildType>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown build type \"slsa\": known are https://tekton.dev/chains/v2/slsa, \
         https://tekton.dev/chains/v2/slsa-tekton"
    );
}
