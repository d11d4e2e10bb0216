//! What is the same for all services, over a provider with true keys whose behaviour a test decides.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use chains_core::{Error, ErrorKind, Result, SignatureAlgorithm, Signer as _};
use chains_signer_kms::{Key, KmsOptions, KmsSigner, Limits, Made, Provider};
use chains_testkit::signer::Determinism;
use tokio::time::Instant;

use crate::support::keys::PrivateKey;
use crate::support::{check, refused, signed};

/// A service with versions of a key.
#[derive(Default)]
struct Service {
    versions: Mutex<Vec<Arc<PrivateKey>>>,
    /// It signs with the newest version, whatever is asked for; else with what is asked for.
    signs_with_newest: bool,
    pinned: bool,
    latency: Duration,
    fetches: AtomicU32,
    signatures: AtomicU32,
    under_way: AtomicUsize,
    most_under_way: AtomicUsize,
    /// What the next calls fail with.
    fetch_fails: Mutex<Option<ErrorKind>>,
    sign_fails: Mutex<Option<ErrorKind>>,
    /// A version that cannot be used any more.
    disabled: Mutex<Option<String>>,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Service")
    }
}

impl Service {
    fn with_one_version() -> Self {
        let service = Self::default();
        service.rotate();
        service
    }

    fn rotate(&self) {
        self.versions.lock().unwrap().push(Arc::new(PrivateKey::p256()));
    }

    fn named(&self, version: &str) -> Arc<PrivateKey> {
        let number: usize = version.parse().unwrap();
        Arc::clone(&self.versions.lock().unwrap()[number - 1])
    }

    fn newest(&self) -> String {
        self.versions.lock().unwrap().len().to_string()
    }
}

fn fail(slot: &Mutex<Option<ErrorKind>>, what: &str) -> Result<()> {
    match *slot.lock().unwrap() {
        Some(kind) => Err(Error::new(kind, what).with_source("as the test says")),
        None => Ok(()),
    }
}

#[async_trait]
impl Provider for Service {
    fn reference(&self) -> &str {
        "test://key"
    }

    fn is_pinned(&self) -> bool {
        self.pinned
    }

    async fn key(&self, version: Option<&str>) -> Result<Key> {
        self.fetches.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(self.latency).await;
        fail(&self.fetch_fails, "fetching the public key of test://key")?;
        let version = version.map_or_else(|| self.newest(), str::to_owned);
        let public_key = self.named(&version).public_key();
        Ok(Key { version, public_key, algorithm: SignatureAlgorithm::EcdsaP256Sha256 })
    }

    async fn sign(&self, key: &Key, message: &[u8]) -> Result<Made> {
        self.signatures.fetch_add(1, Ordering::SeqCst);
        let under_way = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_under_way.fetch_max(under_way, Ordering::SeqCst);
        tokio::time::sleep(self.latency).await;
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        fail(&self.sign_fails, "signing with test://key")?;
        let version = if self.signs_with_newest { self.newest() } else { key.version.clone() };
        if self.disabled.lock().unwrap().as_ref() == Some(&version) {
            return Err(
                Error::new(ErrorKind::Key, "signing with test://key").with_source("disabled")
            );
        }
        let digest = digest(&SHA256, message);
        let signature = self.named(&version).sign_digest(digest.as_ref()).unwrap();
        Ok(Made { signature: signature.into(), version })
    }
}

fn signer(service: Service) -> (Arc<KmsSigner>, Arc<Service>) {
    let service = Arc::new(service);
    let provider: Arc<dyn Provider> = service.clone();
    (Arc::new(KmsSigner::with_provider(provider, Limits::default())), service)
}

#[tokio::test]
async fn it_keeps_the_contract_of_signers() {
    let (signer, service) = signer(Service::with_one_version());
    chains_testkit::signer::suite(signer, Determinism::Randomised).await;
    assert_eq!(service.fetches.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_slow_service_gives_hundreds_a_second_and_is_not_overrun() {
    let latency = Duration::from_millis(200);
    let (signer, service) = signer(Service { latency, ..Service::with_one_version() });
    let start = Instant::now();
    let tasks: Vec<_> = (0..1000_u32)
        .map(|number| {
            let signer = Arc::clone(&signer);
            tokio::spawn(async move { signed(&*signer, &number.to_be_bytes()).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    // The clock is the test's own: a fetch of the key, and ten rounds of a hundred.
    assert_eq!(start.elapsed(), Duration::from_millis(2200));
    assert_eq!(service.most_under_way.load(Ordering::SeqCst), 100);
    assert_eq!(service.fetches.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_new_version_takes_over_within_the_bound() {
    let (signer, service) = signer(Service::with_one_version());
    let first = signed(&*signer, b"1").await;
    service.rotate();
    assert_eq!(signed(&*signer, b"2").await.material, first.material);
    tokio::time::advance(Limits::default().refresh).await;
    let second = signed(&*signer, b"3").await;
    assert_ne!(second.material.key_id(), first.material.key_id());
    assert_eq!(signer.material().await.unwrap(), second.material);
    assert_eq!(service.fetches.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_pinned_version_is_fetched_once_for_ever() {
    let (signer, service) = signer(Service { pinned: true, ..Service::with_one_version() });
    for _ in 0..5 {
        signed(&*signer, b"message").await;
        tokio::time::advance(Duration::from_secs(86_400)).await;
    }
    assert_eq!(service.fetches.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_signature_by_another_version_comes_with_its_own_key() {
    let (signer, service) =
        signer(Service { signs_with_newest: true, ..Service::with_one_version() });
    let first = signed(&*signer, b"1").await;
    service.rotate();
    let tasks: Vec<_> = (0..50_u32)
        .map(|number| {
            let signer = Arc::clone(&signer);
            tokio::spawn(async move { signed(&*signer, &number.to_be_bytes()).await })
        })
        .collect();
    for task in tasks {
        assert_ne!(task.await.unwrap().material.key_id(), first.material.key_id());
    }
    assert_eq!(service.fetches.load(Ordering::SeqCst), 2);
    assert_ne!(signer.material().await.unwrap(), first.material);
}

#[tokio::test(start_paused = true)]
async fn a_pinned_version_is_not_left_for_the_one_that_the_service_likes_better() {
    let one = Service::with_one_version();
    let (signer, service) = signer(Service { signs_with_newest: true, pinned: true, ..one });
    signed(&*signer, b"1").await;
    service.rotate();
    let words = ["checking a signature by test://key", "version 2 made it", "names version 1"];
    check(&refused(&*signer).await, "verification", &words);
    assert_eq!(service.fetches.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_replaced_under_its_name_is_noticed() {
    let (signer, service) = signer(Service { pinned: true, ..Service::with_one_version() });
    let first = signed(&*signer, b"1").await;
    service.versions.lock().unwrap()[0] = Arc::new(PrivateKey::p256());
    // It was fetched a moment ago: whoever makes bad signatures does not make us fetch without end.
    let error = refused(&*signer).await;
    check(
        &error,
        "verification",
        &["checking a signature by test://key (version 1)", "does not match"],
    );
    assert_eq!(service.fetches.load(Ordering::SeqCst), 1);
    tokio::time::advance(Duration::from_secs(1)).await;
    let second = signed(&*signer, b"2").await;
    assert_ne!(second.material.key_id(), first.material.key_id());
}

#[tokio::test(start_paused = true)]
async fn a_disabled_version_is_left_for_the_one_that_signs_now() {
    let (signer, service) = signer(Service::with_one_version());
    let first = signed(&*signer, b"1").await;
    tokio::time::advance(Duration::from_secs(1)).await;
    *service.disabled.lock().unwrap() = Some("1".to_owned());
    check(&refused(&*signer).await, "key", &["signing with test://key: disabled"]);
    tokio::time::advance(Duration::from_secs(1)).await;
    service.rotate();
    let second = signed(&*signer, b"2").await;
    assert_ne!(second.material.key_id(), first.material.key_id());
}

#[tokio::test(start_paused = true)]
async fn what_was_refused_for_other_reasons_is_asked_for_once() {
    let (signer, service) = signer(Service::with_one_version());
    signed(&*signer, b"1").await;
    for kind in [ErrorKind::Unauthorized, ErrorKind::Throttled, ErrorKind::Unavailable] {
        tokio::time::advance(Duration::from_secs(10)).await;
        *service.sign_fails.lock().unwrap() = Some(kind);
        let before = service.signatures.load(Ordering::SeqCst);
        let error = refused(&*signer).await;
        assert_eq!((error.kind(), error.is_retryable()), (kind, kind.is_retryable()));
        assert_eq!(service.signatures.load(Ordering::SeqCst), before + 1);
    }
    assert_eq!(service.fetches.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn the_key_at_hand_is_used_on_for_a_while() {
    let (signer, service) = signer(Service::with_one_version());
    signed(&*signer, b"1").await;
    let refresh = Limits::default().refresh;
    tokio::time::advance(refresh).await;
    *service.fetch_fails.lock().unwrap() = Some(ErrorKind::Unavailable);
    // One attempt to fetch it, and none again at once.
    for _ in 0..5 {
        signed(&*signer, b"2").await;
    }
    assert_eq!(service.fetches.load(Ordering::SeqCst), 2);
    tokio::time::advance(refresh).await;
    check(&refused(&*signer).await, "unavailable", &["fetching the public key of test://key"]);
    *service.fetch_fails.lock().unwrap() = None;
    signed(&*signer, b"3").await;
}

#[tokio::test(start_paused = true)]
async fn a_key_that_may_no_longer_be_seen_is_not_used_on() {
    let (signer, service) = signer(Service::with_one_version());
    signed(&*signer, b"1").await;
    tokio::time::advance(Limits::default().refresh).await;
    *service.fetch_fails.lock().unwrap() = Some(ErrorKind::NotFound);
    check(&refused(&*signer).await, "not_found", &["fetching the public key of test://key"]);
}

#[tokio::test(start_paused = true)]
async fn many_ask_at_first_and_one_fetches() {
    let latency = Duration::from_millis(200);
    let (signer, service) = signer(Service { latency, ..Service::with_one_version() });
    *service.fetch_fails.lock().unwrap() = Some(ErrorKind::Unauthorized);
    check(&refused(&*signer).await, "unauthorized", &["fetching the public key"]);
    *service.fetch_fails.lock().unwrap() = None;
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let signer = Arc::clone(&signer);
            tokio::spawn(async move { signer.material().await.unwrap() })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(service.fetches.load(Ordering::SeqCst), 2);
}

#[test]
fn making_a_signer_sends_nothing_and_tells_what_is_wrong() {
    let wrong = |reference: &str, variables: &[(&str, &str)], words: &[&str]| {
        let options = crate::support::options(reference, variables);
        let error = KmsSigner::new(options).expect_err("it is refused");
        check(&error, "configuration", words);
    };
    let key = "hashivault://key";
    let address = ("VAULT_ADDR", "https://vault.example.com");
    let token = ("VAULT_TOKEN", "token");
    wrong(key, &[], &["using hashivault://key", "set `signers.kms.auth.address`, VAULT_ADDR"]);
    wrong(key, &[address], &["using hashivault://key", "no token is known"]);
    wrong(key, &[("VAULT_ADDR", "vault:8200"), token], &["reading the address of Vault"]);
    wrong(
        key,
        &[address, token, ("VAULT_CACERT", "/none.pem")],
        &["reading certificate authorities from /none.pem"],
    );
    wrong(key, &[address, token, ("BAO_CACERT_BYTES", "x")], &["it holds no certificate"]);
    wrong(key, &[address, token, ("VAULT_CLIENT_CERT", "c")], &["one is not set"]);
    wrong(key, &[address, token, ("VAULT_CLIENT_TIMEOUT", "soon")], &["\"soon\" is no number"]);
    wrong(key, &[address, token, ("TRANSIT_SECRET_ENGINE_PATH", "a b")], &["\"a b\" is no path"]);
    wrong(
        key,
        &[address, token, ("VAULT_TLS_SERVER_NAME", "127.0.0.1")],
        &["not a name of a host"],
    );
    let key = "azurekms://v.vault.azure.net/key";
    wrong(key, &[("AZURE_TOKEN_CREDENTIALS", "x")], &["\"x\" is none of prod, dev, Env"]);
    let who = [("AZURE_TENANT_ID", "t"), ("AZURE_CLIENT_ID", "c"), ("AZURE_CLIENT_SECRET", "s")];
    let evil = ("AZURE_AUTHORITY_HOST", "http://login.example.com");
    wrong(key, &[who[0], who[1], who[2], evil], &["http://login.example.com/ is not https"]);
    let file = ("AZURE_CLIENT_CERTIFICATE_PATH", "/none.pem");
    wrong(key, &[who[0], who[1], file], &["the client certificate of Azure from /none.pem"]);
    wrong("awskms:///alias/a", &[("AWS_CA_BUNDLE", "/none.pem")], &["from /none.pem"]);

    let mut options = KmsOptions::new("awskms:///alias/a".parse().unwrap());
    options.ca_files = vec!["/none.pem".into()];
    let error = KmsSigner::new(options).unwrap_err();
    check(&error, "configuration", &["reading certificate authorities from /none.pem"]);
}
