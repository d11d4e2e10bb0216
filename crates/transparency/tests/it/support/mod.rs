//! What the tests share: a server that answers as it is told, recorded files, a key that signs.

pub(crate) mod authority;
pub(crate) mod log;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Method, Response, Uri};
use chains_core::dsse::{Envelope, pae};
use chains_core::{
    Entry, Error, ErrorKind, Payload, PublicKey, Result, Signature, SignatureAlgorithm, Signed,
    TransparencyLog as _, VerificationMaterial, Wrapping, media_type,
};
use chains_transparency::{Transparency, TransparencyOptions};

/// A file that was recorded from a real server, or made for it.
pub(crate) fn recorded(name: &str) -> Vec<u8> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    std::fs::read(dir.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

pub(crate) fn recorded_key(name: &str) -> PublicKey {
    PublicKey::from_pem(&String::from_utf8(recorded(name)).unwrap()).unwrap()
}

/// What is signed, and what verifies it.
#[derive(Debug, Clone)]
pub(crate) struct Signing {
    pub(crate) payload: Payload,
    pub(crate) signed: Signed,
    pub(crate) material: VerificationMaterial,
}

pub(crate) fn payload(bytes: impl Into<Bytes>, wrapping: Wrapping) -> Payload {
    Payload {
        bytes: bytes.into(),
        media_type: media_type::IN_TOTO,
        wrapping,
        format: "test",
        predicate_type: None,
        subjects: Vec::new(),
    }
}

/// The envelope whose entries are recorded.
pub(crate) fn envelope() -> Signing {
    envelope_of("envelope.json", "key.pub")
}

pub(crate) fn envelope_of(envelope: &str, key: &str) -> Signing {
    let envelope = Envelope::from_json(&recorded(envelope)).unwrap();
    Signing {
        payload: payload(envelope.payload.clone(), Wrapping::Dsse),
        signed: Signed::Dsse(envelope),
        material: VerificationMaterial::from_public_key(recorded_key(key)),
    }
}

/// The detached signature whose entries are recorded.
pub(crate) fn message() -> Signing {
    message_of("message", "key.pub")
}

pub(crate) fn message_of(name: &str, key: &str) -> Signing {
    Signing {
        payload: payload(recorded(name), Wrapping::Detached),
        signed: Signed::Detached(recorded(&format!("{name}.sig")).into()),
        material: VerificationMaterial::from_public_key(recorded_key(key)),
    }
}

/// A key on P-256, made anew.
#[derive(Debug)]
pub(crate) struct TestKey {
    pair: EcdsaKeyPair,
    pub(crate) public: PublicKey,
    pub(crate) pkcs8: Vec<u8>,
}

impl TestKey {
    pub(crate) fn new() -> Self {
        use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
        use aws_lc_rs::signature::KeyPair as _;
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref()).unwrap();
        let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        let public = PublicKey::from_spki_der(spki.as_ref()).unwrap();
        Self { public, pkcs8: document.as_ref().to_vec(), pair }
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
    }

    /// Some bytes, signed in an envelope or beside them.
    pub(crate) fn signing(&self, bytes: &str, wrapping: Wrapping) -> Signing {
        let payload = payload(bytes.as_bytes().to_vec(), wrapping);
        let material = VerificationMaterial::from_public_key(self.public.clone());
        let signature = |message: &[u8]| Signature {
            bytes: self.sign(message).into(),
            algorithm: SignatureAlgorithm::EcdsaP256Sha256,
            material: Arc::new(material.clone()),
        };
        let signed = match wrapping {
            Wrapping::Dsse => {
                let signature = signature(&pae(payload.media_type, &payload.bytes));
                Signed::Dsse(Envelope::new(payload.media_type, payload.bytes.clone(), &signature))
            }
            Wrapping::Detached => Signed::Detached(signature(&payload.bytes).bytes),
        };
        Signing { payload, signed, material }
    }
}

/// An answer to be given.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

/// Answers a request: method and path, body.
pub(crate) trait Answers: Send + Sync + 'static {
    fn answer(&self, request: &str, body: &[u8]) -> Reply;
}

/// The same answers, however often they are asked for; 404 for everything else. Keeps what was asked.
#[derive(Debug, Default)]
pub(crate) struct Fixed {
    pub(crate) replies: HashMap<String, Reply>,
    pub(crate) asked: Mutex<Vec<(String, Vec<u8>)>>,
}

impl Fixed {
    pub(crate) fn new(replies: impl IntoIterator<Item = (&'static str, Reply)>) -> Arc<Self> {
        let replies = replies.into_iter().map(|(request, reply)| (request.to_owned(), reply));
        Arc::new(Self { replies: replies.collect(), asked: Mutex::default() })
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|(request, _)| request.clone()).collect()
    }
}

impl Answers for Fixed {
    fn answer(&self, request: &str, body: &[u8]) -> Reply {
        self.asked.lock().unwrap().push((request.to_owned(), body.to_vec()));
        let nothing = || Reply::new(404, r#"{"code":5,"message":"Not Found"}"#);
        self.replies.get(request).cloned().unwrap_or_else(nothing)
    }
}

/// Starts a server on this machine and tells its address.
pub(crate) async fn serve<A: Answers>(answers: Arc<A>) -> String {
    async fn handle<A: Answers>(
        State(answers): State<Arc<A>>,
        method: Method,
        uri: Uri,
        body: Bytes,
    ) -> Response<Body> {
        let reply = answers.answer(&format!("{method} {}", uri.path()), &body);
        let mut response = Response::builder().status(reply.status);
        for (name, value) in reply.headers {
            response = response.header(name, value);
        }
        response.body(Body::from(reply.body)).unwrap()
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(handle::<A>).with_state(answers);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

/// Logs it with a server that answers so.
pub(crate) async fn append(
    answers: &Arc<Fixed>,
    signing: &Signing,
    options: TransparencyOptions,
) -> Result<Entry> {
    let url = serve(Arc::clone(answers)).await;
    let log = Transparency::new(TransparencyOptions { url: Some(url), ..options }, None)?;
    log.append(&signing.payload, &signing.signed, &signing.material).await
}

/// Checks an error: its kind, and words of its whole report.
#[track_caller]
pub(crate) fn check_error(error: &Error, kind: ErrorKind, words: &str) {
    let report = error.report();
    assert!(report.contains(words), "{report:?} has not {words:?}");
    assert_eq!(error.kind(), kind, "{report}");
}
