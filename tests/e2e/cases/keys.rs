//! Keys that Chains makes, used by cosign; keys that cosign makes are used in the other cases.

use chains_e2e::{
    Case, Result, Scene, case,
    chains::Chains,
    ensure,
    registry::{Access, CRANE, Registry},
    runs,
    sigstore::{Cosign, Version},
};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for version in Version::BOTH {
        for kind in ["ecdsa-p256", "ecdsa-p384", "ed25519"] {
            let name = format!("keys::cosign_{version}_uses_ours_of_{kind}").replace('-', "_");
            let needs = [CRANE, version.peer()];
            cases.push(case(name, &needs, move |scene| used_by_cosign(scene, version, kind)));
        }
        let name = format!("keys::cosign_{version}_and_we_derive_the_same_public_key");
        cases.push(case(name, &[version.peer()], move |scene| same_public_key(scene, version)));
    }
    cases
}

fn used_by_cosign(scene: &Scene<'_>, version: Version, kind: &str) -> Result<()> {
    let registry = Registry::crane(scene)?;
    let cosign = Cosign::new(scene, version);
    let chains = Chains::new(scene).at(&registry);
    let keys = chains.generate_keys(kind, "ours")?;

    // Ours signs, both verify.
    let image = registry.push(scene, &Access::default(), "by-chains", "v1")?;
    let run = runs::kaniko("build", &image.name(), &image.digest);
    chains.sign(&keys.private, &run)?.ok()?;
    cosign.verify(&keys.public, &image.by_digest())?.ok()?;
    cosign.verify_attestation(&keys.public, "slsaprovenance", &image.by_digest())?.ok()?;
    chains.verify(&keys.public, image.by_digest()).ok()?;

    // cosign signs, both verify.
    let image = registry.push(scene, &Access::default(), "by-cosign", "v1")?;
    cosign.sign(&keys.private, &image.by_digest())?.ok()?;
    if version == Version::V2 || kind == "ecdsa-p256" {
        cosign.verify(&keys.public, &image.by_digest())?.ok()?;
    }
    // cosign 3.1 signs with P-384 over SHA-384 and with Ed25519ph, and does not verify either itself.
    if version == Version::V2 || kind != "ed25519" {
        chains.verify(&keys.public, image.by_digest()).ok()?;
    }
    Ok(())
}

fn same_public_key(scene: &Scene<'_>, version: Version) -> Result<()> {
    let cosign = Cosign::new(scene, version);
    let theirs = cosign.generate_key_pair("theirs")?;
    let ours = Chains::new(scene).generate_keys("ecdsa-p256", "ours")?;
    for keys in [theirs, ours] {
        let written = std::fs::read_to_string(&keys.public)?;
        let by_cosign = cosign.command("public-key")?.arg("--key").arg(&keys.private).ok()?;
        let by_chains = scene
            .chains()
            .env("COSIGN_PASSWORD", chains_e2e::sigstore::PASSWORD)
            .args(["keys", "public", "--key"])
            .arg(&keys.private)
            .ok()?;
        ensure!(by_cosign.stdout.trim() == written.trim(), "{by_cosign} differs from {written}");
        ensure!(by_chains.stdout.trim() == written.trim(), "{by_chains} differs from {written}");
    }
    Ok(())
}
