//! Every row takes its good values, refuses its bad ones, and fills its place.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Duration;

use proptest::prelude::*;

use super::config;
use super::samples::ROWS;
use crate::keys;
use crate::{
    BuildType, Config, EncodingFormat, FormatName, FulcioProvider, KafkaCompression,
    KafkaSaslMechanism, KafkaTls, KmsScheme, Origin, PubSubProvider, SignerName, StorageName,
    TransparencyMode, X509Key,
};

/// What the cross checks ask for beside the key under test, where its value is good.
const NEEDED: &[(&str, &str)] = &[
    ("storage.pubsub.provider", "inmemory"),
    ("storage.pubsub.topic", "t"),
    ("signers.kms.kmsref", "hashivault://k"),
];

fn with_needed(key: &'static str, value: &str) -> Vec<(String, String)> {
    let needed = NEEDED.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    needed.chain([(key.to_owned(), value.to_owned())]).collect()
}

#[test]
fn every_row_is_covered() {
    let table: Vec<_> = keys::all().map(|key| key.name).collect();
    let tested: BTreeSet<_> = ROWS.iter().map(|row| row.0).collect();
    assert_eq!(table.iter().copied().collect::<BTreeSet<_>>(), tested);
    assert_eq!(table.len(), tested.len(), "a key is in the table twice");
}

#[test]
fn good_values_are_taken_and_shown() {
    for (name, good, _) in ROWS {
        let key = keys::all().find(|key| key.name == *name).unwrap();
        for value in *good {
            let config = Config::from_pairs(with_needed(name, value))
                .unwrap_or_else(|faults| panic!("{name}={value:?}: {faults}"));
            let setting = config.settings().iter().find(|setting| setting.key == *name).unwrap();
            assert_eq!(setting.origin, Origin::File, "{name}={value:?}");
            let expected = match value.trim() {
                _ if key.secret => Some("[redacted]"),
                "" if !key.may_be_empty => key.default.value(),
                text => Some(text),
            };
            assert_eq!(setting.value.as_deref(), expected, "{name}={value:?}");
        }
    }
}

#[test]
fn first_good_value_changes_the_configuration() {
    for (name, good, _) in ROWS.iter().filter(|row| row.0 != "artifacts.oci.format") {
        let mut changed = Config::from_pairs(with_needed(name, good[0])).unwrap();
        let mut without = config(NEEDED).unwrap();
        changed.settings.clear();
        without.settings.clear();
        // These sections are only there with what a store or signer requires.
        let lonely = [
            "storage.azblob",
            "storage.s3",
            "storage.docdb.mongo",
            "storage.grafeas.endpoint",
            "storage.grafeas.note",
            "storage.pubsub.kafka",
            "signers.kms.auth.spire.audience",
        ];
        if !lonely.iter().any(|lonely| name.starts_with(lonely))
            && !NEEDED.contains(&(*name, good[0]))
        {
            assert_ne!(without, changed, "{name}={:?} goes nowhere", good[0]);
        }
    }
}

#[test]
fn bad_values_name_key_value_and_what_is_allowed() {
    for (name, _, bad) in ROWS {
        let key = keys::all().find(|key| key.name == *name).unwrap();
        for value in *bad {
            let faults = Config::from_pairs(with_needed(name, value))
                .expect_err(&format!("{name}={value:?} is taken"));
            let faults: Vec<_> = faults.iter().collect();
            assert_eq!(faults.len(), 1, "{name}={value:?}: {faults:?}");
            let fault = faults[0];
            assert_eq!(fault.key.as_deref(), Some(*name));
            let shown = fault.message.starts_with(&format!("{:?} ", value.trim()));
            assert_eq!(shown, !key.secret, "{name}={value:?}: {fault}");
            assert!(!fault.message.contains("hunter2"), "{fault}");
            assert!(fault.message.len() > value.len() + 5, "{fault}");
        }
    }
}

#[track_caller]
fn is<T: PartialEq + Debug>(pairs: &[(&str, &str)], place: impl Fn(&Config) -> T, expect: T) {
    assert_eq!(place(&config(pairs).unwrap()), expect, "{pairs:?}");
}

#[test]
fn defaults_are_those_of_the_reference() {
    is(&[], |c| c.artifacts.taskrun.format, FormatName::InToto);
    is(&[], |c| c.artifacts.pipelinerun.format, FormatName::InToto);
    is(&[], |c| c.artifacts.oci.format, FormatName::SimpleSigning);
    is(&[], |c| c.artifacts.taskrun.storage.clone(), [StorageName::Tekton].into());
    is(&[], |c| c.artifacts.pipelinerun.storage.clone(), [StorageName::Tekton].into());
    is(&[], |c| c.artifacts.oci.storage.clone(), [StorageName::Oci].into());
    is(&[], |c| c.artifacts.oci.signer, SignerName::X509);
    is(&[], |c| c.artifacts.deep_inspection, false);
    is(&[], |c| c.artifacts.images_from_pipelinerun_results, false);
    is(&[], |c| c.builder_id.clone(), "https://tekton.dev/chains/v2".into());
    is(&[], |c| c.build_type, BuildType::Slsa);
    is(&[], |c| c.storage.oci.encoding, EncodingFormat::Dsse);
    is(&[], |c| c.storage.oci.insecure, false);
    is(&[], |c| c.transparency.mode, TransparencyMode::Disabled);
    is(&[], |c| c.transparency.url.to_string(), "https://rekor.sigstore.dev".into());
    is(&[], |c| c.signers.x509.fulcio.enabled, false);
    is(&[], |c| c.signers.x509.fulcio.provider, None);
    is(&[], |c| c.signers.x509.fulcio.address.to_string(), "https://fulcio.sigstore.dev".into());
    is(&[], |c| c.retry.limit, 3);
    is(&[], |c| c.retry.total_time, Duration::from_mins(10));
    is(&[], |c| c.signers.x509.key.clone(), None);
    is(&[], |c| c.signers.kms.is_none(), true);
    is(&[], |c| c.storage.pubsub.is_none(), true);
}

#[test]
fn values_are_typed() {
    is(&[("transparency.enabled", "True")], |c| c.transparency.mode, TransparencyMode::Enabled);
    is(&[("transparency.enabled", "0")], |c| c.transparency.mode, TransparencyMode::Disabled);
    let kafka = [
        ("artifacts.taskrun.storage", "kafka,tekton,pubsub"),
        ("storage.pubsub.provider", "kafka"),
        ("storage.pubsub.topic", "t"),
        ("storage.pubsub.kafka.bootstrap.servers", "a:1, b:2"),
    ];
    is(
        &kafka,
        |c| c.storages_in_use().into_iter().collect(),
        vec![StorageName::Tekton, StorageName::Oci, StorageName::PubSub],
    );
    let section = |c: &Config| match c.storage.pubsub.clone().unwrap().provider {
        PubSubProvider::Kafka(kafka) => kafka,
        other @ PubSubProvider::InMemory => panic!("{other:?}"),
    };
    is(&kafka, |c| section(c).bootstrap_servers, vec!["a:1".into(), "b:2".into()]);
    is(&kafka, |c| (section(c).tls, section(c).sasl), (None, None));
    let secured = [
        ("storage.pubsub.kafka.compression", "lz4"),
        ("storage.pubsub.kafka.tls.enabled", "true"),
        ("storage.pubsub.kafka.sasl.mechanism", "SCRAM-SHA-512"),
        ("storage.pubsub.kafka.sasl.username", "chains"),
        ("storage.pubsub.kafka.sasl.password-path", "/p"),
    ];
    let secured = [&kafka[..], &secured].concat();
    is(&secured, |c| section(c).compression, KafkaCompression::Lz4);
    is(&secured, |c| section(c).tls, Some(KafkaTls { ca_path: None }));
    is(&secured, |c| section(c).sasl.unwrap().mechanism, KafkaSaslMechanism::ScramSha512);
    is(&secured, |c| section(c).sasl.unwrap().password_path, "/p".into());
    let provider = [("signers.x509.fulcio.provider", "spiffe")];
    is(&provider, |c| c.signers.x509.fulcio.provider, Some(FulcioProvider::Spiffe));
    let kms = [("signers.kms.kmsref", "awskms:///alias/a")];
    is(&kms, |c| c.signers.kms.clone().unwrap().key.scheme(), KmsScheme::Aws);
    is(&kms, |c| c.signers.kms.clone().unwrap().key.rest().to_owned(), "/alias/a".into());
    let slash = [("transparency.url", "https://a.example.com/")];
    is(&slash, |c| c.transparency.url.as_str().to_owned(), "https://a.example.com".into());
    let time = |text: &'static str, seconds| {
        is(&[("retry.total-time", text)], |c| c.retry.total_time, Duration::from_secs(seconds));
    };
    time("90s", 90);
    time("1h30m", 5400);
    time("1h1s", 3601);
    let secret = [("signers.x509.key", "k8s://a/b.c")];
    let (namespace, name) = ("a".to_owned(), "b.c".to_owned());
    is(&secret, |c| c.signers.x509.key.clone(), Some(X509Key::Secret { namespace, name }));
    let folder = [("signers.x509.key", "/etc/keys")];
    is(&folder, |c| c.signers.x509.key.clone(), Some(X509Key::Folder("/etc/keys".into())));
    let managed = [("filter.managed-by", "a, b")];
    for (value, accepted) in [
        (None, true),
        (Some(""), true),
        (Some("tekton.dev/pipeline"), true),
        (Some("a"), true),
        (Some("c"), false),
    ] {
        is(&managed, |c| c.filter.accepts(value), accepted);
    }
}

#[test]
fn secrets_never_show() {
    let secrets = [
        ("signers.kms.kmsref", "hashivault://k"),
        ("signers.kms.auth.token", "hunter2"),
        ("storage.docdb.url", "mongo://db/runs"),
        ("storage.docdb.mongo-server-url", "mongodb://u:hunter2@h/db"),
        ("storage.archivista.url", "https://u:hunter2@archivista.example.com/x@y"),
    ];
    let config = config(&secrets).unwrap();
    let shown = format!("{config:?} {:?}", config.settings());
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("https://[redacted]@archivista.example.com/x@y"), "{shown}");
    assert_eq!(config.signers.kms.unwrap().auth.token.unwrap().expose(), "hunter2");
    let url = config.storage.archivista.unwrap().url;
    assert_eq!(url.as_str(), "https://u:hunter2@archivista.example.com/x@y");
}

#[test]
fn addresses_of_buckets_hold_no_credentials() {
    for (name, variable) in [
        ("storage.s3.endpoint", "AWS_ACCESS_KEY_ID"),
        ("storage.azblob.endpoint", "AZURE_STORAGE_SAS_TOKEN"),
    ] {
        for bad in [
            "https://u:hunter2@example.com",
            "https://example.com/a?sv=1&sig=hunter2",
            "https://example.com/#hunter2",
        ] {
            let told = config(&[(name, bad)]).unwrap_err().to_string();
            assert!(!told.contains("hunter2"), "{told}");
            assert!(told.contains(name) && told.contains(variable), "{told}");
        }
        // Nor are they shown where the address is refused for another reason.
        let told = config(&[(name, "example.com/?sig=hunter2")]).unwrap_err().to_string();
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn documentation_has_every_key_in_a_table_that_holds() {
    let page = crate::docs_table();
    for key in keys::all() {
        assert_eq!(page.matches(&format!("\n| `{}`", key.name)).count(), 1, "{}", key.name);
    }
    for line in page.lines().filter(|line| line.starts_with('|')) {
        assert_eq!(line.matches('|').count(), 5, "{line}");
    }
}

fn key() -> impl Strategy<Value = String> {
    let names: Vec<_> = keys::all().map(|key| key.name.to_owned()).collect();
    prop_oneof![8 => proptest::sample::select(names), 1 => ".*", 1 => "[a-z]{1,9}(\\.[a-z]{1,9}){0,3}"]
}

fn value() -> impl Strategy<Value = String> {
    let values: Vec<_> = ROWS
        .iter()
        .flat_map(|row| row.1.iter().chain(row.2))
        .map(|value| (*value).to_owned())
        .collect();
    prop_oneof![8 => proptest::sample::select(values), 1 => ".*", 1 => "[a-z:/,. ]{0,20}"]
}

proptest! {
    #[test]
    fn any_pairs_parse_or_every_fault_names_a_key(
        pairs in proptest::collection::vec((key(), value()), 0..12)
    ) {
        match Config::from_pairs(pairs.clone()) {
            Ok(config) => {
                for storage in config.storages_in_use() {
                    let section = match storage {
                        StorageName::Gcs => config.storage.gcs.is_some(),
                        StorageName::S3 => config.storage.s3.is_some(),
                        StorageName::AzBlob => config.storage.azblob.is_some(),
                        StorageName::DocDb => config.storage.docdb.is_some(),
                        StorageName::Grafeas => config.storage.grafeas.is_some(),
                        StorageName::PubSub => config.storage.pubsub.is_some(),
                        StorageName::Archivista => config.storage.archivista.is_some(),
                        _ => true,
                    };
                    prop_assert!(section, "{storage} is in use and has no section");
                }
                let kms = config.signers_in_use().contains(&SignerName::Kms);
                prop_assert!(!kms || config.signers.kms.is_some());
            }
            Err(faults) => {
                prop_assert!(faults.iter().count() > 0);
                for fault in &faults {
                    prop_assert!(fault.key.is_some(), "{fault}");
                    prop_assert!(!fault.message.is_empty());
                }
            }
        }
    }

    #[test]
    fn any_text_is_read_without_panic(text in ".*|(.|\n){0,200}|([a-z.]{1,9}[:=] ?[a-z{}\\[\\]'\"&*!|>-]{0,9}\n){0,9}") {
        let _ = Config::read(&text);
    }
}
