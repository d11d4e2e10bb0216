//! In-toto statements: [v0.1][old] and [v1][new].
//!
//! [old]: https://github.com/in-toto/attestation/tree/main/spec/v0.1.0
//! [new]: https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md

use std::collections::BTreeMap;

use chains_core::{Digest, Error, ErrorKind, Result, Subject};
use serde::Deserialize;

use crate::{failed, quoted};

const TYPES: [&str; 2] = ["https://in-toto.io/Statement/v0.1", "https://in-toto.io/Statement/v1"];

/// What an in-toto statement says besides its predicate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The version of the statement, as a URI.
    pub statement_type: String,
    /// What kind of predicate it holds.
    pub predicate_type: String,
    /// What it speaks of.
    pub subjects: Vec<Subject>,
}

#[derive(Deserialize)]
struct Raw {
    #[serde(rename = "_type")]
    statement_type: String,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    #[serde(default)]
    subject: Option<Vec<RawSubject>>,
}

#[derive(Deserialize)]
struct RawSubject {
    #[serde(default)]
    name: String,
    #[serde(default)]
    digest: Option<BTreeMap<String, String>>,
}

impl Statement {
    /// Reads a statement from an envelope's payload. Verify the envelope first.
    ///
    /// ```
    /// let json = br#"{"_type":"https://in-toto.io/Statement/v1","predicateType":"p","subject":[]}"#;
    /// assert_eq!(chains_verify::Statement::from_json(json)?.predicate_type, "p");
    /// # Ok::<(), chains_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] where it is not JSON or lacks a field, [`ErrorKind::Verification`]
    /// where it is a document of another type.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        let raw: Raw = serde_json::from_slice(json).map_err(|e| {
            Error::new(ErrorKind::InvalidInput, "reading an in-toto statement").with_source(e)
        })?;
        if !TYPES.contains(&raw.statement_type.as_str()) {
            let found = quoted(&raw.statement_type);
            return Err(failed(format!("statement type: {found} is not an in-toto statement")));
        }
        let subject =
            |raw: RawSubject| Subject { name: raw.name, digest: raw.digest.unwrap_or_default() };
        Ok(Self {
            statement_type: raw.statement_type,
            predicate_type: raw.predicate_type,
            subjects: raw.subject.unwrap_or_default().into_iter().map(subject).collect(),
        })
    }

    /// Checks the predicate type.
    ///
    /// # Errors
    /// [`ErrorKind::Verification`] telling both.
    pub fn check_predicate_type(&self, expected: &str) -> Result<()> {
        if self.predicate_type == expected {
            return Ok(());
        }
        let found = quoted(&self.predicate_type);
        Err(failed(format!("predicate type: the statement has {found}, expected is {expected:?}")))
    }
}

/// Finds the subject that has the digest.
///
/// # Errors
/// [`ErrorKind::Verification`] where no subject has it, telling what the statement speaks of instead.
pub fn check_subject<'a>(statement: &'a Statement, digest: &Digest) -> Result<&'a Subject> {
    let algorithm = digest.algorithm().as_str();
    let matches =
        |subject: &&Subject| subject.digest.get(algorithm).is_some_and(|hex| hex == digest.hex());
    statement.subjects.iter().find(matches).ok_or_else(|| {
        let others: Vec<_> = statement
            .subjects
            .iter()
            .flat_map(Subject::artifact_uris)
            .take(3)
            .map(|uri| quoted(&uri))
            .collect();
        let spoken_of = match others.as_slice() {
            [] => "nothing".to_owned(),
            some => some.join(", "),
        };
        failed(format!("subject: the statement does not speak of {digest} but of {spoken_of}"))
    })
}
