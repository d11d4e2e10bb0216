//! Runs with more than one image, and more than images: each subject that can be reached gets what is
//! its own, whatever becomes of the others.

use chains_e2e::{
    Case, Result, Scene, case,
    chains::{Chains, list},
    ensure,
    registry::{Access, CRANE, DOCKER, Door, Image, Registry},
    runs,
    sigstore::{Cosign, Version},
};
use serde_json::{Value, json};

pub(crate) fn cases() -> Vec<Case> {
    let needs = [CRANE, DOCKER, Version::V3.peer()];
    vec![
        case("subjects::one_that_fails_does_not_stop_the_others", &needs, one_fails),
        case("subjects::a_pipeline_run_is_attested_beside_its_image", &needs, pipeline_run),
    ]
}

/// Two images in two registries, one that is gone, and a file that is in no registry.
fn one_fails(scene: &Scene<'_>) -> Result<()> {
    let registries = [Registry::docker(scene, &Door::default())?, Registry::crane(scene)?];
    let mut images = Vec::new();
    let mut chains = Chains::new(scene);
    for registry in &registries {
        images.push(registry.push(scene, &Access::default(), "shop/app", "v1")?);
        chains = chains.at(registry);
    }
    let gone = format!("127.0.0.1:1/shop/gone@sha256:{}", "9".repeat(64));
    let names = [gone.clone(), images[0].by_digest(), images[1].by_digest()];
    let run = runs::with_results(
        "build",
        &json!([
            { "name": "IMAGES", "type": "string", "value": names.join("\n") },
            { "name": "FILE_ARTIFACT_URI", "type": "string", "value": "https://files.test/app.tgz" },
            { "name": "FILE_ARTIFACT_DIGEST", "type": "string",
              "value": format!("sha256:{}", "8".repeat(64)) },
        ]),
    );
    let keys = chains.generate_keys("ecdsa-p256", "ours")?;

    // What failed is told, by name.
    chains.sign(&keys.private, &run)?.refused()?.saying("127.0.0.1:1/shop/gone")?;
    let cosign = Cosign::new(scene, Version::V3);
    for image in &images {
        cosign.verify(&keys.public, &image.by_digest())?.ok()?;
        cosign.verify_attestation(&keys.public, "slsaprovenance", &image.by_digest())?.ok()?;
    }
    Ok(())
}

/// The PipelineRun names the image that its TaskRun built.
fn pipeline_run(scene: &Scene<'_>) -> Result<()> {
    let registry = Registry::docker(scene, &Door::default())?;
    let image = registry.push(scene, &Access::default(), "shop/app", "v1")?;
    let chains = Chains::new(scene).at(&registry);
    let keys = chains.generate_keys("ecdsa-p256", "ours")?;
    let task_run = runs::kaniko("pipeline-build", &image.name(), &image.digest);
    let inputs = list(vec![pipeline(&image), task_run]);
    let format = "artifacts.pipelinerun.format=slsa/v2alpha4";
    chains.sign(&keys.private, &inputs)?.args(["--config", format]).ok()?;

    let cosign = Cosign::new(scene, Version::V3);
    cosign.verify(&keys.public, &image.by_digest())?.ok()?;
    // The TaskRun's is SLSA v0.2, the PipelineRun's v1.
    for kind in ["slsaprovenance", "slsaprovenance1"] {
        cosign.verify_attestation(&keys.public, kind, &image.by_digest())?.ok()?;
    }
    let kept = image.attached("att")?.map_or(0, |kept| kept.layers().len());
    ensure!(kept == 2, "{kept} attestations of two runs");
    Ok(())
}

fn pipeline(image: &Image) -> Value {
    let task = json!({ "name": "build", "taskRef": { "kind": "Task", "name": "kaniko-chains" } });
    json!({
        "apiVersion": "tekton.dev/v1",
        "kind": "PipelineRun",
        "metadata": { "name": "pipeline", "namespace": "default", "uid": runs::uid("pipeline") },
        "spec": { "pipelineRef": { "name": "pipeline" } },
        "status": {
            "conditions": [{ "type": "Succeeded", "status": "True", "reason": "Succeeded" }],
            "startTime": "2026-01-02T03:04:00Z",
            "completionTime": "2026-01-02T03:05:10Z",
            "childReferences": [{
                "apiVersion": "tekton.dev/v1",
                "kind": "TaskRun",
                "name": "pipeline-build",
                "pipelineTaskName": "build",
            }],
            "pipelineSpec": { "tasks": [task] },
            "results": [
                { "name": "IMAGE_DIGEST", "value": image.digest },
                { "name": "IMAGE_URL", "value": image.name() },
            ],
        },
    })
}
