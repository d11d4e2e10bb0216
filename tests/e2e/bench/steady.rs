//! Runs that come at a steady rate, as Tekton makes them: created, and complete a second later.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use chains_e2e::{
    Result,
    cluster::at_once,
    controller::Controller,
    runs,
    stage::{by_object, told},
    tekton::Namespace,
};

use crate::{Bench, DIGEST, bare::percentile};

/// So many of the slowest are told.
const SLOWEST: usize = 6;
/// How long a run runs.
const RUNS_FOR: Duration = Duration::from_secs(1);

/// What came out.
#[derive(Debug)]
pub(crate) struct Steady {
    /// From the answer to the completion until a watch tells that the run is signed; sorted.
    seconds: Vec<f64>,
    cpu: Duration,
    /// Requests about runs, for a run.
    pub(crate) requests: f64,
    /// All requests, in words.
    pub(crate) told: String,
    /// The slowest runs, in words: whether they come together, and when, says why.
    pub(crate) slowest: String,
}

impl Steady {
    /// How many runs there were.
    pub(crate) fn count(&self) -> usize {
        self.seconds.len()
    }

    /// The time that so many percent take no longer than, in milliseconds.
    pub(crate) fn millis(&self, percent: usize) -> f64 {
        percentile(&self.seconds, percent) * 1000.0
    }

    /// Processor time for a run, in milliseconds.
    pub(crate) fn cpu_ms(&self) -> f64 {
        self.cpu.as_secs_f64() * 1000.0 / self.seconds.len() as f64
    }
}

/// Makes runs at this rate, for as long as the options say or `while_so`, and waits until all are signed.
pub(crate) fn steady(
    bench: &Bench<'_>,
    namespace: &Namespace<'_>,
    controller: &Controller,
    rate: f64,
    while_so: Option<&(dyn Fn() -> bool + Sync)>,
) -> Result<Steady> {
    let count = (rate * bench.options.seconds as f64) as usize;
    let watch = namespace.watch("taskruns")?;
    let audit = bench.stage.install.cluster().audit()?;
    let before = controller.usage()?.cpu;
    let completed: Mutex<HashMap<String, Instant>> = Mutex::default();
    let begun = Instant::now();
    at_once(usize::MAX, 0..count, |number| {
        let completed = &completed;
        async move {
            let due = begun + Duration::from_secs_f64(number as f64 / rate);
            tokio::time::sleep_until(due.into()).await;
            if while_so.is_some_and(|so| !so()) {
                return Ok(());
            }
            let name = format!("steady-{number}");
            let run = runs::kaniko(&name, "registry.test/app", DIGEST);
            namespace.create_one(&run).await?;
            tokio::time::sleep(RUNS_FOR).await;
            namespace.complete_one(&run).await?;
            let mut completed = completed.lock().unwrap_or_else(PoisonError::into_inner);
            completed.insert(name, Instant::now());
            Ok(())
        }
    })?;
    let completed = completed.into_inner().unwrap_or_else(PoisonError::into_inner);
    let names: Vec<&String> = completed.keys().collect();
    watch.until_all(&names, |seen| seen.is_signed() && !seen.is_held())?;
    let cpu = controller.usage()?.cpu.saturating_sub(before);
    let mut times: Vec<(Duration, Duration)> = completed
        .iter()
        .filter_map(|(name, at)| {
            Some((watch.now(name)?.at.saturating_duration_since(*at), *at - begun))
        })
        .collect();
    times.sort();
    let slowest = slowest(&times);
    let seconds: Vec<f64> = times.iter().map(|(took, _)| took.as_secs_f64()).collect();
    let all = audit.requests()?;
    let requests = by_object(&all, "taskruns");
    let ours = requests.iter().filter(|(name, _)| completed.contains_key(*name));
    let requests: usize = ours.flat_map(|(_, verbs)| verbs.values()).sum();
    let requests = requests as f64 / seconds.len() as f64;
    Ok(Steady { seconds, cpu, requests, told: told(&all), slowest })
}

/// The last of what each took, and when it was complete.
fn slowest(times: &[(Duration, Duration)]) -> String {
    let slowest = times.iter().rev().take(SLOWEST);
    let slowest = slowest.map(|(took, at)| {
        format!("{:.0} ms at {:.1} s", took.as_secs_f64() * 1e3, at.as_secs_f64())
    });
    slowest.collect::<Vec<_>>().join(", ")
}
