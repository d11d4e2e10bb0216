//! The checks that everything signed goes through.

use chains_core::{Digest, Error, ErrorKind, PublicKey, Result, Signed, media_type};
use chains_verify::{SimpleSigning, Statement, check_subject, verify_detached, verify_envelope};
use serde::Serialize;

/// Predicate types of SLSA provenance: what counts where `--type` does not say otherwise.
const SLSA: [&str; 2] = ["https://slsa.dev/provenance/v0.2", "https://slsa.dev/provenance/v1"];

/// What is trusted, and for what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trust<'a> {
    pub(crate) keys: &'a [PublicKey],
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

/// A statement in an envelope: signature, payload type, form, and subject where one is expected.
pub(crate) fn statement(
    checks: &mut Checks,
    signed: &Signed,
    trust: Trust<'_>,
    subject: Option<&Digest>,
) -> Option<Statement> {
    let Signed::Dsse(envelope) = signed else {
        checks.failed(&refusal("content: expected is a DSSE envelope, found a bare signature"));
        return None;
    };
    checks.note(verify_envelope(envelope, media_type::IN_TOTO, trust.keys), |verified| {
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

/// A statement that must be of a type that counts.
pub(crate) fn provenance(
    checks: &mut Checks,
    signed: &Signed,
    trust: Trust<'_>,
) -> Option<Statement> {
    let statement = statement(checks, signed, trust, None)?;
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
) -> Option<()> {
    let Signed::Detached(signature) = signed else {
        checks.failed(&refusal("content: expected is a bare signature, found a DSSE envelope"));
        return None;
    };
    checks.note(verify_detached(payload, signature, trust.keys), |verified| {
        format!("signature by {} ({})", verified.key_id, verified.algorithm.as_str())
    })?;
    Some(())
}

/// An image signature: signature and form. For which image it is, is left to check.
pub(crate) fn image_signature(
    checks: &mut Checks,
    payload: &[u8],
    signed: &Signed,
    trust: Trust<'_>,
) -> Option<SimpleSigning> {
    signature(checks, payload, signed, trust)?;
    checks.note(SimpleSigning::from_json(payload), |document| {
        format!("simple signing document for {}", document.docker_reference)
    })
}
