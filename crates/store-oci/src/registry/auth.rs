//! How a session authenticates: nothing is shown before the registry asks for it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chains_core::{ErrorKind, RegistryCredential, Secret};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{RequestBuilder, StatusCode, Url};
use serde::Deserialize;
use serde_json::Value;
use url::form_urlencoded::Serializer;

use super::answer::Answer;
use super::challenge::Challenge;
use super::http::{self, Http};
use super::policy::{Caller, authority};
use super::throttle::Again;
use crate::fault::{Fault, Result};

/// Sent with an identity token; registries only write it down.
const CLIENT_ID: &str = "chains";
const MAX_TOKEN_ANSWER: u64 = 64 * 1024;
/// What a token is good for where the endpoint does not say, by the token specification.
const DEFAULT_LIFETIME: u64 = 60;
const LONGEST_LIFETIME: u64 = 3600;
/// A token is renewed that much before it ends.
const MARGIN: Duration = Duration::from_secs(10);
/// Tokens kept at most: one for each repository and kind of access.
const MAX_TOKENS: usize = 1024;

/// The credential of a session, and what came of it so far.
#[derive(Debug)]
pub(super) struct Auth {
    registry: String,
    credential: Option<RegistryCredential>,
    learnt: Mutex<Learnt>,
    /// Many requests that need a token at once fetch it once.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Learnt {
    challenge: Option<Challenge>,
    tokens: HashMap<String, Token>,
}

#[derive(Debug)]
struct Token {
    value: Secret,
    until: Instant,
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    #[serde(default)]
    expires_in: Value,
}

impl Auth {
    pub(super) fn new(registry: &str, credential: Option<RegistryCredential>) -> Self {
        Self {
            registry: registry.to_owned(),
            credential,
            learnt: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
        }
    }

    pub(super) const fn credential(&self) -> Option<&RegistryCredential> {
        self.credential.as_ref()
    }

    pub(super) const fn caller(&self) -> Caller {
        Caller::of(self.credential.as_ref())
    }

    /// Whether what is shown is fetched and may end, unlike a password.
    pub(super) fn fetches_tokens(&self) -> bool {
        matches!(self.learnt().challenge, Some(Challenge::Bearer { .. }))
            && !matches!(self.credential, Some(RegistryCredential::Bearer(_)))
    }

    /// What to show for `scope`, as far as the registry has asked for anything.
    pub(super) async fn header(
        &self,
        http: &Http,
        origin: &Url,
        scope: &str,
    ) -> Result<Option<HeaderValue>> {
        let challenge = self.learnt().challenge.clone();
        match (challenge, &self.credential) {
            (None, _) => Ok(None),
            (Some(_), Some(RegistryCredential::Bearer(token))) => {
                self.check_carries(http, origin)?;
                self.sensitive("Bearer ", token.expose()).map(Some)
            }
            (Some(Challenge::Basic), Some(RegistryCredential::Basic { username, password })) => {
                self.check_carries(http, origin)?;
                self.basic(username, password).map(Some)
            }
            (Some(Challenge::Basic), Some(RegistryCredential::IdentityToken(_))) => {
                Err(self
                    .unauthorized("it asks for user and password, and there is an identity token"))
            }
            (Some(Challenge::Basic), None) => Err(self.unauthorized(
                "it asks for user and password, and no credential was found for the repository",
            )),
            (Some(Challenge::Bearer { realm, service, scope: asked }), _) => {
                let endpoint = Endpoint { realm: &realm, service, asked };
                self.token_header(http, origin, endpoint, scope).await.map(Some)
            }
        }
    }

    /// Takes in the challenge of a 401, and forgets the token that led to it.
    pub(super) fn challenged(&self, headers: &HeaderMap, scope: &str) -> Result<()> {
        let challenge = Challenge::of(headers)
            .map_err(|why| self.unauthorized(&format!("it asks to authenticate, and {why}")))?;
        let mut learnt = self.learnt();
        learnt.tokens.remove(scope);
        learnt.challenge = Some(challenge);
        Ok(())
    }

    /// Why a request was refused that showed all there is to show.
    pub(super) fn refused(&self) -> Fault {
        self.unauthorized(match &self.credential {
            Some(_) => "it refuses the credential that was found for the repository",
            None => "it asks for a credential, and none was found for the repository",
        })
    }

    async fn token_header(
        &self,
        http: &Http,
        origin: &Url,
        endpoint: Endpoint<'_>,
        scope: &str,
    ) -> Result<HeaderValue> {
        if let Some(header) = self.cached(scope)? {
            return Ok(header);
        }
        let _only_one = self.fetching.lock().await;
        if let Some(header) = self.cached(scope)? {
            return Ok(header);
        }
        let token = self.fetch(http, origin, &endpoint, scope).await?;
        let header = self.sensitive("Bearer ", token.value.expose())?;
        let mut learnt = self.learnt();
        if learnt.tokens.len() >= MAX_TOKENS {
            learnt.tokens.clear();
        }
        learnt.tokens.insert(scope.to_owned(), token);
        Ok(header)
    }

    fn cached(&self, scope: &str) -> Result<Option<HeaderValue>> {
        let learnt = self.learnt();
        let token = learnt.tokens.get(scope).filter(|token| token.until > Instant::now());
        token.map(|token| self.sensitive("Bearer ", token.value.expose())).transpose()
    }

    async fn fetch(
        &self,
        http: &Http,
        origin: &Url,
        endpoint: &Endpoint<'_>,
        scope: &str,
    ) -> Result<Token> {
        let what = format!("fetching a token for {} from {}", self.registry, endpoint.host());
        http.policy
            .may_visit(origin, endpoint.realm, self.caller())
            .map_err(|why| Fault::new(ErrorKind::Unauthorized, what.clone(), why))?;
        if self.credential.is_some() {
            self.check_carries(http, endpoint.realm)?;
        }
        let request = self.token_request(http, endpoint, scope)?;
        let response = http::send(&what, request, Again::Freely).await?;
        let status = response.status();
        let answer = Answer::read(&what, response, MAX_TOKEN_ANSWER).await?;
        match status {
            StatusCode::OK => self.read_token(&what, &answer.body),
            // Whatever it says about client errors, it is the credential that it does not like.
            _ if status.is_client_error() => {
                let fault = answer.fault(&what);
                let kind = ErrorKind::Unauthorized;
                Err(if fault.kind == ErrorKind::Throttled {
                    fault
                } else {
                    Fault { kind, ..fault }
                })
            }
            _ => Err(answer.fault(&what)),
        }
    }

    fn token_request(
        &self,
        http: &Http,
        endpoint: &Endpoint<'_>,
        scope: &str,
    ) -> Result<RequestBuilder> {
        let client = http.client(endpoint.realm, self.caller())?;
        if let Some(RegistryCredential::IdentityToken(token)) = &self.credential {
            // https://distribution.github.io/distribution/spec/auth/oauth/
            let mut form = Serializer::new(String::new());
            form.append_pair("grant_type", "refresh_token")
                .append_pair("client_id", CLIENT_ID)
                .append_pair("scope", &endpoint.scopes(scope).join(" "))
                .append_pair("refresh_token", token.expose());
            if let Some(service) = &endpoint.service {
                form.append_pair("service", service);
            }
            return Ok(client
                .post(endpoint.realm.clone())
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form.finish()));
        }
        let mut url = endpoint.realm.clone();
        if let Some(service) = &endpoint.service {
            url.query_pairs_mut().append_pair("service", service);
        }
        for scope in endpoint.scopes(scope) {
            url.query_pairs_mut().append_pair("scope", &scope);
        }
        Ok(match &self.credential {
            Some(RegistryCredential::Basic { username, password }) => {
                client.get(url).header(AUTHORIZATION, self.basic(username, password)?)
            }
            _ => client.get(url),
        })
    }

    fn read_token(&self, what: &str, body: &[u8]) -> Result<Token> {
        let protocol = |why: &str| Fault::new(ErrorKind::Protocol, what, why);
        // The parser's own message may quote the token.
        let answer: TokenAnswer = serde_json::from_slice(body)
            .map_err(|_| protocol("its answer is not of the protocol"))?;
        let some = |text: Option<String>| text.filter(|text| !text.is_empty());
        let value = some(answer.token)
            .or(some(answer.access_token))
            .ok_or_else(|| protocol("its answer holds no token"))?;
        let lifetime = answer.expires_in.as_u64().unwrap_or(DEFAULT_LIFETIME);
        let lifetime = Duration::from_secs(lifetime.min(LONGEST_LIFETIME));
        let used = lifetime.saturating_sub(MARGIN).max(lifetime / 2);
        Ok(Token { value: Secret::new(value), until: Instant::now() + used })
    }

    /// A credential never goes over plain HTTP unless the operator named the host.
    fn check_carries(&self, http: &Http, to: &Url) -> Result<()> {
        if http.policy.may_carry_credential(to) {
            return Ok(());
        }
        let host = authority(to);
        Err(self.unauthorized(&format!(
            "a credential would go to {host} over plain HTTP: name {host} as insecure to allow that"
        )))
    }

    fn basic(&self, username: &str, password: &Secret) -> Result<HeaderValue> {
        let pair = Secret::new(format!("{username}:{}", password.expose()));
        let encoded = Secret::new(STANDARD.encode(pair.expose()));
        self.sensitive("Basic ", encoded.expose())
    }

    fn sensitive(&self, scheme: &str, value: &str) -> Result<HeaderValue> {
        let text = Secret::new(format!("{scheme}{value}"));
        let mut header = HeaderValue::from_str(text.expose())
            .map_err(|_| self.unauthorized("the token holds characters that no token has"))?;
        header.set_sensitive(true);
        Ok(header)
    }

    fn unauthorized(&self, why: &str) -> Fault {
        let what = format!("authenticating to the registry {}", self.registry);
        Fault::new(ErrorKind::Unauthorized, what, why)
    }

    fn learnt(&self) -> std::sync::MutexGuard<'_, Learnt> {
        self.learnt.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where tokens are had.
struct Endpoint<'a> {
    realm: &'a Url,
    service: Option<String>,
    /// The scope that the registry named.
    asked: Option<String>,
}

impl Endpoint<'_> {
    fn host(&self) -> String {
        authority(self.realm)
    }

    /// What we need, and what the registry says that we need where that is said in other words.
    fn scopes(&self, needed: &str) -> Vec<String> {
        let asked = self.asked.as_ref().filter(|asked| !needed.starts_with(asked.as_str()));
        std::iter::once(needed.to_owned()).chain(asked.cloned()).collect()
    }
}
