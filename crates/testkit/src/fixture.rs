//! Runs, payloads and records.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use chains_core::dsse::{Envelope, pae};
use chains_core::{
    Entry, ImageDigest, Payload, Record, RunKind, RunRef, Signature, Signed, Signer, Subject,
    Target, Wrapping, media_type,
};

use crate::fake::FakeSigner;

/// Name of the image that fixtures speak of.
pub const IMAGE: &str = "registry.example.com/team/app";
/// Predicate type of the statements.
pub const PREDICATE_TYPE: &str = "https://slsa.dev/provenance/v1";

/// A TaskRun `default/NAME`, with a UID that follows from the name and no annotations.
#[must_use]
pub fn run(name: &str) -> RunRef {
    let hex = chains_core::Digest::sha256_of(name.as_bytes());
    let part = |from: usize, to: usize| hex.hex().get(from..to).unwrap_or_default().to_owned();
    let uid = [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-");
    RunRef {
        kind: RunKind::TaskRun,
        namespace: "default".into(),
        name: name.into(),
        uid: uid.into(),
        service_account: Some("builder".into()),
        annotations: Arc::default(),
    }
}

/// `registry.example.com/team/app` with the digest of `content`.
#[must_use]
pub fn image(content: &str) -> ImageDigest {
    let digest = chains_core::Digest::sha256_of(content.as_bytes());
    format!("{IMAGE}@{digest}").parse().expect("the fixture's image is well-formed")
}

/// An in-toto statement that `run` built `image`.
#[must_use]
pub fn statement(run: &RunRef, image: &ImageDigest) -> Payload {
    let (name, hex) = (&image.name, image.digest.hex());
    let json = format!(
        "{{\"_type\":\"https://in-toto.io/Statement/v1\",\
         \"subject\":[{{\"name\":\"{name}\",\"digest\":{{\"sha256\":\"{hex}\"}}}}],\
         \"predicateType\":\"{PREDICATE_TYPE}\",\
         \"predicate\":{{\"runDetails\":{{\"metadata\":{{\"invocationId\":\"{}\"}}}}}}}}",
        run.uid
    );
    Payload {
        bytes: json.into(),
        media_type: media_type::IN_TOTO,
        wrapping: Wrapping::Dsse,
        format: "slsa/v2alpha4",
        predicate_type: Some(PREDICATE_TYPE),
        subjects: vec![subject(image)],
    }
}

/// A simple signing document about `image`.
#[must_use]
pub fn simple_signing(image: &ImageDigest) -> Payload {
    let ImageDigest { name, digest } = image;
    let json = format!(
        "{{\"critical\":{{\"identity\":{{\"docker-reference\":\"{name}\"}},\
         \"image\":{{\"docker-manifest-digest\":\"{digest}\"}},\
         \"type\":\"cosign container image signature\"}},\"optional\":null}}"
    );
    Payload {
        bytes: json.into(),
        media_type: media_type::SIMPLE_SIGNING,
        wrapping: Wrapping::Detached,
        format: "simplesigning",
        predicate_type: None,
        subjects: vec![subject(image)],
    }
}

/// The status of a run, as the format `tekton` signs it: detached.
#[must_use]
pub fn status() -> Payload {
    Payload {
        bytes: Bytes::from_static(
            b"{\"conditions\":[{\"type\":\"Succeeded\",\"status\":\"True\"}]}",
        ),
        media_type: media_type::JSON,
        wrapping: Wrapping::Detached,
        format: "tekton",
        predicate_type: None,
        subjects: Vec::new(),
    }
}

fn subject(image: &ImageDigest) -> Subject {
    let digest = BTreeMap::from([("sha256".to_owned(), image.digest.hex().to_owned())]);
    Subject { name: image.name.to_string(), digest }
}

/// The record of a run's provenance, signed by [`FakeSigner::new`]`(1)`.
#[must_use]
pub fn run_record(run: &RunRef) -> Record {
    signed(run, Target::Run, statement(run, &image(&run.name)), &FakeSigner::new(1))
}

/// The record of an image that the run built, signed by [`FakeSigner::new`]`(1)`.
#[must_use]
pub fn image_record(run: &RunRef, image: &ImageDigest) -> Record {
    signed(run, Target::Image(image.clone()), simple_signing(image), &FakeSigner::new(1))
}

/// The record of a run in the format `tekton`, signed by [`FakeSigner::new`]`(1)`.
#[must_use]
pub fn status_record(run: &RunRef) -> Record {
    signed(run, Target::Run, status(), &FakeSigner::new(1))
}

/// The record of a run's provenance without a signature.
#[must_use]
pub fn unsigned_record(run: &RunRef) -> Record {
    let payload = statement(run, &image(&run.name));
    let key = Target::Run.record_key(run);
    Record {
        run: run.clone(),
        target: Target::Run,
        key,
        payload,
        signed: None,
        material: None,
        entry: None,
    }
}

/// A record of anything, signed as its payload asks for.
#[must_use]
pub fn signed(run: &RunRef, target: Target, payload: Payload, signer: &FakeSigner) -> Record {
    let signature = match payload.wrapping {
        Wrapping::Dsse => signer.sign_message(&pae(payload.media_type, &payload.bytes)),
        Wrapping::Detached => signer.sign_message(&payload.bytes),
    };
    assemble(run, target, payload, &signature)
}

/// A record of anything, signed by any signer.
///
/// # Panics
/// Where the signer fails.
pub async fn signed_by(
    run: &RunRef,
    target: Target,
    payload: Payload,
    signer: &dyn Signer,
) -> Record {
    let message = match payload.wrapping {
        Wrapping::Dsse => pae(payload.media_type, &payload.bytes),
        Wrapping::Detached => payload.bytes.to_vec(),
    };
    let signature = signer.sign(&message).await.expect("the signer signs");
    assemble(run, target, payload, &signature)
}

fn assemble(run: &RunRef, target: Target, payload: Payload, signature: &Signature) -> Record {
    let signed = match payload.wrapping {
        Wrapping::Dsse => {
            let bytes = payload.bytes.clone();
            Signed::Dsse(Envelope::new(payload.media_type, bytes, signature))
        }
        Wrapping::Detached => Signed::Detached(signature.bytes.clone()),
    };
    Record {
        run: run.clone(),
        key: target.record_key(run),
        target,
        payload,
        signed: Some(signed),
        material: Some(Arc::clone(&signature.material)),
        entry: None,
    }
}

/// The same record with an entry of a log.
#[must_use]
pub fn with_entry(record: Record, entry: Entry) -> Record {
    Record { entry: Some(Arc::new(entry)), ..record }
}

/// The same record, of the run with these annotations.
#[must_use]
pub fn with_annotations(record: Record, annotations: BTreeMap<String, String>) -> Record {
    let run = RunRef { annotations: Arc::new(annotations), ..record.run };
    Record { run, ..record }
}
