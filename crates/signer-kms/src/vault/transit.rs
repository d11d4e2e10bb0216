//! The provider: <https://developer.hashicorp.com/vault/api-docs/secret/transit>.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chains_core::{Error, ErrorKind, PublicKey, Result, SignatureAlgorithm, chain};
use chains_http::Answer;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::api::Call;
use super::server::Server;
use super::session::{Refused, Session};
use super::token::Source;
use crate::hash::Hash;
use crate::{Key, KmsOptions, Made, Provider, RsaPadding, VaultKey};

/// What precedes the 32 bytes of an Ed25519 key in its SubjectPublicKeyInfo
/// ([RFC 8410 §4](https://www.rfc-editor.org/rfc/rfc8410#section-4)).
const ED25519_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// A key of the transit engine.
#[derive(Debug)]
pub(crate) struct Transit {
    key: VaultKey,
    rsa: RsaPadding,
    session: Arc<Session>,
}

#[derive(Deserialize)]
struct Data<T> {
    data: T,
}

#[derive(Deserialize)]
struct KeyData {
    #[serde(rename = "type")]
    kind: String,
    latest_version: u64,
    keys: BTreeMap<String, Value>,
    #[serde(default)]
    derived: bool,
}

#[derive(Deserialize)]
struct SignData {
    signature: String,
}

impl Transit {
    pub(crate) fn new(key: VaultKey, options: &KmsOptions) -> Result<Self> {
        let server = Server::new(options)?;
        let source = Source::of(options, server.is_agent)?;
        let session = Arc::new(Session::new(server, key.reference.clone(), source));
        Ok(Self { key, rsa: options.vault.rsa, session })
    }

    /// Makes a call with a token, and once more with another one where the first is refused and there is another.
    async fn call(
        &self,
        what: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer> {
        let token = self.session.token().await.map_err(|e| e.context(what))?;
        let call = |token| Call { what, method: method.clone(), path, token, body, login: None };
        let error = match self.session.server.call(&call(Some(&token.secret))).await {
            Err(error) if error.kind() == ErrorKind::Unauthorized => error,
            result => return result,
        };
        match self.session.refused(&token).await.map_err(|e| e.context(what))? {
            Refused::Another(token) => self.session.server.call(&call(Some(&token.secret))).await,
            Refused::Denied => {
                Err(hinted(what, &error, "the token is good, its policies do not allow this"))
            }
            Refused::Invalid => {
                Err(hinted(what, &error, "the token is not known, expired or revoked"))
            }
        }
    }

    fn algorithm(&self, kind: &str, what: &str) -> Result<SignatureAlgorithm> {
        use SignatureAlgorithm as A;
        Ok(match (kind, self.rsa) {
            ("ecdsa-p256", _) => A::EcdsaP256Sha256,
            // As sigstore and cosign sign: SHA-256 whatever the curve.
            ("ecdsa-p384", _) => A::EcdsaP384Sha256,
            ("ecdsa-p521", _) => A::EcdsaP521Sha256,
            ("ed25519", _) => A::Ed25519,
            ("rsa-2048" | "rsa-3072" | "rsa-4096", RsaPadding::Pkcs1) => A::RsaPkcs1Sha256,
            ("rsa-2048" | "rsa-3072" | "rsa-4096", RsaPadding::Pss) => A::RsaPssSha256,
            _ => {
                let why = format!("a key of type {kind:?} makes no signatures that are supported");
                return Err(Error::new(ErrorKind::Key, what).with_source(why));
            }
        })
    }
}

/// The error with what was found out about it.
fn hinted(what: &str, error: &Error, hint: &str) -> Error {
    let why = std::error::Error::source(error).map(chain).unwrap_or_default();
    Error::new(error.kind(), what).with_source(format!("{why} ({hint})"))
}

#[async_trait]
impl Provider for Transit {
    fn reference(&self) -> &str {
        &self.key.reference
    }

    /// The reference has no place for a version.
    fn is_pinned(&self) -> bool {
        false
    }

    async fn key(&self, version: Option<&str>) -> Result<Key> {
        let what = format!("fetching the public key of {}", self.key.reference);
        let path = format!("{}/keys/{}", self.session.server.mount, self.key.name);
        let answer = self.call(&what, Method::GET, &path, None).await?;
        let data = answer.json::<Data<KeyData>>(&what)?.data;
        let algorithm = self.algorithm(&data.kind, &what)?;
        if data.derived {
            let why = "the key is derived: its signatures would need a context";
            return Err(Error::new(ErrorKind::Key, what).with_source(why));
        }
        let version = version.map_or_else(|| data.latest_version.to_string(), str::to_owned);
        let public_key =
            data.keys.get(&version).and_then(|one| one.get("public_key")?.as_str()).ok_or_else(
                || {
                    let why = format!("it tells no public key of version {version}");
                    Error::new(ErrorKind::Key, what.as_str()).with_source(why)
                },
            )?;
        let public_key = read(public_key, algorithm).map_err(|e| e.context(what.as_str()))?;
        Ok(Key { version, public_key, algorithm })
    }

    async fn sign(&self, key: &Key, message: &[u8]) -> Result<Made> {
        let what = format!("signing with {}", self.key.reference);
        let path = format!("{}/sign/{}", self.session.server.mount, self.key.name);
        let (path, body) = match Hash::of(key.algorithm) {
            Some(hash) => {
                (format!("{path}/{}", name(hash)), prehashed(key.algorithm, &hash.digest(message)))
            }
            None => (path, json!({ "input": STANDARD.encode(message) })),
        };
        let answer = self.call(&what, Method::POST, &path, Some(&body)).await?;
        let text = answer.json::<Data<SignData>>(&what)?.data.signature;
        made(&text).ok_or_else(|| {
            let why = "its answer is no signature such as vault:v1:BASE64";
            Error::new(ErrorKind::Protocol, what).with_source(why)
        })
    }
}

/// PEM, or for Ed25519 the bare 32 bytes in base64.
fn read(public_key: &str, algorithm: SignatureAlgorithm) -> Result<PublicKey> {
    if algorithm != SignatureAlgorithm::Ed25519 || public_key.contains("BEGIN") {
        return PublicKey::from_pem(public_key);
    }
    let raw = STANDARD
        .decode(public_key)
        .map_err(|e| Error::new(ErrorKind::Key, "reading a public key").with_source(e))?;
    PublicKey::from_spki_der(&[ED25519_PREFIX.as_slice(), &raw].concat())
}

const fn name(hash: Hash) -> &'static str {
    match hash {
        Hash::Sha256 => "sha2-256",
        Hash::Sha384 => "sha2-384",
        Hash::Sha512 => "sha2-512",
    }
}

/// The request to sign a digest; the version is left to the server, which says which one it took.
fn prehashed(algorithm: SignatureAlgorithm, digest: &[u8]) -> Value {
    use SignatureAlgorithm as A;
    let input = STANDARD.encode(digest);
    match algorithm {
        A::RsaPkcs1Sha256 => {
            json!({ "input": input, "prehashed": true, "signature_algorithm": "pkcs1v15" })
        }
        A::RsaPssSha256 => json!({
            "input": input, "prehashed": true, "signature_algorithm": "pss", "salt_length": "hash",
        }),
        _ => json!({ "input": input, "prehashed": true, "marshaling_algorithm": "asn1" }),
    }
}

/// Reads `vault:v2:BASE64`, whatever its first word.
fn made(text: &str) -> Option<Made> {
    let (prefix, signature) = text.rsplit_once(':')?;
    let version = prefix.rsplit_once(':')?.1.strip_prefix('v')?;
    version.parse::<u64>().ok()?;
    let signature = STANDARD.decode(signature).ok()?;
    Some(Made { signature: signature.into(), version: version.to_owned() })
}
