//! Tokens of Google Cloud: Google's own library finds the credentials, and keeps and renews the token.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chains_core::{Error, ErrorKind, Result, Secret, chain};
use google_cloud_auth::credentials::{AccessTokenCredentials, Builder, service_account};
use serde_json::Value;

use crate::{GrafeasOptions, Variables};

/// The one scope of Container Analysis: <https://cloud.google.com/container-analysis/docs/reference/rest>.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const FILE: &str = "GOOGLE_APPLICATION_CREDENTIALS";
const WHAT: &str = "asking for a token of Google Cloud";
const ADVICE: &str = "give the pod's service account access by workload identity, or name a file of credentials in \
                      GOOGLE_APPLICATION_CREDENTIALS";

/// Where tokens come from.
#[derive(Debug)]
pub(crate) struct Tokens {
    variables: Variables,
    limit: Duration,
    /// Looked for when first needed: reading some credentials starts work in the background.
    found: Mutex<Option<Arc<AccessTokenCredentials>>>,
}

impl Tokens {
    pub(crate) fn new(options: &GrafeasOptions) -> Self {
        let limit = options.limits.request_timeout;
        Self { variables: options.variables.clone(), limit, found: Mutex::default() }
    }

    /// A token that is good for now.
    ///
    /// # Errors
    /// Says where credentials may be, and whether to try again.
    pub(crate) async fn token(&self) -> Result<Secret> {
        let asking = self.ask(|| find(&self.variables));
        match tokio::time::timeout(self.limit, asking).await {
            Ok(token) => token,
            Err(_) => Err(Error::new(ErrorKind::Timeout, WHAT)
                .with_source(format!("no answer within {:?}: {ADVICE}", self.limit))),
        }
    }

    async fn ask(&self, find: impl FnOnce() -> Result<AccessTokenCredentials>) -> Result<Secret> {
        let found = self.found(find)?;
        let error = match found.access_token().await {
            Ok(token) => return Ok(Secret::new(token.token)),
            Err(error) => error,
        };
        if !error.is_transient() {
            self.forget(&found);
        }
        let why = format!("{}: {ADVICE}", chains_http::line(&chain(&error)));
        // Who is refused today may be let in tomorrow, and is then: whatever refused, it was a service and not the key.
        Err(Error::new(ErrorKind::Unauthorized, WHAT).with_source(why).with_retryable(true))
    }

    fn found(
        &self,
        find: impl FnOnce() -> Result<AccessTokenCredentials>,
    ) -> Result<Arc<AccessTokenCredentials>> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = &*found {
            return Ok(Arc::clone(found));
        }
        Ok(Arc::clone(found.insert(Arc::new(find()?))))
    }

    /// After what it takes for final, the library never asks again: only others will.
    fn forget(&self, spent: &Arc<AccessTokenCredentials>) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if found.as_ref().is_some_and(|found| Arc::ptr_eq(found, spent)) {
            *found = None;
        }
    }
}

/// What Google calls Application Default Credentials.
fn find(variables: &Variables) -> Result<AccessTokenCredentials> {
    let failed = |why: String| {
        Error::new(ErrorKind::Configuration, "looking for credentials of Google Cloud")
            .with_source(format!("{why}: {ADVICE}"))
    };
    if !variables.are_given() {
        let builder = Builder::default().with_scopes([SCOPE]);
        return builder.build_access_token_credentials().map_err(|e| failed(chain(&e)));
    }
    // The library reads the process's variables alone: where others are given, we read the file of a service account.
    let path = variables.get(FILE).ok_or_else(|| failed(format!("{FILE} is not set")))?;
    let text = Secret::new(
        std::fs::read_to_string(&path).map_err(|e| failed(format!("reading {path}: {e}")))?,
    );
    // The parser's own words stay out: they may quote a key.
    let json: Value = serde_json::from_str(text.expose())
        .map_err(|_unreadable| failed(format!("{path} is not JSON")))?;
    let scopes = service_account::AccessSpecifier::from_scopes([SCOPE]);
    service_account::Builder::new(json)
        .with_access_specifier(scopes)
        .build_access_token_credentials()
        .map_err(|e| failed(chain(&e)))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use axum::http::StatusCode;
    use google_cloud_auth::credentials::mds;

    use super::*;

    /// A metadata server that refuses once, with many words.
    async fn metadata() -> String {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let app = Router::new().fallback(move || {
            let first = asked.fetch_add(1, Ordering::Relaxed) == 0;
            async move {
                if first {
                    return (StatusCode::FORBIDDEN, format!("no\u{7} rights{}", "!".repeat(9000)));
                }
                let token = r#"{"access_token":"good","expires_in":3600,"token_type":"Bearer"}"#;
                (StatusCode::OK, token.to_owned())
            }
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        address
    }

    #[tokio::test]
    async fn who_was_refused_asks_again() {
        let address = metadata().await;
        let find = || {
            let builder = mds::Builder::default().with_endpoint(&address);
            Ok(builder.build_access_token_credentials().unwrap())
        };
        let tokens = Tokens::new(&GrafeasOptions::new("p"));
        let error = tokens.ask(find).await.unwrap_err();
        let report = error.report();
        assert!(error.kind() == ErrorKind::Unauthorized && error.is_retryable(), "{report}");
        assert!(report.contains(ADVICE) && report.len() < 1000, "{report}");
        assert!(!report.contains('\u{7}'), "{report}");
        assert_eq!(tokens.ask(find).await.unwrap().expose(), "good");
        let nobody = || -> Result<_> { panic!("they are kept") };
        assert_eq!(tokens.ask(nobody).await.unwrap().expose(), "good");
    }
}
