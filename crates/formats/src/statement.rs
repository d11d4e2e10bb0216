//! [in-toto statements](https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md), and what their
//! predicates have in common.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chains_core::{Payload, Result, Subject, Wrapping, media_type};
use chains_tekton::{Json, Run};
use serde::{Serialize, Serializer};

use crate::payload::to_bytes;
use crate::subjects::Subjects;

/// A statement about the subjects.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Statement<'a, P> {
    #[serde(rename = "_type")]
    pub(crate) statement_type: &'static str,
    pub(crate) predicate_type: &'static str,
    #[serde(skip_serializing_if = "Subjects::is_empty")]
    pub(crate) subject: Subjects<'a>,
    pub(crate) predicate: P,
}

/// Writes the statement, once.
pub(crate) fn payload<P: Serialize>(
    format: &'static str,
    statement_type: &'static str,
    predicate_type: &'static str,
    subjects: Vec<Subject>,
    predicate: P,
) -> Result<Payload> {
    let subject = Subjects(&subjects);
    let statement = Statement { statement_type, predicate_type, subject, predicate };
    let bytes = to_bytes(&statement, format)?;
    Ok(Payload {
        bytes,
        media_type: media_type::IN_TOTO,
        wrapping: Wrapping::Dsse,
        format,
        predicate_type: Some(predicate_type),
        subjects,
    })
}

/// Who built it.
#[derive(Serialize)]
pub(crate) struct Builder<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(crate) id: &'a str,
}

/// Base64 of a value's JSON: the `content` of a resource descriptor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Encoded<'a>(pub(crate) &'a Json);

impl Serialize for Encoded<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let json = serde_json::to_vec(self.0).map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(&STANDARD.encode(json))
    }
}

/// Whether the run's labels call it reproducible.
pub(crate) fn is_reproducible(run: &Run) -> bool {
    run.labels().get("chains.tekton.dev/reproducible").text() == "true"
}
