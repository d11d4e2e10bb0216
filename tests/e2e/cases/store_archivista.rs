//! Statements in a real Archivista over a real PostgreSQL, read by its own client.

use std::{future::Future, sync::Arc, time::Instant};

use chains_core::{Error, ErrorKind, Outcome, ReadBack as _, Store as _};
use chains_e2e::{
    Case, Context as _, Result, Scene,
    archivista::{ARCHIVISTA, ARCHIVISTACTL, Archivista, POSTGRESQL},
    case,
    cluster::{self, Watch},
    controller::NEEDS,
    ensure,
    grafeas::{GRAFEAS, Grafeas},
    http::{HttpServer, Response},
    runs,
    signatures::Key,
    stage::Stage,
    tekton::names,
};
use chains_store_archivista::{ArchivistaOptions, ArchivistaStore};
use chains_testkit::{fixture, store};
use serde_json::Value;

const RUNS: usize = 200;
/// How many envelopes are retrieved by Archivista's own client; the others by plain HTTP.
const BY_CLIENT: usize = 20;
const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

pub(crate) fn cases() -> Vec<Case> {
    let peers = [ARCHIVISTA, ARCHIVISTACTL, POSTGRESQL];
    let with_controller = [&NEEDS[..], &peers].concat();
    let with_grafeas = [&peers[..], &[GRAFEAS]].concat();
    vec![
        case("store_archivista::keeps_the_contract", &peers, contract),
        case("store_archivista::refusals_say_what_to_do", &with_grafeas, refusals),
        case("store_archivista::runs_while_the_server_is_gone", &with_controller, gone),
    ]
}

fn archivista(url: &str) -> Result<ArchivistaStore, Error> {
    ArchivistaStore::new(ArchivistaOptions::new(url))
}

fn wait<T>(future: impl Future<Output = T>) -> Result<T> {
    Ok(tokio::runtime::Runtime::new()?.block_on(future))
}

fn contract(scene: &Scene<'_>) -> Result<()> {
    let server = Archivista::start(scene)?;
    let began = Instant::now();
    let store = Arc::new(archivista(&server.url())?);
    wait(async {
        store::read_back_suite(store.clone()).await;
        store::resume_suite(store.clone(), store::signed_twice).await;
    })?;
    scene.note(format!("{:.1?}", began.elapsed()));
    // The only one of the suite's records that is in an envelope is there once.
    let gitoids = server.search(&fixture::image("suite").digest.to_string())?;
    ensure!(gitoids.len() == 1, "{gitoids:?}");
    many_of_one_image(&server, &store)
}

/// More statements about one image than a page of the search has.
fn many_of_one_image(server: &Archivista<'_>, store: &ArchivistaStore) -> Result<()> {
    const MANY: usize = 120;
    let image = fixture::image("popular");
    let mut records = store::many(MANY);
    for record in &mut records {
        let payload = fixture::statement(&record.run, &image);
        let signer = chains_testkit::fake::FakeSigner::new(1);
        *record = fixture::signed(&record.run, chains_core::Target::Run, payload, &signer);
    }
    let found = wait(async {
        for record in &records {
            store.put(record).await?;
        }
        let first = records.first().map(|record| store.read_back(record.into()));
        match first {
            Some(reading) => reading.await,
            None => Ok(Vec::new()),
        }
    })??;
    let gitoids = server.search(&image.digest.to_string())?;
    ensure!(found.len() == MANY && gitoids.len() == MANY, "{} and {}", found.len(), gitoids.len());
    let all = gitoids.iter().all(|id| found.iter().any(|it| it.location.ends_with(id.as_str())));
    ensure!(all, "locations are not the gitoids");
    Ok(())
}

/// Expects that a record is refused, in these words.
fn refused(url: &str, kind: ErrorKind, retryable: bool, words: &[&str]) -> Result<()> {
    let record = fixture::run_record(&fixture::run("refused"));
    let error = wait(archivista(url)?.put(&record))?.err().context("it was stored")?;
    let report = error.report();
    ensure!(error.kind() == kind, "{:?}: {report}", error.kind());
    ensure!(error.is_retryable() == retryable, "retryable: {}: {report}", error.is_retryable());
    for word in [&["uploading the statement of TaskRun default/refused to http://"], words].concat()
    {
        ensure!(report.contains(word), "no {word:?} in {report}");
    }
    ensure!(!report.contains("hunter2"), "{report}");
    Ok(())
}

fn refusals(scene: &Scene<'_>) -> Result<()> {
    let mut server = Archivista::start(scene)?;
    let record = fixture::run_record(&fixture::run("refused"));

    // The envelope is written before the index is: half of it is there, and it is not stored.
    server.stop_database()?;
    refused(&server.url(), ErrorKind::Unavailable, true, &["500"])?;
    refused(&server.url(), ErrorKind::Unavailable, true, &["500"])?;
    ensure!(server.count()? == 1, "{} envelopes", server.count()?);
    server.resume_database()?;
    let store = archivista(&server.url())?;
    let outcome = wait(store.put(&record))??;
    ensure!(matches!(outcome, Outcome::Stored { .. }), "{outcome}");
    let outcome = wait(store.put(&record))??;
    ensure!(matches!(outcome, Outcome::AlreadyStored { .. }), "{outcome}");

    server.kill();
    refused(&server.url(), ErrorKind::Unavailable, true, &["refused"])?;

    // Other servers: one that knows no such path, and one that wants to know who we are.
    let other = Grafeas::start(scene)?;
    let mend = "there is no Archivista at this address: mend `storage.archivista.url`";
    refused(&other.url(), ErrorKind::NotFound, false, &["404", mend])?;
    let strict = HttpServer::start(|request| {
        let login = request.header("authorization").unwrap_or_default().to_owned();
        // What a server should not do.
        Response::new(401, format!("no hunter2 for {login}"))
    })?;
    let url = format!("http://chains:hunter2@{}", strict.host());
    let login = "no [redacted] for Basic Y2hhaW5zOmh1bnRlcjI=";
    refused(&url, ErrorKind::Unauthorized, false, &["401", login, "`storage.archivista.url`"])
}

fn builds(numbers: std::ops::Range<usize>) -> Vec<Value> {
    numbers.map(|n| runs::kaniko(&format!("build-{n}"), "registry.test/app", DIGEST)).collect()
}

/// 200 runs, during which the server is killed and comes back with what it had.
fn gone(scene: &Scene<'_>) -> Result<()> {
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let mut server = Archivista::start(scene)?;
    stage.install.configure(&[
        ("artifacts.taskrun.storage", "archivista"),
        ("storage.archivista.url", &server.url()),
        ("retry.limit", "20"),
        ("retry.total-time", "20s"),
    ])?;
    let namespace = &stage.namespace;
    let watch = namespace.watch("taskruns")?;
    wrong_address(&stage, &watch, &server)?;
    let controller = stage.start()?;
    let runs = builds(0..RUNS);
    let (calm, rough) = runs.split_at(RUNS / 2);

    let (began, before) = (Instant::now(), controller.usage()?);
    namespace.run(calm)?;
    watch.until_all(&names(calm), |seen| seen.is_signed())?;
    let cpu = controller.usage()?.cpu.saturating_sub(before.cpu) / u32::try_from(calm.len())?;
    scene.note(format!(
        "{} runs in {:.1?}, {cpu:.1?} of processor time each",
        calm.len(),
        began.elapsed()
    ));

    namespace.create(rough)?;
    watch.until_all(&names(rough), |seen| seen.is_held())?;
    let (early, late) = rough.split_at(rough.len() / 2);
    namespace.complete(early)?;
    server.kill();
    namespace.complete(late)?;
    let last = names(late).pop().context("no runs")?;
    watch
        .until(&last, |seen| seen.chains("reason").is_some_and(|why| why.contains("archivista")))?;
    server.resume()?;
    watch.until_all(&names(rough), |seen| seen.is_signed() && !seen.is_held())?;
    drop(controller);
    verified(&stage, &server)
}

/// A run says on itself that there is no Archivista at the address; it is not tried again, and the address is mended.
fn wrong_address(stage: &Stage<'_>, watch: &Watch, server: &Archivista<'_>) -> Result<()> {
    let other = HttpServer::start(|_| Response::new(404, "404 page not found"))?;
    stage.install.configure(&[("storage.archivista.url", &format!("http://{}", other.host()))])?;
    let controller = stage.start()?;
    stage.namespace.run(&[runs::kaniko("astray", "registry.test/app", DIGEST)])?;
    watch.until("astray", |seen| seen.is_failed() && !seen.is_held())?;
    let run = stage.namespace.get("taskruns", "astray")?;
    let reason = run["metadata"]["annotations"]["chains.tekton.dev/reason"].as_str();
    let reason = reason.unwrap_or_default();
    let says = ["archivista", "404", "there is no Archivista at this address"];
    ensure!(says.iter().all(|words| reason.contains(words)), "{reason}");
    // It gives back what it holds: the next one need not wait for that.
    controller.terminate()?;
    stage.install.configure(&[("storage.archivista.url", &server.url())])
}

/// Every run has its envelope, signed by the mounted key, and nothing else is there.
fn verified(stage: &Stage<'_>, server: &Archivista<'_>) -> Result<()> {
    let key = Key::read(&stage.keys.public)?;
    let gitoids = server.search(DIGEST)?;
    let kept = server.count()?;
    ensure!(gitoids.len() == RUNS && kept == RUNS, "{} gitoids, {kept} envelopes", gitoids.len());
    let mut names: Vec<String> = names(&builds(0..RUNS));
    for (number, gitoid) in gitoids.iter().enumerate() {
        let envelope = server.download(gitoid)?;
        if number < BY_CLIENT {
            ensure!(
                server.retrieve(gitoid)? == envelope,
                "{gitoid}: its client reads something else"
            );
        }
        let at = names.iter().position(|name| key.verify(&envelope, name).is_ok());
        names.swap_remove(at.with_context(|| format!("{gitoid} is of no run, or of one twice"))?);
    }
    ensure!(names.is_empty(), "{names:?} are not there");
    Ok(())
}
