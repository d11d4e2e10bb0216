//! SPIRE says who Chains is: the JWTs of an agent's Workload API are logged in with at OpenBao.

use std::{
    collections::BTreeSet,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use chains_e2e::{
    Case, Result, Scene, Tool, case,
    chains::{Chains, list},
    cluster::{self, Watch},
    controller::{Controller, NEEDS},
    ensure,
    kms::{OPENBAO, OpenBao, SPIRE, Spire},
    runs,
    stage::Stage,
    tekton::names,
};

use crate::{
    kms_controller::{backlog, builds, configure, exported, hides, talkative},
    kms_controller_failures::{patient, signed_once, until_they_wait},
    kms_secrets::{self, holds_jwt},
};

const KEY: &str = "hashivault://key";
const WITHIN: Duration = Duration::from_secs(60);
/// What to do where nobody answers at the socket.
const NO_AGENT: &str = "see that the agent runs and that its socket is there for this process";
/// What to do where the agent knows of no entry.
const NO_ENTRY: &str = "register this process with the server";

pub(crate) fn cases() -> Vec<Case> {
    let needs = [&NEEDS[..], &[OPENBAO, SPIRE]].concat();
    vec![
        case("kms_spire::command", &[OPENBAO, SPIRE], command),
        case("kms_spire::one_login_for_many_runs", &needs, many),
        case("kms_spire::agent_away", &needs, away),
    ]
}

/// A key, and SPIRE without an agent, whose workload OpenBao lets in for so long.
fn set<'s>(scene: &'s Scene<'s>, lifetime: &str) -> Result<(OpenBao<'s>, Spire<'s>)> {
    let bao = OpenBao::start(scene)?;
    bao.create_key("key", "ecdsa-p256")?;
    let spire = Spire::start(scene)?;
    spire.be_trusted_by(&bao, lifetime)?;
    Ok((bao, spire))
}

/// Signs so many runs by the command, at the most talkative.
fn sign(scene: &Scene<'_>, bao: &OpenBao<'_>, spire: &Spire<'_>, count: usize) -> Result<Tool> {
    let runs = list(builds(count));
    let tool = Chains::new(scene).sign_to("local", Path::new(KEY), &runs)?;
    let settings = spire.settings().into_iter();
    let settings = settings.chain([("signers.kms.auth.address", bao.address())]);
    let tool = settings
        .fold(tool, |tool, (key, value)| tool.arg("--config").arg(format!("{key}={value}")));
    // What nobody looks at goes into a folder here.
    Ok(tool.within(scene.folder()).env("RUST_LOG", "trace"))
}

/// Whatever is missing is told, in words that say what to do; with all of it there, one login signs many runs.
fn command(scene: &Scene<'_>) -> Result<()> {
    const RUNS: usize = 50;
    let (bao, mut spire) = set(scene, "1h")?;
    let refused = |spire: &Spire<'_>, words: &[&str]| -> Result<()> {
        let ran = sign(scene, &bao, spire, 1)?.refused()?;
        kms_secrets::hides(&ran, &[])?;
        words.iter().try_fold(ran, |ran, word| ran.saying(word)).map(drop)
    };
    let at = format!("fetching a JWT from SPIRE at {}", spire.socket());
    refused(&spire, &[&at, NO_AGENT])?;
    spire.start_agent()?;
    refused(&spire, &[&at, "no identity issued", NO_ENTRY])?;
    spire.register(300)?;
    spire.until_known()?;

    let logins = || -> Result<usize> { Ok(bao.audit("auth/jwt/login")?.len()) };
    let before = logins()?;
    let out = scene.path("out");
    let ran = sign(scene, &bao, &spire, RUNS)?.arg("--out-dir").arg(&out).ok()?;
    kms_secrets::hides(&ran, &[])?;
    ensure!(logins()? == before + 1, "{} logins for {RUNS} runs", logins()? - before);
    Chains::new(scene).verify(&exported(scene, &bao)?, &out).ok()?;

    // Somebody else is let in, or JWTs for somebody else are asked for.
    let login = "logging in at Vault as \"chains\" (auth/jwt/login)";
    spire.set_role(&bao, "spiffe://chains.test/somebody-else", "1h")?;
    refused(&spire, &[login, "400", "invalid subject"])?;
    spire.set_role(&bao, Spire::WORKLOAD, "1h")?;
    let other = sign(scene, &bao, &spire, 1)?;
    let other = other.args(["--config", "signers.kms.auth.spire.audience=somebody-else"]);
    let ran = other.refused()?.saying(login)?.saying("audience")?;
    kms_secrets::hides(&ran, &[])?;

    spire.kill_agent();
    refused(&spire, &[&at, NO_AGENT])?;
    spire.start_agent()?;
    spire.until_known()?;
    sign(scene, &bao, &spire, 1)?.ok().map(drop)
}

/// The controller is told of SPIRE.
fn configured<'a>(
    scene: &'a Scene<'a>,
    cluster: &'a cluster::Cluster,
    bao: &OpenBao<'_>,
    spire: &Spire<'_>,
) -> Result<Stage<'a>> {
    let stage = Stage::set(scene, cluster)?;
    let settings = spire.settings();
    let settings = settings.each_ref().map(|(key, value)| (*key, value.as_str()));
    configure(&stage.install, &bao.address(), &settings)?;
    Ok(stage)
}

/// One login for a backlog; where its token lives for seconds, as the JWTs do, another follows with another JWT.
fn many(scene: &Scene<'_>) -> Result<()> {
    const RUNS: usize = 200;
    let (bao, mut spire) = set(scene, "1h")?;
    spire.register(12)?;
    spire.start_agent()?;
    spire.until_known()?;
    let cluster = cluster::borrow(scene)?;
    let stage = configured(scene, &cluster, &bao, &spire)?;
    let (controller, took) = backlog(&stage, RUNS)?;
    let logins = bao.audit("auth/jwt/login")?;
    scene.note(format!("{RUNS} runs in {took:.1?}, {} login", logins.len()));
    ensure!(logins.len() == 1, "{} logins", logins.len());
    signed_once(&stage, &bao, RUNS)?;
    controller.terminate()?;

    spire.set_role(&bao, Spire::WORKLOAD, "6s")?;
    let controller = talkative(stage.controller("again")).ready()?;
    let watch = stage.namespace.watch("taskruns")?;
    let (mut runs, started) = (0, Instant::now());
    let jwts = loop {
        sign_one(&stage, &watch, &format!("later-{runs}"))?;
        runs += 1;
        let logins = bao.audit("auth/jwt/login")?.split_off(1);
        let jwts: BTreeSet<_> = logins.iter().map(|one| one.jwt.clone()).collect();
        if jwts.len() >= 3 {
            scene.note(format!(
                "{runs} runs in {:.0?}, {} logins with {} JWTs",
                started.elapsed(),
                logins.len(),
                jwts.len()
            ));
            break jwts;
        }
        ensure!(started.elapsed() < WITHIN, "{} JWTs for {} logins", jwts.len(), logins.len());
        thread::sleep(Duration::from_millis(200));
    };
    ensure!(jwts.iter().all(|jwt| jwt.starts_with("hmac-")), "it is no hash: {jwts:?}");
    let refused = bao.audit("")?.into_iter().find(|one| !one.error.is_empty());
    ensure!(refused.is_none(), "{refused:?}");
    signed_once(&stage, &bao, RUNS + runs)?;
    keeps_to_itself(&controller)
}

fn sign_one(stage: &Stage<'_>, watch: &Watch, name: &str) -> Result<()> {
    stage.namespace.run(&[runs::kaniko(name, "registry.test/app", "sha256:0")])?;
    watch.until(name, |seen| seen.is_signed() && !seen.is_held()).map(drop)
}

/// Nothing that is good for a login, or got by one, is in the log.
fn keeps_to_itself(controller: &Controller) -> Result<()> {
    ensure!(!holds_jwt(&controller.log()?), "a JWT is in the log");
    hides(controller, &[])
}

/// An agent that is stopped, or killed, while runs come: they wait, whoever looks is told where it should be and what
/// to do, and they are signed when it is back.
fn away(scene: &Scene<'_>) -> Result<()> {
    const RUNS: usize = 30;
    // The login is over soon after the agent is.
    let (bao, mut spire) = set(scene, "4s")?;
    spire.register(300)?;
    spire.start_agent()?;
    spire.until_known()?;
    let cluster = cluster::borrow(scene)?;
    let stage = configured(scene, &cluster, &bao, &spire)?;
    patient(&stage)?;
    let controller = talkative(stage.controller("controller")).ready()?;
    let watch = stage.namespace.watch("taskruns")?;
    let mut count = 0;
    for how in ["stopped", "killed"] {
        sign_one(&stage, &watch, &format!("before-it-is-{how}"))?;
        match how {
            "stopped" => spire.stop_agent()?,
            _ => spire.kill_agent(),
        }
        let mut there = until_one_waits(&stage, &watch, how)?;
        let runs: Vec<_> = (0..RUNS)
            .map(|n| runs::kaniko(&format!("{how}-{n}"), "registry.test/app", "sha256:0"))
            .collect();
        stage.namespace.run(&runs)?;
        there.extend(names(&runs));
        let at = format!("fetching a JWT from SPIRE at {}", spire.socket());
        let told = until_they_wait(&controller, &watch, &runs, "unavailable", &[&at, NO_AGENT])?;
        scene.note(format!("/readyz, where it is {how}: {told}"));

        spire.start_agent()?;
        watch.until_all(&there, |seen| seen.is_signed() && !seen.is_held())?;
        controller.until_readyz(200, "sign kms answers")?;
        count += 1 + there.len();
    }
    signed_once(&stage, &bao, count)?;
    keeps_to_itself(&controller)
}

/// Makes one run after another until one has to wait: the token that was logged in for is good for a while. Tells their
/// names.
fn until_one_waits(stage: &Stage<'_>, watch: &Watch, how: &str) -> Result<Vec<String>> {
    let deadline = Instant::now() + WITHIN;
    let mut names = Vec::new();
    loop {
        let name = format!("while-{how}-{}", names.len());
        stage.namespace.run(&[runs::kaniko(&name, "registry.test/app", "sha256:0")])?;
        let seen =
            watch.until(&name, |seen| seen.is_signed() || seen.chains("retries").is_some())?;
        names.push(name);
        if !seen.is_signed() {
            return Ok(names);
        }
        ensure!(Instant::now() < deadline, "all of them are signed");
        thread::sleep(Duration::from_millis(200));
    }
}
