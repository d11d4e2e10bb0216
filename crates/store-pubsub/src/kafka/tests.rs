//! Failures that a real broker can't be made to show at will, by the library's broker in the process; what a real
//! one shows is in `tests/e2e/cases/store_pubsub.rs`.

use std::path::PathBuf;

use chains_core::{Error, Record, Secret, Store as _};
use chains_testkit::{fixture, store};
use krafka::testing::{ApiKey, Control, FakeBroker};

use super::*;
use crate::options::{Compression, KafkaSasl, KafkaTls};
use crate::store::KafkaStore;

fn options(broker: &FakeBroker) -> KafkaOptions {
    KafkaOptions {
        topic: "chains".into(),
        bootstrap_servers: broker.bootstrap_servers().split(',').map(str::to_owned).collect(),
        compression: Compression::None,
        tls: None,
        sasl: None,
    }
}

async fn broker() -> FakeBroker {
    let broker = FakeBroker::start().await.unwrap();
    broker.create_topic("chains", 3);
    broker
}

fn record() -> Record {
    fixture::run_record(&fixture::run("build"))
}

fn sent(broker: &FakeBroker) -> usize {
    broker.all_records("chains").unwrap().len()
}

async fn refusal(options: KafkaOptions) -> Error {
    KafkaStore::new(options).unwrap().put(&record()).await.unwrap_err()
}

#[tokio::test]
async fn it_keeps_the_contract_and_sends_each_record_once() {
    let broker = broker().await;
    for compression in [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4]
    {
        let before = sent(&broker);
        let kafka = KafkaStore::new(KafkaOptions { compression, ..options(&broker) }).unwrap();
        store::suite(Arc::new(kafka)).await;
        // Of the four records one has no signature.
        assert_eq!(sent(&broker) - before, 3, "{compression:?}");
    }
}

#[tokio::test]
async fn messages_are_laid_out_as_the_reference_does() {
    let broker = broker().await;
    let kafka = KafkaStore::new(options(&broker)).unwrap();
    let record = record();
    let outcome = kafka.put(&record).await.unwrap();
    assert!(outcome.to_string().starts_with("stored at kafka://chains/"), "{outcome}");
    let records = broker.all_records("chains").unwrap();
    let message = Message::of(&record).unwrap();
    assert_eq!(records[0].key.as_deref(), Some(record.key.short.as_bytes()));
    assert_eq!(records[0].value.as_deref(), Some(&message.body[..]));
    let headers: Vec<_> =
        records[0].headers.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    assert_eq!(headers, [("payload", Some(message.payload)), ("signature", Some(message.body))]);
}

#[tokio::test]
async fn an_answer_that_is_lost_makes_no_second_message() {
    let broker = broker().await;
    let kafka = KafkaStore::new(options(&broker)).unwrap();
    broker.on_once(ApiKey::Produce, |_| {
        Control::Error(krafka::error::ErrorCode::NotEnoughReplicasAfterAppend)
    });
    kafka.put(&record()).await.unwrap();
    assert_eq!(sent(&broker), 1);
}

#[tokio::test]
async fn who_gave_up_waiting_finds_what_was_sent_meanwhile() {
    let broker = broker().await;
    let kafka = Arc::new(KafkaStore::new(options(&broker)).unwrap());
    broker.on_once(ApiKey::Produce, |_| Control::Delay(Duration::from_millis(500)));
    let record = record();
    let waiting = tokio::spawn({
        let (kafka, record) = (Arc::clone(&kafka), record.clone());
        async move { kafka.put(&record).await }
    });
    broker.wait_for_requests(ApiKey::Produce, 1, Duration::from_secs(10)).await;
    waiting.abort();
    let outcome = kafka.put(&record).await.unwrap();
    assert_eq!(outcome.as_str(), "already stored");
    assert_eq!(sent(&broker), 1);
}

#[tokio::test]
async fn refusals_are_told_with_what_to_do() {
    let broker = broker().await;
    let cases = [
        (
            krafka::error::ErrorCode::TopicAuthorizationFailed,
            ErrorKind::Unauthorized,
            "rights Describe and Write",
        ),
        (krafka::error::ErrorCode::MessageTooLarge, ErrorKind::TooLarge, "`max.message.bytes`"),
        (
            krafka::error::ErrorCode::PolicyViolation,
            ErrorKind::Unsupported,
            "refuses messages of this kind",
        ),
        (
            krafka::error::ErrorCode::InvalidTopic,
            ErrorKind::Configuration,
            "`storage.pubsub.topic`",
        ),
    ];
    for (code, kind, words) in cases {
        broker.clear_hooks();
        broker.on(ApiKey::Produce, move |_| Control::Error(code));
        let error = refusal(options(&broker)).await;
        let report = error.report();
        assert_eq!(error.kind(), kind, "{report}");
        assert!(!error.is_retryable(), "{report}");
        assert!(report.contains(words), "{report}");
        assert!(
            report
                .contains("sending what is signed of TaskRun default/build: sending to the topic chains of Kafka at 127.0.0.1:"),
            "{report}"
        );
    }
}

#[tokio::test]
async fn nobody_there_is_worth_another_attempt() {
    let broker = broker().await;
    let options = options(&broker);
    drop(broker);
    let limits =
        Limits { connect: Duration::from_millis(500), request: Duration::from_secs(1), ..LIMITS };
    let queue = Arc::new(KafkaQueue::with_limits(options, limits).unwrap());
    let message = Message::of(&record()).unwrap();
    // Those who wait for the one attempt are told what came of it.
    let all: Vec<_> = (0..32)
        .map(|_| {
            tokio::spawn({
                let (queue, message) = (Arc::clone(&queue), message.clone());
                async move { queue.send(message).await }
            })
        })
        .collect();
    for one in all {
        let error = one.await.unwrap().unwrap_err();
        assert!(error.is_retryable(), "{}", error.report());
        assert!(error.report().contains("no broker answers in plain text"), "{}", error.report());
    }
}

#[test]
fn a_password_is_not_shown_in_the_clear() {
    let sasl = KafkaSasl {
        mechanism: SaslMechanism::Plain,
        username: "chains".into(),
        password_path: PathBuf::from("/nowhere"),
    };
    let mut options = KafkaOptions {
        topic: "chains".into(),
        bootstrap_servers: vec!["127.0.0.1:1".into()],
        compression: Compression::None,
        tls: None,
        sasl: Some(sasl),
    };
    let error = KafkaQueue::new(options.clone()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    options.tls = Some(KafkaTls::default());
    assert!(KafkaQueue::new(options.clone()).is_ok());
    options.bootstrap_servers.clear();
    assert!(KafkaQueue::new(options).is_err());
}

#[tokio::test]
async fn a_password_that_is_not_there_yet_is_worth_another_attempt() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("password");
    let broker = broker().await;
    let sasl = KafkaSasl {
        mechanism: SaslMechanism::ScramSha512,
        username: "chains".into(),
        password_path: path.clone(),
    };
    let options = KafkaOptions { sasl: Some(sasl), ..options(&broker) };
    let error = refusal(options.clone()).await;
    assert!(error.is_retryable() && error.kind() == ErrorKind::Unauthorized, "{}", error.report());
    for (bytes, words) in
        [(&b"\n"[..], "empty"), (b"\xff", "not UTF-8"), (&[b'x'; 5000], "more than 4096 bytes")]
    {
        std::fs::write(&path, bytes).unwrap();
        let report = refusal(options.clone()).await.report();
        assert!(report.contains(words) && report.contains("password-path"), "{report}");
    }
    std::fs::write(&path, "hunter2\r\n").unwrap();
    let material = Material::read(&options).await.unwrap();
    assert_eq!(material.password.as_ref().unwrap().expose(), "hunter2");
    assert!(!format!("{material:?}").contains("hunter2"));
}

/// A queue whose producer was made with a password, and the file that it is read from.
async fn connected(broker: &FakeBroker, password: &str) -> (tempfile::TempDir, KafkaQueue) {
    let folder = tempfile::tempdir().unwrap();
    let sasl = KafkaSasl {
        mechanism: SaslMechanism::ScramSha512,
        username: "chains".into(),
        password_path: folder.path().join("password"),
    };
    let queue = KafkaQueue::new(KafkaOptions { sasl: Some(sasl), ..options(broker) }).unwrap();
    // The broker in the process lets in anybody.
    let producer = link::connect(&options(broker), &Material::default(), LIMITS).await.unwrap();
    let material = Material { password: Some(Secret::new(password)), ..Material::default() };
    *queue.link.lock().await = Link::Up { producer: Arc::new(producer), material };
    (folder, queue)
}

#[tokio::test]
async fn a_password_that_is_gone_for_a_moment_stops_nothing() {
    let broker = broker().await;
    let (_folder, queue) = connected(&broker, "hunter2").await;
    queue.send(Message::of(&record()).unwrap()).await.unwrap();
    assert_eq!(sent(&broker), 1);
}

#[tokio::test]
async fn who_waited_while_a_password_changed_does_not_connect_with_the_old_one() {
    let broker = broker().await;
    let (folder, queue) = connected(&broker, "new").await;
    let (path, queue) = (folder.path().join("password"), Arc::new(queue));
    std::fs::write(&path, "old").unwrap();
    let link = queue.link.lock().await;
    let before = broker.request_count(ApiKey::ApiVersions);
    let waiting = tokio::spawn({
        let queue = Arc::clone(&queue);
        async move { queue.producer().await }
    });
    tokio::task::yield_now().await;
    std::fs::write(&path, "new").unwrap();
    drop(link);
    waiting.await.unwrap().unwrap();
    assert_eq!(
        broker.request_count(ApiKey::ApiVersions),
        before,
        "the producer is the one at hand"
    );
}
