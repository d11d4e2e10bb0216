//! What is written of a record: one note, and an occurrence for each artifact.

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use chains_core::dsse::Envelope;
use chains_core::{Error, ErrorKind, Record, Result, RunRef, Signed, Subject, Target};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{GrafeasOptions, statement};

/// What of the configuration names things.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) project: String,
    note_id: Option<String>,
    note_hint: String,
    key_id: Option<String>,
}

/// The two kinds of note that Chains makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Attestation,
    Build,
}

/// A note, by its id.
#[derive(Debug, Clone)]
pub(crate) struct Note {
    pub(crate) id: String,
    pub(crate) kind: Kind,
    pub(crate) body: Value,
}

/// Everything that is written of a record.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) note: Note,
    pub(crate) occurrences: Vec<Occurrence>,
}

/// An occurrence as it is to be.
#[derive(Debug, Clone)]
pub(crate) struct Occurrence {
    pub(crate) resource: String,
    pub(crate) note: String,
    pub(crate) kind: Kind,
    details: Arc<Value>,
    envelope: Arc<Value>,
    /// What tells it from others of the same artifact and note.
    payload: Bytes,
    sig: Bytes,
}

/// An occurrence as it is, as far as it matters.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Found {
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) resource_uri: String,
    #[serde(default)]
    pub(crate) note_name: String,
    #[serde(default)]
    envelope: Option<FoundEnvelope>,
}

#[derive(Debug, Deserialize)]
struct FoundEnvelope {
    #[serde(default)]
    payload: String,
    #[serde(default)]
    signatures: Vec<FoundSignature>,
}

#[derive(Debug, Deserialize)]
struct FoundSignature {
    #[serde(default)]
    sig: String,
}

impl Kind {
    /// The name in filters.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Attestation => "ATTESTATION",
            Self::Build => "BUILD",
        }
    }

    /// The member of an occurrence that holds its details.
    const fn member(self) -> &'static str {
        match self {
            Self::Attestation => "attestation",
            Self::Build => "build",
        }
    }
}

impl Names {
    /// # Errors
    /// [`ErrorKind::Configuration`] where a part could not stand in a name.
    pub(crate) fn new(options: &GrafeasOptions) -> Result<Self> {
        let check = |name: &str, text: &str| match is_part(text) {
            true => Ok(()),
            false => {
                let why = "it must be one word without slashes";
                Err(Error::new(ErrorKind::Configuration, format!("`{name}`: {text:?}"))
                    .with_source(why))
            }
        };
        check("storage.grafeas.projectid", &options.project)?;
        let note_id = options.note_id.clone().filter(|id| !id.is_empty());
        if let Some(id) = &note_id {
            check("storage.grafeas.noteid", id)?;
        }
        Ok(Self {
            project: options.project.clone(),
            note_id,
            note_hint: options.note_hint.clone(),
            key_id: options.key_id.clone(),
        })
    }

    /// The note for a target of a run: of the run's namespace, unless one for all is configured.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] where the namespace is none.
    pub(crate) fn note(&self, run: &RunRef, target: &Target) -> Result<Note> {
        let prefix = match &self.note_id {
            Some(id) => id.clone(),
            None if is_part(&run.namespace) => format!("tekton-{}", run.namespace),
            None => {
                let what = format!("naming the note of {run}");
                let why = "its namespace is none: set `storage.grafeas.noteid`, or give the run a namespace";
                return Err(Error::new(ErrorKind::InvalidInput, what).with_source(why));
            }
        };
        Ok(match target {
            Target::Image(_) => Note {
                id: format!("{prefix}-simplesigning"),
                kind: Kind::Attestation,
                body: json!({
                    "shortDescription": "OCI Artifact Attestation Note",
                    "attestation": { "hint": { "humanReadableName": self.note_hint } },
                }),
            },
            Target::Run => Note {
                id: format!("{prefix}-{}-intoto", run.kind.as_lower()),
                kind: Kind::Build,
                body: json!({
                    "shortDescription": format!("Build Provenance Note for {}", run.kind),
                    "build": { "builderVersion": format!("tekton.dev/v1/{}", run.kind) },
                }),
            },
        })
    }

    /// The full name of a note of this id.
    pub(crate) fn of_note(&self, id: &str) -> String {
        format!("projects/{}/notes/{id}", self.project)
    }

    /// What is written of a record.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where there is no signature or no place for the payload.
    pub(crate) fn plan(&self, record: &Record) -> Result<Plan> {
        let sig = signature(record)?;
        let note = self.note(&record.run, &record.target)?;
        let payload = &record.payload.bytes;
        let key = self.key_id(record);
        let encoded = STANDARD.encode(payload);
        let sig_encoded = STANDARD.encode(&sig);
        let details = match note.kind {
            Kind::Attestation => json!({
                "serializedPayload": encoded,
                "signatures": [{ "signature": sig_encoded, "publicKeyId": key }],
            }),
            Kind::Build => statement::build(payload)?,
        };
        let envelope = json!({
            "payload": encoded,
            "payloadType": record.payload.media_type,
            "signatures": [{ "sig": sig_encoded, "keyid": key }],
        });
        let (details, envelope) = (Arc::new(details), Arc::new(envelope));
        let resources = resources(&record.target, &record.key.full, &record.payload.subjects);
        let occurrence = |resource| Occurrence {
            resource,
            note: self.of_note(&note.id),
            kind: note.kind,
            details: Arc::clone(&details),
            envelope: Arc::clone(&envelope),
            payload: payload.clone(),
            sig: sig.clone(),
        };
        let occurrences = resources.into_iter().map(occurrence).collect();
        Ok(Plan { note, occurrences })
    }

    /// What names the key. A server takes no attestation whose key has no name; Google's own tools name a key by its digest
    /// ([RFC 6920](https://www.rfc-editor.org/rfc/rfc6920)).
    fn key_id(&self, record: &Record) -> String {
        match (&self.key_id, &record.material) {
            (Some(id), _) => id.clone(),
            (None, Some(material)) => {
                let digest = Sha256::digest(material.public_key.spki_der());
                format!("ni:///sha-256;{}", URL_SAFE_NO_PAD.encode(digest))
            }
            (None, None) => String::new(),
        }
    }
}

/// The artifacts that a record is kept for: `NAME@sha256:…`, each once.
pub(crate) fn resources(target: &Target, key: &str, subjects: &[Subject]) -> BTreeSet<String> {
    match target {
        Target::Image(_) => BTreeSet::from([key.to_owned()]),
        Target::Run => subjects.iter().flat_map(Subject::artifact_uris).collect(),
    }
}

/// The signature as Tekton Chains has it: of a run the envelope's JSON, of an image the bare bytes.
fn signature(record: &Record) -> Result<Bytes> {
    let why = match (&record.signed, &record.target) {
        (Some(Signed::Dsse(envelope)), _) => return Ok(envelope.to_json().into()),
        (Some(Signed::Detached(signature)), Target::Image(_)) => return Ok(signature.clone()),
        (Some(Signed::Detached(_)), Target::Run) => {
            format!(
                "there is no place for the format `{}`: choose an in-toto format",
                record.payload.format
            )
        }
        (None, _) => "there is no occurrence without a signature".to_owned(),
    };
    Err(Error::new(ErrorKind::Unsupported, why))
}

/// Whether it may be a part of a name.
fn is_part(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c == '/' || c.is_whitespace() || c.is_control())
}

impl Occurrence {
    /// What is sent.
    pub(crate) fn body(&self) -> Value {
        json!({
            "resourceUri": self.resource,
            "noteName": self.note,
            self.kind.member(): *self.details,
            "envelope": *self.envelope,
        })
    }

    /// Whether this one is it.
    pub(crate) fn is(&self, found: &Found) -> bool {
        found.resource_uri == self.resource
            && found.note_name == self.note
            && found
                .parts()
                .is_some_and(|(payload, sig)| payload == self.payload && sig == self.sig)
    }
}

impl Found {
    /// Payload and signature; `None` where it has none that can be read.
    pub(crate) fn parts(&self) -> Option<(Bytes, Bytes)> {
        let envelope = self.envelope.as_ref()?;
        let sig = &envelope.signatures.first()?.sig;
        let decode = |text: &str| STANDARD.decode(text).ok().map(Bytes::from);
        Some((decode(&envelope.payload)?, decode(sig)?))
    }
}

/// What is an envelope's JSON is an envelope; every other signature is detached: DER or 64 bytes of Ed25519, which is
/// JSON by no accident.
pub(crate) fn signed(sig: Bytes) -> Signed {
    Envelope::from_json(&sig).map_or(Signed::Detached(sig), Signed::Dsse)
}

#[cfg(test)]
mod tests;
