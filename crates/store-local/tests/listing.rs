//! A listing names everything that is in the folder, be it a record or not.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests are tests, which clippy does not see"
)]

use std::fs;
use std::path::{Path, PathBuf};

use chains_core::{Outcome, Record, RunKind, RunRef, Store as _};
use chains_store_local::{LocalStore, RecordKind};
use chains_testkit::fixture;
use tempfile::TempDir;

struct Scene {
    _folder: TempDir,
    store: LocalStore,
    provenance: PathBuf,
}

async fn put(store: &LocalStore, record: &Record) -> PathBuf {
    match store.put(record).await.unwrap() {
        Outcome::Stored { location } => location.into(),
        other => panic!("{other}"),
    }
}

/// A run and its image, each signed.
async fn scene() -> Scene {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalStore::new(folder.path().join("out"));
    let run = fixture::run("build");
    let provenance = put(&store, &fixture::run_record(&run)).await;
    put(&store, &fixture::image_record(&run, &fixture::image("app"))).await;
    Scene { _folder: folder, store, provenance }
}

impl Scene {
    fn top(&self) -> &Path {
        self.store.dir()
    }

    fn run(&self) -> &Path {
        self.provenance.parent().unwrap()
    }
}

/// Plants something, and expects so many records and exactly this path to be odd for this reason.
async fn check(plant: impl FnOnce(&Scene) -> PathBuf, records: usize, why: &str) {
    let scene = scene().await;
    let path = plant(&scene);
    let listing = scene.store.list().await.unwrap();
    assert_eq!(listing.records.len(), records, "{listing:?}");
    let odd: Vec<_> =
        listing.unrecognised.iter().map(|odd| (odd.path.as_path(), odd.why)).collect();
    assert_eq!(odd, [(path.as_path(), why)]);
}

fn file(path: PathBuf) -> PathBuf {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "{}").unwrap();
    path
}

#[tokio::test]
async fn what_chains_writes_is_recognised() {
    let scene = scene().await;
    for name in ["chains.key", "chains.pub", "runs/taskrun-build.json"] {
        file(scene.top().join(name));
    }
    let namespace = scene.run().parent().unwrap();
    for dir in [scene.top(), namespace, scene.run()] {
        let listing = LocalStore::new(dir).list().await.unwrap();
        assert_eq!(listing.unrecognised, [], "{}", dir.display());
        let kinds: Vec<_> = listing.records.iter().map(|record| record.kind).collect();
        assert_eq!(kinds, [RecordKind::Image, RecordKind::Provenance], "{}", dir.display());
        assert!(listing.records.iter().all(|record| record.record.is_ok()));
    }
}

#[tokio::test]
async fn what_is_planted_is_named() {
    check(|s| file(s.top().join("provenance.json")), 2, "no record of a run").await;
    check(|s| file(s.top().join("default/chains.pub")), 2, "no folder of a run").await;
    check(
        |s| file(s.top().join("default/other/provenance.json")).parent().unwrap().to_owned(),
        2,
        "no folder of a run",
    )
    .await;
    check(
        |s| file(s.run().join("deeper/provenance.json")).parent().unwrap().to_owned(),
        2,
        "no file of a record",
    )
    .await;
    check(|s| file(s.run().join("notes.txt")), 2, "no file of a record").await;
    check(|s| file(s.run().join("provenance-2.json")), 2, "no file of a record").await;
    check(|s| file(s.run().join("chains.key")), 2, "no file of a record").await;
    check(|s| file(s.top().join("runs/run.yaml")), 2, "no folder of a run").await;
    let missing = "the payload that belongs to it is missing";
    check(|s| file(s.run().join("status.sig")), 2, missing).await;
    let empty = |s: &Scene| {
        let dir = s.top().join("default/taskrun-x-y");
        fs::create_dir(&dir).unwrap();
        dir
    };
    check(empty, 2, "a run's folder without a record").await;
}

#[tokio::test]
async fn files_whose_payload_was_taken_away_are_named() {
    let scene = scene().await;
    fs::remove_file(&scene.provenance).unwrap();
    let listing = scene.store.list().await.unwrap();
    assert_eq!(listing.records.len(), 1);
    assert_eq!(listing.unrecognised.len(), 3, "{:?}", listing.unrecognised);
}

#[cfg(unix)]
#[tokio::test]
async fn links_are_named_and_not_followed() {
    use std::os::unix::fs::symlink;
    let link = |target: PathBuf, at: PathBuf| {
        symlink(target, &at).unwrap();
        at
    };
    check(|s| link(s.run().into(), s.top().join("default/taskrun-other-1")), 2, "a link").await;
    check(|s| link(s.top().join("default"), s.top().join("other")), 2, "a link").await;
    check(|s| link(s.provenance.clone(), s.run().join("status.json")), 2, "a link").await;

    // A link in place of an envelope makes the record unreadable.
    let scene = scene().await;
    let envelope = scene.provenance.with_file_name("provenance.dsse.json");
    let elsewhere = scene.top().join("elsewhere");
    fs::rename(&envelope, &elsewhere).unwrap();
    symlink(&elsewhere, &envelope).unwrap();
    let listing = scene.store.list().await.unwrap();
    let broken = listing.records.iter().find(|record| record.record.is_err()).unwrap();
    let error = broken.record.as_ref().unwrap_err().report();
    assert!(error.contains("no regular file"), "{error}");
}

#[tokio::test]
async fn names_bind_records() {
    let scene = scene().await;
    let uid = fixture::run("build").uid;
    let listing = scene.store.list().await.unwrap();
    for record in &listing.records {
        assert_eq!(record.run_kind(), Some(RunKind::TaskRun));
        assert_eq!(record.is_of_uid(&uid), Some(true));
        assert_eq!(record.is_of_uid("other"), Some(false));
        let is_image = record.kind == RecordKind::Image;
        assert_eq!(record.is_of_image(&fixture::image("app")), is_image);
        assert!(!record.is_of_image(&fixture::image("other")));
    }
    let odd = RunRef { name: "Odd".into(), kind: RunKind::PipelineRun, ..fixture::run("odd") };
    let path = put(&scene.store, &fixture::run_record(&odd)).await;
    let listing = scene.store.list().await.unwrap();
    let listed = listing.records.iter().find(|record| record.path == path).unwrap();
    assert_eq!(listed.run_kind(), Some(RunKind::PipelineRun));
    assert_eq!(listed.is_of_uid(&odd.uid), None);
}
