//! The signer `kms`, as far as it goes without a service.

#![cfg(feature = "kms-vault")]
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use chains_backends::{Environment, engine, not_built_in, signer};
use chains_config::{Config, SignerName};

const KMS: &str = "artifacts.taskrun.signer=kms\nsigners.kms.kmsref=hashivault://chains\n\
                   signers.kms.auth.address=http://127.0.0.1:1\nsigners.kms.auth.token=sesame";

#[test]
fn an_engine_is_built_without_asking_the_service() {
    let environment = Environment::anonymous();
    let only_kms = format!(
        "{KMS}\nartifacts.pipelinerun.storage=\nartifacts.oci.storage=\nartifacts.taskrun.storage=tekton"
    );
    let config = Config::read(&only_kms).unwrap();
    assert_eq!(not_built_in(&config), Vec::<String>::new());
    engine(&config, &environment).unwrap();
}

#[test]
fn a_reference_that_cannot_be_read_is_told() {
    let text = "artifacts.taskrun.signer=kms\nsigners.kms.kmsref=gcpkms://projects/p";
    let error =
        engine(&Config::read(text).unwrap(), &Environment::anonymous()).unwrap_err().report();
    assert!(error.contains("signers.kms.kmsref") && error.contains("locations"), "{error}");
}

#[tokio::test]
async fn a_service_that_does_not_answer_is_told_without_secrets() {
    let config = Config::read(KMS).unwrap();
    let environment = Environment {
        policy: chains_engine::Policy { retries: 0, ..chains_engine::Policy::default() },
        ..Environment::anonymous()
    };
    let signer = signer(SignerName::Kms, &config, &environment).unwrap().unwrap();
    let error = signer.sign(b"message").await.unwrap_err();
    assert!(error.is_retryable(), "{}", error.report());
    let told = format!("{} {error:?} {environment:?}", error.report());
    assert!(told.contains("hashivault://chains") && !told.contains("sesame"), "{told}");
}
