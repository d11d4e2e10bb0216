//! A registry in memory; every request passes a switchboard that may answer in its place.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::serve::ListenerExt as _;
use ferro_blob_store::InMemoryBlobStore;
use ferro_oci_server::{AppState, InMemoryRegistryMeta, router};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A request as it came in.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Seen {
    pub(crate) fn authorization(&self) -> Option<&str> {
        self.headers.get("authorization").map(|value| value.to_str().expect("text"))
    }

    pub(crate) fn is(&self, method: &Method, part: &str) -> bool {
        self.method == method && self.path.contains(part)
    }
}

/// What to do with a request.
pub(crate) enum Act {
    /// The registry answers.
    Pass,
    /// This is the answer.
    Answer(Response),
    /// The registry answers, without this header.
    Without(&'static str),
}

type Switch = Box<dyn FnMut(&Seen) -> Act + Send>;

#[derive(Default)]
struct Board {
    switch: Mutex<Option<Switch>>,
    seen: Mutex<Vec<Seen>>,
}

/// A registry that lives as long as the test's runtime.
#[derive(Clone)]
pub(crate) struct Registry {
    address: SocketAddr,
    board: Arc<Board>,
}

impl Registry {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let (registry, app) = Self::build(listener.local_addr().expect("an address"));
        // Without this, every other answer waits for the client's acknowledgement.
        let listener = listener.tap_io(|stream| stream.set_nodelay(true).expect("a socket"));
        tokio::spawn(async move { axum::serve(listener, app).await });
        registry
    }

    pub(crate) async fn start_tls(tls: &Tls) -> Self {
        let inner = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let (registry, app) = Self::build(inner.local_addr().expect("an address"));
        let listener = TlsListener { inner, acceptor: tls.acceptor.clone() };
        tokio::spawn(async move { axum::serve(listener, app).await });
        registry
    }

    fn build(address: SocketAddr) -> (Self, Router) {
        let board = Arc::new(Board::default());
        let state = AppState::new(
            Arc::new(InMemoryBlobStore::new()),
            Arc::new(InMemoryRegistryMeta::new()),
        );
        let layer = middleware::from_fn_with_state(Arc::clone(&board), pass);
        (Self { address, board }, router(state).layer(layer))
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// Asks `switch` about every request from now on.
    pub(crate) fn switch(&self, switch: impl FnMut(&Seen) -> Act + Send + 'static) {
        *self.board.switch.lock().expect("no panic") = Some(Box::new(switch));
    }

    /// All requests since the last call.
    pub(crate) fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.board.seen.lock().expect("no panic"))
    }
}

/// Header of requests that a test makes by hand.
const BY_HAND: &str = "x-by-hand";

async fn pass(State(board): State<Arc<Board>>, request: Request, next: Next) -> Response {
    if request.headers().contains_key(BY_HAND) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.expect("a body");
    let path = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let seen = Seen {
        method: parts.method.clone(),
        path,
        headers: parts.headers.clone(),
        body: body.clone(),
    };
    let act = {
        let mut switch = board.switch.lock().expect("no panic");
        switch.as_mut().map_or(Act::Pass, |switch| switch(&seen))
    };
    board.seen.lock().expect("no panic").push(seen);
    let request = Request::from_parts(parts, Body::from(body));
    match act {
        Act::Pass => next.run(request).await,
        Act::Answer(response) => response,
        Act::Without(header) => {
            let mut response = next.run(request).await;
            response.headers_mut().remove(header);
            response
        }
    }
}

/// An answer made by hand.
pub(crate) fn reply(status: u16, headers: &[(&str, &str)], body: impl Into<Body>) -> Act {
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    for (name, value) in headers {
        let name: axum::http::HeaderName = name.parse().expect("a name");
        response.headers_mut().append(name, value.parse().expect("a value"));
    }
    Act::Answer(response)
}

/// A certificate for 127.0.0.1 and the authority that signed it.
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    /// PEM of the authority.
    pub(crate) authority: String,
}

impl Tls {
    pub(crate) fn new() -> Self {
        let authority_key = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority = params.self_signed(&authority_key).expect("an authority").pem();
        let issuer = rcgen::Issuer::new(params, authority_key);
        let key = rcgen::KeyPair::generate().expect("a key");
        let leaf = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()])
            .expect("parameters")
            .signed_by(&key, &issuer)
            .expect("a certificate");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .expect("a configuration");
        Self { acceptor: TlsAcceptor::from(Arc::new(config)), authority }
    }
}

struct TlsListener {
    inner: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Ok((stream, address)) = self.inner.accept().await else { continue };
            // Those who do not trust us hang up in the middle of it.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.inner.local_addr()
    }
}

/// What a test does by hand, past the switchboard.
impl Registry {
    fn client() -> reqwest::Client {
        let mark =
            (reqwest::header::HeaderName::from_static(BY_HAND), "1".parse().expect("a value"));
        let headers = [mark].into_iter().collect();
        // Without certificates to load, which takes longer than all the rest.
        reqwest::Client::builder()
            .tls_danger_accept_invalid_certs(true)
            .default_headers(headers)
            .build()
            .expect("a client")
    }

    fn url(&self, repository: &str, path: &str) -> String {
        format!("http://{}/v2/{repository}/{path}", self.address)
    }

    /// Puts a blob there, and gives its digest.
    pub(crate) async fn push_blob(&self, repository: &str, content: &[u8]) -> String {
        let digest = chains_core::Digest::sha256_of(content).to_string();
        let client = Self::client();
        let start =
            client.post(self.url(repository, "blobs/uploads/")).send().await.expect("a start");
        let location = start.headers()["location"].to_str().expect("text").to_owned();
        let separator = if location.contains('?') { '&' } else { '?' };
        let url = format!("http://{}{location}{separator}digest={digest}", self.address);
        let done = client.put(url).body(content.to_vec()).send().await.expect("an upload");
        assert!(done.status().is_success(), "{}", done.status());
        digest
    }

    pub(crate) async fn put_manifest(&self, repository: &str, reference: &str, manifest: &str) {
        let media_type =
            serde_json::from_str::<serde_json::Value>(manifest).expect("JSON")["mediaType"]
                .as_str()
                .expect("a media type")
                .to_owned();
        let url = self.url(repository, &format!("manifests/{reference}"));
        let request = Self::client().put(url).header("content-type", media_type);
        let done = request.body(manifest.to_owned()).send().await.expect("a manifest");
        assert!(done.status().is_success(), "{}", done.text().await.unwrap_or_default());
    }

    /// The manifest with a tag or digest, as JSON; null where there is none.
    pub(crate) async fn manifest(&self, repository: &str, reference: &str) -> serde_json::Value {
        match self.manifest_bytes(repository, reference).await.as_slice() {
            [] => serde_json::Value::Null,
            bytes => serde_json::from_slice(bytes).expect("JSON"),
        }
    }

    /// The same as it is; empty where there is none.
    pub(crate) async fn manifest_bytes(&self, repository: &str, reference: &str) -> Vec<u8> {
        self.get(repository, &format!("manifests/{reference}")).await
    }

    /// The registry's own list of what refers to a manifest, as JSON.
    pub(crate) async fn referrers(&self, repository: &str, digest: &str) -> serde_json::Value {
        let list = self.get(repository, &format!("referrers/{digest}")).await;
        serde_json::from_slice(&list).expect("JSON")
    }

    async fn get(&self, repository: &str, path: &str) -> Vec<u8> {
        let answer = Self::client().get(self.url(repository, path)).send().await;
        let answer = answer.expect("an answer");
        if answer.status() == 404 {
            return Vec::new();
        }
        answer.bytes().await.expect("a body").to_vec()
    }

    pub(crate) async fn blob(&self, repository: &str, digest: &str) -> Vec<u8> {
        self.get(repository, &format!("blobs/{digest}")).await
    }
}
