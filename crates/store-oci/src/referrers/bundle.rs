//! A record as a bundle, and the manifest that holds it.

use std::collections::BTreeMap;

use bytes::Bytes;
use chains_core::bundle::{self, Bundle, Content, Material, TransparencyLogEntry};
use chains_core::{Digest, Record, Signed, Target};
use oci_distribution::manifest::{OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE};
use serde::Deserialize;
use serde_json::json;

use crate::layer::Odd;
use crate::manifest::{Descriptor, to_json};

/// Media type of a config that says nothing
/// ([guidance for an empty descriptor](https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md#guidance-for-an-empty-descriptor)).
pub(super) const EMPTY_MEDIA_TYPE: &str = "application/vnd.oci.empty.v1+json";
/// Its content.
pub(super) const EMPTY: Bytes = Bytes::from_static(b"{}");
const CONTENT: &str = "dev.sigstore.bundle.content";
const PREDICATE_TYPE: &str = "dev.sigstore.bundle.predicateType";
/// Of bundles with log entries or timestamps: the digest of the signature, by which the same one is found again.
pub(super) const SIGNATURE: &str = "chains.tekton.dev/signature";

/// A record as a bundle.
#[derive(Debug, Clone)]
pub(crate) struct NewBundle {
    pub(super) bytes: Bytes,
    predicate_type: Option<&'static str>,
    bundle: Bundle,
}

impl NewBundle {
    /// The bundle of a record; why not, if nobody could verify it from a registry.
    pub(crate) fn of(record: &Record) -> Result<Self, Odd> {
        match (&record.target, &record.signed) {
            (_, Some(Signed::Dsse(_))) => {}
            (_, None) => return Err(Odd::Unsigned),
            (Target::Run, Some(Signed::Detached(_))) => return Err(Odd::DetachedRun),
            (Target::Image(_), Some(Signed::Detached(_))) => return Err(Odd::DetachedImage),
        }
        let bundle = Bundle::from_record(record).map_err(|e| Odd::NoBundle(e.report()))?;
        let bundle = bundle.ok_or(Odd::Unsigned)?;
        let predicate_type = record.payload.predicate_type;
        Ok(Self { bytes: bundle.to_json().into(), predicate_type, bundle })
    }

    /// Whether nothing would be gained by having this too. A log proves the same entry by another tree each time, and
    /// each timestamp is another.
    pub(super) fn is_covered_by(&self, there: &Bundle) -> bool {
        let (own, other) = (&self.bundle.verification_material, &there.verification_material);
        let has = |entry: &TransparencyLogEntry| {
            other.tlog_entries.iter().any(|it| {
                it.log_id == entry.log_id
                    && it.log_index == entry.log_index
                    && it.canonicalized_body == entry.canonicalized_body
            })
        };
        self.bundle.content == there.content
            && own.key == other.key
            && own.tlog_entries.iter().all(has)
            && timestamps(other) >= timestamps(own)
    }

    /// The digest of the signature, where there is more to the bundle that the clock has a part in.
    fn mark(&self) -> Option<String> {
        let material = &self.bundle.verification_material;
        let Content::DsseEnvelope(envelope) = &self.bundle.content else { return None };
        let timeless = material.tlog_entries.is_empty() && timestamps(material) == 0;
        let signature = envelope.signatures.first().filter(|_| !timeless)?;
        Some(Digest::sha256_of(&signature.sig).to_string())
    }
}

fn timestamps(material: &Material) -> usize {
    let data = material.timestamp_verification_data.as_ref();
    data.map_or(0, |data| data.rfc3161_timestamps.len())
}

/// The manifest that a bundle is about.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    media_type: String,
    pub(crate) digest: Digest,
    size: usize,
}

impl Subject {
    /// What describes a manifest, by what the registry has of it.
    pub(crate) fn of(digest: Digest, manifest: &[u8]) -> Self {
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        struct Kind {
            media_type: Option<String>,
            manifests: Option<serde::de::IgnoredAny>,
        }
        let kind: Kind = serde_json::from_slice(manifest).unwrap_or_default();
        let media_type = kind.media_type.unwrap_or_else(|| {
            let index = kind.manifests.is_some();
            let default = if index { OCI_IMAGE_INDEX_MEDIA_TYPE } else { OCI_IMAGE_MEDIA_TYPE };
            default.to_owned()
        });
        Self { media_type, digest, size: manifest.len() }
    }
}

/// A manifest that holds a bundle and refers to what the bundle is about.
#[derive(Debug, Clone)]
pub(super) struct Referrer {
    pub(super) bytes: Bytes,
    pub(super) digest: Digest,
    /// As the list of referrers has it.
    pub(super) descriptor: Descriptor,
}

impl Referrer {
    /// Nothing in it depends on the clock: the same bundle of the same image has the same digest.
    pub(super) fn new(new: &NewBundle, subject: &Subject) -> Self {
        let mut annotations = BTreeMap::from([(CONTENT.to_owned(), "dsse-envelope".to_owned())]);
        annotations.extend(new.predicate_type.map(|it| (PREDICATE_TYPE.to_owned(), it.to_owned())));
        annotations.extend(new.mark().map(|mark| (SIGNATURE.to_owned(), mark)));
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": OCI_IMAGE_MEDIA_TYPE,
            "artifactType": bundle::MEDIA_TYPE,
            "config": {
                "mediaType": EMPTY_MEDIA_TYPE,
                "digest": Digest::sha256_of(&EMPTY).to_string(),
                "size": EMPTY.len(),
                // Some versions of cosign look for it here.
                "artifactType": bundle::MEDIA_TYPE,
            },
            "layers": [{
                "mediaType": bundle::MEDIA_TYPE,
                "digest": Digest::sha256_of(&new.bytes).to_string(),
                "size": new.bytes.len(),
            }],
            "subject": {
                "mediaType": subject.media_type,
                "digest": subject.digest.to_string(),
                "size": subject.size,
            },
            "annotations": annotations,
        });
        let bytes = to_json(&manifest);
        let mut descriptor = Descriptor::new(OCI_IMAGE_MEDIA_TYPE, &bytes, annotations);
        descriptor.artifact_type = Some(bundle::MEDIA_TYPE.to_owned());
        Self { digest: Digest::sha256_of(&bytes), bytes, descriptor }
    }
}
