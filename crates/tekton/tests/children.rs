//! A PipelineRun and its TaskRuns: whose is whose, in which order, and what is missing.

#![allow(clippy::expect_used, reason = "a helper of tests")]

use chains_core::{RunKind, Target};
use chains_tekton::{Missing, Run};

fn pipeline_run(status: &str) -> Run {
    run(&format!(
        r#"{{"apiVersion":"tekton.dev/v1","kind":"PipelineRun",
            "metadata":{{"name":"release","namespace":"ci","uid":"pr-1"}},"status":{status}}}"#
    ))
}

fn task_run(name: &str, metadata: &str, status: &str) -> Run {
    run(&format!(
        r#"{{"apiVersion":"tekton.dev/v1","kind":"TaskRun",
            "metadata":{{"name":"{name}","namespace":"ci","uid":"u-{name}"{metadata}}},"status":{status}}}"#
    ))
}

fn run(json: &str) -> Run {
    Run::from_json(json.as_bytes()).expect("the run can be read")
}

const DONE: &str =
    r#"{"conditions":[{"type":"Ready","status":"False"},{"type":"Succeeded","status":"True"}]}"#;

fn names<'a>(runs: impl Iterator<Item = &'a Run>) -> Vec<&'a str> {
    runs.map(|run| &*run.reference().name).collect()
}

#[test]
fn children_come_in_the_order_of_their_references() {
    let parent = pipeline_run(
        r#"{"childReferences":[
            {"kind":"TaskRun","name":"b","pipelineTaskName":"build"},
            {"kind":"TaskRun","name":"a","pipelineTaskName":"clone"}],
            "pipelineSpec":{"tasks":[{"name":"clone"},{"name":"build"},{"name":"build2"}]}}"#,
    );
    let child = |name: &str| task_run(name, "", r#"{"completionTime":"2026-03-29T09:50:15Z"}"#);
    for order in [["a", "b", "z", "y"], ["z", "y", "b", "a"], ["y", "a", "z", "b"]] {
        let parent = parent.clone().with_children(order.map(child));
        // Those that are not listed are not its own.
        assert_eq!(names(parent.children()), ["b", "a"]);
        // By the tasks of the pipeline.
        assert_eq!(names(parent.executed_tasks()), ["a", "b"]);
    }
    let labelled = task_run(
        "a",
        r#","labels":{"tekton.dev/pipelineTask":"build2"}"#,
        r#"{"completionTime":"2026-03-29T09:50:15Z"}"#,
    );
    let parent = parent.with_children([labelled, child("b"), child("b")]);
    assert_eq!(names(parent.children()), ["b", "a"]);
    assert_eq!(names(parent.executed_tasks()), ["b", "a"]);
}

#[test]
fn only_pipeline_runs_have_children_and_only_task_runs_are_some() {
    let listed = r#"{"childReferences":[{"name":"release"},{"kind":"TaskRun","name":"a"}]}"#;
    let child = task_run("a", "", DONE);
    assert_eq!(child.clone().with_children([task_run("b", "", DONE)]).children().len(), 0);
    let parent = pipeline_run(listed).with_children([pipeline_run("{}"), child]);
    assert_eq!(names(parent.children()), ["a"]);
}

const LABEL: &str = r#","labels":{"tekton.dev/pipelineRun":"release"}"#;

fn owned_by(uids: &[&str]) -> String {
    let owners: String = uids
        .iter()
        .map(|uid| format!(r#",{{"kind":"PipelineRun","name":"release","uid":"{uid}"}}"#))
        .collect();
    format!(r#","ownerReferences":[{{"kind":"Pod","name":"x","uid":"y"}}{owners}]"#)
}

/// Labels and owners are for whoever creates a TaskRun to choose: they make nobody a child.
#[test]
fn only_the_status_makes_children() {
    let parent = pipeline_run(
        r#"{"childReferences":[{"kind":"TaskRun","name":"listed"},{"kind":"CustomRun","name":"custom"}]}"#,
    );
    let check = |name: &str, metadata: &str, owner: Option<(&str, Option<&str>)>, owned: bool| {
        let child = task_run(name, metadata, "{}");
        assert_eq!(child.owner().map(|owner| (owner.name, owner.uid)), owner, "{name}");
        assert_eq!(parent.owns(&child), owned, "{name} {metadata}");
        // Whoever hands it in, the same holds.
        let children = parent.clone().with_children([child.clone()]).children().len();
        assert_eq!(children, usize::from(owned), "{name} {metadata}");
        let adopted = Run::adopt_all(vec![child, parent.clone()]);
        assert_eq!(adopted[1].children().len(), children, "{name} {metadata}");
    };
    check("listed", "", None, true);
    check("listed", &owned_by(&["pr-1"]), Some(("release", Some("pr-1"))), true);
    check("listed", &owned_by(&["pr-0", "pr-1"]), Some(("release", Some("pr-0"))), true);
    check("listed", &LABEL.replace("release", "another"), Some(("another", None)), true);
    check("other", "", None, false);
    check("other", LABEL, Some(("release", None)), false);
    check("other", &owned_by(&["pr-1"]), Some(("release", Some("pr-1"))), false);
    // An earlier run of the same name.
    check("listed", &owned_by(&["pr-0"]), Some(("release", Some("pr-0"))), false);
    check("custom", "", None, false);

    let elsewhere = run(
        r#"{"apiVersion":"tekton.dev/v1","kind":"TaskRun","metadata":{"name":"listed","namespace":"other","uid":"u"}}"#,
    );
    assert!(!parent.owns(&elsewhere));
    assert_eq!(parent.clone().with_children([elsewhere]).children().len(), 0);
    assert!(!parent.owns(&parent));
    for status in ["{}", r#"{"childReferences":[]}"#, r#"{"childReferences":null}"#] {
        let parent = pipeline_run(status);
        for metadata in [LABEL, &owned_by(&["pr-1"])] {
            let child = task_run("listed", metadata, DONE);
            assert!(!parent.owns(&child), "{status} {metadata}");
            assert_eq!(parent.clone().with_children([child]).children().len(), 0);
        }
    }
}

#[test]
fn each_pipeline_run_adopts_its_own() {
    let second = r#"{"apiVersion":"tekton.dev/v1","kind":"PipelineRun",
        "metadata":{"name":"second","namespace":"ci","uid":"pr-2"},
        "status":{"childReferences":[{"name":"b"},{"name":"shared"},{"name":"b"}]}}"#;
    let found = Run::adopt_all(vec![
        task_run("b", "", DONE),
        pipeline_run(r#"{"childReferences":[{"name":"shared"},{"name":"a"},{"name":"gone"}]}"#),
        task_run("a", "", DONE),
        // One name, created anew for each: the UID tells which is whose, also where one has no owner.
        task_run("shared", "", DONE),
        task_run("shared", &owned_by(&["pr-2"]), DONE),
        task_run("shared", &owned_by(&["pr-1"]), DONE),
        run(second),
        task_run("stray", LABEL, DONE),
    ]);
    assert_eq!(
        names(found.iter()),
        ["b", "release", "a", "shared", "shared", "shared", "second", "stray"]
    );
    let children = |index: usize| {
        let children: Vec<&Run> = found[index].children().collect();
        let owners = children.iter().map(|run| run.owner().and_then(|owner| owner.uid));
        (names(children.iter().copied()), owners.collect::<Vec<_>>())
    };
    assert_eq!(children(1), (vec!["shared", "a"], vec![Some("pr-1"), None]));
    assert_eq!(children(6), (vec!["b", "shared"], vec![None, Some("pr-2")]));
    assert!(Run::adopt_all(Vec::new()).is_empty());
}

/// Twenty thousand of each, all of one name: time grows with the input, not with its square.
#[test]
fn adopting_is_not_quadratic() {
    let started = std::time::Instant::now();
    let (task, many) = (task_run("a", &owned_by(&["pr-0"]), DONE), 20_000);
    let parent = pipeline_run(r#"{"childReferences":[{"name":"a"},{"name":"a"}]}"#);
    let runs: Vec<Run> = (0..many).flat_map(|_| [task.clone(), parent.clone()]).collect();
    let found = Run::adopt_all(runs);
    assert!(found.iter().all(|run| run.children().len() == 0));
    let taken = started.elapsed();
    assert!(taken.as_secs() < 20, "{taken:?}");
}

#[test]
fn missing_children_are_told_apart() {
    let parent = pipeline_run(
        r#"{"childReferences":[
            {"kind":"TaskRun","name":"done","pipelineTaskName":"a"},
            {"kind":"TaskRun","name":"open","pipelineTaskName":"b"},
            {"kind":"TaskRun","name":"gone","pipelineTaskName":"c"},
            {"kind":"CustomRun","name":"custom","pipelineTaskName":"d"},
            {"kind":"Run","name":"old","pipelineTaskName":"e"},
            {"kind":"PipelineRun","name":"nested","pipelineTaskName":"f"}]}"#,
    );
    let open = r#"{"conditions":[{"type":"Succeeded","status":"Unknown"}]}"#;
    let parent = parent.with_children([task_run("done", "", DONE), task_run("open", "", open)]);
    let missing = parent.missing_children();
    let told: Vec<_> = missing.iter().map(|child| (child.name.as_str(), child.why)).collect();
    assert_eq!(
        told,
        [
            ("open", Missing::Unfinished),
            ("gone", Missing::Absent),
            ("custom", Missing::Custom),
            ("old", Missing::Custom),
            ("nested", Missing::Pipeline),
        ]
    );
    let words: Vec<_> = missing.iter().map(ToString::to_string).collect();
    assert_eq!(words[1], "TaskRun gone is not there");
    assert_eq!(
        words[2],
        "CustomRun custom is run by a custom controller and cannot be looked into"
    );
}

#[test]
fn children_inside_the_status_of_an_old_run() {
    let json = r#"{"apiVersion":"tekton.dev/v1beta1","kind":"PipelineRun",
        "metadata":{"name":"release","namespace":"ci","uid":"pr-1"},
        "status":{
            "taskRuns":{
                "second":{"pipelineTaskName":"b","status":{"startTime":"2026-03-29T09:51:00Z","completionTime":"2026-03-29T09:52:00Z","taskResults":[{"name":"x","value":"y"}]}},
                "first":{"pipelineTaskName":"a","status":{"startTime":"2026-03-29T09:50:00Z","conditions":[{"type":"Succeeded","status":"True"}]}},
                "none":{"pipelineTaskName":"c"}},
            "runs":{"custom":{"pipelineTaskName":"d"}}}}"#;
    let parent = run(json);
    let references: Vec<_> =
        parent.child_references().map(|child| (child.kind, child.name)).collect();
    assert_eq!(
        references,
        [("TaskRun", "none"), ("CustomRun", "custom"), ("TaskRun", "first"), ("TaskRun", "second")]
    );
    assert_eq!(names(parent.children()), ["first", "second"]);
    let second = parent.children().last().expect("two children");
    assert_eq!(second.results().into_iter().next().expect("a result").text(), "y");
    assert_eq!(parent.missing_children().len(), 3, "{:?}", parent.missing_children());

    // The TaskRun itself counts before what its PipelineRun says of it.
    let parent = parent.with_children([task_run("second", "", "{}")]);
    assert_eq!(names(parent.children()), ["first", "second"]);
    assert_eq!(parent.children().last().expect("two children").results().len(), 0);

    let broken = json.replace(r#""taskResults":[{"name":"x","value":"y"}]"#, r#""steps":5"#);
    let error = Run::from_json(broken.as_bytes()).expect_err("steps are a list");
    assert_eq!(
        error.report(),
        "PipelineRun ci/release: status.taskRuns.second: TaskRun \"second\": status.steps: expected an array of \
         objects, found a number"
    );
}

#[test]
fn what_a_run_says_of_itself() {
    let json = r#"{"apiVersion":"tekton.dev/v1","kind":"TaskRun",
        "metadata":{"name":"a","namespace":"ci","uid":"u","annotations":{"k":"v"}},
        "spec":{"serviceAccountName":"builder","managedBy":"someone","params":[{"name":"p","value":"v"}]},
        "status":{"startTime":"2026-03-29T11:50:00+02:00","completionTime":"2026-03-29T09:50:15Z",
            "conditions":[{"type":"Succeeded","status":"False"}],
            "results":[{"name":"IMAGES","value":"nginx@sha256:HEX,nginx@sha256:HEX"}]}}"#
        .replace("HEX", &"a".repeat(64));
    let task = run(&json);
    assert_eq!(task.kind(), RunKind::TaskRun);
    assert_eq!((task.is_complete(), task.succeeded()), (true, Some(false)));
    assert_eq!(task.managed_by(), Some("someone"));
    assert_eq!(task.reference().service_account.as_deref(), Some("builder"));
    assert_eq!(task.reference().annotations.get("k").map(String::as_str), Some("v"));
    let took = task
        .completion_time()
        .zip(task.start_time())
        .map(|(end, start)| (end - start).get_seconds());
    assert_eq!(took, Some(15));
    assert_eq!(task.images().len(), 1);
    assert_eq!(task.targets(false), [Target::Run, Target::Image(task.images()[0].clone())]);

    let pipeline = run(&json.replace("TaskRun", "PipelineRun"));
    assert_eq!(pipeline.targets(false), [Target::Run]);
    assert_eq!(pipeline.targets(true).len(), 2);
    assert_eq!(pipeline.reference().service_account, None);

    let open = task_run("a", "", "{}");
    assert_eq!((open.is_complete(), open.succeeded(), open.completion_time()), (false, None, None));
    assert_eq!(open.reference().service_account, None);
    let read: Run = serde_json::from_str(&json).expect("a run is read by serde too");
    assert_eq!(read.document(), task.document());
    assert!(serde_json::from_str::<Run>("{}").is_err());
}
