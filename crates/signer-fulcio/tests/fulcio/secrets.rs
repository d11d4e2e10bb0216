//! Tokens and keys show nowhere: not in errors, not in logs, not in what is printed for debugging.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chains_core::Signer as _;
use chains_signer_fulcio::{Filesystem, FulcioSigner, SourceOptions, Variables, identity_source};
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{Behaviour, Fulcio, direct, given, options, token};

/// Keeps all that is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("nobody panicked").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Log {
    fn add(&self, text: &str) {
        self.clone().write_all(text.as_bytes()).expect("kept");
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("nobody panicked")).into_owned()
    }
}

#[tokio::test]
async fn tokens_and_keys_show_nowhere() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    let _logged = tracing::subscriber::set_default(subscriber);
    let secret = token();

    let fulcio = Fulcio::start(Behaviour::Issue(Duration::from_secs(600))).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    std::fs::write(&file, &secret).expect("written");
    let source = Arc::new(Filesystem::new(&file));
    log.add(&format!("{source:?} {:?}", given(&secret)));
    let signer = FulcioSigner::new(options(&fulcio.address), source, None).expect("a signer");
    let signature = signer.sign(b"message").await.expect("a signature");
    log.add(&format!("{signer:?} {signature:?}"));

    let echoes = ["you sent TOKEN", "TOKEN", "it was \"TOKEN\".", "Bearer TOKEN, and TOKEN"];
    for (message, status) in echoes.into_iter().zip([400, 403, 500, 418]) {
        fulcio.set(Behaviour::Refuse(status, message));
        let signer = FulcioSigner::new(options(&fulcio.address), given(&secret), None);
        let signer = signer.expect("a signer");
        let error = signer.sign(b"message").await.expect_err("refused");
        log.add(&format!("{error:?} {} {signer:?} {:?}", error.report(), signer.status()));
    }
    for body in [format!("\"{secret}\""), format!("{{\"{secret}\":1}}")] {
        fulcio.set(Behaviour::Body(body));
        let signer = FulcioSigner::new(options(&fulcio.address), given(&secret), None);
        let error = signer.expect("a signer").sign(b"message").await.expect_err("refused");
        log.add(&error.report());
    }
    log.add(&sources_that_fail(&secret).await);

    let text = log.text();
    assert!(text.contains("got a certificate") && text.contains("[redacted]"), "{text}");
    for part in secret.split('.').chain(["PRIVATE KEY"]) {
        assert!(!text.contains(part), "{part} shows:\n{text}");
    }
}

/// Sources whose credentials are secret too, and whose servers cannot be reached.
async fn sources_that_fail(secret: &str) -> String {
    let variables: Variables = [
        ("ACTIONS_ID_TOKEN_REQUEST_URL", format!("http://127.0.0.1:1/?{secret}")),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", secret.to_owned()),
        ("BUILDKITE_AGENT_ACCESS_TOKEN", secret.to_owned()),
        ("BUILDKITE_AGENT_ENDPOINT", "http://127.0.0.1:1".to_owned()),
        ("BUILDKITE_JOB_ID", "job".to_owned()),
    ]
    .into_iter()
    .collect();
    let options = SourceOptions { connection: direct(), ..SourceOptions::default() };
    let source = identity_source(&options, &variables).expect("a source");
    let error = source.token("sigstore").await.expect_err("nobody is there");
    format!("{variables:?} {source:?} {error:?} {}", error.report())
}
