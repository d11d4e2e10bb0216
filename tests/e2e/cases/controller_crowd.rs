//! Several replicas: they share the runs, and killing one costs nothing.

use std::time::{Duration, Instant};

use chains_e2e::{
    Case, Context as _, Result, Scene, case, cluster,
    cluster::Watch,
    controller::{Controller, NEEDS},
    ensure,
    registry::{Access, CRANE, Image, Registry},
    runs,
    stage::{Stage, by_object, told},
    tekton::names,
};
use serde_json::Value;

const REPLICAS: usize = 3;
const RUNS: usize = 1000;
/// How many images they built: attestations of many runs of one image go to one tag.
const IMAGES: usize = 50;
/// How often a replica is killed.
const KILL_EVERY: Duration = Duration::from_secs(4);
/// A replica that says nothing loses its part soon: a case does not wait longer than it must.
const LEASE: &str = "--lease-duration=5s";
const LIMIT: Duration = Duration::from_secs(420);

pub(crate) fn cases() -> Vec<Case> {
    let with_registry = [&NEEDS[..], &[CRANE]].concat();
    vec![
        case("controller_crowd::three_share_the_runs", &NEEDS, share),
        case("controller_crowd::one_leaves_and_others_go_on", &NEEDS, leave),
        case("controller_crowd::one_freezes_and_others_go_on", &NEEDS, freeze),
        case("controller_crowd::killed_every_few_seconds", &with_registry, killed),
    ]
}

fn replica(stage: &Stage<'_>, number: usize, host: Option<&str>) -> Result<Controller> {
    let mut start = stage.controller(&format!("replica-{number}")).arg(LEASE);
    if let Some(host) = host {
        start = start.arg(format!("--insecure-registry={host}"));
    }
    start.alive()
}

fn builds(count: usize) -> Vec<Value> {
    (0..count)
        .map(|n| runs::kaniko(&format!("build-{n}"), "registry.test/app", "sha256:0"))
        .collect()
}

/// Each run is signed by one of them, each of them signs some.
fn share(scene: &Scene<'_>) -> Result<()> {
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let replicas: Vec<Controller> =
        (0..REPLICAS).map(|n| replica(&stage, n, None)).collect::<Result<_>>()?;
    replicas.iter().try_for_each(Controller::until_ready)?;
    spread(&replicas)?;
    let audit = cluster.audit()?;
    let watch = stage.namespace.watch("taskruns")?;
    let runs = builds(300);
    stage.namespace.create(&runs)?;
    watch.until_all(&names(&runs), |seen| seen.is_held())?;
    stage.namespace.complete(&runs)?;
    watch.until_all(&names(&runs), |seen| seen.is_signed() && !seen.is_held())?;
    stage.verify(&stage.namespace.list("taskruns")?)?;
    let mut shares: Vec<f64> = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(30);
    // They count a moment after others see the write.
    while shares.iter().sum::<f64>() < runs.len() as f64 && Instant::now() < deadline {
        shares = replicas.iter().map(signed).collect::<Result<_>>()?;
    }
    let requests = audit.requests()?;
    scene.note(format!("signed by each: {shares:?}; {}", told(&requests)));
    ensure!(shares.iter().all(|share| *share > 0.0), "one does nothing: {shares:?}");
    ensure!(shares.iter().sum::<f64>() == 300.0, "{shares:?} are not 300");
    for (run, verbs) in by_object(&requests, "taskruns") {
        let of_run: Vec<String> = requests
            .iter()
            .filter(|request| request.object().1 == run)
            .map(|it| format!("{} {} {} {}", it.stage_timestamp, it.what(), it.uri, it.code()))
            .collect();
        ensure!(verbs.values().sum::<usize>() == 2, "{run} took {of_run:#?}");
    }
    Ok(())
}

fn signed(replica: &Controller) -> Result<f64> {
    Ok(replica.metrics()?.sum("watcher_taskrun_marked_signed_total"))
}

/// Waits until each of three has its part of 16.
fn spread(replicas: &[Controller]) -> Result<()> {
    spread_evenly(replicas, 5.0..=6.0)
}

/// Waits until each has so many of the 16 buckets.
fn spread_evenly(replicas: &[Controller], each: std::ops::RangeInclusive<f64>) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let held = replicas.iter().map(|it| Ok(it.metrics()?.sum("chains_buckets_held")));
        let held: Vec<f64> = held.collect::<Result<_>>()?;
        if held.iter().sum::<f64>() == 16.0 && held.iter().all(|held| each.contains(held)) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "the buckets are not spread: {held:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// SIGTERM: its part goes to the others at once, not when its Leases have run out.
fn leave(scene: &Scene<'_>) -> Result<()> {
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let start =
        |n: usize| stage.controller(&format!("replica-{n}")).arg("--lease-duration=120s").ready();
    let first = start(0)?;
    let second = start(1)?;
    let deadline = Instant::now() + Duration::from_secs(60);
    while second.metrics()?.sum("chains_buckets_held") != 8.0 {
        ensure!(Instant::now() < deadline, "the second gets no part");
        std::thread::sleep(Duration::from_millis(100));
    }
    let watch = stage.namespace.watch("taskruns")?;
    let runs = builds(300);
    stage.namespace.create(&runs)?;
    watch.until_all(&names(&runs), |seen| seen.is_held())?;
    stage.namespace.complete(&runs[..150])?;
    ensure!(first.terminate()?.success(), "it did not end well");
    stage.namespace.complete(&runs[150..])?;
    // The Leases are for two minutes: whoever waited for them would be late.
    watch.within(Duration::from_secs(60), &names(&runs), |seen| seen.is_signed())?;
    drop(second);
    stage.verify(&stage.namespace.list("taskruns")?)
}

/// A replica that is stopped in the middle, for longer than its Leases last, comes back and writes nothing that
/// another has written meanwhile.
fn freeze(scene: &Scene<'_>) -> Result<()> {
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let replicas = [replica(&stage, 0, None)?, replica(&stage, 1, None)?];
    spread_evenly(&replicas, 8.0..=8.0)?;
    let audit = cluster.audit()?;
    let watch = stage.namespace.watch("taskruns")?;
    let runs = builds(400);
    stage.namespace.create(&runs)?;
    watch.until_all(&names(&runs), |seen| seen.is_held())?;
    std::thread::scope(|scope| -> Result<()> {
        let completing = scope.spawn(|| stage.namespace.complete(&runs));
        let deadline = Instant::now() + Duration::from_secs(60);
        while watch.count(|seen| seen.is_signed()) < 50 {
            ensure!(Instant::now() < deadline, "nothing is signed");
            std::thread::sleep(Duration::from_millis(5));
        }
        replicas[0].freeze()?;
        completing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    watch.until_all(&names(&runs), |seen| seen.is_signed() && !seen.is_held())?;
    replicas[0].thaw()?;
    spread_evenly(&replicas, 8.0..=8.0)?;
    let more: Vec<Value> = (0..100)
        .map(|n| runs::kaniko(&format!("late-{n}"), "registry.test/app", "sha256:0"))
        .collect();
    stage.namespace.run(&more)?;
    watch.until_all(&names(&more), |seen| seen.is_signed() && !seen.is_held())?;
    stage.verify(&stage.namespace.list("taskruns")?)?;
    let requests = audit.requests()?;
    scene.note(told(&requests));
    // One that was on its way when it froze may come late, and is refused.
    let taken = requests.into_iter().filter(|request| request.code() < 400).collect::<Vec<_>>();
    for (run, verbs) in by_object(&taken, "taskruns") {
        let written = verbs.get("patch").copied().unwrap_or_default();
        ensure!(written <= 2, "{run} was written {written} times");
    }
    Ok(())
}

/// One replica after another is killed, and started again.
fn killed(scene: &Scene<'_>) -> Result<()> {
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let registry = Registry::crane(scene)?;
    let host = registry.host();
    let images: Vec<Image> = (0..IMAGES)
        .map(|n| registry.push(scene, &Access::default(), &format!("app-{n}"), "v1"))
        .collect::<Result<_>>()?;
    stage.install.configure(&[
        ("artifacts.taskrun.storage", "tekton,oci"),
        ("artifacts.oci.storage", "oci"),
    ])?;
    let runs: Vec<Value> = (0..RUNS)
        .map(|n| {
            let image = &images[n % IMAGES];
            runs::kaniko(&format!("build-{n}"), &image.name(), &image.digest)
        })
        .collect();
    let mut crowd = Crowd::start(&stage, &host)?;
    let watch = stage.namespace.watch("taskruns")?;
    std::thread::scope(|scope| -> Result<()> {
        let making = scope.spawn(|| stage.namespace.run(&runs));
        crowd.suffer(&watch, runs.len())?;
        making.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    watch.within(LIMIT, &names(&runs), |seen| seen.is_signed() && !seen.is_held())?;
    scene.note(crowd.told());
    ensure!(crowd.kills >= 5, "only {} were killed", crowd.kills);
    crowd.is_flat()?;
    drop(crowd);

    stage.verify(&stage.namespace.list("taskruns")?)?;
    for (number, image) in images.iter().enumerate() {
        let attached = image.attached("att")?.context("no attestation")?;
        let mut layers: Vec<String> =
            attached.layers().iter().map(|layer| layer["digest"].to_string()).collect();
        let all = layers.len();
        layers.sort();
        layers.dedup();
        ensure!(layers.len() == all, "image {number} has an attestation twice");
        ensure!(all == RUNS / IMAGES, "image {number} has {all} attestations");
        let signatures = image.attached("sig")?.context("no signature")?.layers().len();
        ensure!(signatures == 1, "image {number} has {signatures} signatures");
    }
    Ok(())
}

/// Replicas that are killed in turn.
struct Crowd<'a> {
    stage: &'a Stage<'a>,
    host: String,
    replicas: Vec<Controller>,
    kills: usize,
    /// Resident memory of all replicas, each time before one was killed.
    resident: Vec<u64>,
}

impl<'a> Crowd<'a> {
    fn start(stage: &'a Stage<'a>, host: &str) -> Result<Self> {
        let replicas =
            (0..REPLICAS).map(|n| replica(stage, n, Some(host))).collect::<Result<Vec<_>>>()?;
        Ok(Self { stage, host: host.to_owned(), replicas, kills: 0, resident: Vec::new() })
    }

    /// Kills in turn until nearly all of so many runs are signed.
    fn suffer(&mut self, watch: &Watch, runs: usize) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        while watch.count(|seen| seen.is_signed()) < runs * 95 / 100 {
            ensure!(Instant::now() < deadline, "they do not come to an end");
            std::thread::sleep(KILL_EVERY);
            let now: Vec<u64> =
                self.replicas.iter().map(|it| Ok(it.usage()?.resident)).collect::<Result<_>>()?;
            self.resident.push(now.into_iter().max().unwrap_or_default());
            let number = self.kills % REPLICAS;
            self.replicas.remove(0).kill()?;
            self.replicas.push(replica(self.stage, number, Some(&self.host))?);
            self.kills += 1;
        }
        Ok(())
    }

    /// Memory does not grow with what is worked off.
    fn is_flat(&self) -> Result<()> {
        let most = self.resident.iter().max().copied().unwrap_or_default();
        let first = self.resident.first().copied().unwrap_or_default();
        ensure!(most < first.max(30_000_000) * 2, "memory grew: {:?}", self.resident);
        Ok(())
    }

    fn told(&self) -> String {
        let megabytes: Vec<u64> = self.resident.iter().map(|it| it / 1_000_000).collect();
        format!("{} kills; the largest replica had {megabytes:?} MB", self.kills)
    }
}
