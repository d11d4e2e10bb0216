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
        Error::new(ErrorKind::Timeout, what()).with_source(format!("no answer within {LONGEST:?}"))
    })?;
    token.map(Secret::new).map_err(|e| Error::new(spire_kind(&e), what()).with_source(e))
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
