//! A small Sigstore on this machine: a Fulcio that issues certificates and a log of version 1 with true signatures.
//!
//! For tests of what is wired around the clients; how real servers answer, the clients are tried with elsewhere.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chains_core::PublicKey;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, PublicKeyData, SanType,
};
use serde_json::{Value, json};
use x509_cert::der::{DecodePem as _, Encode as _};
use x509_cert::request::CertReq;

/// The issuer of the tokens, as certificates have it.
pub const ISSUER: &str = "https://issuer.example.com";
/// Whose certificates are issued.
pub const SUBJECT: &str = "me@example.com";

/// The servers, for as long as the process lives.
#[derive(Debug)]
pub struct Sigstore {
    /// Address of both.
    pub url: String,
    state: Arc<State>,
}

struct State {
    issuer: Issuer<'static, KeyPair>,
    chain: [String; 2],
    log: EcdsaKeyPair,
    /// What is wrong with answers of the log.
    wrong: Mutex<Wrong>,
    entries: Mutex<HashMap<String, Entry>>,
    lifetime: Mutex<Duration>,
    issued: AtomicUsize,
    is_down: AtomicBool,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}

/// What the log does wrong on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// Nothing.
    Nothing,
    /// It signs with another key than the trusted root names.
    Key,
    /// Its proofs lead elsewhere.
    Proof,
    /// It answers with the entry of another payload.
    Body,
}

/// What the log keeps.
#[derive(Clone)]
struct Entry {
    index: usize,
    body: Vec<u8>,
    time: u64,
}

/// A key of somebody else.
struct Foreign(PublicKey);

impl PublicKeyData for Foreign {
    fn der_bytes(&self) -> &[u8] {
        self.0.raw()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

fn hash(parts: &[&[u8]]) -> Vec<u8> {
    digest(&SHA256, &parts.concat()).as_ref().to_vec()
}

fn log_key() -> EcdsaKeyPair {
    EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key")
}

fn spki(key: &EcdsaKeyPair) -> Vec<u8> {
    let der: PublicKeyX509Der<'_> = key.public_key().as_der().expect("a key has a form");
    der.as_ref().to_vec()
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

impl Sigstore {
    /// Starts it.
    ///
    /// # Panics
    /// Where this machine has no port or no randomness to spare.
    #[must_use]
    pub fn start() -> Self {
        let root_key = KeyPair::generate().expect("a key");
        let root = authority("root").self_signed(&root_key).expect("a certificate");
        let root_issuer = Issuer::new(authority("root"), root_key);
        let key = KeyPair::generate().expect("a key");
        let mut params = authority("intermediate");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        let intermediate = params.signed_by(&key, &root_issuer).expect("a certificate");
        let state = Arc::new(State {
            chain: [intermediate.pem(), root.pem()],
            issuer: Issuer::new(params, key),
            log: log_key(),
            wrong: Mutex::new(Wrong::Nothing),
            entries: Mutex::default(),
            lifetime: Mutex::new(Duration::from_secs(600)),
            issued: AtomicUsize::new(0),
            is_down: AtomicBool::new(false),
        });
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let serving = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&serving);
                std::thread::spawn(move || state.serve(stream));
            }
        });
        Self { url, state }
    }

    /// An identity token that it takes.
    #[must_use]
    pub fn token() -> String {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let claims = format!(r#"{{"iss":"{ISSUER}","sub":"{SUBJECT}","aud":"sigstore"}}"#);
        format!("{}.{}.{}", part(r#"{"alg":"RS256"}"#), part(&claims), part("signature"))
    }

    /// `trusted_root.json`: its authority and its log.
    #[must_use]
    pub fn trusted_root(&self) -> String {
        let der = |pem: &String| {
            let lines: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
            json!({ "rawBytes": lines })
        };
        let key = spki(&self.state.log);
        let certificates: Vec<Value> = self.state.chain.iter().map(der).collect();
        json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [{
                "baseUrl": self.url,
                "hashAlgorithm": "SHA2_256",
                "publicKey": {
                    "rawBytes": STANDARD.encode(&key),
                    "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                    "validFor": { "start": "2020-01-01T00:00:00Z" },
                },
                "logId": { "keyId": STANDARD.encode(hash(&[&key])) },
            }],
            "certificateAuthorities": [{
                "uri": self.url,
                "certChain": { "certificates": certificates },
                "validFor": { "start": "2020-01-01T00:00:00Z" },
            }],
        })
        .to_string()
    }

    /// Has the log do something wrong from now on.
    pub fn do_wrong(&self, wrong: Wrong) {
        *self.state.wrong.lock().unwrap_or_else(PoisonError::into_inner) = wrong;
    }

    /// How long certificates are valid from now on.
    pub fn set_lifetime(&self, lifetime: Duration) {
        *self.state.lifetime.lock().unwrap_or_else(PoisonError::into_inner) = lifetime;
    }

    /// Whether the log answers nothing but that it is down.
    pub fn set_down(&self, is_down: bool) {
        self.state.is_down.store(is_down, Ordering::SeqCst);
    }

    /// How many certificates were issued.
    #[must_use]
    pub fn issued(&self) -> usize {
        self.state.issued.load(Ordering::SeqCst)
    }

    /// How many entries the log has.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.state.entries.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl State {
    fn serve(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        let mut length = 0;
        if reader.read_line(&mut line).unwrap_or_default() == 0 {
            return;
        }
        let request = line.trim().trim_end_matches(" HTTP/1.1").to_owned();
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header).unwrap_or_default() == 0 || header.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = header.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap_or_default();
            }
        }
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let (status, location, answer) = self.answer(&request, &body);
        let location = location.map(|to| format!("location: {to}\r\n")).unwrap_or_default();
        let head = format!(
            "HTTP/1.1 {status} Said\r\n{location}content-type: application/json\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n",
            answer.len()
        );
        // Whoever asked may have gone.
        let _ = reader.get_mut().write_all([head, answer].concat().as_bytes());
    }

    fn answer(&self, request: &str, body: &[u8]) -> (u16, Option<String>, String) {
        let json = || serde_json::from_slice::<Value>(body).unwrap_or_default();
        match request.split_once(' ').unwrap_or_default() {
            ("POST", "/api/v2/signingCert") => (201, None, self.certificate(&json())),
            ("POST" | "GET", path) if path.starts_with("/api/v1/log/") => {
                if self.is_down.load(Ordering::SeqCst) {
                    return (503, None, String::new());
                }
                match path.strip_prefix("/api/v1/log/entries/") {
                    Some(uuid) => match self.entry(uuid) {
                        Some(entry) => (200, None, entry),
                        None => (404, None, "{}".to_owned()),
                    },
                    None => self.add(&json()),
                }
            }
            _ => (404, None, "{}".to_owned()),
        }
    }

    fn certificate(&self, request: &Value) -> String {
        self.issued.fetch_add(1, Ordering::SeqCst);
        let pem = request["certificateSigningRequest"].as_str().unwrap_or_default();
        let pem = STANDARD.decode(pem).expect("base64");
        let csr = CertReq::from_pem(pem).expect("a request for a certificate");
        let key = csr.info.public_key.to_der().expect("DER");
        let key = PublicKey::from_spki_der(&key).expect("a key");
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.subject_alt_names = vec![SanType::Rfc822Name(SUBJECT.try_into().expect("mail"))];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        let text = ISSUER.as_bytes();
        let length = u8::try_from(text.len()).expect("it is short");
        let issuer = [&[0x0c, length], text].concat();
        let oid = [1, 3, 6, 1, 4, 1, 57264, 1, 8];
        params.custom_extensions = vec![CustomExtension::from_oid_content(&oid, issuer)];
        let lifetime = *self.lifetime.lock().unwrap_or_else(PoisonError::into_inner);
        params.not_before = std::time::SystemTime::now().into();
        params.not_after = params.not_before + lifetime;
        let leaf = params.signed_by(&Foreign(key), &self.issuer).expect("a certificate").pem();
        let [intermediate, root] = &self.chain;
        json!({ "signedCertificateEmbeddedSct": { "chain": {
            "certificates": [leaf, intermediate, root],
        } } })
        .to_string()
    }

    fn add(&self, proposal: &Value) -> (u16, Option<String>, String) {
        let kept = kept(proposal);
        let body = json!({
            "apiVersion": proposal["apiVersion"], "kind": proposal["kind"], "spec": kept,
        });
        let body = body.to_string().into_bytes();
        let uuid = hex::encode(hash(&[&[0], &body]));
        let location = Some(format!("/api/v1/log/entries/{uuid}"));
        {
            let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
            if entries.contains_key(&uuid) {
                let message = format!("an equivalent entry already exists with UUID {uuid}");
                return (409, location, json!({ "code": 409, "message": message }).to_string());
            }
            let index = entries.len();
            let time = std::time::UNIX_EPOCH.elapsed().expect("a clock").as_secs();
            entries.insert(uuid.clone(), Entry { index, body, time });
        }
        (201, location, self.entry(&uuid).unwrap_or_default())
    }

    /// The entry in a tree of its own.
    fn entry(&self, uuid: &str) -> Option<String> {
        let Entry { index, mut body, time } =
            self.entries.lock().unwrap_or_else(PoisonError::into_inner).get(uuid)?.clone();
        let wrong = *self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        if wrong == Wrong::Body {
            let text = String::from_utf8_lossy(&body).replace("\"value\":\"", "\"value\":\"00");
            body = text.into_bytes();
        }
        let other = log_key();
        let key = if wrong == Wrong::Key { &other } else { &self.log };
        let sign = |message: &[u8]| {
            key.sign(&SystemRandom::new(), message).expect("a signature").as_ref().to_vec()
        };
        let id = hash(&[&spki(&self.log)]);
        let signed = format!(
            "{{\"body\":\"{}\",\"integratedTime\":{time},\"logID\":\"{}\",\"logIndex\":{index}}}",
            STANDARD.encode(&body),
            hex::encode(&id)
        );
        let leaf = hash(&[&[0], &body]);
        let root = if wrong == Wrong::Proof { hash(&[b"elsewhere"]) } else { leaf };
        let note = format!("log.example.com - 1\n1\n{}\n", STANDARD.encode(&root));
        let note_signature = [&id[..4], &sign(note.as_bytes())].concat();
        let checkpoint = format!("{note}\n— log.example.com {}\n", STANDARD.encode(note_signature));
        let entry = json!({
            "body": STANDARD.encode(&body),
            "integratedTime": time,
            "logID": hex::encode(&id),
            "logIndex": index,
            "verification": {
                "inclusionProof": {
                    "checkpoint": checkpoint, "hashes": [], "logIndex": 0,
                    "rootHash": hex::encode(&root), "treeSize": 1,
                },
                "signedEntryTimestamp": STANDARD.encode(sign(signed.as_bytes())),
            },
        });
        Some(json!({ uuid: entry }).to_string())
    }
}

/// What a log keeps of a proposal.
fn kept(proposal: &Value) -> Value {
    let spec = &proposal["spec"];
    let content = &spec["proposedContent"];
    let Some(text) = content["envelope"].as_str() else { return spec.clone() };
    let sha = |bytes: &[u8]| json!({ "algorithm": "sha256", "value": hex::encode(hash(&[bytes])) });
    let envelope: Value = serde_json::from_str(text).unwrap_or_default();
    let payload = STANDARD.decode(envelope["payload"].as_str().unwrap_or_default());
    json!({
        "envelopeHash": sha(text.as_bytes()),
        "payloadHash": sha(&payload.unwrap_or_default()),
        "signatures": [{
            "signature": envelope["signatures"][0]["sig"],
            "verifier": content["verifiers"][0],
        }],
    })
}
