//! What is counted when, and that the page tells all of it.

use chains_backends::Formats;
use chains_config::Config;
use chains_core::{Progress, Store};
use chains_engine::{Engine, LogMode, LogRoute, Plan, Route};
use chains_tekton::Run;
use chains_testkit::fake::{FailingStore, FakeLog, FakeSigner, MemoryStore};

use super::super::backends::call;
use super::*;

const PAGE: &str = include_str!("../../../../../docs/metrics.md");

impl Metrics {
    /// The value of a series, named as it is written.
    #[track_caller]
    fn value(&self, series: &str) -> f64 {
        let text = self.openmetrics().unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {series} in\n{text}")).parse().unwrap()
    }

    #[track_caller]
    fn check(&self, expect: &[(&str, f64)]) {
        for (series, value) in expect {
            assert!((self.value(series) - value).abs() < 1e-9, "{series}: {}", self.value(series));
        }
    }
}

/// An engine with a log that signs a TaskRun and its image for these stores.
fn engine(stores: &[Arc<dyn Store>]) -> Engine {
    let chosen = Formats::new(&Config::read("").unwrap()).unwrap().chosen(RunKind::TaskRun);
    let route = |format: Option<_>| Route {
        format: format.unwrap(),
        signer: Some(Arc::new(FakeSigner::new(1))),
        stores: stores.to_vec(),
    };
    let log = Arc::new(FakeLog::new("https://log.example.com"));
    Engine::new(Plan {
        taskrun: route(chosen.run.clone()),
        pipelinerun: route(chosen.run),
        image: route(chosen.image),
        pipelinerun_images: false,
        log: Some(LogRoute { log, mode: LogMode::Always, required: true }),
    })
    .unwrap()
}

fn run() -> Run {
    let digest = "b1ecbb5bf11b1c4c1f0e3a5a9b83d8bb6c5e6c37d9a2f0e4c6c9b1e4f5a7d2c3";
    let json = format!(
        r#"{{"apiVersion":"tekton.dev/v1","kind":"TaskRun","metadata":{{"name":"build","uid":"u-1"}},
            "status":{{"conditions":[{{"type":"Succeeded","status":"True"}}],"results":[
            {{"name":"IMAGE_URL","value":"reg.example.com/app"}},
            {{"name":"IMAGE_DIGEST","value":"sha256:{digest}"}}]}}}}"#
    );
    Run::from_json(json.as_bytes()).unwrap()
}

#[tokio::test]
async fn attempts_count_what_the_reference_counts() {
    let metrics = Metrics::new();
    let memory = |name| -> Arc<dyn Store> { Arc::new(MemoryStore::new(name)) };
    let flaky = Arc::new(FailingStore::new(memory("two"), 2, ErrorKind::Unavailable));
    let engine = engine(&[memory("one"), flaky]);

    let first = engine.process(&run(), &Progress::default()).await;
    metrics.attempt(RunKind::TaskRun, &first);
    metrics.check(&[
        ("watcher_taskrun_sign_created_total", 2.0),
        ("watcher_taskrun_payload_uploaded_total", 2.0),
        ("watcher_taskrun_payload_stored_total", 2.0),
        // The run's own record; that of its image failed too.
        ("watcher_taskrun_signing_failures_total{error_type=\"storage\"}", 1.0),
        ("watcher_taskrun_signing_failures_total{error_type=\"signing\"}", 0.0),
        ("watcher_taskrun_marked_signed_total", 0.0),
    ]);

    let second = engine.process(&run(), first.progress()).await;
    assert!(second.is_done());
    metrics.attempt(RunKind::TaskRun, &second);
    metrics.check(&[
        // The signatures of the first attempt were taken over.
        ("watcher_taskrun_sign_created_total", 2.0),
        ("watcher_taskrun_payload_stored_total", 4.0),
        ("watcher_taskrun_signing_failures_total{error_type=\"storage\"}", 1.0),
        ("watcher_pipelinerun_sign_created_total", 0.0),
    ]);
}

#[test]
fn closed_runs_are_counted_and_timed() {
    let metrics = Metrics::new();
    metrics.closed(RunKind::PipelineRun, Closed::Signed, Some(Duration::from_millis(200)));
    metrics.closed(RunKind::PipelineRun, Closed::Signed, None);
    metrics.closed(RunKind::PipelineRun, Closed::Failed, Some(Duration::from_secs(1)));
    let signed = "chains_completion_to_signed_seconds";
    metrics.check(&[
        ("watcher_pipelinerun_marked_signed_total", 2.0),
        ("watcher_taskrun_marked_signed_total", 0.0),
        ("chains_runs_total{kind=\"pipelinerun\",outcome=\"signed\"}", 2.0),
        ("chains_runs_total{kind=\"pipelinerun\",outcome=\"failed\"}", 1.0),
        (&format!("{signed}_count{{kind=\"pipelinerun\"}}"), 1.0),
        (&format!("{signed}_bucket{{le=\"0.1\",kind=\"pipelinerun\"}}"), 0.0),
        (&format!("{signed}_bucket{{le=\"0.25\",kind=\"pipelinerun\"}}"), 1.0),
    ]);
}

#[test]
fn calls_of_backends_are_counted_by_names_that_are_known() {
    let metrics = Metrics::new();
    metrics.measured(&call(Stage::Store, "oci", "stored", Duration::from_millis(2)));
    metrics.measured(&call(Stage::Store, "oci", "timeout", Duration::from_secs(120)));
    metrics.measured(&call(Stage::Store, "what somebody wrote", "stored", Duration::ZERO));
    metrics.measured(&call(Stage::Sign, "x509", "ok", Duration::from_micros(80)));
    metrics.measured(&call(Stage::Log, "https://log.example.com", "ok", Duration::from_secs(1)));
    metrics.check(&[
        ("chains_store_outcomes_total{store=\"oci\",outcome=\"stored\"}", 1.0),
        ("chains_store_outcomes_total{store=\"oci\",outcome=\"timeout\"}", 1.0),
        ("chains_store_outcomes_total{store=\"other\",outcome=\"stored\"}", 1.0),
        ("chains_store_seconds_count{store=\"oci\"}", 2.0),
        ("chains_signer_outcomes_total{signer=\"x509\",outcome=\"ok\"}", 1.0),
        ("chains_signer_seconds_bucket{le=\"0.0001\",signer=\"x509\"}", 1.0),
        ("chains_log_outcomes_total{outcome=\"ok\"}", 1.0),
        ("chains_log_seconds_sum", 1.0),
    ]);
}

#[test]
fn gauges_say_what_is_now() {
    let metrics = Metrics::new();
    metrics.backlog("backlog", "delayed", 7);
    metrics.in_flight(3);
    metrics.concurrency_limit(8);
    metrics.config_valid(true);
    metrics.buckets_held(16);
    metrics.retry(RunKind::TaskRun, ErrorKind::Throttled);
    metrics.check(&[
        ("chains_backlog{lane=\"backlog\",state=\"delayed\"}", 7.0),
        ("chains_backlog{lane=\"fresh\",state=\"ready\"}", 0.0),
        ("chains_in_flight", 3.0),
        ("chains_concurrency_limit", 8.0),
        ("chains_config_valid", 1.0),
        ("chains_buckets_held", 16.0),
        ("chains_retries_total{kind=\"taskrun\",reason=\"throttled\"}", 1.0),
    ]);
    metrics.config_valid(false);
    metrics.check(&[("chains_config_valid", 0.0)]);
}

#[cfg(target_os = "linux")]
#[test]
fn the_process_tells_what_it_uses() {
    let metrics = Metrics::new();
    assert!(metrics.value("process_resident_memory_bytes") > 1e5);
    assert!(metrics.value("process_open_fds") > 2.0);
    assert!(metrics.value("process_cpu_seconds_total") >= 0.0);
    assert!(metrics.value("process_start_time_seconds") > 1.6e9);
}

/// The rows of the page: each metric with its type, its labels, and what it tells.
fn rows() -> Vec<String> {
    let text = Metrics::new().openmetrics().unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let row = |(at, line): (usize, &&str)| {
        let (name, help) = line.strip_prefix("# HELP ")?.split_once(' ')?;
        let sort = lines[at + 1].rsplit_once(' ')?.1;
        let shown = if sort == "counter" { format!("{name}_total") } else { name.to_owned() };
        let labels: Vec<String> = lines[at + 2]
            .split_once('{')
            .map(|(_, rest)| rest.split_once('}').unwrap().0)
            .into_iter()
            .flat_map(|labels| labels.split(','))
            .filter_map(|pair| pair.split_once('='))
            .filter(|(label, _)| *label != "le")
            .map(|(label, _)| format!("`{label}`"))
            .collect();
        let help = help.trim_end_matches('.');
        let labels = if labels.is_empty() { "–".to_owned() } else { labels.join(", ") };
        Some(format!("| `{shown}` | {sort} | {labels} | {help} |"))
    };
    lines.iter().enumerate().filter_map(row).collect()
}

#[test]
fn the_page_tells_every_metric() {
    let expect = rows();
    let ours = ["| `watcher_", "| `chains_", "| `process_"];
    let is_row = |line: &&str| ours.iter().any(|start| line.starts_with(start));
    let told: Vec<_> = PAGE.lines().filter(is_row).collect();
    // Not every system tells what a process uses.
    let there = |row: &&str| !row.starts_with("| `process_") || expect.iter().any(|e| e == row);
    let told: Vec<_> = told.into_iter().filter(there).collect();
    assert_eq!(told, expect, "the table of docs/metrics.md is to be\n{}", expect.join("\n"));
}
