//! One call of Cloud KMS, and what its failures mean.

use chains_core::{Error, ErrorKind, Result, Secret};
use chains_http::{Answer, Refusal, Tls, Variables};
use google_cloud_auth::credentials::{self, CacheableResource, Credentials};
use http::{Extensions, HeaderMap};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Client, RequestBuilder, Url};
use serde::Deserialize;
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
    /// The key and where it is, asked when first needed: reading some credentials starts work in the background.
    found: OnceCell<Found>,
}

#[derive(Debug)]
struct Found {
    base: Url,
    credentials: Credentials,
}

impl Api {
    pub(super) fn new(key: &GcpKey, options: &KmsOptions) -> Result<Self> {
        let builder = exchange::client(options, Tls::default())?;
        let client = chains_http::build(&format!("using {}", key.reference), builder)?;
        Ok(Self { client, variables: options.variables.clone(), found: OnceCell::new() })
    }

    /// # Errors
    /// Everything but success.
    pub(super) async fn get(
        &self,
        what: &str,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Answer> {
        let found = self.found(what).await?;
        let mut url = found.url(what, path)?;
        for (name, value) in query.iter().filter(|(_, value)| !value.is_empty()) {
            url.query_pairs_mut().append_pair(name, value);
        }
        self.call(what, found, self.client.get(url)).await
    }

    /// # Errors
    /// Everything but success.
    pub(super) async fn post(&self, what: &str, path: &str, body: &Value) -> Result<Answer> {
        let found = self.found(what).await?;
        let request = self.client.post(found.url(what, path)?);
        let request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        self.call(what, found, request).await
    }

    async fn call(&self, what: &str, found: &Found, request: RequestBuilder) -> Result<Answer> {
        let headers = found.headers().await.map_err(|e| e.context(what))?;
        let token = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = Secret::new(token.unwrap_or_default().trim_start_matches("Bearer "));
        let answer = exchange::send(what, request.headers(headers)).await?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        let (kind, refusal) = refusal(&answer);
        Err(answer.fault(what, kind, &refusal, "", &[&token]))
    }

    async fn found(&self, what: &str) -> Result<&Found> {
        self.found.get_or_try_init(|| find(&self.variables)).await.map_err(|e| e.context(what))
    }
}

impl Found {
    fn url(&self, what: &str, path: &str) -> Result<Url> {
        self.base
            .join(&format!("v1/{path}"))
            .map_err(|e| Error::new(ErrorKind::Configuration, what).with_source(e.to_string()))
    }

    /// The library keeps the token, and replaces it in time.
    async fn headers(&self) -> Result<HeaderMap> {
        match self.credentials.headers(Extensions::new()).await {
            Ok(CacheableResource::New { data, .. }) => Ok(data),
            Ok(CacheableResource::NotModified) => Err(no_token("there are none")),
            Err(error) => {
                let retryable = error.is_transient();
                Err(no_token(chains_core::chain(&error)).with_retryable(retryable))
            }
        }
    }
}

fn no_token(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unauthorized, "asking for a token of Google Cloud")
        .with_source(why.into())
}

async fn find(variables: &Variables) -> Result<Found> {
    let credentials = credentials(variables)?;
    let base = match variables.get(ENDPOINT) {
        Some(endpoint) => endpoint,
        None => {
            let universe = match variables.get("GOOGLE_CLOUD_UNIVERSE_DOMAIN") {
                Some(universe) => Some(universe),
                None => credentials.universe_domain().await,
            };
            let universe = universe.unwrap_or_else(|| "googleapis.com".to_owned());
            format!("https://cloudkms.{universe}")
        }
    };
    let base = Url::parse(&format!("{}/", base.trim_end_matches('/'))).map_err(|e| {
        Error::new(ErrorKind::Configuration, format!("reading {ENDPOINT}"))
            .with_source(e.to_string())
    })?;
    Ok(Found { base, credentials })
}

/// What Google calls Application Default Credentials.
fn credentials(variables: &Variables) -> Result<Credentials> {
    let what = "looking for credentials of Google Cloud";
    let failed = |why: String| Error::new(ErrorKind::Configuration, what).with_source(why);
    let given = variables.are_given().then(|| variables.get("GOOGLE_APPLICATION_CREDENTIALS"));
    let Some(path) = given.flatten() else {
        let builder = credentials::Builder::default().with_scopes([SCOPE]);
        return builder.build().map_err(|e| failed(chains_core::chain(&e)));
    };
    // The library reads the process's variables alone: where others are given, we read the file of a service account.
    let text = Secret::new(std::fs::read_to_string(&path).map_err(|e| failed(e.to_string()))?);
    let key: Value =
        serde_json::from_str(text.expose()).map_err(|_| failed(format!("{path} is not JSON")))?;
    let scopes = credentials::service_account::AccessSpecifier::from_scopes([SCOPE]);
    credentials::service_account::Builder::new(key)
        .with_access_specifier(scopes)
        .build()
        .map_err(|e| failed(chains_core::chain(&e)))
}

/// <https://cloud.google.com/apis/design/errors>
#[derive(Deserialize, Default)]
struct Failure {
    #[serde(default)]
    error: Told,
}

#[derive(Deserialize, Default)]
struct Told {
    #[serde(default)]
    status: String,
    #[serde(default)]
    message: String,
}

fn refusal(answer: &Answer) -> (ErrorKind, Refusal) {
    let told = serde_json::from_slice::<Failure>(&answer.body).unwrap_or_default().error;
    let kind = match told.status.as_str() {
        // A version that is disabled, destroyed, or not made yet.
        "FAILED_PRECONDITION" => ErrorKind::Key,
        "ABORTED" => ErrorKind::Conflict,
        "DEADLINE_EXCEEDED" => ErrorKind::Timeout,
        _ => exchange::kind(answer.status),
    };
    (kind, Refusal { code: told.status, message: told.message })
}
