//! Reading sets back. Whoever may write to the bucket may have written them.

use bytes::Bytes;
use chains_core::dsse::Envelope;
use chains_core::{Error, ErrorKind, Result, Signed, Stored};

use crate::layout::{Part, Place};
use crate::objects::Objects;

/// Every set of a record, the one that readers of Tekton Chains find first.
pub(crate) async fn sets(objects: &dyn Objects, place: &Place) -> Result<Vec<Stored>> {
    let names = objects.list(place.base()).await?;
    let mut found = Vec::new();
    for base in place.sets(&names) {
        let mut parts = Vec::with_capacity(Part::ALL.len());
        for part in Part::ALL {
            let name = part.of(&base);
            // An object that went away since the list was made is none.
            let there = names.contains(&name);
            parts.push(if there { objects.get(&name).await? } else { None });
        }
        found.extend(set(objects, &base, parts)?);
    }
    Ok(found)
}

/// One set; `None` where it has neither a payload nor an envelope, and so is none yet.
fn set(objects: &dyn Objects, base: &str, parts: Vec<Option<Bytes>>) -> Result<Option<Stored>> {
    let mut parts = parts.into_iter().map(|part| part.filter(|bytes| !bytes.is_empty()));
    let mut next = || parts.next().flatten();
    let (payload, certificate, chain, signature) = (next(), next(), next(), next());
    let signed = signature.map(signed);
    let payload = match (payload, &signed) {
        (Some(payload), Some(Signed::Dsse(envelope))) if envelope.payload != payload => {
            let why = "the envelope in its signature is over another payload";
            return Err(unreadable(objects, base).with_source(why));
        }
        (Some(payload), _) => payload,
        // Tekton Chains writes the signature first: an envelope holds its payload.
        (None, Some(Signed::Dsse(envelope))) => envelope.payload.clone(),
        (None, _) => return Ok(None),
    };
    let last = if signed.is_some() { Part::Signature } else { Part::Payload };
    Ok(Some(Stored {
        location: objects.url(&last.of(base)),
        payload,
        signed,
        certificate: certificate.map(|pem| text(objects, base, pem)).transpose()?,
        chain: chain.map(|pem| text(objects, base, pem)).transpose()?,
    }))
}

/// What is an envelope's JSON is an envelope; every other signature is detached: DER or 64 bytes of Ed25519, which is
/// JSON by no accident.
fn signed(bytes: Bytes) -> Signed {
    Envelope::from_json(&bytes).map_or(Signed::Detached(bytes), Signed::Dsse)
}

fn text(objects: &dyn Objects, base: &str, pem: Bytes) -> Result<String> {
    String::from_utf8(pem.into()).map_err(|e| unreadable(objects, base).with_source(e.utf8_error()))
}

fn unreadable(objects: &dyn Objects, base: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("reading {}", objects.url(base)))
}
