//! Tokens of the machine or service that we run on, and of the `az` command.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chains_core::{Error, ErrorKind, Result, Secret};
use chains_http::{Answer, Refusal, secret_header};
use reqwest::header::HeaderValue;
use reqwest::{Client, RequestBuilder, Url};
use serde::Deserialize;
use serde_json::Value;

use super::challenge::Challenge;
use super::wallet::Granted;
use crate::http;

/// <https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token>
pub(super) const METADATA: &str = "http://169.254.169.254";
/// Whoever runs on such a machine has an answer by then, whatever it is.
const PROBE: Duration = Duration::from_secs(1);
/// The command is slow to start, and asks Microsoft Entra.
const COMMAND: Duration = Duration::from_secs(30);
/// Where the answer does not tell.
const DEFAULT_LIFETIME: u64 = 600;

/// A virtual machine, with the identity of one of those assigned to it.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) host: Url,
    pub(super) client_id: Option<String>,
}

/// An app service: <https://learn.microsoft.com/azure/app-service/overview-managed-identity>.
#[derive(Debug)]
pub(super) struct AppService {
    pub(super) endpoint: Url,
    pub(super) header: Secret,
    pub(super) client_id: Option<String>,
}

/// Numbers are texts in some answers.
#[derive(Deserialize)]
struct TokenAnswer {
    #[serde(alias = "accessToken")]
    access_token: String,
    #[serde(default)]
    expires_in: Value,
    /// In seconds since 1970.
    #[serde(default)]
    expires_on: Value,
}

impl Machine {
    /// # Errors
    /// [`ErrorKind::NotFound`] where there is nobody who gives tokens.
    pub(super) async fn probe(&self, what: &str, client: &Client) -> Result<()> {
        let url = self.url(what)?;
        let sent = client.get(url).timeout(PROBE).send().await;
        sent.map(drop).map_err(|e| {
            let why =
                format!("no answer from {METADATA}: {}", chains_core::chain(&e.without_url()));
            Error::new(ErrorKind::NotFound, what).with_source(why)
        })
    }

    pub(super) async fn token(
        &self,
        what: &str,
        client: &Client,
        resource: &str,
    ) -> Result<Granted> {
        let mut url = self.url(what)?;
        url.query_pairs_mut().append_pair("api-version", "2018-02-01");
        let request = client.get(with_query(url, resource, self.client_id.as_deref()));
        granted(what, request.header("Metadata", HeaderValue::from_static("true")), None).await
    }

    fn url(&self, what: &str) -> Result<Url> {
        self.host
            .join("metadata/identity/oauth2/token")
            .map_err(|e| Error::new(ErrorKind::Configuration, what).with_source(e.to_string()))
    }
}

impl AppService {
    pub(super) async fn token(
        &self,
        what: &str,
        client: &Client,
        resource: &str,
    ) -> Result<Granted> {
        let mut url = self.endpoint.clone();
        url.query_pairs_mut().append_pair("api-version", "2019-08-01");
        let url = with_query(url, resource, self.client_id.as_deref());
        let header = secret_header(what, &self.header)?;
        let request = client.get(url).header("X-IDENTITY-HEADER", header);
        granted(what, request, Some(&self.header)).await
    }
}

/// The failure of one who may not be there at all.
pub(super) fn unavailable(what: &str, error: &Error) -> Error {
    let why = std::error::Error::source(error).map(chains_core::chain).unwrap_or_default();
    Error::new(ErrorKind::NotFound, what).with_source(why)
}

fn with_query(mut url: Url, resource: &str, client_id: Option<&str>) -> Url {
    url.query_pairs_mut().append_pair("resource", resource);
    if let Some(client_id) = client_id {
        url.query_pairs_mut().append_pair("client_id", client_id);
    }
    url
}

async fn granted(what: &str, request: RequestBuilder, secret: Option<&Secret>) -> Result<Granted> {
    let answer = http::send(what, request).await?;
    if !answer.status.is_success() {
        return Err(refused(what, &answer, secret));
    }
    Ok(answer.json::<TokenAnswer>(what)?.granted())
}

fn refused(what: &str, answer: &Answer, secret: Option<&Secret>) -> Error {
    let told: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let text = |name: &str| told.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let refusal = Refusal { code: text("error"), message: text("error_description") };
    let kind = match http::kind(answer.status) {
        ErrorKind::Signing => ErrorKind::Unauthorized,
        // The identity is being assigned.
        ErrorKind::NotFound => ErrorKind::Unavailable,
        kind => kind,
    };
    answer.fault(what, kind, &refusal, "", secret.as_slice())
}

impl TokenAnswer {
    fn granted(self) -> Granted {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let lifetime = number(&self.expires_in)
            .or_else(|| Some(number(&self.expires_on)?.saturating_sub(now)))
            .unwrap_or(DEFAULT_LIFETIME);
        let token = Secret::new(self.access_token);
        Granted { token, lifetime: Duration::from_secs(lifetime) }
    }
}

fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// Asks `az account get-access-token`.
///
/// # Errors
/// [`ErrorKind::NotFound`] where there is no such command, or nobody is logged in.
pub(super) async fn command(what: &str, challenge: &Challenge) -> Result<Granted> {
    let missing = |why: String| Error::new(ErrorKind::NotFound, what).with_source(why);
    let mut command = tokio::process::Command::new("az");
    command.args(["account", "get-access-token", "--output", "json", "--resource"]);
    command.arg(&challenge.resource).stdin(std::process::Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(COMMAND, command.output()).await.map_err(|_| {
        let why = format!("the command `az` did not end within {COMMAND:?}");
        Error::new(ErrorKind::Timeout, what).with_source(why)
    })?;
    let output = output.map_err(|e| missing(format!("the command `az` cannot be started: {e}")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let first = said.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        return Err(missing(format!("the command `az` failed: {first}")));
    }
    // The parser's own words stay out: they may quote the token.
    let answer: TokenAnswer = serde_json::from_slice(&output.stdout)
        .map_err(|_| missing("the command `az` printed no token".to_owned()))?;
    Ok(answer.granted())
}
