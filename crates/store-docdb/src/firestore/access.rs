//! The service's address and its tokens, as Google's tools find them.

use chains_core::{Error, ErrorKind, Result, Secret};
use chains_http::{Variables, is_loopback, line};
use google_cloud_auth::credentials::{self, CacheableResource, Credentials};
use http::{Extensions, HeaderMap, HeaderValue, header};
use reqwest::Url;
use serde_json::Value;

/// <https://cloud.google.com/firestore/docs/reference/rest#oauth2_scopes>
const SCOPE: &str = "https://www.googleapis.com/auth/datastore";
/// Host and port of an emulator, which is spoken to over plain HTTP and lets in anyone.
const EMULATOR: &str = "FIRESTORE_EMULATOR_HOST";
/// Another address in place of the service's own, as the `gcloud` command reads it.
const ENDPOINT: &str = "CLOUDSDK_API_ENDPOINT_OVERRIDES_FIRESTORE";
const ADVICE: &str = "give the pod's service account access by workload identity, or name a file of credentials in \
                      GOOGLE_APPLICATION_CREDENTIALS";

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
        Ok(Self { base: guarded(ENDPOINT, &base)?, tokens: Tokens::Google(credentials) })
    }

    #[cfg(test)]
    pub(super) fn of(credentials: Credentials) -> Self {
        let base = Url::parse("https://127.0.0.1:1/").unwrap();
        Self { base, tokens: Tokens::Google(credentials) }
    }

    /// The library keeps the token, and replaces it in time.
    ///
    /// # Errors
    /// Where none is given out, and whether that is final here: the library never asks again then, and only another
    /// [`Access`] will.
    pub(super) async fn headers(&self) -> std::result::Result<HeaderMap, (Error, bool)> {
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
            Ok(CacheableResource::NotModified) => Err((no_token("there are none"), false)),
            Err(error) => {
                let is_final = !error.is_transient();
                Err((no_token(&chains_core::chain(&error)), is_final))
            }
        }
    }
}

/// Who is refused today may be let in tomorrow, and is then: whatever refused, it was a service and not the key.
fn no_token(why: &str) -> Error {
    Error::new(ErrorKind::Unauthorized, "asking for a token of Google Cloud")
        .with_source(format!("{}: {ADVICE}", line(why)))
        .with_retryable(true)
}

fn url(variable: &str, text: &str) -> Result<Url> {
    let refused = |why: &str| {
        Error::new(ErrorKind::Configuration, format!("reading {variable}"))
            .with_source(why.to_owned())
    };
    let url = Url::parse(&format!("{}/", text.trim_end_matches('/')))
        .map_err(|e| refused(&e.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refused("it is no address of a server: it must begin with https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("it names a user: leave that out, tokens are shown there"));
    }
    Ok(url)
}

/// The address that a token is shown to.
fn guarded(variable: &str, text: &str) -> Result<Url> {
    let url = url(variable, text)?;
    if url.scheme() == "https" || is_loopback(&url) {
        return Ok(url);
    }
    let why = "over http:// a token would be shown to whoever listens: use https://, or name an emulator in \
               FIRESTORE_EMULATOR_HOST";
    Err(Error::new(ErrorKind::Configuration, format!("reading {variable}")).with_source(why))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_not_shown_to_whoever_listens() {
        let is_good = |text: &str| guarded(ENDPOINT, text).is_ok();
        assert!(is_good("https://firestore.example.com") && is_good("http://127.0.0.1:1/base"));
        assert!(is_good("http://[::1]:1") && is_good("http://localhost"));
        assert!(!is_good("http://127.0.0.1.example.com"));
        let check = |text: &str, words: &str| {
            let error = guarded(ENDPOINT, text).unwrap_err();
            let report = error.report();
            assert_eq!(error.kind(), ErrorKind::Configuration, "{report}");
            assert!(report.contains(words) && !report.contains("hunter2"), "{report}");
        };
        check("http://firestore.example.com", "use https://");
        check("https://u:hunter2@firestore.example.com", "it names a user");
        check("ftp://a", "no address of a server");
        url(EMULATOR, "http://emulator:8080").unwrap();
    }
}
