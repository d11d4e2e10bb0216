//! The API server's answers as errors of Chains.

use chains_core::{Error, ErrorKind};
use kube::core::Status;

/// What an answer of the API server, or none, means for whatever was attempted: `what` on which object.
///
/// ```
/// # use chains_core::ErrorKind;
/// let refused = kube::Error::Service("connection refused".into());
/// let error = chains_cluster::error("reading the ConfigMap chains-config", refused);
/// assert_eq!(error.kind(), ErrorKind::Unavailable);
/// ```
#[must_use]
pub fn error(what: impl Into<String>, error: kube::Error) -> Error {
    let kind = match &error {
        kube::Error::Api(status) => kind_of(status),
        kube::Error::SerdeError(_) | kube::Error::FromUtf8(_) => ErrorKind::Protocol,
        kube::Error::BuildRequest(_)
        | kube::Error::InferConfig(_)
        | kube::Error::InferKubeconfig(_) => ErrorKind::Configuration,
        kube::Error::Auth(_) => ErrorKind::Unauthorized,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, what.into()).with_source(error)
}

fn kind_of(status: &Status) -> ErrorKind {
    match status.code {
        401 | 403 => ErrorKind::Unauthorized,
        404 => ErrorKind::NotFound,
        409 => ErrorKind::Conflict,
        413 => ErrorKind::TooLarge,
        429 => ErrorKind::Throttled,
        400..=499 => ErrorKind::InvalidInput,
        _ => ErrorKind::Unavailable,
    }
}
