//! The server: it issues certificates, or does what it is told.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chains_core::{PublicKey, SignatureAlgorithm};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use x509_cert::der::{DecodePem as _, Encode as _};
use x509_cert::request::CertReq;

use super::{Authority, ISSUER, Tls};

/// What the server does when it is asked for a certificate.
#[derive(Clone)]
pub(crate) enum Behaviour {
    /// Issues one that is valid for so long.
    Issue(Duration),
    /// Issues one for another key.
    OtherKey,
    /// Answers these certificates after the one it issues.
    Chain(Vec<String>),
    /// Sends a promise beside the certificate.
    Promise(String),
    /// Refuses with this status, and this message; `TOKEN` in it becomes the token.
    Refuse(u16, &'static str),
    /// Answers this body.
    Body(String),
    /// Never answers.
    Hang,
    /// Sends whoever asks elsewhere.
    Redirect(String),
}

/// A server on this machine.
pub(crate) struct Fulcio {
    pub(crate) address: String,
    pub(crate) authority: Arc<Authority>,
    state: Arc<State>,
}

struct State {
    authority: Arc<Authority>,
    behaviour: Mutex<Behaviour>,
    issued: AtomicUsize,
}

impl Fulcio {
    pub(crate) async fn start(behaviour: Behaviour) -> Self {
        Self::start_with(behaviour, None).await
    }

    pub(crate) async fn start_tls(behaviour: Behaviour, tls: &Tls) -> Self {
        Self::start_with(behaviour, Some(tls)).await
    }

    async fn start_with(behaviour: Behaviour, tls: Option<&Tls>) -> Self {
        let authority = Arc::new(Authority::new());
        let state = Arc::new(State {
            authority: Arc::clone(&authority),
            behaviour: Mutex::new(behaviour),
            issued: AtomicUsize::new(0),
        });
        let shared = Arc::clone(&state);
        let handle = move |request: Request| {
            let state = Arc::clone(&shared);
            async move { state.answer(&request).await }
        };
        let address = match tls {
            Some(tls) => tls.serve(router(handle)).await,
            None => serve(router(handle)).await,
        };
        Self { address, authority, state }
    }

    pub(crate) fn set(&self, behaviour: Behaviour) {
        *self.state.behaviour.lock().unwrap_or_else(PoisonError::into_inner) = behaviour;
    }

    /// How often it was asked for a certificate.
    pub(crate) fn asked(&self) -> usize {
        self.state.issued.load(Ordering::SeqCst)
    }
}

impl State {
    fn behaviour(&self) -> Behaviour {
        self.behaviour.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn answer(&self, request: &Request) -> Response {
        match (request.method.as_str(), request.uri.path()) {
            ("GET", "/api/v2/configuration") => json!({ "issuers": [
                { "issuerUrl": "https://other.example.com", "audience": "other" },
                { "issuerUrl": ISSUER, "audience": "sigstore", "challengeClaim": "sub" },
            ] })
            .to_string()
            .into_response(),
            ("POST", "/api/v2/signingCert") => self.certificate(request).await,
            _ => StatusCode::NOT_FOUND.into_response(),
        }
    }

    async fn certificate(&self, request: &Request) -> Response {
        self.issued.fetch_add(1, Ordering::SeqCst);
        let body: Value = serde_json::from_slice(&request.body).expect("JSON");
        let token = body["credentials"]["oidcIdentityToken"].as_str().expect("a token");
        let key = proven_key(body["certificateSigningRequest"].as_str().expect("a request"));
        let behaviour = self.behaviour();
        let long = Duration::from_secs(600);
        let issued = |key: &PublicKey, lifetime, chain: &[String]| {
            let leaf = self.authority.issue(key, lifetime);
            let certificates: Vec<_> = std::iter::once(leaf).chain(chain.iter().cloned()).collect();
            json!({ "chain": { "certificates": certificates } })
        };
        let chain = &self.authority.chain;
        let mut field = "signedCertificateEmbeddedSct";
        let answer = match behaviour {
            Behaviour::Issue(lifetime) => issued(&key, lifetime, chain),
            Behaviour::OtherKey => issued(&other_key(), long, chain),
            Behaviour::Chain(chain) => issued(&key, long, &chain),
            Behaviour::Promise(promise) => {
                field = "signedCertificateDetachedSct";
                let mut answer = issued(&key, long, chain);
                answer["signedCertificateTimestamp"] = STANDARD.encode(promise).into();
                answer
            }
            Behaviour::Refuse(status, message) => {
                let message = message.replace("TOKEN", token);
                let status = StatusCode::from_u16(status).expect("a status");
                let body = json!({ "code": 3, "message": message, "details": [] });
                return (status, body.to_string()).into_response();
            }
            Behaviour::Body(body) => return body.into_response(),
            Behaviour::Hang => return std::future::pending().await,
            Behaviour::Redirect(to) => {
                return (StatusCode::TEMPORARY_REDIRECT, [("location", to)]).into_response();
            }
        };
        (StatusCode::CREATED, json!({ field: answer }).to_string()).into_response()
    }
}

fn other_key() -> PublicKey {
    let key = rcgen::KeyPair::generate().expect("a key");
    PublicKey::from_pem(&key.public_key_pem()).expect("a key")
}

/// The key of a request whose signature holds: as Fulcio, the server issues for no other.
fn proven_key(request: &str) -> PublicKey {
    let pem = STANDARD.decode(request).expect("base64");
    let request = CertReq::from_pem(pem).expect("a request for a certificate");
    let key = request.info.public_key.to_der().expect("DER");
    let key = PublicKey::from_spki_der(&key).expect("a key");
    let info = request.info.to_der().expect("DER");
    let signature = request.signature.as_bytes().expect("whole bytes");
    chains_verify::verify(&key, SignatureAlgorithm::EcdsaP256Sha256, &info, signature)
        .expect("the proof of possession holds");
    key
}

/// A request, as far as servers here look at it.
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Every request goes to one function.
fn router<H, F>(handle: H) -> Router
where
    H: Fn(Request) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response> + Send,
{
    Router::new().fallback(move |method, uri, headers, body| {
        let handle = handle.clone();
        async move { handle(Request { method, uri, headers, body }).await }
    })
}

/// Serves; gives the address.
async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// What is answered to a method and an address with its query: status, a header, and body.
pub(crate) type Known = (&'static str, u16, Option<(&'static str, &'static str)>, String);

/// A server that knows some addresses, and writes down what it was asked.
pub(crate) struct Answers {
    pub(crate) address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Answers {
    pub(crate) async fn start(known: Vec<Known>) -> Self {
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let (log, known) = (Arc::clone(&asked), Arc::new(known));
        let handle = move |request: Request| {
            let line = format!("{} {}", request.method, request.uri);
            let header = |name: &str| {
                let value = request.headers.get(name).map(|value| value.to_str().expect("text"));
                value.map(|value| format!(" {name}={value}")).unwrap_or_default()
            };
            let told = [header("authorization"), header("metadata-flavor")].concat();
            let body = String::from_utf8_lossy(&request.body).into_owned();
            log.lock().expect("nobody panicked").push(format!("{line}{told} {body}"));
            let found = known.iter().find(|(address, ..)| *address == line).cloned();
            async move {
                let Some((_, status, header, body)) = found else {
                    return StatusCode::NOT_FOUND.into_response();
                };
                let status = StatusCode::from_u16(status).expect("a status");
                let mut response = (status, body).into_response();
                if let Some((name, value)) = header {
                    response.headers_mut().insert(name, value.parse().expect("a value"));
                }
                response
            }
        };
        Self { address: serve(router(handle)).await, asked }
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("nobody panicked").clone()
    }
}
