//! Tokens of Google Cloud: Google's own library finds the credentials, and keeps and renews the token.

use std::time::Duration;

use chains_core::{Error, ErrorKind, Result, Secret, chain};
use google_cloud_auth::credentials::{AccessTokenCredentials, Builder, service_account};
use serde_json::Value;
use tokio::sync::OnceCell;

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
    found: OnceCell<AccessTokenCredentials>,
}

impl Tokens {
    pub(crate) fn new(options: &GrafeasOptions) -> Self {
        let limit = options.limits.request_timeout;
        Self { variables: options.variables.clone(), limit, found: OnceCell::new() }
    }

    /// A token that is good for now.
    ///
    /// # Errors
    /// Says where credentials may be, and whether to try again.
    pub(crate) async fn token(&self) -> Result<Secret> {
        match tokio::time::timeout(self.limit, self.ask()).await {
            Ok(token) => token,
            Err(_) => Err(Error::new(ErrorKind::Timeout, WHAT)
                .with_source(format!("no answer within {:?}: {ADVICE}", self.limit))),
        }
    }

    async fn ask(&self) -> Result<Secret> {
        let found = self.found.get_or_try_init(async || find(&self.variables)).await?;
        match found.access_token().await {
            Ok(token) => Ok(Secret::new(token.token)),
            Err(error) => {
                let retryable = error.is_transient();
                let why = format!("{}: {ADVICE}", chain(&error));
                Err(Error::new(ErrorKind::Unauthorized, WHAT)
                    .with_source(why)
                    .with_retryable(retryable))
            }
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
