//! Runs of a cluster as documents, read and verified by others, whatever happens to the database meanwhile.

use std::{
    collections::BTreeSet,
    path::Path,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chains_e2e::{
    Case, Context as _, Result, Scene, case,
    cluster::{self, Watch},
    controller::{Controller, NEEDS},
    docdb::{
        Document,
        dynamodb::{self, DynamoDb},
        firestore::{FIRESTORE, Firestore},
        mongo::{FERRET, Mongo, PYMONGO, SECANTUS},
    },
    ensure,
    install::Mount,
    runs,
    signatures::Key,
    stage::Stage,
    tekton::names,
    tls::Authority,
};
use serde_json::Value;

/// Runs of each case.
const RUNS: usize = 200;
const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
/// The file of a Secret with MongoDB's connection string.
const SERVER: &str = "MONGO_SERVER_URL";

pub(crate) fn cases() -> Vec<Case> {
    let with = |peers: &[&'static str]| [&NEEDS[..], peers].concat();
    vec![
        case(
            "store_docdb::runs_while_mongodb_rotates_and_restarts",
            &with(&[SECANTUS, PYMONGO]),
            secantus,
        ),
        case("store_docdb::runs_to_ferretdb", &with(&[FERRET, PYMONGO]), ferret),
        case("store_docdb::runs_while_dynamodb_restarts", &with(&dynamodb::NEEDS), dynamo),
        case("store_docdb::runs_while_firestore_freezes", &with(&[FIRESTORE]), firestore),
        case("store_docdb::configurations_that_cannot_be_used", &NEEDS, refused),
    ]
}

fn builds() -> Vec<Value> {
    (0..RUNS).map(|n| runs::kaniko(&format!("build-{n}"), "registry.test/app", DIGEST)).collect()
}

/// Makes some of the runs and waits until they are signed.
fn sign(stage: &Stage<'_>, watch: &Watch, runs: &[Value]) -> Result<()> {
    stage.namespace.run(runs)?;
    watch.until_all(&names(runs), |seen| seen.is_signed())
}

/// The same, with what it took.
fn measured(
    scene: &Scene<'_>,
    stage: &Stage<'_>,
    controller: &Controller,
    watch: &Watch,
    runs: &[Value],
) -> Result<()> {
    let (began, before) = (Instant::now(), controller.usage()?.cpu);
    sign(stage, watch, runs)?;
    let (count, took) = (runs.len(), began.elapsed());
    let cpu = (controller.usage()?.cpu - before) / u32::try_from(count)?;
    scene.note(format!("{count} runs in {took:.1?}, {cpu:.1?} of a processor each, not optimised"));
    Ok(())
}

/// Every run has its document, signed by the mounted key; nothing else is there.
fn verified(stage: &Stage<'_>, documents: &[Document]) -> Result<()> {
    let key = Key::read(&stage.keys.public)?;
    for document in documents {
        let signature = document.signature.as_deref().context("no signature")?;
        let envelope = key.open(&STANDARD.decode(signature)?).context(document.id.clone())?;
        ensure!(envelope.payload == document.signed, "{} has another payload", document.id);
        let statement: Value = serde_json::from_slice(&document.signed)?;
        ensure!(document.object == statement, "{} is not {statement}", document.object);
    }
    let runs = stage.namespace.list("taskruns")?;
    let uid =
        |run: &Value| format!("taskrun-{}", run["metadata"]["uid"].as_str().unwrap_or_default());
    let expected: BTreeSet<String> = runs.iter().map(uid).collect();
    let found: BTreeSet<String> = documents.iter().map(|document| document.id.clone()).collect();
    ensure!(found == expected, "{} runs, {} documents", expected.len(), found.len());
    ensure!(documents.len() == RUNS, "{} documents of {RUNS} runs", documents.len());
    Ok(())
}

/// Nothing failed for good, and nothing was tried more often than the database was away.
fn nothing_failed(watch: &Watch) -> Result<()> {
    let failed = watch.count(|seen| seen.is_failed());
    ensure!(failed == 0, "{failed} runs failed");
    Ok(())
}

fn secantus(scene: &Scene<'_>) -> Result<()> {
    let authority = Authority::new(scene.folder(), "authority")?;
    let keys = authority.certify(scene.folder(), "mongo")?;
    let mut server = Mongo::guarded(scene, &keys, authority.certificate().to_owned())?;
    server.add_user("first", "one", "readWrite", "chains")?;
    let secret = Mount::empty(scene)?;
    secret.swap(&[(SERVER, server.url("first:one").as_bytes())])?;
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let folder = secret.folder().display().to_string();
    stage.install.configure(&[
        ("artifacts.taskrun.storage", "docdb"),
        ("storage.docdb.url", "mongo://chains/runs?id_field=name"),
        ("storage.docdb.mongo-server-url-dir", &folder),
    ])?;
    let controller = stage.start()?;
    let watch = stage.namespace.watch("taskruns")?;
    let runs = builds();
    let (calm, rest) = runs.split_at(RUNS / 4);
    let (rotating, rest) = rest.split_at(RUNS / 4);
    let (late, away) = rest.split_at(RUNS / 4);
    measured(scene, &stage, &controller, &watch, calm)?;

    // As it should be done: the old user goes when the new one is in use.
    stage.namespace.run(&rotating[..rotating.len() / 2])?;
    server.add_user("second", "two", "readWrite", "chains")?;
    secret.swap(&[(SERVER, server.url("second:two").as_bytes())])?;
    sign(&stage, &watch, &rotating[rotating.len() / 2..])?;
    watch.until_all(&names(rotating), |seen| seen.is_signed())?;
    server.drop_user("first")?;

    // As it should not: the old one is gone before the Secret has changed. The server comes back for new connections.
    server.add_user("third", "three", "readWrite", "chains")?;
    server.drop_user("second")?;
    server.stop()?;
    server.resume()?;
    stage.namespace.run(late)?;
    std::thread::sleep(Duration::from_secs(2));
    secret.swap(&[(SERVER, server.url("third:three").as_bytes())])?;
    watch.until_all(&names(late), |seen| seen.is_signed())?;

    stage.namespace.run(&away[..away.len() / 2])?;
    server.stop()?;
    stage.namespace.run(&away[away.len() / 2..])?;
    std::thread::sleep(Duration::from_secs(2));
    server.resume()?;
    watch.until_all(&names(away), |seen| seen.is_signed())?;
    nothing_failed(&watch)?;
    verified(&stage, &server.read("chains", "runs")?)
}

fn ferret(scene: &Scene<'_>) -> Result<()> {
    let server = Mongo::ferret(scene)?;
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    stage.install.configure(&[
        ("artifacts.taskrun.storage", "docdb"),
        ("storage.docdb.url", "mongo://chains/runs?id_field=name"),
        ("storage.docdb.mongo-server-url", &server.url("")),
    ])?;
    let controller = stage.start()?;
    let watch = stage.namespace.watch("taskruns")?;
    measured(scene, &stage, &controller, &watch, &builds())?;
    nothing_failed(&watch)?;
    verified(&stage, &server.read("chains", "runs")?)
}

fn dynamo(scene: &Scene<'_>) -> Result<()> {
    let mut server = DynamoDb::start(scene)?;
    server.create_table("runs", "Name", None)?;
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    stage.install.configure(&[
        ("artifacts.taskrun.storage", "docdb"),
        ("storage.docdb.url", "dynamodb://runs?partition_key=Name"),
    ])?;
    let controller = stage
        .controller("controller")
        .env("AWS_ACCESS_KEY_ID", Path::new("test"))
        .env("AWS_SECRET_ACCESS_KEY", Path::new("test"))
        .env("AWS_REGION", Path::new("eu-west-1"))
        .env("AWS_ENDPOINT_URL_DYNAMODB", Path::new(&server.address()));
    let controller = controller.ready()?;
    let watch = stage.namespace.watch("taskruns")?;
    let runs = builds();
    let (calm, away) = runs.split_at(RUNS / 2);
    measured(scene, &stage, &controller, &watch, calm)?;
    stage.namespace.run(&away[..away.len() / 2])?;
    server.stop()?;
    stage.namespace.run(&away[away.len() / 2..])?;
    server.resume()?;
    watch.until_all(&names(away), |seen| seen.is_signed())?;
    nothing_failed(&watch)?;
    verified(&stage, &server.read("runs", "Name")?)
}

/// A database that hangs is one that does not answer in time; it comes back, and nothing is lost.
fn firestore(scene: &Scene<'_>) -> Result<()> {
    let server = Firestore::start(scene)?;
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let url = format!("{}?name_field=name", server.collection("runs"));
    stage
        .install
        .configure(&[("artifacts.taskrun.storage", "docdb"), ("storage.docdb.url", &url)])?;
    let controller = stage.controller("controller");
    let controller = controller.env("FIRESTORE_EMULATOR_HOST", Path::new(&server.host()));
    let controller = controller.ready()?;
    let watch = stage.namespace.watch("taskruns")?;
    let runs = builds();
    let (calm, away) = runs.split_at(RUNS / 2);
    measured(scene, &stage, &controller, &watch, calm)?;
    stage.namespace.run(&away[..away.len() / 2])?;
    server.freeze(true)?;
    stage.namespace.run(&away[away.len() / 2..])?;
    std::thread::sleep(Duration::from_secs(2));
    server.freeze(false)?;
    watch.until_all(&names(away), |seen| seen.is_signed())?;
    nothing_failed(&watch)?;
    verified(&stage, &server.read("runs")?)
}

/// What cannot be used is told when it is read, on `/readyz`.
fn refused(scene: &Scene<'_>) -> Result<()> {
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    stage.install.configure(&[("artifacts.taskrun.storage", "docdb")])?;
    let controller = stage.controller("controller").alive()?;
    controller.until_readyz(503, "`storage.docdb.url`: must be set")?;
    for (url, words) in [
        ("mongo://chains/runs", "add `?id_field=Name`"),
        ("mongo://chains/runs?id_field=name", "set one of `storage.docdb.mongo-server-url-path`"),
        ("dynamodb://runs?partition_key=id", "write `partition_key=Name`"),
        (
            "firestore://projects/p/documents/runs?name_field=name",
            "it is not of the form firestore://",
        ),
    ] {
        stage.install.configure(&[("storage.docdb.url", url)])?;
        controller.until_readyz(503, words).with_context(|| format!("for {url}"))?;
    }
    Ok(())
}
