//! All stores at once, each in turn taken away and brought back: what one lacks is no reason to send it to the others
//! again.

use std::{collections::BTreeSet, path::Path};

use chains_e2e::{
    Case, Context as _, Result, Scene,
    archivista::{ARCHIVISTA, ARCHIVISTACTL, Archivista, POSTGRESQL},
    buckets::{Buckets, FAKE_GCS},
    case, cluster,
    cluster::Watch,
    controller::NEEDS,
    docdb::mongo::{Mongo, PYMONGO, SECANTUS},
    ensure,
    grafeas::{GRAFEAS, Grafeas},
    kafka::{KAFKA, KAFKA_TOOLS, Kafka, Settings},
    registry::{Access, CRANE, DOCKER, Door, Image, Registry},
    runs,
    stage::Stage,
    tekton::names,
};
use serde_json::Value;

const STORES: &str = "tekton,oci,gcs,docdb,grafeas,pubsub,archivista";
/// Those that can go away while the API server stays, by the names in the configuration.
const OUTSIDE: [&str; 6] = ["oci", "gcs", "docdb", "grafeas", "pubsub", "archivista"];
/// Runs while each of them is away, and before.
const EACH: usize = 10;
const BUCKET: &str = "chains";
const TOPIC: &str = "chains";
const PROJECT: &str = "builds";

pub(crate) fn cases() -> Vec<Case> {
    let peers = [
        CRANE,
        DOCKER,
        FAKE_GCS,
        SECANTUS,
        PYMONGO,
        GRAFEAS,
        KAFKA,
        KAFKA_TOOLS,
        ARCHIVISTA,
        ARCHIVISTACTL,
        POSTGRESQL,
    ];
    let needs = [&NEEDS[..], &peers].concat();
    vec![case("stores_together::each_goes_away_and_comes_back", &needs, in_turn)]
}

fn in_turn(scene: &Scene<'_>) -> Result<()> {
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let mut peers = Peers::start(scene)?;
    stage.install.configure(&peers.settings().each_ref().map(|(k, v)| (*k, v.as_str())))?;
    let start = stage.controller("controller");
    let start = start.arg(format!("--insecure-registry={}", peers.host));
    let controller = start.env("STORAGE_EMULATOR_HOST", Path::new(&peers.gcs.host())).ready()?;
    let watch = stage.namespace.watch("taskruns")?;

    let calm = peers.builds(0);
    stage.namespace.run(&calm)?;
    watch.until_all(&names(&calm), |seen| seen.is_signed() && !seen.is_held())?;
    for (turn, away) in OUTSIDE.iter().enumerate() {
        let runs = peers.builds(turn + 1);
        peers.take(away)?;
        stage.namespace.run(&runs)?;
        one_is_missing(&watch, &runs, away).with_context(|| format!("without {away}"))?;
        controller.until_readyz(200, &format!("store {away} FAILS since"))?;
        peers.bring_back(away)?;
        watch
            .until_all(&names(&runs), |seen| seen.is_signed() && !seen.is_held())
            .with_context(|| format!("with {away} again"))?;
    }
    drop(controller);
    stage.verify(&stage.namespace.list("taskruns")?)?;
    peers.hold_each_once(stage.namespace.name(), EACH * (OUTSIDE.len() + 1))
}

/// Every run says which store it waits for, and that all others are done.
fn one_is_missing(watch: &Watch, runs: &[Value], away: &str) -> Result<()> {
    let names = names(runs);
    watch.until_all(&names, |seen| seen.chains("progress").is_some())?;
    for name in &names {
        let seen = watch.now(name).context("unknown")?;
        let reason = seen.chains("reason").unwrap_or_default();
        ensure!(reason.starts_with(&format!("store {away}: ")), "{reason}");
        let progress: Value = serde_json::from_str(seen.chains("progress").unwrap_or_default())?;
        let targets = progress.as_object().context("no targets")?;
        for target in targets.values() {
            let done: BTreeSet<&str> = target["stores"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            let others: BTreeSet<&str> =
                OUTSIDE.into_iter().filter(|store| store != &away).chain(["tekton"]).collect();
            ensure!(done == others, "done are {done:?}");
        }
    }
    Ok(())
}

struct Peers<'s> {
    scene: &'s Scene<'s>,
    registry: Option<Registry>,
    host: String,
    image: Image,
    gcs: Buckets<'s>,
    mongo: Mongo<'s>,
    grafeas: Grafeas<'s>,
    kafka: Kafka<'s>,
    archivista: Archivista<'s>,
}

impl<'s> Peers<'s> {
    fn start(scene: &'s Scene<'s>) -> Result<Self> {
        let registry = Registry::docker(scene, &Door::default())?;
        let image = registry.push(scene, &Access::default(), "app", "v1")?;
        let gcs = Buckets::start(scene, FAKE_GCS)?;
        gcs.create(BUCKET)?;
        let makes_topics = Settings { makes_topics: true, ..Settings::default() };
        Ok(Self {
            scene,
            host: registry.host(),
            registry: Some(registry),
            image,
            gcs,
            mongo: Mongo::secantus(scene)?,
            grafeas: Grafeas::start(scene)?,
            kafka: Kafka::start(scene, &makes_topics)?,
            archivista: Archivista::start(scene)?,
        })
    }

    fn settings(&self) -> [(&'static str, String); 12] {
        [
            ("artifacts.taskrun.storage", STORES.to_owned()),
            ("storage.gcs.bucket", BUCKET.to_owned()),
            ("storage.docdb.url", "mongo://chains/runs?id_field=name".to_owned()),
            ("storage.docdb.mongo-server-url", self.mongo.url("")),
            ("storage.grafeas.projectid", PROJECT.to_owned()),
            ("storage.grafeas.endpoint", self.grafeas.url()),
            ("storage.pubsub.provider", "kafka".to_owned()),
            ("storage.pubsub.topic", TOPIC.to_owned()),
            ("storage.pubsub.kafka.bootstrap.servers", self.kafka.address()),
            ("storage.archivista.url", self.archivista.url()),
            ("retry.limit", "40".to_owned()),
            ("retry.total-time", "80s".to_owned()),
        ]
    }

    fn builds(&self, turn: usize) -> Vec<Value> {
        let build = |number| {
            runs::kaniko(&format!("build-{number}"), &self.image.name(), &self.image.digest)
        };
        (turn * EACH..(turn + 1) * EACH).map(build).collect()
    }

    fn take(&mut self, store: &str) -> Result<()> {
        match store {
            "oci" => self.registry = None,
            "gcs" => self.gcs.kill(),
            "docdb" => self.mongo.stop()?,
            "grafeas" => self.grafeas.kill(),
            "pubsub" => self.kafka.kill()?,
            _ => self.archivista.kill(),
        }
        Ok(())
    }

    fn bring_back(&mut self, store: &str) -> Result<()> {
        match store {
            "oci" => self.registry = Some(Registry::docker_again(self.scene, &self.host)?),
            "gcs" => self.gcs.resume()?,
            "docdb" => self.mongo.resume()?,
            "grafeas" => self.grafeas.resume()?,
            "pubsub" => self.kafka.resume()?,
            _ => self.archivista.resume()?,
        }
        Ok(())
    }

    /// Every store holds what it was given of so many runs, and nothing twice.
    fn hold_each_once(&self, namespace: &str, runs: usize) -> Result<()> {
        let attested = self.image.attached("att")?.context("no attestation")?.layers().len();
        let objects = self.gcs.read(BUCKET)?;
        let signatures = objects.keys().filter(|name| name.ends_with(".signature")).count();
        let note = format!("projects/{PROJECT}/notes/tekton-{namespace}-taskrun-intoto");
        let messages = self.kafka.read(TOPIC)?;
        let keys: BTreeSet<&str> = messages.iter().map(|message| message.key.as_str()).collect();
        let counts = [
            ("oci", attested),
            ("gcs", signatures),
            ("docdb", self.mongo.read("chains", "runs")?.len()),
            ("grafeas", self.grafeas.list(&format!("{note}/occurrences"))?.len()),
            ("pubsub", messages.len()),
            ("pubsub, by key", keys.len()),
            ("archivista", self.archivista.count()?),
        ];
        for (store, count) in counts {
            ensure!(count == runs, "{store} has {count} of {runs} runs: {counts:?}");
        }
        self.scene.note(format!("{runs} runs, each once in each of {STORES}"));
        Ok(())
    }
}
