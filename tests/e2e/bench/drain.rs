//! A controller that finds a backlog, or nothing to do.

use std::time::{Duration, Instant};

use chains_e2e::{
    Context as _, Result,
    cluster::Request,
    controller::Controller,
    process::Usage,
    stage::{by_object, told},
};

use crate::Bench;

/// How long after the last write memory is looked at.
const SETTLED: Duration = Duration::from_secs(3);
/// How long anything may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(900);

/// A backlog that was worked off.
#[derive(Debug)]
pub(crate) struct Drain {
    runs: usize,
    seconds: f64,
    ready: Duration,
    usage: Usage,
    /// What API server and etcd took for it.
    server: Duration,
    per_run: usize,
    /// All requests, in words.
    pub(crate) told: String,
}

impl Drain {
    /// Runs a second, from the first write to the last.
    pub(crate) fn rate(&self) -> f64 {
        self.runs as f64 / self.seconds
    }

    /// Processor time for a run, the start of the process included, in milliseconds.
    pub(crate) fn cpu_ms(&self) -> f64 {
        self.usage.cpu.as_secs_f64() * 1000.0 / self.runs as f64
    }

    /// Processor time of API server and etcd for a run, the start of the controller included, in milliseconds.
    pub(crate) fn server_ms(&self) -> f64 {
        self.server.as_secs_f64() * 1000.0 / self.runs as f64
    }

    /// Requests about runs, for a run.
    pub(crate) fn requests(&self) -> f64 {
        self.per_run as f64 / self.runs as f64
    }

    /// The most memory, in megabytes.
    pub(crate) fn peak_mb(&self) -> f64 {
        self.usage.peak as f64 / 1e6
    }

    /// From the start of the process until it says that it is ready.
    pub(crate) fn ready_ms(&self) -> f64 {
        self.ready.as_secs_f64() * 1000.0
    }
}

/// Works off a backlog.
pub(crate) fn drain(bench: &Bench<'_>, runs: usize) -> Result<Drain> {
    let namespace = bench.fill(&bench.plain, runs)?;
    let names: Vec<String> = (0..runs).map(|number| bench.plain.copy(number)).collect();
    let watch = namespace.watch("taskruns")?;
    let cluster = bench.stage.install.cluster();
    let audit = cluster.audit()?;
    let before = cluster.cpu()?;
    let (controller, ready) = started(bench)?;
    watch.within(LIMIT, &names, |seen| seen.is_signed())?;
    let (usage, server) = (controller.usage()?, cluster.cpu()?.saturating_sub(before));
    let requests = audit.requests()?;
    let per_run = by_object(&requests, "taskruns").values().flat_map(|verbs| verbs.values()).sum();
    let seconds = seconds_of_writes(&requests)?;
    drop((controller, watch));
    bench.empty(&namespace)?;
    Ok(Drain { runs, seconds, ready, usage, server, per_run, told: told(&requests) })
}

/// From when the API server got the first patch until it had answered the last.
fn seconds_of_writes(requests: &[Request]) -> Result<f64> {
    let writes = || requests.iter().filter(|request| request.what() == "patch taskruns");
    let time = |text: &str| text.parse::<jiff::Timestamp>().context("read the time of a request");
    let first = writes().map(|it| it.request_received_timestamp.as_str()).min();
    let last = writes().map(|it| it.stage_timestamp.as_str()).max();
    let (first, last) = (first.context("no write")?, last.context("no write")?);
    Ok(time(last)?.duration_since(time(first)?).as_secs_f64())
}

fn started(bench: &Bench<'_>) -> Result<(Controller, Duration)> {
    let begun = Instant::now();
    let controller = bench.stage.start()?;
    Ok((controller, begun.elapsed()))
}

/// A controller that has nothing to do.
#[derive(Debug)]
pub(crate) struct Idle {
    pub(crate) ready_ms: f64,
    pub(crate) idle_mb: f64,
    pub(crate) peak_mb: f64,
    pub(crate) cpu_ms: f64,
}

/// Starts a controller that finds nothing to do.
pub(crate) fn idle(bench: &Bench<'_>) -> Result<Idle> {
    let (controller, ready) = started(bench)?;
    std::thread::sleep(SETTLED);
    let usage = controller.usage()?;
    Ok(Idle {
        ready_ms: ready.as_secs_f64() * 1000.0,
        idle_mb: usage.resident as f64 / 1e6,
        peak_mb: usage.peak as f64 / 1e6,
        cpu_ms: usage.cpu.as_secs_f64() * 1000.0,
    })
}
