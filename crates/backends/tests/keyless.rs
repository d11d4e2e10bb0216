//! Keyless signing and logging as a configuration asks for them, over a small Sigstore.

#![cfg(feature = "keyless")]
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::path::Path;

use chains_backends::{Environment, engine};
use chains_config::Config;
use chains_core::{ErrorKind, Progress, Secret, annotations};
use chains_engine::{Engine, Policy, Report};
use chains_tekton::Run;
use chains_testkit::sigstore::{Sigstore, Wrong};
use tempfile::TempDir;

struct Scene {
    sigstore: Sigstore,
    folder: TempDir,
    environment: Environment,
}

impl Scene {
    fn new() -> Self {
        let sigstore = Sigstore::start();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("root.json"), sigstore.trusted_root()).unwrap();
        let environment = Environment {
            identity_token: Some(Secret::new(Sigstore::token())),
            policy: Policy { retries: 0, ..Policy::default() },
            ..Environment::anonymous()
        };
        Self { sigstore, folder, environment }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn config(&self, more: &str) -> Config {
        let url = &self.sigstore.url;
        let (root, out) = (self.path("root.json"), self.path("out"));
        let text = format!(
            "artifacts.taskrun.storage=local\nartifacts.taskrun.format=slsa/v2alpha4\nartifacts.oci.storage=\nstorage.local.path={out}\n\
             signers.x509.fulcio.enabled=true\nsigners.x509.fulcio.address={url}\n\
             transparency.enabled=true\ntransparency.url={url}\nsigstore.trusted-root={root}\n{more}"
        );
        Config::read(&text).unwrap()
    }

    fn engine(&self, more: &str) -> Engine {
        engine(&self.config(more), &self.environment).unwrap()
    }
}

fn run(uid: &str) -> Run {
    let json = format!(
        r#"{{"apiVersion": "tekton.dev/v1", "kind": "TaskRun", "metadata": {{"name": "b", "uid": "{uid}"}},
            "status": {{"conditions": [{{"type": "Succeeded", "status": "True"}}]}}}}"#
    );
    Run::from_json(json.as_bytes()).unwrap()
}

async fn process(engine: &Engine, uid: &str) -> Report {
    engine.process(&run(uid), &Progress::default()).await
}

fn files(folder: &str, ending: &str) -> usize {
    let Ok(entries) = std::fs::read_dir(Path::new(folder)) else { return 0 };
    let each = entries.flatten().map(|entry| match entry.path() {
        path if path.is_dir() => files(&path.display().to_string(), ending),
        path => usize::from(path.display().to_string().ends_with(ending)),
    });
    each.sum()
}

#[tokio::test]
async fn nothing_is_asked_before_something_is_signed() {
    let scene = Scene::new();
    let engine = scene.engine("");
    assert_eq!((scene.sigstore.issued(), scene.sigstore.entries()), (0, 0));
    let report = process(&engine, "u1").await;
    assert!(
        report.is_done(),
        "{:?}",
        report.failures().map(|f| f.error.report()).collect::<Vec<_>>()
    );
    assert_eq!((scene.sigstore.issued(), scene.sigstore.entries()), (1, 1));
    let address = format!("{}/api/v1/log/entries?logIndex=0", scene.sigstore.url);
    assert_eq!(report.annotations()[annotations::TRANSPARENCY], address);
    assert_eq!(files(&scene.path("out"), ".crt"), 2, "the certificate and its chain");
}

#[tokio::test]
async fn one_certificate_is_for_many_runs_and_outlives_a_change_of_something_else() {
    let scene = Scene::new();
    let first = scene.engine("");
    for uid in ["u1", "u2", "u3"] {
        assert!(process(&first, uid).await.is_done());
    }
    let second = scene.engine("builder.id=https://another.example.com");
    drop(first);
    assert!(process(&second, "u4").await.is_done());
    assert_eq!((scene.sigstore.issued(), scene.sigstore.entries()), (1, 4));
    drop(second);
    let third = scene.engine("signers.x509.fulcio.audience=sigstore");
    assert!(process(&third, "u5").await.is_done());
    assert_eq!(scene.sigstore.issued(), 2, "nobody used the first any more");
}

#[tokio::test]
async fn starting_gets_the_certificate_in_the_background() {
    let scene = Scene::new();
    let engine = scene.engine("");
    engine.start();
    while scene.sigstore.issued() == 0 {
        tokio::task::yield_now().await;
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    assert!(process(&engine, "u1").await.is_done());
    assert_eq!(scene.sigstore.issued(), 1);
}

#[tokio::test]
async fn a_log_that_is_down_delays() {
    let scene = Scene::new();
    let engine = scene.engine("");
    scene.sigstore.set_down(true);
    let report = process(&engine, "u1").await;
    assert!(!report.is_done() && report.is_retryable());
    assert_eq!(files(&scene.path("out"), ".json"), 0, "nothing is stored before it is logged");
    scene.sigstore.set_down(false);
    let again = engine.process(&run("u1"), report.progress()).await;
    assert!(again.is_done() && again.targets[0].resumed);
    assert_eq!((scene.sigstore.issued(), scene.sigstore.entries()), (1, 1));
}

#[tokio::test]
async fn after_a_restart_what_was_logged_is_found_again() {
    let scene = Scene::new();
    // Something stands where the folder has to be.
    std::fs::write(scene.path("out"), "").unwrap();
    let report = process(&scene.engine(""), "u1").await;
    assert!(!report.is_done());
    assert_eq!((scene.sigstore.issued(), scene.sigstore.entries()), (1, 1));
    std::fs::remove_file(scene.path("out")).unwrap();
    let other = Environment { kept: chains_backends::Kept::default(), ..scene.environment.clone() };
    let engine = engine(&scene.config(""), &other).unwrap();
    let again = engine.process(&run("u1"), report.progress()).await;
    assert!(again.is_done() && again.targets[0].resumed);
    assert_eq!((scene.sigstore.issued(), scene.sigstore.entries()), (2, 1), "no second entry");
}

#[tokio::test]
async fn answers_that_do_not_hold_are_refused_with_the_reason() {
    for (wrong, words) in
        [(Wrong::Key, "checkpoint"), (Wrong::Proof, "inclusion proof"), (Wrong::Body, "entry body")]
    {
        let scene = Scene::new();
        scene.sigstore.do_wrong(wrong);
        let report = process(&scene.engine(""), "u1").await;
        let failure = report.failures().next().unwrap();
        assert_eq!(failure.error.kind(), ErrorKind::Verification, "{wrong:?}");
        let told = failure.error.report();
        assert!(
            told.contains(words) || told.contains("signed entry timestamp"),
            "{wrong:?}: {told}"
        );
        assert_eq!(files(&scene.path("out"), ".json"), 0);
    }
}

#[tokio::test]
async fn a_certificate_of_an_authority_that_is_not_trusted_signs_nothing() {
    let scene = Scene::new();
    let other = Sigstore::start();
    std::fs::write(scene.path("root.json"), other.trusted_root()).unwrap();
    let report = process(&scene.engine(""), "u1").await;
    let told = report.failures().next().unwrap().error.report();
    assert!(told.contains("it leads up to no trusted authority"), "{told}");
}

#[tokio::test]
async fn a_trusted_root_that_cannot_be_read_is_told_by_the_first_run() {
    let scene = Scene::new();
    std::fs::remove_file(scene.path("root.json")).unwrap();
    let report = process(&scene.engine(""), "u1").await;
    let told = report.failures().next().unwrap().error.report();
    assert!(told.contains("root.json"), "{told}");
}
