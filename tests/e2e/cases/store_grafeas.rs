//! Notes and occurrences in a real server of the Grafeas API v1, read over its own REST gateway.

use std::{collections::BTreeMap, future::Future, sync::Arc, time::Instant};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chains_core::{
    Error, ErrorKind, Outcome, Record, RunKind, Secret, Store as _, Subject, Target,
};
use chains_e2e::{
    Case, Context as _, Result, Scene, case,
    cluster::{self, Watch},
    controller::NEEDS,
    ensure,
    grafeas::{GRAFEAS, Grafeas},
    http::{HttpServer, Response},
    runs,
    signatures::Key,
    stage::Stage,
    tekton::{Namespace, names},
};
use chains_store_grafeas::{GrafeasOptions, GrafeasStore};
use chains_testkit::{fake::FakeSigner, fixture, store};
use serde_json::{Value, json};

const RUNS: usize = 200;
const PROJECT: &str = "my-project";
const IMAGE: &str = "registry.test/app";
const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

pub(crate) fn cases() -> Vec<Case> {
    let with_controller = [&NEEDS[..], &[GRAFEAS]].concat();
    vec![
        case("store_grafeas::keeps_the_contract", &[GRAFEAS], contract),
        case("store_grafeas::refusals_say_what_to_do", &[GRAFEAS], refusals),
        case("store_grafeas::runs_while_the_server_is_gone", &with_controller, gone),
    ]
}

fn grafeas(url: &str, project: &str) -> Result<GrafeasStore, Error> {
    let endpoint = Some(Secret::new(url));
    GrafeasStore::new(GrafeasOptions { endpoint, ..GrafeasOptions::new(project) })
}

fn wait<T>(future: impl Future<Output = T>) -> Result<T> {
    Ok(tokio::runtime::Runtime::new()?.block_on(future))
}

/// Records that an occurrence can hold, and one without a signature, which it cannot.
fn records(name: &str) -> Vec<Record> {
    let mut records = store::records(name);
    records.retain(|record| record.payload.format != "tekton");
    records
}

fn occurrences(server: &Grafeas<'_>) -> Result<Vec<Value>> {
    server.list(&format!("projects/{PROJECT}/occurrences"))
}

fn contract(scene: &Scene<'_>) -> Result<()> {
    let server = Grafeas::start(scene)?;
    let began = Instant::now();
    let store = Arc::new(grafeas(&server.url(), PROJECT)?);
    wait(store::read_back_suite_with(store.clone(), records("suite")))?;
    let there = occurrences(&server)?;
    ensure!(there.len() == 2, "{} occurrences of two records that 32 wrote", there.len());
    let notes = server.list(&format!("projects/{PROJECT}/notes"))?;
    ensure!(notes.len() == 2, "{notes:?}");
    let note = |id: &str| server.get(&format!("projects/{PROJECT}/notes/{id}"));
    let hint = note("tekton-default-simplesigning")?;
    ensure!(hint["kind"] == "ATTESTATION", "{hint}");
    let build = note("tekton-default-taskrun-intoto")?;
    ensure!(build["build"]["builderVersion"] == "tekton.dev/v1/TaskRun", "{build}");

    wait(store::resume_suite(store.clone(), store::signed_twice))?;
    each_once(&occurrences(&server)?)?;
    scene.note(format!("{:.1?}", began.elapsed()));
    many_of_one_image(&server, &store)?;
    notes_of_runs(&server, &store)
}

/// Expects that no two are the same but for their names.
fn each_once(occurrences: &[Value]) -> Result<()> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for one in occurrences {
        let what = [&one["noteName"], &one["resourceUri"], &one["envelope"]];
        *counts.entry(json!(what).to_string()).or_default() += 1;
    }
    let twice = counts.values().filter(|count| **count > 1).count();
    ensure!(twice == 0, "{twice} of {} occurrences are there more than once", occurrences.len());
    Ok(())
}

fn about(name: &str, subjects: &[Subject]) -> Record {
    let run = fixture::run(name);
    let mut payload = fixture::statement(&run, &fixture::image(name));
    payload.subjects = subjects.to_vec();
    fixture::signed(&run, Target::Run, payload, &FakeSigner::new(1))
}

/// Many statements about one image, and one about many artifacts: lists have pages, and nothing is made twice.
fn many_of_one_image(server: &Grafeas<'_>, store: &Arc<GrafeasStore>) -> Result<()> {
    const MANY: usize = 40;
    let subject = |name: &str| Subject { name: name.to_owned(), ..about_one() };
    let popular = [subject("popular")];
    let before = occurrences(server)?.len();
    let mut records: Vec<_> = (0..MANY).map(|n| about(&format!("popular-{n}"), &popular)).collect();
    let artifacts: Vec<_> = (0..MANY).map(|n| subject(&format!("pkg:npm/\"{n}\\"))).collect();
    records.push(about("many", &artifacts));
    for (round, is_new) in [(1, true), (2, false)] {
        let put = |record: Record| {
            let store = Arc::clone(store);
            async move { store.put(&record).await }
        };
        let all = records.iter().cloned().map(put);
        for outcome in wait(futures_util::future::join_all(all))? {
            let stored = matches!(outcome?, Outcome::Stored { .. });
            ensure!(stored == is_new, "round {round}: stored: {stored}");
        }
    }
    let there = occurrences(server)?;
    ensure!(there.len() == before + 2 * MANY, "{} occurrences", there.len() - before);
    each_once(&there)
}

fn about_one() -> Subject {
    fixture::run_record(&fixture::run("one")).payload.subjects.remove(0)
}

/// Each run's note is of its own namespace and kind, also after it was deleted.
fn notes_of_runs(server: &Grafeas<'_>, store: &GrafeasStore) -> Result<()> {
    let path = format!("projects/{PROJECT}/notes/tekton-default-pipelinerun-intoto");
    for (name, namespace) in [("a", "default"), ("b", "other"), ("c", "default")] {
        let mut record = fixture::run_record(&fixture::run(&format!("notes-{name}")));
        record.run.kind = RunKind::PipelineRun;
        record.run.namespace = namespace.into();
        let outcome = wait(store.put(&record))??;
        let Outcome::Stored { location } = outcome else { chains_e2e::bail!("{outcome}") };
        let (_, name) = location.split_once("/v1/").context("no address")?;
        let note = server.get(name)?["noteName"].clone();
        let expected = format!("projects/{PROJECT}/notes/tekton-{namespace}-pipelinerun-intoto");
        ensure!(note == expected, "{note}");
        // The next one needs it again.
        if namespace == "other" {
            server.delete(&path)?;
        }
    }
    let note = server.get(&path)?;
    ensure!(note["build"]["builderVersion"] == "tekton.dev/v1/PipelineRun", "{note}");
    Ok(())
}

/// Expects that a record is refused, in these words.
fn refused(store: &GrafeasStore, record: &Record, kind: ErrorKind, words: &[&str]) -> Result<()> {
    let error = wait(store.put(record))?.err().context("it was stored")?;
    let report = error.report();
    ensure!(error.kind() == kind, "{:?}: {report}", error.kind());
    for word in words {
        ensure!(report.contains(word), "no {word:?} in {report}");
    }
    ensure!(!report.contains("hunter2"), "{report}");
    Ok(())
}

fn refusals(scene: &Scene<'_>) -> Result<()> {
    let mut server = Grafeas::start(scene)?;
    let record = fixture::run_record(&fixture::run("refused"));
    let denied = grafeas(&server.url(), "denied")?;
    let words = [
        "keeping what is signed of TaskRun default/refused at http://127.0.0.1:",
        "403",
        "PERMISSION_DENIED",
        "let Chains make notes and occurrences in the project denied",
    ];
    refused(&denied, &record, ErrorKind::Unauthorized, &words)?;

    // Who may only attach needs a note that is there.
    let attach = grafeas(&server.url(), "attach")?;
    let making = "making the note tekton-default-taskrun-intoto";
    refused(&attach, &record, ErrorKind::Unauthorized, &[making, "403"])?;
    let note = json!({ "build": { "builderVersion": "tekton.dev/v1/TaskRun" } });
    let path = "notes?noteId=tekton-default-taskrun-intoto";
    ensure!(server.post(&format!("projects/attach/{path}"), &note).is_err(), "it may make notes");
    let mine = GrafeasOptions {
        endpoint: Some(Secret::new(server.url())),
        note_id: Some("mine".to_owned()),
        ..GrafeasOptions::new("attach-there")
    };
    server.seed("attach-there", "mine-taskrun-intoto", &note)?;
    let outcome = wait(GrafeasStore::new(mine)?.put(&record))??;
    ensure!(matches!(outcome, Outcome::Stored { .. }), "{outcome}");

    // More than the server takes in one message.
    let mut large = record.clone();
    large.payload.bytes = json!({ "_type": "x".repeat(5 << 20) }).to_string().into();
    let usual = grafeas(&server.url(), PROJECT)?;
    refused(&usual, &large, ErrorKind::TooLarge, &["larger than max", "another store"])?;

    let nothing = about("nothing", &[]);
    let outcome = wait(usual.put(&nothing))??;
    ensure!(matches!(outcome, Outcome::Skipped(_)), "{outcome}");
    server.kill();
    refused(&usual, &record, ErrorKind::Unavailable, &["project my-project", "refused"])?;
    other_servers(&record)
}

/// What no honest server does.
fn other_servers(record: &Record) -> Result<()> {
    let strict = HttpServer::start(|request| {
        let login = request.header("authorization").unwrap_or_default().to_owned();
        Response::new(401, format!("{{\"message\":\"no hunter2 for {login}\"}}"))
    })?;
    let with_password = grafeas(&format!("http://chains:hunter2@{}", strict.host()), "p")?;
    let words =
        ["no [redacted] for Basic ", "a user and password go into `storage.grafeas.endpoint`"];
    refused(&with_password, record, ErrorKind::Unauthorized, &words)?;
    let page = HttpServer::start(|_| Response::new(200, "<html>"))?;
    let none = grafeas(&format!("http://{}", page.host()), "p")?;
    refused(&none, record, ErrorKind::Protocol, &["none of the Grafeas API v1"])?;
    let missing = HttpServer::start(|_| Response::new(404, "404 page not found"))?;
    let none = grafeas(&format!("http://{}", missing.host()), "p")?;
    refused(&none, record, ErrorKind::NotFound, &["`storage.grafeas.endpoint` names a server"])
}

fn builds(numbers: std::ops::Range<usize>) -> Vec<Value> {
    numbers.map(|n| runs::kaniko(&format!("build-{n}"), IMAGE, DIGEST)).collect()
}

/// 200 runs, during which the server is killed and comes back with what it had; images are signed too, and a run of
/// another namespace has a note of its own.
fn gone(scene: &Scene<'_>) -> Result<()> {
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let other = Namespace::new(&cluster, "other")?;
    let mut server = Grafeas::start(scene)?;
    stage.install.configure(&[
        ("artifacts.taskrun.storage", "grafeas"),
        ("artifacts.oci.storage", "grafeas"),
        ("storage.grafeas.projectid", PROJECT),
        ("storage.grafeas.endpoint", &server.url()),
        ("retry.limit", "20"),
        ("retry.total-time", "20s"),
    ])?;
    let namespace = &stage.namespace;
    let watch = namespace.watch("taskruns")?;
    denied(&stage, &watch)?;
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
    watch.until(&last, |seen| seen.chains("reason").is_some_and(|why| why.contains("grafeas")))?;
    server.resume()?;
    watch.until_all(&names(rough), |seen| seen.is_signed() && !seen.is_held())?;
    watch.until("denied", |seen| seen.is_signed() && !seen.is_held())?;

    let abroad = builds(RUNS..RUNS + 1);
    let watch = other.watch("taskruns")?;
    other.run(&abroad)?;
    watch.until_all(&names(&abroad), |seen| seen.is_signed() && !seen.is_held())?;
    drop(controller);
    let key = Key::read(&stage.keys.public)?;
    let all = [builds(0..RUNS), vec![runs::kaniko("denied", IMAGE, DIGEST)]].concat();
    verified(&key, &server, namespace.name(), all)?;
    verified(&key, &server, other.name(), abroad)
}

/// A run says on itself which rights are missing; the project is mended, and the run is left to be tried again.
fn denied(stage: &Stage<'_>, watch: &Watch) -> Result<()> {
    stage.install.configure(&[("storage.grafeas.projectid", "denied")])?;
    let controller = stage.start()?;
    stage.namespace.run(&[runs::kaniko("denied", IMAGE, DIGEST)])?;
    let says = ["grafeas", "PERMISSION_DENIED", "let Chains make notes and occurrences"];
    watch.until("denied", |seen| {
        let reason = seen.chains("reason").unwrap_or_default();
        says.iter().all(|words| reason.contains(words))
    })?;
    // It gives back what it holds: the next one need not wait for that.
    controller.terminate()?;
    stage.install.configure(&[("storage.grafeas.projectid", PROJECT)])
}

/// Every run has its occurrence at the note of its namespace, signed by the mounted key, and nothing else is there.
fn verified(key: &Key, server: &Grafeas<'_>, namespace: &str, runs: Vec<Value>) -> Result<()> {
    let bytes = |value: &Value| STANDARD.decode(value.as_str().unwrap_or_default());
    let note = format!("projects/{PROJECT}/notes/tekton-{namespace}-taskrun-intoto");
    let found = server.list(&format!("{note}/occurrences"))?;
    ensure!(found.len() == runs.len(), "{} occurrences of {} runs", found.len(), runs.len());
    let mut left = names(&runs);
    for one in &found {
        ensure!(
            one["kind"] == "BUILD" && one["resourceUri"] == format!("{IMAGE}@{DIGEST}"),
            "{one}"
        );
        let envelope = bytes(&one["envelope"]["signatures"][0]["sig"])?;
        let at = left.iter().position(|name| key.verify(&envelope, name).is_ok());
        left.swap_remove(at.with_context(|| format!("{one} is of no run, or of one twice"))?);
        let statement: Value = serde_json::from_slice(&bytes(&one["envelope"]["payload"])?)?;
        let kept = &one["build"]["intotoStatement"];
        for field in ["subject", "predicateType", "_type"] {
            ensure!(kept[field] == statement[field], "{field}: {kept}");
        }
        let builder = &kept["slsaProvenanceZeroTwo"]["builder"]["id"];
        ensure!(*builder == statement["predicate"]["builder"]["id"], "{builder}");
    }
    // All runs built the same image, so there is one signature of it for each note.
    let note = format!("projects/{PROJECT}/notes/tekton-{namespace}-simplesigning");
    let found = server.list(&format!("{note}/occurrences"))?;
    ensure!(found.len() == 1, "{} signatures of one image", found.len());
    for one in &found {
        let envelope = &one["envelope"];
        let (payload, sig) =
            (bytes(&envelope["payload"])?, bytes(&envelope["signatures"][0]["sig"])?);
        ensure!(one["attestation"]["serializedPayload"] == envelope["payload"], "{one}");
        key.verify_detached(&payload, &sig)?;
    }
    Ok(())
}
