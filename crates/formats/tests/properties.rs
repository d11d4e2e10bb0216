//! What holds for every run, however odd: no panic, the same bytes whatever the order of keys, and nothing is
//! extracted that `explain` would not say.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeSet;

use chains_core::{Payload, RunKind, Target};
use chains_formats::{BuildType, NAMES, Options, by_name};
use chains_tekton::{Made, Run, Verdict};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Any JSON, not deep.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn digest() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "sha256:[a-f0-9]{64}",
        1 => "sha1:[a-f0-9]{40}",
        1 => "(sha384|sha512|md5|SHA256):[a-f0-9]{60,130}",
        1 => "[ \n]?sha256 ?: ?[a-fA-F0-9]{63,65}[ \n]?",
        1 => any::<String>(),
    ]
}

fn uri() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z]{2,8}(\\.io)?(:[0-9]{1,5})?/[a-z]{2,8}(:[a-z0-9]{1,5})?",
        1 => "(git\\+|oci://|https://|u://)?[a-z./]{0,12}(\\.git)?",
        1 => "[a-zA-Z0-9:/@._ \\-]{0,20}",
        1 => any::<String>(),
    ]
}

fn hint_name() -> impl Strategy<Value = String> {
    let suffix = prop::sample::select(vec![
        "IMAGE_URL",
        "IMAGE_DIGEST",
        "ARTIFACT_URI",
        "ARTIFACT_DIGEST",
        "ARTIFACT_OUTPUTS",
        "ARTIFACT_INPUTS",
        "IMAGES",
        "CHAINS-GIT_URL",
        "CHAINS-GIT_COMMIT",
    ]);
    prop_oneof![
        9 => (prop::sample::select(vec!["", "", "a-", "b_", "x"]), suffix).prop_map(|(p, s)| format!("{p}{s}")),
        1 => any::<String>(),
    ]
}

/// A value that goes with a name, mostly.
fn hint_value() -> impl Strategy<Value = Value> {
    let object = (uri(), digest(), prop::sample::select(vec!["true", "false", ""])).prop_map(
        |(uri, digest, build)| json!({"uri": uri, "digest": digest, "isBuildArtifact": build}),
    );
    let list = prop::collection::vec((uri(), digest()), 0..3).prop_map(|images| {
        let images = images.iter().map(|(uri, digest)| format!("{uri}@{digest}"));
        Value::from(images.collect::<Vec<_>>().join(","))
    });
    prop_oneof![
        3 => uri().prop_map(Value::from),
        3 => digest().prop_map(Value::from),
        3 => object,
        2 => list,
        1 => any_json(),
    ]
}

fn named(key: &'static str) -> impl Strategy<Value = Value> {
    prop::collection::vec((hint_name(), hint_value()), 0..8).prop_map(move |items| {
        items.into_iter().map(|(name, value)| json!({"name": name, key: value})).collect()
    })
}

fn provenance() -> impl Strategy<Value = Value> {
    let digests = prop::collection::btree_map("sha1|sha256|x", "[a-f0-9]{4}", 0..3);
    prop_oneof![
        Just(Value::Null),
        (uri(), digests)
            .prop_map(|(uri, digest)| json!({"refSource": {"uri": uri, "digest": digest}})),
    ]
}

fn steps() -> impl Strategy<Value = Value> {
    let step = ("[a-c]", uri(), "[a-f0-9]{64}", named("value"), provenance());
    prop::collection::vec(step, 0..4).prop_map(|steps| {
        let step = |(name, image, hex, results, provenance): (
            String,
            String,
            String,
            Value,
            Value,
        )| {
            let image = format!("{}@sha256:{hex}", image.replace('@', ""));
            json!({"name": name, "imageID": image, "results": results, "provenance": provenance})
        };
        steps.into_iter().map(step).collect()
    })
}

prop_compose! {
    fn task_run(name: &'static str)(
        results in named("value"),
        params in named("value"),
        defaults in named("default"),
        steps in steps(),
        provenance in provenance(),
        extra in any_json(),
        labels in prop::collection::btree_map(any::<String>(), any::<String>(), 0..4),
    ) -> Value {
        json!({
            "apiVersion": "tekton.dev/v1", "kind": "TaskRun",
            "metadata": {"name": name, "uid": format!("uid-{name}"), "labels": labels, "annotations": labels},
            "spec": {"params": params, "taskRef": {"resolver": "git"}, "extra": extra},
            "status": {
                "completionTime": "2026-03-29T09:50:15Z",
                "results": results, "steps": steps, "provenance": provenance, "extra": extra,
                "taskSpec": {"params": defaults, "steps": [{"name": "a"}, {"name": "b"}]},
            },
        })
    }
}

/// A run and its children.
fn case() -> impl Strategy<Value = (Value, Vec<Value>)> {
    let alone = task_run("task").prop_map(|run| (run, Vec::new()));
    let pipeline = (task_run("release"), task_run("a"), task_run("b")).prop_map(|(mut run, a, b)| {
        run["kind"] = json!("PipelineRun");
        let spec = run["status"].as_object_mut().and_then(|status| status.remove("taskSpec"));
        run["status"]["pipelineSpec"] = json!({
            "params": spec.map(|spec| spec["params"].clone()),
            "tasks": [{"name": "a"}, {"name": "b", "params": [{"name": "p", "value": "$(tasks.a.results.x)"}]}],
        });
        run["status"]["childReferences"] = json!([
            {"kind": "TaskRun", "name": "b", "pipelineTaskName": "b"},
            {"kind": "TaskRun", "name": "a", "pipelineTaskName": "a"},
        ]);
        (run, vec![a, b])
    });
    prop_oneof![alone, pipeline]
}

/// JSON with the keys of each object in an order of its own.
fn shuffled(value: &Value, seed: &mut u64, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            for index in (1..entries.len()).rev() {
                *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                entries.swap(index, usize::try_from(*seed >> 33).unwrap() % (index + 1));
            }
            out.push('{');
            for (index, (key, value)) in entries.into_iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push_str(" : ");
                shuffled(value, seed, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ",\n" });
                shuffled(item, seed, out);
            }
            out.push(']');
        }
        other => out.push_str(&other.to_string()),
    }
}

fn read(value: &Value, seed: u64) -> Run {
    let (mut text, mut seed) = (String::new(), seed);
    shuffled(value, &mut seed, &mut text);
    Run::from_json(text.as_bytes()).unwrap_or_else(|error| panic!("{}: {text}", error.report()))
}

fn every_option() -> impl Iterator<Item = (&'static str, Options)> {
    NAMES.into_iter().flat_map(|name| {
        BuildType::ALL.into_iter().flat_map(move |build_type| {
            [false, true].map(|deep_inspection| {
                (name, Options { build_type, deep_inspection, ..Options::default() })
            })
        })
    })
}

fn payloads(run: &Run) -> Vec<(String, Option<Payload>)> {
    let mut made = Vec::new();
    for (name, options) in every_option() {
        let format = by_name(name, &options).unwrap();
        for target in run.targets(true) {
            let payload = format.payload(run, &target);
            let label = format!("{name} {options:?} {target}");
            made.push((label, payload.unwrap_or_else(|error| panic!("{}", error.report()))));
        }
    }
    made
}

/// What `explain` says was built: `NAME@ALGORITHM:HEX`, in both spellings of the name.
fn explained<'a>(runs: impl Iterator<Item = &'a Run>) -> BTreeSet<String> {
    let mut built = BTreeSet::new();
    for hint in runs.flat_map(Run::explain) {
        match hint.verdict {
            Verdict::Used { made: Made::Image(image), .. } => {
                built.insert(image.to_string());
            }
            Verdict::Used { made: Made::Artifact { uri, digest }, .. } => {
                built.insert(format!("{uri}@{digest}"));
            }
            _ => {}
        }
    }
    built
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn same_run_makes_same_bytes((run, children) in case(), seed in any::<u64>()) {
        let first = read(&run, 1).with_children(children.iter().map(|child| read(child, 2)));
        let again = read(&run, seed).with_children(children.iter().rev().map(|child| read(child, !seed)));
        prop_assert_eq!(first.document(), again.document());
        prop_assert_eq!(payloads(&first), payloads(&again));
    }

    #[test]
    fn payloads_are_what_they_say((run, children) in case()) {
        let run = read(&run, 0).with_children(children.iter().map(|child| read(child, 0)));
        for (label, payload) in payloads(&run) {
            let Some(payload) = payload else { continue };
            let document: Value = serde_json::from_slice(&payload.bytes).expect("a payload is JSON");
            if payload.predicate_type.is_none() {
                continue;
            }
            prop_assert_eq!(document["predicateType"].as_str(), payload.predicate_type, "{}", label);
            let none = Vec::new();
            let subjects = document["subject"].as_array().unwrap_or(&none);
            let told: Vec<_> = subjects
                .iter()
                .flat_map(|subject| {
                    let name = subject["name"].as_str().unwrap();
                    let digest = subject["digest"].as_object().unwrap();
                    digest.iter().map(move |(alg, hex)| format!("{name}@{alg}:{}", hex.as_str().unwrap()))
                })
                .collect();
            let kept: Vec<_> = payload.subjects.iter().flat_map(|s| s.artifact_uris()).collect();
            prop_assert_eq!(told, kept, "{}", label);
        }
    }

    #[test]
    fn what_is_extracted_is_explained((run, children) in case()) {
        let run = read(&run, 0).with_children(children.iter().map(|child| read(child, 0)));
        let built = explained(std::iter::once(&run).chain(run.children()));
        for image in run.images() {
            prop_assert!(built.contains(&image.to_string()), "{} is not explained", image);
        }
        for (label, payload) in payloads(&run) {
            for subject in payload.iter().flat_map(|payload| &payload.subjects) {
                for uri in subject.artifact_uris() {
                    // An output that is an image is told by the image's own name.
                    let image = uri.parse::<chains_core::ImageDigest>().map(|image| image.to_string());
                    let known = built.contains(&uri) || image.is_ok_and(|image| built.contains(&image));
                    prop_assert!(known, "{} of {} is not explained: {:?}", uri, label, built);
                }
            }
        }
    }

    /// Any JSON in any place of a run: it is read, or refused with a reason.
    #[test]
    fn odd_fields_do_not_panic(
        (mut run, _) in case(),
        path in prop::sample::select(vec![
            "metadata", "spec", "status", "metadata.name", "metadata.labels", "spec.params", "spec.taskRef",
            "status.results", "status.steps", "status.provenance", "status.taskSpec", "status.pipelineSpec",
            "status.conditions", "status.startTime", "status.childReferences", "kind", "apiVersion",
        ]),
        odd in any_json(),
        old in any::<bool>(),
    ) {
        if old {
            run["apiVersion"] = json!("tekton.dev/v1beta1");
        }
        let mut place = &mut run;
        for key in path.split('.') {
            place = place.as_object_mut().unwrap().entry(key).or_insert(Value::Null);
            if place.is_null() {
                *place = Value::Object(Map::new());
            }
        }
        *place = odd;
        match Run::from_json(run.to_string().as_bytes()) {
            Err(error) => prop_assert!(!error.report().is_empty()),
            Ok(run) => {
                let _ = (run.explain(), run.missing_children(), run.owner(), run.images());
                for (name, options) in every_option() {
                    let _ = by_name(name, &options).unwrap().payload(&run, &Target::Run);
                }
            }
        }
    }
}

/// Ten thousand of everything: neither a stack nor a quadratic loop gives way.
#[test]
fn huge_arrays() {
    let many = 10_000;
    let hex = |index: usize| format!("{index:064x}");
    let results: Vec<Value> = (0..many)
        .flat_map(|index| {
            [
                json!({"name": format!("{index}-IMAGE_URL"), "value": format!("reg.io/image-{index}")}),
                json!({"name": format!("{index}-IMAGE_DIGEST"), "value": format!("sha256:{}", hex(index))}),
                json!({"name": format!("{index}-ARTIFACT_INPUTS"),
                    "value": {"uri": format!("u://{index}"), "digest": format!("sha256:{}", hex(index))}}),
            ]
        })
        .collect();
    let steps: Vec<Value> = (0..many)
        .map(|index| json!({"name": format!("s{index}"), "imageID": format!("reg.io/x@sha256:{}", hex(index))}))
        .collect();
    let run = json!({
        "apiVersion": "tekton.dev/v1", "kind": "TaskRun", "metadata": {"name": "a", "uid": "b"},
        "status": {"results": results, "steps": steps.clone(), "taskSpec": {"steps": steps}},
    });
    let run = Run::from_json(run.to_string().as_bytes()).unwrap();
    assert_eq!(run.kind(), RunKind::TaskRun);
    assert_eq!(run.images().len(), many);
    assert_eq!(run.explain().len(), 3 * many);
    for name in ["in-toto", "slsa/v2alpha4"] {
        let payload = by_name(name, &Options::default())
            .unwrap()
            .payload(&run, &Target::Run)
            .unwrap()
            .unwrap();
        assert_eq!(payload.subjects.len(), many);
    }
}
