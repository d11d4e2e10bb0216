//! One call of a vault, and what its failures mean.

use std::sync::{Arc, Mutex, PoisonError};

use chains_core::{Error, ErrorKind, Result, Secret};
use chains_http::{Answer, Refusal, Tls, secret_header};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Client, Method, RequestBuilder, StatusCode, Url};
use serde::Deserialize;
use serde_json::Value;

use super::challenge::Challenge;
use super::wallet::Wallet;
use crate::http;
use crate::{AzureKey, KmsOptions};

const VERSION: &str = "7.4";

/// A vault.
#[derive(Debug)]
pub(super) struct Api {
    client: Client,
    base: Url,
    wallet: Wallet,
    challenge: Mutex<Option<Challenge>>,
}

/// A call.
struct Call<'a> {
    what: &'a str,
    method: Method,
    path: &'a str,
    body: Option<&'a Value>,
}

impl Api {
    pub(super) fn new(key: &AzureKey, options: &KmsOptions) -> Result<Self> {
        let what = format!("using {}", key.reference);
        let base = Url::parse(&format!("https://{}/", key.vault)).map_err(|e| {
            Error::new(ErrorKind::Configuration, what.as_str()).with_source(e.to_string())
        })?;
        let client = chains_http::build(&what, http::client(options, Tls::default())?)?;
        let wallet = Wallet::new(client.clone(), options)?;
        Ok(Self { client, base, wallet, challenge: Mutex::default() })
    }

    /// # Errors
    /// Everything but success.
    pub(super) async fn get(&self, what: &str, path: &str) -> Result<Answer> {
        self.call(&Call { what, method: Method::GET, path, body: None }).await
    }

    /// # Errors
    /// Everything but success.
    pub(super) async fn post(&self, what: &str, path: &str, body: &Value) -> Result<Answer> {
        self.call(&Call { what, method: Method::POST, path, body: Some(body) }).await
    }

    /// Makes the call with a token; once more where the vault does not like it, with what it then asks for.
    async fn call(&self, call: &Call<'_>) -> Result<Answer> {
        let known = self.known();
        let challenge = match known.clone() {
            Some(challenge) => challenge,
            None => self.challenge(call.what).await?,
        };
        let mut token = self.token(call.what, &challenge).await?;
        let mut answer = http::send(call.what, self.request(call, Some(&token.1))?).await?;
        // The tenant may have been moved, and tokens may be revoked before they expire.
        if answer.status == StatusCode::UNAUTHORIZED && known.is_some() {
            self.wallet.forget(&token);
            let challenge = self.read(call.what, &answer)?;
            token = self.token(call.what, &challenge).await?;
            answer = http::send(call.what, self.request(call, Some(&token.1))?).await?;
        }
        if answer.status.is_success() {
            return Ok(answer);
        }
        let (kind, refusal) = refusal(&answer);
        Err(answer.fault(call.what, kind, &refusal, "", &[&token.1]))
    }

    async fn token(&self, what: &str, challenge: &Challenge) -> Result<Arc<(Challenge, Secret)>> {
        self.wallet.token(challenge).await.map_err(|e| e.context(what))
    }

    /// Asks without a token, as the vault's own libraries do, to learn who gives them.
    async fn challenge(&self, what: &str) -> Result<Challenge> {
        let call = Call { what, method: Method::GET, path: "keys", body: None };
        let answer = http::send(what, self.request(&call, None)?).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            let (kind, refusal) = refusal(&answer);
            return Err(answer.fault(what, kind, &refusal, "", &[]));
        }
        self.read(what, &answer)
    }

    fn read(&self, what: &str, answer: &Answer) -> Result<Challenge> {
        let host = self.base.host_str().unwrap_or_default();
        let challenge = Challenge::of(&answer.headers, host)
            .map_err(|why| Error::new(ErrorKind::Unauthorized, what).with_source(why))?;
        let mut known = self.challenge.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some(challenge.clone());
        Ok(challenge)
    }

    fn known(&self) -> Option<Challenge> {
        self.challenge.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn request(&self, call: &Call<'_>, token: Option<&Secret>) -> Result<RequestBuilder> {
        let mut url = self.base.join(call.path).map_err(|e| {
            Error::new(ErrorKind::Configuration, call.what).with_source(e.to_string())
        })?;
        url.query_pairs_mut().append_pair("api-version", VERSION);
        let mut request = self.client.request(call.method.clone(), url);
        if let Some(token) = token {
            let bearer = Secret::new(format!("Bearer {}", token.expose()));
            request = request.header(AUTHORIZATION, secret_header(call.what, &bearer)?);
        }
        Ok(match call.body {
            Some(body) => request.header(CONTENT_TYPE, "application/json").body(body.to_string()),
            None => request,
        })
    }
}

/// <https://learn.microsoft.com/azure/key-vault/general/rest-error-codes>
#[derive(Deserialize, Default)]
struct Failure {
    #[serde(default)]
    error: Told,
}

#[derive(Deserialize, Default)]
struct Told {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
    innererror: Option<Inner>,
}

#[derive(Deserialize)]
struct Inner {
    #[serde(default)]
    code: String,
}

fn refusal(answer: &Answer) -> (ErrorKind, Refusal) {
    let told = serde_json::from_slice::<Failure>(&answer.body).unwrap_or_default().error;
    let inner = told.innererror.map(|inner| inner.code).unwrap_or_default();
    let kind = match inner.as_str() {
        "KeyDisabled" | "KeyExpired" | "KeyNotYetValid" => ErrorKind::Key,
        // It is being made or moved.
        _ if answer.status == StatusCode::CONFLICT => ErrorKind::Conflict,
        _ => http::kind(answer.status),
    };
    let code = if inner.is_empty() { told.code } else { format!("{}/{inner}", told.code) };
    (kind, Refusal { code, message: told.message })
}
