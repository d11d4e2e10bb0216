//! A queue in the process, for trials.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chains_core::dsse::Envelope;
use chains_core::{
    Capabilities, Error, ErrorKind, Outcome, ReadBack, ReadQuery, Record, Result, Signed, Store,
    Stored, Target,
};

use crate::message::{Message, PAYLOAD};
use crate::queue::Queue;
use crate::store::{Sender, identity};

/// How many messages are kept.
const MOST: usize = 1024;
/// How many bytes they may have.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// Keeps the last messages in memory: 1024 of them, and 16 MiB. Whoever shares it reads them; they end with it.
///
/// ```
/// use chains_core::Store as _;
/// use chains_store_pubsub::InMemoryStore;
/// assert_eq!(InMemoryStore::new("chains").name(), "pubsub");
/// ```
#[derive(Debug, Clone)]
pub struct InMemoryStore {
    sender: Arc<Sender>,
    memory: Arc<Memory>,
}

impl InMemoryStore {
    /// An empty topic.
    #[must_use]
    pub fn new(topic: impl Into<String>) -> Self {
        let memory = Arc::new(Memory { topic: topic.into(), kept: Mutex::default() });
        Self { sender: Arc::new(Sender::new(memory.clone())), memory }
    }
}

#[async_trait]
impl Store for InMemoryStore {
    fn name(&self) -> &str {
        identity().0
    }

    fn capabilities(&self) -> Capabilities {
        identity().1
    }

    /// # Errors
    /// [`TooLarge`](ErrorKind::TooLarge) where the message alone is over the limit.
    async fn put(&self, record: &Record) -> Result<Outcome> {
        self.sender.put(record).await
    }
}

#[async_trait]
impl ReadBack for InMemoryStore {
    /// # Errors
    /// [`Protocol`](ErrorKind::Protocol) where a message is none of ours.
    async fn read_back(&self, query: ReadQuery<'_>) -> Result<Vec<Stored>> {
        let kept = self.memory.kept();
        let of_key = kept.messages.iter().filter(|(_, message)| message.key == query.key.short);
        of_key.map(|(location, message)| stored(location, message, query.target)).collect()
    }
}

fn stored(location: &str, message: &Message, target: &Target) -> Result<Stored> {
    let odd = |error: &dyn std::error::Error| {
        Error::new(ErrorKind::Protocol, format!("reading the header {PAYLOAD} of {location}"))
            .with_source(error.to_string())
    };
    let payload = STANDARD.decode(&message.payload).map_err(|error| odd(&error))?;
    let signed = match Envelope::from_json(&message.body) {
        Ok(envelope) => Signed::Dsse(envelope),
        Err(error) if *target == Target::Run && message.body.starts_with(b"{") => {
            return Err(error);
        }
        Err(_) => Signed::Detached(message.body.clone()),
    };
    Ok(Stored {
        location: location.to_owned(),
        payload: payload.into(),
        signed: Some(signed),
        certificate: None,
        chain: None,
    })
}

#[derive(Debug)]
struct Memory {
    topic: String,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// Where, and what; oldest first.
    messages: VecDeque<(String, Message)>,
    bytes: usize,
    /// How many there ever were.
    count: u64,
}

impl Memory {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing within can fail halfway.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Queue for Memory {
    async fn send(&self, message: Message) -> Result<String> {
        let size = message.size();
        if size > MOST_BYTES {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("the message has {size} bytes, and the queue in memory holds {MOST_BYTES}"),
            ));
        }
        let mut kept = self.kept();
        let location = format!("mem://{}/{}", self.topic, kept.count);
        kept.count += 1;
        kept.bytes += size;
        kept.messages.push_back((location.clone(), message));
        while kept.messages.len() > MOST || kept.bytes > MOST_BYTES {
            let Some((_, oldest)) = kept.messages.pop_front() else { break };
            kept.bytes -= oldest.size();
        }
        Ok(location)
    }
}

#[cfg(test)]
mod tests {
    use chains_testkit::{fixture, store};

    use super::*;

    #[tokio::test]
    async fn it_keeps_the_contract() {
        store::read_back_suite(Arc::new(InMemoryStore::new("chains"))).await;
    }

    #[tokio::test]
    async fn it_resumes_wherever_it_is_broken_off() {
        store::resume_suite(Arc::new(InMemoryStore::new("chains")), store::signed_twice).await;
    }

    #[tokio::test]
    async fn it_keeps_the_last_messages_only() {
        let store = InMemoryStore::new("chains");
        for record in store::many(MOST + 1) {
            store.put(&record).await.unwrap();
        }
        assert_eq!(store.memory.kept().messages.len(), MOST);
        let read = async |name: &str| {
            let record = fixture::run_record(&fixture::run(name));
            store.read_back((&record).into()).await.unwrap().len()
        };
        assert_eq!((read("many-0").await, read("many-1").await), (0, 1));
    }
}
