//! Keyless signatures, verified: certificate, log entry, timestamps, and whose it is.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use chains_config::Config;
use chains_core::bundle::{Bundle, Content, KeyMaterial};
use chains_core::{Error, ErrorKind, PublicKey, Result, Signed, VerificationMaterial, dsse};
use chains_signer_fulcio as fulcio;
use chains_transparency::{
    BundlePolicy, Evidence as Wanted, Logged, LoggedContent, TrustSource, TrustedRoot, Validity,
    Verifier, verify_bundle_evidence, verify_entry, verify_timestamp,
};
use regex::Regex;

use super::annotation;
use super::trust::{self, Roots};
use crate::Environment;

pub use chains_signer_fulcio::Identity;

/// Roots of trust as the signer asks for them.
#[derive(Debug)]
pub(crate) struct Adapted(pub(crate) Arc<Roots>);

#[async_trait]
impl fulcio::TrustSource for Adapted {
    async fn trust(&self) -> Result<Arc<fulcio::Trust>> {
        Ok(Arc::new(certificates(&self.0.trust().await?.root)))
    }
}

/// What is trusted to issue certificates and to show them.
fn certificates(root: &TrustedRoot) -> fulcio::Trust {
    let authority = |one: &chains_transparency::Authority| fulcio::Authority {
        certificates: one.certificates.clone(),
        valid: window(one.valid),
    };
    let log = |one: &chains_transparency::TrustedLog| fulcio::CtLog {
        key: one.key.clone(),
        valid: window(one.valid),
    };
    fulcio::Trust {
        authorities: root.certificate_authorities.iter().map(authority).collect(),
        ct_logs: root.certificate_logs.iter().map(log).collect(),
    }
}

fn window(valid: Validity) -> fulcio::Window {
    fulcio::Window { start: valid.start.map(moment), end: valid.end.map(moment) }
}

/// Moments before 1970 are as good as 1970.
fn moment(seconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
}

/// Whose certificate it is.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] where there is none, or it cannot be read.
pub fn identity_of(material: &VerificationMaterial) -> Result<Identity> {
    let der = material.certificate_der().ok_or_else(|| {
        Error::new(ErrorKind::InvalidInput, "there is no certificate to tell whose it is")
    })?;
    Identity::of_certificate(&der)
}

/// What a name has to be.
#[derive(Debug, Clone)]
pub enum Pattern {
    /// This.
    Is(String),
    /// Something that this is found in, as with cosign: `^…$` for the whole.
    Matches(Regex),
}

impl Pattern {
    /// A regular expression.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] where it is none.
    pub fn regexp(text: &str) -> Result<Self> {
        Regex::new(text).map(Self::Matches).map_err(|e| {
            Error::new(ErrorKind::InvalidInput, format!("reading the regular expression {text:?}"))
                .with_source(e)
        })
    }

    fn holds(&self, text: &str) -> bool {
        match self {
            Self::Is(expected) => expected == text,
            Self::Matches(regex) => regex.is_match(text),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(text) => write!(f, "{text:?}"),
            Self::Matches(regex) => write!(f, "/{regex}/"),
        }
    }
}

/// Who must have signed.
#[derive(Debug, Clone)]
pub struct IdentityPolicy {
    /// One of the subjects of the certificate.
    pub subject: Pattern,
    /// The issuer of the identity token.
    pub issuer: Pattern,
}

impl IdentityPolicy {
    fn check(&self, identity: &Identity) -> Result<()> {
        let issuer = identity.issuer.as_deref().unwrap_or_default();
        let subject = identity.subjects.iter().any(|subject| self.subject.holds(subject));
        if subject && self.issuer.holds(issuer) {
            return Ok(());
        }
        let subjects = identity.subjects.join(", ");
        Err(refused(format!(
            "certificate identity: it is of {subjects:?} by the issuer {issuer:?}, expected is {} by {}",
            self.subject, self.issuer
        )))
    }
}

/// What comes with a signature. Of the log entry and the timestamps one form is enough.
#[derive(Debug, Clone, Copy, Default)]
pub struct Evidence<'a> {
    /// PEM of the certificate.
    pub certificate: Option<&'a str>,
    /// PEM of those above it.
    pub chain: Option<&'a str>,
    /// A Sigstore bundle of this very signature.
    pub bundle: Option<&'a Bundle>,
    /// The log entry in the annotation of cosign's layers.
    pub entry: Option<&'a str>,
    /// The timestamp in the annotation of cosign's layers.
    pub timestamp: Option<&'a str>,
}

/// A keyless signature that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedKeyless {
    /// Whose it is.
    pub identity: Identity,
    /// When logs and timestamp authorities saw it, in seconds since 1970.
    pub times: Vec<i64>,
    /// How many entries of trusted logs there are.
    pub entries: usize,
}

impl fmt::Display for VerifiedKeyless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subjects = self.identity.subjects.join(", ");
        let issuer = self.identity.issuer.as_deref().unwrap_or("nobody");
        let times: Vec<String> =
            self.times.iter().copied().map(chains_transparency::show).collect();
        write!(
            f,
            "signature with a certificate of {subjects} (issuer {issuer}), log entries: {}, seen at {}",
            self.entries,
            times.join(", ")
        )
    }
}

/// Verifies by roots of trust.
#[derive(Debug, Clone)]
pub struct Keyless {
    root: TrustedRoot,
    certificates: fulcio::Trust,
}

impl Keyless {
    /// Finds out whom to trust: from `sigstore.trusted-root`, or else from the TUF repository.
    ///
    /// # Errors
    /// Where that cannot be read or fetched.
    pub async fn load(config: &Config, environment: &Environment) -> Result<Self> {
        let roots = trust::roots(trust::of(config, environment), environment)?;
        let root = roots.trust().await?.root.clone();
        Ok(Self { certificates: certificates(&root), root })
    }

    /// Checks a signature over `payload`: that its certificate verifies it, that a trusted log has it, that the
    /// certificate was valid and trusted when logs and timestamp authorities saw it, and whose it is.
    ///
    /// # Errors
    /// [`ErrorKind::Verification`] beginning with the check that does not hold.
    pub fn verify(
        &self,
        policy: &IdentityPolicy,
        signed: &Signed,
        payload: &[u8],
        evidence: Evidence<'_>,
    ) -> Result<VerifiedKeyless> {
        let certificate = certificate_of(evidence)?;
        let verifier = Verifier::from_certificate_der(&certificate)?;
        let logged = logged(signed, payload, verifier)?;
        check_signature(&logged)?;
        let (times, entries) = match evidence.bundle {
            Some(bundle) => self.bundle(bundle, &logged, signed, payload)?,
            None => self.annotations(&logged, evidence)?,
        };
        let mut identity = None;
        for time in &times {
            let verified = fulcio::verify_certificate(
                &certificate,
                evidence.chain,
                &self.certificates,
                moment(*time),
            )?;
            if verified.key != *logged.verifier.key() {
                return Err(refused("certificate: its key is not the one that made the signature"));
            }
            identity = Some(verified.identity);
        }
        let identity = identity.ok_or_else(|| {
            refused("time: no trusted log or timestamp authority tells when it was signed")
        })?;
        policy.check(&identity)?;
        Ok(VerifiedKeyless { identity, times, entries })
    }

    /// Checks the entries and timestamps of a signature that was verified with a key, and tells how many entries of
    /// trusted logs there are.
    ///
    /// All of a bundle that are of trusted logs have to hold; where it `must` be logged, there has to be one, in the
    /// bundle or in the annotation of cosign's layer.
    ///
    /// # Errors
    /// [`ErrorKind::Verification`] beginning with the check that does not hold.
    pub fn verify_entries(
        &self,
        key: &PublicKey,
        signed: &Signed,
        payload: &[u8],
        evidence: Evidence<'_>,
        must: bool,
    ) -> Result<usize> {
        let Some(bundle) = evidence.bundle else {
            if !must {
                return Ok(0);
            }
            let logged = logged(signed, payload, Verifier::Key(key.clone()))?;
            return self.annotations(&logged, evidence).map(|(_, entries)| entries);
        };
        if let KeyMaterial::Certificate(_) = bundle.verification_material.key {
            return Err(refused("bundle: it was signed with a certificate, not with a bare key"));
        }
        check_same(bundle, signed)?;
        let wanted = BundlePolicy { entries: usize::from(must), times: 0 };
        let message = matches!(signed, Signed::Detached(_)).then_some(payload);
        let found = verify_bundle_evidence(bundle, message, Some(key), &self.root, wanted)?;
        Ok(found.entries.len())
    }

    fn bundle(
        &self,
        bundle: &Bundle,
        logged: &Logged<'_>,
        signed: &Signed,
        payload: &[u8],
    ) -> Result<(Vec<i64>, usize)> {
        check_same(bundle, signed)?;
        let same_certificate = matches!(
            &bundle.verification_material.key,
            KeyMaterial::Certificate(one) if one.raw_bytes == logged.verifier.der()
        );
        if !same_certificate {
            return Err(refused("bundle: it is of another signature than the one beside it"));
        }
        let message = matches!(signed, Signed::Detached(_)).then_some(payload);
        let wanted = BundlePolicy::CERTIFICATE;
        let evidence = verify_bundle_evidence(bundle, message, None, &self.root, wanted)?;
        Ok((evidence.times(), evidence.entries.len()))
    }

    fn annotations(
        &self,
        logged: &Logged<'_>,
        evidence: Evidence<'_>,
    ) -> Result<(Vec<i64>, usize)> {
        let entry = evidence
            .entry
            .ok_or_else(|| refused("log entry: the signature came with none"))
            .and_then(annotation::entry)?;
        let verified = verify_entry(&entry, logged, &self.root.logs, Wanted::PromiseOrProof)?;
        let mut times: Vec<i64> = verified.integrated_time.into_iter().collect();
        if let Some(json) = evidence.timestamp {
            let timestamp = annotation::timestamp(json)?;
            let authorities = &self.root.timestamp_authorities;
            times.push(verify_timestamp(&timestamp, logged.signature, authorities)?.time);
        }
        Ok((times, 1))
    }
}

/// A bundle must be of the very signature that it stands beside.
fn check_same(bundle: &Bundle, signed: &Signed) -> Result<()> {
    let same = match (&bundle.content, signed) {
        (Content::DsseEnvelope(one), Signed::Dsse(other)) => {
            one.payload_type == other.payload_type
                && one.payload == other.payload
                && one.signatures.first().map(|one| &one.sig)
                    == other.signatures.first().map(|other| &other.sig)
        }
        (Content::MessageSignature(one), Signed::Detached(other)) => one.signature == *other,
        _ => false,
    };
    same.then_some(())
        .ok_or_else(|| refused("bundle: it is of another signature than the one beside it"))
}

fn logged<'a>(signed: &'a Signed, payload: &'a [u8], verifier: Verifier) -> Result<Logged<'a>> {
    let (content, signature) = match signed {
        Signed::Dsse(envelope) => {
            let [signature] = envelope.signatures.as_slice() else {
                return Err(refused(
                    "signature: an envelope that is signed keyless has exactly one",
                ));
            };
            let (payload_type, payload) = (&envelope.payload_type, &envelope.payload);
            (LoggedContent::Envelope { payload_type, payload }, &signature.sig)
        }
        Signed::Detached(signature) => (LoggedContent::Message(payload), signature),
    };
    Ok(Logged { content, signature, verifier })
}

fn check_signature(logged: &Logged<'_>) -> Result<()> {
    let envelope;
    let message = match logged.content {
        LoggedContent::Envelope { payload_type, payload } => {
            envelope = dsse::pae(payload_type, payload);
            &envelope
        }
        LoggedContent::Message(message) => message,
        _ => return Err(refused("content: it is of no known kind")),
    };
    chains_verify::verify_any(logged.verifier.key(), message, logged.signature)
        .map(drop)
        .map_err(|e| refused("signature: it is not by the key of its certificate").with_source(e))
}

/// DER of the certificate: read once, from the text beside the signature or else from the bundle. Whatever is checked
/// is checked of these very bytes.
fn certificate_of(evidence: Evidence<'_>) -> Result<Vec<u8>> {
    if let Some(pem) = evidence.certificate {
        return fulcio::certificate_der(pem);
    }
    match evidence.bundle.map(|bundle| &bundle.verification_material.key) {
        Some(KeyMaterial::Certificate(certificate)) => Ok(certificate.raw_bytes.to_vec()),
        _ => Err(refused("certificate: the signature came with none")),
    }
}

fn refused(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Verification, why)
}
