//! Where a registry is: over TLS, or over plain HTTP where that is allowed.

use chains_core::ErrorKind;
use reqwest::Url;
use tokio::sync::OnceCell;

use super::http::Http;
use super::policy::{Caller, Security};
use crate::fault::{Fault, Result, tls_error};

/// A registry and, once it was tried, how it is spoken to.
#[derive(Debug)]
pub(super) struct Origin {
    registry: String,
    caller: Caller,
    found: OnceCell<Url>,
}

impl Origin {
    pub(super) fn new(registry: &str, caller: Caller) -> Self {
        Self { registry: registry.to_owned(), caller, found: OnceCell::new() }
    }

    pub(super) fn registry(&self) -> &str {
        &self.registry
    }

    /// The registry's root, `https://HOST[:PORT]/` or `http://HOST[:PORT]/`.
    pub(super) async fn url(&self, http: &Http) -> Result<&Url> {
        self.found.get_or_try_init(|| self.find(http)).await
    }

    async fn find(&self, http: &Http) -> Result<Url> {
        let what = format!("connecting to the registry {}", self.registry);
        let root = |scheme: &str| {
            Url::parse(&format!("{scheme}://{}/", self.registry))
                .map_err(|e| Fault::new(ErrorKind::InvalidInput, what.clone(), e.to_string()))
        };
        let https = root("https")?;
        if http.policy.security(&self.registry, self.caller) == Security::Verified {
            return Ok(https);
        }
        let Err(tls) = probe(http, &https, self.caller).await else {
            return Ok(https);
        };
        if !speaks_no_tls(&tls) {
            let fault = Fault::from_reqwest(&what, tls);
            return Err(http.hinted(&self.registry, self.caller, fault));
        }
        let plain = root("http")?;
        match probe(http, &plain, self.caller).await {
            Ok(()) => {
                tracing::debug!(
                    registry = self.registry,
                    "the registry is spoken to over plain HTTP"
                );
                Ok(plain)
            }
            Err(error) => Err(Fault::from_reqwest(&what, error)),
        }
    }
}

/// Any answer will do: who asks for credentials is there.
async fn probe(http: &Http, root: &Url, caller: Caller) -> Result<(), reqwest::Error> {
    let mut url = root.clone();
    url.set_path("/v2/");
    match http.client(&url, caller) {
        Ok(client) => client.get(url).send().await.map(drop),
        // Without certificate authorities there is no TLS; it is told when TLS is spoken in earnest.
        Err(_) => Ok(()),
    }
}

/// Whether the other side does not speak TLS, or is not there on the port of TLS.
///
/// A certificate that does not verify, or a handshake that is refused, is no reason to do without.
fn speaks_no_tls(error: &reqwest::Error) -> bool {
    if !error.is_connect() || error.is_timeout() {
        return false;
    }
    tls_error(error).is_none_or(|tls| matches!(tls, rustls::Error::InvalidMessage(_)))
}
