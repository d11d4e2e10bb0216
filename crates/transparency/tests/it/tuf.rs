//! Roots of trust from a repository that python-tuf made: its second root has another key than the first.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chains_core::ErrorKind;
use chains_transparency::{TrustSource as _, TufOptions, TufTrust};

use crate::support::{Answers, Reply, check_error, recorded, serve};

/// The files of the repository, unless it is down or says otherwise.
#[derive(Debug, Default)]
struct Repository {
    is_down: AtomicBool,
    is_expired: AtomicBool,
    /// Its targets are not what was signed.
    is_forged: AtomicBool,
    /// It does not show the root to begin with.
    has_no_root: AtomicBool,
}

impl Answers for Repository {
    fn answer(&self, request: &str, _body: &[u8]) -> Reply {
        if self.is_down.load(Ordering::SeqCst) {
            return Reply::new(503, "");
        }
        let path = request.strip_prefix("GET /").unwrap();
        let name = match path {
            "timestamp.json" if self.is_expired.load(Ordering::SeqCst) => "expired.timestamp.json",
            "root.json" if !self.has_no_root.load(Ordering::SeqCst) => "1.root.json",
            path => path,
        };
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tuf").join(name);
        match std::fs::read(file) {
            Ok(mut content) => {
                if name.starts_with("targets/") && self.is_forged.load(Ordering::SeqCst) {
                    content[100] ^= 1;
                }
                Reply::new(200, content)
            }
            Err(_) => Reply::new(404, ""),
        }
    }
}

async fn start() -> (Arc<Repository>, TufOptions) {
    let repository = Arc::new(Repository::default());
    let mirror = serve(Arc::clone(&repository)).await;
    let root = Some(recorded("tuf/1.root.json"));
    (repository, TufOptions { mirror, root, ..TufOptions::default() })
}

#[tokio::test]
async fn roots_are_fetched_and_held() {
    let (repository, options) = start().await;
    let trust = TufTrust::new(options).unwrap();
    let first = trust.trust().await.unwrap();
    assert_eq!(first.root.logs.len(), 2);
    let config = first.config.as_ref().unwrap();
    assert_eq!(config.log_version("https://log2025-1.rekor.sigstore.dev"), Some(2));
    repository.is_down.store(true, Ordering::SeqCst);
    assert!(Arc::ptr_eq(&first, &trust.trust().await.unwrap()), "from memory");
}

#[tokio::test]
async fn the_copy_on_disk_stands_in() {
    let (repository, options) = start().await;
    let dir = tempfile::tempdir().unwrap();
    let cached = TufOptions { cache: Some(dir.path().join("tuf")), ..options.clone() };
    let fetched = TufTrust::new(cached.clone()).unwrap().trust().await.unwrap();
    repository.is_down.store(true, Ordering::SeqCst);
    let copied = TufTrust::new(cached.clone()).unwrap().trust().await.unwrap();
    assert_eq!(fetched, copied);
    let nowhere = TufOptions { mirror: "http://127.0.0.1:1".into(), ..cached };
    assert_eq!(TufTrust::new(nowhere).unwrap().trust().await.unwrap(), copied);
    let error = TufTrust::new(options).unwrap().trust().await.unwrap_err();
    check_error(&error, ErrorKind::Unavailable, "fetching roots of trust from http://127.0.0.1:");
    assert!(error.is_retryable());
}

#[tokio::test]
async fn what_is_old_is_fetched_in_the_background() {
    let (repository, options) = start().await;
    let trust = TufTrust::new(TufOptions { refresh: Duration::ZERO, ..options }).unwrap();
    let first = trust.trust().await.unwrap();
    // Nobody waits for the new one.
    assert!(Arc::ptr_eq(&first, &trust.trust().await.unwrap()));
    let mut newer = trust.trust().await.unwrap();
    while Arc::ptr_eq(&first, &newer) {
        tokio::time::sleep(Duration::from_millis(10)).await;
        newer = trust.trust().await.unwrap();
    }
    assert_eq!(first, newer, "the same was fetched anew");
    repository.is_down.store(true, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(first, trust.trust().await.unwrap(), "what is known stays in use");
}

#[tokio::test]
async fn what_does_not_verify_is_refused() {
    let (repository, options) = start().await;
    let check = async |words: &str| {
        let error = TufTrust::new(options.clone()).unwrap().trust().await.unwrap_err();
        check_error(&error, ErrorKind::Verification, words);
    };
    repository.is_expired.store(true, Ordering::SeqCst);
    check("timestamp metadata is expired").await;
    repository.is_expired.store(false, Ordering::SeqCst);
    repository.is_forged.store(true, Ordering::SeqCst);
    check("reading a TUF repository: ").await;
    let other = TufOptions { root: Some(recorded("tuf/timestamp.json")), ..options };
    let error = TufTrust::new(other).unwrap().trust().await.unwrap_err();
    check_error(&error, ErrorKind::Verification, "reading a TUF repository: ");
}

#[tokio::test]
async fn another_repository_shows_its_root_once() {
    let (repository, options) = start().await;
    let folder = tempfile::tempdir().unwrap();
    let cache = Some(folder.path().join("cache"));
    let options = TufOptions { root: None, cache, ..options };
    let trust = TufTrust::new(options.clone()).unwrap();
    assert_eq!(trust.trust().await.unwrap().root.logs.len(), 2);
    // Whoever answers later is held to the root that was shown first.
    assert!(folder.path().join("cache/root.json").is_file());
    repository.has_no_root.store(true, Ordering::SeqCst);
    TufTrust::new(options.clone()).unwrap().trust().await.unwrap();
    let elsewhere = TufOptions { cache: None, ..options };
    let error = TufTrust::new(elsewhere).unwrap().trust().await.unwrap_err();
    check_error(&error, ErrorKind::NotFound, "fetching root.json from http://127.0.0.1");
    TufTrust::new(TufOptions::default()).unwrap();
}

#[tokio::test]
async fn what_is_not_trusted_has_it_fetched_anew_but_not_at_once_again() {
    let (repository, options) = start().await;
    let often = TufTrust::new(TufOptions { refresh: Duration::ZERO, ..options.clone() }).unwrap();
    let first = often.trust().await.unwrap();
    often.look_again().await;
    let second = often.trust().await.unwrap();
    assert!(!Arc::ptr_eq(&first, &second), "somebody waited for it");
    repository.is_down.store(true, Ordering::SeqCst);
    often.look_again().await;
    assert_eq!(first, often.trust().await.unwrap(), "what is known stays in use");
    repository.is_down.store(false, Ordering::SeqCst);
    let seldom = TufTrust::new(options).unwrap();
    let first = seldom.trust().await.unwrap();
    seldom.look_again().await;
    assert!(Arc::ptr_eq(&first, &seldom.trust().await.unwrap()), "it has just been fetched");
}
