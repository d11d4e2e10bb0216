//! Whatever comes in, nothing panics: it is read, or refused with a reason, and what is read can be looked into.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use chains_core::RunKind;
use chains_tekton::read::read_documents;
use chains_tekton::{Run, hints};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Any JSON, not deep.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(text(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Any text, or one that means something somewhere.
fn text() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "name",
        "value",
        "uri",
        "digest",
        "a",
        "TaskRun",
        "IMAGES",
        "a-IMAGE_URL",
        "a-IMAGE_DIGEST",
        "x-ARTIFACT_OUTPUTS",
        "CHAINS-GIT_URL",
        "reg.io/a@sha256:",
        "2026-03-29T09:50:15Z",
    ]);
    prop_oneof![any::<String>(), known.prop_map(str::to_owned)]
}

fn place() -> impl Strategy<Value = Vec<&'static str>> {
    let places = vec![
        "metadata metadata.name metadata.labels metadata.annotations metadata.ownerReferences",
        "spec spec.params spec.taskRef spec.pipelineRef spec.taskRunTemplate spec.resources spec.managedBy",
        "status status.results status.taskResults status.pipelineResults status.resourcesResult status.steps",
        "status.sidecars status.provenance status.taskSpec status.pipelineSpec status.conditions",
        "status.startTime status.childReferences status.taskRuns status.runs kind apiVersion",
    ];
    let places: Vec<&str> = places.into_iter().flat_map(str::split_whitespace).collect();
    prop::sample::select(places).prop_map(|place| place.split('.').collect())
}

/// A run with anything in some of its places.
fn odd_run() -> impl Strategy<Value = Value> {
    let kind = prop::sample::select(vec!["TaskRun", "PipelineRun"]);
    let version = prop::sample::select(vec!["tekton.dev/v1", "tekton.dev/v1beta1"]);
    let odd = prop::collection::vec((place(), any_json()), 0..4);
    (kind, version, odd).prop_map(|(kind, version, odd)| {
        let mut run =
            json!({"apiVersion": version, "kind": kind, "metadata": {"name": "a", "uid": "u"}});
        for (path, value) in odd {
            let mut place = &mut run;
            for key in path {
                if !place.is_object() {
                    *place = Value::Object(Map::new());
                }
                place = place.as_object_mut().unwrap().entry(key).or_insert(Value::Null);
            }
            *place = value;
        }
        run
    })
}

/// Looks into everything that a run can be asked for.
fn look_into(run: &Run) -> usize {
    let explained: usize = run.explain().iter().map(|hint| hint.to_string().len()).sum();
    let missing: usize = run.missing_children().iter().map(|child| child.to_string().len()).sum();
    let steps: usize = run.steps().map(|step| step.results().len()).sum();
    let spec = run.pipeline_spec().map_or(0, |pipeline| pipeline.tasks().count());
    let times = (run.owner(), run.start_time(), run.completion_time(), run.first_condition());
    let images = hints::images(run.params()).len() + run.images().len() + run.targets(true).len();
    explained + missing + steps + spec + images + run.executed_tasks().count() + size_of_val(&times)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn odd_runs_do_not_panic(run in odd_run(), child in odd_run()) {
        let read = |json: &Value| Run::from_json(json.to_string().as_bytes());
        for (json, run) in [(&run, read(&run)), (&child, read(&child))] {
            match run {
                Err(error) => prop_assert!(!error.report().contains('\n'), "{}", error.report()),
                Ok(run) => {
                    look_into(&run);
                    // What is read is in a shape that stays: it is the same, read once more.
                    let again = Run::from_document(run.document().clone()).unwrap();
                    prop_assert_eq!(again.document(), run.document(), "{}", json);
                }
            }
        }
        let listed = json!({"apiVersion": "v1", "kind": "List", "items": [run, child]});
        let runs: Vec<Run> =
            read_documents(listed.to_string().as_bytes()).into_iter().flatten().collect();
        for run in Run::adopt_all(runs.clone()) {
            look_into(&run);
            for child in run.children().filter(|child| !child.reference().uid.is_empty()) {
                prop_assert!(run.kind() == RunKind::PipelineRun && run.owns(child));
            }
        }
    }

    #[test]
    fn bytes_that_are_no_run_do_not_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        text in any::<String>(),
        yaml in "([ a:\\-\\[\\]{},&*|>\"'#\n]|---\n|kind: ){0,60}",
    ) {
        for bytes in [bytes.as_slice(), text.as_bytes(), yaml.as_bytes()] {
            let _ = Run::from_json(bytes);
            for error in read_documents(bytes).into_iter().filter_map(Result::err) {
                prop_assert!(!error.report().contains(char::is_control), "{:?}", error.report());
            }
        }
    }
}
