//! What is read back from a registry. All of it is hostile input: bounded, and checked by digest.

use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chains_core::dsse::Envelope;
use chains_core::{Digest, Error, ErrorKind, ImageName, Result, Signed, Stored};
use futures_util::StreamExt as _;
use futures_util::stream;
use oci_distribution::Reference;

use crate::commit::{Document as _, Place};
use crate::fault::{self, Fault};
use crate::layer::{BUNDLE, CERTIFICATE, CHAIN, Kind, SIGNATURE, TIMESTAMP};
use crate::manifest::{Descriptor, MAX_LAYERS, Manifest};
use crate::registry::Access;

/// Bytes of one layer.
const MAX_LAYER: u64 = 32 * 1024 * 1024;
/// Bytes of all layers of an image.
const MAX_TOTAL: u64 = 256 * 1024 * 1024;
/// How many layers are fetched at once.
pub(crate) const PARALLEL: usize = 8;

/// What was found of an image's signatures or attestations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attachments {
    /// Readable ones in the order of the registry; their signatures are not verified.
    pub found: Vec<Attached>,
    /// Those that could not be read: anybody who may push to the repository may add such.
    pub unreadable: Vec<Unreadable>,
}

/// One signature or attestation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// Payload, signature and certificates.
    pub stored: Stored,
    /// The log entry, as the JSON that `cosign` keeps in `dev.sigstore.cosign/bundle`.
    pub bundle: Option<String>,
    /// The timestamp, as the JSON that `cosign` keeps in `dev.sigstore.cosign/rfc3161timestamp`.
    pub timestamp: Option<String>,
}

/// A layer, or a bundle, that is not what it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Where it is: the repository with the digest of the layer, or of the manifest that holds the bundle.
    pub location: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Reads all layers of a tag; one that cannot be read does not keep the others from being read.
pub(crate) async fn attachments(place: &Place, kind: Kind) -> fault::Result<Attachments> {
    let Some(fetched) = place.repository.manifest(&place.tag, Access::Pull).await? else {
        return Ok(Attachments::default());
    };
    let what = format!("reading the manifest {}", place.location);
    let manifest = Manifest::parse(&what, &fetched.bytes)?;
    if manifest.layers.len() > MAX_LAYERS {
        let why = format!("it has {} layers, allowed are {MAX_LAYERS}", manifest.layers.len());
        return Err(Fault::new(ErrorKind::TooLarge, what, why));
    }
    let budget = Budget::default();
    let mut reads = Vec::new();
    for layer in &manifest.layers {
        reads.push(one(place, kind, layer, &budget));
    }
    let results: Vec<_> = stream::iter(reads).buffered(PARALLEL).collect().await;
    let mut all = Attachments::default();
    for (layer, result) in manifest.layers.iter().zip(results) {
        let location = format!("{}@{}", place.location, layer.digest);
        match result? {
            Ok(mut attached) => {
                attached.stored.location = location;
                all.found.push(attached);
            }
            Err(reason) => all.unreadable.push(Unreadable { location, reason }),
        }
    }
    Ok(all)
}

/// The inner error tells what is wrong with the layer, the outer one that the registry did not answer.
async fn one(
    place: &Place,
    kind: Kind,
    layer: &Descriptor,
    budget: &Budget,
) -> fault::Result<Result<Attached, String>> {
    if layer.media_type != kind.media_type() {
        let why = format!("it is a {:?}, not a {:?}", layer.media_type, kind.media_type());
        return Ok(Err(why));
    }
    let Ok(digest) = layer.digest.parse::<Digest>() else {
        return Ok(Err(format!("{:?} is not a digest", layer.digest)));
    };
    if let Err(why) = budget.take(layer.size) {
        return Ok(Err(why));
    }
    match place.repository.blob(&digest, layer.size).await {
        Ok(Some(bytes)) => Ok(attached(kind, layer, bytes)),
        Ok(None) => Ok(Err("the registry does not have its content".to_owned())),
        Err(fault) if is_about_content(fault.kind) => Ok(Err(fault.why)),
        Err(fault) => Err(fault),
    }
}

/// How many bytes of an image's layers may still be read.
#[derive(Debug)]
pub(crate) struct Budget(AtomicU64);

impl Default for Budget {
    fn default() -> Self {
        Self(AtomicU64::new(MAX_TOTAL))
    }
}

impl Budget {
    /// Takes what a layer says that it has; why not, if that is too much.
    pub(crate) fn take(&self, size: u64) -> Result<(), String> {
        if size > MAX_LAYER {
            return Err(format!("it has {size} bytes, allowed are {MAX_LAYER}"));
        }
        let less = |left: u64| left.checked_sub(size);
        let taken = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        taken
            .map(drop)
            .map_err(|_| format!("with the layers before it, it has more than {MAX_TOTAL} bytes"))
    }
}

/// Faults of what was uploaded, not of the registry.
pub(crate) const fn is_about_content(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Verification | ErrorKind::TooLarge | ErrorKind::Unsupported)
}

fn attached(kind: Kind, layer: &Descriptor, bytes: Bytes) -> Result<Attached, String> {
    let some = |name| layer.annotation(name).filter(|text| !text.is_empty()).map(str::to_owned);
    let (payload, signed) = match kind {
        Kind::Signature => {
            let signature = layer.annotation(SIGNATURE).ok_or("it has no signature")?;
            let signature = STANDARD
                .decode(signature)
                .map_err(|e| format!("its signature is not base64: {e}"))?;
            (bytes, Signed::Detached(signature.into()))
        }
        Kind::Attestation => {
            let envelope = Envelope::from_json(&bytes).map_err(|e| e.report())?;
            (envelope.payload.clone(), Signed::Dsse(envelope))
        }
    };
    let stored = Stored {
        location: String::new(),
        payload,
        signed: Some(signed),
        certificate: some(CERTIFICATE),
        chain: some(CHAIN),
    };
    Ok(Attached { stored, bundle: some(BUNDLE), timestamp: some(TIMESTAMP) })
}

/// The name, and the tag or digest.
pub(crate) fn parse_reference(text: &str) -> Result<(ImageName, String)> {
    let odd = |why: String| {
        Error::new(ErrorKind::InvalidInput, format!("reading the image reference {text:?}"))
            .with_source(why)
    };
    let reference: Reference = text.parse().map_err(|e| odd(chains_core::chain(&e)))?;
    let name = format!("{}/{}", reference.registry(), reference.repository());
    let name = name.parse().map_err(|e: Error| odd(e.to_string()))?;
    let identifier = match (reference.digest(), reference.tag()) {
        (Some(digest), _) => {
            let digest: Digest = digest.parse().map_err(|e: Error| odd(e.to_string()))?;
            if digest.algorithm() != chains_core::DigestAlgorithm::Sha256 {
                return Err(odd(format!("images have sha256 digests, not {}", digest.algorithm())));
            }
            digest.to_string()
        }
        (None, tag) => tag.unwrap_or("latest").to_owned(),
    };
    Ok((name, identifier))
}
