//! Records to store, and images that they are about.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use chains_core::dsse::Envelope;
use chains_core::{
    Digest, Entry, ImageDigest, Payload, PublicKey, Record, RunKind, RunRef, Signature,
    SignatureAlgorithm, Signed, Subject, Target, VerificationMaterial, Wrapping, media_type,
};

use super::Registry;

/// A P-256 key of which nobody has the private half.
const PUBLIC_KEY: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt
6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==
-----END PUBLIC KEY-----
";

/// An image that is in a registry.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    pub(crate) digest: ImageDigest,
}

impl Image {
    pub(crate) fn subject(&self) -> Subject {
        let digest = [("sha256".to_owned(), self.digest.digest.hex().to_owned())];
        Subject { name: self.digest.name.to_string(), digest: digest.into() }
    }

    pub(crate) fn tag(&self, suffix: &str) -> String {
        format!("sha256-{}.{suffix}", self.digest.digest.hex())
    }
}

/// Pushes an image without layers whose config says `content`.
pub(crate) async fn push_image(registry: &Registry, repository: &str, content: &str) -> Image {
    let config = format!("{{\"comment\":\"{content}\"}}");
    let digest = registry.push_blob(repository, config.as_bytes()).await;
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{digest}","size":{}}},"layers":[]}}"#,
        config.len()
    );
    let digest = Digest::sha256_of(manifest.as_bytes());
    registry.put_manifest(repository, &digest.to_string(), &manifest).await;
    let name = format!("{}/{repository}", registry.host());
    Image { digest: ImageDigest { name: name.parse().expect("a name"), digest } }
}

fn run(name: &str) -> RunRef {
    RunRef {
        kind: RunKind::TaskRun,
        namespace: "default".into(),
        name: name.into(),
        uid: format!("uid-{name}").into(),
        service_account: None,
        annotations: Arc::new(BTreeMap::new()),
    }
}

fn sign(message: &[u8]) -> Signature {
    let key = PublicKey::from_pem(PUBLIC_KEY).expect("a key");
    Signature {
        // Nobody verifies here: what counts is that the same message has the same signature.
        bytes: Bytes::from(format!("signature over {}", Digest::sha256_of(message))),
        algorithm: SignatureAlgorithm::EcdsaP256Sha256,
        material: Arc::new(VerificationMaterial::from_public_key(key)),
    }
}

fn record(run: RunRef, target: Target, payload: Payload, signed: Signed) -> Record {
    let key = target.record_key(&run);
    let material = Some(sign(b"").material);
    Record { run, target, key, payload, signed: Some(signed), material, entry: None }
}

/// The attestation of the run `name` about `subjects`.
pub(crate) fn attestation(name: &str, subjects: Vec<Subject>) -> Record {
    let bytes = Bytes::from(format!(
        "{{\"predicateType\":\"https://slsa.dev/provenance/v1\",\"run\":\"{name}\"}}"
    ));
    let payload = Payload {
        bytes: bytes.clone(),
        media_type: media_type::IN_TOTO,
        wrapping: Wrapping::Dsse,
        format: "slsa/v2alpha4",
        predicate_type: Some("https://slsa.dev/provenance/v1"),
        subjects,
    };
    let signature = sign(&chains_core::dsse::pae(media_type::IN_TOTO, &bytes));
    let envelope = Envelope::new(media_type::IN_TOTO, bytes, &signature);
    record(run(name), Target::Run, payload, Signed::Dsse(envelope))
}

/// The signature of an image by the run `name`.
pub(crate) fn signature(name: &str, image: &Image) -> Record {
    let bytes = Bytes::from(format!(
        "{{\"critical\":{{\"image\":{{\"docker-manifest-digest\":\"{}\"}}}}}}",
        image.digest.digest
    ));
    let payload = Payload {
        bytes: bytes.clone(),
        media_type: media_type::SIMPLE_SIGNING,
        wrapping: Wrapping::Detached,
        format: "simplesigning",
        predicate_type: None,
        subjects: vec![image.subject()],
    };
    let signed = Signed::Detached(sign(&bytes).bytes);
    record(run(name), Target::Image(image.digest.clone()), payload, signed)
}

/// The signature of an image by the run `name`, as a statement in an envelope.
pub(crate) fn signature_statement(name: &str, image: &Image) -> Record {
    let predicate_type = "https://sigstore.dev/cosign/sign/v1";
    let bytes = Bytes::from(format!(
        "{{\"predicateType\":\"{predicate_type}\",\"image\":\"{}\"}}",
        image.digest
    ));
    let payload = Payload {
        bytes: bytes.clone(),
        media_type: media_type::IN_TOTO,
        wrapping: Wrapping::Dsse,
        format: "cosign/sign",
        predicate_type: Some(predicate_type),
        subjects: vec![image.subject()],
    };
    let signature = sign(&chains_core::dsse::pae(media_type::IN_TOTO, &bytes));
    let signed = Signed::Dsse(Envelope::new(media_type::IN_TOTO, bytes, &signature));
    record(run(name), Target::Image(image.digest.clone()), payload, signed)
}

/// A run in the format `tekton`: a signature beside the payload.
pub(crate) fn detached_run(name: &str) -> Record {
    let bytes = Bytes::from_static(b"{}");
    let payload = Payload {
        bytes: bytes.clone(),
        media_type: media_type::JSON,
        wrapping: Wrapping::Detached,
        format: "tekton",
        predicate_type: None,
        subjects: Vec::new(),
    };
    record(run(name), Target::Run, payload, Signed::Detached(sign(&bytes).bytes))
}

/// An entry of a log.
pub(crate) fn entry() -> Arc<Entry> {
    Arc::new(Entry {
        log_url: "https://rekor.example.com".to_owned(),
        log_id: Bytes::from_static(&[0xab; 32]),
        log_index: 7,
        kind: "dsse".to_owned(),
        version: "0.0.1".to_owned(),
        integrated_time: Some(1_700_000_000),
        body: Bytes::from_static(b"{\"body\":1}"),
        inclusion_promise: Some(Bytes::from_static(b"promise")),
        inclusion_proof: None,
        timestamps: vec![Bytes::from_static(b"timestamp")],
        others: Vec::new(),
    })
}
