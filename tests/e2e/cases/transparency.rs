//! What is signed with a key is logged once: verifiers that ask for the log find it, and nobody logs it again.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use chains_e2e::{
    Case, Context as _, Result, Scene, case,
    chains::{Chains, list},
    cluster, controller, ensure,
    http::{HttpServer, Response},
    registry::{Access, CRANE, REFERRERS, Registry},
    runs,
    sigstore::{
        Cosign, Keyless, Keys, Log, Parts, Settings, Sigstore, Version,
        bundles::{self, VERIFY},
        services::NETWORK,
        settings,
    },
    stage::Stage,
    tekton::names,
    tls,
};
use serde_json::{Value, json};

/// An instance for keys needs no certificates.
const V1: Parts = Parts { ct_log: false, ..Parts::V1 };
const V2: Parts = Parts { ct_log: false, ..Parts::V2 };
const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (log, parts, version, layout) in [
        ("rekor_1", V1, Version::V2, "dsse"),
        ("rekor_1", V1, Version::V3, "sigstore-bundle"),
        ("rekor_2", V2, Version::V3, "sigstore-bundle"),
    ] {
        let needs = [&parts.needs()[..], &[CRANE, REFERRERS, VERIFY, version.peer()]].concat();
        let name = format!("transparency::cosign_{version}_finds_a_key_in_{log}");
        cases.push(case(name, &needs, move |scene| keyed(scene, parts, version, layout)));
    }
    for (log, parts) in [("rekor_1", V1), ("rekor_2", V2)] {
        let needs = [&parts.needs()[..], &controller::NEEDS].concat();
        let name = format!("transparency::of_some_runs_only_with_{log}");
        cases.push(case(name, &needs, move |scene| manual(scene, parts)));
    }
    cases.push(case("transparency::none_is_asked_where_none_is_wanted", &[NETWORK], nobody));
    let name = "transparency::none_is_asked_by_a_controller";
    cases.push(case(name, &controller::NEEDS, nobody_by_controller));
    cases
}

fn settings_of(sigstore: &Sigstore<'_>, key: &Path, layout: &str) -> Result<Settings> {
    let settings = sigstore.log_settings(&sigstore.trusted_root_file()?);
    let settings = settings::with(settings, "signers.x509.key", key.display().to_string());
    Ok(settings::with(settings, "storage.oci.encoding-format", layout))
}

/// The same run, three times: cosign, which insists on the log, verifies, and the log has each signature once.
fn keyed(scene: &Scene<'_>, parts: Parts, version: Version, layout: &str) -> Result<()> {
    let sigstore = Sigstore::start(scene, parts)?;
    let registry = Registry::referrers(scene)?;
    let image = registry.push(scene, &Access::default(), "app", "v1")?;
    let keys = tls::key_pair(scene.folder(), "ours")?;
    let others = tls::key_pair(scene.folder(), "others")?;
    let settings = settings_of(&sigstore, &keys.private, layout)?;
    let run = runs::kaniko("build", &image.name(), &image.digest);
    let chains = Chains::new(scene).at(&registry);
    let sign = || {
        let tool = chains.sign_by("oci", &settings, &run)?;
        tool.arg("--key").arg(&keys.private).ok()
    };
    sign()?;
    let cosign = Cosign::new(scene, version);
    let cosign = Keyless::new(&cosign, &sigstore)?;
    let verify = |keys: &Keys| -> Result<_> {
        let kind = "slsaprovenance";
        let attested = cosign.verify_attestation_by_key(&keys.public, kind, &image.by_digest())?;
        Ok([cosign.verify_by_key(&keys.public, &image.by_digest())?, attested])
    };
    for tool in verify(&keys)? {
        tool.ok()?;
    }
    for tool in verify(&others)? {
        tool.refused()?;
    }
    let root = sigstore.trusted_root_file()?;
    let all = bundles::of(&image)?;
    for bundle in &all {
        bundles::verify_with_key(scene, bundle, &root, &keys.public)?.ok()?;
        bundles::verify_with_key(scene, bundle, &root, &others.public)?.refused()?;
        let entries = bundle["verificationMaterial"]["tlogEntries"].as_array();
        ensure!(entries.is_some_and(|entries| entries.len() == 1), "{bundle}");
    }
    chains.verify(&keys.public, image.by_digest()).arg("--trusted-root").arg(&root).ok()?;

    sigstore.until_entries(2)?;
    sign()?;
    sign()?;
    sigstore.until_entries(2)?;
    let again = bundles::of(&image)?;
    ensure!(again.len() == all.len(), "{} bundles have become {}", all.len(), again.len());
    for suffix in ["sig", "att"] {
        let layers = image.attached(suffix)?.map_or(0, |attached| attached.layers().len());
        ensure!(layers == usize::from(layout == "dsse"), "{layers} signatures in .{suffix}");
    }
    Ok(())
}

/// `manual`: a run must ask for it.
fn manual(scene: &Scene<'_>, parts: Parts) -> Result<()> {
    let sigstore = Sigstore::start(scene, parts)?;
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let settings = sigstore.log_settings(&sigstore.trusted_root_file()?);
    let settings = settings::with(settings, "transparency.enabled", "manual");
    let settings: Vec<_> = settings.iter().map(|(key, value)| (*key, value.as_str())).collect();
    stage.install.configure(&settings)?;
    let _controller = stage.start()?;
    let watch = stage.namespace.watch("taskruns")?;
    let mut asking = runs::kaniko("asking", "registry.test/app", DIGEST);
    asking["metadata"]["annotations"] = json!({ "chains.tekton.dev/transparency-upload": "true" });
    let silent = runs::kaniko("silent", "registry.test/app", DIGEST);
    stage.namespace.run(&[asking.clone(), silent.clone()])?;
    watch.until_all(&names(&[asking, silent]), |seen| seen.is_signed())?;
    sigstore.until_entries(1)?;

    let told = |name: &str| -> Result<_> {
        let seen = watch.now(name).context("the run is gone")?;
        Ok(seen.chains("transparency").map(str::to_owned))
    };
    ensure!(told("silent")?.is_none(), "an entry is told of: {:?}", told("silent")?);
    let url = told("asking")?.context("no entry is told of")?;
    ensure!(url.starts_with(&sigstore.log.url()), "not at the log: {url}");
    if parts.log == Log::V1 {
        let path = url.strip_prefix(&sigstore.log.url()).context("another log")?;
        let answer = chains_e2e::http::send(&sigstore.log.host(), "GET", path, &[], b"")?;
        ensure!(answer.status == 200, "{url} answers {}", answer.status);
        let entries: Value = serde_json::from_slice(&answer.body)?;
        ensure!(entries.as_object().is_some_and(|entries| entries.len() == 1), "{entries}");
    }
    stage.verify(&stage.namespace.list("taskruns")?)
}

/// Everybody who is configured and not turned on, and what they were asked.
struct Idle {
    server: HttpServer,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Idle {
    fn start() -> Result<Self> {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        let server = HttpServer::start(move |request| {
            let line = format!("{} {}", request.method, request.path);
            log.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            Response::new(500, "nobody should ask")
        })?;
        Ok(Self { server, asked })
    }

    fn url(&self) -> String {
        format!("http://{}", self.server.host())
    }

    fn settings(&self) -> Settings {
        [
            "transparency.url",
            "transparency.tsa.url",
            "signers.x509.fulcio.address",
            "signers.x509.fulcio.issuer",
            "signers.x509.tuf.mirror.url",
        ]
        .map(|key| (key, self.url()))
        .into()
    }

    fn was_asked_nothing(&self) -> Result<()> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        ensure!(asked.is_empty(), "somebody was asked: {asked:?}");
        Ok(())
    }
}

fn some() -> Vec<Value> {
    (0..20).map(|n| runs::kaniko(&format!("run-{n}"), "registry.test/app", DIGEST)).collect()
}

/// The controller with a key asks none of those who are configured, and tells of no attempt to.
fn nobody_by_controller(scene: &Scene<'_>) -> Result<()> {
    let idle = Idle::start()?;
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let settings = idle.settings();
    let settings: Vec<_> = settings.iter().map(|(key, value)| (*key, value.as_str())).collect();
    stage.install.configure(&settings)?;
    let controller = stage.start()?;
    let watch = stage.namespace.watch("taskruns")?;
    stage.namespace.run(&some())?;
    watch.until_all(&names(&some()), |seen| seen.is_signed())?;
    stage.verify(&stage.namespace.list("taskruns")?)?;
    idle.was_asked_nothing()?;
    let log = controller.log()?;
    for word in ["chains_transparency", "chains_signer_fulcio", "\"warn\"", "\"error\""] {
        ensure!(!log.contains(word), "it tells of {word}: {log}");
    }
    Ok(())
}

/// With a key, by default, nobody is asked: neither who is configured and not turned on, nor anyone else.
fn nobody(scene: &Scene<'_>) -> Result<()> {
    let idle = Idle::start()?;
    let url = idle.url();
    let keys = tls::key_pair(scene.folder(), "ours")?;
    let all = some();
    for (name, settings) in [("bare", Settings::new()), ("configured", idle.settings())] {
        let out = scene.path(name);
        let tool = Chains::new(scene).sign_by("local", &settings, &list(all.clone()))?;
        let tool = tool.arg("--key").arg(&keys.private).arg("--out-dir").arg(&out);
        // Whatever wants to go out has to pass here.
        let tool = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"]
            .into_iter()
            .fold(tool, |tool, name| tool.env(name, &url));
        tool.ok()?;
        // And where there is no network, not even with itself.
        let alone = Chains::new(scene).verify(&keys.public, &out);
        alone.without_network().ok()?;
        let alone = Chains::new(scene).sign_by("local", &settings, &list(all.clone()))?;
        let alone = alone.arg("--key").arg(&keys.private);
        alone.arg("--out-dir").arg(scene.path(&format!("{name}-alone"))).without_network().ok()?;
    }
    idle.was_asked_nothing()
}
