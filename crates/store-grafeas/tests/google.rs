//! Google's side of the store: tokens, rights, and what is asked for. No such server can be had: these answers are as its
//! [documentation](https://cloud.google.com/container-analysis/docs/reference/rest) has them.

#![allow(clippy::unwrap_used, reason = "what a test cannot do without, it may fail for")]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Response, Uri};
use chains_core::{ErrorKind, Outcome, Secret, Store as _};
use chains_store_grafeas::{GrafeasOptions, GrafeasStore, Variables};
use chains_testkit::fixture;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// One request: method, path and query, `Authorization`, body.
type Asked = (Method, String, Option<String>, Value);

/// A server over TLS on loopback, called `localhost`.
struct Server {
    port: u16,
    folder: TempDir,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    async fn start(answer: impl Fn(&Asked) -> (u16, Value) + Send + Sync + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let acceptor = acceptor(&folder);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let (log, answer) = (Arc::clone(&asked), Arc::new(answer));
        let app = Router::new().fallback(
            move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                async move {
                    let shown =
                        headers.get("authorization").map(|it| it.to_str().unwrap().to_owned());
                    let body = serde_json::from_slice(&body).unwrap_or_default();
                    let asked = (method, uri.to_string(), shown, body);
                    let (status, body) = answer(&asked);
                    log.lock().unwrap().push(asked);
                    Response::builder().status(status).body(Body::from(body.to_string())).unwrap()
                }
            },
        );
        tokio::spawn(async move { axum::serve(Encrypted { listener, acceptor }, app).await });
        Self { port, folder, asked }
    }

    /// A store at this server, which is of the domain of these credentials or of another one.
    fn store(&self, domain: &str) -> GrafeasStore {
        let file = self.path("key.json");
        std::fs::write(&file, service_account()).unwrap();
        let variables = [
            ("GOOGLE_APPLICATION_CREDENTIALS", file.to_str().unwrap()),
            ("GOOGLE_CLOUD_UNIVERSE_DOMAIN", domain),
        ];
        GrafeasStore::new(GrafeasOptions {
            endpoint: Some(Secret::new(format!("https://localhost:{}", self.port))),
            ca_files: vec![self.path("ca.pem")],
            variables: Variables::of(variables),
            ..GrafeasOptions::new("p")
        })
        .unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn acceptor(folder: &TempDir) -> TlsAcceptor {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(folder.path().join("ca.pem"), made.cert.pem()).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// A listener that shakes hands first; who does not want to is left.
struct Encrypted {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for Encrypted {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.listener.accept().await.unwrap();
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// A key file as Google gives it, with a key that was just made.
fn service_account() -> String {
    use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
    use base64::Engine as _;
    let pair = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let base64 = base64::engine::general_purpose::STANDARD.encode(der.as_ref());
    json!({
        "type": "service_account",
        "project_id": "p",
        "private_key_id": "test-key-id",
        "private_key": format!("-----BEGIN PRIVATE KEY-----\n{base64}\n-----END PRIVATE KEY-----\n"),
        "client_email": "chains@p.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": "https://oauth2.googleapis.com/token",
    })
    .to_string()
}

fn empty(asked: &Asked) -> (u16, Value) {
    match (&asked.0, asked.1.contains("/notes")) {
        (&Method::GET, _) => (200, json!({})),
        (_, true) => (200, json!({ "name": "projects/p/notes/x" })),
        _ => (200, json!({ "name": "projects/p/occurrences/1" })),
    }
}

#[tokio::test]
async fn a_token_is_shown_to_hosts_of_its_domain_and_to_no_other() {
    let server = Server::start(empty).await;
    let record = fixture::run_record(&fixture::run("build"));
    let outcome = server.store("localhost").put(&record).await.unwrap();
    let location = format!("https://localhost:{}/v1/projects/p/occurrences/1", server.port);
    assert_eq!(outcome, Outcome::Stored { location });
    let asked = server.asked();
    let paths: Vec<_> = asked.iter().map(|(method, path, ..)| format!("{method} {path}")).collect();
    let image = fixture::image("build")
        .to_string()
        .replace('/', "%2F")
        .replace(':', "%3A")
        .replace('@', "%40");
    let expected = [
        format!(
            "GET /v1/projects/p/occurrences?filter=kind%3D%22BUILD%22+AND+resourceUrl%3D%22{image}%22&pageSize=50"
        ),
        "POST /v1/projects/p/notes?noteId=tekton-default-taskrun-intoto".to_owned(),
        "POST /v1/projects/p/occurrences".to_owned(),
    ];
    assert_eq!(paths, expected);
    for (_, path, shown, _) in &asked {
        let shown = shown.as_deref().unwrap_or_default();
        assert!(shown.starts_with("Bearer ") && shown.len() > 100, "{path}: {shown}");
    }

    let server = Server::start(empty).await;
    server.store("googleapis.com").put(&record).await.unwrap();
    assert!(
        server.asked().iter().all(|(_, _, shown, _)| shown.is_none()),
        "it is none of Google's"
    );
}

#[tokio::test]
async fn missing_rights_are_named_and_the_token_is_not() {
    let denied = |asked: &Asked| {
        let message = format!("denied to {}", asked.2.as_deref().unwrap_or_default());
        let error = json!({ "code": 403, "status": "PERMISSION_DENIED", "message": message });
        (403, json!({ "error": error }))
    };
    let server = Server::start(denied).await;
    let record = fixture::image_record(&fixture::run("build"), &fixture::image("build"));
    let error = server.store("localhost").put(&record).await.unwrap_err();
    let report = error.report();
    assert!(error.kind() == ErrorKind::Unauthorized && !error.is_retryable(), "{report}");
    let (_, _, token, _) = server.asked().remove(0);
    let token = token.unwrap().replace("Bearer ", "");
    assert!(!report.contains(&token) && report.contains("denied to Bearer [redacted]"), "{report}");
    for word in ["`roles/containeranalysis.occurrences.editor`", "on the project p"] {
        assert!(report.contains(word), "no {word} in {report}");
    }
}

#[tokio::test]
async fn credentials_are_looked_for_where_the_environment_says() {
    let server = Server::start(empty).await;
    let record = fixture::run_record(&fixture::run("build"));
    let store = server.store("localhost");
    std::fs::write(server.path("key.json"), "{\"private_key\": hunter2}").unwrap();
    let error = store.put(&record).await.unwrap_err();
    let report = error.report();
    assert_eq!(error.kind(), ErrorKind::Configuration, "{report}");
    assert!(
        report.contains("key.json is not JSON: give the pod's service account access"),
        "{report}"
    );
    assert!(!report.contains("hunter2") && server.asked().is_empty(), "{report}");
}

#[tokio::test]
async fn a_note_that_went_away_is_made_again_and_a_server_without_end_is_left() {
    let missing = Arc::new(Mutex::new(1));
    let server = Server::start(move |asked| {
        let mut left = missing.lock().unwrap();
        if asked.0 == Method::POST && !asked.1.contains("/notes") && *left > 0 {
            *left -= 1;
            return (404, json!({ "error": { "status": "NOT_FOUND", "message": "no such note" } }));
        }
        empty(asked)
    })
    .await;
    let record = fixture::run_record(&fixture::run("build"));
    server.store("localhost").put(&record).await.unwrap();
    let notes = server.asked().iter().filter(|asked| asked.1.contains("noteId=")).count();
    assert_eq!(notes, 2);

    let server = Server::start(|_| (200, json!({ "nextPageToken": "again" }))).await;
    let error = server.store("localhost").put(&record).await.unwrap_err();
    assert!(error.report().contains("lists the same page"), "{}", error.report());
    assert_eq!((error.kind(), server.asked().len()), (ErrorKind::Protocol, 2));

    let count = Arc::new(Mutex::new(0));
    let server = Server::start(move |_| {
        let mut count = count.lock().unwrap();
        *count += 1;
        (200, json!({ "nextPageToken": count.to_string() }))
    })
    .await;
    let error = server.store("localhost").put(&record).await.unwrap_err();
    assert!(error.report().contains("lists more than 1000 pages"), "{}", error.report());
    assert_eq!(server.asked().len(), 1000);
}

#[tokio::test]
async fn pages_after_the_one_that_has_it_are_not_asked_for() {
    let made = Arc::new(Mutex::new(Value::Null));
    let server = Server::start(move |asked| {
        let mut made = made.lock().unwrap();
        match (&asked.0, asked.1.contains("/notes")) {
            (&Method::GET, _) if asked.1.contains("pageToken=second") => {
                (200, json!({ "occurrences": [*made], "nextPageToken": "third" }))
            }
            (&Method::GET, _) if made.is_null() => (200, json!({})),
            (&Method::GET, _) => {
                let other = json!({ "name": "projects/p/occurrences/0", "noteName": "other" });
                (200, json!({ "occurrences": [other], "nextPageToken": "second" }))
            }
            (_, false) => {
                *made = asked.3.clone();
                made["name"] = json!("projects/p/occurrences/1");
                (200, made.clone())
            }
            _ => empty(asked),
        }
    })
    .await;
    let record = fixture::run_record(&fixture::run("build"));
    let store = server.store("localhost");
    let location = format!("https://localhost:{}/v1/projects/p/occurrences/1", server.port);
    let stored = Outcome::Stored { location: location.clone() };
    assert_eq!(store.put(&record).await.unwrap(), stored);
    let before = server.asked().len();
    assert_eq!(store.put(&record).await.unwrap(), Outcome::AlreadyStored { location });
    assert_eq!(server.asked().len() - before, 2);
}
