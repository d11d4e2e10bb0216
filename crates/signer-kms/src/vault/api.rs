//! One call of Vault's HTTP API, and what its failures mean.

use chains_core::{Error, ErrorKind, Result, Secret};
use chains_http::{Answer, Refusal, secret_header};
use reqwest::header::{AUTHORIZATION, HOST, HeaderValue, LOCATION};
use reqwest::{Method, RequestBuilder, StatusCode, Url};
use serde::Deserialize;
use serde_json::Value;

use super::server::Server;
use crate::http;

/// Vault's own: a replica that has not caught up yet.
const NOT_YET: u16 = 412;

/// A call.
pub(super) struct Call<'a> {
    /// What is attempted on what, for errors.
    pub(super) what: &'a str,
    pub(super) method: Method,
    /// After `v1/`.
    pub(super) path: &'a str,
    pub(super) token: Option<&'a Secret>,
    pub(super) body: Option<&'a Value>,
    /// What a login shows, which must not be told either.
    pub(super) login: Option<&'a Secret>,
}

impl Server {
    /// Makes the call; follows one redirect of a standby server to the active one, as Vault's own client does.
    ///
    /// # Errors
    /// Everything but success.
    pub(super) async fn call(&self, call: &Call<'_>) -> Result<Answer> {
        let url = self.base.join(&format!("v1/{}", call.path)).map_err(|e| {
            Error::new(ErrorKind::Configuration, call.what).with_source(e.to_string())
        })?;
        let mut answer =
            http::send(call.what, self.request(call, url.clone(), self.host.as_deref())?).await?;
        let elsewhere = matches!(
            answer.status,
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::TEMPORARY_REDIRECT
        );
        if elsewhere && self.follows {
            let active = active(call.what, &url, &answer)?;
            answer = http::send(call.what, self.request(call, active, None)?).await?;
        }
        if answer.status.is_success() { Ok(answer) } else { Err(self.refused(call, &answer)) }
    }

    fn request(&self, call: &Call<'_>, url: Url, host: Option<&str>) -> Result<RequestBuilder> {
        let is_ours = url.origin() == self.base.origin();
        // Agents may ask for this header: no browser sends it.
        let mut request = self
            .client
            .request(call.method.clone(), url)
            .header("X-Vault-Request", HeaderValue::from_static("true"));
        if let Some(host) = host {
            request = request.header(HOST, host);
        }
        if let Some(namespace) = &self.namespace {
            request = request.header("X-Vault-Namespace", namespace);
        }
        // The password is for whoever is at the address that was given with it.
        if let Some(basic) = self.basic.as_ref().filter(|_| is_ours) {
            request = request.header(AUTHORIZATION, secret_header(call.what, basic)?);
        }
        if let Some(token) = call.token.filter(|token| !token.is_empty()) {
            request = request.header("X-Vault-Token", secret_header(call.what, token)?);
        }
        let Some(body) = call.body else {
            return Ok(request);
        };
        Ok(request.header("Content-Type", "application/json").body(body.to_string()))
    }
}

/// Where a standby server says that the active one is. It is trusted to: it could answer itself as well.
fn active(what: &str, from: &Url, answer: &Answer) -> Result<Url> {
    let refused = |why: &str| Error::new(ErrorKind::Protocol, what).with_source(why.to_owned());
    let location = answer
        .header(LOCATION.as_str())
        .ok_or_else(|| refused("it sends us elsewhere, and does not say where"))?;
    let to = from.join(location).map_err(|_| refused("it sends us to what is no address"))?;
    match (from.scheme(), to.scheme()) {
        (_, "https") | ("http", "http") => Ok(to),
        _ => Err(refused("it sends us to an address without TLS")),
    }
}

/// <https://developer.hashicorp.com/vault/api-docs#error-response>
#[derive(Deserialize)]
struct Errors {
    #[serde(default)]
    errors: Vec<String>,
}

impl Server {
    fn refused(&self, call: &Call<'_>, answer: &Answer) -> Error {
        let errors = serde_json::from_slice::<Errors>(&answer.body);
        let message = errors.map(|errors| errors.errors.join("; ")).unwrap_or_default();
        let kind = match kind(answer.status, &message) {
            // Whatever it calls that: it is the JWT or the role that it does not like.
            ErrorKind::Signing if call.login.is_some() => ErrorKind::Unauthorized,
            kind => kind,
        };
        let refusal = Refusal { code: String::new(), message };
        let ours = self.basic.iter().chain(&self.proxy_basic);
        let secrets: Vec<_> = call.token.into_iter().chain(call.login).chain(ours).collect();
        answer.fault(call.what, kind, &refusal, "", &secrets)
    }
}

/// What a failure means. Vault has no codes beside those of HTTP: some of its sentences must do.
fn kind(status: StatusCode, message: &str) -> ErrorKind {
    let says = |words: &[&str]| words.iter().any(|words| message.contains(words));
    match status.as_u16() {
        NOT_YET => ErrorKind::Unavailable,
        400 if says(&["signing key not found", "no existing key named"]) => ErrorKind::NotFound,
        400 if says(&["missing client token"]) => ErrorKind::Unauthorized,
        400 => ErrorKind::Signing,
        // OpenBao's own: until somebody restores it, no other attempt is better.
        500 if says(&["soft-deleted key"]) => ErrorKind::Key,
        _ => http::kind(status),
    }
}
