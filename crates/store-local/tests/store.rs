//! The store keeps its contract, and nothing leaves its folder.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests are tests, which clippy does not see"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chains_core::bundle::{Bundle, Content};
use chains_core::dsse::Envelope;
use chains_core::{ErrorKind, Outcome, ReadBack as _, Record, RunRef, Store as _, Target};
use chains_store_local::LocalStore;
use chains_testkit::fake::FakeSigner;
use chains_testkit::{fixture, store};
use tempfile::TempDir;

fn folder() -> (TempDir, LocalStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = LocalStore::new(dir.path().join("chains-out"));
    (dir, store)
}

async fn put(store: &LocalStore, record: &Record) -> PathBuf {
    match store.put(record).await.unwrap() {
        Outcome::Stored { location } | Outcome::AlreadyStored { location } => location.into(),
        other => panic!("{other}"),
    }
}

/// Every file below the folder, relative to it; the lock is none of a record.
fn files(dir: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with(".lock") {
                found.insert(path.strip_prefix(dir).unwrap().to_owned());
            }
        }
    }
    found
}

fn names(path: &Path) -> Vec<String> {
    let dir = path.parent().unwrap();
    files(dir).iter().map(|file| file.display().to_string()).collect()
}

#[tokio::test]
async fn keeps_the_contract() {
    let (_dir, store) = folder();
    store::read_back_suite(Arc::new(store)).await;
}

#[tokio::test]
async fn a_run_has_its_statement_readable_with_envelope_bundle_and_key() {
    let (dir, store) = folder();
    let run = fixture::run("build");
    let record = fixture::run_record(&run);
    let path = put(&store, &record).await;
    let wanted = format!("chains-out/default/taskrun-build-{}/provenance.json", run.uid);
    assert_eq!(path, dir.path().join(wanted));
    assert_eq!(
        names(&path),
        ["provenance.dsse.json", "provenance.json", "provenance.pub", "provenance.sigstore.json"]
    );
    let read = |name: &str| fs::read(path.with_file_name(name)).unwrap();
    let text = String::from_utf8(read("provenance.json")).unwrap();
    assert!(text.starts_with("{\n  \"_type\": \"https://in-toto.io/Statement/v1\",\n"), "{text}");
    let envelope = Envelope::from_json(&read("provenance.dsse.json")).unwrap();
    assert_eq!(envelope.payload, record.payload.bytes);
    let bundle = Bundle::from_json(&read("provenance.sigstore.json")).unwrap();
    let keys = [record.material.as_ref().unwrap().public_key.clone()];
    let expected =
        chains_verify::BundleContent::Envelope { payload_type: record.payload.media_type };
    chains_verify::verify_bundle(&bundle, expected, &keys).unwrap();
}

#[tokio::test]
async fn an_image_has_the_very_bytes_that_were_signed() {
    let (_dir, store) = folder();
    let image = fixture::image("app");
    let record = fixture::image_record(&fixture::run("build"), &image);
    let path = put(&store, &record).await;
    let name = path.file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with(&format!("image-app-{}-", &image.digest.hex()[..12])), "{name}");
    assert_eq!(fs::read(&path).unwrap(), record.payload.bytes);
    assert_eq!(names(&path).len(), 4, "{:?}", names(&path));
    let json = fs::read(path.with_extension("sigstore.json")).unwrap();
    let bundle = Bundle::from_json(&json).unwrap();
    assert!(matches!(bundle.content, Content::MessageSignature(_)));
}

#[tokio::test]
async fn without_a_signature_there_is_the_statement_alone() {
    let (_dir, store) = folder();
    let path = put(&store, &fixture::unsigned_record(&fixture::run("build"))).await;
    assert_eq!(names(&path), ["provenance.json"]);
}

#[tokio::test]
async fn another_signature_replaces_all_of_the_first() {
    let (_dir, store) = folder();
    let run = fixture::run("build");
    let first = fixture::run_record(&run);
    put(&store, &first).await;
    let other = FakeSigner::new(2);
    let second = fixture::signed(&run, Target::Run, first.payload.clone(), &other);
    put(&store, &second).await;
    let listed = store.list().await.unwrap().records;
    assert_eq!(listed.len(), 1);
    let record = listed[0].record.as_ref().unwrap();
    assert_eq!(record.stored.signed, second.signed);
    assert_eq!(record.public_key.as_ref(), Some(other.public_key()));
    let path = put(&store, &fixture::unsigned_record(&run)).await;
    assert_eq!(names(&path), ["provenance.json"], "no signature of another payload stays");
}

#[tokio::test]
async fn two_runs_never_share_a_folder() {
    let (_dir, store) = folder();
    let base = fixture::run("build");
    let long = "x".repeat(300);
    let renamed = |name: &str, uid: &str, namespace: &str| RunRef {
        name: name.into(),
        uid: uid.into(),
        namespace: namespace.into(),
        ..base.clone()
    };
    let runs = [
        base.clone(),
        RunRef { kind: chains_core::RunKind::PipelineRun, ..base.clone() },
        renamed("build", "other", "default"),
        renamed("build", "", "default"),
        renamed("build-", "", "default"),
        renamed("Build", &base.uid, "default"),
        renamed("BUILD", &base.uid, "default"),
        renamed("a/b", &base.uid, "default"),
        renamed("a_b", &base.uid, "default"),
        renamed("a\\b", &base.uid, "default"),
        renamed(&long, &base.uid, "default"),
        renamed(&format!("{long}y"), &base.uid, "default"),
        renamed("build", &base.uid, ""),
        renamed("build", &base.uid, "_"),
        renamed("build", &base.uid, "a/b"),
        renamed("build", &base.uid, "a_b"),
        renamed("a-b", "c", "default"),
        renamed("a", "b/c", "default"),
    ];
    let mut paths = BTreeSet::new();
    for run in &runs {
        let path = put(&store, &fixture::run_record(run)).await;
        let folded = path.display().to_string().to_lowercase();
        assert!(paths.insert(folded), "{run:?} shares {}", path.display());
    }
    for run in &runs {
        let record = fixture::run_record(run);
        assert_eq!(store.read_back((&record).into()).await.unwrap().len(), 1, "{run:?}");
    }
}

#[tokio::test]
async fn hostile_names_stay_in_the_folder() {
    let (dir, store) = folder();
    let odd = ["..", ".", "/etc/passwd", "../../x", "a\0b", "-rf", "~", "CON", "ä\u{202e}", ""];
    for part in odd {
        for field in 0..3 {
            let mut run = fixture::run("odd");
            let slot = [&mut run.name, &mut run.uid, &mut run.namespace].into_iter().nth(field);
            *slot.unwrap() = part.into();
            put(&store, &fixture::run_record(&run)).await;
        }
    }
    for repository in ["a/../../../x", "..", "a/..", "a//", "a/.hidden"] {
        let digest = "ab".repeat(32);
        let text = format!("registry.example.com/{repository}@sha256:{digest}");
        let Ok(image) = text.parse() else { continue };
        put(&store, &fixture::image_record(&fixture::run("odd"), &image)).await;
    }
    let all = files(dir.path());
    assert!(all.len() > 100, "{}", all.len());
    let odd_file = |file: &&PathBuf| {
        let safe = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '-' | '.' | '_' | '~');
        let mut parts = file.components().skip(1).map(|part| part.as_os_str().to_str().unwrap());
        !file.starts_with("chains-out")
            || file.components().count() != 4
            || parts.any(|part| part.starts_with(['.', '-']) || !part.chars().all(safe))
    };
    assert_eq!(all.iter().find(odd_file), None);
}

#[tokio::test]
async fn the_same_image_in_two_repositories_is_two_records() {
    let (_dir, store) = folder();
    let run = fixture::run("build");
    let digest = "ab".repeat(32);
    for registry in ["one.example.com", "two.example.com"] {
        let image = format!("{registry}/team/app@sha256:{digest}").parse().unwrap();
        put(&store, &fixture::image_record(&run, &image)).await;
    }
    assert_eq!(store.list().await.unwrap().records.len(), 2);
}

#[tokio::test]
async fn many_writers_leave_whole_records_and_nothing_else() {
    let (dir, store) = folder();
    let other = LocalStore::new(store.dir());
    let mut tasks = Vec::new();
    for record in store::many(8) {
        for writer in [&store, &other, &store, &other] {
            let (writer, record) = (writer.clone(), record.clone());
            tasks.push(tokio::spawn(async move { put(&writer, &record).await }));
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(files(dir.path()).len(), 8 * 4, "no temporary file stays");
    for listed in store.list().await.unwrap().records {
        listed.record.unwrap();
    }
}

/// What was changed after writing, and the words that tell it.
async fn check_tampered(name: &str, change: impl Fn(String) -> String, kind: ErrorKind) {
    let (_dir, store) = folder();
    let record = fixture::run_record(&fixture::run("build"));
    let path = put(&store, &record).await.with_file_name(name);
    let before = fs::read_to_string(&path).unwrap();
    fs::write(&path, change(before)).unwrap();
    let listed = store.list().await.unwrap().records;
    let error = listed[0].record.as_ref().unwrap_err();
    assert_eq!(error.kind(), kind, "{}", error.report());
    assert!(error.report().contains(name), "{}", error.report());
    let error = store.read_back((&record).into()).await.unwrap_err();
    assert_eq!(error.kind(), kind);
}

#[tokio::test]
async fn changed_files_are_told() {
    let cut = |text: String| text[..text.len() / 2].to_owned();
    check_tampered("provenance.dsse.json", cut, ErrorKind::InvalidInput).await;
    check_tampered("provenance.sigstore.json", cut, ErrorKind::InvalidInput).await;
    check_tampered("provenance.pub", cut, ErrorKind::Key).await;
    let other_signature = |text: String| text.replace("\"sig\":\"", "\"sig\":\"AAAA");
    check_tampered("provenance.sigstore.json", other_signature, ErrorKind::Verification).await;
}

#[tokio::test]
async fn a_changed_statement_is_read_as_it_is() {
    let (_dir, store) = folder();
    let record = fixture::run_record(&fixture::run("build"));
    let path = put(&store, &record).await;
    let text = fs::read_to_string(&path).unwrap().replace("team/app", "team/evil");
    fs::write(&path, text).unwrap();
    let stored = store.read_back((&record).into()).await.unwrap().remove(0);
    assert_ne!(stored.payload, record.payload.bytes);
    let keys = [FakeSigner::new(1).public_key().clone()];
    let error =
        chains_verify::verify_stored(&stored, record.payload.media_type, &keys).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Verification);
    assert!(error.report().starts_with("payload: "), "{}", error.report());
}

#[tokio::test]
async fn a_folder_that_is_not_there_or_not_writable_is_told() {
    let (dir, store) = folder();
    assert_eq!(store.list().await.unwrap_err().kind(), ErrorKind::NotFound);
    fs::write(dir.path().join("chains-out"), "a file").unwrap();
    let record = fixture::run_record(&fixture::run("build"));
    let error = store.put(&record).await.unwrap_err();
    assert!(error.report().contains("chains-out"), "{}", error.report());
}

/// Stores of their own know nothing of each other, like processes: only the lock keeps them apart.
#[tokio::test]
async fn writers_that_do_not_know_each_other_leave_one_whole_record() {
    let (dir, store) = folder();
    let run = fixture::run("build");
    let payload = fixture::run_record(&run).payload;
    for _ in 0..20 {
        let mut writers = Vec::new();
        for seed in 1..=4 {
            let other = LocalStore::new(store.dir());
            let signer = FakeSigner::new(seed);
            let record = fixture::signed(&run, Target::Run, payload.clone(), &signer);
            writers.push(tokio::spawn(async move { put(&other, &record).await }));
        }
        for writer in writers {
            writer.await.unwrap();
        }
        let record = store.list().await.unwrap().records.remove(0).record.unwrap();
        let keys = [record.public_key.unwrap()];
        chains_verify::verify_stored(&record.stored, payload.media_type, &keys).unwrap();
    }
    assert_eq!(files(dir.path()).len(), 4);
}
