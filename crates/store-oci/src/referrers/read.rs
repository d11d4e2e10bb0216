//! Bundles as they are read back. All of it is hostile input: bounded, and checked by digest.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chains_core::bundle::{Bundle, Content, KeyMaterial};
use chains_core::{Digest, ErrorKind, ImageName, Signed, Stored};
use futures_util::StreamExt as _;
use futures_util::stream;
use oci_distribution::manifest::OCI_IMAGE_MEDIA_TYPE;
use serde::Deserialize;

use super::bundle::EMPTY_MEDIA_TYPE;
use super::list;
use crate::Unreadable;
use crate::fault::{self, Fault};
use crate::manifest::{Descriptor, parse_json};
use crate::read::{Budget, PARALLEL, is_about_content};
use crate::registry::{Access, Repository};

/// What was found of the bundles of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bundles {
    /// Readable ones in the order of the registry; their signatures are not verified.
    pub found: Vec<Bundled>,
    /// Those that could not be read: anybody who may push to the repository may add such.
    pub unreadable: Vec<Unreadable>,
}

/// One bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundled {
    /// Payload, envelope and certificate.
    pub stored: Stored,
    /// The whole of it, with log entries and timestamps.
    pub bundle: Bundle,
}

/// What the media types of bundles begin with, of any version.
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";
/// How many bundles of one image are read.
const MAX_BUNDLES: usize = 1000;

/// Reads all bundles that refer to a manifest; one that cannot be read does not keep the others from being read.
pub(crate) async fn bundles(
    repository: &Repository,
    name: &ImageName,
    subject: &Digest,
) -> fault::Result<Bundles> {
    let mut seen = HashSet::new();
    let mut candidates = list(repository, subject, Access::Pull).await?.descriptors;
    candidates.retain(|one| may_be_bundle(one) && seen.insert(one.digest.clone()));
    if candidates.len() > MAX_BUNDLES {
        let what = format!("reading the bundles of {name}@{subject}");
        let why = format!("there are {}, allowed are {MAX_BUNDLES}", candidates.len());
        return Err(Fault::new(ErrorKind::TooLarge, what, why));
    }
    let budget = Budget::default();
    let mut reads = Vec::new();
    for candidate in &candidates {
        reads.push(one(repository, candidate, &budget));
    }
    let results: Vec<_> = stream::iter(reads).buffered(PARALLEL).collect().await;
    let mut all = Bundles::default();
    for (candidate, result) in candidates.iter().zip(results) {
        let location = format!("{name}@{}", candidate.digest);
        match result? {
            Ok(Some(mut bundled)) => {
                bundled.stored.location = location;
                all.found.push(bundled);
            }
            Ok(None) => {}
            Err(reason) => all.unreadable.push(Unreadable { location, reason }),
        }
    }
    Ok(all)
}

/// Whether what is listed may hold a bundle. In lists that `cosign` keeps itself, the type is that of the config.
fn may_be_bundle(listed: &Descriptor) -> bool {
    listed.media_type == OCI_IMAGE_MEDIA_TYPE
        && listed.artifact_type.as_deref().is_none_or(|artifact_type| {
            artifact_type.starts_with(BUNDLE) || artifact_type == EMPTY_MEDIA_TYPE
        })
}

/// The inner error tells what is wrong with the bundle, the outer one that the registry did not answer; `None` is
/// something else than a bundle.
pub(super) async fn one(
    repository: &Repository,
    listed: &Descriptor,
    budget: &Budget,
) -> fault::Result<Result<Option<Bundled>, String>> {
    match fetch(repository, listed, budget).await {
        Err(fault) if is_about_content(fault.kind) || fault.kind == ErrorKind::Protocol => {
            Ok(Err(fault.why))
        }
        result => result,
    }
}

async fn fetch(
    repository: &Repository,
    listed: &Descriptor,
    budget: &Budget,
) -> fault::Result<Result<Option<Bundled>, String>> {
    #[derive(Deserialize)]
    struct Manifest {
        #[serde(default)]
        layers: Vec<Descriptor>,
    }
    let Ok(digest) = listed.digest.parse::<Digest>() else {
        return Ok(Err(format!("{:?} is not a digest", listed.digest)));
    };
    let missing = || Ok(Err("the registry does not have its content".to_owned()));
    let Some(fetched) = repository.manifest(&digest.to_string(), Access::Pull).await? else {
        return missing();
    };
    let manifest: Manifest =
        parse_json("reading a manifest", &fetched.bytes, "the manifest of a bundle")?;
    let [layer] = manifest.layers.as_slice() else { return Ok(Ok(None)) };
    if !layer.media_type.starts_with(BUNDLE) {
        return Ok(Ok(None));
    }
    let Ok(digest) = layer.digest.parse::<Digest>() else {
        return Ok(Err(format!("{:?} is not a digest", layer.digest)));
    };
    if let Err(why) = budget.take(layer.size) {
        return Ok(Err(why));
    }
    match repository.blob(&digest, layer.size).await? {
        Some(bytes) => Ok(bundled(&bytes).map(Some)),
        None => missing(),
    }
}

fn bundled(bytes: &[u8]) -> Result<Bundled, String> {
    let bundle = Bundle::from_json(bytes).map_err(|e| e.report())?;
    let Content::DsseEnvelope(envelope) = &bundle.content else {
        return Err("what it signs is not in the registry".to_owned());
    };
    let certificate = match &bundle.verification_material.key {
        KeyMaterial::Certificate(certificate) => Some(pem(&certificate.raw_bytes)),
        KeyMaterial::PublicKey(_) => None,
    };
    let stored = Stored {
        location: String::new(),
        payload: envelope.payload.clone(),
        signed: Some(Signed::Dsse(envelope.clone())),
        certificate,
        chain: None,
    };
    Ok(Bundled { stored, bundle })
}

/// The predicate type of a statement; not verified.
pub(crate) fn predicate_type(payload: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Statement {
        predicate_type: String,
    }
    let statement: Statement = serde_json::from_slice(payload).ok()?;
    Some(statement.predicate_type)
}

/// PEM ([RFC 7468 §5](https://www.rfc-editor.org/rfc/rfc7468#section-5)), as records have it.
fn pem(der: &[u8]) -> String {
    const WIDTH: usize = 64;
    let base64 = STANDARD.encode(der);
    let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
    for line in base64.as_bytes().chunks(WIDTH) {
        pem.extend(line.iter().map(|byte| char::from(*byte)));
        pem.push('\n');
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_written_as_pem() {
        let expect = format!(
            "-----BEGIN CERTIFICATE-----\n{}\n{}\n-----END CERTIFICATE-----\n",
            "A".repeat(64),
            "AAAA"
        );
        assert_eq!(pem(&[0; 51]), expect);
        assert_eq!(pem(&[0; 48]).lines().count(), 3);
    }

    #[test]
    fn other_things_that_refer_to_an_image_are_passed_over() {
        let check = |media_type: &str, artifact_type: Option<&str>, expect: bool| {
            let mut descriptor = Descriptor::new(media_type, b"", Default::default());
            descriptor.artifact_type = artifact_type.map(str::to_owned);
            assert_eq!(may_be_bundle(&descriptor), expect, "{media_type} {artifact_type:?}");
        };
        let image = OCI_IMAGE_MEDIA_TYPE;
        check(image, Some("application/vnd.dev.sigstore.bundle.v0.3+json"), true);
        check(image, Some("application/vnd.dev.sigstore.bundle+json;version=0.3"), true);
        check(image, Some(EMPTY_MEDIA_TYPE), true);
        check(image, None, true);
        check(image, Some("application/vnd.cncf.notary.signature"), false);
        check("application/vnd.oci.image.index.v1+json", None, false);
    }
}
