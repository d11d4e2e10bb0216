//! `VAULT_TLS_SERVER_NAME`: the certificate is asked for another name than the server is reached by.

use chains_core::{Error, ErrorKind, Result};
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Answers every name with the addresses of the server.
#[derive(Debug)]
pub(super) struct Elsewhere {
    host: String,
    port: Option<u16>,
}

impl Elsewhere {
    /// Puts `name` in the place of the host in `base`, and remembers the host.
    pub(super) fn instead_of(base: &mut Url, name: &str) -> Result<Self> {
        let host = base.host_str().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let refused = |why: String| {
            Error::new(ErrorKind::Configuration, "reading VAULT_TLS_SERVER_NAME").with_source(why)
        };
        base.set_host(Some(name)).map_err(|e| refused(e.to_string()))?;
        if base.domain().is_none() {
            return Err(refused(format!("{name:?} is not a name of a host")));
        }
        Ok(Self { host, port: base.port() })
    }

    /// What the server is called in requests.
    pub(super) fn authority(&self) -> String {
        let host =
            if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        self.port.map_or_else(|| host.clone(), |port| format!("{host}:{port}"))
    }
}

impl Resolve for Elsewhere {
    fn resolve(&self, _: Name) -> Resolving {
        let host = self.host.clone();
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
