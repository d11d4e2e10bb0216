//! The contract of a log, kept with logs of both versions, and with timestamps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use chains_core::{Entry, Error, ErrorKind, Record, Result, TransparencyLog, Wrapping};
use chains_testkit::{fixture, log};
use chains_transparency::{
    BundlePolicy, EnvelopeEntry, Evidence, FixedTrust, Logged, RekorVersion, Transparency,
    TransparencyOptions, Trust, TrustSource, TrustedLog, TrustedRoot, verify_bundle_evidence,
    verify_entry, verify_timestamps,
};

use crate::support::authority::{Fault, TestAuthority};
use crate::support::log::{MemoryLog, Wrong};
use crate::support::{Signing, TestKey, check_error, serve};

async fn start(version: u32, wrong: Wrong) -> (Arc<MemoryLog>, TransparencyOptions) {
    let log = Arc::new(MemoryLog::new(version, wrong));
    let url = Some(serve(Arc::clone(&log)).await);
    let log_key = Some(log.key.public.clone());
    (log, TransparencyOptions { url, log_key, ..TransparencyOptions::default() })
}

fn client(options: &TransparencyOptions) -> Transparency {
    Transparency::new(options.clone(), None).unwrap()
}

async fn append(log: &Transparency, signing: &Signing) -> Result<Entry> {
    log.append(&signing.payload, &signing.signed, &signing.material).await
}

/// Records like the fixtures', signed with a key that every log takes.
fn records() -> Vec<Record> {
    let key = TestKey::new();
    let (run, image) = (fixture::run("log"), fixture::image("log"));
    [
        (fixture::run_record(&run), Wrapping::Dsse),
        (fixture::image_record(&run, &image), Wrapping::Detached),
    ]
    .map(|(record, wrapping)| {
        let signing = key.signing(std::str::from_utf8(&record.payload.bytes).unwrap(), wrapping);
        Record {
            payload: signing.payload,
            signed: Some(signing.signed),
            material: Some(Arc::new(signing.material)),
            ..record
        }
    })
    .into()
}

#[tokio::test]
async fn version_1_keeps_the_contract() {
    let (log, options) = start(1, Wrong::Nothing).await;
    // The signer of the fixtures has an Ed25519 key.
    log::suite(Arc::new(client(&options))).await;
    assert_eq!(log.len(), 2);
    log::suite_with(Arc::new(client(&options)), records()).await;
    assert_eq!(log.len(), 4);
    let intoto = TransparencyOptions { envelopes: EnvelopeEntry::Intoto, ..options };
    log::suite_with(Arc::new(client(&intoto)), records()).await;
}

#[tokio::test]
async fn version_2_keeps_the_contract() {
    let (log, options) = start(2, Wrong::Nothing).await;
    log::suite_with(Arc::new(client(&options)), records()).await;
    assert_eq!(log.len(), 2);
}

/// Each client forgets: what is there already is found in the log itself.
#[derive(Debug)]
struct Forgetful(TransparencyOptions);

#[async_trait::async_trait]
impl TransparencyLog for Forgetful {
    fn url(&self) -> &str {
        self.0.url.as_deref().unwrap()
    }

    async fn append(
        &self,
        payload: &chains_core::Payload,
        signed: &chains_core::Signed,
        material: &chains_core::VerificationMaterial,
    ) -> Result<Entry> {
        client(&self.0).append(payload, signed, material).await
    }
}

#[tokio::test]
async fn the_contract_does_not_hang_on_memory() {
    for version in [1, 2] {
        let (log, options) = start(version, Wrong::Nothing).await;
        log::suite_with(Arc::new(Forgetful(options)), records()).await;
        assert_eq!(log.len(), 2, "version {version}");
    }
}

#[tokio::test]
async fn a_log_tells_its_key_once() {
    let (log, options) = start(1, Wrong::Nothing).await;
    let options = TransparencyOptions { log_key: None, ..options };
    let client = client(&options);
    let signing = log.key.signing("{}", Wrapping::Dsse);
    assert_eq!(append(&client, &signing).await.unwrap().log_index, 0);
    assert_eq!(append(&client, &log.key.signing("[]", Wrapping::Dsse)).await.unwrap().log_index, 1);
}

#[tokio::test]
async fn old_logs_are_spoken_to_as_they_understand() {
    let signing = TestKey::new().signing("{}", Wrapping::Dsse);
    let (_, options) = start(1, Wrong::Old).await;
    assert_eq!(append(&client(&options), &signing).await.unwrap().kind, "intoto");
    let dsse = TransparencyOptions { envelopes: EnvelopeEntry::Dsse, ..options };
    let error = append(&client(&dsse), &signing).await.unwrap_err();
    check_error(&error, ErrorKind::InvalidInput, "invalid kind value: \\\"dsse\\\"");
    let (_, options) = start(1, Wrong::ProvesLater).await;
    let entry = append(&client(&options), &signing).await.unwrap();
    assert!(entry.inclusion_proof.is_some(), "it is asked for");
    let (_, options) = start(1, Wrong::Hides).await;
    let error = append(&client(&options), &signing).await.unwrap_err();
    assert!(error.is_retryable(), "{}", error.report());
}

#[tokio::test]
async fn timestamps_go_with_the_entry() {
    let authority = Arc::new(TestAuthority::new());
    let url = format!("{}/api/v1/timestamp", serve(Arc::clone(&authority)).await);
    for version in [1, 2] {
        let (_, options) = start(version, Wrong::Nothing).await;
        let signing = TestKey::new().signing("{}", Wrapping::Dsse);
        let told = TransparencyOptions {
            timestamp_urls: vec![url.clone(), url.clone()],
            timestamp_certificates: Some(authority.pem().into_bytes()),
            ..options.clone()
        };
        let entry = append(&client(&told), &signing).await.unwrap();
        assert_eq!(entry.timestamps.len(), 2);
        let signature = signing.signed.signature();
        let held =
            verify_timestamps(&entry.timestamps, signature, &[authority.authority()]).unwrap();
        assert_eq!(held[0].time, 1_700_000_000);
        let first_use = TransparencyOptions { timestamp_urls: vec![url.clone()], ..options };
        assert_eq!(append(&client(&first_use), &signing).await.unwrap().timestamps.len(), 1);
    }
}

#[tokio::test]
async fn timestamps_that_do_not_hold_are_refused_before_anything_is_logged() {
    let authority = Arc::new(TestAuthority::new());
    let url = format!("{}/api/v1/timestamp", serve(Arc::clone(&authority)).await);
    let (log, options) = start(1, Wrong::Nothing).await;
    let options = TransparencyOptions {
        timestamp_urls: vec![url],
        timestamp_certificates: Some(authority.pem().into_bytes()),
        ..options
    };
    let signing = TestKey::new().signing("{}", Wrapping::Dsse);
    let check = async |now, fault, kind, words: &str| {
        authority.set(now, fault);
        check_error(&append(&client(&options), &signing).await.unwrap_err(), kind, words);
    };
    use ErrorKind::{Throttled, Verification};
    const NOW: &str = "20231114221320";
    check(NOW, Fault::OtherNonce, Verification, "timestamp: nonce: it is not the one").await;
    check(NOW, Fault::OtherImprint, Verification, "timestamp: imprint: ").await;
    check(NOW, Fault::OtherKey, Verification, "timestamp: signature: ").await;
    check("20300101000000", Fault::Nothing, Verification, "is not valid at 2030-01-01").await;
    check(NOW, Fault::Refused, Verification, "timestamp: it was refused with status 2").await;
    check(NOW, Fault::Throttled, Throttled, "asking for a timestamp at http://127.0.0.1:").await;
    assert_eq!(log.len(), 0);
    authority.set(NOW, Fault::Nothing);
    append(&client(&options), &signing).await.unwrap();
    let other = TestAuthority::new().pem().into_bytes();
    let other = TransparencyOptions { timestamp_certificates: Some(other), ..options };
    let error = append(&client(&other), &signing).await.unwrap_err();
    check_error(&error, Verification, "timestamp: certificate: ");
}

#[tokio::test]
async fn a_signing_config_chooses_logs_and_authorities() {
    let (first, one) = start(2, Wrong::Nothing).await;
    let (second, two) = start(2, Wrong::Nothing).await;
    let authority = Arc::new(TestAuthority::new());
    let timestamps = format!("{}/api/v1/timestamp", serve(Arc::clone(&authority)).await);
    let service = |url: &str, version: u32, operator: &str| {
        serde_json::json!({
            "url": url, "majorApiVersion": version, "operator": operator,
            "validFor": {"start": "2020-01-01T00:00:00Z"},
        })
    };
    let config = serde_json::json!({
        "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
        "rekorTlogUrls": [
            service(&one.url.clone().unwrap(), 2, "a"),
            service(&two.url.clone().unwrap(), 2, "b"),
            service("http://127.0.0.1:1", 1, "b"),
        ],
        "rekorTlogConfig": {"selector": "ALL"},
        "tsaUrls": [service(&timestamps, 1, "a")],
        "tsaConfig": {"selector": "ANY"},
    });
    let logs = [&first, &second].map(|log| TrustedLog::from_key(log.key.public.clone()));
    let root = TrustedRoot {
        logs: logs.into(),
        timestamp_authorities: vec![authority.authority()],
        ..TrustedRoot::default()
    };
    let config = chains_transparency::SigningConfig::from_json(config.to_string().as_bytes());
    let trust = Trust { root: root.clone(), config: Some(config.unwrap()) };
    let trust = Arc::new(FixedTrust::new(trust));
    let log = Transparency::new(TransparencyOptions::default(), Some(trust.clone())).unwrap();
    let signing = TestKey::new().signing("{}", Wrapping::Dsse);
    let entry = append(&log, &signing).await.unwrap();
    assert_eq!((entry.others.len(), entry.timestamps.len()), (1, 1));
    assert_eq!((first.len(), second.len()), (1, 1));
    let logged = Logged::of(&signing.payload, &signing.signed, &signing.material).unwrap();
    for entry in [&entry, &entry.others[0]] {
        verify_entry(entry, &logged, &root.logs, Evidence::Proof).unwrap();
    }
    // A log that is named takes the version that the config tells of it, and a timestamp too.
    let named =
        Transparency::new(TransparencyOptions { url: one.url, ..Default::default() }, Some(trust));
    let entry = append(&named.unwrap(), &signing).await.unwrap();
    assert_eq!((entry.others.len(), entry.timestamps.len()), (0, 1));
    assert_eq!(first.len(), 1, "it was there");
}

#[tokio::test]
async fn addresses_and_their_absence() {
    let of = |url: Option<&str>| {
        let url = url.map(str::to_owned);
        Transparency::new(TransparencyOptions { url, ..Default::default() }, None)
    };
    assert_eq!(of(Some("https://rekor.example.com/")).unwrap().url(), "https://rekor.example.com");
    let check = |url, words| {
        check_error(&of(url).unwrap_err(), ErrorKind::Configuration, words);
    };
    check(None, "neither the address of a transparency log nor a signing config");
    check(Some("rekor.example.com"), "the address of the transparency log");
    check(Some("ftp://rekor.example.com"), "it is not an http or https URL");
    let mut options = TransparencyOptions { url: Some("https://a".into()), ..Default::default() };
    options.http.ca_files.push("missing.pem".into());
    let error = Transparency::new(options, None).unwrap_err();
    check_error(
        &error,
        ErrorKind::Configuration,
        "reading certificate authorities from missing.pem",
    );
    let empty = Arc::new(FixedTrust::default());
    let log = Transparency::new(TransparencyOptions::default(), Some(empty)).unwrap();
    let error = append(&log, &TestKey::new().signing("{}", Wrapping::Dsse)).await.unwrap_err();
    check_error(
        &error,
        ErrorKind::Configuration,
        "there is no signing config to tell the services",
    );
}

/// What comes of it is a bundle whose entry and timestamps hold without a network, at every version.
#[tokio::test]
async fn bundles_hold_what_was_believed() {
    let authority = Arc::new(TestAuthority::new());
    let url = format!("{}/api/v1/timestamp", serve(Arc::clone(&authority)).await);
    for (version, wrapping) in
        [(1, Wrapping::Dsse), (1, Wrapping::Detached), (2, Wrapping::Dsse), (2, Wrapping::Detached)]
    {
        let (log, options) = start(version, Wrong::Nothing).await;
        let options = TransparencyOptions { timestamp_urls: vec![url.clone()], ..options };
        let signing = TestKey::new().signing("{}", wrapping);
        let entry = append(&client(&options), &signing).await.unwrap();
        let (signed, material) = (&signing.signed, &signing.material);
        let bytes = &signing.payload.bytes;
        let bundle =
            chains_core::bundle::Bundle::new(signed, bytes, material, Some(&entry)).unwrap();
        let bundle = chains_core::bundle::Bundle::from_json(bundle.to_json().as_bytes()).unwrap();
        let mut trusted = TrustedLog::from_key(log.key.public.clone());
        trusted.ids.push(entry.log_id.clone());
        let root = TrustedRoot {
            logs: vec![trusted],
            timestamp_authorities: vec![authority.authority()],
            ..TrustedRoot::default()
        };
        let policy = BundlePolicy { entries: 1, times: 1 };
        let key = Some(&material.public_key);
        let evidence = verify_bundle_evidence(&bundle, Some(bytes), key, &root, policy).unwrap();
        let times = if version == 1 { vec![1_700_000_000; 2] } else { vec![1_700_000_000] };
        assert_eq!(evidence.times(), times);
    }
}

#[tokio::test]
async fn throttling_is_told() {
    let (_, options) = start(1, Wrong::Throttles).await;
    let signing = TestKey::new().signing("{}", Wrapping::Dsse);
    let options = TransparencyOptions { version: RekorVersion::V1, ..options };
    let error = append(&client(&options), &signing).await.unwrap_err();
    check_error(&error, ErrorKind::Throttled, "it answered 429");
}

/// Knows the log when it has looked again, and is not there at first.
#[derive(Debug)]
struct Behind {
    present: Trust,
    is_there: AtomicBool,
    looked: AtomicUsize,
}

#[async_trait]
impl TrustSource for Behind {
    async fn trust(&self) -> Result<Arc<Trust>> {
        if !self.is_there.swap(true, Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Configuration, "reading the trusted root"));
        }
        let is_fresh = self.looked.load(Ordering::SeqCst) > 0;
        Ok(Arc::new(if is_fresh { self.present.clone() } else { Trust::default() }))
    }

    async fn look_again(&self) {
        self.looked.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_log_that_is_not_known_yet_may_be_tried_again_and_is_looked_up() {
    for version in [1, 2] {
        let (log, options) = start(version, Wrong::Nothing).await;
        let options = TransparencyOptions { log_key: None, ..options };
        let logs = vec![TrustedLog::from_key(log.key.public.clone())];
        let root = TrustedRoot { logs, ..TrustedRoot::default() };
        let source = Arc::new(Behind {
            present: Trust { root, config: None },
            is_there: AtomicBool::new(false),
            looked: AtomicUsize::new(0),
        });
        let client = Transparency::new(options, Some(source.clone())).unwrap();
        let signing = TestKey::new().signing("a", Wrapping::Dsse);
        let error = append(&client, &signing).await.unwrap_err();
        check_error(&error, ErrorKind::Configuration, "reading the trusted root");
        assert!(error.is_retryable());
        let error = append(&client, &signing).await.unwrap_err();
        check_error(&error, ErrorKind::Verification, "is none of the 0 logs that are trusted");
        assert!(error.is_retryable());
        assert_eq!(source.looked.load(Ordering::SeqCst), 1);
        assert_eq!(append(&client, &signing).await.unwrap().log_index, 0);
        assert_eq!((source.looked.load(Ordering::SeqCst), log.len()), (1, 1));
    }
}
