//! `simplesigning`: the document about an image that cosign signs and verifies, in the format of
//! [containers-signature(5)](https://github.com/containers/image/blob/main/docs/containers-signature.5.md#json-data-format).

use chains_core::{Format, Payload, Result, Subject, Target, Wrapping, media_type};
use chains_tekton::Run;
use serde::Serialize;

use crate::payload::to_bytes;

pub(crate) const NAME: &str = "simplesigning";

/// The format `simplesigning`.
#[derive(Debug)]
pub(crate) struct SimpleSigning;

#[derive(Serialize)]
struct Document<'a> {
    critical: Critical<'a>,
    /// Always null: nothing more is claimed.
    optional: Option<()>,
}

#[derive(Serialize)]
struct Critical<'a> {
    identity: Identity<'a>,
    image: Image<'a>,
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Identity<'a> {
    docker_reference: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Image<'a> {
    docker_manifest_digest: &'a str,
}

impl Format<Run> for SimpleSigning {
    fn name(&self) -> &'static str {
        NAME
    }

    fn payload(&self, _run: &Run, target: &Target) -> Result<Option<Payload>> {
        let Target::Image(image) = target else {
            return Ok(None);
        };
        let (name, digest) = (image.name.to_string(), image.digest.to_string());
        let document = Document {
            critical: Critical {
                identity: Identity { docker_reference: &name },
                image: Image { docker_manifest_digest: &digest },
                kind: "cosign container image signature",
            },
            optional: None,
        };
        let bytes = to_bytes(&document, NAME)?;
        let algorithm = image.digest.algorithm().as_str().to_owned();
        let digest = [(algorithm, image.digest.hex().to_owned())].into();
        Ok(Some(Payload {
            bytes,
            media_type: media_type::SIMPLE_SIGNING,
            wrapping: Wrapping::Detached,
            format: NAME,
            predicate_type: None,
            subjects: vec![Subject { name, digest }],
        }))
    }
}
