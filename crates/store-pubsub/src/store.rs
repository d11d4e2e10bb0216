//! The store over a queue: what is the same whichever queue it is.

use std::sync::Arc;

use async_trait::async_trait;
use chains_core::{Capabilities, Error, ErrorKind, Outcome, Record, Result, Store, Target};

use crate::kafka::KafkaQueue;
use crate::message::Message;
use crate::options::KafkaOptions;
use crate::queue::Queue;
use crate::recent::Recent;

/// The name in the configuration.
const NAME: &str = "pubsub";
/// There is no message without a signature.
const CAPABILITIES: Capabilities = Capabilities { dsse: true, detached: true, unsigned: false };

/// Sends to a queue each message once, as far as can be known.
#[derive(Debug)]
pub(crate) struct Sender {
    queue: Arc<dyn Queue>,
    recent: Recent,
}

impl Sender {
    pub(crate) fn new(queue: Arc<dyn Queue>) -> Self {
        Self { queue, recent: Recent::default() }
    }

    pub(crate) async fn put(&self, record: &Record) -> Result<Outcome> {
        let about = |error: Error| {
            let run = &record.run;
            error.context(match &record.target {
                Target::Run => format!("sending what is signed of {run}"),
                image @ Target::Image(_) => format!("sending the signature of {image}, of {run}"),
            })
        };
        let message = Message::of(record).map_err(about)?;
        let turn = self.recent.turn(message.fingerprint()).await;
        if let Some(location) = turn.location() {
            return Ok(Outcome::AlreadyStored { location });
        }
        let queue = Arc::clone(&self.queue);
        // What is handed to a queue is sent whether or not the caller still waits: so its outcome is waited for, and
        // the turn kept, by a task of its own.
        let sending = tokio::spawn(async move {
            let location = queue.send(message).await?;
            turn.sent(&location);
            Ok(location)
        });
        let sent = sending.await.map_err(|error| {
            Error::new(ErrorKind::Internal, "sending a message").with_source(error)
        });
        let location = sent.flatten().map_err(about)?;
        Ok(Outcome::Stored { location })
    }
}

/// Sends records to a topic of Apache Kafka.
///
/// ```
/// use chains_store_pubsub::{Compression, KafkaOptions, KafkaStore};
///
/// let store = KafkaStore::new(KafkaOptions {
///     topic: "chains".into(),
///     bootstrap_servers: vec!["kafka-0:9092".into(), "kafka-1:9092".into()],
///     compression: Compression::None,
///     tls: None,
///     sasl: None,
/// })?;
/// # Ok::<(), chains_core::Error>(())
/// ```
#[derive(Debug)]
pub struct KafkaStore(Sender);

impl KafkaStore {
    /// Speaks to nobody yet: connects when the first record comes.
    ///
    /// # Errors
    /// [`Configuration`](ErrorKind::Configuration) where there is no broker to ask, or a password would be shown to
    /// whoever listens.
    pub fn new(options: KafkaOptions) -> Result<Self> {
        Ok(Self(Sender::new(Arc::new(KafkaQueue::new(options)?))))
    }
}

#[async_trait]
impl Store for KafkaStore {
    fn name(&self) -> &str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) where the topic is missing,
    /// [`Unauthorized`](ErrorKind::Unauthorized) where the broker does not let us in or write,
    /// [`TooLarge`](ErrorKind::TooLarge) where the broker takes no message of this size,
    /// [`Unavailable`](ErrorKind::Unavailable) and [`Timeout`](ErrorKind::Timeout) where no broker answers.
    async fn put(&self, record: &Record) -> Result<Outcome> {
        self.0.put(record).await
    }
}

/// The same for every queue.
pub(crate) const fn identity() -> (&'static str, Capabilities) {
    (NAME, CAPABILITIES)
}
