//! The store keeps the contract of stores, and is made of what the configuration says.

use std::sync::Arc;

use chains_backends::{Environment, Registry};
use chains_config::{Config, Layers};
use chains_testkit::store;
use custom_backend::{CABINET, Cabinet, build};

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    store::read_back_suite(Arc::new(Cabinet::new(folder.path()))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_resumes_wherever_it_is_broken_off() {
    let folder = tempfile::tempdir().unwrap();
    store::resume_suite(Arc::new(Cabinet::new(folder.path())), store::signed_twice).await;
}

fn configured(text: &str) -> Result<Config, String> {
    let registry = Registry::default().with_store(&CABINET, build);
    let layers = Layers::new().extra_stores(registry.sections());
    let off =
        "artifacts.pipelinerun.storage=\nartifacts.oci.storage=\nartifacts.taskrun.signer=none";
    let config = layers.text(&format!("{off}\n{text}")).resolve().map_err(|e| e.to_string())?;
    let environment = Environment { registry, ..Environment::anonymous() };
    assert!(chains_backends::not_built_in(&config).is_empty());
    match chains_backends::engine(&config, &environment) {
        Ok(_) => Ok(config),
        Err(error) => Err(error.report()),
    }
}

#[test]
fn it_is_configured_as_strictly_as_others() {
    let storage = "artifacts.taskrun.storage=cabinet";
    let config = configured(&format!("{storage}\nstorage.cabinet.path=/srv/records")).unwrap();
    assert!(config.settings().iter().any(|setting| setting.key == "storage.cabinet.path"));
    for (text, told) in [
        ("", "`storage.cabinet.path`: must be set: `artifacts.taskrun.storage` names `cabinet`"),
        (
            "storage.cabinet.path=records",
            "`storage.cabinet.path`: \"records\" is not an absolute path",
        ),
        (
            "storage.cabinet.path=/srv\nstorage.cabinet.colour=red",
            "`storage.cabinet.colour`: unknown key: did you mean `storage.cabinet.path`?",
        ),
    ] {
        let refused = configured(&format!("{storage}\n{text}")).unwrap_err();
        assert!(refused.contains(told), "{refused}");
    }
}
