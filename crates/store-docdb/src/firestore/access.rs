//! The service's address and its tokens, as Google's tools find them.

use chains_core::{Error, ErrorKind, Result, Secret};
use google_cloud_auth::credentials::{self, CacheableResource, Credentials};
use http::{Extensions, HeaderMap, HeaderValue, header};
use reqwest::Url;
use serde_json::Value;

use crate::Variables;

/// <https://cloud.google.com/firestore/docs/reference/rest#oauth2_scopes>
const SCOPE: &str = "https://www.googleapis.com/auth/datastore";
/// Host and port of an emulator, which is spoken to over plain HTTP and lets in anyone.
const EMULATOR: &str = "FIRESTORE_EMULATOR_HOST";
/// Another address in place of the service's own, as the `gcloud` command reads it.
const ENDPOINT: &str = "CLOUDSDK_API_ENDPOINT_OVERRIDES_FIRESTORE";

/// Where the service is and what lets us in.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) base: Url,
    tokens: Tokens,
}

#[derive(Debug)]
enum Tokens {
    Emulator,
    Google(Credentials),
}

impl Access {
    /// # Errors
    /// [`ErrorKind::Configuration`] where no credentials are found or the address is none.
    pub(super) async fn find(variables: &Variables) -> Result<Self> {
        if let Some(host) = variables.get(EMULATOR) {
            return Ok(Self {
                base: url(EMULATOR, &format!("http://{host}"))?,
                tokens: Tokens::Emulator,
            });
        }
        let credentials = credentials(variables)?;
        let base = match variables.get(ENDPOINT) {
            Some(endpoint) => endpoint,
            None => {
                let universe = match variables.get("GOOGLE_CLOUD_UNIVERSE_DOMAIN") {
                    Some(universe) => Some(universe),
                    None => credentials.universe_domain().await,
                };
                let universe = universe.unwrap_or_else(|| "googleapis.com".to_owned());
                format!("https://firestore.{universe}")
            }
        };
        Ok(Self { base: url(ENDPOINT, &base)?, tokens: Tokens::Google(credentials) })
    }

    /// The library keeps the token, and replaces it in time.
    ///
    /// # Errors
    /// Where none is given out.
    pub(super) async fn headers(&self) -> Result<HeaderMap> {
        let credentials = match &self.tokens {
            Tokens::Emulator => {
                // Its word for whoever may do everything.
                let owner = HeaderValue::from_static("Bearer owner");
                return Ok([(header::AUTHORIZATION, owner)].into_iter().collect());
            }
            Tokens::Google(credentials) => credentials,
        };
        match credentials.headers(Extensions::new()).await {
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

fn url(variable: &str, text: &str) -> Result<Url> {
    Url::parse(&format!("{}/", text.trim_end_matches('/'))).map_err(|e| {
        Error::new(ErrorKind::Configuration, format!("reading {variable}"))
            .with_source(e.to_string())
    })
}

/// What Google calls Application Default Credentials.
fn credentials(variables: &Variables) -> Result<Credentials> {
    let what = "looking for credentials of Google Cloud";
    let failed = |why: String| Error::new(ErrorKind::Configuration, what).with_source(why);
    if !variables.are_given() {
        let builder = credentials::Builder::default().with_scopes([SCOPE]);
        return builder.build().map_err(|e| failed(chains_core::chain(&e)));
    }
    // The library reads the process's variables alone: where others are given, we read the file of a service account.
    let path = variables.get("GOOGLE_APPLICATION_CREDENTIALS");
    let path =
        path.ok_or_else(|| failed("GOOGLE_APPLICATION_CREDENTIALS is not set".to_owned()))?;
    let text = Secret::new(std::fs::read_to_string(&path).map_err(|e| failed(e.to_string()))?);
    let key: Value =
        serde_json::from_str(text.expose()).map_err(|_| failed(format!("{path} is not JSON")))?;
    let scopes = credentials::service_account::AccessSpecifier::from_scopes([SCOPE]);
    credentials::service_account::Builder::new(key)
        .with_access_specifier(scopes)
        .build()
        .map_err(|e| failed(chains_core::chain(&e)))
}
