//! Starting runs again that could not be signed.
//!
//! A run that was given up is left alone because of its annotations; without them it is new to the controller,
//! to this one as to Tekton Chains. What is done of it already ([`PROGRESS`](chains_core::annotations::PROGRESS)) stays.

mod find;
mod marks;
mod start;

use std::fmt;
use std::str::FromStr;

use chains_core::{Error, ErrorKind, Result, RunKind};

use crate::RunApi;

pub use find::find;
pub use marks::State;
pub use start::{Outcome, start};

use marks::Marks;

/// Which runs are looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// These.
    Named {
        /// Where they are.
        namespace: String,
        /// Kinds and names.
        runs: Vec<RunName>,
    },
    /// All that match.
    Matching {
        /// Only of this namespace; `None` for those of the whole cluster.
        namespace: Option<String>,
        /// A label selector as `kubectl -l` takes it; `None` for any labels.
        labels: Option<String>,
    },
}

/// A run's kind and name, written `taskrun/NAME` or `pipelinerun/NAME`.
///
/// ```
/// use chains_cluster::retry::RunName;
/// let build: RunName = "tr/build".parse()?;
/// assert_eq!(build.to_string(), "taskrun/build");
/// // As `kubectl get -o name` prints it.
/// assert_eq!("taskrun.tekton.dev/build".parse::<RunName>()?, build);
/// # Ok::<(), chains_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunName {
    /// TaskRun or PipelineRun.
    pub kind: RunKind,
    /// The name within the namespace.
    pub name: String,
}

impl fmt::Display for RunName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.as_lower(), self.name)
    }
}

impl FromStr for RunName {
    type Err = Error;

    /// # Errors
    /// [`ErrorKind::InvalidInput`] telling the form.
    fn from_str(text: &str) -> Result<Self> {
        let parts = text.split_once('/').and_then(|(kind, name)| Some((kind_of(kind)?, name)));
        // A path is made of it: nothing but a name may come through.
        let named = |name: &str| {
            let allowed = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'.';
            name.bytes().all(allowed) && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        };
        match parts {
            Some((kind, name)) if named(name) => Ok(Self { kind, name: name.to_owned() }),
            _ => Err(Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "{text:?} names no run: the form is taskrun/NAME or pipelinerun/NAME (tr/NAME, pr/NAME)"
                ),
            )),
        }
    }
}

/// As `kubectl` takes it: singular, plural, short, and with the group.
fn kind_of(text: &str) -> Option<RunKind> {
    let text = text.to_ascii_lowercase();
    let (resource, group) = text.split_once('.').unwrap_or((&text, "tekton.dev"));
    if !matches!(group, "tekton.dev" | "v1.tekton.dev" | "v1beta1.tekton.dev") {
        return None;
    }
    match resource {
        "taskrun" | "taskruns" | "tr" | "trs" => Some(RunKind::TaskRun),
        "pipelinerun" | "pipelineruns" | "pr" | "prs" => Some(RunKind::PipelineRun),
        _ => None,
    }
}

/// A run that was found, with what its annotations say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Kind and name.
    pub run: RunName,
    /// Where it is.
    pub namespace: String,
    api: RunApi,
    marks: Marks,
}

impl Found {
    /// How far signing came.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.marks.state
    }

    /// Whether there is something to start again; `again` takes signed runs too.
    #[must_use]
    pub const fn starts(&self, again: bool) -> bool {
        self.marks.starts(again)
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.run.kind, self.namespace, self.run.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Option<&str>) {
        let read = text.parse::<RunName>();
        match expect {
            Some(name) => assert_eq!(read.unwrap().to_string(), name),
            None => {
                let error = read.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidInput);
                assert!(error.report().contains("taskrun/NAME"), "{}", error.report());
            }
        }
    }

    #[test]
    fn names_are_read_as_kubectl_reads_them() {
        check("taskrun/a", Some("taskrun/a"));
        check("TaskRuns/a.b-c", Some("taskrun/a.b-c"));
        check("tr/a", Some("taskrun/a"));
        check("pr/a", Some("pipelinerun/a"));
        check("pipelineruns.tekton.dev/a", Some("pipelinerun/a"));
        check("pipelinerun.v1beta1.tekton.dev/a", Some("pipelinerun/a"));
    }

    #[test]
    fn what_names_no_run_is_told_the_form() {
        for text in [
            "",
            "a",
            "taskrun",
            "taskrun/",
            "/a",
            "pod/a",
            "taskrun.example.com/a",
            "tr/a/b",
            "tr/..",
            "tr/a b",
            "tr/a?x",
            "tr/a%2f",
        ] {
            check(text, None);
        }
    }
}
