//! API servers that are otherwise: without streaming lists, and with the older version of Tekton's API.

use chains_e2e::{
    Case, Result, Scene, case,
    cluster::{Cluster, Options},
    controller::NEEDS,
    ensure,
    runs::{self, Child},
    stage::{Stage, told},
    tekton::names,
};
use serde_json::Value;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("controller_servers::streaming_lists", &NEEDS, streaming_lists),
        case("controller_servers::paged_lists", &NEEDS, paged_lists),
        case("controller_servers::v1beta1_only", &NEEDS, v1beta1),
    ]
}

fn streaming_lists(scene: &Scene<'_>) -> Result<()> {
    let requests = backlog_then_new(scene, &Options::default())?;
    ensure!(requests.contains("sendInitialEvents=true"), "no streaming list: {requests}");
    ensure!(!requests.contains("limit="), "pages besides: {requests}");
    Ok(())
}

fn paged_lists(scene: &Scene<'_>) -> Result<()> {
    let options = Options { feature_gates: Some("WatchList=false"), ..Options::default() };
    let requests = backlog_then_new(scene, &options)?;
    ensure!(requests.contains("limit="), "no pages: {requests}");
    ensure!(requests.contains("continue="), "all in one page: {requests}");
    Ok(())
}

/// More runs than fit a page that were there before, and some that come later. Tells the lists and watches.
fn backlog_then_new(scene: &Scene<'_>, options: &Options) -> Result<String> {
    let cluster = Cluster::start(scene, options)?;
    let stage = Stage::set(scene, &cluster)?;
    let namespace = &stage.namespace;
    let build = |n: usize| runs::kaniko(&format!("build-{n}"), "registry.test/app", "sha256:0");
    let backlog: Vec<Value> = (0..700).map(build).collect();
    namespace.run(&backlog)?;
    let audit = cluster.audit()?;
    let watch = namespace.watch("taskruns")?;
    let _controller = stage.start()?;
    let new: Vec<Value> = (700..800).map(build).collect();
    namespace.run(&new)?;
    watch.until_all(&names(&new), |seen| seen.is_signed() && !seen.is_held())?;
    watch.until_all(&names(&backlog), |seen| seen.is_signed() && !seen.is_held())?;
    stage.verify(&namespace.list("taskruns")?)?;
    let requests = audit.requests()?;
    scene.note(told(&requests));
    let reads = requests.iter().filter(|it| matches!(it.verb.as_str(), "list" | "watch"));
    Ok(reads.filter(|it| it.resource() == "taskruns").map(|it| format!("{}\n", it.uri)).collect())
}

fn v1beta1(scene: &Scene<'_>) -> Result<()> {
    let options = Options { v1beta1_only: true, ..Options::default() };
    let cluster = Cluster::start(scene, &options)?;
    let stage = Stage::set(scene, &cluster)?;
    let namespace = &stage.namespace;
    let _controller = stage.start()?;
    let (tasks, pipelines) = (namespace.watch("taskruns")?, namespace.watch("pipelineruns")?);
    let run: Vec<Value> = (0..100)
        .map(|n| runs::kaniko(&format!("build-{n}"), "registry.test/app", "sha256:0"))
        .collect();
    namespace.create(&run)?;
    tasks.until_all(&names(&run), |seen| seen.is_held())?;
    namespace.complete(&run)?;
    tasks.until_all(&names(&run), |seen| seen.is_signed() && !seen.is_held())?;
    let family = runs::pipeline("release", &[Child::Task("a")], "registry.test/app", "sha256:0");
    namespace.run(&family.children)?;
    namespace.run(&[family.run])?;
    pipelines.until("release", |seen| seen.is_signed() && !seen.is_held())?;
    stage.verify(&namespace.list("taskruns")?)?;
    stage.verify(&namespace.list("pipelineruns")?)
}
