//! Records as messages, to a real Apache Kafka, read with its own consumer.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chains_core::{Error, Payload, Store as _};
use chains_e2e::{
    Case, Context as _, Result, Scene, case, cluster,
    controller::NEEDS,
    ensure,
    kafka::{KAFKA, KAFKA_TOOLS, Kafka, Message, Settings},
    runs,
    signatures::Key,
    stage::Stage,
    tekton::names,
    tls::Authority,
};
use chains_store_pubsub::{
    Compression, KafkaOptions, KafkaSasl, KafkaStore, KafkaTls, SaslMechanism,
};
use chains_testkit::{fixture, store};
use serde_json::Value;

/// Runs that are sent while nothing is wrong.
const CALM: usize = 200;
/// Runs that are sent while the broker is gone.
const ROUGH: usize = 100;
const TOPIC: &str = "chains";
const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

pub(crate) fn cases() -> Vec<Case> {
    let with_controller = [&NEEDS[..], &[KAFKA, KAFKA_TOOLS]].concat();
    vec![
        case("store_pubsub::kafka_by_every_way_in", &[KAFKA, KAFKA_TOOLS], ways_in),
        case("store_pubsub::runs_while_the_broker_restarts", &with_controller, restart),
    ]
}

fn ways_in(scene: &Scene<'_>) -> Result<()> {
    let authority = Authority::new(scene.folder(), "authority")?;
    let keys = authority.certify(scene.folder(), "kafka")?;
    let users = [("chains", "right"), ("stranger", "right")];
    let settings = Settings { makes_topics: false, tls: Some(&keys), users: &users };
    let kafka = Kafka::start(scene, &settings)?;
    let way = Way { kafka: &kafka, ca: authority.certificate().to_owned(), scene };

    missing_topic(&way)?;
    kafka.create_topic(TOPIC, 3)?;
    let stores = [
        way.plain(),
        KafkaOptions { compression: Compression::Gzip, ..way.plain() },
        KafkaOptions { compression: Compression::Snappy, ..way.plain() },
        KafkaOptions { compression: Compression::Lz4, ..way.plain() },
        way.scram(SaslMechanism::ScramSha256)?,
        way.scram(SaslMechanism::ScramSha512)?,
        way.tls(SaslMechanism::Plain)?,
        way.tls(SaslMechanism::ScramSha512)?,
    ];
    for (number, options) in stores.iter().enumerate() {
        keeps_the_contract(options, number)?;
    }
    let count = kafka.count(TOPIC)?;
    // Of four records of each one has no signature.
    ensure!(count == 3 * stores.len(), "{count} messages of {} stores", stores.len());
    refusals(&way, scene)?;
    rotated(&way)
}

/// Ways to speak to the broker.
struct Way<'a> {
    kafka: &'a Kafka<'a>,
    ca: PathBuf,
    scene: &'a Scene<'a>,
}

impl Way<'_> {
    fn plain(&self) -> KafkaOptions {
        KafkaOptions {
            topic: TOPIC.to_owned(),
            bootstrap_servers: vec![self.kafka.address()],
            compression: Compression::None,
            tls: None,
            sasl: None,
        }
    }

    fn scram(&self, mechanism: SaslMechanism) -> Result<KafkaOptions> {
        let sasl = KafkaSasl {
            mechanism,
            username: "chains".to_owned(),
            // As editors leave it.
            password_path: self.scene.write(&self.scene.fresh("password"), "right\n")?,
        };
        let bootstrap_servers = vec![self.kafka.sasl_address()];
        Ok(KafkaOptions { bootstrap_servers, sasl: Some(sasl), ..self.plain() })
    }

    fn tls(&self, mechanism: SaslMechanism) -> Result<KafkaOptions> {
        let tls = KafkaTls { ca_path: Some(self.ca.clone()), extra_ca_paths: Vec::new() };
        let bootstrap_servers = vec![self.kafka.tls_address()];
        Ok(KafkaOptions { bootstrap_servers, tls: Some(tls), ..self.scram(mechanism)? })
    }
}

fn keeps_the_contract(options: &KafkaOptions, number: usize) -> Result<()> {
    let kafka = Arc::new(KafkaStore::new(options.clone())?);
    let records = store::records(&format!("contract-{number}"));
    cluster::wait(async {
        store::suite_with(kafka, records).await;
        Ok::<_, Error>(())
    })
}

/// Expects that a record is refused, in these words.
fn refused(
    options: KafkaOptions,
    payload: Option<Payload>,
    retryable: bool,
    words: &str,
) -> Result<()> {
    let kafka = KafkaStore::new(options)?;
    let mut record = fixture::run_record(&fixture::run("refused"));
    if let Some(payload) = payload {
        record.payload = payload;
    }
    let error = cluster::wait(async { Ok::<_, Error>(kafka.put(&record).await) })?.err();
    let error = error.with_context(|| format!("nobody said {words:?}"))?;
    let report = error.report();
    ensure!(report.contains(words), "{report}");
    ensure!(error.is_retryable() == retryable, "retryable: {}: {report}", error.is_retryable());
    ensure!(report.starts_with("sending what is signed of TaskRun default/refused: "), "{report}");
    Ok(())
}

fn missing_topic(way: &Way<'_>) -> Result<()> {
    refused(way.plain(), None, false, "the topic does not exist: create it")
}

fn refusals(way: &Way<'_>, scene: &Scene<'_>) -> Result<()> {
    let sasl = |options: KafkaOptions, change: &dyn Fn(&mut KafkaSasl)| {
        let mut options = options;
        options.sasl.iter_mut().for_each(change);
        options
    };
    let wrong = scene.write("wrong-password", "wrong")?;
    for options in [way.scram(SaslMechanism::ScramSha512)?, way.tls(SaslMechanism::Plain)?] {
        let options = sasl(options, &|sasl| sasl.password_path.clone_from(&wrong));
        refused(options, None, true, "the broker refuses the user chains with the password in")?;
    }
    let stranger =
        sasl(way.scram(SaslMechanism::ScramSha512)?, &|sasl| sasl.username = "stranger".into());
    refused(
        stranger,
        None,
        false,
        "the user needs the rights Describe and Write on the topic chains",
    )?;

    let other = Authority::new(scene.folder(), "other")?;
    let mut untrusted = way.tls(SaslMechanism::Plain)?;
    untrusted.tls =
        Some(KafkaTls { ca_path: Some(other.certificate().to_owned()), ..KafkaTls::default() });
    refused(
        untrusted.clone(),
        None,
        false,
        "the broker's certificate is not trusted: checked against",
    )?;
    untrusted.tls = Some(KafkaTls::default());
    refused(untrusted, None, false, "`storage.pubsub.kafka.tls.ca-path` names others")?;

    let mut not_tls = way.tls(SaslMechanism::Plain)?;
    not_tls.bootstrap_servers = vec![way.kafka.address()];
    refused(not_tls, None, true, "no broker answers over TLS")?;
    let mut nobody = way.plain();
    nobody.bootstrap_servers = vec!["127.0.0.1:1".to_owned()];
    refused(nobody, None, true, "no broker answers in plain text")?;

    let mut large = fixture::run_record(&fixture::run("large")).payload;
    large.bytes = vec![b'x'; 2 << 20].into();
    refused(way.plain(), Some(large), false, "raise `max.message.bytes` of the topic")
}

/// A password that is put right takes effect at the next message.
fn rotated(way: &Way<'_>) -> Result<()> {
    let options = way.scram(SaslMechanism::ScramSha512)?;
    let path = options.sasl.as_ref().context("no login")?.password_path.clone();
    let kafka = KafkaStore::new(options)?;
    let record = fixture::run_record(&fixture::run("rotated"));
    let put = || cluster::wait(async { Ok::<_, Error>(kafka.put(&record).await) });
    std::fs::write(&path, "old")?;
    ensure!(put()?.is_err(), "let in with an old password");
    std::fs::write(&path, "right")?;
    ensure!(put()??.as_str() == "stored", "not stored");
    Ok(())
}

/// 200 runs, each of which is one message; and 100 during which the broker is killed and comes back.
fn restart(scene: &Scene<'_>) -> Result<()> {
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let mut kafka = Kafka::start(scene, &Settings { makes_topics: true, ..Settings::default() })?;
    stage.install.configure(&[
        ("artifacts.taskrun.storage", "kafka"),
        ("storage.pubsub.provider", "kafka"),
        ("storage.pubsub.topic", TOPIC),
        // The first is not there: any of the list will do.
        ("storage.pubsub.kafka.bootstrap.servers", &format!("127.0.0.1:1, {}", kafka.address())),
    ])?;
    let controller = stage.start()?;
    let namespace = &stage.namespace;
    let watch = namespace.watch("taskruns")?;
    let runs: Vec<Value> = (0..CALM + ROUGH)
        .map(|n| runs::kaniko(&format!("build-{n}"), "registry.test/app", DIGEST))
        .collect();
    let (calm, rough) = runs.split_at(CALM);

    let (began, before) = (Instant::now(), controller.usage()?);
    namespace.run(calm)?;
    watch.until_all(&names(calm), |seen| seen.is_signed())?;
    let cpu = controller.usage()?.cpu.saturating_sub(before.cpu) / u32::try_from(CALM)?;
    scene.note(format!("{CALM} runs sent in {:.1?}, {cpu:.1?} of processor each", began.elapsed()));

    namespace.run(&rough[..ROUGH / 2])?;
    kafka.kill()?;
    let away = Instant::now();
    namespace.run(&rough[ROUGH / 2..])?;
    // Some wait for it before it is back.
    std::thread::sleep(Duration::from_secs(2));
    kafka.resume()?;
    scene.note(format!("the broker was away for {:.1?}", away.elapsed()));
    watch.until_all(&names(rough), |seen| seen.is_signed())?;
    drop(controller);

    let uids = namespace.list("taskruns")?;
    let key = Key::read(&stage.keys.public)?;
    verified(scene, &uids, &kafka.read(TOPIC)?, &key)
}

/// Every run has its message, signed by this key; nothing else is there.
fn verified(scene: &Scene<'_>, runs: &[Value], messages: &[Message], key: &Key) -> Result<()> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for message in messages {
        *counts.entry(&message.key).or_default() += 1;
        let envelope = key.open(message.body.as_bytes()).context(message.key.clone())?;
        let payload = STANDARD.encode(&envelope.payload);
        let headers = [("payload", payload.as_str()), ("signature", message.body.as_str())];
        let headers: Vec<_> =
            headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        ensure!(message.headers == headers, "{:?}", message.headers);
    }
    let expected: BTreeSet<String> = runs
        .iter()
        .map(|run| format!("taskrun-{}", run["metadata"]["uid"].as_str().unwrap_or_default()))
        .collect();
    let found: BTreeSet<String> = counts.keys().map(|key| (*key).to_owned()).collect();
    ensure!(found == expected, "{} runs, {} of them are there", expected.len(), found.len());
    let twice = messages.len() - expected.len();
    scene.note(format!("{} messages of {} runs: {twice} twice", messages.len(), expected.len()));
    // The producer waits longer for a broker than this one was away.
    ensure!(twice == 0, "{twice} messages were sent twice");
    Ok(())
}
