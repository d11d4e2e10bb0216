//! The example of `docs/writing-a-backend.md`: a store of one's own, in a controller of one's own.

use std::{fs, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chains_e2e::{
    Case, Context as _, Result, Scene, case,
    cluster::{self, API_SERVER, ETCD, KUBECTL},
    ensure, runs,
    stage::Stage,
    tekton::names,
};
use serde_json::Value;

/// The program of the example.
const PROGRAM: &str = "custom-backend";
const MANY: usize = 50;
const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

pub(crate) fn cases() -> Vec<Case> {
    let needs = [ETCD, API_SERVER, KUBECTL, PROGRAM];
    vec![case("custom_backend::keeps_runs_in_a_controller_of_its_own", &needs, own)]
}

fn own(scene: &Scene<'_>) -> Result<()> {
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let cabinet = scene.path("cabinet");
    stage.install.configure(&[
        ("artifacts.taskrun.storage", "tekton,cabinet"),
        ("storage.cabinet.path", "not/absolute"),
    ])?;
    let controller = stage.controller("controller").program(PROGRAM).alive()?;
    controller.until_readyz(503, "is not an absolute path")?;
    stage.install.configure(&[("storage.cabinet.path", &cabinet.display().to_string())])?;
    controller.until_ready()?;

    let namespace = &stage.namespace;
    let watch = namespace.watch("taskruns")?;
    let runs: Vec<Value> = (0..MANY)
        .map(|n| runs::kaniko(&format!("build-{n}"), "registry.test/app", DIGEST))
        .collect();
    namespace.run(&runs)?;
    watch.until_all(&names(&runs), |seen| seen.is_signed())?;
    let signed = namespace.list("taskruns")?;
    stage.verify(&signed)?;

    // One sheet for each run, with the very envelope that the run itself has.
    let sheets = sheets(&cabinet)?;
    ensure!(sheets.len() == MANY, "{} sheets of {MANY} runs", sheets.len());
    for run in &signed {
        let name = run["metadata"]["name"].as_str().unwrap_or_default();
        let told = format!(" {}/{name}", namespace.name());
        let of_run = |sheet: &&Value| sheet["run"].as_str().is_some_and(|run| run.ends_with(&told));
        let sheet = sheets.iter().find(of_run).with_context(|| format!("{name} has no sheet"))?;
        ensure!(sheet["envelope"] == envelope(run)?, "{name} has another envelope: {sheet}");
    }

    // The command of Chains knows nothing of it, and says so.
    let config = scene.write("config.yaml", "artifacts.taskrun.storage: cabinet\n")?;
    scene.chains().args(["config", "validate"]).arg(config).refused()?.saying("cabinet")?;
    Ok(())
}

/// What is in the drawers.
fn sheets(cabinet: &Path) -> Result<Vec<Value>> {
    let mut sheets = Vec::new();
    for drawer in fs::read_dir(cabinet).context("list the drawers")? {
        for sheet in fs::read_dir(drawer?.path())? {
            sheets.push(serde_json::from_slice(&fs::read(sheet?.path())?)?);
        }
    }
    Ok(sheets)
}

/// The envelope that a signed run has in its annotation.
fn envelope(run: &Value) -> Result<Value> {
    let uid = run["metadata"]["uid"].as_str().unwrap_or_default();
    let name = format!("chains.tekton.dev/signature-taskrun-{uid}");
    let signature = run["metadata"]["annotations"][&name].as_str();
    let signature = signature.with_context(|| format!("{uid} has no signature"))?;
    Ok(serde_json::from_slice(&STANDARD.decode(signature)?)?)
}
