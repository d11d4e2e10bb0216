//! Taking the annotations away, and nothing else.

use std::collections::BTreeMap;

use chains_core::{Error, ErrorKind, Result};
use kube::Client;
use kube::api::{Patch, PatchParams};
use serde::Serialize;

use super::find::of;
use super::{Found, Marks, State};
use crate::FIELD_MANAGER;

/// How often a run is read anew because somebody else wrote it meanwhile.
const ATTEMPTS: usize = 8;

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is to be signed anew.
    Started,
    /// It is left as it is.
    Left(State),
    /// It was deleted meanwhile.
    Gone,
}

/// Starts the run again, unless it is signed, or new to the controller; `again` takes signed ones too.
///
/// One request, and two more for each time that somebody else wrote the run meanwhile: it is looked at anew then,
/// and nothing that others wrote is lost.
///
/// # Errors
/// Where the API server refuses or cannot be reached; [`ErrorKind::Conflict`] where others write all the time.
pub async fn start(client: &Client, found: &Found, again: bool) -> Result<Outcome> {
    let runs = of(client, found.api, Some(&found.namespace));
    let name = &found.run.name;
    let parameters = PatchParams::apply(FIELD_MANAGER);
    let mut marks = found.marks.clone();
    for _ in 0..ATTEMPTS {
        if !marks.starts(again) {
            return Ok(Outcome::Left(marks.state));
        }
        let patch = Patch::Merge(Removal::of(&marks));
        match runs.patch_metadata(name, &parameters, &patch).await {
            Ok(_) => return Ok(Outcome::Started),
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(Outcome::Gone),
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => {
                return Err(crate::error(format!("taking annotations off {found}"), error));
            }
        }
        match runs.get_metadata_opt(name).await {
            Ok(Some(metadata)) => marks = Marks::of(&metadata.metadata),
            Ok(None) => return Ok(Outcome::Gone),
            Err(error) => return Err(crate::error(format!("reading {found} again"), error)),
        }
    }
    Err(Error::new(
        ErrorKind::Conflict,
        format!(
            "taking annotations off {found}: somebody else wrote it {ATTEMPTS} times meanwhile"
        ),
    ))
}

/// A merge patch ([RFC 7396](https://www.rfc-editor.org/rfc/rfc7396)): `null` takes a value away. With the version, it
/// is refused where the run is another by now.
#[derive(Debug, Serialize)]
struct Removal<'a> {
    metadata: Metadata<'a>,
}

#[derive(Debug, Serialize)]
struct Metadata<'a> {
    #[serde(rename = "resourceVersion")]
    version: &'a str,
    annotations: BTreeMap<&'static str, ()>,
}

impl<'a> Removal<'a> {
    fn of(marks: &'a Marks) -> Self {
        let annotations = marks.held.iter().map(|name| (*name, ())).collect();
        Self { metadata: Metadata { version: &marks.version, annotations } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_run_has_is_taken_away() {
        let marks = Marks {
            state: State::Signed,
            version: "42".to_owned(),
            held: vec!["chains.tekton.dev/signed"],
        };
        let patch = serde_json::to_string(&Removal::of(&marks)).unwrap();
        let expected = r#"{"metadata":{"resourceVersion":"42","annotations":{"chains.tekton.dev/signed":null}}}"#;
        assert_eq!(patch, expected);
    }
}
