//! The peers prove themselves: cosign signs and verifies with each registry, without Chains. Where
//! another case fails and these do too, it is not Chains that is broken.

use chains_e2e::{
    Case, Result, Scene, case, ensure,
    registry::{Access, CRANE, DOCKER, Door, REFERRERS, Registry, USERS},
    sigstore::{Cosign, Version},
    tls::Authority,
    tokens::{TokenServer, User},
};

/// The least that cosign 2 takes for SLSA v0.2.
const PREDICATE: &str =
    r#"{"builder": {"id": "https://example.test/builder"}, "buildType": "https://example.test"}"#;

type Body = fn(&Scene<'_>, Version) -> Result<()>;

pub(crate) fn cases() -> Vec<Case> {
    let registries: [(&str, &[&'static str], Body); 6] = [
        ("crane", &[CRANE], open_crane),
        ("referrers", &[CRANE, REFERRERS], open_referrers),
        ("docker", &[CRANE, DOCKER], open_docker),
        ("passwords", &[CRANE, DOCKER], passwords),
        ("tls", &[CRANE, DOCKER], tls),
        ("tokens", &[CRANE, DOCKER], bearer_tokens),
    ];
    let mut cases = Vec::new();
    for version in Version::BOTH {
        for (name, needs, body) in registries {
            let needs = [needs, &[version.peer()]].concat();
            let name = format!("peers::cosign_{version}_and_{name}");
            cases.push(case(name, &needs, move |scene| body(scene, version)));
        }
    }
    cases
}

fn open_crane(scene: &Scene<'_>, version: Version) -> Result<()> {
    sign_and_verify(scene, version, &Registry::crane(scene)?, &Access::default())
}

fn open_referrers(scene: &Scene<'_>, version: Version) -> Result<()> {
    sign_and_verify(scene, version, &Registry::referrers(scene)?, &Access::default())
}

fn open_docker(scene: &Scene<'_>, version: Version) -> Result<()> {
    let registry = Registry::docker(scene, &Door::default())?;
    sign_and_verify(scene, version, &registry, &Access::default())
}

fn passwords(scene: &Scene<'_>, version: Version) -> Result<()> {
    let registry = Registry::docker(scene, &Door { passwords: true, ..Door::default() })?;
    let (user, password) = USERS[0];
    let access = Access {
        docker_config: Some(scene.docker_config(&[(&registry.host(), user, password)])?),
        ..Access::default()
    };
    let anyone = registry.push(scene, &Access::default(), "shop/app", "open");
    ensure!(anyone.is_err(), "the registry lets in anyone");
    sign_and_verify(scene, version, &registry, &access)
}

fn tls(scene: &Scene<'_>, version: Version) -> Result<()> {
    let authority = Authority::new(scene, "authority")?;
    let door = Door { authority: Some(&authority), ..Door::default() };
    let registry = Registry::docker(scene, &door)?;
    let access =
        Access { authority: Some(authority.certificate().to_owned()), ..Access::default() };
    sign_and_verify(scene, version, &registry, &access)
}

fn bearer_tokens(scene: &Scene<'_>, version: Version) -> Result<()> {
    let user = User { name: "alice", secret: "wonderland", prefix: "shop/" };
    let tokens = TokenServer::start(scene, &[user])?;
    let registry = Registry::docker(scene, &Door { tokens: Some(&tokens), ..Door::default() })?;
    let config = scene.docker_config(&[(&registry.host(), "alice", "wonderland")])?;
    let access = Access { docker_config: Some(config), ..Access::default() };
    let elsewhere = registry.push(scene, &access, "elsewhere/app", "v1");
    ensure!(elsewhere.is_err(), "alice may write where she has no rights");
    sign_and_verify(scene, version, &registry, &access)
}

fn sign_and_verify(
    scene: &Scene<'_>,
    version: Version,
    registry: &Registry,
    access: &Access,
) -> Result<()> {
    let image = registry.push(scene, access, "shop/app", "v1")?.by_digest();
    let cosign = Cosign::new(scene, version).with(access);
    let keys = cosign.generate_key_pair("ours")?;
    let others = cosign.generate_key_pair("others")?;
    let predicate = scene.write("predicate.json", PREDICATE)?;
    let kind = "slsaprovenance";

    cosign.verify(&keys.public, &image)?.refused()?;
    cosign.sign(&keys.private, &image)?.ok()?;
    cosign.verify(&keys.public, &image)?.ok()?;
    cosign.verify(&others.public, &image)?.refused()?;

    cosign.verify_attestation(&keys.public, kind, &image)?.refused()?;
    cosign.attest(&keys.private, kind, &predicate, &image)?.ok()?;
    cosign.verify_attestation(&keys.public, kind, &image)?.ok()?;
    cosign.verify_attestation(&others.public, kind, &image)?.refused()?;
    Ok(())
}
