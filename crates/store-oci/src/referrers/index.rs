//! The list of what refers to a manifest, as a registry gives it or as an index under a tag.

use bytes::Bytes;
use oci_distribution::manifest::OCI_IMAGE_INDEX_MEDIA_TYPE;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::commit::Document;
use crate::fault::Result;
use crate::manifest::{Descriptor, check_kind, parse_json, to_json};

const KIND: &str = "an index of manifests";

/// An index; what is not understood is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Index {
    schema_version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    media_type: Option<String>,
    /// `null` in some registries where there are none.
    #[serde(deserialize_with = "or_none")]
    pub(super) manifests: Vec<Descriptor>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

fn or_none<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<Descriptor>, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

impl Document for Index {
    type Item = Descriptor;

    fn empty() -> Self {
        Self {
            schema_version: 2,
            media_type: Some(OCI_IMAGE_INDEX_MEDIA_TYPE.to_owned()),
            manifests: Vec::new(),
            rest: Map::new(),
        }
    }

    fn parse(what: &str, bytes: &[u8]) -> Result<Self> {
        let index: Self = parse_json(what, bytes, KIND)?;
        let (version, media_type) = (index.schema_version, index.media_type.as_deref());
        check_kind(what, version, media_type, &[OCI_IMAGE_INDEX_MEDIA_TYPE], KIND)?;
        Ok(index)
    }

    fn covers(&self, manifest: &Descriptor) -> bool {
        self.manifests.iter().any(|there| there.digest == manifest.digest)
    }

    fn add(&mut self, _: &str, manifest: &Descriptor) -> Result<()> {
        if !self.covers(manifest) {
            self.manifests.push(manifest.clone());
        }
        Ok(())
    }

    fn write(&self) -> (&str, Bytes, Option<Bytes>) {
        (OCI_IMAGE_INDEX_MEDIA_TYPE, to_json(self), None)
    }

    /// What it lists was written before.
    fn blob(_: &Descriptor) -> Option<(&str, &Bytes)> {
        None
    }
}
