//! The HTTP clients: with and without verified certificates, made when first needed.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use chains_core::ErrorKind;
use reqwest::{Certificate, Client, RequestBuilder, Response, Url};

use super::policy::{Caller, Policy, Security, authority};
use super::throttle::{self, Again, Next};
use crate::OciOptions;
use crate::fault::{Fault, Result};

const USER_AGENT: &str = concat!("chains/", env!("CARGO_PKG_VERSION"));

#[derive(Debug)]
pub(super) struct Http {
    pub(super) policy: Policy,
    roots: Vec<Certificate>,
    connect_timeout: Duration,
    request_timeout: Duration,
    verified: OnceLock<Client>,
    unverified: OnceLock<Client>,
}

impl Http {
    pub(super) fn new(options: &OciOptions, policy: Policy) -> Result<Self> {
        let mut roots = Vec::new();
        for path in &options.ca_files {
            let what = || format!("reading certificate authorities from {}", path.display());
            let pem = std::fs::read(path)
                .map_err(|e| Fault::new(ErrorKind::Configuration, what(), e.to_string()))?;
            let found = Certificate::from_pem_bundle(&pem).map_err(|e| {
                Fault::new(ErrorKind::Configuration, what(), chains_core::chain(&e))
            })?;
            if found.is_empty() {
                return Err(Fault::new(
                    ErrorKind::Configuration,
                    what(),
                    "it holds no certificate",
                ));
            }
            roots.extend(found);
        }
        Ok(Self {
            policy,
            roots,
            connect_timeout: options.connect_timeout,
            request_timeout: options.request_timeout,
            verified: OnceLock::new(),
            unverified: OnceLock::new(),
        })
    }

    /// The client for an address. It follows no redirects: that is for those who know what may go where.
    pub(super) fn client(&self, url: &Url, caller: Caller) -> Result<&Client> {
        let verify = self.policy.security(&authority(url), caller) != Security::Unverified;
        let slot = if verify { &self.verified } else { &self.unverified };
        if let Some(client) = slot.get() {
            return Ok(client);
        }
        let client = self.build(verify)?;
        Ok(slot.get_or_init(|| client))
    }

    /// A failure with what the operator may have expected to be allowed, where that is why nobody answered.
    pub(super) fn hinted(&self, authority: &str, caller: Caller, fault: Fault) -> Fault {
        match self.policy.hint(authority, caller) {
            Some(hint)
                if matches!(fault.kind, ErrorKind::Unavailable | ErrorKind::Verification) =>
            {
                Fault { why: format!("{} ({hint})", fault.why), ..fault }
            }
            _ => fault,
        }
    }

    fn build(&self, verify: bool) -> Result<Client> {
        let builder = Client::builder()
            .user_agent(USER_AGENT)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(self.connect_timeout)
            .timeout(self.request_timeout)
            .tls_backend_rustls();
        let builder = if verify {
            builder.tls_certs_merge(self.roots.iter().cloned())
        } else {
            builder.tls_danger_accept_invalid_certs(true)
        };
        builder.build().map_err(|e| {
            let what = "setting up TLS for registries";
            Fault::new(ErrorKind::Configuration, what, chains_core::chain(&e))
        })
    }
}

/// Sends a request, again where the other side asks to wait a little.
pub(super) async fn send(what: &str, request: RequestBuilder, again: Again) -> Result<Response> {
    let mut before = 0;
    loop {
        let Some(request) = request.try_clone() else {
            return Err(Fault::new(
                ErrorKind::Internal,
                what,
                "a request that cannot be sent again",
            ));
        };
        let start = Instant::now();
        let response = request.send().await.map_err(|e| Fault::from_reqwest(what, e))?;
        tracing::debug!(what, status = %response.status(), took = ?start.elapsed(), "the registry answered");
        match throttle::next(response.status(), response.headers(), before, again) {
            Next::Take => return Ok(response),
            Next::GiveUp(wait) => {
                let why = format!("it answered {} and asks to wait {wait:?}", response.status());
                return Err(Fault::new(ErrorKind::Throttled, what, why));
            }
            Next::Wait(wait) => {
                tracing::debug!(what, status = %response.status(), ?wait, "once more");
                tokio::time::sleep(wait).await;
                before += 1;
            }
        }
    }
}

/// The body of an answer, as long as it is not longer than `limit` bytes.
pub(super) async fn body(what: &str, mut response: Response, limit: u64) -> Result<Vec<u8>> {
    let too_large = || {
        let why = format!("the answer has more than {limit} bytes");
        Fault::new(ErrorKind::TooLarge, what, why)
    };
    let announced = response.content_length().unwrap_or_default();
    if announced > limit {
        return Err(too_large());
    }
    let mut body = Vec::with_capacity(usize::try_from(announced).unwrap_or_default());
    while let Some(chunk) = response.chunk().await.map_err(|e| Fault::from_reqwest(what, e))? {
        if (body.len() + chunk.len()) as u64 > limit {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
