//! A producer, from options and what is secret of them.

use krafka::auth::{AuthConfig, TlsConfig};
use krafka::producer::{Acks, Producer};
use krafka::{Compression as Codec, Kafka, KrafkaError};

use super::Limits;
use super::material::Material;
use crate::options::{Compression, KafkaOptions, SaslMechanism};

/// How we call ourselves in the broker's logs and quotas.
const CLIENT_ID: &str = "tekton-chains";
/// The largest message. A broker takes 1 MiB by default, and seldom more than some.
const MOST_OF_ONE: usize = 32 * 1024 * 1024;
/// Messages that wait to be sent, together.
const MOST_WAITING: usize = 64 * 1024 * 1024;
/// The largest answer of a broker: they are small but for lists of thousands of partitions.
const MOST_OF_AN_ANSWER: usize = 16 * 1024 * 1024;

/// Connects to the first broker that answers.
pub(super) async fn connect(
    options: &KafkaOptions,
    material: &Material,
    limits: Limits,
) -> Result<Producer, KrafkaError> {
    let kafka = Kafka::builder(options.bootstrap_servers.join(","))
        .client_id(CLIENT_ID)
        .security(security(options, material))
        .connect_timeout(limits.connect)
        .request_timeout(limits.request)
        // As the reference: a broker that makes topics when they are first used goes on to do so.
        .allow_auto_create_topics(true)
        .max_response_size(MOST_OF_AN_ANSWER)
        .connect()
        .await?;
    kafka
        .producer()
        .acks(Acks::All)
        .idempotent(true)
        .compression(codec(options.compression))
        .max_block(limits.block)
        .delivery_timeout(limits.delivery)
        .buffer_memory(MOST_WAITING)
        .max_request_size(MOST_OF_ONE)
        // What is measured of Chains is told by Chains.
        .metrics_push(false)
        .build()
        .await
}

fn security(options: &KafkaOptions, material: &Material) -> AuthConfig {
    let plain = match (&options.sasl, &material.password) {
        (Some(sasl), Some(password)) => {
            let (username, password) = (&sasl.username, password.expose());
            match sasl.mechanism {
                SaslMechanism::Plain => AuthConfig::sasl_plain(username, password),
                SaslMechanism::ScramSha256 => AuthConfig::sasl_scram_sha256(username, password),
                SaslMechanism::ScramSha512 => AuthConfig::sasl_scram_sha512(username, password),
            }
        }
        _ => AuthConfig::plaintext(),
    };
    let Some(tls) = &options.tls else { return plain };
    let mut trust = TlsConfig::new();
    if tls.ca_path.is_none() {
        trust = trust.with_native_roots();
    }
    if !material.authorities.is_empty() {
        trust = trust.with_ca_cert_pem(material.authorities.clone());
    }
    plain.with_tls(trust)
}

const fn codec(compression: Compression) -> Codec {
    match compression {
        Compression::None => Codec::None,
        Compression::Gzip => Codec::Gzip,
        Compression::Snappy => Codec::Snappy,
        Compression::Lz4 => Codec::Lz4,
    }
}
