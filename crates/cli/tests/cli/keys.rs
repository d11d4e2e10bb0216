//! Key pairs: made, shown, protected.

use std::fs;

use crate::harness::{Scene, TASK_RUN};

#[test]
fn every_kind_of_key_signs_and_verifies() {
    for kind in ["ecdsa-p256", "ecdsa-p384", "ed25519"] {
        let scene = Scene::new();
        scene.write("run.yaml", TASK_RUN);
        scene
            .run(&["keys", "generate", "--type", kind, "--output-key-prefix", "k"])
            .expect(0)
            .says("SHA256:");
        let private = fs::read_to_string(scene.path("k.key")).unwrap();
        assert!(private.starts_with("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----"), "{kind}");
        let shown = scene.run(&["keys", "public", "--key", "k.key"]).expect(0).out;
        assert_eq!(shown, fs::read_to_string(scene.path("k.pub")).unwrap());
        scene.run(&["sign", "run.yaml", "--key", "k.key"]).expect(0).says("--key k.pub");
        scene.run(&["verify", "chains-out", "--key", "k.pub"]).expect(0).says(kind);
    }
}

#[test]
fn keys_that_exist_are_not_replaced_unasked() {
    let scene = Scene::new();
    scene.run(&["keys", "generate"]).expect(0);
    let before = fs::read(scene.path("chains.key")).unwrap();
    scene.run(&["keys", "generate"]).expect(2).says("--force");
    assert_eq!(before, fs::read(scene.path("chains.key")).unwrap());
    scene.run(&["keys", "generate", "--force"]).expect(0);
    assert_ne!(before, fs::read(scene.path("chains.key")).unwrap());
}

#[cfg(unix)]
#[test]
fn private_keys_are_readable_by_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let scene = Scene::signed();
    scene.run(&["keys", "generate"]).expect(0);
    for key in ["chains.key", "chains-out/chains.key"] {
        let mode = fs::metadata(scene.path(key)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{key}");
    }
}

#[test]
fn a_key_of_the_wrong_kind_is_told() {
    let scene = Scene::signed();
    let sign = |key: &str| scene.run(&["sign", "run.yaml", "--key", key]);
    sign("chains-out/chains.pub").expect(2).says("public");
    scene.write("words", "not a key");
    sign("words").expect(2).says("words");
    scene
        .run(&["verify", "chains-out", "--key", "chains-out/chains.key"])
        .expect(2)
        .says("is a private key, and verifying takes the public one")
        .says("chains keys public --key chains-out/chains.key > chains-out/chains.pub");
}

#[test]
fn a_reference_to_a_secret_has_a_form() {
    let scene = Scene::signed();
    let form = if cfg!(feature = "kubernetes") {
        "the form is k8s://NAMESPACE/NAME"
    } else {
        "access to Kubernetes is not built into this program"
    };
    for reference in ["k8s://keys", "k8s://ci/keys/more", "k8s://"] {
        scene.run(&["sign", "run.yaml", "--key", reference]).expect(2).says(form);
        scene.run(&["verify", "chains-out", "--key", reference]).expect(2).says(form);
        scene.run(&["keys", "public", "--key", reference]).expect(2).says(form);
        scene.run(&["keys", "generate", reference]).expect(2).says(form);
    }
    scene.run(&["keys", "generate", "signing"]).expect(2).says(form);
}

#[test]
fn the_kind_of_key_has_a_short_option_of_its_own() {
    let scene = Scene::new();
    scene.run(&["keys", "generate", "-t", "ed25519"]).expect(0);
    scene.run(&["keys", "generate", "-k", "ed25519", "--force"]).expect(2);
}

#[test]
fn a_reference_to_a_key_in_a_service_has_a_form() {
    let scene = Scene::signed();
    let check = |reference: &str, says: &str| {
        scene.run(&["sign", "run.yaml", "--key", reference]).expect(2).says(says);
        scene.run(&["verify", "chains-out", "--key", reference]).expect(2).says(says);
        scene.run(&["keys", "public", "--key", reference]).expect(2).says(says);
    };
    check("hashivault://", "names no key after hashivault://");
    check("gcpkms://projects/p", "locations");
    // There is nobody to ask: nothing was said about where.
    check("hashivault://chains", "VAULT_ADDR");
}

#[test]
fn who_must_have_signed_is_said_in_full() {
    let scene = Scene::signed();
    let check = |options: &[&str], says: &str| {
        let args = [&["verify", "chains-out"], options].concat();
        scene.run(&args).expect(2).says(says);
    };
    check(&[], "--certificate-identity and --certificate-oidc-issuer");
    check(&["--certificate-identity", "me@example.com"], "--certificate-oidc-issuer");
    check(&["--certificate-oidc-issuer", "https://a"], "--certificate-identity");
    let regexp = ["--certificate-identity-regexp", "(", "--certificate-oidc-issuer", "https://a"];
    check(&regexp, "regular expression");
    let missing = ["--certificate-identity", "a", "--certificate-oidc-issuer", "b"];
    check(&[&missing[..], &["--trusted-root", "none.json"]].concat(), "none.json");
}

#[test]
fn keyless_signing_says_what_is_missing() {
    let scene = Scene::new();
    scene.write("run.yaml", TASK_RUN);
    let sign = |options: &[&str]| scene.run(&[&["sign", "run.yaml"], options].concat());
    sign(&["--identity-token", "secret-token"]).expect(2);
    let said = sign(&["--identity-token", "secret-token"]);
    assert!(
        !said.out.contains("secret-token") && !said.err.contains("secret-token"),
        "{}",
        said.err
    );
    sign(&["--identity-token", "x", "--key", "y"]).expect(2).says("cannot be used with");
    // A private server and nobody to give a token: nothing is signed, and the folder stays as it was.
    sign(&["--fulcio-url", "http://127.0.0.1:1"]).expect(2).says("identity token");
    assert!(!scene.path("chains-out").exists());
}
