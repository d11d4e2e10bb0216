//! What is built of a configuration is measured where a meter is given.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::sync::{Arc, Mutex};

use chains_backends::{Environment, engine};
use chains_config::Config;
use chains_core::Progress;
use chains_engine::{Call, Meter, Stage};
use chains_signer_x509::{KeyKind, KeyPair};
use chains_tekton::Run;

/// Keeps what it was told, without the durations.
#[derive(Debug, Default)]
struct Told(Mutex<Vec<(Stage, String, &'static str)>>);

impl Meter for Told {
    fn measured(&self, call: &Call<'_>) {
        self.0.lock().unwrap().push((call.stage, call.backend.to_owned(), call.outcome));
    }
}

#[tokio::test]
async fn signer_and_stores_are_measured() {
    let run = Run::from_json(
        br#"{"apiVersion": "tekton.dev/v1", "kind": "TaskRun", "metadata": {"name": "b", "uid": "u"},
            "status": {"conditions": [{"type": "Succeeded", "status": "True"}]}}"#,
    );
    let told = Arc::new(Told::default());
    let signer = KeyPair::generate(KeyKind::P256).unwrap().into_signer().unwrap();
    let environment = Environment {
        x509: Some(Arc::new(signer)),
        meter: Some(told.clone()),
        ..Environment::anonymous()
    };
    let engine = engine(&Config::read("").unwrap(), &environment).unwrap();
    let report = engine.process(&run.unwrap(), &Progress::default()).await;
    assert!(report.is_done());
    let expect =
        [(Stage::Sign, "x509".to_owned(), "ok"), (Stage::Store, "tekton".to_owned(), "on_run")];
    assert_eq!(*told.0.lock().unwrap(), expect);
}
