//! `pubsub`: a topic of Apache Kafka, or, for trials, a queue in the process.

use std::path::PathBuf;
use std::sync::Arc;

use chains_config::{Config, Kafka, KafkaCompression, KafkaSaslMechanism, PubSub, PubSubProvider};
use chains_core::{Error, ErrorKind, Result, Store};
use chains_store_pubsub::{
    Compression, InMemoryStore, KafkaOptions, KafkaSasl, KafkaStore, KafkaTls, SaslMechanism,
};

use crate::Environment;
use crate::kept::Shelf;

/// What a store is made of.
type Inputs = (PubSub, Vec<PathBuf>);

/// Stores in use. They are the same for every engine that is made of the same: so is their one producer, and what they
/// remember to have sent.
#[derive(Default)]
pub(crate) struct Queues {
    kafka: Shelf<Inputs, KafkaStore>,
    in_memory: Shelf<Inputs, InMemoryStore>,
}

pub(super) fn build(config: &Config, environment: &Environment) -> Result<Arc<dyn Store>> {
    let Some(section) = &config.storage.pubsub else {
        let why = "`storage.pubsub.provider`: must be set where `pubsub` is a store";
        return Err(Error::new(ErrorKind::Configuration, why));
    };
    let kept = environment.kept.pubsub();
    let inputs = (section.clone(), environment.ca_files.clone());
    Ok(match &section.provider {
        PubSubProvider::Kafka(kafka) => kept.kafka.get_or_make(inputs, |(section, ca_files)| {
            KafkaStore::new(options(&section.topic, kafka, ca_files))
        })?,
        _ => kept
            .in_memory
            .get_or_make(inputs, |(section, _)| Ok(InMemoryStore::new(&section.topic)))?,
    })
}

fn options(topic: &str, kafka: &Kafka, ca_files: &[PathBuf]) -> KafkaOptions {
    KafkaOptions {
        topic: topic.to_owned(),
        bootstrap_servers: kafka.bootstrap_servers.clone(),
        compression: match kafka.compression {
            KafkaCompression::Gzip => Compression::Gzip,
            KafkaCompression::Snappy => Compression::Snappy,
            KafkaCompression::Lz4 => Compression::Lz4,
            _ => Compression::None,
        },
        tls: kafka.tls.as_ref().map(|tls| KafkaTls {
            ca_path: tls.ca_path.clone(),
            extra_ca_paths: ca_files.to_vec(),
        }),
        sasl: kafka.sasl.as_ref().map(|sasl| KafkaSasl {
            mechanism: match sasl.mechanism {
                KafkaSaslMechanism::ScramSha256 => SaslMechanism::ScramSha256,
                KafkaSaslMechanism::ScramSha512 => SaslMechanism::ScramSha512,
                // What is over TLS only is the one that gives nothing away by mistake.
                _ => SaslMechanism::Plain,
            },
            username: sasl.username.clone(),
            password_path: sasl.password_path.clone(),
        }),
    }
}
