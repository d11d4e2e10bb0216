//! Unknown keys, values that must go together, and layers.

use super::{check, config};
use crate::{Config, Layers, Origin};

#[test]
fn unknown_keys_name_the_nearest() {
    for (given, nearest) in [
        ("artifacts.taskrun.fromat", "artifacts.taskrun.format"),
        ("artifact.pipelinerun.storage", "artifacts.pipelinerun.storage"),
        ("artifacts.pipelinerun.deep-inspection", "artifacts.pipelinerun.enable-deep-inspection"),
        ("Transparency.Enabled", "transparency.enabled"),
        ("transparency.enable", "transparency.enabled"),
        ("storage.gcs.buket", "storage.gcs.bucket"),
        ("storage.oci.repo.insecure", "storage.oci.repository.insecure"),
        ("signers.kms.kmsRef", "signers.kms.kmsref"),
        ("builder_id", "builder.id"),
    ] {
        let expect = format!("`{given}`: unknown key: did you mean `{nearest}`?");
        check(&format!("{given}=x"), &expect);
    }
    check("foo=x", "`foo`: unknown key");
    check(&format!("{}=x", "y".repeat(200)), &format!("`{}…`: unknown key", "y".repeat(120)));
}

#[test]
fn a_file_of_unknown_keys_is_told_soon() {
    let text: String = (0..100_000).map(|n| format!("transparency.{n}=x\n")).collect();
    let started = std::time::Instant::now();
    let faults = Config::read(&text).unwrap_err();
    assert_eq!(faults.iter().count(), 100_000);
    assert_eq!(faults.iter().filter(|fault| fault.suggestion.is_some()).count(), 100);
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

#[test]
fn retired_keys_name_their_successor() {
    check(
        "signers.kms.auth.token-dir=/etc/x",
        "`signers.kms.auth.token-dir`: a key of old releases that is no longer read: \
         did you mean `signers.kms.auth.token-path`?",
    );
}

#[test]
fn all_faults_are_told_at_once() {
    check(
        "artifacts.taskrun.format: slsa/v9\nartifacts.taskrun.storge: tekton\n\
         artifacts.oci.storage: archivista,gcs\nartifacts.oci.signer: kms\n\
         transparency.enabled: maybe\nstorage.archivista.url: nowhere\n",
        "
`artifacts.taskrun.storge`: unknown key: did you mean `artifacts.taskrun.storage`?
`artifacts.taskrun.format`: \"slsa/v9\" is not one of in-toto, slsa/v1, slsa/v2alpha3, slsa/v2alpha4, tekton
`storage.archivista.url`: \"nowhere\" is not a URL: relative URL without a base
`transparency.enabled`: \"maybe\" is none of true, false, manual
`artifacts.oci.storage`: an image signature is not a DSSE envelope, and `archivista` cannot hold it
`storage.gcs.bucket`: must be set: `artifacts.oci.storage` names `gcs`
`signers.kms.kmsref`: must be set: `artifacts.oci.signer` is `kms`",
    );
}

#[test]
fn faults_become_one_error() {
    let faults = config(&[("foo", "x"), ("transparency.enabled", "x")]).unwrap_err();
    let error = chains_core::Error::from(faults);
    assert_eq!(error.kind(), chains_core::ErrorKind::Configuration);
    assert_eq!(
        error.report(),
        "reading the configuration: `foo`: unknown key; \
         `transparency.enabled`: \"x\" is none of true, false, manual",
    );
}

#[test]
fn chosen_stores_and_signers_need_their_keys() {
    let run = "artifacts.taskrun.storage";
    check(
        &format!("{run}=gcs,docdb,grafeas,pubsub,archivista"),
        "
`storage.gcs.bucket`: must be set: `artifacts.taskrun.storage` names `gcs`
`storage.docdb.url`: must be set: `artifacts.taskrun.storage` names `docdb`
`storage.grafeas.projectid`: must be set: `artifacts.taskrun.storage` names `grafeas`
`storage.pubsub.provider`: must be set: `artifacts.taskrun.storage` names `pubsub`
`storage.pubsub.topic`: must be set: `artifacts.taskrun.storage` names `pubsub`
`storage.archivista.url`: must be set: `artifacts.taskrun.storage` names `archivista`",
    );
    check(
        "artifacts.pipelinerun.storage=kafka\nstorage.pubsub.provider=kafka\nstorage.pubsub.topic=t",
        "`storage.pubsub.kafka.bootstrap.servers`: must be set: `artifacts.pipelinerun.storage` \
         names `pubsub`",
    );
    check(
        "artifacts.taskrun.signer=kms\nsigners.kms.kmsref=hashivault://k\n\
         signers.kms.auth.spire.sock=unix:///s",
        "`signers.kms.auth.spire.audience`: must be set: `artifacts.taskrun.signer` is `kms`",
    );
    let kafka = "artifacts.taskrun.storage=kafka\nstorage.pubsub.topic=t\nstorage.pubsub.provider=kafka\n\
                 storage.pubsub.kafka.bootstrap.servers=a:1\nstorage.pubsub.kafka";
    check(
        &format!("{kafka}.sasl.mechanism=PLAIN"),
        "
`storage.pubsub.kafka.sasl.username`: must be set where there is `storage.pubsub.kafka.sasl.mechanism`
`storage.pubsub.kafka.sasl.password-path`: must be set where there is `storage.pubsub.kafka.sasl.mechanism`
`storage.pubsub.kafka.tls.enabled`: must be `true` with the mechanism `PLAIN`, which shows the password to \
         whoever listens: set it, or use `SCRAM-SHA-512`",
    );
    check(
        &format!("{kafka}.sasl.username=u\nstorage.pubsub.kafka.tls.ca-path=/ca.pem"),
        "
`storage.pubsub.kafka.tls.enabled`: must be `true` where `storage.pubsub.kafka.tls.ca-path` is set
`storage.pubsub.kafka.sasl.mechanism`: must be set where there is a user or a password: nobody logs in without it",
    );
    // What is turned off needs nothing.
    check("artifacts.taskrun.storage=\nartifacts.taskrun.signer=kms", "");
    check("artifacts.oci.storage=gcs\nartifacts.oci.signer=none", "");
    check("storage.docdb.mongo-server-url-dir=/x", "");
}

#[test]
fn unsigned_statements_go_where_they_can_be_held() {
    let unsigned = "artifacts.taskrun.signer=none\nartifacts.taskrun.storage";
    check(&format!("{unsigned}=tekton,local"), "");
    check(
        &format!("{unsigned}=gcs,docdb\nstorage.gcs.bucket=bucket\nstorage.docdb.url=mongo://a/b"),
        "",
    );
    for storage in ["oci", "grafeas", "pubsub", "archivista"] {
        check(
            &format!(
                "{unsigned}=tekton,{storage}\nstorage.grafeas.projectid=p\nstorage.pubsub.topic=t\n\
                 storage.pubsub.provider=inmemory\nstorage.archivista.url=http://a"
            ),
            &format!(
                "`artifacts.taskrun.signer`: `none` leaves statements unsigned, and `{storage}` \
                 cannot hold those"
            ),
        );
    }
}

#[test]
fn unsigned_images_are_images_left_alone() {
    // Documented by the reference: no image signatures, attestations all the same.
    let config = config(&[("artifacts.oci.signer", "none")]).unwrap();
    assert!(!config.artifacts.oci.is_enabled());
    assert!(config.artifacts.taskrun.is_enabled());
    assert_eq!(config.storages_in_use().len(), 1);
}

#[test]
fn status_payloads_go_where_no_statement_is_needed() {
    check("artifacts.taskrun.format=tekton\nartifacts.taskrun.storage=tekton,local", "");
    check(
        "artifacts.pipelinerun.format=tekton\nartifacts.pipelinerun.storage=oci,tekton",
        "`artifacts.pipelinerun.format`: `tekton` is no in-toto statement, and `oci` cannot hold it",
    );
}

#[test]
fn a_value_that_cannot_be_read_is_one_fault() {
    check(
        "artifacts.taskrun.storage=gcs\nstorage.gcs.bucket=gs://x",
        "`storage.gcs.bucket`: \"gs://x\" holds ':', allowed are a-z 0-9 - _ .",
    );
}

#[test]
fn later_layers_win_and_origins_are_kept() {
    let config = Layers::new()
        .text("artifacts.taskrun.format: slsa/v1\nartifacts.taskrun.storage: oci\nbuilder.id: x")
        .pairs(
            Origin::CommandLine,
            [
                ("artifacts.taskrun.storage".to_owned(), "local".to_owned()),
                ("builder.id".to_owned(), String::new()),
            ],
        )
        .resolve()
        .unwrap();
    let of = |key: &str| {
        let setting = config.settings().iter().find(|setting| setting.key == key).unwrap();
        (setting.value.clone().unwrap_or_default(), setting.origin)
    };
    assert_eq!(of("artifacts.taskrun.format"), ("slsa/v1".into(), Origin::File));
    assert_eq!(of("artifacts.taskrun.storage"), ("local".into(), Origin::CommandLine));
    assert_eq!(of("artifacts.taskrun.signer"), ("x509".into(), Origin::Default));
    assert_eq!(of("storage.gcs.bucket"), (String::new(), Origin::Default));
    assert_eq!(of("builder.id"), ("https://tekton.dev/chains/v2".into(), Origin::CommandLine));
}

#[test]
fn a_later_layer_mends_an_earlier_one() {
    let layers = Layers::new().text("transparency.enabled: maybe");
    let mended =
        layers.pairs(Origin::CommandLine, [("transparency.enabled".into(), "true".into())]);
    assert!(mended.resolve().is_ok());
}

#[test]
fn of_a_key_given_twice_the_last_counts() {
    let twice = [("builder.id", "a"), ("builder.id", "b")];
    assert_eq!(config(&twice).unwrap().builder_id, "b");
}

#[test]
fn settings_are_all_keys_in_the_order_of_the_table() {
    let config = Config::default();
    let keys: Vec<_> = config.settings().iter().map(|setting| setting.key).collect();
    assert_eq!(keys, crate::keys::all().map(|key| key.name).collect::<Vec<_>>());
}

#[test]
fn binary_data_is_told() {
    let keys = ["builder.id".to_owned()];
    let faults = Layers::new().binary(&keys).resolve().unwrap_err();
    let told = "`builder.id`: is in binaryData, which is not read: put it into data";
    assert_eq!(faults.to_string(), told);
    assert!(Layers::new().binary(&[]).resolve().is_ok());
}

#[test]
fn keyless_signatures_are_logged_before_they_are_stored() {
    let both = "signers.x509.fulcio.enabled=true\ntransparency.required=false";
    let faults = Config::read(both).unwrap_err().to_string();
    assert!(faults.starts_with("`transparency.required`: "), "{faults}");
    Config::read("transparency.required=false").unwrap();
    let by_key = "artifacts.taskrun.signer=kms\nartifacts.pipelinerun.signer=kms\nartifacts.oci.signer=kms\n\
                  signers.kms.kmsref=hashivault://k";
    Config::read(&format!("{both}\n{by_key}")).unwrap();
}

#[test]
fn keyless_signatures_in_rekor_v2_have_a_time_and_a_place() {
    let keyless =
        "signers.x509.fulcio.enabled=true\ntransparency.enabled=true\ntransparency.rekor-version=2";
    let faults = Config::read(keyless).unwrap_err().to_string();
    for key in ["`transparency.tsa.url`: must be set", "`storage.oci.encoding-format`: must be"] {
        assert!(faults.contains(key), "{faults}");
    }
    let bundles = "storage.oci.encoding-format=sigstore-bundle";
    let time =
        ["transparency.tsa.url=https://tsa.example.com", "sigstore.signing-config=/etc/s.json"];
    for time in time {
        Config::read(&format!("{keyless}\n{bundles}\n{time}")).unwrap();
    }
    Config::read("transparency.enabled=true\ntransparency.rekor-version=2").unwrap();
}
