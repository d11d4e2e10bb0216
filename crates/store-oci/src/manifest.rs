//! The manifests that hold signatures and attestations, one layer each.
//!
//! [Signature specification](https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md).

use std::collections::BTreeMap;

use bytes::Bytes;
use chains_core::{Digest, ErrorKind};
use oci_distribution::manifest::{
    IMAGE_CONFIG_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::fault::{Fault, Result};

/// How many layers `cosign` reads: with one more it reads none.
pub(crate) const MAX_LAYERS: usize = 1000;
/// The time in the config of every layer, so that the same layers give the same bytes.
/// How many characters of a media type are told that is none of an image.
const MAX_TOLD: usize = 100;
const NO_TIME: &str = "0001-01-01T00:00:00Z";

/// A manifest; what is not understood is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    schema_version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    media_type: Option<String>,
    config: Value,
    pub(crate) layers: Vec<Layer>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// A layer's descriptor; what is not understood is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Layer {
    #[serde(default)]
    pub(crate) media_type: String,
    pub(crate) digest: String,
    pub(crate) size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    annotations: Option<BTreeMap<String, String>>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl Layer {
    pub(crate) fn new(
        media_type: &str,
        bytes: &[u8],
        annotations: BTreeMap<String, String>,
    ) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: Digest::sha256_of(bytes).to_string(),
            size: bytes.len() as u64,
            annotations: Some(annotations),
            rest: Map::new(),
        }
    }

    pub(crate) fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(name).map(String::as_str)
    }

    /// The annotations that `cosign` verifies by; all others are remarks.
    fn essentials(&self) -> BTreeMap<&str, &str> {
        let all = self.annotations.iter().flatten();
        all.map(|(name, value)| (name.as_str(), value.as_str()))
            .filter(|(name, _)| {
                name.starts_with("dev.cosignproject.cosign/")
                    || name.starts_with("dev.sigstore.cosign/")
            })
            .collect()
    }

    fn same_content(&self, other: &Self) -> bool {
        self.media_type == other.media_type
            && self.digest == other.digest
            && self.size == other.size
    }

    /// Whether nothing would be gained by having `other` too.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self.same_content(other) && self.essentials() == other.essentials()
    }

    /// Whether this is the same as `other` but for what `other` says in addition, e.g. a log entry.
    fn is_part_of(&self, other: &Self) -> bool {
        let more = other.essentials();
        self.same_content(other)
            && self.essentials().iter().all(|(name, value)| more.get(name) == Some(value))
    }

    /// Takes over what `other` says.
    fn take_over(&mut self, other: &Self) {
        let own = self.annotations.get_or_insert_default();
        own.extend(
            other.annotations.iter().flatten().map(|(name, value)| (name.clone(), value.clone())),
        );
    }
}

impl Manifest {
    /// A manifest without layers.
    pub(crate) fn empty() -> Self {
        Self {
            schema_version: 2,
            media_type: Some(OCI_IMAGE_MEDIA_TYPE.to_owned()),
            config: Value::Null,
            layers: Vec::new(),
            rest: Map::new(),
        }
    }

    /// Reads what a registry has.
    pub(crate) fn parse(what: &str, bytes: &[u8]) -> Result<Self> {
        let odd = |why: String| Fault::new(ErrorKind::Protocol, what, why);
        let manifest: Self = serde_json::from_slice(bytes)
            .map_err(|e| odd(format!("it is not the manifest of an image: {}", reason(&e))))?;
        match manifest.media_type.as_deref() {
            None | Some(OCI_IMAGE_MEDIA_TYPE | IMAGE_MANIFEST_MEDIA_TYPE)
                if manifest.schema_version == 2 =>
            {
                Ok(manifest)
            }
            None | Some(OCI_IMAGE_MEDIA_TYPE | IMAGE_MANIFEST_MEDIA_TYPE) => {
                Err(odd(format!("its schema version is {}, not 2", manifest.schema_version)))
            }
            Some(other) => {
                let other: String = other.chars().take(MAX_TOLD).collect();
                Err(odd(format!("it is a {other:?}, not the manifest of an image")))
            }
        }
    }

    pub(crate) fn covers(&self, layer: &Layer) -> bool {
        self.layers.iter().any(|existing| existing.covers(layer))
    }

    /// Adds a layer after those that are there, which stay.
    ///
    /// Where one of them is a part of the new one (the log entry came later), it becomes the new one.
    pub(crate) fn add(&mut self, what: &str, layer: &Layer) -> Result<()> {
        if self.covers(layer) {
            return Ok(());
        }
        if let Some(part) = self.layers.iter_mut().find(|existing| existing.is_part_of(layer)) {
            part.take_over(layer);
            return Ok(());
        }
        if self.layers.len() >= MAX_LAYERS {
            let why = format!(
                "it has {} layers, and cosign reads no more than {MAX_LAYERS}: remove old ones",
                self.layers.len()
            );
            return Err(Fault::new(ErrorKind::TooLarge, what, why));
        }
        self.layers.push(layer.clone());
        Ok(())
    }

    pub(crate) fn media_type(&self) -> &str {
        self.media_type.as_deref().unwrap_or(OCI_IMAGE_MEDIA_TYPE)
    }

    /// The config that goes with the layers. `cosign` and `crane` find layers by it when they copy.
    pub(crate) fn config(&self) -> Bytes {
        let history = vec![json!({ "created": NO_TIME }); self.layers.len()];
        let diff_ids: Vec<&str> = self.layers.iter().map(|layer| layer.digest.as_str()).collect();
        let config = json!({
            "architecture": "",
            "config": {},
            "created": NO_TIME,
            "history": history,
            "os": "",
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        config.to_string().into()
    }

    /// The manifest with the descriptor of its config, as it is written.
    pub(crate) fn to_bytes(&self, config: &Bytes) -> Bytes {
        let descriptor = json!({
            "mediaType": IMAGE_CONFIG_MEDIA_TYPE,
            "digest": Digest::sha256_of(config).to_string(),
            "size": config.len(),
        });
        let whole = Self { config: descriptor, ..self.clone() };
        // Texts, numbers and maps with text keys only: there is no value here that JSON cannot hold.
        serde_json::to_vec(&whole).unwrap_or_default().into()
    }
}

/// What is wrong with JSON, without what it says: it may not be a registry's.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    if error.is_data() && !text.starts_with("missing field") {
        format!("a field is of another type at line {}", error.line())
    } else {
        text
    }
}
