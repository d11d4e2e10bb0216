//! Runs that are deleted, at every point of their life.

use std::collections::BTreeMap;

use chains_e2e::{
    Case, Context as _, Result, Scene, case, cluster,
    controller::NEEDS,
    ensure,
    registry::{Access, CRANE, Registry},
    runs,
    sigstore::{Cosign, Version},
    stage::{Stage, by_object},
    tekton::names,
};
use serde_json::Value;

const MANY: usize = 100;

pub(crate) fn cases() -> Vec<Case> {
    let with_registry = [&NEEDS[..], &[CRANE, Version::V2.peer()]].concat();
    vec![
        case("controller_deletion::running_ones_are_let_go", &NEEDS, while_running),
        case("controller_deletion::waiting_ones_are_signed_first", &NEEDS, while_waiting),
        case("controller_deletion::their_images_are_signed", &with_registry, images),
        case("controller_deletion::nothing_is_held_without_a_key", &NEEDS, without_a_key),
    ]
}

fn builds() -> Vec<Value> {
    (0..MANY)
        .map(|n| runs::kaniko(&format!("build-{n}"), "registry.test/app", "sha256:0"))
        .collect()
}

/// Tekton stops working on them: there will be nothing to sign.
fn while_running(scene: &Scene<'_>) -> Result<()> {
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let _controller = stage.start()?;
    let watch = stage.namespace.watch("taskruns")?;
    let runs = builds();
    stage.namespace.create(&runs)?;
    watch.until_all(&names(&runs), |seen| seen.is_held())?;
    stage.namespace.delete_all("taskruns", &names(&runs))?;
    watch.until_all(&names(&runs), |seen| seen.gone && seen.chains("signed").is_none())
}

/// Complete, held by the finalizer, and deleted before the controller comes to them.
fn while_waiting(scene: &Scene<'_>) -> Result<()> {
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let watch = stage.namespace.watch("taskruns")?;
    let runs = builds();
    let controller = stage.start()?;
    stage.namespace.create(&runs)?;
    watch.until_all(&names(&runs), |seen| seen.is_held())?;
    ensure!(controller.terminate()?.success(), "it did not end well");
    stage.namespace.complete(&runs)?;
    stage.namespace.delete_all("taskruns", &names(&runs))?;
    watch.until_all(&names(&runs), |seen| seen.deleting && !seen.gone)?;

    let audit = cluster.audit()?;
    let controller = stage.start()?;
    // With its last finalizer a run goes, and nobody sees what was written on it in the same moment.
    watch.until_all(&names(&runs), |seen| seen.gone)?;
    controller.until_counted("watcher_taskrun_marked_signed_total", MANY as f64)?;
    for (run, verbs) in by_object(&audit.requests()?, "taskruns") {
        ensure!(verbs == BTreeMap::from([("patch".to_owned(), 1)]), "{run} took {verbs:?}");
    }
    Ok(())
}

/// The run is gone; what it built is signed.
fn images(scene: &Scene<'_>) -> Result<()> {
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let registry = Registry::crane(scene)?;
    let image = registry.push(scene, &Access::default(), "app", "v1")?;
    stage
        .install
        .configure(&[("artifacts.taskrun.storage", "oci"), ("artifacts.oci.storage", "oci")])?;
    let start = stage.controller("controller");
    let _controller = start.arg(format!("--insecure-registry={}", registry.host())).ready()?;
    let watch = stage.namespace.watch("taskruns")?;
    let run = [runs::kaniko("build", &image.name(), &image.digest)];
    stage.namespace.create(&run)?;
    watch.until("build", |seen| seen.is_held())?;
    stage.namespace.complete(&run)?;
    stage.namespace.delete("taskruns", "build")?;
    watch.until("build", |seen| seen.gone)?;
    let cosign = Cosign::new(scene, Version::V2);
    cosign.verify(&stage.keys.public, &image.by_digest())?.ok()?;
    cosign.verify_attestation(&stage.keys.public, "slsaprovenance", &image.by_digest())?.ok()?;
    Ok(())
}

/// A run must not be undeletable because signing is not set up.
fn without_a_key(scene: &Scene<'_>) -> Result<()> {
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let controller = stage.start()?;
    let watch = stage.namespace.watch("taskruns")?;
    let run = [runs::kaniko("running", "registry.test/app", "sha256:0")];
    stage.namespace.create(&run)?;
    watch.until("running", |seen| seen.is_held())?;
    drop(controller);

    stage.mount.swap(&[])?;
    let controller = stage.controller("keyless").alive()?;
    controller.until_readyz(503, "")?;
    stage.namespace.delete("taskruns", "running")?;
    watch.until("running", |seen| seen.gone).context("a running run is held for want of a key")?;
    Ok(())
}
