//! Vault's transit engine, over a small server that misbehaves as it is told. Real OpenBao is in the end-to-end tests.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chains_core::{Secret, Signer as _};
use chains_signer_kms::{KmsOptions, KmsSigner, Spire};
use chains_testkit::signer::Determinism;
use serde_json::{Value, json};

use crate::support::keys::PrivateKey;
use crate::support::server::{Asked, Reply, Server};
use crate::support::{check, options, refused, signed, signer, signer_of};

/// What the server knows.
struct Vault {
    versions: Vec<PrivateKey>,
    /// Tokens that are good, and may use the key.
    tokens: BTreeSet<String>,
    /// Tokens that are good for nothing.
    powerless: BTreeSet<String>,
    logins: u32,
    lease: u64,
    renewable: bool,
    /// Answers before all else.
    instead: Vec<Reply>,
}

impl Vault {
    fn new() -> Self {
        Self {
            versions: vec![PrivateKey::p256()],
            tokens: ["good".to_owned()].into(),
            powerless: BTreeSet::new(),
            logins: 0,
            lease: 3600,
            renewable: true,
            instead: Vec::new(),
        }
    }

    fn answer(&mut self, asked: &Asked) -> Reply {
        if let Some(reply) = self.instead.pop() {
            return reply;
        }
        let token = asked.header("x-vault-token");
        let (is_good, may_sign) = (
            self.tokens.contains(token) || self.powerless.contains(token),
            self.tokens.contains(token),
        );
        match asked.path.as_str() {
            "/v1/auth/jwt/login" => self.log_in(asked),
            "/v1/auth/token/lookup-self" if is_good => Reply::json(
                200,
                &json!({ "data": { "ttl": self.lease, "creation_ttl": self.lease, "renewable": self.renewable } }),
            ),
            "/v1/auth/token/renew-self" if is_good => self.authenticated(token),
            "/v1/transit/keys/key" if may_sign => Reply::json(200, &self.keys()),
            "/v1/transit/sign/key/sha2-256" if may_sign => self.sign(&asked.json()),
            _ => errors(403, &["1 error occurred:\n\t* permission denied\n\n"]),
        }
    }

    fn log_in(&mut self, asked: &Asked) -> Reply {
        let body = asked.json();
        if body["role"] != "chains" || !body["jwt"].as_str().unwrap().starts_with("jwt") {
            return errors(400, &["error validating token: invalid audience"]);
        }
        self.logins += 1;
        let token = format!("token-{}", self.logins);
        self.tokens.insert(token.clone());
        self.authenticated(&token)
    }

    fn authenticated(&self, token: &str) -> Reply {
        let (lease, renewable) = (self.lease, self.renewable);
        let auth =
            json!({ "client_token": token, "lease_duration": lease, "renewable": renewable });
        Reply::json(200, &json!({ "auth": auth }))
    }

    fn keys(&self) -> Value {
        let keys: serde_json::Map<_, _> = (1..)
            .zip(&self.versions)
            .map(|(number, key)| {
                let pem = key.public_key().to_pem().unwrap();
                (number.to_string(), json!({ "name": "P-256", "public_key": pem }))
            })
            .collect();
        let latest = self.versions.len();
        json!({ "data": { "type": "ecdsa-p256", "latest_version": latest, "keys": keys } })
    }

    fn sign(&self, body: &Value) -> Reply {
        assert_eq!(body["prehashed"], true);
        assert_eq!(body["marshaling_algorithm"], "asn1");
        let digest = STANDARD.decode(body["input"].as_str().unwrap()).unwrap();
        let signature = self.versions.last().unwrap().sign_digest(&digest).unwrap();
        let signature = format!("vault:v{}:{}", self.versions.len(), STANDARD.encode(signature));
        Reply::json(200, &json!({ "data": { "signature": signature } }))
    }
}

fn errors(status: u16, errors: &[&str]) -> Reply {
    Reply::json(status, &json!({ "errors": errors }))
}

async fn start() -> (Server, Arc<Mutex<Vault>>) {
    let vault = Arc::new(Mutex::new(Vault::new()));
    let answers = Arc::clone(&vault);
    let server = Server::start(move |asked| answers.lock().unwrap().answer(asked)).await;
    (server, vault)
}

fn with_token(server: &Server, token: &str) -> KmsSigner {
    signer("hashivault://key", &[("VAULT_ADDR", &server.url()), ("VAULT_TOKEN", token)])
}

fn with_login(server: &Server, folder: &std::path::Path) -> KmsOptions {
    let mut options = options("hashivault://key", &[("BAO_ADDR", &server.url())]);
    options.vault.oidc_path = Some("jwt".to_owned());
    options.vault.oidc_role = Some("chains".to_owned());
    options.vault.oidc_token_path = Some(folder.join("jwt"));
    options
}

#[tokio::test]
async fn it_keeps_the_contract_of_signers() {
    let (server, _) = start().await;
    let signer = Arc::new(with_token(&server, "good"));
    chains_testkit::signer::suite(signer, Determinism::Randomised).await;
    assert_eq!(server.asked("/keys/").len(), 1);
    for asked in server.asked("/sign/") {
        assert_eq!(asked.header("x-vault-request"), "true");
        assert!(asked.headers.get("x-vault-namespace").is_none());
    }
}

#[tokio::test]
async fn namespace_and_mount_are_those_of_the_variables() {
    let vault = Mutex::new(Vault::new());
    let server = Server::start(move |asked| {
        assert_eq!(asked.header("x-vault-namespace"), "team/a");
        let path = asked.path.replace("/v1/kms/eu/", "/v1/transit/");
        vault.lock().unwrap().answer(&Asked { path, ..asked.clone() })
    })
    .await;
    let mut options = options(
        "openbao://key",
        &[
            ("VAULT_ADDR", "http://127.0.0.1:1"),
            ("VAULT_NAMESPACE", "/team/a/"),
            ("TRANSIT_SECRET_ENGINE_PATH", "/kms/eu"),
        ],
    );
    options.vault.address = Some(format!("{}/", server.url()));
    options.vault.token = Some(Secret::new("good"));
    signed(&signer_of(options), b"message").await;
}

#[tokio::test]
async fn failures_are_told_in_the_servers_words() {
    let (server, vault) = start().await;
    let signer = with_token(&server, "good");
    signed(&signer, b"message").await;
    let what = "signing with hashivault://key: it answered";
    for (status, words, kind) in [
        (400, "signing key not found", "not_found"),
        (
            400,
            "requested version for signing is less than the minimum encryption key version",
            "signing",
        ),
        (404, "no handler for route", "not_found"),
        (412, "required index state not present", "unavailable"),
        (429, "request path is over its quota", "throttled"),
        (500, "internal error", "unavailable"),
        (500, "refusing to use soft-deleted key", "key"),
        (503, "Vault is sealed", "unavailable"),
    ] {
        vault.lock().unwrap().instead.push(errors(status, &[words]));
        check(&refused(&signer).await, kind, &[what, &status.to_string(), words]);
    }
    for (reply, words) in [
        (Reply::text(200, "<html>"), "not what the API promises"),
        (Reply::json(200, &json!({ "data": { "signature": "vault:x:AA" } })), "is no signature"),
        (Reply::json(200, &json!({ "data": { "signature": "AAAA" } })), "is no signature"),
        (Reply::json(200, &json!({ "data": { "signature": "vault:v1:%" } })), "is no signature"),
        (Reply::text(200, vec![b' '; 5_000_000]), "more than 4194304 bytes"),
    ] {
        vault.lock().unwrap().instead.push(reply);
        check(&refused(&signer).await, "protocol", &["signing with hashivault://key", words]);
    }
    let wrong = Reply::json(200, &json!({ "data": { "signature": "vault:v1:AAAA" } }));
    vault.lock().unwrap().instead.push(wrong);
    check(&refused(&signer).await, "verification", &["hashivault://key (version 1)"]);
    let ahead = Reply::json(200, &json!({ "data": { "signature": "vault:v7:AAAA" } }));
    vault.lock().unwrap().instead.push(ahead);
    check(&refused(&signer).await, "key", &["it tells no public key of version 7"]);
}

#[tokio::test]
async fn what_asks_to_wait_is_waited_for_and_asked_again() {
    let (server, vault) = start().await;
    let signer = with_token(&server, "good");
    signed(&signer, b"message").await;
    let wait = |seconds: &str| errors(429, &["slow down"]).header("retry-after", seconds);
    let moment = || errors(429, &["slow down"]).header("retry-after-ms", "1");
    vault.lock().unwrap().instead.extend([wait("0"), moment()]);
    let started = Instant::now();
    signed(&signer, b"message").await;
    assert!(started.elapsed() >= Duration::from_secs(1), "it asks again at once");
    vault.lock().unwrap().instead.extend([moment(), moment(), moment()]);
    check(&refused(&signer).await, "throttled", &["429", "slow down"]);
    vault.lock().unwrap().instead.push(wait("3600"));
    check(&refused(&signer).await, "throttled", &["429", "slow down"]);
}

#[tokio::test]
async fn where_no_agent_of_spire_answers_it_says_what_to_do() {
    let (server, _) = start().await;
    let mut options = options("hashivault://key", &[("VAULT_ADDR", &server.url())]);
    let (socket, audience) = ("unix:///none/agent.sock".to_owned(), "vault".to_owned());
    options.vault.spire = Some(Spire { socket, audience });
    let what = "fetching a JWT from SPIRE at unix:///none/agent.sock";
    let advice = "see that the agent runs and that its socket is there";
    let words = [what, advice, "signers.kms.auth.spire.sock"];
    check(&refused(&signer_of(options)).await, "unavailable", &words);
}

#[tokio::test]
async fn a_standby_sends_us_to_the_active_server() {
    let (active, _) = start().await;
    let to = active.url();
    let standby = Server::start(move |asked| {
        Reply::text(307, "").header("location", format!("{to}{}", asked.path))
    })
    .await;
    signed(&with_token(&standby, "good"), b"message").await;

    let astray = Server::start(|_| Reply::text(307, "").header("location", "ftp://x/")).await;
    check(&refused(&with_token(&astray, "good")).await, "protocol", &["an address without TLS"]);
    let there = Arc::new(Mutex::new(String::new()));
    let to = Arc::clone(&there);
    let turning =
        Server::start(move |_| Reply::text(307, "").header("location", to.lock().unwrap().clone()))
            .await;
    *there.lock().unwrap() = format!("{}/x", turning.url());
    check(&refused(&with_token(&turning, "good")).await, "protocol", &["307"]);
    // A password of the address is for that address, and who wants no redirects is sent nowhere.
    let address = standby.url().replace("://", "://user:password@");
    let mut with_password = options("hashivault://key", &[("VAULT_TOKEN", "good")]);
    with_password.vault.address = Some(address);
    signed(&signer_of(with_password), b"message").await;
    assert!(standby.asked("").iter().any(|asked| !asked.header("authorization").is_empty()));
    assert!(active.asked("").iter().all(|asked| asked.header("authorization").is_empty()));
    let variables = [
        ("VAULT_ADDR", standby.url()),
        ("VAULT_TOKEN", "good".to_owned()),
        ("VAULT_DISABLE_REDIRECTS", "true".to_owned()),
    ];
    let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
    check(&refused(&signer("hashivault://key", &variables)).await, "protocol", &["307"]);
    let nowhere = Server::start(|_| Reply::text(307, "")).await;
    check(&refused(&with_token(&nowhere, "good")).await, "protocol", &["does not say where"]);
}

#[tokio::test]
async fn a_token_that_is_refused_is_told_apart_from_one_that_may_not() {
    let (server, vault) = start().await;
    let unknown = refused(&with_token(&server, "expired")).await;
    check(&unknown, "unauthorized", &["permission denied", "not known, expired or revoked"]);
    vault.lock().unwrap().powerless.insert("powerless".to_owned());
    let denied = refused(&with_token(&server, "powerless")).await;
    check(&denied, "unauthorized", &["permission denied", "its policies do not allow this"]);
}

#[tokio::test]
async fn a_token_file_is_read_again_when_it_changes() {
    let (server, vault) = start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "good\n").unwrap();
    let mut options = options("hashivault://key", &[("VAULT_ADDR", &server.url())]);
    options.vault.token_path = Some(file.clone());
    options.vault.token = Some(Secret::new("the file wins"));
    let signer = signer_of(options);
    signed(&signer, b"message").await;
    // The old one is refused, and the file has another: nobody notices.
    vault.lock().unwrap().tokens = ["better".to_owned()].into();
    std::fs::write(&file, "better").unwrap();
    signed(&signer, b"message").await;
    // Whoever writes it is at it: the one at hand is used on.
    std::fs::write(&file, "").unwrap();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    signed(&signer, b"message").await;
    vault.lock().unwrap().tokens.clear();
    check(&refused(&signer).await, "unauthorized", &["not known, expired or revoked"]);
}

#[tokio::test]
async fn one_login_serves_many_signatures() {
    let (server, vault) = start().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("jwt"), "jwt-1\n").unwrap();
    let signer = Arc::new(signer_of(with_login(&server, folder.path())));
    let tasks: Vec<_> = (0..50_u32)
        .map(|number| {
            let signer = Arc::clone(&signer);
            tokio::spawn(async move { signed(&*signer, &number.to_be_bytes()).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(vault.lock().unwrap().logins, 1);
    assert_eq!(server.asked("/login")[0].json(), json!({ "role": "chains", "jwt": "jwt-1" }));
    assert!(server.asked("/login")[0].headers.get("x-vault-token").is_none());
}

#[tokio::test]
async fn a_login_is_renewed_and_replaced_before_it_expires() {
    let (server, vault) = start().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("jwt"), "jwt").unwrap();
    vault.lock().unwrap().lease = 3;
    let signer = signer_of(with_login(&server, folder.path()));
    signed(&signer, b"message").await;
    // Two thirds of three seconds are over at two.
    tokio::time::sleep(Duration::from_millis(2100)).await;
    vault.lock().unwrap().lease = 60;
    signed(&signer, b"message").await;
    let (renewals, logins) = (server.asked("renew-self").len(), vault.lock().unwrap().logins);
    assert_eq!(renewals + logins as usize, 2, "{renewals} renewals, {logins} logins");
}

#[tokio::test]
async fn logins_that_are_refused_are_told() {
    let (server, _) = start().await;
    let folder = tempfile::tempdir().unwrap();
    let signer = signer_of(with_login(&server, folder.path()));
    check(
        &refused(&signer).await,
        "unauthorized",
        &["reading the JWT to log in at Vault with", "No such file"],
    );
    std::fs::write(folder.path().join("jwt"), " \n").unwrap();
    check(&refused(&signer).await, "unauthorized", &["it is empty"]);
    std::fs::write(folder.path().join("jwt"), "other").unwrap();
    let words = ["logging in at Vault as \"chains\" (auth/jwt/login)", "invalid audience"];
    check(&refused(&signer).await, "unauthorized", &words);
    std::fs::write(folder.path().join("jwt"), "jwt").unwrap();
    signed(&signer, b"message").await;
}

#[tokio::test]
async fn rotation_is_noticed_at_once() {
    let (server, vault) = start().await;
    let signer = with_token(&server, "good");
    let first = signed(&signer, b"message").await;
    vault.lock().unwrap().versions.push(PrivateKey::p256());
    let second = signed(&signer, b"message").await;
    assert_ne!(first.material.key_id(), second.material.key_id());
    assert_eq!(signer.material().await.unwrap(), second.material);
    assert_eq!(server.asked("/keys/").len(), 2);
}

#[tokio::test]
async fn who_does_not_answer_is_unavailable() {
    let nobody =
        signer("hashivault://key", &[("VAULT_ADDR", "http://127.0.0.1:1"), ("VAULT_TOKEN", "t")]);
    check(&refused(&nobody).await, "unavailable", &["127.0.0.1: ", "Connection refused"]);
    let mut options =
        options("hashivault://key", &[("VAULT_TOKEN", "t"), ("VAULT_CLIENT_TIMEOUT", "1s")]);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    options.vault.address = Some(format!("http://{}", listener.local_addr().unwrap()));
    check(
        &refused(&signer_of(options)).await,
        "timeout",
        &["fetching the public key of hashivault://key"],
    );
}

#[tokio::test]
async fn an_agent_adds_the_token() {
    let vault = Mutex::new(Vault::new());
    let agent = Server::start(move |asked| {
        assert!(asked.headers.get("x-vault-token").is_none());
        let mut asked = asked.clone();
        asked.headers.insert("x-vault-token", "good".parse().unwrap());
        vault.lock().unwrap().answer(&asked)
    })
    .await;
    let variables =
        [("VAULT_AGENT_ADDR", agent.url()), ("VAULT_ADDR", "http://127.0.0.1:1".to_owned())];
    let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
    signed(&signer("hashivault://key", &variables), b"message").await;
}
