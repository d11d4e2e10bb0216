//! The provider: <https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html>.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chains_core::{Error, ErrorKind, KeyAlgorithm, PublicKey, Result, SignatureAlgorithm};
use serde::Deserialize;
use serde_json::json;

use super::api::Api;
use crate::hash::Hash;
use crate::{AwsKey, Key, KmsOptions, Made, Provider};

/// A key in AWS KMS.
#[derive(Debug)]
pub(crate) struct AwsKms {
    key: AwsKey,
    api: Api,
}

/// <https://docs.aws.amazon.com/kms/latest/APIReference/API_GetPublicKey.html>
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PublicKeyAnswer {
    key_id: String,
    public_key: String,
    #[serde(default)]
    key_usage: String,
    #[serde(default)]
    signing_algorithms: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SignAnswer {
    key_id: String,
    signature: String,
}

impl AwsKms {
    pub(crate) fn new(key: AwsKey, options: &KmsOptions) -> Result<Self> {
        let api = Api::new(&key, options)?;
        Ok(Self { key, api })
    }
}

#[async_trait]
impl Provider for AwsKms {
    fn reference(&self) -> &str {
        &self.key.reference
    }

    /// Key material of asymmetric keys never changes, but an alias may be pointed to another key.
    fn is_pinned(&self) -> bool {
        !self.key.is_alias
    }

    async fn key(&self, version: Option<&str>) -> Result<Key> {
        let what = format!("fetching the public key of {}", self.key.reference);
        let id = version.unwrap_or(&self.key.id);
        let answer = self.api.call(&what, "GetPublicKey", &json!({ "KeyId": id })).await?;
        let answer: PublicKeyAnswer = answer.json(&what)?;
        let refused = |why: String| Error::new(ErrorKind::Key, what.as_str()).with_source(why);
        if version.is_some_and(|asked| asked != answer.key_id) {
            return Err(refused(format!("its answer is about {}", answer.key_id)));
        }
        // The first is what sigstore takes.
        let names = answer.signing_algorithms;
        let der = STANDARD.decode(&answer.public_key).map_err(|e| refused(e.to_string()))?;
        let public_key = PublicKey::from_spki_der(&der).map_err(|e| e.context(what.as_str()))?;
        let kind = public_key.algorithm();
        let Some(algorithm) = names.iter().find_map(|name| algorithm(kind, name)) else {
            let (usage, names) = (answer.key_usage, names.join(", "));
            return Err(refused(format!(
                "it makes no signatures that are supported: its usage is {usage}, it signs by [{names}]"
            )));
        };
        Ok(Key { version: answer.key_id, public_key, algorithm })
    }

    async fn sign(&self, key: &Key, message: &[u8]) -> Result<Made> {
        let what = format!("signing with {}", self.key.reference);
        let (Some(hash), Some(algorithm)) = (Hash::of(key.algorithm), name(key.algorithm)) else {
            let why = format!("it does not make {} signatures", key.algorithm.as_str());
            return Err(Error::new(ErrorKind::Unsupported, what).with_source(why));
        };
        let body = json!({
            "KeyId": self.key.id,
            "Message": STANDARD.encode(hash.digest(message)),
            "MessageType": "DIGEST",
            "SigningAlgorithm": algorithm,
        });
        let answer: SignAnswer = self.api.call(&what, "Sign", &body).await?.json(&what)?;
        let signature = STANDARD
            .decode(&answer.signature)
            .map_err(|e| Error::new(ErrorKind::Protocol, what).with_source(e))?;
        Ok(Made { signature: signature.into(), version: answer.key_id })
    }
}

const ALGORITHMS: [(KeyAlgorithm, &str, SignatureAlgorithm); 9] = {
    use {KeyAlgorithm as K, SignatureAlgorithm as S};
    [
        (K::EcdsaP256, "ECDSA_SHA_256", S::EcdsaP256Sha256),
        (K::EcdsaP384, "ECDSA_SHA_384", S::EcdsaP384Sha384),
        (K::EcdsaP521, "ECDSA_SHA_512", S::EcdsaP521Sha512),
        (K::Rsa, "RSASSA_PKCS1_V1_5_SHA_256", S::RsaPkcs1Sha256),
        (K::Rsa, "RSASSA_PKCS1_V1_5_SHA_384", S::RsaPkcs1Sha384),
        (K::Rsa, "RSASSA_PKCS1_V1_5_SHA_512", S::RsaPkcs1Sha512),
        (K::Rsa, "RSASSA_PSS_SHA_256", S::RsaPssSha256),
        (K::Rsa, "RSASSA_PSS_SHA_384", S::RsaPssSha384),
        (K::Rsa, "RSASSA_PSS_SHA_512", S::RsaPssSha512),
    ]
};

fn algorithm(kind: KeyAlgorithm, name: &str) -> Option<SignatureAlgorithm> {
    ALGORITHMS.iter().find(|row| row.0 == kind && row.1 == name).map(|row| row.2)
}

fn name(algorithm: SignatureAlgorithm) -> Option<&'static str> {
    ALGORITHMS.iter().find(|row| row.2 == algorithm).map(|row| row.1)
}
