//! The manifests that hold signatures and attestations, one layer each.
//!
//! [Signature specification](https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md).

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use chains_core::{Digest, ErrorKind};
use oci_distribution::manifest::{
    IMAGE_CONFIG_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::commit::Document;
use crate::fault::{Fault, Result};
use crate::layer::{BUNDLE, NewLayer, TIMESTAMP};

/// How many layers `cosign` reads: with one more it reads none.
pub(crate) const MAX_LAYERS: usize = 1000;
/// How many characters of a media type are told that is none of an image.
const MAX_TOLD: usize = 100;
/// The time in the config of every layer, so that the same layers give the same bytes.
const NO_TIME: &str = "0001-01-01T00:00:00Z";

/// A manifest; what is not understood is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    schema_version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    media_type: Option<String>,
    config: Value,
    pub(crate) layers: Vec<Descriptor>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// What a manifest says of a layer, or an index of a manifest; what is not understood is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    #[serde(default)]
    pub(crate) media_type: String,
    pub(crate) digest: String,
    pub(crate) size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) artifact_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    annotations: Option<BTreeMap<String, String>>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl Descriptor {
    pub(crate) fn new(
        media_type: &str,
        bytes: &[u8],
        annotations: BTreeMap<String, String>,
    ) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: Digest::sha256_of(bytes).to_string(),
            size: bytes.len() as u64,
            artifact_type: None,
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
    fn covers(&self, other: &Self) -> bool {
        self.same_content(other) && self.essentials() == other.essentials()
    }

    /// Whether this is the same as `other` but for what `other` says in addition, e.g. a log entry, and for what is made
    /// anew each time that it is asked for.
    fn is_part_of(&self, other: &Self) -> bool {
        let more = other.essentials();
        let is_said = |(name, value): (&&str, &&str)| {
            more.get(name).is_some_and(|it| lasting(name, it) == lasting(name, value))
        };
        self.same_content(other) && self.essentials().iter().all(is_said)
    }

    /// Takes over what `other` says.
    fn take_over(&mut self, other: &Self) {
        let own = self.annotations.get_or_insert_default();
        own.extend(
            other.annotations.iter().flatten().map(|(name, value)| (name.clone(), value.clone())),
        );
    }
}

/// What of an annotation is the same whenever it is asked for: a log signs anew for an entry that it has, and each
/// timestamp is another.
fn lasting<'a>(name: &str, value: &'a str) -> Cow<'a, str> {
    match name {
        TIMESTAMP => "".into(),
        BUNDLE => match serde_json::from_str::<Value>(value) {
            Ok(entry) if !entry["Payload"].is_null() => entry["Payload"].to_string().into(),
            _ => value.into(),
        },
        _ => value.into(),
    }
}

impl Document for Manifest {
    type Item = NewLayer;

    /// A manifest without layers.
    fn empty() -> Self {
        Self {
            schema_version: 2,
            media_type: Some(OCI_IMAGE_MEDIA_TYPE.to_owned()),
            config: Value::Null,
            layers: Vec::new(),
            rest: Map::new(),
        }
    }

    fn parse(what: &str, bytes: &[u8]) -> Result<Self> {
        let manifest: Self = parse_json(what, bytes, "the manifest of an image")?;
        let known = [OCI_IMAGE_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE];
        let (version, media_type) = (manifest.schema_version, manifest.media_type.as_deref());
        check_kind(what, version, media_type, &known, "the manifest of an image")?;
        Ok(manifest)
    }

    fn covers(&self, layer: &NewLayer) -> bool {
        self.has(&layer.descriptor)
    }

    /// Where one of the layers is a part of the new one (the log entry came later), it becomes the new one.
    fn add(&mut self, what: &str, layer: &NewLayer) -> Result<()> {
        let layer = &layer.descriptor;
        if self.has(layer) {
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

    /// With its config, whose descriptor is part of it.
    fn write(&self) -> (&str, Bytes, Option<Bytes>) {
        let config = self.config();
        let descriptor = json!({
            "mediaType": IMAGE_CONFIG_MEDIA_TYPE,
            "digest": Digest::sha256_of(&config).to_string(),
            "size": config.len(),
        });
        let whole = Self { config: descriptor, ..self.clone() };
        let media_type = self.media_type.as_deref().unwrap_or(OCI_IMAGE_MEDIA_TYPE);
        (media_type, to_json(&whole), Some(config))
    }

    fn blob(layer: &NewLayer) -> Option<(&str, &Bytes)> {
        Some((&layer.descriptor.digest, &layer.bytes))
    }
}

impl Manifest {
    fn has(&self, layer: &Descriptor) -> bool {
        self.layers.iter().any(|existing| existing.covers(layer))
    }

    /// The config that goes with the layers. `cosign` and `crane` find layers by it when they copy.
    fn config(&self) -> Bytes {
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
}

/// Reads JSON that a registry has under a tag or a digest.
pub(crate) fn parse_json<T: DeserializeOwned>(what: &str, bytes: &[u8], kind: &str) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|e| {
        let why = format!("it is not {kind}: {}", reason(&e));
        Fault::new(ErrorKind::Protocol, what, why)
    })
}

/// Checks that a document is of one of the known media types, or tells none, and of schema version 2.
pub(crate) fn check_kind(
    what: &str,
    version: u64,
    media_type: Option<&str>,
    known: &[&str],
    kind: &str,
) -> Result<()> {
    let why = match media_type {
        Some(other) if !known.contains(&other) => {
            let other: String = other.chars().take(MAX_TOLD).collect();
            format!("it is a {other:?}, not {kind}")
        }
        _ if version != 2 => format!("its schema version is {version}, not 2"),
        _ => return Ok(()),
    };
    Err(Fault::new(ErrorKind::Protocol, what, why))
}

/// A document as it is written.
pub(crate) fn to_json(document: &impl Serialize) -> Bytes {
    // Texts, numbers and maps with text keys only: there is no value here that JSON cannot hold.
    serde_json::to_vec(document).unwrap_or_default().into()
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
