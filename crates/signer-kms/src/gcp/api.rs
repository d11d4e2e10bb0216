//! One call of Cloud KMS, and what its failures mean.

use chains_core::{Error, ErrorKind, Result};
use chains_http::google::{self, Tokens, Want};
use chains_http::{Answer, Refusal, Tls, Variables};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, RequestBuilder, Url};
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::http as exchange;
use crate::{GcpKey, KmsOptions};

/// <https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys.cryptoKeyVersions/asymmetricSign>
const SCOPE: &str = "https://www.googleapis.com/auth/cloudkms";
/// Another address in place of the service's own, as the `gcloud` command reads it.
const ENDPOINT: &str = "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS";

/// The service.
#[derive(Debug)]
pub(super) struct Api {
    client: Client,
    variables: Variables,
    tokens: Tokens,
    /// Asked when first needed: the credentials may say it.
    base: OnceCell<Url>,
}

impl Api {
    pub(super) fn new(key: &GcpKey, options: &KmsOptions) -> Result<Self> {
        let builder = exchange::client(options, Tls::default())?;
        let client = chains_http::build(&format!("using {}", key.reference), builder)?;
        let limit = options.limits.request_timeout;
        let want = Want { scope: SCOPE, advice: "", limit, may_be_final: true };
        let variables = options.variables.clone();
        let tokens = Tokens::new(&variables, want);
        Ok(Self { client, variables, tokens, base: OnceCell::new() })
    }

    /// # Errors
    /// Everything but success.
    pub(super) async fn get(
        &self,
        what: &str,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Answer> {
        let mut url = self.url(what, path).await?;
        for (name, value) in query.iter().filter(|(_, value)| !value.is_empty()) {
            url.query_pairs_mut().append_pair(name, value);
        }
        self.call(what, self.client.get(url)).await
    }

    /// # Errors
    /// Everything but success.
    pub(super) async fn post(&self, what: &str, path: &str, body: &Value) -> Result<Answer> {
        let request = self.client.post(self.url(what, path).await?);
        let request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        self.call(what, request).await
    }

    async fn call(&self, what: &str, request: RequestBuilder) -> Result<Answer> {
        let shown = self.tokens.shown().await.map_err(|e| e.context(what))?;
        let answer = exchange::send(what, request.headers(shown.headers)).await?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        let refusal = google::refusal(&answer);
        Err(answer.fault(what, kind(&refusal, &answer), &refusal, "", &[&shown.token]))
    }

    async fn url(&self, what: &str, path: &str) -> Result<Url> {
        let base = self.base.get_or_try_init(|| self.find()).await.map_err(|e| e.context(what))?;
        base.join(&format!("v1/{path}"))
            .map_err(|e| Error::new(ErrorKind::Configuration, what).with_source(e.to_string()))
    }

    async fn find(&self) -> Result<Url> {
        let base = match self.variables.get(ENDPOINT) {
            Some(endpoint) => endpoint,
            None => format!("https://cloudkms.{}", self.tokens.domain().await?),
        };
        Url::parse(&format!("{}/", base.trim_end_matches('/'))).map_err(|e| {
            Error::new(ErrorKind::Configuration, format!("reading {ENDPOINT}"))
                .with_source(e.to_string())
        })
    }
}

fn kind(refusal: &Refusal, answer: &Answer) -> ErrorKind {
    match refusal.code.as_str() {
        // A version that is disabled, destroyed, or not made yet.
        "FAILED_PRECONDITION" => ErrorKind::Key,
        "ABORTED" => ErrorKind::Conflict,
        "DEADLINE_EXCEEDED" => ErrorKind::Timeout,
        _ => exchange::kind(answer.status),
    }
}
