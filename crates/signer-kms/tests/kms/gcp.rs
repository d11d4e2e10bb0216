//! Google Cloud KMS, over a stand-in that Google's own client works with.

use std::sync::{Arc, Mutex};

use chains_core::{SignatureAlgorithm, Signer as _};
use chains_signer_kms::KmsSigner;
use chains_testkit::signer::Determinism;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::cloudkms::{CloudKms, failure};
use crate::support::server::{Reply, Server};
use crate::support::{check, refused, signed, signer};

const RING: &str = "projects/p/locations/global/keyRings/r";

/// A service with a key that signs by this algorithm, and somebody's credentials.
struct Google {
    server: Server,
    /// What answers before the service does.
    instead: Arc<Mutex<Vec<Reply>>>,
    folder: TempDir,
    http: reqwest::Client,
}

impl Google {
    async fn start(algorithm: &str) -> Self {
        let instead: Arc<Mutex<Vec<Reply>>> = Arc::default();
        let (first, mut kms) = (Arc::clone(&instead), CloudKms::default());
        let server = Server::start(move |asked| {
            let instead = first.lock().unwrap().pop();
            instead.unwrap_or_else(|| kms.answer(asked))
        })
        .await;
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("key.json"), service_account()).unwrap();
        let google = Self { server, instead, folder, http: reqwest::Client::new() };
        let body =
            json!({ "purpose": "ASYMMETRIC_SIGN", "versionTemplate": { "algorithm": algorithm } });
        google.ask("POST", &format!("{RING}/cryptoKeys?cryptoKeyId=k"), &body).await;
        google
    }

    async fn ask(&self, method: &str, path: &str, body: &Value) {
        let url = format!("{}/v1/{path}", self.server.url());
        let request = self.http.request(method.parse().unwrap(), url).bearer_auth("test");
        let answer = request.body(body.to_string()).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    }

    async fn rotate(&self) {
        self.ask("POST", &format!("{RING}/cryptoKeys/k/cryptoKeyVersions"), &json!({})).await;
    }

    async fn disable(&self, version: u32) {
        let path = format!("{RING}/cryptoKeys/k/cryptoKeyVersions/{version}?updateMask=state");
        self.ask("PATCH", &path, &json!({ "state": "DISABLED" })).await;
    }

    fn signer(&self, version: &str) -> KmsSigner {
        let file = self.folder.path().join("key.json");
        signer(
            &format!("gcpkms://{RING}/cryptoKeys/k{version}"),
            &[
                ("CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS", &self.server.url()),
                ("GOOGLE_APPLICATION_CREDENTIALS", file.to_str().unwrap()),
            ],
        )
    }

    fn instead(&self, reply: Reply) {
        self.instead.lock().unwrap().push(reply);
    }
}

/// A key file as Google gives it, with a key that was just made.
pub(crate) fn service_account() -> String {
    use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
    use base64::Engine as _;
    let pair = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let base64 = base64::engine::general_purpose::STANDARD.encode(der.as_ref());
    let lines: Vec<_> =
        base64.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
    let pem =
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
    json!({
        "type": "service_account",
        "project_id": "p",
        "private_key_id": "test-key-id",
        "private_key": pem,
        "client_email": "chains@p.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": "https://oauth2.googleapis.com/token",
    })
    .to_string()
}

#[tokio::test]
async fn every_algorithm_signs_and_keeps_the_contract() {
    use SignatureAlgorithm as A;
    for (name, algorithm) in [
        ("EC_SIGN_P384_SHA384", A::EcdsaP384Sha384),
        ("RSA_SIGN_PKCS1_2048_SHA256", A::RsaPkcs1Sha256),
        ("RSA_SIGN_PSS_3072_SHA256", A::RsaPssSha256),
        ("RSA_SIGN_PKCS1_4096_SHA512", A::RsaPkcs1Sha512),
        ("RSA_SIGN_PSS_4096_SHA512", A::RsaPssSha512),
    ] {
        let google = Google::start(name).await;
        assert_eq!(signed(&google.signer(""), b"message").await.algorithm, algorithm, "{name}");
    }
    let google = Google::start("EC_SIGN_P256_SHA256").await;
    let signer = Arc::new(google.signer(""));
    chains_testkit::signer::suite(signer, Determinism::Randomised).await;
    assert_eq!(google.server.asked("publicKey").len(), 1);
}

#[tokio::test]
async fn the_newest_enabled_version_signs_and_a_pinned_one_stays() {
    let google = Google::start("EC_SIGN_P256_SHA256").await;
    let first = signed(&google.signer(""), b"message").await;
    for _ in 0..10 {
        google.rotate().await;
    }
    let pinned = google.signer("/cryptoKeyVersions/1");
    assert_eq!(signed(&pinned, b"message").await.material, first.material);
    assert_eq!(signed(&google.signer("/versions/1"), b"message").await.material, first.material);
    // The eleventh, though names sort otherwise.
    let newest = google.signer("");
    let eleventh = signed(&newest, b"message").await;
    assert_eq!(google.server.asked("cryptoKeyVersions/11:asymmetricSign").len(), 1);
    google.disable(11).await;
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    assert_ne!(signed(&newest, b"message").await.material, eleventh.material);
    assert_eq!(google.server.asked("cryptoKeyVersions/10:asymmetricSign").len(), 1);

    google.disable(1).await;
    let error = refused(&pinned).await;
    check(&error, "key", &["signing with gcpkms://", "FAILED_PRECONDITION", "state is: DISABLED"]);
    for version in 2..11 {
        google.disable(version).await;
    }
    check(
        &google.signer("").material().await.unwrap_err(),
        "key",
        &["no version of the key is enabled"],
    );
}

#[tokio::test]
async fn what_was_corrupted_on_its_way_does_not_leave() {
    let google = Google::start("EC_SIGN_P256_SHA256").await;
    let signer = google.signer("/versions/1");
    signed(&signer, b"message").await;
    let name = format!("{RING}/cryptoKeys/k/cryptoKeyVersions/1");
    let answer = |name: &str, verified: bool, checksum: Option<&str>| {
        let mut answer =
            json!({ "name": name, "signature": "AAAA", "verifiedDigestCrc32c": verified });
        if let Some(checksum) = checksum {
            answer["signatureCrc32c"] = json!(checksum);
        }
        Reply::json(200, &answer)
    };
    for (reply, words) in [
        (answer(&name, false, Some("1")), "the request was corrupted"),
        (answer(&name, true, Some("1")), "its answer was corrupted"),
        (answer(&name, true, None), "its answer has no checksum"),
    ] {
        google.instead(reply);
        let error = refused(&signer).await;
        check(&error, "protocol", &["signing with gcpkms://", words]);
        assert!(error.is_retryable(), "{words}");
    }
    google.instead(answer("projects/other", true, Some("1")));
    let error = refused(&signer).await;
    check(&error, "protocol", &["its answer is about \"projects/other\""]);
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn failures_have_googles_own_code() {
    let google = Google::start("EC_SIGN_P256_SHA256").await;
    let signer = google.signer("/versions/1");
    signed(&signer, b"message").await;
    let name =
        "signing with gcpkms://projects/p/locations/global/keyRings/r/cryptoKeys/k/versions/1";
    for (code, status, kind) in [
        (401, "UNAUTHENTICATED", "unauthorized"),
        (403, "PERMISSION_DENIED", "unauthorized"),
        (404, "NOT_FOUND", "not_found"),
        (429, "RESOURCE_EXHAUSTED", "throttled"),
        (409, "ABORTED", "conflict"),
        (400, "INVALID_ARGUMENT", "signing"),
        (500, "INTERNAL", "unavailable"),
        (503, "UNAVAILABLE", "unavailable"),
        (504, "DEADLINE_EXCEEDED", "timeout"),
    ] {
        google.instead(failure(code, status, "in Google's words"));
        check(
            &refused(&signer).await,
            kind,
            &[name, &code.to_string(), status, "(in Google's words)"],
        );
    }
    google.instead(Reply::text(200, "<html>"));
    check(&refused(&signer).await, "protocol", &[name, "not what the API promises"]);
    google.instead(Reply::json(200, &json!({})));
    check(&refused(&signer).await, "protocol", &[name]);
}

#[tokio::test]
async fn keys_that_do_not_sign_are_told() {
    let google = Google::start("EC_SIGN_P256_SHA256").await;
    let pem = "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n";
    for algorithm in ["EC_SIGN_SECP256K1_SHA256", "RSA_DECRYPT_OAEP_2048_SHA256"] {
        let reply = json!({ "pem": pem, "pemCrc32c": "929797021", "algorithm": algorithm });
        google.instead(Reply::json(200, &reply));
        let error = google.signer("/versions/1").material().await.unwrap_err();
        check(&error, "key", &["fetching the public key of gcpkms://", algorithm]);
    }
}
