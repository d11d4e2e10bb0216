//! Certificates of somebody else put where the signer's belongs: whoever may write annotations may write any text.

#![cfg(feature = "keyless")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chains_backends::{Environment, Evidence, IdentityPolicy, Keyless, Pattern, engine};
use chains_config::Config;
use chains_core::bundle::{Bundle, Content};
use chains_core::{ErrorKind, Progress, PublicKey, Result, Secret, Signed};
use chains_engine::Policy;
use chains_signer_x509::{KeyKind, KeyPair, X509Signer};
use chains_tekton::Run;
use chains_testkit::sigstore::{ISSUER, SUBJECT, Sigstore};
use serde_json::{Value, json};
use tempfile::TempDir;

const RUN: &str = r#"{"apiVersion": "tekton.dev/v1", "kind": "TaskRun",
    "metadata": {"name": "b", "uid": "u1"},
    "status": {"conditions": [{"type": "Succeeded", "status": "True"}]}}"#;

/// What somebody signed, and how it was logged.
struct Made {
    /// Empty where a key signed.
    certificate: String,
    bundle: Bundle,
    /// The log entry as cosign's layers have it.
    entry: String,
}

impl Made {
    fn signed(&self) -> (Signed, Vec<u8>) {
        let Content::DsseEnvelope(envelope) = &self.bundle.content else { panic!("no envelope") };
        (Signed::Dsse(envelope.clone()), envelope.payload.to_vec())
    }

    fn in_bundle(&self) -> Evidence<'_> {
        Evidence { bundle: Some(&self.bundle), ..Evidence::default() }
    }

    fn in_layer(&self) -> Evidence<'_> {
        Evidence { entry: Some(&self.entry), ..Evidence::default() }
    }
}

/// Signs with certificates of one and the log of the other.
async fn sign(fulcio: &Sigstore, log: &Sigstore) -> Made {
    logged(fulcio, log, None).await
}

/// Signs with a key.
async fn sign_by_key(log: &Sigstore) -> (PublicKey, Made) {
    let pair = KeyPair::generate(KeyKind::P256).unwrap();
    let key = X509Signer::from_pem(pair.private_pem().unwrap().expose(), None).unwrap();
    (pair.public_key().clone(), logged(log, log, Some(key)).await)
}

async fn logged(fulcio: &Sigstore, log: &Sigstore, key: Option<X509Signer>) -> Made {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root.json");
    std::fs::write(&root, mixed(fulcio, log)).unwrap();
    let out = folder.path().join("out");
    let text = format!(
        "artifacts.taskrun.storage=local\nartifacts.taskrun.format=slsa/v2alpha4\n\
         artifacts.oci.storage=\nstorage.local.path={}\nsigners.x509.fulcio.enabled={}\n\
         signers.x509.fulcio.address={}\ntransparency.enabled=true\ntransparency.url={}\n\
         sigstore.trusted-root={}",
        out.display(),
        key.is_none(),
        fulcio.url,
        log.url,
        root.display()
    );
    let environment = Environment {
        x509: key.map(|key| Arc::new(key) as _),
        identity_token: Some(Secret::new(Sigstore::token())),
        policy: Policy { retries: 0, ..Policy::default() },
        ..Environment::anonymous()
    };
    let engine = engine(&Config::read(&text).unwrap(), &environment).unwrap();
    let run = Run::from_json(RUN.as_bytes()).unwrap();
    let report = engine.process(&run, &Progress::default()).await;
    assert!(
        report.is_done(),
        "{:?}",
        report.failures().map(|f| f.error.report()).collect::<Vec<_>>()
    );
    let certificate = match environment.x509 {
        None => std::fs::read_to_string(find(&out, "provenance.crt")).unwrap(),
        Some(_) => String::new(),
    };
    let bundle = std::fs::read(find(&out, "provenance.sigstore.json")).unwrap();
    let entry = annotation(&serde_json::from_slice(&bundle).unwrap());
    Made { certificate, bundle: Bundle::from_json(&bundle).unwrap(), entry }
}

fn mixed(fulcio: &Sigstore, log: &Sigstore) -> String {
    let mut root: Value = serde_json::from_str(&log.trusted_root()).unwrap();
    let from: Value = serde_json::from_str(&fulcio.trusted_root()).unwrap();
    root["certificateAuthorities"] = from["certificateAuthorities"].clone();
    root.to_string()
}

fn find(folder: &Path, name: &str) -> PathBuf {
    let search = |folder: &Path| -> Vec<PathBuf> {
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in search(&folder) {
            if path.is_dir() {
                folders.push(path);
            } else if path.ends_with(name) {
                return path;
            }
        }
    }
    panic!("{name} is not in {}", folder.display())
}

fn annotation(bundle: &Value) -> String {
    let entry = &bundle["verificationMaterial"]["tlogEntries"][0];
    let number = |value: &Value| value.as_str().unwrap().parse::<u64>().unwrap();
    let id = STANDARD.decode(entry["logId"]["keyId"].as_str().unwrap()).unwrap();
    json!({
        "SignedEntryTimestamp": entry["inclusionPromise"]["signedEntryTimestamp"],
        "Payload": {
            "body": entry["canonicalizedBody"],
            "integratedTime": number(&entry["integratedTime"]),
            "logIndex": number(&entry["logIndex"]),
            "logID": hex::encode(id),
        },
    })
    .to_string()
}

struct Scene {
    /// What is signed by whom the trusted authority knows.
    victim: Made,
    /// What is signed with a certificate of another authority, in the trusted log.
    attacker: Made,
    keyless: Keyless,
    _folder: TempDir,
}

async fn trusting(root: &str) -> (Keyless, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("root.json");
    std::fs::write(&path, root).unwrap();
    let config = Config::read(&format!("sigstore.trusted-root={}", path.display())).unwrap();
    (Keyless::load(&config, &Environment::anonymous()).await.unwrap(), folder)
}

async fn scene() -> Scene {
    let (trusted, other) = (Sigstore::start(), Sigstore::start());
    let victim = sign(&trusted, &trusted).await;
    let attacker = sign(&other, &trusted).await;
    let (keyless, folder) = trusting(&trusted.trusted_root()).await;
    Scene { victim, attacker, keyless, _folder: folder }
}

impl Scene {
    /// Verifies it with this text as the certificate: as a layer of cosign's, or with the bundle.
    fn verify(
        &self,
        made: &Made,
        certificate: &str,
        bundled: bool,
    ) -> std::result::Result<(), String> {
        let (signed, payload) = made.signed();
        let evidence = Evidence {
            certificate: Some(certificate),
            bundle: bundled.then_some(&made.bundle),
            entry: (!bundled).then_some(made.entry.as_str()),
            ..Evidence::default()
        };
        let policy = IdentityPolicy {
            subject: Pattern::Is(SUBJECT.to_owned()),
            issuer: Pattern::Is(ISSUER.to_owned()),
        };
        self.keyless
            .verify(&policy, &signed, &payload, evidence)
            .map(drop)
            .inspect_err(|error| {
                let kinds = [ErrorKind::Verification, ErrorKind::InvalidInput];
                assert!(kinds.contains(&error.kind()), "{error:?}");
            })
            .map_err(|error| error.report())
    }

    #[track_caller]
    fn refused(&self, made: &Made, certificate: &str, words: &str) {
        for bundled in [false, true] {
            let told = self.verify(made, certificate, bundled).unwrap_err();
            assert!(told.contains(words), "{told}");
        }
    }
}

#[tokio::test]
async fn a_certificate_that_two_readers_would_read_differently_is_refused() {
    let scene = scene().await;
    let (attacker, victim) = (&scene.attacker, &scene.victim);
    for bundled in [false, true] {
        scene.verify(victim, &victim.certificate, bundled).unwrap();
    }
    let theirs = &attacker.certificate;
    scene.refused(attacker, theirs, "certificate: it leads up to no trusted authority");
    let one = "it has to be the PEM of exactly one certificate";
    // Who looks for `BEGIN` anywhere sees the first one, who looks at the starts of lines the second one.
    let forged = format!("x{}\n{}", theirs.trim_end(), victim.certificate);
    assert!(forged.starts_with("x-----BEGIN CERTIFICATE-----\n"), "{forged}");
    assert!(forged.contains("\n-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\n"));
    scene.refused(attacker, &forged, one);
    scene.refused(attacker, &format!("{theirs}{}", victim.certificate), one);
    scene.refused(attacker, &format!("{}{theirs}", victim.certificate), one);
    scene.refused(victim, &format!("x{}", victim.certificate), one);
    scene.refused(victim, &format!("text\n{}", victim.certificate), one);
    scene.refused(victim, &format!("{}text", victim.certificate), one);
    scene.refused(victim, "", one);
    scene.refused(victim, &victim.certificate.replace("CERTIFICATE", "PUBLIC KEY"), one);
    scene.refused(attacker, &victim.certificate, "signature: it is not by the key");
    // However lines end and however long they are: it is the same certificate.
    let lines: Vec<&str> = victim.certificate.lines().collect();
    let inner = lines[1..lines.len() - 1].concat();
    let long = format!("{}\r\n{inner}\r\n{}", lines[0], lines[lines.len() - 1]);
    scene.verify(victim, &long, false).unwrap();
}

#[tokio::test]
async fn what_a_key_signed_has_to_be_in_a_trusted_log_where_that_is_asked_for() {
    let (log, other) = (Sigstore::start(), Sigstore::start());
    let (key, made) = sign_by_key(&log).await;
    let (foreign, unlogged) = (sign_by_key(&other).await, Evidence::default());
    let (keyless, _folder) = trusting(&log.trusted_root()).await;
    let verify = |(key, made): (&PublicKey, &Made), evidence, must| -> Result<usize> {
        let (signed, payload) = made.signed();
        keyless.verify_entries(key, &signed, &payload, evidence, must)
    };
    let ours = (&key, &made);
    assert_eq!(verify(ours, made.in_bundle(), true).unwrap(), 1);
    assert_eq!(verify(ours, made.in_layer(), true).unwrap(), 1);
    assert_eq!(verify(ours, unlogged, false).unwrap(), 0);
    let mut empty = made.bundle.clone();
    empty.verification_material.tlog_entries.clear();
    let empty = Evidence { bundle: Some(&empty), ..Evidence::default() };
    assert_eq!(verify(ours, empty, false).unwrap(), 0);
    let theirs = (&foreign.0, &foreign.1);
    assert_eq!(verify(theirs, foreign.1.in_bundle(), false).unwrap(), 0);
    let refused = |of, evidence, words: &str| {
        let error = verify(of, evidence, true).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Verification);
        assert!(error.report().contains(words), "{}", error.report());
    };
    refused(ours, unlogged, "log entry: the signature came with none");
    refused(ours, empty, "log entry: 0 of a trusted log");
    refused(theirs, foreign.1.in_bundle(), "log entry: 0 of a trusted log");
    refused(theirs, foreign.1.in_layer(), "log id: ");
    refused(ours, foreign.1.in_bundle(), "bundle: it is of another signature");
    refused(ours, foreign.1.in_layer(), "entry body: ");
    let certified = sign(&log, &log).await;
    refused((&key, &certified), certified.in_bundle(), "bundle: it was signed with a certificate");
}
