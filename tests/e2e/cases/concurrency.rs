//! Many runs of one image, signed at once, one after another and again: nothing is lost and nothing
//! is there twice.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use chains_e2e::{
    Case, Result, Scene, case,
    chains::{Chains, list},
    ensure,
    registry::{Access, CRANE, DOCKER, Door, Image, REFERRERS, Registry},
    runs,
    sigstore::{Cosign, Keys, Version},
};
use serde_json::Value;

/// How many runs there are for the one image.
const RUNS: usize = 32;
/// How many processes sign them, each its share.
const PROCESSES: usize = 4;
/// How often processes race: one round may be lucky.
const ROUNDS: usize = 5;

type Start = fn(&Scene<'_>) -> Result<Registry>;

pub(crate) fn cases() -> Vec<Case> {
    let registries: [(&str, &'static str, Start); 3] = [
        ("crane", CRANE, |scene| Registry::crane(scene)),
        ("docker", DOCKER, |scene| Registry::docker(scene, &Door::default())),
        ("referrers", REFERRERS, |scene| Registry::referrers(scene)),
    ];
    let mut cases = Vec::new();
    for (name, peer, start) in registries {
        cases.push(case(
            format!("concurrency::one_process_keeps_32_attestations_at_{name}"),
            &[CRANE, peer, Version::V2.peer()],
            move |scene| one_process(scene, &start(scene)?),
        ));
        cases.push(case(
            format!("concurrency::four_processes_keep_32_attestations_at_{name}"),
            &[CRANE, peer],
            move |scene| four_processes(scene, &start(scene)?),
        ));
    }
    cases.push(case("concurrency::signing_twice_adds_nothing", &[CRANE, DOCKER], twice));
    cases
}

fn one_process(scene: &Scene<'_>, registry: &Registry) -> Result<()> {
    let chains = Chains::new(scene).at(registry);
    let keys = chains.generate_keys("ecdsa-p256", "ours")?;
    let image = registry.push(scene, &Access::default(), "shop/app", "v1")?;
    let runs = list(builds(&image, 0..RUNS));
    chains.sign(&keys.private, &runs)?.ok()?;

    ensure!(count(&image, "att")? == RUNS, "{} attestations", count(&image, "att")?);
    // All runs say the same of the image: there is one signature.
    ensure!(count(&image, "sig")? == 1, "{} signatures", count(&image, "sig")?);
    let cosign = Cosign::new(scene, Version::V2);
    let kind = "slsaprovenance";
    let verified = cosign.verify_attestation(&keys.public, kind, &image.by_digest())?.ok()?;
    let lines = verified.stdout.lines().count();
    ensure!(lines == RUNS, "cosign verified {lines} attestations");
    Ok(())
}

fn four_processes(scene: &Scene<'_>, registry: &Registry) -> Result<()> {
    let keys = Chains::new(scene).generate_keys("ecdsa-p256", "ours")?;
    for round in 0..ROUNDS {
        let image = registry.push(scene, &Access::default(), "shop/app", &format!("v{round}"))?;
        let took = race(scene, registry, &keys, &image)?;
        let (attestations, signatures) = (count(&image, "att")?, count(&image, "sig")?);
        scene.note(format!(
            "{PROCESSES} processes, {RUNS} runs: {attestations} attestations and \
             {signatures} signature after {took:.1?}"
        ));
        ensure!(attestations == RUNS, "{attestations} attestations of {RUNS} runs");
        ensure!(signatures == 1, "{signatures} signatures that say the same");
    }
    Ok(())
}

/// Signs the runs of one image by several processes at once.
fn race(scene: &Scene<'_>, registry: &Registry, keys: &Keys, image: &Image) -> Result<Duration> {
    let started = Instant::now();
    let share = RUNS / PROCESSES;
    let mut racing = Vec::new();
    for process in 0..PROCESSES {
        let runs = list(builds(image, process * share..(process + 1) * share));
        let chains = Chains::new(scene).at(registry);
        racing.push(chains.sign(&keys.private, &runs)?.start()?);
    }
    for process in racing {
        process.finish()?.ok()?;
    }
    Ok(started.elapsed())
}

fn twice(scene: &Scene<'_>) -> Result<()> {
    let registry = Registry::docker(scene, &Door::default())?;
    let chains = Chains::new(scene).at(&registry);
    let keys = chains.generate_keys("ecdsa-p256", "ours")?;
    let image = registry.push(scene, &Access::default(), "shop/app", "v1")?;
    let runs = list(builds(&image, 0..2));
    let digests = || -> Result<Vec<String>> {
        ["sig", "att"].iter().map(|it| Ok(image.attached(it)?.context("nothing")?.digest)).collect()
    };

    chains.sign(&keys.private, &runs)?.ok()?;
    let first = digests()?;
    chains.sign(&keys.private, &runs)?.ok()?;
    ensure!(digests()? == first, "signing again changed {first:?} to {:?}", digests()?);

    // Another key is another signature, and leaves the first.
    let others = chains.generate_keys("ecdsa-p256", "others")?;
    chains.sign(&others.private, &runs)?.ok()?;
    ensure!(count(&image, "sig")? == 2, "a signature of each key");
    ensure!(count(&image, "att")? == 4, "two attestations of each key");
    for keys in [&keys, &others] {
        chains.verify(&keys.public, image.by_digest()).ok()?;
    }
    Ok(())
}

fn builds(image: &Image, numbers: std::ops::Range<usize>) -> Vec<Value> {
    numbers
        .map(|number| runs::kaniko(&format!("build-{number}"), &image.name(), &image.digest))
        .collect()
}

/// How many there are: different ones, as a layer that is there twice proves nothing more.
fn count(image: &Image, suffix: &str) -> Result<usize> {
    let attached = image.attached(suffix)?.with_context(|| format!("no .{suffix}"))?;
    let mut layers: Vec<String> = attached.layers().iter().map(ToString::to_string).collect();
    let all = layers.len();
    layers.sort();
    layers.dedup();
    ensure!(layers.len() == all, "the same layer is there twice: {layers:#?}");
    Ok(all)
}
