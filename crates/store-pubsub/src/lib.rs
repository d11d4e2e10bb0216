//! Sends records as messages: to Apache Kafka, or, for trials, to a queue in the process.
//!
//! ```text
//! key        taskrun-<uid>, pipelinerun-<uid>, or the first 12 hex digits of an image's digest
//! value      the signature: of a run the envelope as JSON, of an image the bare bytes
//! headers    payload     what was signed, base64
//!            signature   the same as the value
//! ```
//!
//! Value and headers are those of Tekton Chains; the key is ours.
//!
//! # Guarantees
//! - A message that was stored was acknowledged by every replica that is in sync (`acks=all`), in order within its
//!   partition. A broker that restarts meanwhile makes none of it twice: the producer is idempotent.
//! - The same record is sent once as long as the process lives and its last 4096 records are not over: it is told as
//!   already stored after that. That holds for callers at once, and for those that gave up waiting: what they had
//!   sent is waited for by the next.
//! - What waits to be sent is bounded: 64 MiB, and not longer than 50 seconds.
//!
//! # Caveats
//! A queue can't be looked into: where the outcome of a message stays unknown (the broker took it in and could not
//! say so for 40 seconds) or the process ends before it is told, the next attempt sends it again. Consumers that
//! must not see a record twice compare key and value: of the same record both are the same where the signature is
//! (ECDSA by a key at hand, RSA and Ed25519 always are).

mod in_memory;
mod kafka;
mod message;
mod options;
mod queue;
mod recent;
mod store;

pub use in_memory::InMemoryStore;
pub use options::{Compression, KafkaOptions, KafkaSasl, KafkaTls, SaslMechanism};
pub use store::KafkaStore;
