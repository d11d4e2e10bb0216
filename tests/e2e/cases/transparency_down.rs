//! A log, a timestamp authority or Fulcio that is away: what is signed waits for it, and none of it is lost.

use chains_e2e::{
    Case, Context as _, Result, Scene, case,
    chains::Chains,
    cluster::{self, Seen},
    controller::{self, Controller},
    ensure,
    install::{ACCOUNT, Install, Mount, NAMESPACE},
    registry::{Access, CRANE, REFERRERS, Registry},
    runs,
    sigstore::{Cosign, Keyless, Parts, Settings, Sigstore, Version, issuer::AUDIENCE, settings},
    stage::Stage,
    tekton::{Namespace, names},
};
use serde_json::Value;

const V1: Parts = Parts { ct_log: false, ..Parts::V1 };
const V2: Parts = Parts { ct_log: false, ..Parts::V2 };
const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
/// How many runs wait.
const SOME: usize = 20;

/// Who is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Away {
    Log,
    Timestamps,
    Fulcio,
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, parts, away) in [
        ("rekor_1", V1, Away::Log),
        ("rekor_2", V2, Away::Log),
        ("timestamps", V2, Away::Timestamps),
        ("fulcio", V1, Away::Fulcio),
    ] {
        let case_name = format!("transparency_down::a_command_without_{name}");
        cases.push(case(case_name, &parts.needs(), move |scene| command(scene, parts, away)));
        let needs = [&parts.needs()[..], &controller::NEEDS].concat();
        let case_name = format!("transparency_down::a_controller_without_{name}");
        cases.push(case(case_name, &needs, move |scene| runs_wait(scene, parts, away)));
    }
    let needs = [&V1.needs()[..], &controller::NEEDS, &[CRANE, REFERRERS, Version::V2.peer()]];
    cases.push(case("transparency_down::stored_first_and_logged_later", &needs.concat(), later));
    cases
}

fn stop(sigstore: &Sigstore<'_>, away: Away) {
    match away {
        Away::Log => sigstore.stop_log(),
        // Its key is in memory: were it killed, another would come back that nobody trusts.
        Away::Timestamps => sigstore.timestamps.shut(),
        Away::Fulcio => sigstore.fulcio.shut(),
    }
}

fn start(sigstore: &Sigstore<'_>, away: Away) -> Result<()> {
    match away {
        Away::Log => sigstore.start_log(),
        Away::Timestamps => {
            sigstore.timestamps.open();
            Ok(())
        }
        Away::Fulcio => {
            sigstore.fulcio.open();
            Ok(())
        }
    }
}

/// The command tells what is away, stores nothing, and does all of it the next time.
fn command(scene: &Scene<'_>, parts: Parts, away: Away) -> Result<()> {
    let sigstore = Sigstore::start(scene, parts)?;
    let (who, token) = sigstore.somebody("alice")?;
    let settings = sigstore.keyless_settings(&who.issuer, &token)?;
    let run = runs::kaniko("build", "registry.test/app", DIGEST);
    let out = scene.path("out");
    let sign = |settings: &Settings| -> Result<_> {
        Ok(Chains::new(scene).sign_by("local", settings, &run)?.arg("--out-dir").arg(&out))
    };
    stop(&sigstore, away);
    let host = match away {
        Away::Log => sigstore.log.host(),
        Away::Timestamps => sigstore.timestamps.host(),
        Away::Fulcio => sigstore.fulcio.host(),
    };
    sign(&settings)?.refused()?.saying(&host)?;
    let stored = std::fs::read_dir(&out).map(Iterator::count).unwrap_or_default();
    let locks = usize::from(out.join(".lock").exists());
    ensure!(stored == locks, "{stored} things are stored in spite of it");

    start(&sigstore, away)?;
    sign(&settings)?.ok()?;
    let root = sigstore.trusted_root_file()?;
    Chains::new(scene).verify_identity(&who, &root, &out).ok()?;
    Ok(())
}

/// The controller keeps runs until all are back.
fn runs_wait(scene: &Scene<'_>, parts: Parts, away: Away) -> Result<()> {
    let cluster = cluster::borrow(scene)?;
    let install = Install::apply(scene, &cluster)?;
    let sigstore = Sigstore::start_for_cluster(scene, parts, &cluster)?;
    let token = scene.write("token", cluster.token_for(AUDIENCE, NAMESPACE, ACCOUNT)?)?;
    let settings = sigstore.keyless_settings(&cluster.issuer(), &token)?;
    if away == Away::Fulcio {
        // With a certificate at hand, nobody would miss it for some minutes.
        stop(&sigstore, away);
    }
    let _controller = begin(scene, &install, settings, &[("artifacts.taskrun.storage", "tekton")])?;
    let namespace = Namespace::new(&cluster, "ci")?;
    let watch = namespace.watch("taskruns")?;
    let runs: Vec<Value> = (0..SOME)
        .map(|n| runs::kaniko(&format!("build-{n}"), "registry.test/app", DIGEST))
        .collect();

    if away != Away::Fulcio {
        stop(&sigstore, away);
    }
    namespace.run(&runs)?;
    watch.until_all(&names(&runs), |seen| seen.chains("retries").is_some())?;
    ensure!(watch.count(|seen| seen.is_signed()) == 0, "signed without it");
    start(&sigstore, away)?;
    watch.until_all(&names(&runs), |seen| seen.is_signed())?;
    sigstore.until_entries(runs.len())?;
    let certificates = sigstore.certificates()?;
    scene.note(format!("{SOME} runs waited; {certificates} certificates"));

    let told = |seen: &Seen| {
        seen.chains("transparency").is_some_and(|it| it.starts_with(&sigstore.log.url()))
    };
    ensure!(watch.count(told) == runs.len(), "some tell of no entry");
    Ok(())
}

/// Configures and starts a controller that is not easily discouraged.
fn begin(
    scene: &Scene<'_>,
    install: &Install<'_>,
    settings: Settings,
    more: &[(&'static str, &str)],
) -> Result<Controller> {
    let mut settings = settings;
    let patient =
        [("artifacts.oci.storage", ""), ("retry.limit", "20"), ("retry.total-time", "80s")];
    for (key, value) in patient.iter().chain(more) {
        settings = settings::with(settings, key, *value);
    }
    let settings: Vec<_> = settings.iter().map(|(key, value)| (*key, value.as_str())).collect();
    install.configure(&settings)?;
    let nothing = Mount::empty(scene)?;
    controller::Start::new(scene, install, "controller", &nothing).alive()
}

/// Not required: with a key, an image is signed while the log is away, and found in it when it is back.
fn later(scene: &Scene<'_>) -> Result<()> {
    let sigstore = Sigstore::start(scene, V1)?;
    let registry = Registry::referrers(scene)?;
    let image = registry.push(scene, &Access::default(), "app", "v1")?;
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let settings = sigstore.log_settings(&sigstore.trusted_root_file()?);
    let settings = settings::with(settings, "transparency.required", "false");
    let settings: Vec<_> = settings.iter().map(|(key, value)| (*key, value.as_str())).collect();
    stage.install.configure(&settings)?;
    stage.install.configure(&[
        ("artifacts.taskrun.storage", "oci"),
        ("artifacts.oci.storage", "oci"),
        ("retry.limit", "20"),
        ("retry.total-time", "80s"),
    ])?;
    let insecure = format!("--insecure-registry={}", registry.host());
    let _controller = stage.controller("controller").arg(insecure).ready()?;
    let watch = stage.namespace.watch("taskruns")?;
    sigstore.stop_log();
    stage.namespace.run(&[runs::kaniko("build", &image.name(), &image.digest)])?;
    watch.until("build", |seen| seen.chains("retries").is_some())?;

    // Whoever does not ask for the log is content already.
    let cosign = Cosign::new(scene, Version::V2);
    cosign.verify(&stage.keys.public, &image.by_digest())?.ok()?;
    let keyless = Keyless::new(&cosign, &sigstore)?;
    keyless.verify_by_key(&stage.keys.public, &image.by_digest())?.refused()?;
    sigstore.start_log()?;
    let seen = watch.until("build", |seen| seen.is_signed())?;
    seen.chains("transparency").context("no entry is told of")?;
    sigstore.until_entries(2)?;
    keyless.verify_by_key(&stage.keys.public, &image.by_digest())?.ok()?;
    let signatures = image.attached("sig")?.context("the signature is gone")?;
    ensure!(signatures.layers().len() == 1, "kept twice: {}", signatures.manifest);
    Ok(())
}
