//! The controller with a key in OpenBao: the demo, many runs through one login, a service that is slow.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use chains_e2e::{
    Case, Context as _, Result, Scene, case,
    chains::Chains,
    cluster,
    controller::{Controller, NEEDS, Start},
    ensure,
    install::Install,
    kms::{JwtIssuer, OPENBAO, OpenBao, Proxy, busiest_second},
    registry::{Access, CRANE, Registry},
    runs,
    sigstore::{Cosign, Version},
    stage::Stage,
    tekton::names,
};
use serde_json::Value;

use crate::kms_secrets::holds_service_token;

/// How many runs go through the service, unless this variable says otherwise: `docs/kms.md` has what two thousand take.
const RUNS: usize = 200;
const RUNS_VARIABLE: &str = "CHAINS_E2E_KMS_RUNS";
/// How long a slow service takes for a signature.
const SLOW: Duration = Duration::from_millis(200);
const LIMIT: Duration = Duration::from_secs(300);

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for version in Version::BOTH {
        let name = format!("kms_controller::cosign_{version}_verifies");
        let needs = [&NEEDS[..], &[CRANE, OPENBAO, version.peer()]].concat();
        cases.push(case(name, &needs, move |scene| demo(scene, version)));
    }
    let needs = [&NEEDS[..], &[OPENBAO]].concat();
    cases.push(case("kms_controller::many_runs_one_login", &needs, many));
    cases.push(case("kms_controller::slow_service", &needs, slow));
    cases
}

/// Everything is signed by this key, at this address.
pub(crate) fn configure(install: &Install<'_>, address: &str, auth: &[(&str, &str)]) -> Result<()> {
    install.configure(&[
        ("artifacts.taskrun.signer", "kms"),
        ("artifacts.pipelinerun.signer", "kms"),
        ("artifacts.oci.signer", "kms"),
        ("signers.kms.kmsref", "hashivault://key"),
        ("signers.kms.auth.address", address),
    ])?;
    install.configure(auth)
}

/// A login with the JWT of a service account, in a file as Kubernetes mounts it.
pub(crate) fn login(scene: &Scene<'_>, bao: &OpenBao<'_>) -> Result<(PathBuf, String)> {
    let issuer = JwtIssuer::new()?;
    bao.trust(&issuer, "1h")?;
    let jwt =
        issuer.jwt("system:serviceaccount:tekton-chains:tekton-chains-controller", "vault")?;
    Ok((scene.write("service-account-token", &jwt)?, jwt))
}

pub(crate) fn with_login(install: &Install<'_>, address: &str, file: &Path) -> Result<()> {
    configure(
        install,
        address,
        &[
            ("signers.kms.auth.oidc.path", "jwt"),
            ("signers.kms.auth.oidc.role", "chains"),
            ("signers.kms.auth.oidc.token-path", &file.to_string_lossy()),
        ],
    )
}

/// The public key, as the command exports it.
pub(crate) fn exported(scene: &Scene<'_>, bao: &OpenBao<'_>) -> Result<PathBuf> {
    let public = scene.chains().args(["keys", "public", "--key", "hashivault://key"]);
    let public = public.env("VAULT_ADDR", bao.address()).env("VAULT_TOKEN", bao.root_token());
    scene.write(&scene.fresh("kms.pub"), public.ok()?.stdout)
}

/// The kaniko build of the tutorial, signed by the controller with a key that never leaves OpenBao.
fn demo(scene: &Scene<'_>, version: Version) -> Result<()> {
    let bao = OpenBao::start(scene)?;
    bao.create_key("key", "ecdsa-p256")?;
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    stage.install.configure(&[
        ("artifacts.taskrun.format", "in-toto"),
        ("artifacts.taskrun.storage", "oci"),
        ("artifacts.oci.storage", "oci"),
        ("transparency.enabled", "false"),
    ])?;
    let (file, jwt) = login(scene, &bao)?;
    with_login(&stage.install, &bao.address(), &file)?;
    let registry = Registry::crane(scene)?;
    let image = registry.push(scene, &Access::default(), "kaniko-chains", "latest")?;
    let start = talkative(stage.controller("controller"));
    let controller = start.arg(format!("--insecure-registry={}", registry.host())).ready()?;

    let watch = stage.namespace.watch("taskruns")?;
    let run = [runs::kaniko("build-push", &image.name(), &image.digest)];
    stage.namespace.run(&run)?;
    watch.until("build-push", |seen| seen.is_signed() && !seen.is_held())?;

    let public = exported(scene, &bao)?;
    let cosign = Cosign::new(scene, version);
    let (others, kind) = (cosign.generate_key_pair("others")?.public, "slsaprovenance");
    cosign.verify(&public, &image.by_digest())?.ok()?;
    cosign.verify_attestation(&public, kind, &image.by_digest())?.ok()?;
    cosign.verify(&others, &image.by_digest())?.refused()?;
    cosign.verify_attestation(&others, kind, &image.by_digest())?.refused()?;
    Chains::new(scene).at(&registry).verify(&public, image.by_digest()).ok()?;
    hides(&controller, &[&jwt])
}

/// Logs all that there is to log.
pub(crate) fn talkative(start: Start<'_>) -> Start<'_> {
    start.env("RUST_LOG", Path::new("trace"))
}

/// Nothing secret is in the log.
pub(crate) fn hides(controller: &Controller, secrets: &[&str]) -> Result<()> {
    let log = controller.log()?;
    ensure!(log.contains("transit/") || log.contains("hashivault://"), "it does not log: {log}");
    for secret in secrets {
        let shown = log.lines().find(|line| line.contains(secret));
        ensure!(shown.is_none(), "a secret is in the log: {shown:?}");
    }
    let shown = log.lines().find(|line| holds_service_token(line));
    ensure!(shown.is_none(), "a token is in the log: {shown:?}");
    Ok(())
}

pub(crate) fn count() -> Result<usize> {
    match std::env::var(RUNS_VARIABLE) {
        Ok(text) => text.parse().with_context(|| format!("{RUNS_VARIABLE} is no number")),
        Err(_) => Ok(RUNS),
    }
}

pub(crate) fn builds(count: usize) -> Vec<Value> {
    (0..count)
        .map(|n| runs::kaniko(&format!("build-{n}"), "registry.test/app", "sha256:0"))
        .collect()
}

/// Starts a controller before a backlog of so many runs, and tells it and how long they take.
pub(crate) fn backlog(stage: &Stage<'_>, count: usize) -> Result<(Controller, Duration)> {
    let runs = builds(count);
    stage.namespace.run(&runs)?;
    let watch = stage.namespace.watch("taskruns")?;
    let started = Instant::now();
    let controller = stage.start()?;
    watch.within(LIMIT, &names(&runs), |seen| seen.is_signed())?;
    Ok((controller, started.elapsed()))
}

/// One login, one public key, and no more connections than signatures at once.
fn many(scene: &Scene<'_>) -> Result<()> {
    let count = count()?;
    let bao = OpenBao::start(scene)?;
    bao.create_key("key", "ecdsa-p256")?;
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let (file, _) = login(scene, &bao)?;
    with_login(&stage.install, &bao.address(), &file)?;
    let (_controller, took) = backlog(&stage, count)?;

    let audit = bao.audit("transit/sign/key")?;
    let logins = bao.audit("auth/jwt/login")?.len();
    let keys = bao.audit("transit/keys/key")?;
    let fetches = keys.iter().filter(|one| one.operation == "read").count();
    let connections = audit.iter().map(|one| one.port).collect::<BTreeSet<_>>().len();
    scene.note(format!(
        "{count} runs in {took:.1?}: {:.0} a second, {} in the busiest; {} signatures, {connections} connections, \
         {logins} logins, {fetches} fetches of the public key",
        count as f64 / took.as_secs_f64(),
        busiest_second(&audit),
        audit.len(),
    ));
    ensure!(audit.iter().all(|one| one.error.is_empty()), "some were refused");
    ensure!(audit.len() == count, "{} signatures for {count} runs", audit.len());
    ensure!(logins <= 2 && fetches <= 2, "{logins} logins, {fetches} fetches");
    ensure!(connections <= 150, "{connections} connections");
    let public = exported(scene, &bao)?;
    stage.verify_by(&public, &stage.namespace.list("taskruns")?)
}

/// Where a signature takes 200 ms, so many are asked for at once that hundreds come out in a second.
fn slow(scene: &Scene<'_>) -> Result<()> {
    // What the optimised build of a quiet machine comes to is several times as much.
    const AT_ONCE: usize = 25;
    let count = count()?.max(800);
    let bao = OpenBao::start(scene)?;
    bao.create_key("key", "ecdsa-p256")?;
    let proxy = Proxy::start(bao.host(), SLOW)?;
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let (file, _) = login(scene, &bao)?;
    with_login(&stage.install, &format!("http://{}", proxy.host()), &file)?;
    let (_controller, took) = backlog(&stage, count)?;
    let (most, connections) = (proxy.most_under_way(), proxy.connections());
    scene.note(format!(
        "{count} runs in {took:.1?} at {SLOW:?} a signature: {:.0} a second on average, {} in the busiest; {most} at \
         once in the end, {connections} connections",
        count as f64 / took.as_secs_f64(),
        busiest_second(&bao.audit("transit/sign/key")?),
    ));
    ensure!((AT_ONCE..=101).contains(&most), "{most} at once");
    ensure!(connections <= 150, "{connections} connections");
    Ok(())
}
