//! The checks that everything signed goes through.

use chains_core::{Digest, Error, PublicKey, Result, Signed, media_type};
use chains_verify::{SimpleSigning, Statement, check_subject, verify_detached, verify_envelope};
use serde::Serialize;

/// What was found out about one signed thing.
#[derive(Debug, Serialize)]
pub(crate) struct Item {
    /// What it is, for people.
    pub(crate) kind: &'static str,
    pub(crate) location: String,
    pub(crate) verified: bool,
    /// Whether it must hold, or one of its kind is enough: anybody who may push adds signatures.
    #[serde(skip)]
    pub(crate) required: bool,
    pub(crate) checks: Vec<Check>,
}

/// One check, in words.
#[derive(Debug, Serialize)]
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

    pub(crate) fn into_item(self, kind: &'static str, location: String, required: bool) -> Item {
        let verified = !self.0.is_empty() && self.0.iter().all(|check| check.passed);
        Item { kind, location, verified, required, checks: self.0 }
    }
}

/// A statement in an envelope: signature, payload type, form, and subject where one is expected.
pub(crate) fn statement(
    checks: &mut Checks,
    signed: &Signed,
    keys: &[PublicKey],
    subject: Option<&Digest>,
) -> Option<Statement> {
    let Signed::Dsse(envelope) = signed else {
        let message = "content: expected is a DSSE envelope, found a bare signature";
        checks.failed(&Error::new(chains_core::ErrorKind::Verification, message));
        return None;
    };
    checks.note(verify_envelope(envelope, media_type::IN_TOTO, keys), |verified| {
        format!("signature by {} ({})", verified.key_id, verified.algorithm.as_str())
    })?;
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

/// A detached signature over bytes.
pub(crate) fn signature(
    checks: &mut Checks,
    payload: &[u8],
    signed: &Signed,
    keys: &[PublicKey],
) -> Option<()> {
    let Signed::Detached(signature) = signed else {
        let message = "content: expected is a bare signature, found a DSSE envelope";
        checks.failed(&Error::new(chains_core::ErrorKind::Verification, message));
        return None;
    };
    checks.note(verify_detached(payload, signature, keys), |verified| {
        format!("signature by {} ({})", verified.key_id, verified.algorithm.as_str())
    })?;
    Some(())
}

/// An image signature: signature, form, and that it is for the image with this digest.
pub(crate) fn image_signature(
    checks: &mut Checks,
    payload: &[u8],
    signed: &Signed,
    keys: &[PublicKey],
    image: Option<&Digest>,
) -> Option<SimpleSigning> {
    signature(checks, payload, signed, keys)?;
    let document = checks.note(SimpleSigning::from_json(payload), |document| {
        format!("simple signing document for {}", document.docker_reference)
    })?;
    if let Some(digest) = image {
        checks.note(document.check(digest), |()| format!("signs {digest}"))?;
    }
    Some(document)
}
