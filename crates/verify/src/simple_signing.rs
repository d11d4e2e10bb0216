//! Simple signing documents: what cosign signs for an image.
//!
//! See [cosign's specification](https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md).

use chains_core::{Digest, Error, ErrorKind, ImageDigest, ImageName, Result};
use serde::Deserialize;
use serde::de::IgnoredAny;

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

/// These two members and no other, as the specification of the document has it: what is more is something
/// else that was signed with the same key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    critical: Critical,
    #[serde(default, rename = "optional")]
    _optional: IgnoredAny,
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
        let Raw { critical, .. } = serde_json::from_slice(json).map_err(|e| {
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
        self.check_type()?;
        if self.manifest_digest != manifest.to_string() {
            let found = quoted(&self.manifest_digest);
            return Err(failed(format!("image digest: {found} is signed, not {manifest}")));
        }
        Ok(())
    }

    /// Checks that it is an image signature, and tells for which image of which repository.
    ///
    /// # Errors
    /// [`ErrorKind::Verification`] where it is another document, or does not name an image.
    pub fn image(&self) -> Result<ImageDigest> {
        self.check_type()?;
        let name: ImageName = self.docker_reference.parse().map_err(|error: Error| {
            let found = quoted(&self.docker_reference);
            failed(format!("image name: {found} is signed, which is none")).with_source(error)
        })?;
        let digest: Digest = self.manifest_digest.parse().map_err(|error: Error| {
            let found = quoted(&self.manifest_digest);
            failed(format!("image digest: {found} is signed, which is none")).with_source(error)
        })?;
        Ok(ImageDigest { name, digest })
    }

    fn check_type(&self) -> Result<()> {
        if self.document_type == TYPE {
            return Ok(());
        }
        let found = quoted(&self.document_type);
        Err(failed(format!("document type: it is {found}, expected is {TYPE:?}")))
    }
}
