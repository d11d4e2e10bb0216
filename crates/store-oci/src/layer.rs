//! A record as the layer that `cosign` reads.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chains_core::{Entry, Record, Signed, Target, media_type};
use serde::Serialize;

use crate::manifest::Descriptor;

pub(crate) const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
pub(crate) const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
pub(crate) const CHAIN: &str = "dev.sigstore.cosign/chain";
pub(crate) const BUNDLE: &str = "dev.sigstore.cosign/bundle";
pub(crate) const TIMESTAMP: &str = "dev.sigstore.cosign/rfc3161timestamp";
pub(crate) const PREDICATE_TYPE: &str = "predicateType";
/// Media type of an attestation's layer.
pub(crate) const ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";

/// Which of an image's two tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Signature,
    Attestation,
}

impl Kind {
    /// `sha256-<hex>.sig` or `sha256-<hex>.att`.
    pub(crate) fn tag(self, digest: &chains_core::Digest) -> String {
        let suffix = match self {
            Self::Signature => "sig",
            Self::Attestation => "att",
        };
        format!("{}-{}.{suffix}", digest.algorithm(), digest.hex())
    }

    /// Media type of the layers.
    pub(crate) const fn media_type(self) -> &'static str {
        match self {
            Self::Signature => media_type::SIMPLE_SIGNING,
            Self::Attestation => ENVELOPE,
        }
    }
}

/// A layer with its content.
#[derive(Debug, Clone)]
pub(crate) struct NewLayer {
    pub(crate) kind: Kind,
    pub(crate) bytes: Bytes,
    pub(crate) descriptor: Descriptor,
}

impl NewLayer {
    /// The layer for a record; why not, if a registry has no place for it.
    pub(crate) fn of(record: &Record) -> Result<Self, Odd> {
        let mut annotations = BTreeMap::new();
        let (kind, bytes) = match (&record.target, &record.signed) {
            (_, None) => return Err(Odd::Unsigned),
            (Target::Image(_), Some(Signed::Detached(signature))) => {
                annotations.insert(SIGNATURE.to_owned(), STANDARD.encode(signature));
                (Kind::Signature, record.payload.bytes.clone())
            }
            (Target::Run, Some(Signed::Dsse(envelope))) => {
                annotations.insert(SIGNATURE.to_owned(), String::new());
                if let Some(predicate_type) = record.payload.predicate_type {
                    annotations.insert(PREDICATE_TYPE.to_owned(), predicate_type.to_owned());
                }
                (Kind::Attestation, envelope.to_json().into())
            }
            (Target::Run, Some(Signed::Detached(_))) => return Err(Odd::DetachedRun),
            (Target::Image(_), Some(Signed::Dsse(_))) => return Err(Odd::EnvelopedImage),
        };
        if let Some(material) = &record.material {
            let texts = [(CERTIFICATE, &material.certificate), (CHAIN, &material.chain)];
            for (name, text) in texts {
                annotations.extend(text.clone().map(|text| (name.to_owned(), text)));
            }
        }
        if let Some(entry) = &record.entry {
            // Any of several logs will do.
            let bundle = std::iter::once(&**entry).chain(&entry.others).find_map(rekor_bundle);
            if bundle.is_none() && annotations.contains_key(CERTIFICATE) {
                return Err(Odd::NoPromise);
            }
            let values = [(BUNDLE, bundle), (TIMESTAMP, timestamp(entry))];
            for (name, value) in values {
                annotations.extend(value.map(|value| (name.to_owned(), value)));
            }
        }
        let descriptor = Descriptor::new(kind.media_type(), &bytes, annotations);
        Ok(Self { kind, bytes, descriptor })
    }
}

/// A record that a layout has no place for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Odd {
    /// There is no signature.
    Unsigned,
    /// A run's payload that is no attestation: the format `tekton`.
    DetachedRun,
    /// An image's signature in an envelope, where it has to be beside its payload.
    EnvelopedImage,
    /// An image's signature beside its payload, where it has to be in an envelope.
    DetachedImage,
    /// A certificate with an entry that layers have no place for: nobody could verify it once the certificate ended.
    NoPromise,
    /// Parts that make no bundle.
    NoBundle(String),
}

impl Odd {
    /// Why a registry cannot hold a record whose payload is of this format.
    pub(crate) fn reason(&self, format: &str) -> String {
        match self {
            Self::Unsigned => "it is not signed".to_owned(),
            Self::DetachedRun => format!(
                "the payload of the format `{format}` is no attestation, and registries hold only those"
            ),
            Self::EnvelopedImage => "signatures of images stand beside their payload".to_owned(),
            Self::DetachedImage => format!(
                "a bundle in a registry holds a statement, and the payload of the format `{format}` is none"
            ),
            Self::NoPromise => {
                "entries of Rekor v2 have no place in tags, and certificates are not \
                 verified without: set `storage.oci.encoding-format` to `sigstore-bundle`"
                    .to_owned()
            }
            Self::NoBundle(why) => why.clone(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct RekorBundle {
    signed_entry_timestamp: String,
    payload: RekorPayload,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RekorPayload {
    body: String,
    integrated_time: i64,
    log_index: u64,
    #[serde(rename = "logID")]
    log_id: String,
}

#[derive(Serialize)]
struct Timestamp {
    #[serde(rename = "SignedRFC3161Timestamp")]
    signed: String,
}

/// The log entry as `cosign` keeps it, where the log has promised to include it: `cosign` takes no other.
fn rekor_bundle(entry: &Entry) -> Option<String> {
    let bundle = RekorBundle {
        signed_entry_timestamp: STANDARD.encode(entry.inclusion_promise.as_ref()?),
        payload: RekorPayload {
            body: STANDARD.encode(&entry.body),
            integrated_time: entry.integrated_time?,
            log_index: entry.log_index,
            log_id: hex::encode(&entry.log_id),
        },
    };
    serde_json::to_string(&bundle).ok()
}

fn timestamp(entry: &Entry) -> Option<String> {
    let signed = STANDARD.encode(entry.timestamps.first()?);
    serde_json::to_string(&Timestamp { signed }).ok()
}
