//! Certificates of somebody else put where the signer's belongs: whoever may write annotations may write any text.

#![cfg(feature = "keyless")]
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chains_backends::{Environment, Evidence, IdentityPolicy, Keyless, Pattern, engine};
use chains_config::Config;
use chains_core::bundle::{Bundle, Content};
use chains_core::{ErrorKind, Progress, Secret, Signed};
use chains_engine::Policy;
use chains_tekton::Run;
use chains_testkit::sigstore::{ISSUER, SUBJECT, Sigstore};
use serde_json::{Value, json};
use tempfile::TempDir;

const RUN: &str = r#"{"apiVersion": "tekton.dev/v1", "kind": "TaskRun",
    "metadata": {"name": "b", "uid": "u1"},
    "status": {"conditions": [{"type": "Succeeded", "status": "True"}]}}"#;

/// What somebody signed keyless, and how it was logged.
struct Made {
    certificate: String,
    bundle: Bundle,
    /// The log entry as cosign's layers have it.
    entry: String,
}

/// Signs with certificates of one and the log of the other.
async fn sign(fulcio: &Sigstore, log: &Sigstore) -> Made {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root.json");
    std::fs::write(&root, mixed(fulcio, log)).unwrap();
    let out = folder.path().join("out");
    let text = format!(
        "artifacts.taskrun.storage=local\nartifacts.taskrun.format=slsa/v2alpha4\n\
         artifacts.oci.storage=\nstorage.local.path={}\nsigners.x509.fulcio.enabled=true\n\
         signers.x509.fulcio.address={}\ntransparency.enabled=true\ntransparency.url={}\n\
         sigstore.trusted-root={}",
        out.display(),
        fulcio.url,
        log.url,
        root.display()
    );
    let environment = Environment {
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
    let certificate = std::fs::read_to_string(find(&out, "provenance.crt")).unwrap();
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

async fn scene() -> Scene {
    let (trusted, other) = (Sigstore::start(), Sigstore::start());
    let victim = sign(&trusted, &trusted).await;
    let attacker = sign(&other, &trusted).await;
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root.json");
    std::fs::write(&root, trusted.trusted_root()).unwrap();
    let config = Config::read(&format!("sigstore.trusted-root={}", root.display())).unwrap();
    let keyless = Keyless::load(&config, &Environment::anonymous()).await.unwrap();
    Scene { victim, attacker, keyless, _folder: folder }
}

impl Scene {
    /// Verifies it with this text as the certificate: as a layer of cosign's, or with the bundle.
    fn verify(&self, made: &Made, certificate: &str, bundled: bool) -> Result<(), String> {
        let Content::DsseEnvelope(envelope) = &made.bundle.content else { panic!("no envelope") };
        let signed = Signed::Dsse(envelope.clone());
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
            .verify(&policy, &signed, &envelope.payload, evidence)
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
