//! Registries that do not let in everyone: passwords, tokens, TLS.

use anyhow::Context as _;
use chains_e2e::{
    Case, Result, Scene, case,
    chains::{Chains, list},
    ensure,
    registry::{Access, CRANE, DOCKER, Door, Image, Registry},
    runs,
    sigstore::{Cosign, Keys, Version},
    tls::Authority,
    tokens::{TokenServer, User},
};
use serde_json::json;

pub(crate) const ALICE: User = User { name: "alice", secret: "wonderland", prefix: "team-a/" };
const BOB: User = User { name: "bob", secret: "builder", prefix: "team-b/" };
const WRONG: &str = "not the password";

pub(crate) fn cases() -> Vec<Case> {
    let registry = [CRANE, DOCKER];
    let both = [CRANE, DOCKER, Version::V2.peer()];
    vec![
        case("access::passwords", &both, passwords),
        case("access::wrong_password", &registry, wrong_password),
        case("access::longest_path_wins", &registry, longest_path_wins),
        case("access::credential_helper", &registry, credential_helper),
        case("access::private_authority", &both, private_authority),
        case("access::tokens", &both, bearer_tokens),
        case("access::two_users_of_one_registry", &registry, two_users),
        case("access::identity_token", &registry, identity_token),
    ]
}

/// A user by the configuration of docker.
pub(crate) fn user(scene: &Scene<'_>, credentials: &[(&str, &str, &str)]) -> Result<Access> {
    Ok(Access { docker_config: Some(scene.docker_config(credentials)?), ..Access::default() })
}

pub(crate) fn our_keys(scene: &Scene<'_>) -> Result<Keys> {
    Chains::new(scene).generate_keys("ecdsa-p256", &scene.fresh("ours"))
}

pub(crate) fn build(image: &Image) -> serde_json::Value {
    runs::kaniko(&image.repository.replace('/', "-"), &image.name(), &image.digest)
}

/// Signs, and lets both verify.
fn sign_and_verify(
    scene: &Scene<'_>,
    chains: &Chains<'_>,
    access: &Access,
    image: &Image,
) -> Result<()> {
    let keys = our_keys(scene)?;
    chains.sign(&keys.private, &build(image))?.ok()?;
    chains.verify(&keys.public, image.by_digest()).ok()?;
    let cosign = Cosign::new(scene, Version::V2).with(access);
    cosign.verify(&keys.public, &image.by_digest())?.ok()?;
    cosign.verify_attestation(&keys.public, "slsaprovenance", &image.by_digest())?.ok()?;
    Ok(())
}

fn passwords(scene: &Scene<'_>) -> Result<()> {
    let registry = Registry::docker(scene, &Door { passwords: true, ..Door::default() })?;
    let alice = user(scene, &[(&registry.host(), ALICE.name, ALICE.secret)])?;
    let image = registry.push(scene, &alice, "shop/app", "v1")?;
    sign_and_verify(scene, &Chains::new(scene).at(&registry).with(&alice), &alice, &image)
}

fn wrong_password(scene: &Scene<'_>) -> Result<()> {
    let registry = Registry::docker(scene, &Door { passwords: true, ..Door::default() })?;
    let alice = user(scene, &[(&registry.host(), ALICE.name, ALICE.secret)])?;
    let image = registry.push(scene, &alice, "shop/app", "v1")?;
    let keys = our_keys(scene)?;
    let mallory = user(scene, &[(&registry.host(), ALICE.name, WRONG)])?;
    for access in [Access::default(), mallory] {
        let chains = Chains::new(scene).at(&registry).with(&access);
        let refused = chains.sign(&keys.private, &build(&image))?.refused()?;
        let refused = refused.saying(&registry.host())?.saying("credential")?;
        let told = format!("{}{}", refused.stdout, refused.stderr);
        ensure!(!told.contains(WRONG), "the password is in what it says: {refused}");
    }
    Ok(())
}

/// Credentials for the whole registry are wrong; those for a path in it are right.
fn longest_path_wins(scene: &Scene<'_>) -> Result<()> {
    let registry = Registry::docker(scene, &Door { passwords: true, ..Door::default() })?;
    let host = registry.host();
    let alice = user(scene, &[(&host, ALICE.name, ALICE.secret)])?;
    let image = registry.push(scene, &alice, "team-a/app/web", "v1")?;
    let mixed = user(
        scene,
        &[
            (&host, ALICE.name, WRONG),
            (&format!("{host}/team-a"), BOB.name, WRONG),
            (&format!("{host}/team-a/app"), ALICE.name, ALICE.secret),
            (&format!("{host}/team-a/app/w"), BOB.name, WRONG),
        ],
    )?;
    let chains = Chains::new(scene).at(&registry).with(&mixed);
    chains.sign(&our_keys(scene)?.private, &build(&image))?.ok()?;
    Ok(())
}

fn credential_helper(scene: &Scene<'_>) -> Result<()> {
    let registry = Registry::docker(scene, &Door { passwords: true, ..Door::default() })?;
    let host = registry.host();
    let alice = user(scene, &[(&host, ALICE.name, ALICE.secret)])?;
    let image = registry.push(scene, &alice, "shop/app", "v1")?;

    let answer = json!({ "ServerURL": host, "Username": ALICE.name, "Secret": ALICE.secret });
    let script =
        format!("#!/bin/sh\n[ \"$1\" = get ] && [ \"$(cat)\" = {host} ] && echo '{answer}'\n");
    let helper = scene.write("bin/docker-credential-e2e", script)?;
    scene.system("chmod").arg("+x").arg(&helper).ok()?;
    let config = json!({ "credHelpers": { host: "e2e" } });
    scene.write("helped/config.json", config.to_string())?;
    let helped = Access { docker_config: Some(scene.path("helped")), ..Access::default() };

    let path = std::env::var("PATH").context("no PATH")?;
    let path = format!("{}:{path}", scene.path("bin").display());
    let chains = Chains::new(scene).at(&registry).with(&helped);
    chains.sign(&our_keys(scene)?.private, &build(&image))?.env("PATH", path).ok()?;
    Ok(())
}

fn private_authority(scene: &Scene<'_>) -> Result<()> {
    let authority = Authority::new(scene.folder(), "authority")?;
    let door = Door { passwords: true, authority: Some(&authority), ..Door::default() };
    let registry = Registry::docker(scene, &door)?;
    let stranger = user(scene, &[(&registry.host(), ALICE.name, ALICE.secret)])?;
    let trusting =
        Access { authority: Some(authority.certificate().to_owned()), ..stranger.clone() };
    let image = registry.push(scene, &trusting, "shop/app", "v1")?;
    let keys = our_keys(scene)?;

    let untrusted = Chains::new(scene).with(&stranger);
    untrusted.sign(&keys.private, &build(&image))?.refused()?.saying("certificate")?;
    // Trusted by the option, then by the variable.
    let option = untrusted.sign(&keys.private, &build(&image))?.arg("--ca-file");
    option.arg(authority.certificate()).ok()?;
    sign_and_verify(scene, &Chains::new(scene).with(&trusting), &trusting, &image)
}

fn bearer_tokens(scene: &Scene<'_>) -> Result<()> {
    let tokens = TokenServer::start(scene, &[ALICE])?;
    let registry = Registry::docker(scene, &Door { tokens: Some(&tokens), ..Door::default() })?;
    let alice = user(scene, &[(&registry.host(), ALICE.name, ALICE.secret)])?;
    let image = registry.push(scene, &alice, "team-a/app", "v1")?;
    let chains = Chains::new(scene).at(&registry).insecure(tokens.host()).with(&alice);
    sign_and_verify(scene, &chains, &alice, &image)?;

    let stranger = Chains::new(scene).at(&registry).insecure(tokens.host());
    stranger.sign(&our_keys(scene)?.private, &build(&image))?.refused()?;
    Ok(())
}

/// One command signs images of two users, each with rights in one path of the registry only.
fn two_users(scene: &Scene<'_>) -> Result<()> {
    let tokens = TokenServer::start(scene, &[ALICE, BOB])?;
    let registry = Registry::docker(scene, &Door { tokens: Some(&tokens), ..Door::default() })?;
    let host = registry.host();
    let alice = user(scene, &[(&host, ALICE.name, ALICE.secret)])?;
    let bob = user(scene, &[(&host, BOB.name, BOB.secret)])?;
    let images = [
        registry.push(scene, &alice, "team-a/app", "v1")?,
        registry.push(scene, &bob, "team-b/app", "v1")?,
    ];
    let both = user(
        scene,
        &[
            (&format!("{host}/team-a"), ALICE.name, ALICE.secret),
            (&format!("{host}/team-b"), BOB.name, BOB.secret),
        ],
    )?;
    let chains = Chains::new(scene).at(&registry).insecure(tokens.host()).with(&both);
    let keys = our_keys(scene)?;
    chains.sign(&keys.private, &list(images.iter().map(build).collect()))?.ok()?;
    for image in &images {
        chains.verify(&keys.public, image.by_digest()).ok()?;
    }
    // With alice's credentials alone, bob's image is not signed, and alice's is.
    let chains = Chains::new(scene).at(&registry).insecure(tokens.host()).with(&alice);
    let others = chains.generate_keys("ecdsa-p256", "others")?;
    chains.sign(&others.private, &list(images.iter().map(build).collect()))?.refused()?;
    chains.verify(&others.public, images[0].by_digest()).ok()?;
    Ok(())
}

/// A login by browser leaves an identity token in place of a password.
fn identity_token(scene: &Scene<'_>) -> Result<()> {
    let token = User { name: "", secret: "an-identity-token", prefix: "team-a/" };
    let tokens = TokenServer::start(scene, &[ALICE, token])?;
    let registry = Registry::docker(scene, &Door { tokens: Some(&tokens), ..Door::default() })?;
    let host = registry.host();
    let alice = user(scene, &[(&host, ALICE.name, ALICE.secret)])?;
    let image = registry.push(scene, &alice, "team-a/app", "v1")?;

    let config = json!({ "auths": { host: { "identitytoken": "an-identity-token" } } });
    scene.write("token/config.json", config.to_string())?;
    let holder = Access { docker_config: Some(scene.path("token")), ..Access::default() };
    let chains = Chains::new(scene).at(&registry).insecure(tokens.host()).with(&holder);
    chains.sign(&our_keys(scene)?.private, &build(&image))?.ok()?;
    Ok(())
}
