//! The checks that everything signed goes through.

use chains_backends::{Evidence, IdentityPolicy, Keyless};
use chains_core::bundle::KeyMaterial;
use chains_core::{Digest, Error, ErrorKind, PublicKey, Result, Signed, media_type};
use chains_verify::{
    SimpleSigning, Statement, Verified, check_subject, verify_detached, verify_envelope,
};
use serde::Serialize;

/// Predicate types of SLSA provenance: what counts where `--type` does not say otherwise.
const SLSA: [&str; 2] = ["https://slsa.dev/provenance/v0.2", "https://slsa.dev/provenance/v1"];

/// The predicate type of a signature of an image that is a statement.
pub(crate) const IMAGE_SIGNATURE: &str = "https://sigstore.dev/cosign/sign/v1";

/// What is trusted, and for what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trust<'a> {
    pub(crate) keys: &'a [PublicKey],
    /// Who must have signed what is signed keyless.
    pub(crate) identity: Option<&'a IdentityPolicy>,
    /// Whom to trust among Sigstore's services, where that matters.
    pub(crate) roots: Option<&'a Keyless>,
    /// Whether what a key signed must be in a trusted log: where somebody names the roots of trust.
    pub(crate) logged: bool,
    /// Predicate types of `--type`; none where it was not given.
    pub(crate) types: &'a [String],
}

impl Trust<'_> {
    /// Whether an attestation of this type counts.
    pub(crate) fn accepts(&self, predicate_type: &str) -> bool {
        match self.types {
            [] => SLSA.contains(&predicate_type),
            given => given.iter().any(|one| one == predicate_type),
        }
    }

    /// The types that count, in words.
    pub(crate) fn accepted(&self) -> String {
        match self.types {
            [] => SLSA.join(" or "),
            given => given.join(" or "),
        }
    }
}

/// What was found out about one argument.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) items: Vec<Item>,
    /// What was not there, or not looked at, and is no failure.
    pub(crate) notes: Vec<String>,
}

/// How much an item weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    /// It must hold.
    Required,
    /// One of its kind is enough: anybody who may push adds signatures.
    OneOfKind,
    /// It is told and proves nothing that was asked for.
    Aside,
}

/// What was found out about one signed thing.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Item {
    /// What it is, for people.
    pub(crate) kind: &'static str,
    pub(crate) location: String,
    pub(crate) verified: bool,
    #[serde(skip)]
    pub(crate) weight: Weight,
    pub(crate) checks: Vec<Check>,
}

impl Item {
    /// Something that must hold and does not.
    pub(crate) fn refused(kind: &'static str, location: String, error: &Error) -> Self {
        let mut checks = Checks::default();
        checks.failed(error);
        checks.into_item(kind, location, Weight::Required)
    }
}

/// One check, in words.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Check {
    pub(crate) passed: bool,
    pub(crate) detail: String,
}

/// Gathers checks until one fails.
#[derive(Debug, Default)]
pub(crate) struct Checks(Vec<Check>);

impl Checks {
    /// Notes the outcome; an error ends what depends on it.
    pub(crate) fn note<T>(
        &mut self,
        result: Result<T>,
        passed: impl FnOnce(&T) -> String,
    ) -> Option<T> {
        match result {
            Ok(value) => {
                self.0.push(Check { passed: true, detail: passed(&value) });
                Some(value)
            }
            Err(error) => {
                self.failed(&error);
                None
            }
        }
    }

    pub(crate) fn failed(&mut self, error: &Error) {
        self.0.push(Check { passed: false, detail: error.report() });
    }

    pub(crate) fn into_item(self, kind: &'static str, location: String, weight: Weight) -> Item {
        let verified = !self.0.is_empty() && self.0.iter().all(|check| check.passed);
        Item { kind, location, verified, weight, checks: self.0 }
    }
}

/// A check that did not hold.
pub(crate) fn refusal(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Verification, why)
}

/// The signature itself: by one of the keys, or keyless by who must have signed.
fn signed_by(
    checks: &mut Checks,
    signed: &Signed,
    payload: &[u8],
    trust: Trust<'_>,
    evidence: Evidence<'_>,
) -> Option<()> {
    let by_key = || match signed {
        _ if has_certificate(evidence) => Err(refusal(
            "bundle: it was signed with a certificate and is not verified with a key: give \
             --certificate-identity and --certificate-oidc-issuer",
        )),
        Signed::Dsse(envelope) => verify_envelope(envelope, media_type::IN_TOTO, trust.keys),
        Signed::Detached(signature) => verify_detached(payload, signature, trust.keys),
    };
    let (Some(policy), Some(roots)) = (trust.identity, trust.roots) else {
        let verified = checks.note(by_key(), told)?;
        return entries(checks, signed, payload, trust, &verified, evidence);
    };
    if !trust.keys.is_empty()
        && let Ok(verified) = by_key()
    {
        checks.note(Ok(&verified), |verified| told(verified))?;
        return entries(checks, signed, payload, trust, &verified, evidence);
    }
    let keyless = match signed {
        Signed::Dsse(envelope) if envelope.payload_type != media_type::IN_TOTO => {
            let found = &envelope.payload_type;
            Err(refusal(format!("payload type: {found:?} is not {:?}", media_type::IN_TOTO)))
        }
        _ => roots.verify(policy, signed, payload, evidence),
    };
    checks.note(keyless, ToString::to_string).map(drop)
}

/// Entries of such a bundle are about the certificate, not about a key that somebody trusts.
fn has_certificate(evidence: Evidence<'_>) -> bool {
    evidence.bundle.is_some_and(|bundle| {
        matches!(bundle.verification_material.key, KeyMaterial::Certificate(_))
    })
}

fn told(verified: &Verified) -> String {
    format!("signature by {} ({})", verified.key_id, verified.algorithm.as_str())
}

/// Where somebody says whom to trust, a signature by a key has to be in one of those logs, and all that its bundle has
/// of them has to hold.
fn entries(
    checks: &mut Checks,
    signed: &Signed,
    payload: &[u8],
    trust: Trust<'_>,
    verified: &Verified,
    evidence: Evidence<'_>,
) -> Option<()> {
    let Some(roots) = trust.roots else { return Some(()) };
    let key = trust.keys.iter().find(|key| key.id() == verified.key_id)?;
    let found = roots.verify_entries(key, signed, payload, evidence, trust.logged);
    checks.note(found, |count| match count {
        0 => "no log entry was verified: nothing shows that it is in a trusted log".to_owned(),
        count => format!("{count} entries of trusted logs hold"),
    })?;
    Some(())
}

/// A statement in an envelope: signature, payload type, form, and subject where one is expected.
pub(crate) fn statement(
    checks: &mut Checks,
    signed: &Signed,
    trust: Trust<'_>,
    evidence: Evidence<'_>,
    subject: Option<&Digest>,
) -> Option<Statement> {
    let Signed::Dsse(envelope) = signed else {
        checks.failed(&refusal("content: expected is a DSSE envelope, found a bare signature"));
        return None;
    };
    signed_by(checks, signed, &envelope.payload, trust, evidence)?;
    let statement = checks.note(Statement::from_json(&envelope.payload), |statement| {
        format!("in-toto statement, predicate {}", statement.predicate_type)
    })?;
    if let Some(digest) = subject {
        checks.note(check_subject(&statement, digest), |subject| {
            format!("speaks of {}@{digest}", subject.name)
        })?;
    }
    Some(statement)
}

/// A statement that must be of a type that counts.
pub(crate) fn provenance(
    checks: &mut Checks,
    signed: &Signed,
    trust: Trust<'_>,
    evidence: Evidence<'_>,
) -> Option<Statement> {
    let statement = statement(checks, signed, trust, evidence, None)?;
    if trust.accepts(&statement.predicate_type) {
        return Some(statement);
    }
    let (found, accepted) = (&statement.predicate_type, trust.accepted());
    checks.failed(&refusal(format!("predicate type: {found:?} is not {accepted}")));
    None
}

/// A detached signature over bytes.
pub(crate) fn signature(
    checks: &mut Checks,
    payload: &[u8],
    signed: &Signed,
    trust: Trust<'_>,
    evidence: Evidence<'_>,
) -> Option<()> {
    if matches!(signed, Signed::Dsse(_)) {
        checks.failed(&refusal("content: expected is a bare signature, found a DSSE envelope"));
        return None;
    }
    signed_by(checks, signed, payload, trust, evidence)
}

/// An image signature: signature and form. For which image it is, is left to check.
pub(crate) fn image_signature(
    checks: &mut Checks,
    payload: &[u8],
    signed: &Signed,
    trust: Trust<'_>,
    evidence: Evidence<'_>,
) -> Option<SimpleSigning> {
    signature(checks, payload, signed, trust, evidence)?;
    checks.note(SimpleSigning::from_json(payload), |document| {
        format!("simple signing document for {}", document.docker_reference)
    })
}
