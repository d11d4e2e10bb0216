//! One registry as seen with one credential: requests with their authentication and redirects.

use std::sync::Arc;

use bytes::Bytes;
use chains_core::{ErrorKind, RegistryCredential};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, LOCATION};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};

use super::answer::Answer;
use super::auth::Auth;
use super::http::{self, Http};
use super::origin::Origin;
use super::policy::{authority, same_authority};
use super::throttle::Again;
use crate::fault::{Fault, Result};

const MAX_REDIRECTS: u32 = 5;
/// The first challenge tells how to authenticate, a second that a token has ended early.
const MAX_CHALLENGES: u32 = 2;

#[derive(Debug)]
pub(super) struct Session {
    origin: Arc<Origin>,
    http: Arc<Http>,
    auth: Auth,
}

/// A request to a registry.
#[derive(Debug, Clone)]
pub(super) struct Request<'a> {
    /// What is attempted on what, for errors.
    pub(super) what: &'a str,
    pub(super) method: Method,
    pub(super) url: Url,
    /// What a token must allow.
    pub(super) scope: &'a str,
    pub(super) accept: Option<&'a str>,
    pub(super) content: Option<(&'a str, Bytes)>,
    pub(super) again: Again,
    /// How many bytes the answer may have.
    pub(super) limit: u64,
}

impl Session {
    pub(super) fn new(
        origin: Arc<Origin>,
        http: Arc<Http>,
        credential: Option<RegistryCredential>,
    ) -> Self {
        let auth = Auth::new(origin.registry(), credential);
        Self { origin, http, auth }
    }

    pub(super) fn is_for(&self, credential: Option<&RegistryCredential>) -> bool {
        self.auth.credential() == credential
    }

    /// The root of the registry.
    pub(super) async fn root(&self) -> Result<&Url> {
        self.origin.url(&self.http).await
    }

    /// An address that the registry names, if it may send us there.
    pub(super) async fn visit(&self, what: &str, from: &Url, to: &str) -> Result<Url> {
        let root = self.root().await?;
        let protocol = |why: String| Fault::new(ErrorKind::Protocol, what, why);
        let mut target = from.join(to).map_err(|e| protocol(format!("it names {to:?}: {e}")))?;
        // Registries behind a proxy that ends TLS often do not know that they are spoken to over TLS.
        let same_host = target.host_str() == root.host_str();
        let same_port = target.port().is_none() || target.port() == root.port();
        if root.scheme() == "https" && target.scheme() == "http" && same_host && same_port {
            let port = root.port();
            // Neither can fail for an address of HTTP.
            let _ = target.set_scheme("https");
            let _ = target.set_port(port);
        }
        let refused =
            |why: String| protocol(format!("it sends us elsewhere, where we do not go: {why}"));
        self.http.policy.may_visit(root, &target, self.auth.caller()).map_err(refused)?;
        Ok(target)
    }

    /// Sends a request; any answer but those that redirect, throttle or ask to authenticate is an answer.
    pub(super) async fn send(&self, mut request: Request<'_>) -> Result<Answer> {
        let (mut redirects, mut challenges) = (0, 0);
        loop {
            let (response, shown) = self.attempt(&request).await?;
            let status = response.status();
            if status == StatusCode::UNAUTHORIZED {
                challenges += 1;
                self.challenged(&request, &response, shown, challenges).await?;
            } else if is_redirect(status) {
                redirects += 1;
                request.url = self.redirected(&request, &response, redirects).await?;
            } else {
                return Answer::read(request.what, response, request.limit).await;
            }
        }
    }

    /// Whether something was shown comes back with the answer.
    async fn attempt(&self, request: &Request<'_>) -> Result<(Response, bool)> {
        let root = self.root().await?;
        let mut builder = self.build(request)?;
        let mut shown = false;
        if same_authority(root, &request.url) && root.scheme() == request.url.scheme() {
            let header = self.auth.header(&self.http, root, request.scope).await;
            if let Some(header) = header.map_err(|fault| within(request.what, fault))? {
                builder = builder.header(AUTHORIZATION, header);
                shown = true;
            }
        }
        match http::send(request.what, builder, request.again).await {
            Ok(response) => Ok((response, shown)),
            Err(fault) => {
                Err(self.http.hinted(&authority(&request.url), self.auth.caller(), fault))
            }
        }
    }

    fn build(&self, request: &Request<'_>) -> Result<RequestBuilder> {
        let client = self.http.client(&request.url, self.auth.caller())?;
        let mut builder = client.request(request.method.clone(), request.url.clone());
        if let Some(accept) = request.accept {
            builder = builder.header(ACCEPT, accept);
        }
        Ok(match &request.content {
            Some((media_type, body)) => {
                builder.header(CONTENT_TYPE, *media_type).body(body.clone())
            }
            None if request.method == Method::POST => builder.body(Bytes::new()),
            None => builder,
        })
    }

    async fn challenged(
        &self,
        request: &Request<'_>,
        response: &Response,
        shown: bool,
        challenges: u32,
    ) -> Result<()> {
        let what = request.what;
        if !same_authority(self.root().await?, &request.url) {
            let why = "it redirects to another host, which asks to authenticate";
            return Err(Fault::new(ErrorKind::Unauthorized, what, why));
        }
        // A password that was refused once is refused; a token may have ended.
        let hopeless = shown && !self.auth.fetches_tokens();
        if hopeless || challenges > MAX_CHALLENGES {
            return Err(within(what, self.auth.refused()));
        }
        self.auth.challenged(response.headers(), request.scope).map_err(|fault| within(what, fault))
    }

    async fn redirected(
        &self,
        request: &Request<'_>,
        response: &Response,
        count: u32,
    ) -> Result<Url> {
        let protocol = |why: &str| Fault::new(ErrorKind::Protocol, request.what, why);
        if count > MAX_REDIRECTS {
            return Err(protocol("it redirects without end"));
        }
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let location = location.ok_or_else(|| protocol("it redirects without saying where to"))?;
        let target = self.visit(request.what, &request.url, location).await?;
        let reads = matches!(request.method, Method::GET | Method::HEAD);
        let keeps_method = matches!(
            response.status(),
            StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT
        );
        if reads || (keeps_method && same_authority(&request.url, &target)) {
            Ok(target)
        } else {
            Err(protocol("it redirects a request that writes"))
        }
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// A failure on the way to something else.
fn within(what: &str, fault: Fault) -> Fault {
    Fault { why: fault.to_string(), what: what.to_owned(), kind: fault.kind }
}
