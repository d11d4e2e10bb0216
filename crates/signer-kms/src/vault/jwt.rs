//! The JWT that a login shows.

use std::path::PathBuf;

#[cfg(feature = "spire")]
use chains_core::{Error, ErrorKind};
use chains_core::{Result, Secret};

/// The one that Kubernetes mounts into every pod.
pub(super) const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// Where JWTs come from. Each is asked for anew: they live for a short while.
#[derive(Debug)]
pub(super) enum Jwt {
    File(PathBuf),
    #[cfg(feature = "spire")]
    Spire(crate::Spire),
}

impl Jwt {
    pub(super) async fn fetch(&self) -> Result<Secret> {
        match self {
            Self::File(path) => super::token::read(path, "the JWT to log in at Vault with"),
            #[cfg(feature = "spire")]
            Self::Spire(spire) => spire_token(spire).await,
        }
    }
}

/// What the agent may take: it asks its server, and must have been told of this workload.
#[cfg(feature = "spire")]
const LONGEST: std::time::Duration = std::time::Duration::from_secs(10);

#[cfg(feature = "spire")]
async fn spire_token(spire: &crate::Spire) -> Result<Secret> {
    use spiffe::WorkloadApiClient;

    let what = || format!("fetching a JWT from SPIRE at {}", spire.socket);
    let fetch = async {
        let client = WorkloadApiClient::connect_to(&spire.socket).await?;
        client.fetch_jwt_token([spire.audience.as_str()], None).await
    };
    let token = tokio::time::timeout(LONGEST, fetch).await.map_err(|_| {
        let why = format!("no answer within {LONGEST:?}: {NO_ANSWER}");
        Error::new(ErrorKind::Timeout, what()).with_source(why)
    })?;
    token.map(Secret::new).map_err(|error| {
        let why = chains_core::chain(&error);
        let why = advice(&error).map_or(why.clone(), |advice| format!("{why}: {advice}"));
        Error::new(spire_kind(&error), what()).with_source(why)
    })
}

/// What to do where nobody answers at the socket.
#[cfg(feature = "spire")]
const NO_ANSWER: &str = "see that the agent runs and that its socket is there for this process \
                         (`signers.kms.auth.spire.sock`)";
/// What to do where the agent answers that it knows of nobody like this process.
#[cfg(feature = "spire")]
const NO_ENTRY: &str = "register this process with the server (`spire-server entry create`), by \
                        selectors that match it";

#[cfg(feature = "spire")]
fn advice(error: &spiffe::WorkloadApiError) -> Option<&'static str> {
    use spiffe::{WorkloadApiError as E, transport::TransportError};
    match error {
        E::NoIdentityIssued | E::EmptyResponse => Some(NO_ENTRY),
        // It has answered, and says itself what is wrong.
        E::Transport(TransportError::Status(_)) => None,
        E::Transport(_) => Some(NO_ANSWER),
        _ => None,
    }
}

#[cfg(feature = "spire")]
fn spire_kind(error: &spiffe::WorkloadApiError) -> ErrorKind {
    use spiffe::WorkloadApiError as E;
    match error {
        // Registrations take some seconds to reach the agent: a later attempt may succeed.
        E::NoIdentityIssued | E::EmptyResponse => ErrorKind::Unavailable,
        E::PermissionDenied(_) => ErrorKind::Unauthorized,
        E::Endpoint(_) | E::MissingEndpointSocket => ErrorKind::Configuration,
        E::Transport(_) => ErrorKind::Unavailable,
        _ => ErrorKind::Protocol,
    }
}
