//! Azure Key Vault, over a small server with TLS that misbehaves as it is told. Microsoft's own generated server is in
//! the end-to-end tests.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chains_core::{SignatureAlgorithm, Signer as _};
use chains_signer_kms::KmsSigner;
use chains_testkit::signer::Determinism;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::keys::PrivateKey;
use crate::support::server::{Asked, Reply, Server};
use crate::support::{check, options, refused, signed, signer_of};

/// A vault with versions of one key, and who gives tokens for it.
struct Vault {
    versions: Vec<(PrivateKey, Value)>,
    disabled: Option<usize>,
    /// The token that is good.
    token: String,
    logins: Vec<Asked>,
    instead: Vec<Reply>,
}

impl Vault {
    fn answer(&mut self, asked: &Asked) -> Reply {
        if asked.path.ends_with("/oauth2/v2.0/token") {
            self.logins.push(asked.clone());
            let answer =
                json!({ "access_token": self.token, "expires_in": 3599, "token_type": "Bearer" });
            return Reply::json(200, &answer);
        }
        if asked.header("authorization") != format!("Bearer {}", self.token) {
            return challenge();
        }
        if let Some(reply) = self.instead.pop() {
            return reply;
        }
        let (path, query) = asked.path.split_once('?').unwrap();
        assert_eq!(query, "api-version=7.4");
        let parts: Vec<_> = path.trim_matches('/').split('/').collect();
        let number = match parts.get(2) {
            Some(version) => version.trim_start_matches('v').parse().unwrap(),
            None => self.versions.len() - 1,
        };
        let kid = format!("https://127.0.0.1/keys/signing/v{number}");
        match (parts.as_slice(), self.versions.get(number)) {
            (["keys", "signing"] | ["keys", "signing", _], Some((_, jwk))) => {
                let mut jwk = jwk.clone();
                jwk["kid"] = json!(kid);
                let enabled = self.disabled != Some(number);
                Reply::json(200, &json!({ "key": jwk, "attributes": { "enabled": enabled } }))
            }
            (["keys", "signing", _, "sign"], Some((key, _))) if self.disabled != Some(number) => {
                sign(key, &kid, &asked.json())
            }
            (["keys", "signing", _, "sign"], Some(_)) => failure(
                403,
                "Forbidden",
                Some("KeyDisabled"),
                "Operation sign is not allowed on a disabled key.",
            ),
            _ => failure(
                404,
                "KeyNotFound",
                None,
                "A key with (name/id) was not found in this vault.",
            ),
        }
    }
}

fn challenge() -> Reply {
    let header = r#"Bearer authorization="https://login.microsoftonline.com/tenant", resource="https://vault.azure.net""#;
    failure(401, "Unauthorized", None, "AKV10000: Request is missing a Bearer or PoP token.")
        .header("www-authenticate", header)
}

fn failure(status: u16, code: &str, inner: Option<&str>, message: &str) -> Reply {
    let mut error = json!({ "code": code, "message": message });
    if let Some(inner) = inner {
        error["innererror"] = json!({ "code": inner });
    }
    Reply::json(status, &json!({ "error": error }))
}

fn sign(key: &PrivateKey, kid: &str, body: &Value) -> Reply {
    let digest = URL_SAFE_NO_PAD.decode(body["value"].as_str().unwrap()).unwrap();
    let Some(signature) = key.sign_digest(&digest) else {
        return failure(400, "BadParameter", None, "Invalid length of 'value'");
    };
    let raw = match (body["alg"].as_str().unwrap(), key) {
        ("ES256", PrivateKey::Ec(..)) => raw_of_der(&signature, 32),
        ("ES384", PrivateKey::Ec(..)) => raw_of_der(&signature, 48),
        ("RS256", PrivateKey::Rsa(..)) => signature,
        other => panic!("{}", other.0),
    };
    Reply::json(200, &json!({ "kid": kid, "value": URL_SAFE_NO_PAD.encode(raw) }))
}

/// `r` and `s` of an ASN.1 signature of such a curve, one after the other.
fn raw_of_der(der: &[u8], length: usize) -> Vec<u8> {
    let mut raw = Vec::new();
    let mut rest = &der[2..];
    for _ in 0..2 {
        let (number, after) = rest[2..].split_at(rest[1].into());
        let number = number.strip_prefix(&[0]).unwrap_or(number);
        raw.extend(vec![0; length - number.len()]);
        raw.extend(number);
        rest = after;
    }
    raw
}

fn ec(key: PrivateKey, curve: &str) -> (PrivateKey, Value) {
    let raw = key.public_key().raw().to_vec();
    let (x, y) = raw[1..].split_at(raw.len() / 2);
    let [x, y] = [x, y].map(|part| URL_SAFE_NO_PAD.encode(part));
    (key, json!({ "kty": "EC", "crv": curve, "x": x, "y": y, "key_ops": ["sign"] }))
}

fn rsa() -> (PrivateKey, Value) {
    let key = PrivateKey::of_google("RSA_SIGN_PKCS1_2048_SHA256").unwrap();
    // SEQUENCE of four bytes, INTEGER of four, a zero, the modulus, and an exponent of three bytes.
    let raw = key.public_key().raw().to_vec();
    let modulus = URL_SAFE_NO_PAD.encode(&raw[9..9 + 256]);
    (key, json!({ "kty": "RSA-HSM", "n": modulus, "e": "AQAB" }))
}

struct Azure {
    server: Server,
    vault: Arc<Mutex<Vault>>,
    folder: TempDir,
}

impl Azure {
    async fn start(key: (PrivateKey, Value)) -> Self {
        let vault = Vault {
            versions: vec![key],
            disabled: None,
            token: "token-1".to_owned(),
            logins: Vec::new(),
            instead: Vec::new(),
        };
        let vault = Arc::new(Mutex::new(vault));
        let answers = Arc::clone(&vault);
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start_tls(&folder, move |asked| answers.lock().unwrap().answer(asked));
        Self { server: server.await, vault, folder }
    }

    fn signer(&self, rest: &str, variables: &[(&str, &str)]) -> KmsSigner {
        let (authority, host) = (self.server.url(), self.server.url().replace("https://", ""));
        let mut all =
            vec![("AZURE_AUTHORITY_HOST", authority.as_str()), ("AZURE_TENANT_ID", "tenant")];
        all.push(("AZURE_CLIENT_ID", "application"));
        all.extend(variables);
        let mut options = options(&format!("azurekms://{host}/signing{rest}"), &all);
        options.ca_files = vec![self.folder.path().join("ca.pem")];
        signer_of(options)
    }
}

const PASSWORD: (&str, &str) = ("AZURE_CLIENT_SECRET", "password");

#[tokio::test]
async fn it_keeps_the_contract_of_signers() {
    let azure = Azure::start(ec(PrivateKey::p256(), "P-256")).await;
    let signer = Arc::new(azure.signer("", &[PASSWORD]));
    chains_testkit::signer::suite(signer, Determinism::Randomised).await;
    let logins = &azure.vault.lock().unwrap().logins;
    assert_eq!(logins.len(), 1);
    let form: Vec<_> = url::form_urlencoded::parse(&logins[0].body).into_owned().collect();
    for (name, value) in [
        ("grant_type", "client_credentials"),
        ("client_id", "application"),
        ("scope", "https://vault.azure.net/.default"),
        ("client_secret", "password"),
    ] {
        assert!(form.contains(&(name.to_owned(), value.to_owned())), "{form:?}");
    }
}

#[tokio::test]
async fn other_kinds_of_key_sign() {
    use SignatureAlgorithm as A;
    for (key, algorithm) in
        [(ec(PrivateKey::p384(), "P-384"), A::EcdsaP384Sha384), (rsa(), A::RsaPkcs1Sha256)]
    {
        let azure = Azure::start(key).await;
        let signature = signed(&azure.signer("", &[PASSWORD]), b"message").await;
        assert_eq!(signature.algorithm, algorithm);
    }
}

#[tokio::test]
async fn a_disabled_version_is_left_for_the_newest_one_and_a_pinned_one_stays() {
    let azure = Azure::start(ec(PrivateKey::p256(), "P-256")).await;
    let (signer, pinned) = (azure.signer("", &[PASSWORD]), azure.signer("/v0", &[PASSWORD]));
    let first = signed(&signer, b"message").await;
    assert_eq!(signed(&pinned, b"message").await.material, first.material);
    azure.vault.lock().unwrap().versions.push(ec(PrivateKey::p256(), "P-256"));
    azure.vault.lock().unwrap().disabled = Some(0);
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let second = signed(&signer, b"message").await;
    assert_ne!(first.material.key_id(), second.material.key_id());
    let words = ["signing with azurekms://", "403", "Forbidden/KeyDisabled", "on a disabled key"];
    check(&refused(&pinned).await, "key", &words);
    let again = azure.signer("/v0", &[PASSWORD]);
    check(&refused(&again).await, "key", &["fetching the public key of", "the key is disabled"]);
}

#[tokio::test]
async fn a_token_that_is_refused_is_replaced() {
    let azure = Azure::start(ec(PrivateKey::p256(), "P-256")).await;
    let signer = azure.signer("", &[PASSWORD]);
    signed(&signer, b"message").await;
    azure.vault.lock().unwrap().token = "token-2".to_owned();
    signed(&signer, b"message").await;
    assert_eq!(azure.vault.lock().unwrap().logins.len(), 2);
}

#[tokio::test]
async fn a_workload_shows_its_file_and_a_certificate_signs() {
    let azure = Azure::start(ec(PrivateKey::p256(), "P-256")).await;
    let file = azure.folder.path().join("federated");
    std::fs::write(&file, "jwt-of-kubernetes\n").unwrap();
    let variables = [("AZURE_FEDERATED_TOKEN_FILE", file.to_str().unwrap())];
    signed(&azure.signer("", &variables), b"message").await;
    let body = azure.vault.lock().unwrap().logins.pop().unwrap().body;
    let body = String::from_utf8(body.to_vec()).unwrap();
    assert!(
        body.contains("client_assertion=jwt-of-kubernetes&client_assertion_type=urn%3Aietf"),
        "{body}"
    );
}

#[tokio::test]
async fn failures_have_azures_own_code() {
    let azure = Azure::start(ec(PrivateKey::p256(), "P-256")).await;
    let signer = azure.signer("/v0", &[PASSWORD]);
    signed(&signer, b"message").await;
    for (status, code, inner, kind) in [
        (403, "Forbidden", Some("ForbiddenByRbac"), "unauthorized"),
        (403, "Forbidden", Some("KeyExpired"), "key"),
        (404, "KeyNotFound", None, "not_found"),
        (409, "Conflict", Some("ObjectIsBeingRecovered"), "conflict"),
        (429, "Throttled", None, "throttled"),
        (400, "BadParameter", None, "signing"),
        (500, "InternalServerError", None, "unavailable"),
    ] {
        azure.vault.lock().unwrap().instead.push(failure(status, code, inner, "in Azure's words"));
        let words = ["signing with azurekms://", code, inner.unwrap_or(code), "in Azure's words"];
        check(&refused(&signer).await, kind, &words);
    }
    for (answer, words) in [
        (
            json!({ "kid": "https://v/keys/signing/v0", "value": "AAAA" }),
            "the length that the curve has",
        ),
        (json!({ "kid": "https://v/keys/signing/v0", "value": "!" }), "Invalid symbol"),
        (json!({ "kid": "v0", "value": "AAAA" }), "which version signed"),
    ] {
        azure.vault.lock().unwrap().instead.push(Reply::json(200, &answer));
        check(&refused(&signer).await, "protocol", &["signing with azurekms://", words]);
    }
}

#[tokio::test]
async fn throttling_is_waited_out_where_it_says_for_how_long() {
    let azure = Azure::start(ec(PrivateKey::p256(), "P-256")).await;
    let signer = azure.signer("", &[PASSWORD]);
    signed(&signer, b"message").await;
    let throttled = || failure(429, "Throttled", None, "slow down").header("retry-after-ms", "1");
    azure.vault.lock().unwrap().instead.extend([throttled(), throttled()]);
    signed(&signer, b"message").await;
}

#[tokio::test]
async fn who_has_nothing_to_show_is_told_what_was_looked_for() {
    let azure = Azure::start(ec(PrivateKey::p256(), "P-256")).await;
    // Nobody listens there, in place of the machine's own address.
    let nobody = ("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:1");
    let error = refused(&azure.signer("", &[nobody, ("AZURE_TOKEN_CREDENTIALS", "prod")])).await;
    check(
        &error,
        "configuration",
        &["looking for credentials of Azure", "(ManagedIdentityCredential): no answer"],
    );
}

#[tokio::test]
async fn strangers_are_not_spoken_to() {
    let azure = Azure::start(ec(PrivateKey::p256(), "P-256")).await;
    let host = azure.server.url().replace("https://", "");
    let trusting_nobody = options(&format!("azurekms://{host}/signing"), &[PASSWORD]);
    let error = refused(&signer_of(trusting_nobody)).await;
    check(&error, "verification", &["fetching the public key of azurekms://", "UnknownIssuer"]);
    assert!(azure.signer("", &[PASSWORD]).material().await.is_ok());
}
