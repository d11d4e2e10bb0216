//! Spans reach a collector as the environment says: in a process of its own, because the environment is read.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;

use tracing_subscriber::layer::SubscriberExt as _;

/// Set in the process that exports.
const EXPORTS: &str = "CHAINS_TEST_EXPORTS_TRACES";

/// Takes one request, answers 200, and returns the request's head and body.
fn collect(listener: &TcpListener) -> (String, Vec<u8>) {
    let (mut connection, _) = listener.accept().unwrap();
    let mut got = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let read = connection.read(&mut chunk).unwrap();
        got.extend_from_slice(&chunk[..read]);
        let head = got.windows(4).position(|bytes| bytes == b"\r\n\r\n").map(|at| at + 4);
        let Some(head) = head else { continue };
        let text = String::from_utf8(got[..head].to_vec()).unwrap().to_lowercase();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        if got.len() >= head + length.parse::<usize>().unwrap() {
            let answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n";
            connection.write_all(answer).unwrap();
            return (text, got[head..].to_vec());
        }
    }
}

/// What the process that exports does.
async fn export() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let traces = crate::telemetry::traces::start().unwrap().unwrap();
    // Beside it a layer that takes everything, as the log does where it is asked for details.
    let all = tracing_subscriber::fmt::layer().with_writer(std::io::sink);
    let subscriber = tracing_subscriber::registry().with(all).with(traces.layer());
    tracing::subscriber::with_default(subscriber, || {
        let _span = tracing::error_span!("sign", run = "TaskRun ci/build", uid = "u-1").entered();
        tracing::info!("stored");
        tracing::info_span!(target: "hyper::proto", "not ours").in_scope(|| {});
        tracing::debug_span!("too small").in_scope(|| tracing::debug!("too small"));
    });
    traces.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_reach_the_collector_that_the_environment_names() {
    if std::env::var_os(EXPORTS).is_some() {
        return export().await;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let collected = std::thread::spawn(move || collect(&listener));
    let name = std::thread::current().name().unwrap().to_owned();
    let output = Command::new(std::env::current_exe().unwrap())
        .args([name.as_str(), "--exact", "--nocapture"])
        .env(EXPORTS, "1")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{address}"))
        .env("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=chains")
        .env("OTEL_SERVICE_NAME", "chains-of-team-a")
        .env("NO_PROXY", "127.0.0.1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let (head, body) = collected.join().unwrap();
    assert!(head.starts_with("post /v1/traces http/1.1\r\n"), "{head}");
    assert!(head.contains("content-type: application/x-protobuf\r\n"), "{head}");
    assert!(head.contains("x-tenant: chains\r\n"), "{head}");
    let has = |text: &str| body.windows(text.len()).any(|bytes| bytes == text.as_bytes());
    for text in ["sign", "TaskRun ci/build", "u-1", "stored", "chains-of-team-a", "service.version"]
    {
        assert!(has(text), "no `{text}` in the export");
    }
    for text in ["not ours", "too small"] {
        assert!(!has(text), "`{text}` was exported");
    }
}
