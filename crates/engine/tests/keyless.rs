//! Signatures with certificates that end: what later attempts take over, and what they sign anew.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use chains_core::{
    Earlier, Entry, Error, ErrorKind, Payload, Progress, PublicKey, Result, Signature, Signed,
    Signer, Store, TransparencyLog, VerificationMaterial, annotations,
};
use chains_engine::{Engine, LogMode, LogRoute, Plan, Report, Route};
use chains_formats::Options;
use chains_tekton::Run;
use chains_testkit::fake::{FailingStore, FakeLog, FakeSigner, MemoryStore};

fn run(annotations: &Annotations) -> Run {
    let annotations: Vec<String> =
        annotations.iter().map(|(key, value)| format!("{key:?}:{value:?}")).collect();
    let json = format!(
        r#"{{"apiVersion":"tekton.dev/v1","kind":"TaskRun",
            "metadata":{{"name":"build","namespace":"ci","uid":"7f7e-1","annotations":{{{}}}}},
            "status":{{"conditions":[{{"type":"Succeeded","status":"True"}}]}}}}"#,
        annotations.join(",")
    );
    Run::from_json(json.as_bytes()).unwrap()
}

type Annotations = BTreeMap<String, String>;

/// Signs with one key and certificate after the other.
#[derive(Debug)]
struct Renewing {
    keys: Vec<FakeSigner>,
    present: AtomicUsize,
    /// Whether certificates that are over may still be logged with.
    lasting: AtomicBool,
}

impl Renewing {
    fn new() -> Arc<Self> {
        let keys = (1..=3).map(FakeSigner::new).collect();
        Arc::new(Self { keys, present: AtomicUsize::new(0), lasting: AtomicBool::new(false) })
    }

    fn renew(&self) {
        self.present.fetch_add(1, Ordering::SeqCst);
    }

    fn material_of(&self, at: usize) -> Arc<VerificationMaterial> {
        let public_key: PublicKey = self.keys[at].public_key().clone();
        let base64 = ["MAMCAQE=", "MAMCAQI=", "MAMCAQM="][at];
        let certificate =
            format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n");
        Arc::new(VerificationMaterial { public_key, certificate: Some(certificate), chain: None })
    }

    fn now(&self) -> usize {
        self.present.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Signer for Renewing {
    fn name(&self) -> &str {
        "x509"
    }

    async fn material(&self) -> Result<Arc<VerificationMaterial>> {
        Ok(self.material_of(self.now()))
    }

    async fn earlier(&self, certificate: &[u8]) -> Result<Option<Earlier>> {
        let all = (0..self.keys.len()).map(|at| self.material_of(at));
        let material = all.into_iter().find(|one| one.certificate_der().unwrap() == certificate);
        let is_valid = self.lasting.load(Ordering::SeqCst);
        Ok(material.map(|material| Earlier { material, is_valid }))
    }

    async fn sign(&self, message: &[u8]) -> Result<Signature> {
        let signature = self.keys[self.now()].sign(message).await?;
        Ok(Signature { material: self.material_of(self.now()), ..signature })
    }
}

/// Knows what it logged, tells when it is broken, and refuses to log by a certificate that is over.
#[derive(Debug)]
struct Strict {
    inner: FakeLog,
    signer: Arc<Renewing>,
    down: AtomicBool,
    logged: Mutex<Vec<String>>,
}

#[async_trait]
impl TransparencyLog for Strict {
    fn url(&self) -> &str {
        self.inner.url()
    }

    async fn append(
        &self,
        payload: &Payload,
        signed: &Signed,
        material: &VerificationMaterial,
    ) -> Result<Entry> {
        if self.down.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Unavailable, "the log is down"));
        }
        let by = material.certificate.clone().unwrap();
        let present = self.signer.material().await?.certificate.clone().unwrap();
        {
            let mut logged = self.logged.lock().unwrap();
            let lasting = self.signer.lasting.load(Ordering::SeqCst);
            if by != present && !logged.contains(&by) && !lasting {
                return Err(Error::new(ErrorKind::Verification, "integrated time: it is over"));
            }
            logged.push(by);
        }
        let mut entry = self.inner.append(payload, signed, material).await?;
        entry.timestamps = vec![Bytes::from_static(b"timestamp")];
        Ok(entry)
    }
}

struct Scene {
    signer: Arc<Renewing>,
    log: Arc<Strict>,
    engine: Engine,
    memory: Arc<MemoryStore>,
}

fn scene(broken: Option<Arc<dyn Store>>, required: bool) -> Scene {
    let signer = Renewing::new();
    let log = Arc::new(Strict {
        inner: FakeLog::new("https://log.example.com"),
        signer: Arc::clone(&signer),
        down: AtomicBool::new(false),
        logged: Mutex::default(),
    });
    let memory = Arc::new(MemoryStore::new("memory"));
    let mut stores: Vec<Arc<dyn Store>> = vec![memory.clone()];
    stores.extend(broken);
    let route = |stores: Vec<Arc<dyn Store>>| Route {
        format: chains_formats::by_name("slsa/v1", &Options::default()).unwrap(),
        signer: Some(Arc::clone(&signer) as _),
        stores,
    };
    let log_route = LogRoute { log: log.clone(), mode: LogMode::Always, required };
    let plan = Plan {
        taskrun: route(stores),
        pipelinerun: route(Vec::new()),
        image: route(Vec::new()),
        pipelinerun_images: false,
        log: Some(log_route),
    };
    Scene { engine: Engine::new(plan).unwrap(), signer, log, memory }
}

/// As the controller does: through the run's annotation.
async fn again(scene: &Scene, before: &Report) -> Report {
    let annotations = before.annotations();
    let progress = Progress::from_json(&annotations[annotations::PROGRESS]).unwrap();
    scene.engine.process(&run(&annotations), &progress).await
}

fn failing() -> Option<Arc<dyn Store>> {
    let inner = Arc::new(MemoryStore::new("broken"));
    Some(Arc::new(FailingStore::new(inner, usize::MAX, ErrorKind::Unavailable)))
}

#[tokio::test]
async fn what_is_logged_is_taken_over_under_the_next_certificate() {
    let scene = scene(failing(), true);
    let first = scene.engine.process(&run(&Default::default()), &Progress::default()).await;
    assert!(!first.is_done());
    let json = first.progress().to_json();
    assert!(json.contains("certificates") && json.contains("timestamps"), "{json}");
    scene.signer.renew();
    let second = again(&scene, &first).await;
    assert!(second.targets[0].resumed);
    assert_eq!(scene.log.inner.len(), 1, "nothing is logged twice");
    assert_eq!(scene.memory.records().len(), 1, "nothing is stored twice");
    assert_eq!(first.targets[0].entries, second.targets[0].entries);
}

#[tokio::test]
async fn what_could_not_be_logged_in_time_is_signed_anew() {
    let scene = scene(None, true);
    scene.log.down.store(true, Ordering::SeqCst);
    let first = scene.engine.process(&run(&Default::default()), &Progress::default()).await;
    assert!(!first.is_done() && first.is_retryable() && scene.memory.records().is_empty());
    scene.log.down.store(false, Ordering::SeqCst);
    scene.signer.renew();
    let second = again(&scene, &first).await;
    assert!(second.is_done() && !second.targets[0].resumed);
    assert_eq!(scene.log.inner.len(), 1);
    let record = &scene.memory.records()[0];
    assert_eq!(record.material, Some(scene.signer.material().await.unwrap()));
}

#[tokio::test]
async fn while_the_certificate_lasts_its_signature_is_logged_later() {
    let scene = scene(None, true);
    scene.log.down.store(true, Ordering::SeqCst);
    let first = scene.engine.process(&run(&Default::default()), &Progress::default()).await;
    scene.log.down.store(false, Ordering::SeqCst);
    scene.signer.lasting.store(true, Ordering::SeqCst);
    scene.signer.renew();
    let second = again(&scene, &first).await;
    assert!(second.is_done() && second.targets[0].resumed);
    assert_eq!(scene.log.inner.len(), 1);
}

#[tokio::test]
async fn a_claim_to_have_logged_does_not_hold_up_the_run() {
    let scene = scene(None, true);
    scene.log.down.store(true, Ordering::SeqCst);
    let first = scene.engine.process(&run(&Default::default()), &Progress::default()).await;
    scene.log.down.store(false, Ordering::SeqCst);
    scene.signer.renew();
    let mut progress = first.progress().clone();
    for target in progress.targets.values_mut() {
        target.entry = Some("https://log.example.com/api/v1/log/entries?logIndex=0".to_owned());
        target.timestamps = vec![chains_core::Timestamp(Bytes::from_static(b"forged"))];
    }
    let second = scene.engine.process(&run(&Default::default()), &progress).await;
    assert!(second.is_done() && !second.targets[0].resumed);
}

#[tokio::test]
async fn a_certificate_of_somebody_else_is_left_aside() {
    let scene = scene(failing(), true);
    let first = scene.engine.process(&run(&Default::default()), &Progress::default()).await;
    let mut progress = first.progress().clone();
    for certificate in progress.certificates.values_mut() {
        certificate.0 = Bytes::from_static(b"another");
    }
    scene.signer.renew();
    let second = scene.engine.process(&run(&Default::default()), &progress).await;
    assert!(!second.targets[0].resumed);
}

#[tokio::test]
async fn where_logging_is_not_required_it_is_stored_first_and_logged_later() {
    let scene = scene(None, false);
    scene.log.down.store(true, Ordering::SeqCst);
    let first = scene.engine.process(&run(&Default::default()), &Progress::default()).await;
    assert!(!first.is_done() && first.is_retryable());
    assert_eq!(scene.memory.records().len(), 1);
    assert!(scene.memory.records()[0].entry.is_none());
    scene.log.down.store(false, Ordering::SeqCst);
    let second = again(&scene, &first).await;
    assert!(second.is_done());
    assert_eq!((scene.log.inner.len(), scene.memory.records().len()), (1, 1));
    let annotations = second.annotations();
    assert_eq!(annotations[annotations::SIGNED], "true");
    assert_eq!(annotations[annotations::TRANSPARENCY], second.targets[0].entries[0]);
}

#[tokio::test]
async fn who_gives_up_to_log_has_signed_all_the_same_and_says_why() {
    let scene = scene(None, false);
    scene.log.down.store(true, Ordering::SeqCst);
    let mut report = scene.engine.process(&run(&Default::default()), &Progress::default()).await;
    report.give_up_logging();
    assert!(report.is_done());
    let annotations = report.annotations();
    assert_eq!(annotations[annotations::SIGNED], "true");
    assert_eq!(annotations[annotations::REASON], "not logged: the log is down");
    let mut obsolete = report.obsolete_annotations();
    assert!(obsolete.all(|name| name != annotations::REASON));
}
