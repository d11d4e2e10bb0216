//! What must not be believed, each by the one thing that is wrong with it: before it is stored, and by those who verify.

use std::sync::{Mutex, PoisonError};

use chains_e2e::{
    Case, Context as _, Result, Scene, case,
    chains::Chains,
    ensure,
    http::{Request, Response},
    registry::{Access, CRANE, Image, REFERRERS, Registry},
    runs,
    sigstore::{
        Cosign, Identity, Keyless, Log, Parts, Settings, Sigstore, Version, issuer::AUDIENCE,
        settings,
    },
};
use serde_json::{Value, json};

const WITHOUT_CT: Parts = Parts { ct_log: false, ..Parts::V1 };
const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

type Body = fn(&Scene<'_>, Parts) -> Result<()>;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let bodies: [(&str, Body); 4] = [
        ("another_key_of_the_log", wrong_log_key),
        ("a_forged_inclusion_proof", forged_proof),
        ("an_entry_for_something_else", other_entry),
        ("a_token_for_another_audience", wrong_audience),
    ];
    for (log, parts) in [("rekor_1", Parts::V1), ("rekor_2", Parts::V2)] {
        for (name, body) in bodies {
            let name = format!("refusals::{name}_with_{log}");
            cases.push(case(name, &parts.needs(), move |scene| body(scene, parts)));
        }
    }
    let needs = [&WITHOUT_CT.needs()[..], &[CRANE, REFERRERS, Version::V2.peer()]].concat();
    cases.push(case("refusals::a_certificate_that_had_expired", &needs, expired));
    let needs = [&Parts::V2.needs()[..], &[CRANE, REFERRERS, Version::V3.peer()]].concat();
    cases.push(case("refusals::times_of_nobody_who_is_trusted", &needs, untrusted_times));
    cases
}

/// Signs a run of its own, which must not come to be stored, and says why.
fn refuse(scene: &Scene<'_>, settings: &Settings, name: &str, words: &str) -> Result<()> {
    let run = runs::kaniko(name, "registry.test/app", DIGEST);
    let out = scene.path(name);
    let tool = Chains::new(scene).sign_by("local", settings, &run)?;
    tool.arg("--out-dir").arg(&out).refused()?.saying(words)?;
    let bundles = walk(&out);
    ensure!(bundles.is_empty(), "stored all the same: {bundles:?}");
    Ok(())
}

/// Signs a run, which must succeed.
fn accept(scene: &Scene<'_>, settings: &Settings, name: &str) -> Result<()> {
    let run = runs::kaniko(name, "registry.test/app", DIGEST);
    let tool = Chains::new(scene).sign_by("local", settings, &run)?;
    tool.arg("--out-dir").arg(scene.path(name)).ok()?;
    let bundles = walk(&scene.path(name));
    ensure!(!bundles.is_empty(), "nothing is stored");
    Ok(())
}

/// The bundles in a folder, at any depth; none where there is no folder.
fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(walk(&path));
        } else if path.to_string_lossy().ends_with(".sigstore.json") {
            found.push(path);
        }
    }
    found
}

fn wrong_log_key(scene: &Scene<'_>, parts: Parts) -> Result<()> {
    let sigstore = Sigstore::start(scene, parts)?;
    let (who, token) = sigstore.somebody("alice")?;
    let settings = sigstore.keyless_settings(&who.issuer, &token)?;
    let other = sigstore.trusted_root_with_another_log_key()?;
    let path = scene.write("other-root.json", other.to_string())?;
    let other =
        settings::with(settings.clone(), "sigstore.trusted-root", path.display().to_string());
    let words = if parts.log == Log::V1 { "signed entry timestamp" } else { "checkpoint" };
    refuse(scene, &other, "refused", words)?;
    accept(scene, &settings, "accepted")
}

fn forged_proof(scene: &Scene<'_>, parts: Parts) -> Result<()> {
    let sigstore = Sigstore::start(scene, parts)?;
    let (who, token) = sigstore.somebody("alice")?;
    let settings = sigstore.keyless_settings(&who.issuer, &token)?;
    // The proof of the only entry has no hashes.
    accept(scene, &settings, "first")?;
    sigstore.log.change(|request, response| {
        change_entry(request, response, |entry| {
            let proof = if entry["verification"].is_object() {
                &mut entry["verification"]["inclusionProof"]
            } else {
                &mut entry["inclusionProof"]
            };
            if let Some(hash) = proof["hashes"].get_mut(0) {
                let hex = hash.as_str().is_some_and(|hash| hash.len() == 64);
                *hash =
                    if hex { json!("0".repeat(64)) } else { json!(format!("{}=", "A".repeat(43))) };
            }
        });
    });
    refuse(scene, &settings, "refused", "inclusion proof")?;
    sigstore.log.open();
    accept(scene, &settings, "accepted")
}

/// The log answers with an entry that it has, and that somebody else made.
fn other_entry(scene: &Scene<'_>, parts: Parts) -> Result<()> {
    let sigstore = Sigstore::start(scene, parts)?;
    let (who, token) = sigstore.somebody("alice")?;
    let settings = sigstore.keyless_settings(&who.issuer, &token)?;
    let first: Mutex<Option<Vec<u8>>> = Mutex::new(None);
    sigstore.log.change(move |request, response| {
        if request.method == "POST" && response.status < 300 {
            let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
            response.body = first.get_or_insert_with(|| response.body.clone()).clone();
        }
    });
    let settings = settings::with(settings, "artifacts.oci.storage", "");
    accept(scene, &settings, "first")?;
    refuse(scene, &settings, "refused", "entry body")?;
    sigstore.log.open();
    accept(scene, &settings, "accepted")
}

fn wrong_audience(scene: &Scene<'_>, parts: Parts) -> Result<()> {
    let sigstore = Sigstore::start(scene, parts)?;
    let (who, good) = sigstore.somebody("alice")?;
    let token = sigstore.issuer.email(&who.name, "another-service")?;
    let token = scene.write("other-token", token)?;
    let settings = sigstore.keyless_settings(&who.issuer, &token)?;
    refuse(scene, &settings, "refused", "audience")?;
    ensure!(sigstore.fulcio.count("POST") == 0, "the token was shown to Fulcio");

    // Chains may be told to want it; Fulcio does not.
    let wanting = settings::with(settings, "signers.x509.fulcio.audience", "another-service");
    refuse(scene, &wanting, "refused-too", "it expects the audience")?;
    ensure!(sigstore.fulcio.count("POST") > 0, "the token was not shown to Fulcio");
    ensure!(sigstore.certificates()? == 0 && AUDIENCE != "another-service", "certified");
    accept(scene, &sigstore.keyless_settings(&who.issuer, &good)?, "accepted")
}

/// Changes the entry in the answer to one that was sent.
fn change_entry(request: &Request, response: &mut Response, change: impl Fn(&mut Value)) {
    if request.method != "POST" || response.status >= 300 {
        return;
    }
    let Ok(mut answer) = serde_json::from_slice::<Value>(&response.body) else { return };
    // Version 1 puts it below its name.
    if answer.get("logIndex").is_none() {
        answer.as_object_mut().into_iter().flat_map(|it| it.values_mut()).for_each(&change);
    } else {
        change(&mut answer);
    }
    response.body = answer.to_string().into_bytes();
}

/// Whoever finds a key of somebody's whose certificate has long expired, signs and logs with it today.
fn expired(scene: &Scene<'_>) -> Result<()> {
    let sigstore = Sigstore::start(scene, WITHOUT_CT)?;
    let registry = Registry::referrers(scene)?;
    let image = registry.push(scene, &Access::default(), "app", "v1")?;
    let who = Identity { name: "alice@example.test".to_owned(), issuer: sigstore.issuer.url() };
    let cosign = Cosign::new(scene, Version::V2);
    let keys = cosign.generate_key_pair("found")?;
    let public = std::fs::read_to_string(&keys.public)?;
    let certificate = sigstore.authority.certify_long_ago(&public, &who)?;
    let certificate = scene.write("certificate.pem", certificate)?;
    let keyless = Keyless::new(&cosign, &sigstore)?;
    keyless.sign_certified(&keys.private, &certificate, &image.by_digest())?.ok()?;
    let signed = image.attached("sig")?.context("cosign signed nothing")?;
    let annotations = &signed.layers()[0]["annotations"];
    ensure!(annotations["dev.sigstore.cosign/bundle"].is_string(), "not logged: {annotations}");
    ensure!(annotations["dev.sigstore.cosign/certificate"].is_string(), "{annotations}");

    keyless.verify(&who, &image.by_digest())?.arg("--insecure-ignore-sct").refused()?;
    let words = "outside the validity of the signer's certificate";
    refuse_image(scene, &sigstore, &registry, &image, &who, words)
}

/// `chains verify` refuses an image, and says why.
fn refuse_image(
    scene: &Scene<'_>,
    sigstore: &Sigstore<'_>,
    registry: &Registry,
    image: &Image,
    who: &Identity,
    words: &str,
) -> Result<()> {
    let root = sigstore.trusted_root_file()?;
    let chains = Chains::new(scene).at(registry);
    chains.verify_identity(who, &root, image.by_digest()).refused()?.saying(words)?;
    Ok(())
}

/// A good bundle, and a trusted root that takes time from nobody who gave it, or no longer then.
fn untrusted_times(scene: &Scene<'_>) -> Result<()> {
    let sigstore = Sigstore::start(scene, Parts::V2)?;
    let registry = Registry::referrers(scene)?;
    let image = registry.push(scene, &Access::default(), "app", "v1")?;
    let (who, token) = sigstore.somebody("alice")?;
    let cosign = Cosign::new(scene, Version::V3);
    let cosign = Keyless::new(&cosign, &sigstore)?;
    cosign.sign(&std::fs::read_to_string(token)?, &image.by_digest())?.ok()?;
    let chains = Chains::new(scene).at(&registry);
    let verify = |root: &Value| -> Result<_> {
        let root = scene.write(&scene.fresh("root.json"), root.to_string())?;
        Ok(chains.verify_identity(&who, &root, image.by_digest()))
    };
    let root = sigstore.trusted_root()?;
    verify(&root)?.ok()?;

    let mut nobody = root.clone();
    nobody["timestampAuthorities"] = json!([]);
    verify(&nobody)?.refused()?.saying("time")?;

    // Nothing tells when a log of version 2 had the entry: cosign takes it whatever the log's key is valid for, too.
    let ended = json!({ "start": "2020-01-01T00:00:00Z", "end": "2021-01-01T00:00:00Z" });
    for (of, at, words) in [
        ("timestampAuthorities", "/timestampAuthorities/0/validFor", "timestamp"),
        ("certificateAuthorities", "/certificateAuthorities/0/validFor", "certificate"),
        ("ctlogs", "/ctlogs/0/publicKey/validFor", "transparency"),
    ] {
        let mut past = root.clone();
        *past.pointer_mut(at).with_context(|| format!("the root has no {of}"))? = ended.clone();
        verify(&past)?.refused().and_then(|ran| ran.saying(words)).context(of)?;
    }
    Ok(())
}
