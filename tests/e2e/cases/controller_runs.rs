//! Runs of every kind, a few hundred each: the right thing for each, with as few requests as it takes.

use std::{collections::BTreeMap, ops::Range};

use chains_e2e::{
    Case, Context as _, Result, Scene, case, cluster,
    controller::NEEDS,
    ensure,
    runs::{self, Child, Family},
    stage::{Stage, by_object, managed_by, told},
    tekton::names,
};
use serde_json::Value;

/// How many runs there are of a kind.
const MANY: usize = 300;
const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("controller_runs::running_ones_are_held_then_closed", &NEEDS, running),
        case("controller_runs::complete_ones_take_one_write", &NEEDS, complete),
        case("controller_runs::failed_ones_are_signed_too", &NEEDS, failed),
        case("controller_runs::pipelines_and_all_their_children", &NEEDS, pipelines),
        case("controller_runs::pipelines_wait_for_their_tasks", &NEEDS, unfinished_child),
        case("controller_runs::those_of_other_managers_are_left_alone", &NEEDS, other_managers),
        case("controller_runs::what_others_wrote_stays", &NEEDS, others_write),
    ]
}

fn builds(numbers: Range<usize>) -> Vec<Value> {
    numbers.map(|n| runs::kaniko(&format!("build-{n}"), "registry.test/app", DIGEST)).collect()
}

fn running(scene: &Scene<'_>) -> Result<()> {
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let _controller = stage.start()?;
    let audit = cluster.audit()?;
    let namespace = &stage.namespace;
    let watch = namespace.watch("taskruns")?;
    let runs = builds(0..MANY);

    namespace.create(&runs)?;
    watch.until_all(&names(&runs), |seen| seen.is_held())?;
    for run in namespace.list("taskruns")? {
        held_as_the_reference_does(&run)?;
    }
    namespace.complete(&runs)?;
    watch.until_all(&names(&runs), |seen| seen.is_signed() && seen.finalizers.is_empty())?;

    stage.verify(&namespace.list("taskruns")?)?;
    let requests = audit.requests()?;
    scene.note(format!("{MANY} runs seen while they ran: {}", told(&requests)));
    for (run, verbs) in by_object(&requests, "taskruns") {
        // The finalizer on; annotations on and finalizer off.
        ensure!(verbs == BTreeMap::from([("patch".to_owned(), 2)]), "{run} took {verbs:?}");
    }
    Ok(())
}

/// One finalizer, by server-side apply, by the reference's field manager: it goes on where we stop, and the
/// other way round.
fn held_as_the_reference_does(run: &Value) -> Result<()> {
    let finalizers = &run["metadata"]["finalizers"];
    ensure!(finalizers == &serde_json::json!(["chains.tekton.dev/taskrun"]), "{finalizers}");
    let fields = run["metadata"]["managedFields"].as_array().into_iter().flatten();
    let owners: Vec<&Value> = fields
        .filter(|entry| !entry["fieldsV1"]["f:metadata"]["f:finalizers"].is_null())
        .map(|entry| &entry["manager"])
        .collect();
    ensure!(owners == ["tekton-chains-controller/finalizers"], "finalizers are of {owners:?}");
    Ok(())
}

fn complete(scene: &Scene<'_>) -> Result<()> {
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let namespace = &stage.namespace;
    let runs = builds(0..MANY);
    namespace.run(&runs)?;
    let audit = cluster.audit()?;
    let watch = namespace.watch("taskruns")?;
    let controller = stage.start()?;

    watch.until_all(&names(&runs), |seen| seen.is_signed())?;
    ensure!(watch.count(|seen| !seen.finalizers.is_empty()) == 0, "a finalizer is left");
    stage.verify(&namespace.list("taskruns")?)?;
    let requests = audit.requests()?;
    scene.note(format!("{MANY} runs seen complete: {}", told(&requests)));
    let by_run = by_object(&requests, "taskruns");
    ensure!(by_run.len() == MANY, "{} runs were written", by_run.len());
    for (run, verbs) in by_run {
        ensure!(verbs == BTreeMap::from([("patch".to_owned(), 1)]), "{run} took {verbs:?}");
    }
    controller.until_counted("watcher_taskrun_marked_signed_total", MANY as f64)?;

    // What is signed costs nothing, also for a controller that sees it for the first time.
    drop(controller);
    let audit = cluster.audit()?;
    let _controller = stage.start()?;
    namespace.run(&builds(MANY..MANY + 1))?;
    watch.until(&format!("build-{MANY}"), |seen| seen.is_signed())?;
    let by_run = by_object(&audit.requests()?, "taskruns");
    ensure!(by_run.len() == 1, "signed runs were asked for: {by_run:?}");
    Ok(())
}

fn failed(scene: &Scene<'_>) -> Result<()> {
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let _controller = stage.start()?;
    let watch = stage.namespace.watch("taskruns")?;
    let runs: Vec<Value> = (0..MANY).map(|n| runs::failed(&format!("broken-{n}"))).collect();
    stage.namespace.run(&runs)?;
    watch.until_all(&names(&runs), |seen| seen.is_signed() && !seen.is_held())?;
    stage.verify(&stage.namespace.list("taskruns")?)
}

/// Each pipeline has a task, a matrix, a `finally`, a CustomRun and a TaskRun that is gone.
fn pipelines(scene: &Scene<'_>) -> Result<()> {
    const PIPELINES: usize = 60;
    const CHILDREN: [Child; 5] = [
        Child::Task("build"),
        Child::Matrix("test", 3),
        Child::Finally("tidy-up"),
        Child::Custom("approve"),
        Child::Gone("lint"),
    ];
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let namespace = &stage.namespace;
    // Every third has nothing missing.
    let children = |n: usize| if n.is_multiple_of(3) { &CHILDREN[..3] } else { &CHILDREN[..] };
    let families: Vec<Family> = (0..PIPELINES)
        .map(|n| runs::pipeline(&format!("release-{n}"), children(n), "registry.test/app", DIGEST))
        .collect();
    let tasks: Vec<Value> = families.iter().flat_map(|family| family.children.clone()).collect();
    let parents: Vec<Value> = families.into_iter().map(|family| family.run).collect();

    let controller = stage.start()?;
    let audit = cluster.audit()?;
    let (watch, task_watch) = (namespace.watch("pipelineruns")?, namespace.watch("taskruns")?);
    namespace.create(&parents)?;
    watch.until_all(&names(&parents), |seen| seen.is_held())?;
    namespace.run(&tasks)?;
    namespace.complete(&parents)?;
    watch.until_all(&names(&parents), |seen| seen.is_signed() && !seen.is_held())?;
    let task_runs = |run: &&Value| run["kind"] == "TaskRun";
    let tasks: Vec<Value> = tasks.iter().filter(task_runs).cloned().collect();
    task_watch.until_all(&names(&tasks), |seen| seen.is_signed() && !seen.is_held())?;

    let signed = namespace.list("pipelineruns")?;
    stage.verify(&signed)?;
    stage.verify(&namespace.list("taskruns")?)?;
    for (number, run) in parents.iter().enumerate() {
        let name = run["metadata"]["name"].as_str().unwrap_or_default();
        let run = signed.iter().find(|run| run["metadata"]["name"] == name).context("not there")?;
        tells_what_is_missing(&stage, name, run, number.is_multiple_of(3))?;
    }
    let custom = namespace.list("customruns")?;
    let touched = |run: &&Value| !run["metadata"]["annotations"].is_null();
    ensure!(!custom.iter().any(|run| touched(&run)), "CustomRuns were written");

    let requests = audit.requests()?;
    scene.note(format!("{PIPELINES} pipelines, {} tasks: {}", tasks.len(), told(&requests)));
    let lists = requests.iter().filter(|it| it.what() == "list taskruns");
    let lists = lists.filter(|it| it.uri.contains("labelSelector")).count();
    ensure!(lists == PIPELINES, "{lists} lists for the children of {PIPELINES} pipelines");
    for (run, verbs) in by_object(&requests, "pipelineruns") {
        ensure!(verbs == BTreeMap::from([("patch".to_owned(), 2)]), "{run} took {verbs:?}");
    }
    drop(controller);
    Ok(())
}

fn tells_what_is_missing(stage: &Stage<'_>, name: &str, run: &Value, whole: bool) -> Result<()> {
    let left_out = run["metadata"]["annotations"]["chains.tekton.dev/left-out"].as_str();
    let events = if whole { stage.namespace.events(name)? } else { stage.namespace.told(name)? };
    let statement = stage.statement(run)?.to_string();
    for there in ["build", "test-0", "test-2", "tidy-up"] {
        // The names of its steps' containers are all the same; the value of a parameter has the run's.
        let marker = format!("somewhere/{name}-{there}");
        ensure!(statement.contains(&marker), "{there} is not in the provenance of {name}");
    }
    if whole {
        ensure!(left_out.is_none(), "{name} is whole: {left_out:?}");
        ensure!(events.is_empty(), "{events:?}");
        return Ok(());
    }
    for missing in [format!("{name}-approve"), format!("{name}-lint")] {
        let told = left_out.is_some_and(|text| text.contains(&missing));
        ensure!(told, "{name} does not tell of {missing}: {left_out:?}");
        let told = events.iter().any(|(_, note)| note.contains(&missing));
        ensure!(told, "no Event tells of {missing}: {events:?}");
    }
    Ok(())
}

/// A PipelineRun that is complete before one of its tasks is: its provenance has the task all the same.
fn unfinished_child(scene: &Scene<'_>) -> Result<()> {
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let namespace = &stage.namespace;
    let _controller = stage.start()?;
    let watch = namespace.watch("pipelineruns")?;
    let children = [Child::Task("build"), Child::Task("late")];
    let family = runs::pipeline("release", &children, "registry.test/app", DIGEST);
    namespace.create(&family.children)?;
    namespace.complete(&family.children[..1])?;
    namespace.run(std::slice::from_ref(&family.run))?;
    // Another that is complete after it is signed meanwhile.
    let other = runs::pipeline("quick", &[], "registry.test/app", DIGEST);
    namespace.run(&[other.run])?;
    watch.until("quick", |seen| seen.is_signed())?;
    ensure!(!watch.now("release").context("unknown")?.is_signed(), "signed without its task");
    namespace.complete(&family.children)?;
    watch.until("release", |seen| seen.is_signed())?;
    let run = namespace.get("pipelineruns", "release")?;
    ensure!(run["metadata"]["annotations"]["chains.tekton.dev/left-out"].is_null(), "{run}");
    ensure!(stage.statement(&run)?.to_string().contains("somewhere/release-late"), "not in it");
    Ok(())
}

fn other_managers(scene: &Scene<'_>) -> Result<()> {
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let namespace = &stage.namespace;
    let controller = stage.start()?;
    let audit = cluster.audit()?;
    let watch = namespace.watch("taskruns")?;
    let of = |manager: &str, prefix: &str| -> Vec<Value> {
        let run = |n| runs::kaniko(&format!("{prefix}-{n}"), "registry.test/app", DIGEST);
        (0..100).map(|n| managed_by(run(n), manager)).collect()
    };
    let theirs = of("example.test/other", "theirs");
    let tektons = of("tekton.dev/pipeline", "tektons");
    namespace.create(&theirs)?;
    namespace.create(&tektons)?;
    watch.until_all(&names(&tektons), |seen| seen.is_held())?;
    namespace.complete(&theirs)?;
    namespace.complete(&tektons)?;
    watch.until_all(&names(&tektons), |seen| seen.is_signed())?;
    let by_run = by_object(&audit.requests()?, "taskruns");
    let touched = by_run.keys().find(|name| name.starts_with("theirs"));
    ensure!(touched.is_none(), "{touched:?} is of another manager");

    stage.install.configure(&[("filter.managed-by", "example.test/other")])?;
    watch.until_all(&names(&theirs), |seen| seen.is_signed() && !seen.is_held())?;
    drop(controller);
    stage.verify(&namespace.list("taskruns")?)
}

/// Finalizers, annotations and labels that others put on runs, before and while ours writes.
fn others_write(scene: &Scene<'_>) -> Result<()> {
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let namespace = &stage.namespace;
    let runs = builds(0..100);
    let names = names(&runs);
    let _controller = stage.start()?;
    let watch = namespace.watch("taskruns")?;
    namespace.create(&runs)?;
    watch.until_all(&names, |seen| seen.is_held())?;
    // Both at once, so that some of ours are refused with a conflict.
    std::thread::scope(|scope| -> Result<()> {
        let completing = scope.spawn(|| namespace.complete(&runs));
        for (number, name) in names.iter().enumerate() {
            let path = format!("{}/{name}", namespace.path("taskruns"));
            let theirs = serde_json::json!({
                "apiVersion": "tekton.dev/v1",
                "kind": "TaskRun",
                "metadata": {
                    "annotations": { "example.test/number": number.to_string() },
                    "finalizers": ["example.test/keep"],
                    "labels": { "example.test/label": "theirs" },
                },
            });
            cluster.api().apply(&path, "example.test/writer", &theirs)?;
        }
        completing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    watch.until_all(&names, |seen| seen.is_signed() && !seen.is_held())?;
    for run in namespace.list("taskruns")? {
        let metadata = &run["metadata"];
        let number = &metadata["annotations"]["example.test/number"];
        ensure!(number.is_string(), "an annotation was lost: {metadata}");
        ensure!(metadata["labels"]["example.test/label"] == "theirs", "{metadata}");
        ensure!(metadata["finalizers"] == serde_json::json!(["example.test/keep"]), "{metadata}");
    }
    stage.verify(&namespace.list("taskruns")?)
}
