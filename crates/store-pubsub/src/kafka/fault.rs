//! What went wrong, in our words: what was attempted on what, why, and what to do about it.

use std::error::Error as StdError;
use std::fmt;

use chains_core::{Error, ErrorKind, chain};
use krafka::KrafkaError;
use krafka::error::{ErrorCode, ProtocolErrorKind};
use krafka::producer::RecordMetadata;

use crate::options::KafkaOptions;

/// How much of an error is told, in characters.
const MAX_TOLD: usize = 400;

/// Whom we speak to, for what is told.
#[derive(Debug)]
pub(super) struct About {
    pub(super) options: KafkaOptions,
}

/// Kind, whether a later attempt may succeed, and what to do.
type Verdict = (ErrorKind, bool, String);

impl About {
    pub(super) const fn new(options: KafkaOptions) -> Self {
        Self { options }
    }

    /// Where a message is.
    pub(super) fn location(&self, sent: &RecordMetadata) -> String {
        let topic = &self.options.topic;
        let place = format!("kafka://{topic}/{}", sent.partition);
        // A broker that had it from an earlier attempt does not say where.
        if sent.is_success() { format!("{place}/{}", sent.offset) } else { place }
    }

    /// No connection came about.
    pub(super) fn failed(&self, error: KrafkaError) -> Error {
        self.told("connecting to", error, 0)
    }

    /// A message of so many bytes was not sent.
    pub(super) fn not_sent(&self, error: KrafkaError, size: usize) -> Error {
        self.told("sending to", error, size)
    }

    fn told(&self, doing: &str, error: KrafkaError, size: usize) -> Error {
        let (kind, retryable, advice) = self.verdict(&error, size);
        let servers = self.options.bootstrap_servers.join(", ");
        let what = format!("{doing} the topic {} of Kafka at {servers}", self.options.topic);
        Error::new(kind, what)
            .with_source(Advised { advice, cause: Cause::of(&error) })
            .with_retryable(retryable)
    }

    fn verdict(&self, error: &KrafkaError, size: usize) -> Verdict {
        let of_kind = |kind: ErrorKind, advice: String| (kind, kind.is_retryable(), advice);
        match error {
            KrafkaError::Auth { message, .. } => {
                // The library keeps the cause of a failed handshake of TLS, and has none of SASL's.
                let cause = error.source().and_then(StdError::source);
                self.not_trusted(message, cause.is_some_and(|cause| cause.is::<std::io::Error>()))
            }
            KrafkaError::UnknownTopic { .. } => of_kind(ErrorKind::NotFound, self.no_topic()),
            KrafkaError::Broker { code, .. } => self.refused(*code, size),
            KrafkaError::Network(_) => of_kind(ErrorKind::Unavailable, self.no_answer()),
            KrafkaError::Timeout { .. } => of_kind(ErrorKind::Timeout, self.no_answer()),
            KrafkaError::DeliveryTimeout { possibly_written: true, .. } => of_kind(
                ErrorKind::Timeout,
                "the brokers did not say in time whether they keep the message: the next attempt may send it \
                 a second time"
                    .to_owned(),
            ),
            KrafkaError::DeliveryTimeout { .. } => of_kind(ErrorKind::Timeout, self.no_answer()),
            KrafkaError::Config { message } if message.contains("max_request_size") => {
                of_kind(ErrorKind::TooLarge, too_large(size))
            }
            KrafkaError::Protocol { kind: ProtocolErrorKind::FrameTooLarge, .. } if size > 0 => {
                of_kind(ErrorKind::TooLarge, too_large(size))
            }
            KrafkaError::Protocol { .. } => of_kind(
                ErrorKind::Protocol,
                "the answer is none of Kafka's, or of a release that is not spoken here (2.1 and later are): \
                 check `storage.pubsub.kafka.bootstrap.servers`"
                    .to_owned(),
            ),
            KrafkaError::Config { .. } => {
                of_kind(ErrorKind::Configuration, "check `storage.pubsub.kafka.*`".to_owned())
            }
            // The producer is spent, and the next attempt has another.
            _ => of_kind(ErrorKind::Unavailable, "the connection cannot go on; another is made".to_owned()),
        }
    }

    /// Either side does not let the other in.
    fn not_trusted(&self, message: &str, tls: bool) -> Verdict {
        let KafkaOptions { tls: trust, sasl, .. } = &self.options;
        if tls {
            let roots = match trust.as_ref().and_then(|trust| trust.ca_path.as_ref()) {
                Some(path) => format!("{} (`storage.pubsub.kafka.tls.ca-path`)", path.display()),
                None => "the system's authorities; `storage.pubsub.kafka.tls.ca-path` names others"
                    .to_owned(),
            };
            let advice =
                format!("the broker's certificate is not trusted: checked against {roots}");
            return (ErrorKind::Configuration, false, advice);
        }
        if message.contains("UnsupportedSaslMechanism") {
            let advice =
                "the broker does not take this `storage.pubsub.kafka.sasl.mechanism`".to_owned();
            return (ErrorKind::Configuration, false, advice);
        }
        let advice = sasl.as_ref().map_or_else(
            || "the broker wants a login: set `storage.pubsub.kafka.sasl.mechanism`".to_owned(),
            |sasl| {
                format!(
                    "the broker refuses the user {} with the password in {}: check \
                     `storage.pubsub.kafka.sasl.*`",
                    sasl.username,
                    sasl.password_path.display()
                )
            },
        );
        // A mounted Secret is updated up to a minute after the broker's password: that heals by itself.
        (ErrorKind::Unauthorized, true, advice)
    }

    /// The broker says no.
    fn refused(&self, code: ErrorCode, size: usize) -> Verdict {
        let topic = &self.options.topic;
        let of_kind = |kind: ErrorKind, advice: String| (kind, kind.is_retryable(), advice);
        match code {
            ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId => {
                of_kind(ErrorKind::NotFound, self.no_topic())
            }
            ErrorCode::InvalidTopic => of_kind(
                ErrorKind::Configuration,
                "the broker takes no topic of this name: check `storage.pubsub.topic`".to_owned(),
            ),
            ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge => {
                of_kind(ErrorKind::TooLarge, too_large(size))
            }
            ErrorCode::TopicAuthorizationFailed | ErrorCode::ClusterAuthorizationFailed => of_kind(
                ErrorKind::Unauthorized,
                format!("the user needs the rights Describe and Write on the topic {topic}"),
            ),
            ErrorCode::NotEnoughReplicas | ErrorCode::NotEnoughReplicasAfterAppend => of_kind(
                ErrorKind::Unavailable,
                "too few replicas are in sync (`min.insync.replicas` of the topic)".to_owned(),
            ),
            ErrorCode::ThrottlingQuotaExceeded => of_kind(
                ErrorKind::Throttled,
                "the quota of the client tekton-chains is used up".to_owned(),
            ),
            ErrorCode::InvalidRecord | ErrorCode::PolicyViolation => of_kind(
                ErrorKind::Unsupported,
                format!(
                    "the topic {topic} refuses messages of this kind: see the broker's log and the topic's configuration"
                ),
            ),
            other if other.is_retriable() => of_kind(ErrorKind::Unavailable, self.no_answer()),
            _ => of_kind(ErrorKind::Unavailable, "see the broker's log".to_owned()),
        }
    }

    fn no_topic(&self) -> String {
        let topic = &self.options.topic;
        format!(
            "the topic does not exist: create it (`kafka-topics.sh --create --topic {topic}`), or name another \
             in `storage.pubsub.topic`"
        )
    }

    fn no_answer(&self) -> String {
        let how = if self.options.tls.is_some() { "over TLS" } else { "in plain text" };
        format!(
            "no broker answers {how}: check `storage.pubsub.kafka.bootstrap.servers` and \
             `storage.pubsub.kafka.tls.enabled`, and that the addresses which brokers advertise are reached from here"
        )
    }
}

fn too_large(size: usize) -> String {
    format!(
        "the message has {size} bytes, more than the broker takes: raise `max.message.bytes` of the topic, or set \
         `storage.pubsub.kafka.compression`"
    )
}

/// Whether a producer that says so sends nothing any more.
pub(super) fn ends_producer(error: &KrafkaError) -> bool {
    error.is_fatal()
        || matches!(
            error,
            KrafkaError::OutOfOrderSequence { .. } | KrafkaError::IllegalState { .. }
        )
}

/// What to do, before why.
#[derive(Debug)]
struct Advised {
    advice: String,
    cause: Cause,
}

/// Why: words of the library and of the broker, in one line that is not too long.
#[derive(Debug)]
struct Cause(String);

impl Cause {
    fn of(error: &KrafkaError) -> Self {
        let line = chain(error).split_whitespace().collect::<Vec<_>>().join(" ");
        Self(line.chars().filter(|c| !c.is_control()).take(MAX_TOLD).collect())
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for Cause {}

impl fmt::Display for Advised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.advice)
    }
}

impl StdError for Advised {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_broker_says_is_one_short_line() {
        let message = format!("line\none\u{1b}[31m{}", "!".repeat(9000));
        let cause = Cause::of(&KrafkaError::Broker { code: ErrorCode::PolicyViolation, message });
        let told = cause.to_string();
        assert!(told.contains("line one[31m!!!") && told.chars().count() == MAX_TOLD, "{told}");
    }
}
