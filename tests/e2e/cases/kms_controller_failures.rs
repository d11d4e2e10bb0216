//! What goes wrong between the controller and a key in OpenBao, and is mended: runs wait for it, and whoever looks is
//! told why.

use std::{
    thread,
    time::{Duration, Instant},
};

use chains_e2e::{
    Case, Context as _, Result, Scene, bail, case,
    cluster::{self, Watch},
    controller::{Controller, NEEDS},
    ensure,
    kms::{OPENBAO, OpenBao, busiest_second},
    runs,
    stage::Stage,
    tekton::names,
};
use serde_json::{Value, json};

use crate::kms_controller::{
    backlog, builds, configure, exported, hides, login, talkative, with_login,
};

/// How long a condition may take.
const WITHIN: Duration = Duration::from_secs(60);

pub(crate) fn cases() -> Vec<Case> {
    let needs = [&NEEDS[..], &[OPENBAO]].concat();
    vec![
        case("kms_controller_failures::malformed_reference", &needs, malformed),
        case("kms_controller_failures::denied_and_mended", &needs, denied),
        case("kms_controller_failures::rotated_restarted_and_mended", &needs, broken),
        case("kms_controller_failures::token_expired_and_replaced", &needs, expired),
        case("kms_controller_failures::throttled", &needs, |scene| throttled(scene, false)),
        case("kms_controller_failures::throttled_and_told_when", &needs, |scene| {
            throttled(scene, true)
        }),
    ]
}

/// A reference that cannot be read is told where everybody looks, before anything is signed with something else; the
/// last good one stays in force.
fn malformed(scene: &Scene<'_>) -> Result<()> {
    const WORDS: &str = "TRANSIT_SECRET_ENGINE_PATH";
    let bao = OpenBao::start(scene)?;
    bao.create_key("key", "ecdsa-p256")?;
    bao.write_policy("chains")?;
    let file = scene.write("token", bao.token(&["chains"], "1h")?)?;
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let setting = file.to_string_lossy();
    configure(&stage.install, &bao.address(), &[("signers.kms.auth.token-path", &setting)])?;
    let reference = |text| stage.install.configure(&[("signers.kms.kmsref", text)]);
    reference("hashivault://transit/key")?;
    let controller = stage.controller("controller").alive()?;
    let told = controller.until_readyz(503, WORDS)?;
    scene.note(format!("/readyz: {}", told.trim().replace('\n', "; ")));
    reference("hashivault://key")?;
    controller.until_ready()?;
    reference("hashivault://transit/key")?;
    controller.until_readyz(200, WORDS)?;
    let watch = stage.namespace.watch("taskruns")?;
    stage.namespace.run(&[runs::kaniko("run", "registry.test/app", "sha256:0")])?;
    watch.until("run", |seen| seen.is_signed())?;
    stage.verify_by(&exported(scene, &bao)?, &[stage.namespace.get("taskruns", "run")?])
}

/// Who may not sign, or is not known any more, is told so on the run; `chains retry` is enough when that is mended.
fn denied(scene: &Scene<'_>) -> Result<()> {
    let bao = OpenBao::start(scene)?;
    bao.create_key("key", "ecdsa-p256")?;
    bao.write_policy("chains")?;
    let powerless = bao.token(&["default"], "1h")?;
    let file = scene.write("token", &powerless)?;
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let setting = file.to_string_lossy();
    configure(&stage.install, &bao.address(), &[("signers.kms.auth.token-path", &setting)])?;
    stage.install.configure(&[("retry.limit", "1"), ("retry.total-time", "1s")])?;
    let controller = talkative(stage.controller("controller")).ready()?;
    let watch = stage.namespace.watch("taskruns")?;
    let run = |name: &str| runs::kaniko(name, "registry.test/app", "sha256:0");
    stage.namespace.run(&[run("denied")])?;
    watch.until("denied", |seen| seen.is_failed() && !seen.is_held())?;
    bao.revoke(&powerless)?;
    stage.namespace.run(&[run("revoked")])?;
    watch.until("revoked", |seen| seen.is_failed() && !seen.is_held())?;
    for (name, words) in [
        ("denied", "the token is good, its policies do not allow this"),
        ("revoked", "the token is not known, expired or revoked"),
    ] {
        let events = stage.namespace.told(name)?;
        let is_told = events.iter().any(|(_, note)| {
            note.contains(words) && note.contains("hashivault://key") && note.contains("403")
        });
        ensure!(is_told, "{name}: nobody is told: {events:?}");
    }

    let good = bao.token(&["chains"], "1h")?;
    std::fs::write(&file, &good)?;
    let retry = scene.chains().env("KUBECONFIG", cluster.admin_kubeconfig());
    retry.args(["retry", "--namespace", stage.namespace.name(), "--all-failed"]).ok()?;
    watch.until_all(&["denied", "revoked"], |seen| seen.is_signed())?;
    stage.verify_by(&exported(scene, &bao)?, &stage.namespace.list("taskruns")?)?;
    hides(&controller, &[&powerless, &good])
}

/// Rotated, sealed, restarted and unsealed while runs come: all are signed in the end, each by the version of its
/// time, and whoever looks is told what is wrong meanwhile.
fn broken(scene: &Scene<'_>) -> Result<()> {
    let mut bao = OpenBao::start(scene)?;
    bao.create_key("key", "ecdsa-p256")?;
    bao.write_policy("chains")?;
    let file = scene.write("token", bao.token(&["chains"], "1h")?)?;
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let setting = file.to_string_lossy();
    configure(&stage.install, &bao.address(), &[("signers.kms.auth.token-path", &setting)])?;
    stage.install.configure(&[("retry.limit", "30"), ("retry.total-time", "1m")])?;
    let controller = talkative(stage.controller("controller")).ready()?;
    let watch = stage.namespace.watch("taskruns")?;
    let signed = |name: &str| watch.until(name, |seen| seen.is_signed());
    let run = |name: &str| runs::kaniko(name, "registry.test/app", "sha256:0");

    stage.namespace.run(&[run("before")])?;
    signed("before")?;
    let first = exported(scene, &bao)?;
    bao.rotate("key")?;
    stage.namespace.run(&[run("rotated")])?;
    signed("rotated")?;
    let second = exported(scene, &bao)?;

    // The token is replaced and the old one revoked: the file is read again.
    let old = std::fs::read_to_string(&file)?;
    std::fs::write(&file, bao.token(&["chains"], "1h")?)?;
    bao.revoke(&old)?;
    stage.namespace.run(&[run("new-token")])?;
    signed("new-token")?;

    bao.root("PUT", "sys/seal", &Value::Null)?;
    stage.namespace.run(&[run("sealed")])?;
    watch.until("sealed", |seen| seen.chains("retries").is_some() || seen.is_signed())?;
    bao.stop();
    bao.start_again()?;
    bao.unseal()?;
    signed("sealed")?;

    let of = |name: &str| stage.namespace.get("taskruns", name);
    stage.verify_by(&first, &[of("before")?])?;
    stage.verify_by(&second, &[of("rotated")?, of("new-token")?, of("sealed")?])?;
    if stage.verify_by(&second, &[of("before")?]).is_ok() {
        bail!("the new version verifies what the old one has signed");
    }
    let new = std::fs::read_to_string(&file)?;
    hides(&controller, &[&old, &new])
}

/// Runs that a token of the past cannot sign wait for the next one, which somebody puts into the file, and are told why.
fn expired(scene: &Scene<'_>) -> Result<()> {
    const RUNS: usize = 50;
    let bao = OpenBao::start(scene)?;
    bao.create_key("key", "ecdsa-p256")?;
    bao.write_policy("chains")?;
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let file = scene.path("token");
    let setting = file.to_string_lossy();
    configure(&stage.install, &bao.address(), &[("signers.kms.auth.token-path", &setting)])?;
    patient(&stage)?;
    let short = bao.token(&["chains"], "15s")?;
    std::fs::write(&file, &short)?;
    let controller = talkative(stage.controller("controller")).ready()?;
    let watch = stage.namespace.watch("taskruns")?;
    stage.namespace.run(&[runs::kaniko("before", "registry.test/app", "sha256:0")])?;
    watch.until("before", |seen| seen.is_signed() && !seen.is_held())?;

    let deadline = Instant::now() + WITHIN;
    while bao.call("GET", "auth/token/lookup-self", &short, &Value::Null)?.0 == 200 {
        ensure!(Instant::now() < deadline, "the token does not expire");
        thread::sleep(Duration::from_millis(50));
    }
    let runs = builds(RUNS);
    stage.namespace.run(&runs)?;
    let words = ["signing with hashivault://key", "the token is not known, expired or revoked"];
    let told = until_they_wait(&controller, &watch, &runs, "unauthorized", &words)?;
    scene.note(format!("/readyz: {told}"));

    std::fs::write(&file, bao.token(&["chains"], "1h")?)?;
    watch.until_all(&names(&runs), |seen| seen.is_signed() && !seen.is_held())?;
    controller.until_readyz(200, "sign kms answers")?;
    signed_once(&stage, &bao, RUNS + 1)?;
    hides(&controller, &[&short, &std::fs::read_to_string(&file)?])
}

/// Runs are tried again for as long as a case may take.
pub(crate) fn patient(stage: &Stage<'_>) -> Result<()> {
    stage.install.configure(&[("retry.limit", "100"), ("retry.total-time", "10m")])
}

/// Waits until all these runs wait for something of this kind, in these words, and `/readyz` says so too. Tells what it
/// says.
pub(crate) fn until_they_wait(
    controller: &Controller,
    watch: &Watch,
    runs: &[Value],
    kind: &str,
    words: &[&str],
) -> Result<String> {
    let is_told = |text: &str| text.contains(kind) && words.iter().all(|word| text.contains(word));
    watch.until_all(&names(runs), |seen| {
        let reason = seen.chains("reason").unwrap_or_default();
        seen.chains("retries").is_some() && is_told(reason) && seen.is_held()
    })?;
    let failed = watch.count(|seen| seen.is_failed());
    ensure!(failed == 0, "{failed} runs are given up");
    let told = backends(&controller.until_readyz(200, "sign kms FAILS since")?)?;
    ensure!(is_told(&told), "{told}");
    let metrics = controller.metrics()?;
    let retries = metrics.with("chains_retries_total", &format!("reason={kind:?}"));
    ensure!(retries > 0.0, "nothing is tried again because of {kind}: {metrics:?}");
    Ok(told)
}

/// What `/readyz` says of the backends.
fn backends(told: &str) -> Result<String> {
    let told: Value = serde_json::from_str(told).context("read what /readyz says")?;
    let mut parts = told["parts"].as_array().into_iter().flatten();
    let part = parts.find(|part| part["name"] == "backends");
    part.and_then(|it| it["detail"].as_str()).map(str::to_owned).context("it is silent")
}

/// So many runs are there, each with one signature, and the server made no others.
pub(crate) fn signed_once(stage: &Stage<'_>, bao: &OpenBao<'_>, count: usize) -> Result<()> {
    let made = bao.audit("transit/sign/key")?;
    let made = made.iter().filter(|one| one.error.is_empty()).count();
    let runs = stage.namespace.list("taskruns")?;
    ensure!(runs.len() == count, "{} runs, not {count}", runs.len());
    ensure!(made == count, "{made} signatures for {count} runs");
    stage.verify_by(&exported(stage.scene, bao)?, &runs)
}

/// A server that takes twenty requests a second and refuses the others: none of them costs a run its signature,
/// whether it says when to come again (`Retry-After`) or not.
fn throttled(scene: &Scene<'_>, is_told_when: bool) -> Result<()> {
    const RATE: usize = 20;
    const RUNS: usize = 150;
    let bao = OpenBao::start(scene)?;
    bao.create_key("key", "ecdsa-p256")?;
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let (file, _) = login(scene, &bao)?;
    with_login(&stage.install, &bao.address(), &file)?;
    let quotas = json!({
        "enable_rate_limit_audit_logging": true, "enable_rate_limit_response_headers": is_told_when,
    });
    bao.root("POST", "sys/quotas/config", &quotas)?;
    let quota = json!({ "path": "transit/", "rate": RATE, "interval": "1s" });
    bao.root("POST", "sys/quotas/rate-limit/slow", &quota)?;
    let (controller, took) = backlog(&stage, RUNS)?;
    let audit = bao.audit("transit/sign/key")?;
    let (made, refused): (Vec<_>, Vec<_>) = audit.into_iter().partition(|one| one.error.is_empty());
    let retries = controller.metrics()?.with("chains_retries_total", "reason=\"throttled\"");
    scene.note(format!(
        "{RUNS} runs in {took:.1?} at {RATE} requests a second: {} signatures, {} in the busiest second; {} requests \
         refused, {retries} runs put off",
        made.len(),
        busiest_second(&made),
        refused.len(),
    ));
    ensure!(!refused.is_empty(), "it is not throttled");
    let other = refused.iter().find(|one| !one.error.contains("rate limit quota exceeded"));
    ensure!(other.is_none(), "{other:?}");
    bao.root("DELETE", "sys/quotas/rate-limit/slow", &Value::Null)?;
    signed_once(&stage, &bao, RUNS)
}
