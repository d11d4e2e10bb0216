//! Names of annotations, and the limit on all of them together.

use std::collections::BTreeMap;

use crate::{Error, ErrorKind, Result, RunRef};

/// Prefix of every annotation of Chains.
pub const PREFIX: &str = "chains.tekton.dev/";
/// `true` when everything is stored, `failed` when it was given up.
pub const SIGNED: &str = "chains.tekton.dev/signed";
/// How many attempts failed.
pub const RETRIES: &str = "chains.tekton.dev/retries";
/// Addresses of transparency log entries.
pub const TRANSPARENCY: &str = "chains.tekton.dev/transparency";
/// `true` asks for a log entry where `transparency.enabled` is `manual`.
pub const TRANSPARENCY_UPLOAD: &str = "chains.tekton.dev/transparency-upload";
/// Why it was given up.
pub const REASON: &str = "chains.tekton.dev/reason";
/// When a run whose last attempt failed is tried again (RFC 3339).
pub const NEXT_ATTEMPT: &str = "chains.tekton.dev/next-attempt";
/// Children of a PipelineRun that its provenance could not look into.
pub const LEFT_OUT: &str = "chains.tekton.dev/left-out";
/// What is done already of a run whose last attempt failed: a [`Progress`](crate::Progress).
pub const PROGRESS: &str = "chains.tekton.dev/progress";

/// How many bytes the keys and values of all annotations of an object may have together.
///
/// The API server refuses more: `TotalAnnotationSizeLimitB` in `k8s.io/apimachinery`.
pub const TOTAL_LIMIT: usize = 256 * 1024;

/// Bytes of keys and values.
#[must_use]
pub fn size<'a>(annotations: impl IntoIterator<Item = (&'a String, &'a String)>) -> usize {
    annotations.into_iter().map(|(key, value)| key.len() + value.len()).sum()
}

/// Checks that the run can hold `added` beside what it has.
///
/// # Errors
/// [`ErrorKind::TooLarge`] telling the run, the size, the limit and what to use instead.
pub fn check_fits(run: &RunRef, added: &BTreeMap<String, String>) -> Result<()> {
    let kept = run.annotations.iter().filter(|(key, _)| !added.contains_key(*key));
    let total = size(kept) + size(added);
    if total <= TOTAL_LIMIT {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::TooLarge,
        format!(
            "annotations of {run} would have {total} bytes and Kubernetes allows {TOTAL_LIMIT}: \
             use another store than `tekton` for runs of this size, e.g. `oci`"
        ),
    ))
}
