//! The demo of the Tekton blog, end to end: a kaniko build is signed, and cosign verifies it.

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use chains_e2e::{
    Case, Result, Scene, case,
    chains::Chains,
    ensure,
    registry::{Access, Attached, CRANE, DOCKER, Door, Image, REFERRERS, Registry},
    runs,
    sigstore::{Cosign, Version},
};
use serde_json::Value;

type Start = fn(&Scene<'_>) -> Result<Registry>;

pub(crate) fn cases() -> Vec<Case> {
    let registries: [(&str, &'static str, Start); 3] = [
        ("crane", CRANE, |scene| Registry::crane(scene)),
        ("docker", DOCKER, |scene| Registry::docker(scene, &Door::default())),
        ("referrers", REFERRERS, |scene| Registry::referrers(scene)),
    ];
    let mut cases = Vec::new();
    for version in Version::BOTH {
        for (name, peer, start) in registries {
            let needs = [CRANE, peer, version.peer()];
            cases.push(case(
                format!("kaniko::cosign_{version}_verifies_at_{name}"),
                &needs,
                move |scene| demo(scene, version, &start(scene)?),
            ));
        }
        let needs = [CRANE, DOCKER, version.peer()];
        cases.push(case(
            format!("kaniko::cosign_{version}_verifies_slsa_v1"),
            &needs,
            move |scene| slsa_v1(scene, version),
        ));
        cases.push(case(
            format!("kaniko::cosign_{version}_verifies_in_another_repository"),
            &needs,
            move |scene| another_repository(scene, version),
        ));
        cases.push(case(
            format!("kaniko::cosign_{version}_verifies_the_folder"),
            &needs,
            move |scene| folder(scene, version),
        ));
    }
    cases
}

fn demo(scene: &Scene<'_>, version: Version, registry: &Registry) -> Result<()> {
    let image = registry.push(scene, &Access::default(), "kaniko-chains", "latest")?;
    let cosign = Cosign::new(scene, version);
    let keys = cosign.generate_key_pair("cosign")?;
    let others = cosign.generate_key_pair("others")?;
    let run = runs::kaniko("build", &image.name(), &image.digest);

    let chains = Chains::new(scene).at(registry);
    chains.sign(&keys.private, &run)?.ok()?;

    let verified = cosign.verify(&keys.public, &image.by_digest())?.ok()?;
    let claims: Value = serde_json::from_str(&verified.stdout)?;
    let claimed = &claims[0]["critical"]["image"]["docker-manifest-digest"];
    ensure!(claimed == image.digest.as_str(), "verified another image: {claims}");

    let kind = "slsaprovenance";
    let attested = cosign.verify_attestation(&keys.public, kind, &image.by_digest())?.ok()?;
    let statement = statement(&attested.stdout)?;
    ensure!(subject_is(&statement, &image), "about another image: {statement}");
    ensure!(statement["predicateType"] == "https://slsa.dev/provenance/v0.2", "{statement}");

    cosign.verify(&others.public, &image.by_digest())?.refused()?;
    cosign.verify_attestation(&others.public, kind, &image.by_digest())?.refused()?;
    chains.verify(&keys.public, image.by_digest()).ok()?;
    chains.verify(&others.public, image.by_digest()).refused()?;
    Ok(())
}

fn slsa_v1(scene: &Scene<'_>, version: Version) -> Result<()> {
    let registry = Registry::docker(scene, &Door::default())?;
    let image = registry.push(scene, &Access::default(), "kaniko-chains", "latest")?;
    let cosign = Cosign::new(scene, version);
    let keys = cosign.generate_key_pair("cosign")?;
    let run = runs::kaniko("build", &image.name(), &image.digest);

    let chains = Chains::new(scene).at(&registry);
    let format = "artifacts.taskrun.format=slsa/v2alpha4";
    chains.sign(&keys.private, &run)?.args(["--config", format]).ok()?;

    cosign.verify(&keys.public, &image.by_digest())?.ok()?;
    let kind = "slsaprovenance1";
    let attested = cosign.verify_attestation(&keys.public, kind, &image.by_digest())?.ok()?;
    let statement = statement(&attested.stdout)?;
    ensure!(subject_is(&statement, &image), "about another image: {statement}");
    ensure!(statement["predicateType"] == "https://slsa.dev/provenance/v1", "{statement}");
    // What is there is not taken for what was asked for.
    cosign.verify_attestation(&keys.public, "slsaprovenance", &image.by_digest())?.refused()?;
    Ok(())
}

/// Two images whose signatures go to one repository that has other signatures already.
fn another_repository(scene: &Scene<'_>, version: Version) -> Result<()> {
    let registry = Registry::docker(scene, &Door::default())?;
    let cosign = Cosign::new(scene, version);
    let keys = cosign.generate_key_pair("cosign")?;
    let elsewhere = format!("{}/signatures", registry.host());
    let setting = format!("storage.oci.repository={elsewhere}");
    let chains = Chains::new(scene).at(&registry);

    for repository in ["one", "two"] {
        let image = registry.push(scene, &Access::default(), repository, "latest")?;
        let sign = |name| {
            let run = runs::kaniko(name, &image.name(), &image.digest);
            chains.sign(&keys.private, &run)?.args(["--config", &setting]).ok()
        };
        sign("first")?;
        sign("second")?;

        for suffix in ["sig", "att"] {
            let beside = image.attached(suffix)?;
            ensure!(beside.is_none(), "there is a .{suffix} beside the image too");
        }
        let tag = image.cosign_tag("att");
        let kept = Attached::get(&registry.host(), "signatures", &tag)?.context("no .att there")?;
        ensure!(kept.layers().len() == 2, "one run each: {}", kept.manifest);

        let there = |tool: chains_e2e::Tool| tool.env("COSIGN_REPOSITORY", &elsewhere);
        there(cosign.verify(&keys.public, &image.by_digest())?).ok()?;
        let kind = "slsaprovenance";
        there(cosign.verify_attestation(&keys.public, kind, &image.by_digest())?).ok()?;
        cosign.verify(&keys.public, &image.by_digest())?.refused()?;
        chains.verify(&keys.public, image.by_digest()).args(["--repository", &elsewhere]).ok()?;
    }
    Ok(())
}

/// The bundles in the folder are about the image: its manifest is the blob that was attested.
fn folder(scene: &Scene<'_>, version: Version) -> Result<()> {
    let registry = Registry::docker(scene, &Door::default())?;
    let image = registry.push(scene, &Access::default(), "kaniko-chains", "latest")?;
    let manifest = scene.peer(CRANE)?.arg("manifest").arg(image.by_digest()).ok()?;
    let manifest = scene.write("manifest.json", manifest.stdout)?;
    let cosign = Cosign::new(scene, version);
    let keys = cosign.generate_key_pair("cosign")?;
    let run = runs::kaniko("build", &image.name(), &image.digest);
    let out = scene.path("out");

    let chains = Chains::new(scene);
    chains.sign_to("local", &keys.private, &run)?.arg("--out-dir").arg(&out).ok()?;
    chains.verify(&keys.public, &out).ok()?;

    let mut verified = 0;
    for bundle in find(&out, "sigstore.json")? {
        let content: Value = serde_json::from_slice(&std::fs::read(&bundle)?)?;
        // The image's own signature is not an attestation.
        if content["dsseEnvelope"].is_object() {
            let kind = "slsaprovenance";
            cosign.verify_bundle(&keys.public, kind, &bundle)?.arg(&manifest).ok()?;
            let another = scene.write("another.json", "{}")?;
            cosign.verify_bundle(&keys.public, kind, &bundle)?.arg(another).refused()?;
            verified += 1;
        }
    }
    ensure!(verified == 1, "{verified} attestations in the folder");
    Ok(())
}

/// The statement in cosign's answer.
fn statement(answer: &str) -> Result<Value> {
    let first = answer.lines().next().context("cosign printed nothing")?;
    let envelope: Value = serde_json::from_str(first)?;
    let payload = envelope["payload"].as_str().context("no payload")?;
    Ok(serde_json::from_slice(&STANDARD.decode(payload)?)?)
}

fn subject_is(statement: &Value, image: &Image) -> bool {
    let digest = image.digest.trim_start_matches("sha256:");
    statement["subject"]
        .as_array()
        .is_some_and(|subjects| subjects.iter().any(|it| it["digest"]["sha256"] == digest))
}

/// The files in a folder, at any depth, whose name ends with `ending`.
fn find(folder: &std::path::Path, ending: &str) -> Result<Vec<std::path::PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(find(&path, ending)?);
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    Ok(found)
}
