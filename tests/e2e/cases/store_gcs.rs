//! Buckets of Google Cloud Storage, S3 and Azure: each server read by the client that its service publishes.

use std::{
    collections::BTreeSet,
    future::Future,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chains_core::{Error, ErrorKind, Record, Store as _, VerificationMaterial};
use chains_e2e::{
    Case, Context as _, Result, Scene,
    buckets::{AZURE_ACCOUNT, AZURE_KEY, AZURITE, Buckets, FAKE_GCS, MINISTACK, Objects, S3RVER},
    case, cluster,
    controller::{Controller, NEEDS},
    ensure,
    http::{self, HttpServer, Response},
    runs,
    signatures::Key,
    stage::Stage,
    tekton::names,
};
use chains_store_gcs::{AzblobOptions, BucketStore, GcsOptions, S3Options, Variables};
use chains_testkit::{fixture, store};
use serde_json::Value;

const RUNS: usize = 200;
const BUCKET: &str = "tekton-artifacts";
const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const EMULATOR: &str = "STORAGE_EMULATOR_HOST";

pub(crate) fn cases() -> Vec<Case> {
    let with = |peers: &[&'static str]| [&NEEDS[..], peers].concat();
    vec![
        case(
            "store_gcs::buckets_keep_the_contract",
            &[FAKE_GCS, MINISTACK, S3RVER, AZURITE],
            contract,
        ),
        case(
            "store_gcs::refusals_say_what_to_do",
            &[FAKE_GCS, MINISTACK, S3RVER, AZURITE],
            refusals,
        ),
        case("store_gcs::runs_while_the_bucket_is_gone", &with(&[FAKE_GCS]), gone),
        case("store_gcs::runs_in_s3_and_azure", &with(&[MINISTACK, AZURITE]), foreign),
        case("store_gcs::a_slow_bucket_delays_only_itself", &with(&[FAKE_GCS]), slow),
    ]
}

fn gcs(server: &Buckets<'_>) -> Result<BucketStore, Error> {
    let variables = Variables::of([(EMULATOR, server.host())]);
    BucketStore::gcs(GcsOptions { variables, ..GcsOptions::new(BUCKET) })
}

fn s3(server: &Buckets<'_>, id: &str) -> Result<BucketStore, Error> {
    let (id, secret) = (("AWS_ACCESS_KEY_ID", id), ("AWS_SECRET_ACCESS_KEY", "S3RVER"));
    BucketStore::s3(S3Options {
        endpoint: Some(server.url()),
        prefix: "team/a".to_owned(),
        variables: Variables::of([id, secret]),
        ..S3Options::new(BUCKET)
    })
}

fn azblob(server: &Buckets<'_>, credential: (&str, &str)) -> Result<BucketStore, Error> {
    BucketStore::azblob(AzblobOptions {
        endpoint: Some(server.url()),
        variables: Variables::of([credential]),
        ..AzblobOptions::new(AZURE_ACCOUNT, BUCKET)
    })
}

fn wait<T>(future: impl Future<Output = T>) -> Result<T> {
    Ok(tokio::runtime::Runtime::new()?.block_on(future))
}

fn contract(scene: &Scene<'_>) -> Result<()> {
    let keeps = |name: &str, store: BucketStore| -> Result<()> {
        let began = Instant::now();
        let store = Arc::new(store);
        wait(async {
            store::read_back_suite(store.clone()).await;
            store::resume_suite(store.clone(), store::signed_twice).await;
            store::resume_suite(store, certified_twice).await;
        })?;
        scene.note(format!("{name}: {:.1?}", began.elapsed()));
        Ok(())
    };
    for peer in [FAKE_GCS, MINISTACK, S3RVER, AZURITE] {
        let server = Buckets::start(scene, peer)?;
        server.create(BUCKET)?;
        let store = match peer {
            FAKE_GCS => gcs(&server)?,
            AZURITE => azblob(&server, ("AZURE_STORAGE_KEY", AZURE_KEY))?,
            _ => s3(&server, "S3RVER")?,
        };
        keeps(peer, store)?;
    }
    Ok(())
}

/// A record and the same one signed anew, each with a certificate of its own: it must not go with the other's signature.
fn certified_twice(name: &str) -> [Record; 2] {
    let mut records = store::signed_twice(&format!("certified-{name}"));
    for (number, record) in records.iter_mut().enumerate() {
        let text = |what: &str| Some(format!("{what} {number}"));
        record.material = record.material.as_deref().map(|material| {
            let (certificate, chain) = (text("certificate"), text("chain"));
            Arc::new(VerificationMaterial { certificate, chain, ..material.clone() })
        });
    }
    records
}

/// Expects that a record is refused, in these words.
fn refused(store: &BucketStore, kind: ErrorKind, words: &[&str]) -> Result<()> {
    let record = fixture::run_record(&fixture::run("refused"));
    let error = wait(store.put(&record))?.err().context("it was stored")?;
    let report = error.report();
    ensure!(error.kind() == kind, "{:?}: {report}", error.kind());
    for word in words {
        ensure!(report.contains(word), "no {word:?} in {report}");
    }
    Ok(())
}

fn refusals(scene: &Scene<'_>) -> Result<()> {
    let mut google = Buckets::start(scene, FAKE_GCS)?;
    let missing = [
        "creating gs://tekton-artifacts/",
        "gcloud storage buckets create",
        "`storage.gcs.bucket`",
    ];
    refused(&gcs(&google)?, ErrorKind::NotFound, &missing)?;
    google.kill();
    refused(
        &gcs(&google)?,
        ErrorKind::Unavailable,
        &["gs://tekton-artifacts/", "127.0.0.1", "refused"],
    )?;

    let amazon = Buckets::start(scene, MINISTACK)?;
    let missing = ["creating s3://tekton-artifacts/team/a/", "aws s3 mb", "`storage.s3.bucket`"];
    refused(&s3(&amazon, "any")?, ErrorKind::NotFound, &missing)?;
    let strict = Buckets::start(scene, S3RVER)?;
    strict.create(BUCKET)?;
    let wrong = ["403", "InvalidAccessKeyId", "correct AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY"];
    refused(&s3(&strict, "wrong")?, ErrorKind::Unauthorized, &wrong)?;
    refusals_of_azure(scene)
}

fn refusals_of_azure(scene: &Scene<'_>) -> Result<()> {
    let azure = Buckets::start(scene, AZURITE)?;
    let missing =
        ["az storage container create --name tekton-artifacts", "`storage.azblob.container`"];
    refused(&azblob(&azure, ("AZURE_STORAGE_KEY", AZURE_KEY))?, ErrorKind::NotFound, &missing)?;
    let wrong = ["403", "correct", "Storage Blob Data Contributor"];
    let key = STANDARD.encode("wrong");
    refused(&azblob(&azure, ("AZURE_STORAGE_KEY", &key))?, ErrorKind::Unauthorized, &wrong)?;

    // The least rights suffice, and less is told.
    azure.create(BUCKET)?;
    let sas = azure.sas(BUCKET, "rl")?;
    let denied = ["403", "AuthorizationPermissionMismatch", "Storage Blob Data Contributor"];
    let store = azblob(&azure, ("AZURE_STORAGE_SAS_TOKEN", &sas))?;
    refused(&store, ErrorKind::Unauthorized, &denied)?;
    let sas = azure.sas(BUCKET, "rcl")?;
    let store = Arc::new(azblob(&azure, ("AZURE_STORAGE_SAS_TOKEN", &sas))?);
    wait(store::read_back_suite(store))
}

fn builds(numbers: std::ops::Range<usize>) -> Vec<Value> {
    numbers.map(|n| runs::kaniko(&format!("build-{n}"), "registry.test/app", DIGEST)).collect()
}

/// 200 runs, during which the server is killed and comes back with what it had.
fn gone(scene: &Scene<'_>) -> Result<()> {
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let mut google = Buckets::start(scene, FAKE_GCS)?;
    google.create(BUCKET)?;
    stage.install.configure(&[
        ("artifacts.taskrun.storage", "gcs"),
        ("storage.gcs.bucket", BUCKET),
        ("retry.limit", "20"),
        ("retry.total-time", "20s"),
    ])?;
    let controller =
        stage.controller("controller").env(EMULATOR, Path::new(&google.host())).ready()?;
    let namespace = &stage.namespace;
    let watch = namespace.watch("taskruns")?;
    let runs = builds(0..RUNS);
    let (calm, rough) = runs.split_at(RUNS / 2);

    let began = Instant::now();
    let before = controller.usage()?;
    namespace.run(calm)?;
    watch.until_all(&names(calm), |seen| seen.is_signed())?;
    told(scene, &controller, before.cpu, began.elapsed(), calm.len())?;

    namespace.create(rough)?;
    watch.until_all(&names(rough), |seen| seen.is_held())?;
    let (early, late) = rough.split_at(rough.len() / 2);
    namespace.complete(early)?;
    google.kill();
    namespace.complete(late)?;
    let last = names(late).pop().context("no runs")?;
    watch.until(&last, |seen| seen.chains("reason").is_some_and(|why| why.contains("gcs")))?;
    google.resume()?;
    watch.until_all(&names(rough), |seen| seen.is_signed() && !seen.is_held())?;

    let runs = namespace.list("taskruns")?;
    verified(&stage, &runs, &google.read(BUCKET)?, "")
}

fn told(
    scene: &Scene<'_>,
    controller: &Controller,
    before: Duration,
    took: Duration,
    runs: usize,
) -> Result<()> {
    let cpu = controller.usage()?.cpu.saturating_sub(before);
    let runs = u32::try_from(runs)?;
    scene.note(format!("{runs} runs in {took:.1?}, {:.1?} of processor time each", cpu / runs));
    Ok(())
}

/// Every run has its two objects and no others, with a signature of the mounted key over what the run says.
fn verified(stage: &Stage<'_>, runs: &[Value], objects: &Objects, prefix: &str) -> Result<()> {
    let key = Key::read(&stage.keys.public)?;
    let mut expected = BTreeSet::new();
    for run in runs {
        let text = |field: &str| run["metadata"][field].as_str().unwrap_or_default();
        let (namespace, name, uid) = (text("namespace"), text("name"), text("uid"));
        let base = format!("{prefix}taskrun-{namespace}-{name}/taskrun-{uid}");
        let object =
            |extension: &str| objects.get(&format!("{base}.{extension}")).context(base.clone());
        let (payload, signature) = (object("payload")?, object("signature")?);
        let envelope = key.open(signature).context(base.clone())?;
        ensure!(envelope.payload == *payload, "{base}: the envelope is over another payload");
        let marker = format!("somewhere/{name}");
        let says = String::from_utf8_lossy(payload).contains(&marker);
        ensure!(says, "{base} does not speak of {name}");
        expected.extend([format!("{base}.payload"), format!("{base}.signature")]);
    }
    let found: BTreeSet<String> = objects.keys().cloned().collect();
    let others: Vec<_> = found.symmetric_difference(&expected).collect();
    ensure!(others.is_empty(), "{others:?}");
    Ok(())
}

/// 200 runs in two stores of our own at once, whose servers hold to preconditions.
fn foreign(scene: &Scene<'_>) -> Result<()> {
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let (amazon, azure) = (Buckets::start(scene, MINISTACK)?, Buckets::start(scene, AZURITE)?);
    amazon.create(BUCKET)?;
    azure.create(BUCKET)?;
    stage.install.configure(&[
        ("artifacts.taskrun.storage", "s3,azblob"),
        ("storage.s3.bucket", BUCKET),
        ("storage.s3.endpoint", &amazon.url()),
        ("storage.s3.prefix", "chains"),
        ("storage.azblob.account", AZURE_ACCOUNT),
        ("storage.azblob.container", BUCKET),
        ("storage.azblob.endpoint", &azure.url()),
    ])?;
    let credentials = [
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AZURE_STORAGE_KEY", AZURE_KEY),
    ];
    let mut start = stage.controller("controller");
    for (name, value) in credentials {
        start = start.env(name, Path::new(value));
    }
    let controller = start.ready()?;
    let namespace = &stage.namespace;
    let watch = namespace.watch("taskruns")?;
    let runs = builds(0..RUNS);
    let (began, before) = (Instant::now(), controller.usage()?);
    namespace.run(&runs)?;
    watch.until_all(&names(&runs), |seen| seen.is_signed())?;
    told(scene, &controller, before.cpu, began.elapsed(), runs.len())?;

    let runs = namespace.list("taskruns")?;
    verified(&stage, &runs, &amazon.read(BUCKET)?, "chains/")?;
    verified(&stage, &runs, &azure.read(BUCKET)?, "")
}

/// Nobody waits for a bucket but what goes there.
fn slow(scene: &Scene<'_>) -> Result<()> {
    const SLOW: usize = 10;
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let google = Buckets::start(scene, FAKE_GCS)?;
    google.create(BUCKET)?;
    let gate = Gate::before(google.host())?;
    stage.install.configure(&[
        ("artifacts.taskrun.storage", "tekton,gcs"),
        ("artifacts.pipelinerun.storage", "tekton"),
        ("storage.gcs.bucket", BUCKET),
    ])?;
    let controller = stage.controller("controller");
    let controller = controller.env(EMULATOR, Path::new(&gate.server.host())).ready()?;
    let namespace = &stage.namespace;
    let (slow, quick) = (namespace.watch("taskruns")?, namespace.watch("pipelineruns")?);
    let tasks = builds(0..SLOW);
    let pipelines: Vec<Value> = (0..RUNS)
        .map(|n| runs::pipeline(&format!("release-{n}"), &[], "registry.test/app", DIGEST).run)
        .collect();

    namespace.run(&tasks)?;
    gate.until_waiting(1);
    let began = Instant::now();
    namespace.run(&pipelines)?;
    quick.until_all(&names(&pipelines), |seen| seen.is_signed())?;
    scene.note(format!(
        "{RUNS} other runs in {:.1?} while the bucket did not answer",
        began.elapsed()
    ));
    ensure!(slow.count(|seen| seen.is_signed()) == 0, "signed without their bucket");
    gate.open.store(true, Ordering::SeqCst);
    slow.until_all(&names(&tasks), |seen| seen.is_signed() && !seen.is_held())?;
    drop(controller);
    verified(&stage, &namespace.list("taskruns")?, &google.read(BUCKET)?, "")
}

/// A server in front of another that lets nothing through until it is opened.
struct Gate {
    server: HttpServer,
    open: Arc<AtomicBool>,
    waiting: Arc<AtomicUsize>,
}

impl Gate {
    fn before(host: String) -> Result<Self> {
        const POLL: Duration = Duration::from_millis(10);
        let (open, waiting) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let (is_open, count) = (Arc::clone(&open), Arc::clone(&waiting));
        let server = HttpServer::start(move |request| {
            count.fetch_add(1, Ordering::SeqCst);
            while !is_open.load(Ordering::SeqCst) {
                std::thread::sleep(POLL);
            }
            let media_type = request.header("content-type").unwrap_or("text/plain");
            let headers = [("Content-Type", media_type)];
            http::send(&host, &request.method, &request.path, &headers, &request.body).map_or_else(
                |_| Response::new(502, ""),
                |answer| Response::new(answer.status, answer.body),
            )
        })?;
        Ok(Self { server, open, waiting })
    }

    fn until_waiting(&self, many: usize) {
        while self.waiting.load(Ordering::SeqCst) < many {
            std::thread::yield_now();
        }
    }
}
