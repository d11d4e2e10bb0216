//! Tokens of the SPIFFE Workload API.
//!
//! [SPIFFE Workload API](https://spiffe.io/docs/latest/spiffe-specs/spiffe_workload_api/).

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use chains_core::{ErrorKind, Result, Secret};
use spiffe::WorkloadApiClient;

use super::{IdentitySource, Variables, refused};
use crate::IdentityToken;
use crate::fault::Fault;

const NAME: &str = "spiffe";
const SOCKET: &str = "SPIFFE_ENDPOINT_SOCKET";
const DEFAULT_SOCKET: &str = "unix:///tmp/spire-agent/public/api.sock";
/// How long the agent may take: it asks its server for a token.
const LIMIT: Duration = Duration::from_secs(20);

/// An agent that speaks the SPIFFE Workload API.
#[derive(Debug, Clone)]
pub struct Spiffe {
    socket: String,
}

impl Spiffe {
    /// The agent at `SPIFFE_ENDPOINT_SOCKET` (`unix:///PATH`, `tcp://IP:PORT` or a bare path), or where SPIRE's
    /// is.
    #[must_use]
    pub fn new(variables: &Variables) -> Self {
        let socket = match variables.get(SOCKET) {
            Some(path) if path.starts_with('/') => format!("unix://{path}"),
            Some(socket) => socket.to_owned(),
            None => DEFAULT_SOCKET.to_owned(),
        };
        Self { socket }
    }

    async fn fetch(&self, audience: &str) -> Result<Secret, Fault> {
        let what = format!("asking the SPIFFE agent at {} for an identity token", self.socket);
        let failed = |error: &dyn std::error::Error| {
            Fault::new(ErrorKind::Unavailable, what.clone(), chains_core::chain(error))
        };
        let asked = async {
            let agent =
                WorkloadApiClient::connect_to(&self.socket).await.map_err(|e| failed(&e))?;
            let token = agent.fetch_jwt_token([audience], None).await.map_err(|e| failed(&e))?;
            Ok(Secret::new(token))
        };
        tokio::time::timeout(LIMIT, asked).await.unwrap_or_else(|_| {
            let why = format!("no answer within {LIMIT:?}");
            Err(Fault::new(ErrorKind::Timeout, what.clone(), why))
        })
    }
}

#[async_trait]
impl IdentitySource for Spiffe {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn is_present(&self) -> bool {
        let path = self.socket.strip_prefix("unix:");
        path.is_none_or(|path| Path::new(&format!("/{}", path.trim_start_matches('/'))).exists())
    }

    async fn token(&self, audience: &str) -> Result<IdentityToken> {
        let text = self.fetch(audience).await?;
        if text.is_empty() {
            return Err(refused(NAME, "the agent gives none"));
        }
        IdentityToken::parse(text.expose())
    }
}
