//! `pubsub`: a topic of Apache Kafka, or, for trials, a queue in the process.

use std::path::PathBuf;
use std::sync::Arc;

use chains_config::{Config, Kafka, KafkaCompression, KafkaSaslMechanism, PubSub, PubSubProvider};
use chains_core::{Error, ErrorKind, Result, Store};
use chains_store_pubsub::{
    Compression, InMemoryStore, KafkaOptions, KafkaSasl, KafkaStore, KafkaTls, SaslMechanism,
};

use crate::Environment;

/// What a store is made of. It is the same for every engine that is made of the same: so is its one producer, and what
/// it remembers to have sent.
type Inputs = (PubSub, Vec<PathBuf>);

pub(super) fn build(config: &Config, environment: &Environment) -> Result<Arc<dyn Store>> {
    let Some(section) = &config.storage.pubsub else {
        let why = "`storage.pubsub.provider`: must be set where `pubsub` is a store";
        return Err(Error::new(ErrorKind::Configuration, why));
    };
    let kept = &environment.kept;
    let inputs = (section.clone(), environment.ca_files.clone());
    Ok(match &section.provider {
        PubSubProvider::Kafka(kafka) => kept.get_or_make(inputs, |(section, ca_files)| {
            KafkaStore::new(options(&section.topic, kafka, ca_files))
        })?,
        _ => kept
            .get_or_make(inputs, |(section, _): &Inputs| Ok(InMemoryStore::new(&section.topic)))?,
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

#[cfg(test)]
mod tests {
    use super::*;

    const KAFKA: &str = "artifacts.taskrun.storage=kafka\nstorage.pubsub.provider=kafka\nstorage.pubsub.topic=runs\n\
         storage.pubsub.kafka.bootstrap.servers=a:1,b:2";

    fn config(text: &str) -> Config {
        Config::read(text).unwrap_or_else(|faults| panic!("{faults}"))
    }

    #[test]
    fn engines_of_the_same_have_the_same_store() {
        let environment = Environment::anonymous();
        let get = |text: &str| build(&config(text), &environment).expect("it is built");
        for text in [KAFKA, "storage.pubsub.provider=inmemory\nstorage.pubsub.topic=runs"] {
            let one = get(text);
            assert!(Arc::ptr_eq(&one, &get(&format!("{text}\nbuilder.id=other"))));
            assert!(!Arc::ptr_eq(&one, &get(&text.replace("=runs", "=others"))));
        }
        assert!(build(&config(""), &environment).is_err());
    }

    #[test]
    fn sections_become_options() {
        let secured = "storage.pubsub.kafka.compression=lz4\nstorage.pubsub.kafka.tls.enabled=true\n\
             storage.pubsub.kafka.sasl.mechanism=PLAIN\nstorage.pubsub.kafka.sasl.username=u\n\
             storage.pubsub.kafka.sasl.password-path=/p";
        let section = config(&format!("{KAFKA}\n{secured}")).storage.pubsub.expect("it is there");
        let PubSubProvider::Kafka(kafka) = section.provider else { panic!("it is Kafka") };
        let extra_ca_paths = vec![PathBuf::from("/ca")];
        let options = options(&section.topic, &kafka, &extra_ca_paths);
        assert_eq!(options.bootstrap_servers, ["a:1", "b:2"]);
        assert_eq!(options.compression, Compression::Lz4);
        assert_eq!(options.tls, Some(KafkaTls { ca_path: None, extra_ca_paths }));
        let (mechanism, username) = (SaslMechanism::Plain, "u".to_owned());
        let sasl = KafkaSasl { mechanism, username, password_path: "/p".into() };
        assert_eq!(options.sasl, Some(sasl));
    }
}
