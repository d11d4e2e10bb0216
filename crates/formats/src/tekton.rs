//! `tekton`: the status of a run as it is, as releases before 0.8 signed it.
//!
//! The signature is over the bytes alone, and by the key that signs images too: whatever could be read as another
//! document that this key signs is refused.

use chains_core::{Error, ErrorKind, Format, Payload, Result, Target, Wrapping, media_type};
use chains_tekton::Run;

use crate::payload::to_bytes;

pub(crate) const NAME: &str = "tekton";

/// The format `tekton`.
#[derive(Debug)]
pub(crate) struct Status;

impl Format<Run> for Status {
    fn name(&self) -> &'static str {
        NAME
    }

    fn payload(&self, run: &Run, target: &Target) -> Result<Option<Payload>> {
        if !matches!(target, Target::Run) {
            return Ok(None);
        }
        let status = run.status();
        if status.is_null() {
            let why = format!("{}: there is no status to sign", run.reference());
            return Err(Error::new(ErrorKind::InvalidInput, why));
        }
        refuse_image_signature(run)?;
        Ok(Some(Payload {
            bytes: to_bytes(status, NAME)?,
            media_type: media_type::JSON,
            wrapping: Wrapping::Detached,
            format: NAME,
            predicate_type: None,
            subjects: Vec::new(),
        }))
    }
}

/// The member that makes a document an image signature. Verifiers look for nothing else, and pass over members
/// that they do not know; those in Go do not tell capitals from small letters.
const CRITICAL: &str = "critical";

/// Refuses a status that would be a valid signature of an image that whoever wrote the status has chosen. Tekton
/// writes no such member.
fn refuse_image_signature(run: &Run) -> Result<()> {
    let members = run.status().as_map().into_iter().flat_map(chains_tekton::Map::iter);
    for (name, _) in members {
        if name.eq_ignore_ascii_case(CRITICAL) {
            let why = format!(
                "{}: format {NAME} does not sign status.{name}: with this member the signed status would be an \
                 image signature",
                run.reference()
            );
            return Err(Error::new(ErrorKind::InvalidInput, why));
        }
    }
    Ok(())
}
