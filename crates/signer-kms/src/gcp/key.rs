//! The provider: <https://cloud.google.com/kms/docs/reference/rest>.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chains_core::{Error, ErrorKind, PublicKey, Result, SignatureAlgorithm};
use serde::Deserialize;
use serde_json::json;

use super::api::Api;
use super::crc32c::crc32c;
use crate::hash::Hash;
use crate::{GcpKey, Key, KmsOptions, Made, Provider};

/// How many pages of versions are looked at: each has a hundred.
const MAX_PAGES: usize = 100;

/// A key in Cloud KMS.
#[derive(Debug)]
pub(crate) struct CloudKms {
    key: GcpKey,
    api: Api,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PublicKeyAnswer {
    pem: String,
    algorithm: String,
    #[serde(default)]
    pem_crc32c: Option<String>,
    #[serde(default)]
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Versions {
    #[serde(default)]
    crypto_key_versions: Vec<Version>,
    #[serde(default)]
    next_page_token: String,
}

#[derive(Deserialize)]
struct Version {
    name: String,
    #[serde(default)]
    state: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Signed {
    signature: String,
    #[serde(default)]
    signature_crc32c: Option<String>,
    #[serde(default)]
    verified_digest_crc32c: bool,
    #[serde(default)]
    name: Option<String>,
}

impl CloudKms {
    pub(crate) fn new(key: GcpKey, options: &KmsOptions) -> Result<Self> {
        let api = Api::new(&key, options)?;
        Ok(Self { key, api })
    }

    fn name(&self, version: &str) -> String {
        format!("{}/cryptoKeyVersions/{version}", self.key.key)
    }

    /// The enabled version with the greatest number.
    async fn newest(&self, what: &str) -> Result<String> {
        let path = format!("{}/cryptoKeyVersions", self.key.key);
        let (mut newest, mut page) = (None, String::new());
        for _ in 0..MAX_PAGES {
            let query = [("filter", "state=ENABLED"), ("pageSize", "100"), ("pageToken", &page)];
            let versions: Versions = self.api.get(what, &path, &query).await?.json(what)?;
            let enabled = versions.crypto_key_versions.iter().filter(|one| one.state == "ENABLED");
            let numbers =
                enabled.filter_map(|one| one.name.rsplit('/').next()?.parse::<u64>().ok());
            newest = numbers.chain(newest).max();
            page = versions.next_page_token;
            if page.is_empty() {
                break;
            }
        }
        newest.map(|number| number.to_string()).ok_or_else(|| {
            Error::new(ErrorKind::Key, what).with_source("no version of the key is enabled")
        })
    }
}

#[async_trait]
impl Provider for CloudKms {
    fn reference(&self) -> &str {
        &self.key.reference
    }

    fn is_pinned(&self) -> bool {
        self.key.version.is_some()
    }

    async fn key(&self, version: Option<&str>) -> Result<Key> {
        let what = format!("fetching the public key of {}", self.key.reference);
        let version = match version.or(self.key.version.as_deref()) {
            Some(version) => version.to_owned(),
            None => self.newest(&what).await?,
        };
        let name = self.name(&version);
        let path = format!("{name}/publicKey");
        let answer: PublicKeyAnswer = self.api.get(&what, &path, &[]).await?.json(&what)?;
        is_about(&what, &name, answer.name.as_deref())?;
        is_intact(&what, answer.pem.as_bytes(), answer.pem_crc32c.as_deref())?;
        let algorithm = algorithm(&answer.algorithm).ok_or_else(|| {
            let why = format!(
                "keys of algorithm {} make no signatures that are supported",
                answer.algorithm
            );
            Error::new(ErrorKind::Key, what.as_str()).with_source(why)
        })?;
        let public_key = PublicKey::from_pem(&answer.pem).map_err(|e| e.context(what.as_str()))?;
        Ok(Key { version, public_key, algorithm })
    }

    async fn sign(&self, key: &Key, message: &[u8]) -> Result<Made> {
        let what = format!("signing with {}", self.key.reference);
        let Some(hash) = Hash::of(key.algorithm) else {
            let why = format!("it does not make {} signatures", key.algorithm.as_str());
            return Err(Error::new(ErrorKind::Unsupported, what).with_source(why));
        };
        let field = match hash {
            Hash::Sha256 => "sha256",
            Hash::Sha384 => "sha384",
            Hash::Sha512 => "sha512",
        };
        let (name, digest) = (self.name(&key.version), hash.digest(message));
        let body = json!({
            "digest": { field: STANDARD.encode(&digest) },
            "digestCrc32c": crc32c(&digest).to_string(),
        });
        let path = format!("{name}:asymmetricSign");
        let signed: Signed = self.api.post(&what, &path, &body).await?.json(&what)?;
        is_about(&what, &name, signed.name.as_deref())?;
        if !signed.verified_digest_crc32c {
            return Err(corrupted(&what, "the request was corrupted on its way"));
        }
        let signature = STANDARD
            .decode(&signed.signature)
            .map_err(|e| Error::new(ErrorKind::Protocol, what.as_str()).with_source(e))?;
        is_intact(&what, &signature, signed.signature_crc32c.as_deref())?;
        Ok(Made { signature: signature.into(), version: key.version.clone() })
    }
}

/// Whether an answer is about what was asked about, as Google says to check.
fn is_about(what: &str, asked: &str, answered: Option<&str>) -> Result<()> {
    match answered {
        Some(name) if name != asked => {
            let why = format!("its answer is about {name:?}");
            Err(Error::new(ErrorKind::Protocol, what).with_source(why))
        }
        _ => Ok(()),
    }
}

fn is_intact(what: &str, bytes: &[u8], checksum: Option<&str>) -> Result<()> {
    match checksum {
        Some(checksum) if *checksum == crc32c(bytes).to_string() => Ok(()),
        Some(_) => Err(corrupted(what, "its answer was corrupted on its way")),
        None => Err(corrupted(what, "its answer has no checksum")),
    }
}

/// Google says to try again, a few times.
fn corrupted(what: &str, why: &str) -> Error {
    Error::new(ErrorKind::Protocol, what).with_source(why.to_owned()).with_retryable(true)
}

/// <https://cloud.google.com/kms/docs/reference/rest/v1/CryptoKeyVersionAlgorithm>
fn algorithm(name: &str) -> Option<SignatureAlgorithm> {
    use SignatureAlgorithm as A;
    Some(match name {
        "EC_SIGN_P256_SHA256" => A::EcdsaP256Sha256,
        "EC_SIGN_P384_SHA384" => A::EcdsaP384Sha384,
        "RSA_SIGN_PKCS1_2048_SHA256"
        | "RSA_SIGN_PKCS1_3072_SHA256"
        | "RSA_SIGN_PKCS1_4096_SHA256" => A::RsaPkcs1Sha256,
        "RSA_SIGN_PKCS1_4096_SHA512" => A::RsaPkcs1Sha512,
        "RSA_SIGN_PSS_2048_SHA256" | "RSA_SIGN_PSS_3072_SHA256" | "RSA_SIGN_PSS_4096_SHA256" => {
            A::RsaPssSha256
        }
        "RSA_SIGN_PSS_4096_SHA512" => A::RsaPssSha512,
        _ => return None,
    })
}
