//! Tokens of Google Cloud: Google's own library finds the credentials, and keeps and renews the token.

use std::error::Error as StdError;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chains_core::{Error, ErrorKind, Result, Secret, chain};
use chains_http::Variables;
use google_cloud_auth::credentials::{
    AccessTokenCredentials, Builder, external_account, service_account,
};
use serde_json::Value;

use super::GcsOptions;

/// The least of the scopes that may create objects: <https://cloud.google.com/storage/docs/oauth-scopes>.
const SCOPE: &str = "https://www.googleapis.com/auth/devstorage.read_write";
const FILE: &str = "GOOGLE_APPLICATION_CREDENTIALS";
const WHAT: &str = "asking for a token of Google Cloud";
const ADVICE: &str = "give the pod's service account access by workload identity, name a file of credentials in \
                      GOOGLE_APPLICATION_CREDENTIALS, or run `gcloud auth application-default login`";

/// Where tokens come from.
pub(super) struct Tokens {
    variables: Variables,
    limit: Duration,
    /// Looked for when needed: reading some credentials starts work in the background.
    found: Mutex<Found>,
}

/// Credentials, counted so that nobody throws away those that somebody else found since.
#[derive(Default)]
struct Found {
    count: u64,
    credentials: Option<AccessTokenCredentials>,
}

impl Tokens {
    pub(super) fn new(options: &GcsOptions) -> Self {
        let limit = options.limits.request_timeout;
        Self { variables: options.variables.clone(), limit, found: Mutex::default() }
    }

    /// A token that is good for now.
    ///
    /// # Errors
    /// Says where credentials may be, and whether to try again.
    pub(super) async fn token(&self) -> Result<Secret> {
        match tokio::time::timeout(self.limit, self.ask()).await {
            Ok(token) => token,
            Err(_) => Err(Error::new(ErrorKind::Timeout, WHAT)
                .with_source(format!("no answer within {:?}: {ADVICE}", self.limit))),
        }
    }

    /// The credentials at hand, or new ones.
    fn found(&self) -> Result<(u64, AccessTokenCredentials)> {
        let mut found = self.lock();
        let credentials = match found.credentials.take() {
            Some(credentials) => credentials,
            None => find(&self.variables)?,
        };
        found.credentials = Some(credentials.clone());
        Ok((found.count, credentials))
    }

    /// Looks for credentials anew next time. The library asks nobody again after a refusal that it takes for final, and
    /// repeats that for ever; but what it was for (a role, a file, a pool) may be mended meanwhile.
    fn forget(&self, count: u64) {
        let mut found = self.lock();
        if found.count == count {
            *found = Found { count: count + 1, credentials: None };
        }
    }

    fn lock(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it may be the metadata server that refuses: it does until it knows a new pod or its service account.
    fn may_ask_metadata(&self) -> bool {
        !self.variables.are_given() && self.variables.get(FILE).is_none()
    }

    async fn ask(&self) -> Result<Secret> {
        let (count, found) = self.found()?;
        match found.access_token().await {
            Ok(token) => Ok(Secret::new(token.token)),
            Err(error) => {
                if !error.is_transient() {
                    self.forget(count);
                }
                let retryable = error.is_transient() || self.may_ask_metadata();
                let why = format!("{}: {ADVICE}", root(&error));
                Err(Error::new(ErrorKind::Unauthorized, WHAT)
                    .with_source(why)
                    .with_retryable(retryable))
            }
        }
    }
}

impl fmt::Debug for Tokens {
    /// The names of variables alone: credentials hold keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("variables", &self.variables).finish_non_exhaustive()
    }
}

/// The innermost two causes: the library wraps them in much advice of its own, again and again.
fn root(error: &dyn StdError) -> String {
    const MAX_TOLD: usize = 400;
    let (mut causes, mut next) = (Vec::new(), Some(error));
    while let Some(error) = next {
        causes.push(error.to_string());
        next = error.source();
    }
    let innermost = causes.get(causes.len().saturating_sub(2)..).unwrap_or_default();
    let told = innermost.join(": ");
    told.chars().filter(|c| !c.is_control()).take(MAX_TOLD).collect()
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
    // The library reads the process's variables alone: where others are given, we read the file.
    let path = variables.get(FILE).ok_or_else(|| failed(format!("{FILE} is not set")))?;
    let text = Secret::new(
        std::fs::read_to_string(&path).map_err(|e| failed(format!("reading {path}: {e}")))?,
    );
    // The parser's own words stay out: they may quote a key.
    let json: Value = serde_json::from_str(text.expose())
        .map_err(|_unreadable| failed(format!("{path} is not JSON")))?;
    let built = match json.get("type").and_then(Value::as_str) {
        Some("service_account") => {
            let scopes = service_account::AccessSpecifier::from_scopes([SCOPE]);
            service_account::Builder::new(json)
                .with_access_specifier(scopes)
                .build_access_token_credentials()
        }
        Some("external_account") => external_account::Builder::new(json)
            .with_scopes([SCOPE])
            .build_access_token_credentials(),
        _ => return Err(failed(format!("{path} has credentials of another kind"))),
    };
    built.map_err(|e| failed(chain(&e)))
}
