//! Signed certificate timestamps: the promise of a certificate transparency log to show a certificate
//! ([RFC 6962 §3](https://www.rfc-editor.org/rfc/rfc6962#section-3)).
//!
//! One is embedded in the certificate, which then was shown to the log without it, or comes beside it.

use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chains_core::{KeyAlgorithm, SignatureAlgorithm};
use serde::Deserialize;
use x509_cert::der::asn1::{ObjectIdentifier, OctetString};
use x509_cert::der::{self, Decode as _, Encode as _, Header, Reader, SliceReader, Tag};

use crate::certificate::Certificates;
use crate::trust::{CtLog, Trust};

/// [RFC 6962 §3.3](https://www.rfc-editor.org/rfc/rfc6962#section-3.3).
const SCT_LIST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.4.2");
/// `[3]`, constructed: the extensions of a certificate.
const EXTENSIONS: u8 = 0xa3;
const V1: u8 = 0;

/// Checks that one of the logs has promised to show the certificate.
///
/// `beside` is what the server sent beside the certificate, if anything. The error says why none holds.
pub(crate) fn check(
    certificates: &Certificates,
    beside: Option<&[u8]>,
    trust: &Trust,
) -> Result<(), String> {
    if trust.ct_logs.is_empty() {
        return Ok(());
    }
    let (scts, entries) = match beside {
        Some(json) => (vec![from_json(json)?], vec![whole(certificates)]),
        None => embedded(certificates, trust)?,
    };
    let mut reasons = Vec::new();
    for sct in &scts {
        match check_one(sct, &entries, &trust.ct_logs) {
            Ok(()) => return Ok(()),
            Err(why) => reasons.push(why),
        }
    }
    if reasons.is_empty() {
        return Err("no certificate transparency log has promised to show it".to_owned());
    }
    reasons.dedup();
    Err(format!("no promise of a certificate transparency log holds: {}", reasons.join(", ")))
}

fn check_one(sct: &Sct, entries: &[Vec<u8>], logs: &[CtLog]) -> Result<(), String> {
    let log = logs.iter().find(|log| log.id() == sct.log_id);
    let log = log.ok_or("the log is none of those that are trusted")?;
    let moment = UNIX_EPOCH.checked_add(Duration::from_millis(sct.timestamp));
    if !moment.is_some_and(|moment| log.valid.holds(moment)) {
        return Err("it was made when the log was not trusted".to_owned());
    }
    let algorithm = sct.algorithm(log.key.algorithm())?;
    let holds = |entry: &Vec<u8>| {
        let message = sct.signed(entry);
        chains_verify::verify(&log.key, algorithm, &message, &sct.signature).is_ok()
    };
    if entries.iter().any(holds) {
        Ok(())
    } else {
        Err("the signature of the log does not match the certificate".to_owned())
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Sct {
    log_id: [u8; 32],
    /// Milliseconds since 1970.
    timestamp: u64,
    extensions: Vec<u8>,
    /// Hash and signature algorithm ([RFC 5246 §7.4.1.4.1](https://www.rfc-editor.org/rfc/rfc5246#section-7.4.1.4.1)).
    algorithm: [u8; 2],
    signature: Vec<u8>,
}

impl Sct {
    fn read(mut bytes: &[u8]) -> Option<Self> {
        let bytes = &mut bytes;
        if take(bytes, 1)? != [V1] {
            return None;
        }
        let log_id = take(bytes, 32)?.try_into().ok()?;
        let timestamp = u64::from_be_bytes(take(bytes, 8)?.try_into().ok()?);
        let extensions = vector(bytes)?.to_vec();
        let (algorithm, signature) = digitally_signed(bytes)?;
        bytes.is_empty().then_some(Self { log_id, timestamp, extensions, algorithm, signature })
    }

    fn algorithm(&self, key: KeyAlgorithm) -> Result<SignatureAlgorithm, String> {
        // SHA-256 with ECDSA or RSA; Ed25519 by its own number.
        match (self.algorithm, key) {
            ([4, 3], KeyAlgorithm::EcdsaP256) => Ok(SignatureAlgorithm::EcdsaP256Sha256),
            ([4, 3], KeyAlgorithm::EcdsaP384) => Ok(SignatureAlgorithm::EcdsaP384Sha256),
            ([4, 3], KeyAlgorithm::EcdsaP521) => Ok(SignatureAlgorithm::EcdsaP521Sha256),
            ([4, 1], KeyAlgorithm::Rsa) => Ok(SignatureAlgorithm::RsaPkcs1Sha256),
            ([8, 7], KeyAlgorithm::Ed25519) => Ok(SignatureAlgorithm::Ed25519),
            _ => Err("the log signs by an algorithm that its key has not".to_owned()),
        }
    }

    /// What the log signed about an entry.
    fn signed(&self, entry: &[u8]) -> Vec<u8> {
        const CERTIFICATE_TIMESTAMP: u8 = 0;
        let mut message = vec![V1, CERTIFICATE_TIMESTAMP];
        message.extend_from_slice(&self.timestamp.to_be_bytes());
        message.extend_from_slice(entry);
        // It was read with such a length.
        let length = u16::try_from(self.extensions.len()).unwrap_or(u16::MAX);
        message.extend_from_slice(&length.to_be_bytes());
        message.extend_from_slice(&self.extensions);
        message
    }
}

/// What Fulcio sends beside a certificate: the answer of a log ([RFC 6962 §4.1](https://www.rfc-editor.org/rfc/rfc6962#section-4.1)).
fn from_json(json: &[u8]) -> Result<Sct, String> {
    #[derive(Deserialize)]
    struct Answer {
        sct_version: u8,
        id: String,
        timestamp: u64,
        #[serde(default)]
        extensions: String,
        signature: String,
    }
    let odd = || "the promise beside the certificate cannot be read".to_owned();
    let answer: Answer = serde_json::from_slice(json).map_err(|_| odd())?;
    let decode = |text: &str| STANDARD.decode(text).map_err(|_| odd());
    let signature = decode(&answer.signature)?;
    let mut rest = signature.as_slice();
    let (algorithm, signature) = digitally_signed(&mut rest).ok_or_else(odd)?;
    if answer.sct_version != V1 || !rest.is_empty() {
        return Err(odd());
    }
    Ok(Sct {
        log_id: decode(&answer.id)?.try_into().map_err(|_| odd())?,
        timestamp: answer.timestamp,
        extensions: decode(&answer.extensions)?,
        algorithm,
        signature,
    })
}

/// The entry of a log for the certificate as it is.
fn whole(certificates: &Certificates) -> Vec<u8> {
    [[0, 0].as_slice(), &length24(certificates.der().len()), certificates.der()].concat()
}

/// What is embedded, and the entries that it may be about: one for each that may have issued the certificate.
fn embedded(
    certificates: &Certificates,
    trust: &Trust,
) -> Result<(Vec<Sct>, Vec<Vec<u8>>), String> {
    let extensions = certificates.leaf().tbs_certificate().extensions();
    let Some(list) = extensions.into_iter().flatten().find(|one| one.extn_id == SCT_LIST) else {
        return Ok((Vec::new(), Vec::new()));
    };
    let odd = || "the promises in the certificate cannot be read".to_owned();
    let list = OctetString::from_der(list.extn_value.as_bytes()).map_err(|_| odd())?;
    let scts = read_list(list.as_bytes()).ok_or_else(odd)?;
    let tbs = without_list(certificates.der()).map_err(|_| odd())?;
    let entry = |hash: [u8; 32]| [[0, 1].as_slice(), &hash, &length24(tbs.len()), &tbs].concat();
    let hashes = certificates.issuer_key_hashes(&trust.authorities);
    Ok((scts, hashes.into_iter().map(entry).collect()))
}

fn read_list(mut bytes: &[u8]) -> Option<Vec<Sct>> {
    let mut list = vector(&mut bytes)?;
    let mut scts = Vec::new();
    while !list.is_empty() {
        scts.push(Sct::read(vector(&mut list)?)?);
    }
    bytes.is_empty().then_some(scts)
}

/// The certificate without signature and without the list of promises: what was shown to the log. All else stays
/// as it is, byte by byte.
fn without_list(certificate: &[u8]) -> der::Result<Vec<u8>> {
    SliceReader::new(certificate)?.sequence(|certificate| {
        let tbs = certificate.tlv_bytes()?;
        while !certificate.is_finished() {
            certificate.tlv_bytes()?;
        }
        SliceReader::new(tbs)?.sequence(|tbs| {
            let mut fields = Vec::new();
            while !tbs.is_finished() {
                let field = tbs.tlv_bytes()?;
                match field.first() {
                    Some(&EXTENSIONS) => fields.extend(other_extensions(field)?),
                    _ => fields.extend_from_slice(field),
                }
            }
            wrap(Tag::Sequence, &fields)
        })
    })
}

/// The field of extensions without the list of promises; empty where there are no others.
fn other_extensions(field: &[u8]) -> der::Result<Vec<u8>> {
    let mut reader = SliceReader::new(field)?;
    let header = Header::decode(&mut reader)?;
    let mut kept = Vec::new();
    reader.sequence(|all| {
        while !all.is_finished() {
            let extension = all.tlv_bytes()?;
            let id = SliceReader::new(extension)?.sequence(|inner| {
                let id = ObjectIdentifier::decode(inner)?;
                while !inner.is_finished() {
                    inner.tlv_bytes()?;
                }
                der::Result::Ok(id)
            })?;
            if id != SCT_LIST {
                kept.extend_from_slice(extension);
            }
        }
        der::Result::Ok(())
    })?;
    if kept.is_empty() { Ok(kept) } else { wrap(header.tag(), &wrap(Tag::Sequence, &kept)?) }
}

fn wrap(tag: Tag, content: &[u8]) -> der::Result<Vec<u8>> {
    let mut whole = Header::new(tag, content.len().try_into()?).to_der()?;
    whole.extend_from_slice(content);
    Ok(whole)
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (first, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(first)
}

/// What its length, in two bytes, stands before.
fn vector<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u16::from_be_bytes(take(bytes, 2)?.try_into().ok()?);
    take(bytes, usize::from(length))
}

fn digitally_signed(bytes: &mut &[u8]) -> Option<([u8; 2], Vec<u8>)> {
    let algorithm = take(bytes, 2)?.try_into().ok()?;
    Some((algorithm, vector(bytes)?.to_vec()))
}

fn length24(length: usize) -> [u8; 3] {
    // Answers are shorter than 16 MiB.
    let [_, bytes @ ..] = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    bytes
}

#[cfg(test)]
mod tests;
