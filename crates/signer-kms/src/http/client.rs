//! The HTTP client: kept as long as the signer, so that connections are.

use std::path::Path;
use std::time::Duration;

use chains_core::{Error, ErrorKind, Result};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder, Identity};

use crate::KmsOptions;

const USER_AGENT: &str = concat!("chains/", env!("CARGO_PKG_VERSION"));
/// Connections that nobody used for so long are closed: before load balancers do it, which tell nobody.
const IDLE: Duration = Duration::from_secs(50);

/// How the other side's certificate is checked, and what is shown to it.
#[derive(Default)]
pub(crate) struct Tls {
    /// Authorities to trust in place of the system's; empty means the system's.
    pub(crate) only: Vec<Certificate>,
    /// The certificate to show, with its key.
    pub(crate) identity: Option<Identity>,
    pub(crate) accept_any: bool,
}

/// A builder with everything that all services have in common. It follows no redirects: that is for those who
/// know what may go where.
pub(crate) fn client(options: &KmsOptions, tls: Tls) -> Result<ClientBuilder> {
    let mut roots = Vec::new();
    for path in &options.ca_files {
        roots.extend(certificates(path)?);
    }
    let limits = &options.limits;
    let builder = Client::builder()
        .user_agent(USER_AGENT)
        .redirect(Policy::none())
        .connect_timeout(limits.connect_timeout)
        .timeout(limits.request_timeout)
        .pool_idle_timeout(IDLE)
        .tls_backend_rustls();
    let builder = if tls.accept_any {
        builder.tls_danger_accept_invalid_certs(true)
    } else if tls.only.is_empty() {
        builder.tls_certs_merge(roots)
    } else {
        builder.tls_certs_only(tls.only.into_iter().chain(roots))
    };
    Ok(match tls.identity {
        Some(identity) => builder.identity(identity),
        None => builder,
    })
}

/// The certificates in a file; at least one.
pub(crate) fn certificates(path: &Path) -> Result<Vec<Certificate>> {
    let what = format!("reading certificate authorities from {}", path.display());
    let pem = std::fs::read(path)
        .map_err(|e| Error::new(ErrorKind::Configuration, &what).with_source(e))?;
    certificates_in(&pem).map_err(|e| e.context(what))
}

/// The certificates in PEM; at least one.
pub(crate) fn certificates_in(pem: &[u8]) -> Result<Vec<Certificate>> {
    let refused = |why: String| Error::new(ErrorKind::Configuration, why);
    let found = Certificate::from_pem_bundle(pem).map_err(|e| refused(chains_core::chain(&e)))?;
    if found.is_empty() {
        return Err(refused("it holds no certificate".to_owned()));
    }
    Ok(found)
}
