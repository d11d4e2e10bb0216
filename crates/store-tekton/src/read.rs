//! Reading annotations, which anyone who may edit the run may have written.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chains_core::dsse::Envelope;
use chains_core::{Error, ErrorKind, Result, RunRef, Signed, Stored};

use crate::names::Names;

pub(crate) fn record(run: &RunRef, names: &Names, location: String) -> Result<Vec<Stored>> {
    let Some(payload) = bytes(run, &names.payload)? else {
        return Ok(Vec::new());
    };
    let signed = bytes(run, &names.signature)?.map(signed);
    let certificate = text(run, &names.certificate)?;
    let chain = text(run, &names.chain)?;
    Ok(vec![Stored { location, payload, signed, certificate, chain }])
}

/// What is an envelope's JSON is an envelope; every other signature is detached.
///
/// A detached signature is DER or 64 bytes of Ed25519, which is JSON by no accident.
fn signed(bytes: Bytes) -> Signed {
    Envelope::from_json(&bytes).map_or(Signed::Detached(bytes), Signed::Dsse)
}

/// `None` where the annotation is not there or empty, as Tekton Chains writes what it has not.
fn bytes(run: &RunRef, name: &str) -> Result<Option<Bytes>> {
    let Some(value) = run.annotations.get(name).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let decoded = STANDARD.decode(value).map_err(|e| unreadable(run, name).with_source(e))?;
    Ok(Some(decoded.into()))
}

fn text(run: &RunRef, name: &str) -> Result<Option<String>> {
    let Some(bytes) = bytes(run, name)? else {
        return Ok(None);
    };
    String::from_utf8(bytes.into())
        .map(Some)
        .map_err(|e| unreadable(run, name).with_source(e.utf8_error()))
}

fn unreadable(run: &RunRef, name: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("reading annotation {name} of {run}"))
}
