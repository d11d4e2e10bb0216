//! Many runs, few certificates, and one entry each.

use std::time::Instant;

use chains_e2e::{
    Case, Result, Scene, case,
    chains::{Chains, list},
    cluster::{self, Seen},
    controller, ensure,
    install::{ACCOUNT, Install, Mount, NAMESPACE},
    runs,
    sigstore::{Parts, Sigstore, issuer::AUDIENCE},
    tekton::{Namespace, names},
};
use serde_json::Value;

/// How many runs there are. `CHAINS_E2E_RUNS` names another number, such as 1000.
const MANY: usize = 200;
/// Certificates are valid for ten minutes, and renewed before they end.
const CERTIFICATES: usize = 2;
const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (log, parts) in [("rekor_1", Parts::V1), ("rekor_2", Parts::V2)] {
        let name = format!("keyless_many::a_command_with_{log}");
        cases.push(case(name, &parts.needs(), move |scene| by_command(scene, parts)));
        let needs = [&parts.needs()[..], &controller::NEEDS].concat();
        let name = format!("keyless_many::controllers_with_{log}");
        cases.push(case(name, &needs, move |scene| by_controllers(scene, parts)));
    }
    cases
}

fn many() -> Vec<Value> {
    let number = std::env::var("CHAINS_E2E_RUNS").ok().and_then(|number| number.parse().ok());
    (0..number.unwrap_or(MANY))
        .map(|n| runs::kaniko(&format!("build-{n}"), "registry.test/app", DIGEST))
        .collect()
}

fn by_command(scene: &Scene<'_>, parts: Parts) -> Result<()> {
    let sigstore = Sigstore::start(scene, parts)?;
    let (who, token) = sigstore.somebody("alice")?;
    let mut settings = sigstore.keyless_settings(&who.issuer, &token)?;
    settings.push(("artifacts.oci.storage", String::new()));
    let runs = many();
    let out = scene.path("out");
    let started = Instant::now();
    let tool = Chains::new(scene).sign_by("tekton,local", &settings, &list(runs.clone()))?;
    tool.arg("--out-dir").arg(&out).ok()?;
    let took = started.elapsed();
    sigstore.until_entries(runs.len())?;
    let certificates = sigstore.certificates()?;
    scene.note(format!("{} runs: {certificates} certificates, {took:.1?}", runs.len()));
    ensure!((1..=CERTIFICATES).contains(&certificates), "{certificates} certificates");

    let root = sigstore.trusted_root_file()?;
    Chains::new(scene).verify_identity(&who, &root, &out).ok()?;

    // What is signed is left alone.
    let signed = list(annotated(&out.join("runs"))?);
    let again = Chains::new(scene).sign_by("tekton,local", &settings, &signed)?;
    again.arg("--out-dir").arg(scene.path("again")).ok()?;
    sigstore.until_entries(runs.len())?;
    ensure!(sigstore.certificates()? == certificates, "another certificate for nothing");
    Ok(())
}

/// The runs in a folder.
fn annotated(folder: &std::path::Path) -> Result<Vec<Value>> {
    let mut runs = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        runs.push(serde_json::from_slice(&std::fs::read(entry?.path())?)?);
    }
    Ok(runs)
}

/// One controller after the other, and then two at once.
fn by_controllers(scene: &Scene<'_>, parts: Parts) -> Result<()> {
    let cluster = cluster::borrow(scene)?;
    let install = Install::apply(scene, &cluster)?;
    let sigstore = Sigstore::start_for_cluster(scene, parts, &cluster)?;
    let token = scene.write("token", cluster.token_for(AUDIENCE, NAMESPACE, ACCOUNT)?)?;
    let mut settings = sigstore.keyless_settings(&cluster.issuer(), &token)?;
    settings.push(("artifacts.taskrun.storage", "tekton".to_owned()));
    settings.push(("artifacts.oci.storage", String::new()));
    let settings: Vec<_> = settings.iter().map(|(key, value)| (*key, value.as_str())).collect();
    install.configure(&settings)?;
    let nothing = Mount::empty(scene)?;
    let start = |name: &str| controller::Start::new(scene, &install, name, &nothing).ready();

    let namespace = Namespace::new(&cluster, "ci")?;
    let watch = namespace.watch("taskruns")?;
    let runs = many();
    namespace.run(&runs)?;
    let started = Instant::now();
    let first = start("first")?;
    watch.until_all(&names(&runs), |seen| seen.is_signed())?;
    let took = started.elapsed();
    sigstore.until_entries(runs.len())?;
    let certificates = sigstore.certificates()?;
    scene.note(format!("{} runs: {certificates} certificates, {took:.1?}", runs.len()));
    ensure!((1..=CERTIFICATES).contains(&certificates), "{certificates} certificates");

    // Another one signs what is new, and nothing else.
    first.terminate()?;
    let _second = start("second")?;
    namespace.run(&[runs::kaniko("another", "registry.test/app", DIGEST)])?;
    watch.until("another", |seen| seen.is_signed())?;
    sigstore.until_entries(runs.len() + 1)?;

    // Each tells its entry, whose certificate says who signed.
    let told = |seen: &Seen| {
        let log = seen.chains("transparency").is_some_and(|it| it.starts_with(&sigstore.log.url()));
        log && seen.annotations.keys().any(|name| name.starts_with("chains.tekton.dev/cert-"))
    };
    ensure!(watch.count(told) == runs.len() + 1, "some tell of no entry, or have no certificate");
    Ok(())
}
