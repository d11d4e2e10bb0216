//! Timestamps, verified without a network.

use aws_lc_rs::digest::{self, SHA1_FOR_LEGACY_USE_ONLY};
use aws_lc_rs::signature::{self as algorithms, UnparsedPublicKey, VerificationAlgorithm};
use bytes::Bytes;
use chains_core::{Error, KeyAlgorithm, PublicKey, Result};
use cms::cert::CertificateChoices;
use cms::signed_data::{SignedData, SignerIdentifier, SignerInfo};
use der::asn1::ObjectIdentifier;
use der::{Any, Encode as _, Tag, Tagged as _};
use x509_cert::Certificate;
use x509_cert::ext::pkix::{ExtendedKeyUsage, SubjectKeyIdentifier};

use super::asn1::{self, Response, TstInfo};
use super::chain::Chain;
use crate::fault::{failed, quoted, untrusted};
use crate::logged::HashName;
use crate::root::Authority;
use crate::time::show;

const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");
const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
const SIGNING_CERTIFICATE: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.12");
const SIGNING_CERTIFICATE_V2: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");
const TIME_STAMPING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8");

/// No timestamp is larger: a signature and some certificates.
const MAX_TIMESTAMP: usize = 256 * 1024;
/// No more certificates are looked at, in the timestamp and in the chain of an authority.
pub(super) const MAX_CERTIFICATES: usize = 16;

/// A timestamp that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifiedTimestamp {
    /// When the authority saw the signature, in seconds since 1970.
    pub time: i64,
    /// Which of the authorities, counted from 0.
    pub authority: usize,
}

/// Checks that a timestamp (a DER `TimeStampResp`) is over this signature and by one of these authorities.
///
/// Checked are the status, the imprint, the authority's signature with its signed attributes, the chain up to the
/// root of the authority at the time of the timestamp, that the certificate is for timestamps and nothing else, and
/// that the time is inside the validity of the certificates and of the authority. Revocation is not checked.
///
/// # Errors
/// [`ErrorKind::Verification`](chains_core::ErrorKind::Verification), beginning with `timestamp:` and the check.
pub fn verify_timestamp(
    timestamp: &[u8],
    signature: &[u8],
    authorities: &[Authority],
) -> Result<VerifiedTimestamp> {
    Token::read(timestamp)?.verify(signature, None, authorities)
}

/// Checks timestamps, and gives those that hold: at most one of each authority.
///
/// # Errors
/// Where none holds, why the last did not; [`ErrorKind::Verification`](chains_core::ErrorKind::Verification) where there
/// is none.
pub fn verify_timestamps<'a>(
    timestamps: impl IntoIterator<Item = &'a Bytes>,
    signature: &[u8],
    authorities: &[Authority],
) -> Result<Vec<VerifiedTimestamp>> {
    let mut held: Vec<VerifiedTimestamp> = Vec::new();
    let mut why = failed("timestamp: there is none");
    for timestamp in timestamps {
        match verify_timestamp(timestamp, signature, authorities) {
            Ok(found) if held.iter().any(|other| other.authority == found.authority) => {}
            Ok(found) => held.push(found),
            Err(error) => why = error,
        }
    }
    if held.is_empty() { Err(why) } else { Ok(held) }
}

/// A timestamp as it was read.
#[derive(Debug)]
pub(super) struct Token {
    signed: SignedData,
    content: Vec<u8>,
}

impl Token {
    /// Reads a response that grants the timestamp.
    pub(super) fn read(der: &[u8]) -> Result<Self> {
        if der.len() > MAX_TIMESTAMP {
            return Err(failed(format!("timestamp: it has more than {MAX_TIMESTAMP} bytes")));
        }
        let response = Response::from_der(der).map_err(unreadable)?;
        if response.status > 1 {
            let said = response.said.map(|said| format!(": {}", quoted(&said))).unwrap_or_default();
            let status = response.status;
            return Err(failed(format!("timestamp: it was refused with status {status}{said}")));
        }
        let Some(token) = response.token else {
            return Err(failed("timestamp: the answer holds none"));
        };
        if token.content_type != SIGNED_DATA {
            return Err(failed("timestamp: what it holds is not signed"));
        }
        let signed: SignedData = token.content.decode_as().map_err(unreadable)?;
        let inner = &signed.encap_content_info;
        let content = inner.econtent.as_ref().filter(|any| any.tag() == Tag::OctetString);
        match content {
            Some(content) if inner.econtent_type == TST_INFO => {
                let content = content.value().to_vec();
                Ok(Self { signed, content })
            }
            _ => Err(failed("timestamp: what is signed is no timestamp")),
        }
    }

    /// The checks of [`verify_timestamp`], and of the nonce where one was sent.
    pub(super) fn verify(
        &self,
        signature: &[u8],
        nonce: Option<&[u8]>,
        authorities: &[Authority],
    ) -> Result<VerifiedTimestamp> {
        let info = TstInfo::from_der(&self.content).map_err(unreadable)?;
        check_imprint(&info, signature)?;
        if nonce.is_some_and(|nonce| info.nonce != Some(nonce)) {
            return Err(failed("timestamp: nonce: it is not the one that was sent"));
        }
        let mut why = untrusted("timestamp: no timestamp authority is trusted");
        for (at, authority) in authorities.iter().enumerate() {
            match self.verify_by(authority, info.time) {
                Ok(()) => return Ok(VerifiedTimestamp { time: info.time, authority: at }),
                Err(error) => why = error,
            }
        }
        Err(why)
    }

    fn verify_by(&self, authority: &Authority, time: i64) -> Result<()> {
        let [signer] = self.signed.signer_infos.0.as_slice() else {
            let count = self.signed.signer_infos.0.len();
            return Err(failed(format!("timestamp: signature: it has {count}, not one")));
        };
        let chain = Chain::read(authority)?;
        let embedded = self.certificates()?;
        let certificate = chain
            .leaf
            .iter()
            .chain(&embedded)
            .find(|certificate| is_of(&signer.sid, certificate))
            .ok_or_else(|| {
                let url = &authority.url;
                untrusted(format!(
                    "timestamp: certificate: it is by another authority than {url:?}"
                ))
            })?;
        if chain.leaf.as_ref().is_some_and(|leaf| leaf != certificate) {
            return Err(failed("timestamp: certificate: it is not the authority's own"));
        }
        self.check_signature(signer, certificate)?;
        check_usage(certificate)?;
        chain.check(certificate, &embedded, time)?;
        if !authority.valid.contains(time) {
            return Err(failed(format!(
                "timestamp: time: {} is outside the time of the authority, {}",
                show(time),
                authority.valid
            )));
        }
        Ok(())
    }

    fn certificates(&self) -> Result<Vec<Certificate>> {
        let Some(set) = &self.signed.certificates else {
            return Ok(Vec::new());
        };
        if set.0.len() > MAX_CERTIFICATES {
            let why = format!("timestamp: certificate: it has more than {MAX_CERTIFICATES}");
            return Err(failed(why));
        }
        let certificate = |choice: &CertificateChoices| match choice {
            CertificateChoices::Certificate(certificate) => Some(certificate.clone()),
            CertificateChoices::Other(_) => None,
        };
        Ok(set.0.iter().filter_map(certificate).collect())
    }

    /// Signed attributes and signature ([RFC 5652 §5.4](https://www.rfc-editor.org/rfc/rfc5652#section-5.4)).
    fn check_signature(&self, signer: &SignerInfo, certificate: &Certificate) -> Result<()> {
        let odd = |why: &str| failed(format!("timestamp: signature: {why}"));
        let Some(attributes) = &signer.signed_attrs else {
            return Err(odd("it has no signed attributes"));
        };
        let one = |oid: ObjectIdentifier| -> Option<&Any> {
            let mut found = attributes.iter().filter(|attribute| attribute.oid == oid);
            match (found.next(), found.next()) {
                (Some(attribute), None) if attribute.values.len() == 1 => attribute.values.get(0),
                _ => None,
            }
        };
        let content_type = one(CONTENT_TYPE).and_then(|any| any.decode_as().ok());
        if content_type != Some(TST_INFO) {
            return Err(odd("its attributes are about something else"));
        }
        let hash = hash_of(signer.digest_alg.oid).ok_or_else(|| odd("its hash is not known"))?;
        let digest = one(MESSAGE_DIGEST).filter(|any| any.tag() == Tag::OctetString);
        if digest.map(Any::value) != Some(hash.of(&self.content).as_ref()) {
            return Err(odd("its attributes are about another timestamp"));
        }
        check_signing_certificate(
            one(SIGNING_CERTIFICATE),
            one(SIGNING_CERTIFICATE_V2),
            certificate,
        )?;
        let spki = certificate.tbs_certificate().subject_public_key_info().to_der();
        let key = PublicKey::from_spki_der(&spki.map_err(unreadable)?)
            .map_err(|e| odd("the authority's key cannot be used").with_source(e))?;
        let algorithm = algorithm(key.algorithm(), signer.signature_algorithm.oid, hash)
            .ok_or_else(|| odd("its algorithm is not known"))?;
        let message = attributes.to_der().map_err(unreadable)?;
        UnparsedPublicKey::new(algorithm, key.raw())
            .verify(&message, signer.signature.as_bytes())
            .map_err(|_| odd("it is not the authority's over this timestamp"))
    }
}

fn check_imprint(info: &TstInfo<'_>, signature: &[u8]) -> Result<()> {
    let Some(hash) = hash_of(info.imprint.algorithm.oid) else {
        let oid = info.imprint.algorithm.oid;
        return Err(failed(format!("timestamp: imprint: the hash {oid} is not known")));
    };
    if info.imprint.hash.as_bytes() != hash.of(signature).as_ref() {
        return Err(failed("timestamp: imprint: it is over another signature"));
    }
    Ok(())
}

/// The attribute that ties the signature to one certificate ([RFC 3161 §2.4.2](https://www.rfc-editor.org/rfc/rfc3161#section-2.4.2)).
fn check_signing_certificate(
    v1: Option<&Any>,
    v2: Option<&Any>,
    certificate: &Certificate,
) -> Result<()> {
    let odd = |why: &str| failed(format!("timestamp: signature: {why}"));
    let Some(any) = v2.or(v1) else {
        return Err(odd("it does not name the authority's certificate"));
    };
    let (named, hash) =
        any.to_der().and_then(|der| asn1::signing_certificate(&der)).map_err(unreadable)?;
    let der = certificate.to_der().map_err(unreadable)?;
    let found = if v2.is_some() {
        let name = hash_of(named.unwrap_or(asn1::SHA256));
        name.ok_or_else(|| odd("the hash of its certificate is not known"))?.of(&der)
    } else {
        digest::digest(&SHA1_FOR_LEGACY_USE_ONLY, &der)
    };
    if found.as_ref() != hash {
        return Err(odd("it names another certificate"));
    }
    Ok(())
}

/// The certificate is for timestamps and nothing else, and says so critically ([RFC 3161 §2.3](https://www.rfc-editor.org/rfc/rfc3161#section-2.3)).
fn check_usage(certificate: &Certificate) -> Result<()> {
    let usage = certificate.tbs_certificate().get_extension::<ExtendedKeyUsage>();
    match usage.map_err(unreadable)? {
        Some((true, usage)) if usage.0 == [TIME_STAMPING] => Ok(()),
        Some((false, _)) => Err(failed("timestamp: certificate: its use is not marked critical")),
        _ => Err(failed("timestamp: certificate: it is not for timestamps alone")),
    }
}

fn is_of(signer: &SignerIdentifier, certificate: &Certificate) -> bool {
    let tbs = certificate.tbs_certificate();
    match signer {
        SignerIdentifier::IssuerAndSerialNumber(id) => {
            id.issuer == *tbs.issuer() && id.serial_number == *tbs.serial_number()
        }
        SignerIdentifier::SubjectKeyIdentifier(id) => {
            let own = tbs.get_extension::<SubjectKeyIdentifier>();
            matches!(own, Ok(Some((_, own))) if own == *id)
        }
    }
}

fn hash_of(oid: ObjectIdentifier) -> Option<HashName> {
    match oid {
        asn1::SHA256 => Some(HashName::Sha256),
        asn1::SHA384 => Some(HashName::Sha384),
        asn1::SHA512 => Some(HashName::Sha512),
        _ => None,
    }
}

/// How the signature is verified: some name the hash with the key's algorithm, some leave it to the field before.
fn algorithm(
    key: KeyAlgorithm,
    oid: ObjectIdentifier,
    digest: HashName,
) -> Option<&'static dyn VerificationAlgorithm> {
    use HashName::{Sha256, Sha384, Sha512};
    use KeyAlgorithm as K;
    let text = oid.to_string();
    let hash = match text.as_str() {
        // id-ecPublicKey, rsaEncryption.
        "1.2.840.10045.2.1" | "1.2.840.113549.1.1.1" => digest,
        "1.2.840.10045.4.3.2" | "1.2.840.113549.1.1.11" => Sha256,
        "1.2.840.10045.4.3.3" | "1.2.840.113549.1.1.12" => Sha384,
        "1.2.840.10045.4.3.4" | "1.2.840.113549.1.1.13" => Sha512,
        "1.3.101.112" if key == K::Ed25519 => return Some(&algorithms::ED25519),
        _ => return None,
    };
    let is_rsa = text.starts_with("1.2.840.113549.");
    if is_rsa != (key == K::Rsa) {
        return None;
    }
    Some(match (key, hash) {
        (K::EcdsaP256, Sha256) => &algorithms::ECDSA_P256_SHA256_ASN1,
        (K::EcdsaP256, Sha384) => &algorithms::ECDSA_P256_SHA384_ASN1,
        (K::EcdsaP256, Sha512) => &algorithms::ECDSA_P256_SHA512_ASN1,
        (K::EcdsaP384, Sha256) => &algorithms::ECDSA_P384_SHA256_ASN1,
        (K::EcdsaP384, Sha384) => &algorithms::ECDSA_P384_SHA384_ASN1,
        (K::EcdsaP384, Sha512) => &algorithms::ECDSA_P384_SHA512_ASN1,
        (K::EcdsaP521, Sha256) => &algorithms::ECDSA_P521_SHA256_ASN1,
        (K::EcdsaP521, Sha384) => &algorithms::ECDSA_P521_SHA384_ASN1,
        (K::EcdsaP521, Sha512) => &algorithms::ECDSA_P521_SHA512_ASN1,
        (K::Rsa, Sha256) => &algorithms::RSA_PKCS1_2048_8192_SHA256,
        (K::Rsa, Sha384) => &algorithms::RSA_PKCS1_2048_8192_SHA384,
        (K::Rsa, Sha512) => &algorithms::RSA_PKCS1_2048_8192_SHA512,
        _ => return None,
    })
}

pub(super) fn unreadable(error: der::Error) -> Error {
    failed("timestamp: it cannot be read").with_source(error.to_string())
}
