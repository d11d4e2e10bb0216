//! Bodies of entries: checked to be about our payload, signature and key, and nothing else.
//!
//! The bodies are what the log hashes, so they are believed as far as the inclusion proof is; what they say
//! is compared with what we hold, never taken from them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chains_core::{Error, Result};
use serde::Deserialize;

use crate::fault::{failed, quoted};
use crate::logged::{HashName, Logged, LoggedContent};

/// No body is larger: an envelope's own size does not show in it.
const MAX_BODY: usize = 1024 * 1024;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outer<'a> {
    kind: String,
    api_version: String,
    #[serde(borrow)]
    spec: &'a serde_json::value::RawValue,
}

/// Checks that the body is one of this kind and version, and about this signature.
///
/// # Errors
/// [`ErrorKind::Verification`](chains_core::ErrorKind::Verification), beginning with `entry body:`.
pub(crate) fn check(body: &[u8], kind: &str, version: &str, logged: &Logged<'_>) -> Result<()> {
    if body.len() > MAX_BODY {
        return Err(differs(format!("it has more than {MAX_BODY} bytes")));
    }
    let outer: Outer<'_> = read(body)?;
    if (outer.kind.as_str(), outer.api_version.as_str()) != (kind, version) {
        return Err(differs(format!(
            "it is a {} {}, the entry says {kind:?} {version:?}",
            quoted(&outer.kind),
            quoted(&outer.api_version)
        )));
    }
    let spec = outer.spec.get().as_bytes();
    match (kind, version) {
        ("dsse", "0.0.1") => dsse(&read(spec)?, logged),
        ("intoto", "0.0.2") => intoto(&read(spec)?, logged),
        // `rekord` differs in what it is made from: the body has the same parts.
        ("hashedrekord" | "rekord", "0.0.1") => hashedrekord(&read(spec)?, logged),
        ("hashedrekord", "0.0.2") => hashedrekord_v2(&read(spec)?, logged),
        _ => Err(differs(format!("entries of kind {kind:?} {version:?} are not known"))),
    }
}

/// The kind and version that a body says it is of.
pub(crate) fn kind_of(body: &[u8]) -> Option<(String, String)> {
    let outer: Outer<'_> = serde_json::from_slice(body).ok()?;
    Some((outer.kind, outer.api_version))
}

/// The SHA-256 of the envelope that a body of kind `dsse` tells.
pub(crate) fn envelope_hash(body: &[u8]) -> Option<String> {
    let outer: Outer<'_> = serde_json::from_slice(body).ok()?;
    let spec: Dsse = serde_json::from_str(outer.spec.get()).ok()?;
    (outer.kind == "dsse").then_some(spec.envelope_hash.value)
}

fn read<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T> {
    serde_json::from_slice(json).map_err(|e| differs("it cannot be read").with_source(e))
}

fn differs(why: impl std::fmt::Display) -> Error {
    failed(format!("entry body: {why}"))
}

#[derive(Deserialize)]
struct Hash {
    algorithm: String,
    value: String,
}

impl Hash {
    fn check(&self, what: &str, message: &[u8]) -> Result<()> {
        let Some(name) = HashName::from_v1(&self.algorithm) else {
            return Err(differs(format!("the hash {} is not known", quoted(&self.algorithm))));
        };
        if hex::encode(name.of(message)) != self.value {
            return Err(differs(format!("it is about another {what}")));
        }
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Dsse {
    envelope_hash: Hash,
    payload_hash: Hash,
    signatures: Vec<DsseSignature>,
}

#[derive(Deserialize)]
struct DsseSignature {
    signature: String,
    verifier: String,
}

fn dsse(spec: &Dsse, logged: &Logged<'_>) -> Result<()> {
    spec.payload_hash.check("payload", payload(logged)?)?;
    let wanted = STANDARD.encode(logged.signature);
    let [signature] = spec.signatures.as_slice() else {
        return Err(differs(format!("it has {} signatures, not one", spec.signatures.len())));
    };
    if signature.signature != wanted {
        return Err(differs("it is about another signature"));
    }
    check_verifier(logged, &signature.verifier)
}

#[derive(Deserialize)]
struct Intoto {
    content: IntotoContent,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IntotoContent {
    envelope: IntotoEnvelope,
    payload_hash: Hash,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IntotoEnvelope {
    payload_type: String,
    signatures: Vec<IntotoSignature>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IntotoSignature {
    sig: String,
    public_key: String,
}

fn intoto(spec: &Intoto, logged: &Logged<'_>) -> Result<()> {
    let LoggedContent::Envelope { payload_type, payload } = logged.content else {
        return Err(differs("it is about an envelope, not a detached signature"));
    };
    let content = &spec.content;
    content.payload_hash.check("payload", payload)?;
    if content.envelope.payload_type != payload_type {
        return Err(differs("it is about another payload type"));
    }
    let [signature] = content.envelope.signatures.as_slice() else {
        let count = content.envelope.signatures.len();
        return Err(differs(format!("it has {count} signatures, not one")));
    };
    // The base64 of an envelope is taken for bytes, which are base64 once more in JSON.
    if signature.sig != STANDARD.encode(STANDARD.encode(logged.signature)) {
        return Err(differs("it is about another signature"));
    }
    check_verifier(logged, &signature.public_key)
}

#[derive(Deserialize)]
struct HashedRekord {
    data: HashedRekordData,
    signature: HashedRekordSignature,
}

#[derive(Deserialize)]
struct HashedRekordData {
    hash: Hash,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HashedRekordSignature {
    content: String,
    public_key: HashedRekordKey,
}

#[derive(Deserialize)]
struct HashedRekordKey {
    content: String,
}

fn hashedrekord(spec: &HashedRekord, logged: &Logged<'_>) -> Result<()> {
    let LoggedContent::Message(message) = logged.content else {
        return Err(differs("it is about a detached signature, not an envelope"));
    };
    spec.data.hash.check("message", message)?;
    if spec.signature.content != STANDARD.encode(logged.signature) {
        return Err(differs("it is about another signature"));
    }
    check_verifier(logged, &spec.signature.public_key.content)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HashedRekordV2 {
    hashed_rekord_v002: HashedRekordV2Spec,
}

#[derive(Deserialize)]
struct HashedRekordV2Spec {
    data: HashedRekordV2Data,
    signature: HashedRekordV2Signature,
}

#[derive(Deserialize)]
struct HashedRekordV2Data {
    algorithm: String,
    digest: String,
}

#[derive(Deserialize)]
struct HashedRekordV2Signature {
    content: String,
    verifier: HashedRekordV2Verifier,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HashedRekordV2Verifier {
    public_key: Option<RawBytes>,
    x509_certificate: Option<RawBytes>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawBytes {
    raw_bytes: String,
}

fn hashedrekord_v2(spec: &HashedRekordV2, logged: &Logged<'_>) -> Result<()> {
    let spec = &spec.hashed_rekord_v002;
    let Some(name) = HashName::from_v2(&spec.data.algorithm) else {
        return Err(differs(format!("the hash {} is not known", quoted(&spec.data.algorithm))));
    };
    if spec.data.digest != STANDARD.encode(name.of(&logged.message())) {
        return Err(differs("it is about another message"));
    }
    if spec.signature.content != STANDARD.encode(logged.signature) {
        return Err(differs("it is about another signature"));
    }
    use crate::logged::Verifier::{Certificate, Key};
    let verifier = &spec.signature.verifier;
    let found = match (&verifier.public_key, &verifier.x509_certificate, &logged.verifier) {
        (Some(key), None, Key(_)) => &key.raw_bytes,
        (None, Some(certificate), Certificate { .. }) => &certificate.raw_bytes,
        _ => return Err(differs("it is about another key or certificate")),
    };
    if *found != STANDARD.encode(logged.verifier.der()) {
        return Err(differs("it is about another key or certificate"));
    }
    Ok(())
}

fn payload<'a>(logged: &Logged<'a>) -> Result<&'a [u8]> {
    match logged.content {
        LoggedContent::Envelope { payload, .. } => Ok(payload),
        LoggedContent::Message(_) => {
            Err(differs("it is about an envelope, not a detached signature"))
        }
    }
}

/// Checks the base64 of PEM that entries of version 1 hold.
fn check_verifier(logged: &Logged<'_>, base64: &str) -> Result<()> {
    let pem = STANDARD.decode(base64).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    if pem.is_some_and(|pem| logged.verifier.is_pem(&pem)) {
        return Ok(());
    }
    Err(differs("it is about another key or certificate"))
}
