//! The provider: <https://learn.microsoft.com/rest/api/keyvault/keys/>.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chains_core::{Error, ErrorKind, KeyAlgorithm, PublicKey, Result, SignatureAlgorithm};
use serde::Deserialize;
use serde_json::json;

use super::api::Api;
use super::jwk::{Jwk, ecdsa_der};
use crate::hash::Hash;
use crate::{AzureKey, Key, KmsOptions, Made, Provider};

/// A key in a vault.
#[derive(Debug)]
pub(crate) struct AzureVault {
    key: AzureKey,
    api: Api,
}

#[derive(Deserialize)]
struct KeyBundle {
    key: Jwk,
    #[serde(default)]
    attributes: Attributes,
}

#[derive(Deserialize, Default)]
struct Attributes {
    enabled: Option<bool>,
}

#[derive(Deserialize)]
struct Signed {
    kid: String,
    value: String,
}

impl AzureVault {
    pub(crate) fn new(key: AzureKey, options: &KmsOptions) -> Result<Self> {
        let api = Api::new(&key, options)?;
        Ok(Self { key, api })
    }
}

#[async_trait]
impl Provider for AzureVault {
    fn reference(&self) -> &str {
        &self.key.reference
    }

    fn is_pinned(&self) -> bool {
        self.key.version.is_some()
    }

    async fn key(&self, version: Option<&str>) -> Result<Key> {
        let what = format!("fetching the public key of {}", self.key.reference);
        let asked = version.or(self.key.version.as_deref());
        let path = match asked {
            Some(version) => format!("keys/{}/{version}", self.key.name),
            None => format!("keys/{}", self.key.name),
        };
        let bundle: KeyBundle = self.api.get(&what, &path).await?.json(&what)?;
        let refused = |why: &str| Error::new(ErrorKind::Key, what.as_str()).with_source(why);
        if bundle.attributes.enabled == Some(false) {
            return Err(refused("the key is disabled"));
        }
        let version = version_of(&bundle.key.kid)
            .ok_or_else(|| refused("its answer does not tell the version of the key"))?;
        if asked.is_some_and(|asked| asked != version) {
            return Err(refused(&format!("its answer is about version {version}")));
        }
        let public_key = bundle.key.public_key().map_err(|e| e.context(what.as_str()))?;
        let algorithm = algorithm(&public_key)
            .ok_or_else(|| refused("no algorithm is known for a key of this kind and size"))?;
        Ok(Key { version: version.to_owned(), public_key, algorithm })
    }

    /// Asks the very version to sign: the newest one takes over when it is found.
    async fn sign(&self, key: &Key, message: &[u8]) -> Result<Made> {
        let what = format!("signing with {}", self.key.reference);
        let (Some(hash), Some(name)) = (Hash::of(key.algorithm), name(key.algorithm)) else {
            let why = format!("it does not make {} signatures", key.algorithm.as_str());
            return Err(Error::new(ErrorKind::Unsupported, what).with_source(why));
        };
        let path = format!("keys/{}/{}/sign", self.key.name, key.version);
        let body = json!({ "alg": name, "value": to_base64url(&hash.digest(message)) });
        let signed: Signed = self.api.post(&what, &path, &body).await?.json(&what)?;
        let refused = |why: &str| Error::new(ErrorKind::Protocol, what.as_str()).with_source(why);
        let version = version_of(&signed.kid)
            .ok_or_else(|| refused("its answer does not tell which version signed"))?;
        let raw = base64url(&signed.value).map_err(|e| refused(&e.to_string()))?;
        let signature = match key.public_key.algorithm() {
            KeyAlgorithm::Rsa => raw,
            kind => ecdsa_der(kind, &raw).ok_or_else(|| {
                refused("its answer is not a signature of the length that the curve has")
            })?,
        };
        Ok(Made { signature: signature.into(), version: version.to_owned() })
    }
}

/// The last part of `https://VAULT/keys/NAME/VERSION`.
fn version_of(kid: &str) -> Option<&str> {
    let (_, path) = kid.split_once("/keys/")?;
    let (_, version) = path.split_once('/')?;
    Some(version).filter(|version| !version.is_empty() && !version.contains('/'))
}

/// What sigstore takes: the hash of RSA keys grows with them.
fn algorithm(key: &PublicKey) -> Option<SignatureAlgorithm> {
    use SignatureAlgorithm as A;
    Some(match key.algorithm() {
        KeyAlgorithm::EcdsaP256 => A::EcdsaP256Sha256,
        KeyAlgorithm::EcdsaP384 => A::EcdsaP384Sha384,
        KeyAlgorithm::EcdsaP521 => A::EcdsaP521Sha512,
        // A DER `RSAPublicKey`: modulus, exponent and ten bytes or so around them.
        KeyAlgorithm::Rsa => match key.raw().len() {
            256..=300 => A::RsaPkcs1Sha256,
            384..=430 => A::RsaPkcs1Sha384,
            512..=560 => A::RsaPkcs1Sha512,
            _ => return None,
        },
        _ => return None,
    })
}

/// <https://learn.microsoft.com/rest/api/keyvault/keys/sign/sign#jsonwebkeysignaturealgorithm>
const fn name(algorithm: SignatureAlgorithm) -> Option<&'static str> {
    use SignatureAlgorithm as A;
    Some(match algorithm {
        A::EcdsaP256Sha256 => "ES256",
        A::EcdsaP384Sha384 => "ES384",
        A::EcdsaP521Sha512 => "ES512",
        A::RsaPkcs1Sha256 => "RS256",
        A::RsaPkcs1Sha384 => "RS384",
        A::RsaPkcs1Sha512 => "RS512",
        _ => return None,
    })
}

/// Some pad it, and some do not.
pub(super) fn base64url(text: &str) -> Result<Vec<u8>, base64::DecodeError> {
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('='))
}

pub(super) fn to_base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
