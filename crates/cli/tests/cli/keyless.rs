//! Keyless signing and verifying, over a small Sigstore.

use std::time::Duration;

use chains_testkit::sigstore::{ISSUER, SUBJECT, Sigstore};

use crate::harness::{Scene, TASK_RUN};

const ROOT: [&str; 2] = ["--trusted-root", "root.json"];
const ME: [&str; 4] = ["--certificate-identity", SUBJECT, "--certificate-oidc-issuer", ISSUER];

/// A run that is signed keyless into `chains-out`.
fn signed(more: &[&str]) -> (Scene, Sigstore) {
    let (scene, sigstore) = (Scene::new(), Sigstore::start());
    scene.write("run.yaml", TASK_RUN);
    scene.write("root.json", sigstore.trusted_root());
    scene.write("token", Sigstore::token());
    sign(&scene, &sigstore, more);
    (scene, sigstore)
}

fn sign(scene: &Scene, sigstore: &Sigstore, more: &[&str]) {
    let url = sigstore.url.as_str();
    let args = ["sign", "run.yaml", "--identity-token", "token", "--fulcio-url", url];
    let args = [&args[..], &["--rekor-url", url], &ROOT, more].concat();
    scene.run(&args).expect(0).says(&format!("--certificate-identity {SUBJECT}")).says(ISSUER);
}

fn verify(scene: &Scene, what: &str, who: &[&str], code: i32, says: &str) {
    let args = [&["verify", what], who, &ROOT].concat();
    scene.run(&args).expect(code).says(says);
}

#[test]
fn a_folder_is_signed_and_verified() {
    let (scene, sigstore) = signed(&[]);
    assert_eq!((sigstore.issued(), sigstore.entries()), (1, 2), "the run and its image");
    verify(&scene, "chains-out", &ME, 0, "signature with a certificate of me@example.com");
    let bundle = &scene.find("chains-out", "provenance.sigstore.json")[0];
    let bundle = bundle.display().to_string();
    verify(&scene, &bundle, &ME, 0, "speaks of");
    let regexp = [
        "--certificate-identity-regexp",
        "@example\\.com$",
        "--certificate-oidc-issuer-regexp",
        "^https://",
    ];
    verify(&scene, &bundle, &regexp, 0, "verified");
}

#[test]
fn somebody_else_is_refused() {
    let (scene, _) = signed(&[]);
    let other = ["--certificate-identity", "you@example.com", "--certificate-oidc-issuer", ISSUER];
    let words = "certificate identity: it is of \"me@example.com\"";
    verify(&scene, "chains-out", &other, 1, words);
    let other = ["--certificate-identity", SUBJECT, "--certificate-oidc-issuer", "https://other"];
    verify(&scene, "chains-out", &other, 1, words);
    let part = ["--certificate-identity", "me@example.co", "--certificate-oidc-issuer", ISSUER];
    verify(&scene, "chains-out", &part, 1, words);
}

#[test]
fn other_roots_of_trust_refuse_it() {
    let (scene, sigstore) = signed(&[]);
    let (mine, other) = (sigstore.trusted_root(), Sigstore::start().trusted_root());
    let root = |logs: &str, authorities: &str| {
        let mut root: serde_json::Value = serde_json::from_str(logs).unwrap();
        let from: serde_json::Value = serde_json::from_str(authorities).unwrap();
        root["certificateAuthorities"] = from["certificateAuthorities"].clone();
        root.to_string()
    };
    scene.write("root.json", root(&other, &mine));
    verify(&scene, "chains-out", &ME, 1, "log entry: 0 of a trusted log, 1 are wanted");
    scene.write("root.json", root(&mine, &other));
    verify(&scene, "chains-out", &ME, 1, "certificate: it leads up to no trusted authority");
}

#[test]
fn what_is_changed_in_a_bundle_is_told() {
    let (scene, _) = signed(&[]);
    let bundle = scene.find("chains-out", "provenance.sigstore.json")[0].clone();
    let whole = std::fs::read_to_string(&bundle).unwrap();
    let path = bundle.display().to_string();
    let check = |change: &dyn Fn(&mut serde_json::Value), says: &str| {
        let mut json: serde_json::Value = serde_json::from_str(&whole).unwrap();
        change(&mut json);
        std::fs::write(&bundle, json.to_string()).unwrap();
        verify(&scene, &path, &ME, 1, says);
    };
    const ENTRY: &str = "/verificationMaterial/tlogEntries/0";
    let at = |json: &mut serde_json::Value, pointer: &str, value: serde_json::Value| {
        *json.pointer_mut(&format!("{ENTRY}{pointer}")).unwrap() = value;
    };
    let base64 = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    check(
        &|json| {
            let proof = json.pointer_mut(&format!("{ENTRY}/inclusionProof")).unwrap();
            proof["hashes"] = vec![base64].into();
        },
        "inclusion proof",
    );
    check(&|json| at(json, "/inclusionProof/rootHash", base64.into()), "checkpoint");
    check(&|json| at(json, "/integratedTime", "1".into()), "signed entry timestamp");
    check(&|json| at(json, "/canonicalizedBody", "e30=".into()), "entry body");
    check(
        &|json| {
            let entries = json.pointer_mut("/verificationMaterial/tlogEntries").unwrap();
            *entries = serde_json::Value::Array(Vec::new());
        },
        "log entry: 0 of a trusted log",
    );
    check(
        &|json| {
            let payload = json.pointer_mut("/dsseEnvelope/payload").unwrap();
            *payload = "e30=".into();
        },
        "signature: it is not by the key of its certificate",
    );
}

#[test]
fn with_a_key_alone_a_keyless_signature_is_refused() {
    let (scene, _) = signed(&[]);
    scene.run(&["keys", "generate"]).expect(0);
    scene.run(&["verify", "chains-out", "--key", "chains.pub"]).expect(1).says("REFUSED");
}

#[test]
fn a_key_is_logged_too_and_its_entries_are_checked() {
    let (scene, sigstore) = (Scene::new(), Sigstore::start());
    scene.write("run.yaml", TASK_RUN);
    scene.write("root.json", sigstore.trusted_root());
    let url = sigstore.url.as_str();
    let sign = [&["sign", "run.yaml", "--rekor-url", url], &ROOT[..]].concat();
    scene.run(&sign).expect(0);
    assert_eq!((sigstore.issued(), sigstore.entries()), (0, 2));
    // The same run and key: the same signature, and the same entry.
    scene.run(&sign).expect(0);
    assert_eq!(sigstore.entries(), 2);
    let bundle = scene.find("chains-out", "provenance.sigstore.json")[0].display().to_string();
    let key = ["--key", "chains-out/chains.pub"];
    verify(&scene, &bundle, &key, 0, "1 entries of trusted logs hold");
    verify(&scene, "chains-out", &key, 0, "verified");
    // Entries of other logs, or none, are as good as nothing.
    scene.write("root.json", Sigstore::start().trusted_root());
    let words = "log entry: 0 of a trusted log, 1 are wanted";
    verify(&scene, &bundle, &key, 1, words);
    verify(&scene, "chains-out", &key, 1, words);
    scene.write("root.json", sigstore.trusted_root());
    scene.edit(bundle.as_ref(), |text| {
        let mut json: serde_json::Value = serde_json::from_str(text).unwrap();
        json["verificationMaterial"]["tlogEntries"] = serde_json::Value::Array(Vec::new());
        json.to_string()
    });
    verify(&scene, &bundle, &key, 1, words);
    scene.run(&[&["verify", &bundle], &key[..]].concat()).expect(0);
    std::fs::remove_file(&bundle).unwrap();
    verify(&scene, "chains-out", &key, 1, "log entry: the signature came with none");
}

#[test]
fn a_bundle_of_a_certificate_is_not_verified_with_its_bare_key() {
    let scene = Scene::signed();
    let sigstore = Sigstore::start();
    scene.write("root.json", sigstore.trusted_root());
    let bundle = scene.find("chains-out", "provenance.sigstore.json")[0].clone();
    let keyless = signed(&[]).0;
    let theirs = keyless.find("chains-out", "provenance.sigstore.json")[0].clone();
    let theirs: serde_json::Value =
        serde_json::from_slice(&std::fs::read(theirs).unwrap()).unwrap();
    scene.edit(&bundle, |text| {
        let mut json: serde_json::Value = serde_json::from_str(text).unwrap();
        json["verificationMaterial"] = theirs["verificationMaterial"].clone();
        json.to_string()
    });
    let key = ["--key", "chains-out/chains.pub"];
    let path = bundle.display().to_string();
    for what in ["chains-out", path.as_str()] {
        let words = "bundle: it was signed with a certificate";
        scene.run(&[&["verify", what], &key[..]].concat()).expect(1).says(words);
        verify(&scene, what, &key, 1, words);
    }
}

#[test]
fn a_log_that_is_down_fails_the_run_unless_it_is_not_required() {
    let (scene, sigstore) = (Scene::new(), Sigstore::start());
    scene.write("run.yaml", TASK_RUN);
    scene.write("root.json", sigstore.trusted_root());
    sigstore.set_down(true);
    let url = sigstore.url.as_str();
    let sign = [&["sign", "run.yaml", "--rekor-url", url], &ROOT[..]].concat();
    scene.run(&sign).expect(1).says("logging failed");
    let optional =
        [&sign[..], &["--config", "transparency.required=false", "--store", "local"]].concat();
    scene.run(&optional).expect(0).says("not logged: ").says("signing it again logs it");
    sigstore.set_down(false);
    scene.run(&optional).expect(0);
    assert_eq!(sigstore.entries(), 2);
}

#[test]
fn a_certificate_that_ended_before_the_log_saw_it_signs_nothing() {
    let (scene, sigstore) = (Scene::new(), Sigstore::start());
    scene.write("run.yaml", TASK_RUN);
    scene.write("root.json", sigstore.trusted_root());
    scene.write("token", Sigstore::token());
    sigstore.set_lifetime(Duration::ZERO);
    let url = sigstore.url.as_str();
    let args = ["sign", "run.yaml", "--identity-token", "token", "--fulcio-url", url];
    scene.run(&[&args[..], &["--rekor-url", url], &ROOT].concat()).expect(2).says("certificate");
    assert_eq!(sigstore.entries(), 0);
}
