//! In the place of the reference: runs in every state that it leaves behind.

use chains_e2e::{
    Case, Context as _, Result, Scene, case, cluster,
    cluster::Seen,
    controller::NEEDS,
    ensure,
    install::{Install, NAMESPACE, deploy},
    runs::{self, Child},
    stage::{Stage, by_object},
    tekton::names,
};
use serde_json::{Value, json};

const TASK: &str = "chains.tekton.dev/taskrun";
const PIPELINE: &str = "chains.tekton.dev/pipelinerun";
const OLD: &str = "chains.tekton.dev";
/// How many runs there are in each state.
const EACH: usize = 20;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("controller_takeover::every_state_is_finished", &NEEDS, every_state),
        case("controller_takeover::pipelines_too", &NEEDS, pipelines),
        case("controller_takeover::failed_ones_wait_for_chains_retry", &NEEDS, failed),
        case("controller_takeover::the_way_back", &NEEDS, way_back),
        case("controller_takeover::configuration_and_key_are_left_alone", &NEEDS, left_alone),
    ]
}

/// A state that the reference leaves a complete run in: annotations of Chains and finalizers.
struct State {
    name: &'static str,
    annotations: &'static [(&'static str, &'static str)],
    finalizers: &'static [&'static str],
}

const fn state(
    name: &'static str,
    annotations: &'static [(&'static str, &'static str)],
    finalizers: &'static [&'static str],
) -> State {
    State { name, annotations, finalizers }
}

/// All of these are to be signed.
const UNFINISHED: [State; 11] = [
    state("new", &[], &[]),
    state("held", &[], &[TASK]),
    state("held-by-an-old-release", &[], &[OLD]),
    state("held-by-both", &[], &[OLD, TASK]),
    state("held-by-others-too", &[], &["example.test/keep", TASK]),
    state("retried-0", &[("retries", "0")], &[TASK]),
    state("retried-1", &[("retries", "1")], &[TASK]),
    state("retried-2", &[("retries", "2")], &[TASK]),
    state("retried-3", &[("retries", "3")], &[TASK]),
    state("retried-oddly", &[("retries", "many")], &[TASK]),
    // Stored, and stopped before the last write; the transparency log was told.
    state("half-written", &[("transparency", "https://log.test/1"), ("signed", "")], &[TASK]),
];

/// What was written of these stays; what holds them goes.
const FINISHED: [State; 3] = [
    state("signed-and-held", &[("signed", "true")], &[TASK]),
    state("signed-and-held-by-an-old-release", &[("signed", "true")], &[OLD]),
    state("given-up-and-held", &[("signed", "failed"), ("retries", "3")], &[TASK, OLD]),
];

fn every_state(scene: &Scene<'_>) -> Result<()> {
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let namespace = &stage.namespace;
    let named = |state: &State| -> Vec<Value> {
        let name = |n| format!("{}-{n}", state.name);
        (0..EACH).map(|n| runs::kaniko(&name(n), "registry.test/app", "sha256:0")).collect()
    };
    for state in UNFINISHED.iter().chain(&FINISHED) {
        let runs = named(state);
        namespace.run(&runs)?;
        for name in names(&runs) {
            namespace.leave("taskruns", &name, state.annotations, state.finalizers)?;
        }
    }
    // What an unfinished attempt stored on the run itself, for a payload that is another one now.
    let half = namespace.get("taskruns", "half-written-0")?;
    let uid = half["metadata"]["uid"].as_str().unwrap_or_default();
    let payload = format!("payload-taskrun-{uid}");
    namespace.leave("taskruns", "half-written-0", &[(&payload, "aGFsZg==")], &[TASK])?;

    let watch = namespace.watch("taskruns")?;
    let audit = cluster.audit()?;
    let controller = stage.start()?;
    for state in &UNFINISHED {
        let signed = |seen: &Seen| seen.is_signed() && !seen.is_held();
        watch.until_all(&names(&named(state)), signed).context(state.name)?;
    }
    for state in &FINISHED {
        watch.until_all(&names(&named(state)), |seen| !seen.is_held()).context(state.name)?;
        for name in names(&named(state)) {
            let seen = watch.now(&name).context("unknown")?;
            let (_, mark) = state.annotations[0];
            ensure!(seen.chains("signed") == Some(mark), "{} became {seen:#?}", state.name);
        }
    }
    let kept = watch.now("held-by-others-too-0").context("unknown")?;
    ensure!(kept.finalizers == ["example.test/keep"], "{kept:#?}");
    let told = watch.now("half-written-1").context("unknown")?;
    let log = told.chains("transparency").unwrap_or_default();
    ensure!(log.contains("https://log.test/1"), "the address of a log entry is lost: {told:#?}");

    let signed: Vec<Value> = namespace.list("taskruns")?;
    let ours = |run: &Value| {
        let name = run["metadata"]["name"].as_str().unwrap_or_default();
        UNFINISHED
            .iter()
            .any(|state| name.trim_end_matches(char::is_numeric) == format!("{}-", state.name))
    };
    let (ours, _): (Vec<Value>, Vec<Value>) = signed.into_iter().partition(ours);
    ensure!(ours.len() == EACH * UNFINISHED.len(), "{} runs", ours.len());
    stage.verify(&ours)?;
    for (run, verbs) in by_object(&audit.requests()?, "taskruns") {
        let all: usize = verbs.values().sum();
        ensure!(all <= 2, "{run} took {verbs:?}");
    }
    drop(controller);
    Ok(())
}

fn pipelines(scene: &Scene<'_>) -> Result<()> {
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let namespace = &stage.namespace;
    let mut parents = Vec::new();
    for (number, finalizers) in [&[][..], &[PIPELINE], &[OLD], &[OLD, PIPELINE]].iter().enumerate()
    {
        let name = format!("release-{number}");
        let children = [Child::Task("build"), Child::Matrix("test", 2)];
        let family = runs::pipeline(&name, &children, "registry.test/app", "sha256:0");
        namespace.run(&family.children)?;
        // The reference signs tasks first.
        for child in names(&family.children) {
            namespace.leave("taskruns", &child, &[("signed", "true")], &[])?;
        }
        namespace.run(std::slice::from_ref(&family.run))?;
        namespace.leave("pipelineruns", &name, &[("retries", "1")], finalizers)?;
        parents.push(family.run);
    }
    let watch = namespace.watch("pipelineruns")?;
    let _controller = stage.start()?;
    watch.until_all(&names(&parents), |seen| seen.is_signed() && seen.finalizers.is_empty())?;
    stage.verify(&namespace.list("pipelineruns")?)
}

/// What was given up stays so until somebody says otherwise: by name, by label, all.
fn failed(scene: &Scene<'_>) -> Result<()> {
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let namespace = &stage.namespace;
    let runs: Vec<Value> = (0..9)
        .map(|n| {
            let mut run = runs::kaniko(&format!("build-{n}"), "registry.test/app", "sha256:0");
            run["metadata"]["labels"] = json!({ "third": (n / 3).to_string() });
            run
        })
        .collect();
    namespace.run(&runs)?;
    for name in names(&runs) {
        namespace.leave("taskruns", &name, &[("signed", "failed"), ("retries", "3")], &[])?;
    }
    let watch = namespace.watch("taskruns")?;
    let _controller = stage.start()?;
    // Another that comes later is signed meanwhile.
    namespace.run(&[runs::kaniko("other", "registry.test/app", "sha256:0")])?;
    watch.until("other", |seen| seen.is_signed())?;
    ensure!(watch.count(Seen::is_failed) == 9, "a run was not left alone");

    let retry = |args: &[&str]| {
        let tool = scene.chains().env("KUBECONFIG", cluster.admin_kubeconfig());
        tool.arg("retry").args(["--namespace", namespace.name()]).args(args).ok()
    };
    retry(&["taskrun/build-0"])?;
    watch.until("build-0", |seen| seen.is_signed() && seen.chains("retries").is_none())?;
    ensure!(watch.count(Seen::is_failed) == 8, "more than one was started again");
    retry(&["--selector", "third=1"])?;
    watch.until_all(&["build-3", "build-4", "build-5"], |seen| seen.is_signed())?;
    ensure!(watch.count(Seen::is_failed) == 5, "more than three were started again");
    retry(&["--all-failed"])?;
    watch.until_all(&names(&runs), |seen| seen.is_signed())?;
    stage.verify(&namespace.list("taskruns")?)
}

/// Whatever ours leaves, the reference finishes: what it reads of a run is as it would have written it itself.
fn way_back(scene: &Scene<'_>) -> Result<()> {
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let namespace = &stage.namespace;
    let run =
        |name: &str| runs::kaniko(name, "127.0.0.1:1/app", &format!("sha256:{}", "a".repeat(64)));
    // Nobody listens there: it is tried again.
    stage.install.configure(&[("artifacts.oci.storage", "oci"), ("retry.total-time", "24h")])?;
    let controller =
        stage.controller("controller").arg("--insecure-registry=127.0.0.1:1").ready()?;
    let watch = namespace.watch("taskruns")?;
    let both = [run("running"), run("retried")];
    namespace.create(&both)?;
    watch.until_all(&names(&both), |seen| seen.is_held())?;
    namespace.complete(&both[1..])?;
    let seen = watch.until("retried", |seen| seen.chains("retries").is_some())?;
    ensure!(controller.terminate()?.success(), "it did not end well");

    // The reference reads a number there, looks for its own finalizer, and leaves "true" and "failed" alone.
    ensure!(seen.chains("retries") == Some("0"), "{seen:#?}");
    ensure!(seen.chains("signed").is_none(), "{seen:#?}");
    for run in namespace.list("taskruns")? {
        let metadata = &run["metadata"];
        ensure!(metadata["finalizers"] == json!([TASK]), "{metadata}");
        // The finalizer is of the field manager that the reference uses, so that it can take it off.
        let path = format!(
            "{}/{}",
            namespace.path("taskruns"),
            metadata["name"].as_str().unwrap_or_default()
        );
        let without = json!({ "apiVersion": run["apiVersion"], "kind": "TaskRun", "metadata": {} });
        let freed = cluster.api().apply(&path, "tekton-chains-controller/finalizers", &without)?;
        ensure!(freed["metadata"]["finalizers"].is_null(), "it cannot be taken off: {freed}");
    }
    Ok(())
}

/// What somebody put into ConfigMap and Secret by `kubectl apply` is theirs: it would go with an apply of the same objects
/// without data.
fn left_alone(scene: &Scene<'_>) -> Result<()> {
    let cluster = cluster::borrow(scene)?;
    Install::apply(scene, &cluster)?;
    let theirs = json!({
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": { "name": "chains-config", "namespace": NAMESPACE },
                "data": { "builder.id": "https://ci.example.com" },
            },
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": { "name": "signing-secrets", "namespace": NAMESPACE },
                "stringData": { "cosign.pub": "theirs" },
            },
        ],
    });
    let file = scene.write("theirs.json", theirs.to_string())?;
    let there = |kind: &str, name: &str| {
        let path = format!("/api/v1/namespaces/{NAMESPACE}/{kind}/{name}");
        cluster.api().get(&path).map(|object| object["data"].clone())
    };
    let ways: [&[&str]; 2] = [&[], &["--server-side", "--force-conflicts"]];
    for how in ways {
        let kubectl = || cluster.kubectl(scene).arg("apply").args(how);
        kubectl().arg("-f").arg(&file).ok()?;
        kubectl().arg("-k").arg(deploy().join("replace")).ok()?;
        let config = there("configmaps", "chains-config")?;
        ensure!(config["builder.id"] == "https://ci.example.com", "{how:?}: {config}");
        let secret = there("secrets", "signing-secrets")?;
        ensure!(secret["cosign.pub"].is_string(), "{how:?}: {secret}");
    }
    Ok(())
}
