//! The metrics by name, each registered once and at zero from the start, so that the first increment shows.

use std::fmt;
use std::time::Duration;

use chains_backends::{SIGNERS, STORES};
use chains_core::{ErrorKind, RunKind};
use chains_engine::Stage;
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

use super::Closed;
use super::process::Process;
use crate::queue::Lane;

/// A label and its value.
type Label = (&'static str, &'static str);

const KINDS: [RunKind; 2] = [RunKind::TaskRun, RunKind::PipelineRun];

/// What a later attempt may mend: reasons of retries that are there from the start.
const RETRYABLE: [ErrorKind; 4] =
    [ErrorKind::Conflict, ErrorKind::Throttled, ErrorKind::Timeout, ErrorKind::Unavailable];

/// Stages with the words that the reference has for them in `error_type`.
const ERROR_TYPES: [(Stage, &str); 4] = [
    (Stage::Payload, "payload_creation"),
    (Stage::Sign, "signing"),
    (Stage::Log, "tlog"),
    (Stage::Store, "storage"),
];

/// Upper bounds in seconds: of the wait of a run, of calls over the network, of signatures with a key at hand.
const WAITS: [f64; 14] =
    [0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0];
const CALLS: [f64; 12] = [0.001, 0.005, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0];
const SIGNATURES: [f64; 9] = [0.0001, 0.0005, 0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 30.0];

/// What stands for a backend that is not in the tables of what is compiled in.
const OTHER: &str = "other";

/// Makes histograms with these bounds.
#[derive(Debug, Clone)]
pub(super) struct Bounds(&'static [f64]);

impl MetricConstructor<Histogram> for Bounds {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

/// What the reference counts too, for one kind of run.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) signed: Counter,
    pub(super) uploaded: Counter,
    pub(super) stored: Counter,
    pub(super) marked: Counter,
    pub(super) failures: Family<[Label; 1], Counter>,
}

/// The calls of one sort of backend, by the backend's name.
#[derive(Debug)]
pub(super) struct Calls {
    label: &'static str,
    names: Vec<&'static str>,
    seconds: Family<[Label; 1], Histogram, Bounds>,
    outcomes: Family<[Label; 2], Counter>,
}

/// The calls of the log, of which there is one.
#[derive(Debug)]
pub(super) struct LogCalls {
    seconds: Histogram,
    outcomes: Family<[Label; 1], Counter>,
}

/// All metrics.
#[derive(Debug)]
pub(super) struct Families {
    registry: Registry,
    taskrun: Kind,
    pipelinerun: Kind,
    pub(super) runs: Family<[Label; 2], Counter>,
    pub(super) completion_to_signed: Family<[Label; 1], Histogram, Bounds>,
    pub(super) retries: Family<[Label; 2], Counter>,
    pub(super) backlog: Family<[Label; 2], Gauge>,
    pub(super) in_flight: Gauge,
    pub(super) concurrency_limit: Gauge,
    pub(super) config_valid: Gauge,
    pub(super) signing_key_valid: Gauge,
    pub(super) buckets_held: Gauge,
    pub(super) stores: Calls,
    pub(super) signers: Calls,
    pub(super) log: LogCalls,
}

impl Families {
    pub(super) fn new() -> Self {
        let mut to = Registrar(Registry::default());
        let families = Self {
            taskrun: to.kind(RunKind::TaskRun),
            pipelinerun: to.kind(RunKind::PipelineRun),
            runs: to.runs(),
            completion_to_signed: to.completion_to_signed(),
            retries: to.retries(),
            backlog: to.backlog(),
            in_flight: to.add("chains_in_flight", "Runs that are worked on now"),
            concurrency_limit: to
                .add("chains_concurrency_limit", "Runs that may be worked on at once now"),
            config_valid: to.add(
                "chains_config_valid",
                "1 while the configuration in the cluster is in use, 0 while it has faults or is not read yet",
            ),
            signing_key_valid: to.add(
                "chains_signing_key_valid",
                "1 while the key behind `x509` can be used or none is needed, 0 while it is missing or at fault",
            ),
            buckets_held: to
                .add("chains_buckets_held", "Shares of the runs that this replica works on"),
            stores: to.stores(),
            signers: to.signers(),
            log: to.log(),
            registry: Registry::default(),
        };
        to.build_info();
        to.0.register_collector(Box::new(Process::new()));
        Self { registry: to.0, ..families }
    }

    pub(super) const fn kind(&self, kind: RunKind) -> &Kind {
        match kind {
            RunKind::TaskRun => &self.taskrun,
            RunKind::PipelineRun => &self.pipelinerun,
        }
    }

    pub(super) fn encode(&self) -> Result<String, fmt::Error> {
        let mut written = String::with_capacity(16 * 1024);
        text::encode(&mut written, &self.registry)?;
        Ok(written)
    }
}

impl Calls {
    pub(super) fn observe(&self, name: &str, outcome: &'static str, took: Duration) {
        let known = self.names.iter().copied().find(|known| *known == name);
        let backend = (self.label, known.unwrap_or(OTHER));
        self.seconds.get_or_create(&[backend]).observe(took.as_secs_f64());
        self.outcomes.get_or_create(&[backend, ("outcome", outcome)]).inc();
    }
}

impl LogCalls {
    pub(super) fn observe(&self, outcome: &'static str, took: Duration) {
        self.seconds.observe(took.as_secs_f64());
        self.outcomes.get_or_create(&[("outcome", outcome)]).inc();
    }
}

/// The word of the reference for what failed.
pub(super) fn error_type(stage: Stage) -> Label {
    let found = ERROR_TYPES.iter().find(|(known, _)| *known == stage);
    ("error_type", found.map_or(OTHER, |(_, word)| word))
}

/// Registers metrics. A counter's name gets its `_total` when it is written.
struct Registrar(Registry);

impl Registrar {
    fn add<M: Metric + Clone + Default>(&mut self, name: impl Into<String>, help: &str) -> M {
        self.register(name, help, M::default())
    }

    fn register<M: Metric + Clone>(&mut self, name: impl Into<String>, help: &str, metric: M) -> M {
        self.0.register(name, help, metric.clone());
        metric
    }

    fn kind(&mut self, kind: RunKind) -> Kind {
        let name = |what: &str| format!("watcher_{}_{what}", kind.as_lower());
        let failures = counters(ERROR_TYPES.map(|(stage, _)| [error_type(stage)]));
        Kind {
            signed: self.add(name("sign_created"), &format!("Signatures made for {kind}s")),
            uploaded: self.add(
                name("payload_uploaded"),
                &format!("Answers of the transparency log with an entry, for {kind}s"),
            ),
            stored: self.add(
                name("payload_stored"),
                &format!("Records of {kind}s that a store keeps, each store counted"),
            ),
            marked: self.add(name("marked_signed"), &format!("{kind}s marked as signed")),
            failures: self.register(
                name("signing_failures"),
                &format!("What failed in attempts at {kind}s themselves, their images left aside"),
                failures,
            ),
        }
    }

    fn runs(&mut self) -> Family<[Label; 2], Counter> {
        let outcomes = [Closed::Signed, Closed::Failed].map(|how| ("outcome", how.as_str()));
        let help = "Runs that were closed: marked as signed, or given up and marked as failed";
        self.register("chains_runs", help, counters(by_kind(&outcomes)))
    }

    fn completion_to_signed(&mut self) -> Family<[Label; 1], Histogram, Bounds> {
        let family = histograms(&WAITS, KINDS.map(|kind| [kind_label(kind)]));
        let help = "Seconds from the completion of a run until it is marked as signed";
        self.register("chains_completion_to_signed_seconds", help, family)
    }

    fn retries(&mut self) -> Family<[Label; 2], Counter> {
        let reasons = RETRYABLE.map(|reason| ("reason", reason.as_str()));
        let help = "Attempts that ended with another one to follow, by what failed";
        self.register("chains_retries", help, counters(by_kind(&reasons)))
    }

    fn backlog(&mut self) -> Family<[Label; 2], Gauge> {
        let help = "Runs that wait, by lane of the queue: ready, or delayed until a later time";
        let ready = Lane::ALL.map(|lane| [("lane", lane.as_str()), ("state", "ready")]);
        let delayed = [("lane", Lane::Backlog.as_str()), ("state", "delayed")];
        let all = ready.into_iter().chain([delayed]);
        self.register("chains_backlog", help, zeroed(Family::default(), all))
    }

    fn stores(&mut self) -> Calls {
        let names = STORES.iter().map(|(name, _)| *name).collect();
        let words = ["stored", "already_stored", "on_run", "skipped"];
        self.calls("store", "Storing a record", names, &CALLS, &words)
    }

    fn signers(&mut self) -> Calls {
        let names = SIGNERS.iter().map(|(name, _)| *name).filter(|name| *name != "none").collect();
        self.calls("signer", "Making a signature", names, &SIGNATURES, &["ok"])
    }

    fn calls(
        &mut self,
        label: &'static str,
        what: &str,
        names: Vec<&'static str>,
        bounds: &'static [f64],
        words: &[&'static str],
    ) -> Calls {
        let seconds = histograms(bounds, names.iter().map(|name| [(label, *name)]));
        let outcomes =
            counters(names.iter().flat_map(|name| {
                words.iter().map(move |word| [(label, *name), ("outcome", *word)])
            }));
        let help = format!("{what}: seconds, with all attempts and pauses");
        let seconds = self.register(format!("chains_{label}_seconds"), &help, seconds);
        let help = format!("{what}: what came of it after all attempts, or the kind of error");
        let outcomes = self.register(format!("chains_{label}_outcomes"), &help, outcomes);
        Calls { label, names, seconds, outcomes }
    }

    fn log(&mut self) -> LogCalls {
        let help = "Logging a record: seconds, with all attempts and pauses";
        let seconds = self.register("chains_log_seconds", help, Histogram::new(CALLS));
        let help = "Logging a record: what came of it after all attempts, or the kind of error";
        let outcomes = counters([[("outcome", "ok")]]);
        LogCalls { seconds, outcomes: self.register("chains_log_outcomes", help, outcomes) }
    }

    fn build_info(&mut self) {
        let family = Family::<[Label; 2], Gauge>::default();
        let revision = option_env!("CHAINS_REVISION").unwrap_or("unknown");
        let labels = [("version", env!("CARGO_PKG_VERSION")), ("revision", revision)];
        family.get_or_create(&labels).set(1);
        self.register("chains_build_info", "Always 1; its labels say what is running", family);
    }
}

const fn kind_label(kind: RunKind) -> Label {
    ("kind", kind.as_lower())
}

/// Each kind of run with each of these.
fn by_kind(others: &[Label]) -> impl Iterator<Item = [Label; 2]> {
    KINDS.into_iter().flat_map(|kind| others.iter().map(move |other| [kind_label(kind), *other]))
}

fn counters<const N: usize>(
    labels: impl IntoIterator<Item = [Label; N]>,
) -> Family<[Label; N], Counter> {
    zeroed(Family::default(), labels)
}

fn histograms(
    bounds: &'static [f64],
    labels: impl IntoIterator<Item = [Label; 1]>,
) -> Family<[Label; 1], Histogram, Bounds> {
    zeroed(Family::new_with_constructor(Bounds(bounds)), labels)
}

/// The family with these labels in it from the start.
fn zeroed<M: Clone, C: MetricConstructor<M>, const N: usize>(
    family: Family<[Label; N], M, C>,
    labels: impl IntoIterator<Item = [Label; N]>,
) -> Family<[Label; N], M, C> {
    for labels in labels {
        drop(family.get_or_create(&labels));
    }
    family
}
