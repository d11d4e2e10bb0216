//! `tekton`: the status of a run as it is, as releases before 0.8 signed it.

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
