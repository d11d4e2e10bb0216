//! The servers of Sigstore prove themselves: cosign signs and verifies with them, without Chains.

use chains_e2e::{
    Case, Result, Scene, case,
    cluster::{self, CLUSTER},
    ensure,
    registry::{Access, CRANE, REFERRERS, Registry},
    sigstore::{
        Cosign, Identity, Keyless, Parts, Sigstore, Version,
        bundles::{self, VERIFY},
        issuer::{AUDIENCE, account_identity},
    },
};
use serde_json::json;

/// The least that cosign takes for SLSA v0.2.
const PREDICATE: &str =
    r#"{"builder": {"id": "https://example.test/builder"}, "buildType": "https://example.test"}"#;

pub(crate) fn cases() -> Vec<Case> {
    let all = [
        ("cosign_2_and_rekor_1", Version::V2, Parts::V1),
        ("cosign_3_and_rekor_1", Version::V3, Parts::V1),
        ("cosign_3_and_rekor_2", Version::V3, Parts::V2),
    ];
    let case_of = |(name, version, parts): (&str, Version, Parts)| {
        let needs = [&parts.needs()[..], &[CRANE, REFERRERS, VERIFY, version.peer()]].concat();
        case(format!("peers::sigstore_{name}"), &needs, move |scene| {
            sign_and_verify(scene, version, parts)
        })
    };
    let mut cases: Vec<Case> = all.into_iter().map(case_of).collect();
    let needs = [&Parts::V2.needs()[..], &[CRANE, REFERRERS, Version::V3.peer()]].concat();
    cases.push(case("peers::sigstore_cosign_3_and_tuf", &needs, by_tuf));
    let needs = [&needs[..], &CLUSTER].concat();
    cases.push(case("peers::sigstore_cosign_3_in_a_cluster", &needs, in_cluster));
    cases
}

/// cosign has the token of a service account, whose keys Fulcio learns from the API server.
fn in_cluster(scene: &Scene<'_>) -> Result<()> {
    let cluster = cluster::borrow(scene)?;
    let sigstore = Sigstore::start_for_cluster(scene, Parts::V2, &cluster)?;
    let account = json!({ "metadata": { "name": "builder", "namespace": "default" } });
    cluster.api().create("/api/v1/namespaces/default/serviceaccounts", &account)?;
    let token = cluster.token_for(AUDIENCE, "default", "builder")?;
    let builder =
        Identity { name: account_identity("default", "builder"), issuer: cluster.issuer() };
    let other = Identity { name: account_identity("default", "other"), ..builder.clone() };
    let registry = Registry::referrers(scene)?;
    let image = registry.push(scene, &Access::default(), "app", "v1")?.by_digest();
    let cosign = Cosign::new(scene, Version::V3);
    let cosign = Keyless::new(&cosign, &sigstore)?;
    cosign.sign(&token, &image)?.ok()?;
    cosign.verify(&builder, &image)?.ok()?;
    cosign.verify(&other, &image)?.refused()?;
    Ok(())
}

/// cosign learns everything from the repository.
fn by_tuf(scene: &Scene<'_>) -> Result<()> {
    let sigstore = Sigstore::start(scene, Parts::V2)?;
    let mirror = sigstore.mirror()?;
    let registry = Registry::referrers(scene)?;
    let image = registry.push(scene, &Access::default(), "app", "v1")?.by_digest();
    let cosign = Cosign::new(scene, Version::V3);
    let root = scene.write("root.json", mirror.root())?;
    let initialize = cosign.command("initialize")?.args(["--mirror", &mirror.url()]);
    initialize.arg("--root").arg(root).ok()?;

    let alice = Identity { name: "alice@example.test".to_owned(), issuer: sigstore.issuer.url() };
    let token = scene.write("token", sigstore.issuer.email(&alice.name, AUDIENCE)?)?;
    let sign = cosign.command("sign")?.args(["--yes", "--allow-http-registry"]);
    sign.arg("--identity-token").arg(token).arg(&image).ok()?;
    let verify = cosign.command("verify")?.arg("--allow-http-registry").args(alice.flags());
    verify.arg(&image).ok()?;
    Ok(())
}

fn sign_and_verify(scene: &Scene<'_>, version: Version, parts: Parts) -> Result<()> {
    let sigstore = Sigstore::start(scene, parts)?;
    let registry = Registry::referrers(scene)?;
    let pushed = registry.push(scene, &Access::default(), "app", "v1")?;
    let image = pushed.by_digest();
    let cosign = Cosign::new(scene, version);
    let cosign = Keyless::new(&cosign, &sigstore)?;
    let alice = Identity { name: "alice@example.test".to_owned(), issuer: sigstore.issuer.url() };
    let mallory = Identity { name: "mallory@example.test".to_owned(), ..alice.clone() };
    let token = || sigstore.issuer.email(&alice.name, AUDIENCE);
    let predicate = scene.write("predicate.json", PREDICATE)?;
    let kind = "slsaprovenance";

    cosign.verify(&alice, &image)?.refused()?;
    cosign.sign(&token()?, &image)?.ok()?;
    cosign.verify(&alice, &image)?.ok()?;
    cosign.verify(&mallory, &image)?.refused()?;

    cosign.verify_attestation(&alice, kind, &image)?.refused()?;
    cosign.attest(&token()?, kind, &predicate, &image)?.ok()?;
    cosign.verify_attestation(&alice, kind, &image)?.ok()?;
    cosign.verify_attestation(&mallory, kind, &image)?.refused()?;

    // Version 2 keeps tags.
    let bundles = bundles::of(&pushed)?;
    ensure!(bundles.len() == if version == Version::V3 { 2 } else { 0 }, "{bundles:#?}");
    let root = sigstore.trusted_root_file()?;
    for bundle in bundles {
        bundles::verify(scene, &bundle, &root, &alice)?.ok()?;
        bundles::verify(scene, &bundle, &root, &mallory)?.refused()?;
    }

    sigstore.until_entries(2)?;
    let certificates = sigstore.certificates()?;
    ensure!(certificates == 2, "cosign got {certificates} certificates");
    Ok(())
}
