//! The service's address and what lets us in, as Google's tools find them.

use std::time::Duration;

use chains_core::{Error, ErrorKind, Result, Secret};
use chains_http::google::{Shown, Tokens, Want};
use chains_http::{Variables, is_loopback};
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use tokio::sync::OnceCell;

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
    variables: Variables,
    /// `None` for an emulator.
    tokens: Option<Tokens>,
    /// Asked when first needed: the credentials may say it.
    base: OnceCell<Url>,
}

impl Access {
    pub(super) fn new(variables: &Variables, limit: Duration) -> Self {
        // Who is refused today may be let in tomorrow, and is then: whatever refused, it was a service and not the key.
        let want = Want { scope: SCOPE, advice: ADVICE, limit, may_be_final: false };
        let is_emulated = variables.get(EMULATOR).is_some();
        let tokens = (!is_emulated).then(|| Tokens::new(variables, want));
        Self { variables: variables.clone(), tokens, base: OnceCell::new() }
    }

    /// The service's address.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] where it is none, or where no credentials are found that would say it.
    pub(super) async fn base(&self) -> Result<&Url> {
        self.base.get_or_try_init(|| self.find()).await
    }

    async fn find(&self) -> Result<Url> {
        let Some(tokens) = &self.tokens else {
            let host = self.variables.get(EMULATOR).unwrap_or_default();
            return url(EMULATOR, &format!("http://{host}"));
        };
        let base = match self.variables.get(ENDPOINT) {
            Some(endpoint) => endpoint,
            None => format!("https://firestore.{}", tokens.domain().await?),
        };
        guarded(ENDPOINT, &base)
    }

    /// What is shown to the service.
    ///
    /// # Errors
    /// Where there are no credentials, or no token for them.
    pub(super) async fn shown(&self) -> Result<Shown> {
        if let Some(tokens) = &self.tokens {
            return tokens.shown().await;
        }
        // The emulator's word for whoever may do everything.
        let owner = HeaderValue::from_static("Bearer owner");
        let headers = [(AUTHORIZATION, owner)].into_iter().collect();
        Ok(Shown { headers, token: Secret::new("owner") })
    }
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
