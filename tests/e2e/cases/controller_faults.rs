//! What goes wrong around the controller, and is mended: nothing is lost, and it says what is wrong.

use std::time::Duration;

use chains_e2e::{
    Case, Context as _, Result, Scene, case,
    cluster::{self, Cluster, Options, Watch},
    controller::{Controller, NEEDS},
    ensure,
    install::{NAMESPACE, SECRET},
    registry::{Access, CRANE, DOCKER, Door, Image, Registry},
    runs,
    sigstore::Keys,
    stage::Stage,
    tekton::{Namespace, names},
    tls,
};
use serde_json::Value;

const REFUSED: &str = "ConfigurationRefused";

pub(crate) fn cases() -> Vec<Case> {
    let with_registry = [&NEEDS[..], &[CRANE, DOCKER]].concat();
    vec![
        case("controller_faults::configuration_changed_broken_and_mended", &NEEDS, configuration),
        case("controller_faults::configuration_broken_from_the_start", &NEEDS, broken_at_start),
        case("controller_faults::key_rotated_in_the_folder", &NEEDS, folder_rotated),
        case("controller_faults::key_rotated_in_the_secret", &NEEDS, secret_rotated),
        case("controller_faults::key_missing_then_there", &NEEDS, key_missing),
        case("controller_faults::secret_missing_then_there", &NEEDS, secret_missing),
        case("controller_faults::registry_down_then_up", &with_registry, registry_down),
        case("controller_faults::registry_down_for_good", &with_registry, registry_gone),
        case("controller_faults::api_server_restarted", &NEEDS, api_server_restarted),
        case("controller_faults::stopped_in_the_middle", &NEEDS, stopped),
    ]
}

/// Makes a run and waits until it is signed.
fn sign(namespace: &Namespace<'_>, watch: &Watch, name: &str) -> Result<Value> {
    namespace.run(&[runs::kaniko(name, "registry.test/app", "sha256:0")])?;
    watch.until(name, |seen| seen.is_signed() && !seen.is_held())?;
    namespace.get("taskruns", name)
}

/// The Events about the ConfigMap.
fn refusals(cluster: &Cluster) -> Result<usize> {
    let list =
        cluster.api().get(&format!("/apis/events.k8s.io/v1/namespaces/{NAMESPACE}/events"))?;
    let events = list["items"].as_array().into_iter().flatten();
    let about = |event: &&Value| event["regarding"]["name"] == "chains-config";
    Ok(events.filter(about).filter(|event| event["reason"] == REFUSED).count())
}

fn configuration(scene: &Scene<'_>) -> Result<()> {
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let namespace = &stage.namespace;
    let controller = stage.start()?;
    let watch = namespace.watch("taskruns")?;
    let run = sign(namespace, &watch, "before")?;
    ensure!(stage.statement(&run)?["predicateType"] == "https://slsa.dev/provenance/v0.2", "{run}");

    stage.install.configure(&[("artifacts.taskrun.format", "slsa/v2alpha4")])?;
    wait_for(&controller, |controller| {
        let name = format!("after-{}", scene.fresh("run"));
        let run = sign(namespace, &watch, &name)?;
        let _ = controller;
        Ok(stage.statement(&run)?["predicateType"] == "https://slsa.dev/provenance/v1")
    })
    .context("the changed format is not used")?;

    // One faulty key: all of the ConfigMap is refused, also what is right in it.
    let broken = [("artifacts.taskrun.fromat", "x"), ("artifacts.taskrun.format", "in-toto")];
    stage.install.configure(&broken)?;
    wait_for(&controller, |_| Ok(refusals(&cluster)? > 0)).context("no Event tells of it")?;
    let told = controller.until_readyz(200, "fromat")?;
    ensure!(told.contains("artifacts.taskrun.format"), "the nearest key is not named: {told}");
    let run = sign(namespace, &watch, "while-broken")?;
    let kind = &stage.statement(&run)?["predicateType"];
    ensure!(kind == "https://slsa.dev/provenance/v1", "the last good is not kept: {kind}");
    ensure!(controller.log()?.contains("fromat"), "the log does not tell");
    let metrics = controller.metrics()?;
    ensure!(metrics.with("chains_config_valid", "") == 0.0, "{metrics:?}");

    stage.install.unset("artifacts.taskrun.fromat")?;
    wait_for(&controller, |it| Ok(it.metrics()?.sum("chains_config_valid") == 1.0))?;
    let run = sign(namespace, &watch, "mended")?;
    ensure!(stage.statement(&run)?["predicateType"] == "https://slsa.dev/provenance/v0.2", "{run}");
    stage.verify(&namespace.list("taskruns")?)
}

/// There is no last good one: it lives, is not ready, says why, and fails no run.
fn broken_at_start(scene: &Scene<'_>) -> Result<()> {
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let namespace = &stage.namespace;
    stage.install.configure(&[("transparency.enabled", "perhaps")])?;
    let controller = stage.controller("controller").alive()?;
    controller.until_readyz(503, "transparency.enabled")?;
    let watch = namespace.watch("taskruns")?;
    let run = [runs::kaniko("early", "registry.test/app", "sha256:0")];
    namespace.run(&run)?;
    stage.install.configure(&[("transparency.enabled", "false")])?;
    controller.until_ready()?;
    let seen = watch.until("early", |seen| seen.chains("signed").is_some())?;
    ensure!(seen.is_signed() && seen.chains("retries").is_none(), "it cost an attempt: {seen:#?}");
    Ok(())
}

/// Signs runs until one is signed by `keys`, and no later one by others.
fn until_signed_by(stage: &Stage<'_>, watch: &Watch, keys: &Keys) -> Result<()> {
    let mut tries = 0;
    loop {
        let run = sign(&stage.namespace, watch, &format!("rotated-{tries}"))?;
        match stage.verify_by(&keys.public, &[run]) {
            Ok(()) => return Ok(()),
            Err(error) if tries == 60 => return Err(error).context("the new key is not used"),
            Err(_) => std::thread::sleep(Duration::from_millis(250)),
        }
        tries += 1;
    }
}

fn folder_rotated(scene: &Scene<'_>) -> Result<()> {
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let _controller = stage.start()?;
    let watch = stage.namespace.watch("taskruns")?;
    let run = sign(&stage.namespace, &watch, "before")?;
    stage.verify(&[run])?;
    let keys = stage.mount.rotate(scene)?;
    until_signed_by(&stage, &watch, &keys)?;
    let run = sign(&stage.namespace, &watch, "after")?;
    stage.verify_by(&keys.public, &[run])
}

fn secret_rotated(scene: &Scene<'_>) -> Result<()> {
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let pairs = [tls::key_pair(scene.folder(), "one")?, tls::key_pair(scene.folder(), "two")?];
    let set =
        |keys: &Keys| stage.install.set_secret(&[("x509.pem", &std::fs::read(&keys.private)?)]);
    set(&pairs[0])?;
    stage.install.configure(&[("signers.x509.key", &format!("k8s://{NAMESPACE}/{SECRET}"))])?;
    let _controller = stage.start()?;
    let watch = stage.namespace.watch("taskruns")?;
    let run = sign(&stage.namespace, &watch, "before")?;
    stage.verify_by(&pairs[0].public, &[run])?;
    set(&pairs[1])?;
    until_signed_by(&stage, &watch, &pairs[1])
}

fn key_missing(scene: &Scene<'_>) -> Result<()> {
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let namespace = &stage.namespace;
    stage.mount.swap(&[])?;
    let controller = stage.controller("controller").alive()?;
    let told = controller.until_readyz(503, "x509.pem")?;
    scene.note(format!("/readyz without a key: {}", told.trim().replace('\n', "; ")));
    let watch = namespace.watch("taskruns")?;
    waits_for_a_key(namespace, &watch, &controller, || stage.mount.rotate(scene).map(drop))
}

fn secret_missing(scene: &Scene<'_>) -> Result<()> {
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let namespace = &stage.namespace;
    stage.install.unset_secret()?;
    stage.install.configure(&[("signers.x509.key", &format!("k8s://{NAMESPACE}/{SECRET}"))])?;
    let controller = stage.controller("controller").alive()?;
    controller.until_readyz(503, SECRET)?;
    let watch = namespace.watch("taskruns")?;
    let key = std::fs::read(&stage.keys.private)?;
    let set = || stage.install.set_secret(&[("x509.pem", &key)]);
    waits_for_a_key(namespace, &watch, &controller, set)?;
    stage.verify(&namespace.list("taskruns")?)
}

/// Signing waits instead of failing runs.
fn waits_for_a_key(
    namespace: &Namespace<'_>,
    watch: &Watch,
    controller: &Controller,
    give: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let runs: Vec<Value> = (0..100)
        .map(|n| runs::kaniko(&format!("build-{n}"), "registry.test/app", "sha256:0"))
        .collect();
    namespace.create(&runs)?;
    watch.until_all(&names(&runs), |seen| seen.is_held())?;
    namespace.complete(&runs)?;
    give()?;
    controller.until_ready()?;
    watch.until_all(&names(&runs), |seen| seen.is_signed() && !seen.is_held())?;
    let tried = watch.count(|seen| seen.chains("retries").is_some());
    ensure!(tried == 0, "{tried} runs lost an attempt");
    Ok(())
}

fn registry_down(scene: &Scene<'_>) -> Result<()> {
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let namespace = &stage.namespace;
    let registry = Registry::docker(scene, &Door::default())?;
    let image = registry.push(scene, &Access::default(), "app", "v1")?;
    let host = registry.host();
    stage.install.configure(&[
        ("artifacts.taskrun.storage", "tekton,oci"),
        ("artifacts.oci.storage", "oci"),
        ("retry.limit", "6"),
        ("retry.total-time", "90s"),
    ])?;
    let start = stage.controller("controller").arg(format!("--insecure-registry={host}"));
    let controller = start.ready()?;
    let watch = namespace.watch("taskruns")?;
    drop(registry);
    let runs: Vec<Value> = builds_of(&image, 0..50);
    namespace.create(&runs)?;
    watch.until_all(&names(&runs), |seen| seen.is_held())?;
    namespace.complete(&runs)?;
    watch.until_all(&names(&runs), |seen| seen.chains("retries").is_some())?;
    let waiting = watch.now("build-0").context("unknown")?;
    ensure!(waiting.is_held() && waiting.chains("signed").is_none(), "{waiting:#?}");
    let reason = waiting.chains("reason").unwrap_or_default();
    ensure!(reason.contains("oci"), "it does not say what failed: {reason:?}");
    ensure!(waiting.chains("progress").is_some(), "what is done is not kept: {waiting:#?}");

    // Counted by the one that told the runs: the next may find the registry there again.
    let retries = controller.metrics()?.sum("chains_retries_total");
    ensure!(retries > 0.0, "retries are not counted");

    // What was done is on the run, and another controller goes on from there.
    let signature = signature_of(&namespace.get("taskruns", "build-0")?)?;
    controller.kill()?;
    let _controller = start.ready()?;
    let _registry = Registry::docker_again(scene, &host)?;
    watch.until_all(&names(&runs), |seen| seen.is_signed() && !seen.is_held())?;
    let kept = signature_of(&namespace.get("taskruns", "build-0")?)?;
    ensure!(kept == signature, "it was signed again");
    for name in names(&runs) {
        let seen = watch.now(&name).context("unknown")?;
        for gone in ["progress", "next-attempt", "reason"] {
            ensure!(seen.chains(gone).is_none(), "{gone} is left: {seen:#?}");
        }
    }
    let attached = image.attached("att")?.context("no attestation")?;
    ensure!(attached.layers().len() == runs.len(), "{} attestations", attached.layers().len());
    let signatures = image.attached("sig")?.context("no signature")?;
    ensure!(signatures.layers().len() == 1, "{} signatures", signatures.layers().len());
    stage.verify(&namespace.list("taskruns")?)
}

fn signature_of(run: &Value) -> Result<String> {
    let annotations = run["metadata"]["annotations"].as_object().context("no annotations")?;
    let found = annotations.iter().find(|(name, _)| name.contains("/signature-taskrun-"));
    Ok(found.context("no signature on the run")?.1.to_string())
}

/// The limit is reached: what could be stored is, the run says why, is let go, and can be started again.
fn registry_gone(scene: &Scene<'_>) -> Result<()> {
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let namespace = &stage.namespace;
    let registry = Registry::docker(scene, &Door::default())?;
    let image = registry.push(scene, &Access::default(), "app", "v1")?;
    let host = registry.host();
    drop(registry);
    stage.install.configure(&[
        ("artifacts.taskrun.storage", "tekton,oci"),
        ("artifacts.oci.storage", "oci"),
        ("retry.limit", "3"),
        ("retry.total-time", "3s"),
    ])?;
    let start = stage.controller("controller").arg(format!("--insecure-registry={host}"));
    let _controller = start.ready()?;
    let watch = namespace.watch("taskruns")?;
    let runs = builds_of(&image, 0..20);
    namespace.create(&runs)?;
    watch.until_all(&names(&runs), |seen| seen.is_held())?;
    namespace.complete(&runs)?;
    watch.until_all(&names(&runs), |seen| seen.is_failed() && !seen.is_held())?;
    let seen = watch.now("build-0").context("unknown")?;
    // Attempts 1 to 4, so that the third retry is the last: "3 means 3".
    ensure!(seen.chains("retries") == Some("2"), "{seen:#?}");
    ensure!(seen.chains("reason").is_some_and(|why| why.contains("oci")), "{seen:#?}");
    let events = namespace.told("build-0")?;
    ensure!(events.iter().any(|(_, note)| note.contains("oci")), "{events:?}");

    let _registry = Registry::docker_again(scene, &host)?;
    let retry = scene.chains().env("KUBECONFIG", cluster.admin_kubeconfig());
    retry.args(["retry", "--namespace", namespace.name(), "--all-failed"]).ok()?;
    watch.until_all(&names(&runs), |seen| seen.is_signed())?;
    let attached = image.attached("att")?.context("no attestation")?;
    ensure!(attached.layers().len() == runs.len(), "{} attestations", attached.layers().len());
    Ok(())
}

fn builds_of(image: &Image, numbers: std::ops::Range<usize>) -> Vec<Value> {
    numbers.map(|n| runs::kaniko(&format!("build-{n}"), &image.name(), &image.digest)).collect()
}

fn api_server_restarted(scene: &Scene<'_>) -> Result<()> {
    let mut cluster = Cluster::start(scene, &Options::default())?;
    let (mount, keys, install) = {
        let stage = Stage::set(scene, &cluster)?;
        (stage.mount, stage.keys, stage.install.kubeconfig().to_owned())
    };
    let start =
        chains_e2e::controller::Start::with_kubeconfig(scene, &install, "controller", &mount);
    let mut controller = start.ready()?;
    let names: Vec<String> = (0..300).map(|n| format!("build-{n}")).collect();
    let runs: Vec<Value> =
        names.iter().map(|name| runs::kaniko(name, "registry.test/app", "sha256:0")).collect();
    let watch = Namespace::default_of(&cluster).watch("taskruns")?;
    Namespace::default_of(&cluster).create(&runs)?;
    Namespace::default_of(&cluster).complete(&runs[..100])?;
    watch.until("build-50", |seen| seen.is_signed())?;
    cluster.kill_api_server();
    cluster.start_api_server(scene)?;
    Namespace::default_of(&cluster).complete(&runs[100..200])?;
    watch.until("build-150", |seen| seen.is_signed())?;
    cluster.stop_api_server();
    cluster.start_api_server(scene)?;
    Namespace::default_of(&cluster).complete(&runs[200..])?;
    watch.until_all(&names, |seen| seen.is_signed() && !seen.is_held())?;
    ensure!(controller.is_running()?, "it ended");
    controller.until_ready()?;
    let signed = Namespace::default_of(&cluster).list("taskruns")?;
    let tried = signed
        .iter()
        .filter(|run| !run["metadata"]["annotations"]["chains.tekton.dev/retries"].is_null());
    ensure!(tried.count() == 0, "the API server's restart cost runs an attempt");
    for chunk in signed.chunks(100) {
        let file = scene.fresh("signed.json");
        let file = scene.write(&file, chains_e2e::chains::list(chunk.to_vec()).to_string())?;
        chains_e2e::chains::Chains::new(scene).verify(&keys.public, file).ok()?;
    }
    Ok(())
}

/// SIGTERM in the middle of a backlog: what is in hand is finished, and nothing is left half written.
fn stopped(scene: &Scene<'_>) -> Result<()> {
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let namespace = &stage.namespace;
    let runs: Vec<Value> = (0..600)
        .map(|n| runs::kaniko(&format!("build-{n}"), "registry.test/app", "sha256:0"))
        .collect();
    namespace.run(&runs)?;
    let watch = namespace.watch("taskruns")?;
    let mut rounds = 0;
    while watch.count(|seen| seen.is_signed()) < runs.len() {
        let before = watch.count(|seen| seen.is_signed());
        let audit = cluster.audit()?;
        let controller = stage.start()?;
        wait_for(&controller, |_| {
            let now = watch.count(|seen| seen.is_signed());
            Ok(now >= (before + 100).min(runs.len()))
        })?;
        let status = controller.terminate()?;
        ensure!(status.success(), "it ended with {status}");
        let broken = audit.requests()?.into_iter().find(|request| request.code() >= 400);
        ensure!(broken.is_none(), "{broken:?}");
        rounds += 1;
    }
    scene.note(format!("{rounds} starts for {} runs", runs.len()));
    stage.verify(&namespace.list("taskruns")?)
}

/// Waits until `is_so`.
fn wait_for(
    controller: &Controller,
    mut is_so: impl FnMut(&Controller) -> Result<bool>,
) -> Result<()> {
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while !is_so(controller)? {
        ensure!(std::time::Instant::now() < deadline, "it did not come to it in a minute");
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}
