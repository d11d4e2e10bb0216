//! Lines as they come out, through the filters of the real thing.

use std::io;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tracing_subscriber::fmt::MakeWriter;

use super::*;

/// Keeps what is written.
#[derive(Debug, Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl io::Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Kept {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// What is written while `work` runs; it gets the handle that changes the level.
fn written(format: LogFormat, rust_log: Option<&str>, work: impl FnOnce(&Logs)) -> Vec<String> {
    let kept = Kept::default();
    let chosen = Chosen::new(rust_log.map(str::to_owned));
    let (filter, handle) = reload::Layer::new(chosen.filter);
    let lines = Lines::new(format, kept.clone()).with_filter(filter.or(context_spans()));
    let logs = Logs { level: chosen.changeable.then_some(handle), traces: None };
    tracing::subscriber::with_default(Registry::default().with(lines), || work(&logs));
    let bytes = kept.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
}

/// The lines without the time, which is checked for its form.
fn json(rust_log: Option<&str>, work: impl FnOnce(&Logs)) -> Vec<String> {
    let without_time = |line: String| {
        let object: Value = serde_json::from_str(&line).unwrap();
        let time = object["ts"].as_str().unwrap();
        assert!(time.ends_with('Z') && time.len() == "2026-11-22T14:05:24.156Z".len(), "{time}");
        time.parse::<jiff::Timestamp>().unwrap();
        line.replace(&format!(r#""ts":"{time}","#), "")
    };
    written(LogFormat::Json, rust_log, work).into_iter().map(without_time).collect()
}

const HERE: &str = "chains_controller::telemetry::logs::tests";

#[test]
fn fields_of_event_and_spans_lie_flat() {
    let lines = json(None, |_| {
        let run = tracing::info_span!("run", run = "TaskRun ci/build", uid = %"u-1", target = tracing::field::Empty);
        let _in_run = run.enter();
        tracing::info!(attempt = 2, slow = true, "begun");
        run.record("target", "image");
        let inner = tracing::info_span!("store", store = "oci", uid = "u-2", otel.name = "store");
        let _in_store = inner.enter();
        let error = Error::new(ErrorKind::Timeout, "pushing").with_source("too slow");
        tracing::warn!(error = &error as &dyn std::error::Error, store = ?Some(1), "failed");
    });
    let begin = format!(r#"{{"level":"info","logger":"{HERE}","msg":"begun","#);
    let middle = r#""run":"TaskRun ci/build","uid":"u-1","attempt":2,"slow":true}"#;
    assert_eq!(lines[0], format!("{begin}{middle}"));
    let begin = format!(r#"{{"level":"warn","logger":"{HERE}","msg":"failed","#);
    let middle = r#""run":"TaskRun ci/build","target":"image","uid":"u-2","error":"pushing: too slow","store":"Some(1)"}"#;
    assert_eq!(lines[1], format!("{begin}{middle}"));
    assert_eq!(lines.len(), 2);
}

#[test]
fn hostile_texts_stay_in_their_place() {
    let name = "a\",\"level\":\"x\n{\u{1b}[31m";
    let lines =
        json(None, |_| tracing::info!(level = name, r#type = name, nan = f64::NAN, "{name}"));
    assert_eq!(lines.len(), 1);
    let object: Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(object["level"], "info");
    assert_eq!(object["field.level"], name);
    assert_eq!(object["type"], name);
    assert_eq!(object["nan"], "NaN");
    assert_eq!(object["msg"], name);

    let lines = written(LogFormat::Text, None, |_| tracing::info!(run = name, n = 1, "{name}"));
    assert_eq!(lines.len(), 1);
    let (_, rest) = lines[0].split_once(' ').unwrap();
    let expect = format!(
        " INFO {HERE}: a\",\"level\":\"x {{ [31m run=\"a\\\",\\\"level\\\":\\\"x\\n{{\\u001b[31m\" n=1"
    );
    assert_eq!(rest, expect);
}

#[test]
fn secrets_are_not_shown() {
    let secret = chains_core::Secret::new("hunter2");
    let lines = json(None, |_| tracing::info!(password = ?secret, token = %secret, "have"));
    assert!(lines[0].ends_with(r#""password":"[redacted]","token":"[redacted]"}"#), "{}", lines[0]);
}

fn tell_all() {
    tracing::error!("error");
    tracing::warn!("warn");
    tracing::info!("info");
    tracing::debug!("debug");
    tracing::warn!(target: "tower::buffer", "tower warn");
    // What the client of the API server warns of, we tell ourselves.
    tracing::warn!(target: "kube_client::client", "kube warn");
    tracing::info!(target: "hyper::proto", "hyper info");
}

fn messages(lines: Vec<String>) -> Vec<String> {
    let message = |line: String| serde_json::from_str::<Value>(&line).unwrap()["msg"].clone();
    lines.into_iter().map(|line| message(line).as_str().unwrap().to_owned()).collect()
}

#[track_caller]
fn check_level(rust_log: Option<&str>, set: Option<Level>, expect: &[&str]) {
    let lines = json(rust_log, |logs| {
        if let Some(level) = set {
            logs.set_level(level);
        }
        tell_all();
    });
    assert_eq!(messages(lines), expect, "{rust_log:?} {set:?}");
}

#[test]
fn the_level_is_that_of_the_configuration_unless_the_environment_says_otherwise() {
    check_level(None, None, &["error", "warn", "info", "tower warn"]);
    check_level(None, Some(Level::DEBUG), &["error", "warn", "info", "debug", "tower warn"]);
    check_level(None, Some(Level::ERROR), &["error"]);
    check_level(Some(" "), Some(Level::WARN), &["error", "warn", "tower warn"]);
    check_level(Some("hyper=info"), Some(Level::DEBUG), &["hyper info"]);
    check_level(Some("chains=what"), Some(Level::WARN), &["error", "warn", "tower warn"]);
}

#[test]
fn a_warning_tells_its_run_where_only_warnings_are_logged() {
    let lines = json(Some("warn"), |_| {
        let _in_run = tracing::info_span!("run", run = "ci/build").entered();
        tracing::info!("begun");
        tracing::warn!("failed");
    });
    assert_eq!(lines.len(), 1);
    assert!(lines[0].ends_with(r#""msg":"failed","run":"ci/build"}"#), "{}", lines[0]);
}

#[test]
fn details_and_their_spans_are_logged_where_they_are_asked_for() {
    let lines = json(Some("chains=trace"), |_| {
        let _detail = tracing::debug_span!("detail", part = "a").entered();
        tracing::trace!("seen");
    });
    assert!(lines[0].ends_with(r#""msg":"seen","part":"a"}"#), "{}", lines[0]);
}

#[test]
fn what_is_wrong_with_rust_log_is_told() {
    let fault = Chosen::new(Some("chains=what".to_owned())).fault.unwrap();
    assert!(fault.starts_with("\"chains=what\": "), "{fault}");
    assert_eq!(directives(Level::TRACE), "WARN,kube_client=off,kube_runtime=off,chains=TRACE");
    assert_eq!(directives(Level::ERROR), "ERROR,kube_client=off,kube_runtime=off,chains=ERROR");
}
