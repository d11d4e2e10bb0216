//! What is down for a while, or hangs: what earlier attempts did is not forgotten, and what can be done is done.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chains_core::{
    Entry, Error, ErrorKind, Payload, Progress, Result, Signature, Signed, Signer, Store, Target,
    TransparencyLog, VerificationMaterial, annotations,
};
use chains_engine::{Engine, LogMode, LogRoute, Plan, Policy, Report, Resilient, Route, Stage};
use chains_formats::Options;
use chains_tekton::Run;
use chains_testkit::fake::{FailingStore, FakeLog, FakeSigner, MemoryStore};
use futures_util::FutureExt as _;

/// Is there or is down.
#[derive(Debug, Default)]
struct Power(AtomicBool);

impl Power {
    fn cut(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn restore(&self) {
        self.0.store(false, Ordering::SeqCst);
    }

    fn check(&self) -> Result<()> {
        if self.0.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Unavailable, "it is down"));
        }
        Ok(())
    }
}

#[derive(Debug)]
struct PoweredSigner {
    inner: FakeSigner,
    power: Power,
}

#[async_trait]
impl Signer for PoweredSigner {
    fn name(&self) -> &str {
        self.inner.name()
    }

    async fn material(&self) -> Result<Arc<VerificationMaterial>> {
        self.power.check()?;
        self.inner.material().await
    }

    async fn sign(&self, message: &[u8]) -> Result<Signature> {
        self.power.check()?;
        self.inner.sign(message).await
    }
}

/// Gives a timestamp with each entry, and hangs for ever where it is told to.
#[derive(Debug)]
struct PoweredLog {
    inner: FakeLog,
    power: Power,
    hangs: AtomicBool,
    calls: AtomicUsize,
}

#[async_trait]
impl TransparencyLog for PoweredLog {
    fn url(&self) -> &str {
        self.inner.url()
    }

    async fn append(
        &self,
        payload: &Payload,
        signed: &Signed,
        material: &VerificationMaterial,
    ) -> Result<Entry> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        self.power.check()?;
        let entry = self.inner.append(payload, signed, material).await?;
        Ok(Entry { timestamps: vec![Bytes::from_static(b"timestamp")], ..entry })
    }
}

type Annotations = BTreeMap<String, String>;

/// A run with so many images.
fn run(annotations: &Annotations, images: usize) -> Run {
    let annotations: Vec<String> =
        annotations.iter().map(|(key, value)| format!("{key:?}:{value:?}")).collect();
    let images = (0..images).map(|at| format!("a.io/image-{at}@sha256:{at:064x}"));
    let json = format!(
        r#"{{"apiVersion":"tekton.dev/v1","kind":"TaskRun",
            "metadata":{{"name":"build","namespace":"ci","uid":"7f7e-1","annotations":{{{}}}}},
            "status":{{"conditions":[{{"type":"Succeeded","status":"True"}}],
            "results":[{{"name":"IMAGES","value":"{}"}}]}}}}"#,
        annotations.join(","),
        images.collect::<Vec<_>>().join(",")
    );
    Run::from_json(json.as_bytes()).unwrap()
}

struct Scene {
    images: usize,
    /// Of the run and of images.
    signers: [Arc<PoweredSigner>; 2],
    log: Arc<PoweredLog>,
    good: Arc<FailingStore>,
    flaky: Arc<FailingStore>,
    /// What the flaky store holds.
    behind: Arc<MemoryStore>,
    engine: Engine,
}

/// One store fails so often, the other never.
fn scene(images: usize, failures: usize, required: bool, limit: Option<Duration>) -> Scene {
    let signer = |seed| PoweredSigner { inner: FakeSigner::new(seed), power: Power::default() };
    let signers = [Arc::new(signer(1)), Arc::new(signer(2))];
    let log = Arc::new(PoweredLog {
        inner: FakeLog::new("https://log.example.com"),
        power: Power::default(),
        hangs: AtomicBool::new(false),
        calls: AtomicUsize::new(0),
    });
    let behind = Arc::new(MemoryStore::new("flaky"));
    let store = |inner, times| Arc::new(FailingStore::new(inner, times, ErrorKind::Unavailable));
    let good = store(Arc::new(MemoryStore::new("good")), 0);
    let flaky = store(behind.clone(), failures);
    let route = |name: &str, signer: &Arc<PoweredSigner>| Route {
        format: chains_formats::by_name(name, &Options::default()).unwrap(),
        signer: Some(Arc::clone(signer) as _),
        stores: vec![good.clone() as Arc<dyn Store>, flaky.clone()],
    };
    let log_of_plan: Arc<dyn TransparencyLog> = match limit {
        Some(limit) => {
            let policy = Policy { timeout: Duration::from_secs(60), ..Policy::default() };
            Arc::new(Resilient::new(log.clone(), policy).within(limit))
        }
        None => log.clone(),
    };
    let engine = Engine::new(Plan {
        taskrun: route("slsa/v1", &signers[0]),
        pipelinerun: route("slsa/v1", &signers[0]),
        image: route("simplesigning", &signers[1]),
        pipelinerun_images: false,
        log: Some(LogRoute { log: log_of_plan, mode: LogMode::Always, required }),
    });
    Scene { images, engine: engine.unwrap(), signers, log, good, flaky, behind }
}

impl Scene {
    async fn attempt(&self, annotations: &mut Annotations, until: Duration) -> Report {
        let progress = annotations.get(annotations::PROGRESS);
        let progress = progress.map(|json| Progress::from_json(json).unwrap()).unwrap_or_default();
        let run = run(annotations, self.images);
        let until = tokio::time::sleep(until).boxed().shared();
        let report = self.engine.process_until(&run, &progress, until).await;
        // As the controller does, and after a restart: nothing but the run is left.
        annotations.extend(report.annotations());
        report
    }

    fn hang(&self) {
        self.log.hangs.store(true, Ordering::SeqCst);
    }
}

const LONG: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn an_attempt_without_the_log_forgets_neither_entry_nor_timestamps() {
    let scene = scene(0, 1, true, None);
    let mut annotations = Annotations::new();
    let first = scene.attempt(&mut annotations, LONG).await;
    assert!(!first.is_done());
    scene.log.power.cut();
    let second = scene.attempt(&mut annotations, LONG).await;
    let stages: Vec<_> = second.failures().map(|failure| failure.stage).collect();
    assert_eq!(stages, [Stage::Log]);
    let left = second.progress().targets.values().next().unwrap();
    assert!(left.entry.is_some() && left.timestamps.len() == 1, "{left:?}");
    assert_eq!(first.progress(), second.progress());
    scene.log.power.restore();
    let third = scene.attempt(&mut annotations, LONG).await;
    assert!(third.is_done() && third.targets[0].resumed);
    assert_eq!((scene.signers[0].inner.count(), scene.log.inner.len()), (1, 1));
    assert_eq!((scene.good.calls(), scene.flaky.calls()), (1, 2), "nothing is written again");
}

#[tokio::test(start_paused = true)]
async fn a_target_that_was_not_signed_this_time_keeps_what_it_had() {
    // The run and its image fail in two attempts each.
    let scene = scene(1, 3, true, None);
    let mut annotations = Annotations::new();
    let first = scene.attempt(&mut annotations, LONG).await;
    assert_eq!(first.progress().targets.len(), 2);
    scene.signers[1].power.cut();
    let second = scene.attempt(&mut annotations, LONG).await;
    let failed: Vec<_> = second.failures().map(|failure| failure.stage).collect();
    assert_eq!(failed, [Stage::Store, Stage::Sign]);
    assert_eq!(first.progress(), second.progress());
    scene.signers[1].power.restore();
    let third = scene.attempt(&mut annotations, LONG).await;
    assert!(third.is_done() && third.targets.iter().all(|target| target.resumed));
    let signed = scene.signers.each_ref().map(|signer| signer.inner.count());
    assert_eq!((signed, scene.log.inner.len()), ([1, 1], 2));
    assert_eq!(scene.good.calls(), 2, "nothing is written again");
}

#[tokio::test(start_paused = true)]
async fn what_was_stored_in_an_outage_gets_the_entry_that_is_there() {
    let scene = scene(0, 1, false, None);
    let mut annotations = Annotations::new();
    assert!(!scene.attempt(&mut annotations, LONG).await.is_done());
    scene.log.power.cut();
    for _ in 0..2 {
        let report = scene.attempt(&mut annotations, LONG).await;
        assert!(!report.is_done() && report.is_retryable());
        assert!(report.progress().targets.values().all(|target| target.entry.is_some()));
        assert!(scene.behind.records()[0].entry.is_none(), "better than nothing");
        assert_eq!(scene.flaky.calls(), 2, "and once is enough");
    }
    scene.log.power.restore();
    assert!(scene.attempt(&mut annotations, LONG).await.is_done());
    assert!(scene.behind.records()[0].entry.is_some());
    assert_eq!((scene.good.calls(), scene.flaky.calls()), (1, 3), "only who has not got it");
    assert_eq!((scene.signers[0].inner.count(), scene.log.inner.len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_log_that_hangs_holds_up_no_store_where_it_is_not_required() {
    // More images than are worked on at once in the time that there is.
    let scene = scene(40, 0, false, Some(Duration::from_secs(40)));
    scene.hang();
    let report = scene.attempt(&mut Annotations::new(), Duration::from_secs(120)).await;
    assert!(
        report.targets.len() == 41
            && report
                .targets
                .iter()
                .all(|target| { target.stopped.is_none() && target.is_stored() })
    );
    assert!(report.failures().all(|failure| {
        (failure.stage, failure.error.kind()) == (Stage::Log, ErrorKind::Timeout)
    }));
    assert!(report.is_retryable() && scene.behind.records().len() == 41);
    let calls = scene.log.calls.load(Ordering::SeqCst);
    assert!(calls < 10, "the others do not wait for the same: {calls}");
}

#[tokio::test(start_paused = true)]
async fn a_log_that_hangs_is_told_as_that_and_may_be_tried_again() {
    for limit in [Some(Duration::from_secs(40)), None] {
        let scene = scene(0, 0, true, limit);
        scene.hang();
        let mut annotations = Annotations::new();
        let report = scene.attempt(&mut annotations, Duration::from_secs(120)).await;
        let [failure] = &report.failures().collect::<Vec<_>>()[..] else { panic!("{report:?}") };
        assert_eq!((failure.stage, failure.target), (Stage::Log, &Target::Run));
        assert_eq!(failure.error.kind(), ErrorKind::Timeout);
        assert!(report.is_retryable());
        scene.log.hangs.store(false, Ordering::SeqCst);
        let report = scene.attempt(&mut annotations, LONG).await;
        assert!(report.is_done() && report.targets[0].resumed);
    }
}
