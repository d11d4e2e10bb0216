//! What there is to set.

use std::path::PathBuf;

/// How to speak to Apache Kafka, and where to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaOptions {
    /// The topic.
    pub topic: String,
    /// Brokers to ask first, each `HOST:PORT`; at least one.
    pub bootstrap_servers: Vec<String>,
    /// How messages are compressed.
    pub compression: Compression,
    /// Over TLS; `None` is plain text.
    pub tls: Option<KafkaTls>,
    /// Who we are; `None` is nobody.
    pub sasl: Option<KafkaSasl>,
}

/// How messages are compressed; every consumer reads all of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all, as the reference does it.
    #[default]
    None,
    /// gzip.
    Gzip,
    /// Snappy.
    Snappy,
    /// LZ4.
    Lz4,
}

/// Whom to trust.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KafkaTls {
    /// PEM of the only authorities that are trusted; `None` means the system's, and `extra_ca_paths`.
    pub ca_path: Option<PathBuf>,
    /// PEM of authorities to trust besides the system's.
    pub extra_ca_paths: Vec<PathBuf>,
}

/// How to log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaSasl {
    /// How the password is shown.
    pub mechanism: SaslMechanism,
    /// The user.
    pub username: String,
    /// A file that holds the password; read again before each message.
    pub password_path: PathBuf,
}

/// How a password is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SaslMechanism {
    /// As it is: over TLS only.
    Plain,
    /// A proof that one has it, with SHA-256.
    ScramSha256,
    /// A proof that one has it, with SHA-512.
    ScramSha512,
}
