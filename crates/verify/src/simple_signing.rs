//! Simple signing documents: what cosign signs for an image.
//!
//! See [cosign's specification](https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md).

use chains_core::{Digest, Error, ErrorKind, Result};
use serde::Deserialize;

use crate::{failed, quoted};

const TYPE: &str = "cosign container image signature";

/// What a simple signing document says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimpleSigning {
    /// The image's name as the signer knew it. cosign does not check it, so that images may move.
    pub docker_reference: String,
    /// `sha256:…` of the image's manifest.
    pub manifest_digest: String,
    /// What kind of document it is.
    pub document_type: String,
}

#[derive(Deserialize)]
struct Raw {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    #[serde(default)]
    identity: Identity,
    image: Image,
    #[serde(rename = "type")]
    document_type: String,
}

#[derive(Default, Deserialize)]
struct Identity {
    #[serde(default, rename = "docker-reference")]
    docker_reference: String,
}

#[derive(Deserialize)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    manifest_digest: String,
}

impl SimpleSigning {
    /// Reads the document. Verify its signature first.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] where it is not JSON or lacks a field.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        let Raw { critical } = serde_json::from_slice(json).map_err(|e| {
            Error::new(ErrorKind::InvalidInput, "reading a simple signing document").with_source(e)
        })?;
        Ok(Self {
            docker_reference: critical.identity.docker_reference,
            manifest_digest: critical.image.manifest_digest,
            document_type: critical.document_type,
        })
    }

    /// Checks that it is an image signature, and for the image with this manifest digest.
    ///
    /// # Errors
    /// [`ErrorKind::Verification`] telling which of the two is not so.
    pub fn check(&self, manifest: &Digest) -> Result<()> {
        if self.document_type != TYPE {
            let found = quoted(&self.document_type);
            return Err(failed(format!("document type: it is {found}, expected is {TYPE:?}")));
        }
        if self.manifest_digest != manifest.to_string() {
            let found = quoted(&self.manifest_digest);
            return Err(failed(format!("image digest: {found} is signed, not {manifest}")));
        }
        Ok(())
    }
}
