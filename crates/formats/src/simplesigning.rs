//! `simplesigning`: the document about an image that cosign signs and verifies, in the format of
//! [containers-signature(5)](https://github.com/containers/image/blob/main/docs/containers-signature.5.md#json-data-format).

use chains_core::{Format, Payload, Result, Subject, Target, Wrapping, media_type};
use chains_tekton::Run;
use serde::Serialize;

use crate::payload::to_bytes;
use crate::statement;

pub(crate) const NAME: &str = "simplesigning";
const STATEMENT: &str = "https://in-toto.io/Statement/v1";
/// The predicate type of signatures of images that are statements.
const IMAGE_SIGNATURE: &str = "https://sigstore.dev/cosign/sign/v1";

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

/// The same as a statement in an envelope, as cosign 3 signs images and keeps that in bundles.
#[derive(Debug)]
pub(crate) struct ImageStatement;

/// An empty object: nothing more is claimed.
#[derive(Serialize)]
struct Nothing {}

impl Format<Run> for ImageStatement {
    fn name(&self) -> &'static str {
        NAME
    }

    fn payload(&self, _run: &Run, target: &Target) -> Result<Option<Payload>> {
        let Target::Image(image) = target else {
            return Ok(None);
        };
        let algorithm = image.digest.algorithm().as_str().to_owned();
        let digest = [(algorithm, image.digest.hex().to_owned())].into();
        let subjects = vec![Subject { name: image.name.to_string(), digest }];
        statement::payload(NAME, STATEMENT, IMAGE_SIGNATURE, subjects, Nothing {}).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_signed_as_a_statement() {
        let hex = "ab".repeat(32);
        let image = chains_core::ImageDigest {
            name: "reg.example.com/app".parse().unwrap(),
            digest: format!("sha256:{hex}").parse().unwrap(),
        };
        let run = Run::from_json(
            br#"{"apiVersion":"tekton.dev/v1","kind":"TaskRun","metadata":{"name":"b","uid":"u"}}"#,
        );
        let run = run.unwrap();
        let payload = ImageStatement.payload(&run, &Target::Image(image));
        let payload = payload.unwrap().unwrap();
        let expect = format!(
            r#"{{"_type":"https://in-toto.io/Statement/v1","predicateType":"https://sigstore.dev/cosign/sign/v1","subject":[{{"name":"reg.example.com/app","digest":{{"sha256":"{hex}"}}}}],"predicate":{{}}}}"#
        );
        assert_eq!(payload.bytes, expect);
        assert_eq!((payload.wrapping, payload.media_type), (Wrapping::Dsse, media_type::IN_TOTO));
        assert!(ImageStatement.payload(&run, &Target::Run).unwrap().is_none());
    }
}
