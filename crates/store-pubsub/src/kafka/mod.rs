//! Apache Kafka. Nothing outside this folder knows the library.

mod fault;
mod link;
mod material;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chains_core::{Error, ErrorKind, Result};
use krafka::KrafkaError;
use krafka::producer::Producer;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::message::{Message, PAYLOAD, SIGNATURE};
use crate::options::{KafkaOptions, SaslMechanism};
use crate::queue::Queue;
use fault::About;
use material::Material;

/// What may take how long. Together they are less than the controller gives one attempt (a minute), so that what
/// is told in the end is why, and not that it took too long.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Making a connection, and one request over it.
    connect: Duration,
    request: Duration,
    /// Until the topic is known and there is room for the message.
    block: Duration,
    /// From then until all replicas have it; brokers may restart meanwhile.
    delivery: Duration,
}

const LIMITS: Limits = Limits {
    connect: Duration::from_secs(5),
    request: Duration::from_secs(10),
    block: Duration::from_secs(10),
    delivery: Duration::from_secs(40),
};

/// A topic of Kafka.
#[derive(Debug)]
pub(crate) struct KafkaQueue {
    about: About,
    limits: Limits,
    /// One producer is kept: sequence numbers, by which brokers tell what came twice, are its.
    link: Mutex<Link>,
}

/// What there is of a connection.
#[derive(Debug, Default)]
enum Link {
    #[default]
    None,
    Up {
        producer: Arc<Producer>,
        material: Material,
    },
    /// Whoever waited for this attempt meanwhile is told the same, and makes none of his own.
    Failed {
        at: Instant,
        error: KrafkaError,
    },
}

impl KafkaQueue {
    pub(crate) fn new(options: KafkaOptions) -> Result<Self> {
        Self::with_limits(options, LIMITS)
    }

    fn with_limits(options: KafkaOptions, limits: Limits) -> Result<Self> {
        let refused = |why: &str| Err(Error::new(ErrorKind::Configuration, why));
        if options.bootstrap_servers.is_empty() {
            return refused("`storage.pubsub.kafka.bootstrap.servers` names no broker");
        }
        let plain = options.sasl.as_ref().is_some_and(|it| it.mechanism == SaslMechanism::Plain);
        if plain && options.tls.is_none() {
            return refused(
                "the mechanism `PLAIN` shows the password to whoever listens: set \
                 `storage.pubsub.kafka.tls.enabled`, or use `SCRAM-SHA-512`",
            );
        }
        Ok(Self { about: About::new(options), limits, link: Mutex::default() })
    }

    /// The producer that is kept, or a new one where there is none or its password or authorities have changed.
    async fn producer(&self) -> Result<Arc<Producer>> {
        let arrived = Instant::now();
        let mut link = self.link.lock().await;
        // Read in turn: whoever read before a rotation must not connect after it.
        let material = match (Material::read(&self.about.options).await, &*link) {
            (Ok(material), _) => material,
            // A Secret is for a moment not there while it is replaced; what was there still lets us in.
            (Err(error), Link::Up { producer, .. }) => {
                let error = error.report();
                tracing::warn!(error, "going on with the connection to Kafka that is there");
                return Ok(Arc::clone(producer));
            }
            (Err(error), _) => return Err(error),
        };
        match &*link {
            Link::Up { producer, material: of_producer } if *of_producer == material => {
                return Ok(Arc::clone(producer));
            }
            Link::Failed { at, error } if *at > arrived => {
                return Err(self.about.failed(error.clone()));
            }
            Link::Up { .. } => {
                tracing::info!("password or authorities for Kafka have changed: connecting anew");
            }
            Link::Failed { .. } | Link::None => {}
        }
        match link::connect(&self.about.options, &material, self.limits).await {
            Ok(producer) => {
                let producer = Arc::new(producer);
                *link = Link::Up { producer: Arc::clone(&producer), material };
                Ok(producer)
            }
            Err(error) => {
                *link = Link::Failed { at: Instant::now(), error: error.clone() };
                Err(self.about.failed(error))
            }
        }
    }

    /// Gives up a producer that cannot go on; the next message makes another.
    async fn give_up(&self, spent: &Arc<Producer>) {
        let mut link = self.link.lock().await;
        if matches!(&*link, Link::Up { producer, .. } if Arc::ptr_eq(producer, spent)) {
            *link = Link::None;
        }
    }
}

#[async_trait]
impl Queue for KafkaQueue {
    async fn send(&self, message: Message) -> Result<String> {
        let producer = self.producer().await?;
        let size = message.size();
        let record = krafka::Record::new(self.about.options.topic.as_str(), message.body.clone())
            .key(message.key)
            .header(PAYLOAD, message.payload)
            .header(SIGNATURE, message.body);
        match producer.send(record).await {
            Ok(sent) => Ok(self.about.location(&sent)),
            Err(error) => {
                if fault::ends_producer(&error) {
                    self.give_up(&producer).await;
                }
                Err(self.about.not_sent(error, size))
            }
        }
    }
}
