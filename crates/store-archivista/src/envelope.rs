//! Envelopes as Archivista takes them, and their gitoid.
//!
//! They are those of [go-witness]: DSSE with room for certificates. Members stand in its order, and a line feed follows, as
//! its client and so Tekton Chains writes them: the gitoid is over the very bytes.
//!
//! [go-witness]: https://pkg.go.dev/github.com/in-toto/go-witness/dsse#Envelope

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chains_core::dsse::{Envelope, EnvelopeSignature};
use chains_core::{Error, ErrorKind, Record, Result, Signed, Stored, VerificationMaterial};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The predicate type of statements that sign an image.
const IMAGE_SIGNATURE: &str = "https://sigstore.dev/cosign/sign/v1";
const END: &str = "-----END CERTIFICATE-----";

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    payload: String,
    payload_type: String,
    signatures: Vec<WireSignature>,
}

#[derive(Debug, Serialize, Deserialize)]
struct WireSignature {
    #[serde(default)]
    keyid: String,
    sig: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    certificate: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    intermediates: Option<Vec<String>>,
}

/// What is uploaded of a record.
///
/// # Errors
/// [`ErrorKind::Unsupported`] where it is not signed in an envelope.
pub(crate) fn body(record: &Record) -> Result<Bytes> {
    let Some(Signed::Dsse(envelope)) = &record.signed else {
        let what = match &record.signed {
            Some(_) => "a signature beside its payload",
            None => "a payload without a signature",
        };
        let why = format!("Archivista takes DSSE envelopes only, not {what}: use another store");
        return Err(Error::new(ErrorKind::Unsupported, why));
    };
    let material = record.material.as_deref();
    let signatures = envelope.signatures.iter().map(|one| signature(one, material)).collect();
    let wire = Wire {
        payload: STANDARD.encode(&envelope.payload),
        payload_type: envelope.payload_type.clone(),
        signatures,
    };
    let mut json = serde_json::to_vec(&wire)
        .map_err(|e| Error::new(ErrorKind::Internal, "writing an envelope").with_source(e))?;
    json.push(b'\n');
    Ok(json.into())
}

fn signature(one: &EnvelopeSignature, material: Option<&VerificationMaterial>) -> WireSignature {
    let certificate = material.and_then(|material| material.certificate.as_ref());
    let chain = material.and_then(|material| material.chain.as_deref());
    WireSignature {
        keyid: one.keyid.clone(),
        sig: STANDARD.encode(&one.sig),
        certificate: certificate.map(|pem| STANDARD.encode(pem)),
        intermediates: chain.map(|pem| each(pem).map(|one| STANDARD.encode(one)).collect()),
    }
}

/// Every certificate of a chain, without the line feed at its end.
fn each(pem: &str) -> impl Iterator<Item = &str> {
    pem.split_inclusive(END).flat_map(|part| {
        // What stands between two belongs to neither; at the end it is a line feed.
        let from = part.find("-----BEGIN").unwrap_or(part.len());
        part.get(from..).filter(|one| !one.is_empty())
    })
}

/// What identifies these bytes among all others ([gitoid] with SHA-256): the name under which they are kept.
///
/// [gitoid]: https://www.iana.org/assignments/uri-schemes/prov/gitoid
pub(crate) fn gitoid(body: &[u8]) -> String {
    let mut hasher = Sha256::new();
    hasher.update(format!("blob {}\0", body.len()));
    hasher.update(body);
    hex::encode(hasher.finalize())
}

/// Reads back what was uploaded, by us or others.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] where it is no envelope.
pub(crate) fn stored(location: String, body: &[u8]) -> Result<Stored> {
    let unreadable = |why: String| {
        Error::new(ErrorKind::InvalidInput, format!("reading the envelope {location}"))
            .with_source(why)
    };
    let envelope = Envelope::from_json(body).map_err(|e| unreadable(e.report()))?;
    let wire: Wire = serde_json::from_slice(body).map_err(|e| unreadable(e.to_string()))?;
    let first = wire.signatures.into_iter().next();
    let (certificate, chain) = first.map_or((None, None), |it| (it.certificate, it.intermediates));
    let pem = |text: String| {
        let bytes = STANDARD.decode(text).map_err(|e| unreadable(e.to_string()))?;
        String::from_utf8(bytes).map_err(|e| unreadable(e.to_string()))
    };
    let line = |text: String| pem(text).map(|one| format!("{}\n", one.trim_end()));
    let chain = chain.map(|all| all.into_iter().map(line).collect::<Result<String>>());
    Ok(Stored {
        payload: envelope.payload.clone(),
        signed: Some(Signed::Dsse(envelope)),
        certificate: certificate.map(pem).transpose()?,
        chain: chain.transpose()?,
        location: location.clone(),
    })
}

/// Whether a payload is the statement that signs an image, as cosign writes it.
pub(crate) fn is_image_signature(payload: &[u8]) -> bool {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Head {
        predicate_type: String,
    }
    let head: Option<Head> = serde_json::from_slice(payload).ok();
    head.is_some_and(|head| head.predicate_type == IMAGE_SIGNATURE)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chains_testkit::fixture;

    use super::*;

    #[test]
    fn bytes_are_those_of_the_go_client() {
        let record = fixture::run_record(&fixture::run("a"));
        let Some(Signed::Dsse(envelope)) = &record.signed else {
            panic!("a run is in an envelope")
        };
        let first = envelope.signatures.first().unwrap();
        let expected = format!(
            "{{\"payload\":\"{}\",\"payloadType\":\"application/vnd.in-toto+json\",\"signatures\":[{{\"keyid\":\"{}\",\
             \"sig\":\"{}\"}}]}}\n",
            STANDARD.encode(&record.payload.bytes),
            first.keyid,
            STANDARD.encode(&first.sig)
        );
        assert_eq!(body(&record).unwrap(), expected);
        // `printf 'hello\n' | git hash-object --stdin` in a repository of format SHA-256.
        let known = "2cf8d83d9ee29543b34a87727421fdecb7e3f3a183d337639025de576db9ebb4";
        assert_eq!(gitoid(b"hello\n"), known);
    }

    #[test]
    fn certificates_go_along_one_by_one() {
        let mut record = fixture::run_record(&fixture::run("a"));
        let pem = |name: &str| format!("-----BEGIN CERTIFICATE-----\n{name}\n{END}\n");
        let chain = pem("one") + &pem("two");
        let mut material = (**record.material.as_ref().unwrap()).clone();
        material.certificate = Some(pem("leaf"));
        material.chain = Some(chain.clone());
        record.material = Some(Arc::new(material));
        let body = body(&record).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let of = &json["signatures"][0];
        assert_eq!(of["certificate"], STANDARD.encode(pem("leaf")));
        assert_eq!(of["intermediates"][0], STANDARD.encode(pem("one").trim_end()));
        assert_eq!(of["intermediates"].as_array().unwrap().len(), 2);
        let read = stored("x".to_owned(), &body).unwrap();
        assert_eq!((read.certificate, read.chain), (Some(pem("leaf")), Some(chain)));
    }

    #[test]
    fn signatures_of_images_are_told_from_what_runs_say() {
        let sign = br#"{"predicateType":"https://sigstore.dev/cosign/sign/v1"}"#;
        assert!(is_image_signature(sign));
        for other in [&b""[..], b"{}", br#"{"predicateType":"https://slsa.dev/provenance/v1"}"#] {
            assert!(!is_image_signature(other));
        }
    }

    #[test]
    fn others_envelopes_are_read_and_none_is_told() {
        let plain =
            br#"{"payloadType":"t","payload":"YQ==","signatures":[{"sig":"Yg=="}],"more":1}"#;
        let read = stored("x".to_owned(), plain).unwrap();
        assert_eq!((&read.payload[..], read.certificate), (&b"a"[..], None));
        for odd in [&b"{}"[..], b"[]", b"", br#"{"payloadType":"t","payload":"!","signatures":[]}"#]
        {
            assert_eq!(stored("x".to_owned(), odd).unwrap_err().kind(), ErrorKind::InvalidInput);
        }
        let certificate = br#"{"payloadType":"t","payload":"YQ==","signatures":[{"sig":"Yg==","certificate":"/w=="}]}"#;
        assert!(stored("x".to_owned(), certificate).is_err());
    }
}
