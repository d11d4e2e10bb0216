//! Tokens: found once, kept and renewed, and looked for again after a refusal.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chains_core::{Error, ErrorKind, Result, Secret, chain};
use google_cloud_auth::credentials::{
    AccessTokenCredentials, Builder, CacheableResource, CredentialsProvider as _, external_account,
    service_account,
};
use google_cloud_auth::errors::CredentialsError;
use http::Extensions;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use serde_json::Value;

use crate::{Variables, line};

const FILE: &str = "GOOGLE_APPLICATION_CREDENTIALS";
/// Another domain of the same services, as Google's libraries read it.
const UNIVERSE: &str = "GOOGLE_CLOUD_UNIVERSE_DOMAIN";
const WHAT: &str = "asking for a token of Google Cloud";

/// What a service wants of a token, and what is told where there is none.
#[derive(Debug, Clone, Copy)]
pub struct Want {
    /// The scope that it must have.
    pub scope: &'static str,
    /// What to do where there are no credentials, or where they are refused; may be empty.
    pub advice: &'static str,
    /// How long to wait for a token.
    pub limit: Duration,
    /// Whether it is final where credentials that are named are refused. The metadata server of Google Cloud may always
    /// change its mind: it refuses until it knows a new pod or its service account.
    pub may_be_final: bool,
}

/// Where tokens come from.
pub struct Tokens {
    variables: Variables,
    want: Want,
    /// Looked for when needed: reading some credentials starts work in the background.
    found: Mutex<Option<Arc<AccessTokenCredentials>>>,
}

/// What is shown to a service.
#[derive(Debug)]
pub struct Shown {
    /// The headers: the token, and who pays where the credentials say so.
    pub headers: HeaderMap,
    /// The token in them, which must not be told.
    pub token: Secret,
}

impl Tokens {
    /// Looks for nothing yet: that is for the first token.
    #[must_use]
    pub fn new(variables: &Variables, want: Want) -> Self {
        Self { variables: variables.clone(), want, found: Mutex::default() }
    }

    /// A token that is good for now.
    ///
    /// # Errors
    /// Says where credentials may be, and whether to try again.
    pub async fn token(&self) -> Result<Secret> {
        let found = self.found()?;
        let token = self.answered(&found, found.access_token()).await?;
        Ok(Secret::new(token.token))
    }

    /// Headers with a token that is good for now.
    ///
    /// # Errors
    /// As of [`Tokens::token`].
    pub async fn shown(&self) -> Result<Shown> {
        let found = self.found()?;
        let headers = match self.answered(&found, found.headers(Extensions::new())).await? {
            CacheableResource::New { data, .. } => data,
            // It is asked for what has changed since nothing was had.
            CacheableResource::NotModified => return Err(self.no_token("there is none")),
        };
        let token = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = Secret::new(token.unwrap_or_default().trim_start_matches("Bearer "));
        Ok(Shown { headers, token })
    }

    /// The domain of the services that the credentials are for.
    ///
    /// # Errors
    /// As of [`Tokens::token`].
    pub async fn domain(&self) -> Result<String> {
        if let Some(domain) = self.variables.get(UNIVERSE) {
            return Ok(domain);
        }
        let found = self.found()?;
        // The library tells no domain also where whoever knows it refuses or does not answer: who gave a token does.
        self.answered(&found, found.access_token()).await?;
        let asking = async { Ok(found.universe_domain().await) };
        let domain = self.answered(&found, asking).await?;
        Ok(domain.unwrap_or_else(|| "googleapis.com".to_owned()))
    }

    async fn answered<T>(
        &self,
        found: &Arc<AccessTokenCredentials>,
        asking: impl Future<Output = Result<T, CredentialsError>> + Send,
    ) -> Result<T> {
        let limit = self.want.limit;
        let Ok(answered) = tokio::time::timeout(limit, asking).await else {
            let why = self.with_advice(&format!("no answer within {limit:?}"));
            return Err(Error::new(ErrorKind::Timeout, WHAT).with_source(why));
        };
        answered.map_err(|error| {
            if !error.is_transient() {
                self.forget(found);
            }
            let may_pass =
                error.is_transient() || !self.want.may_be_final || self.may_be_of_metadata();
            self.no_token(&innermost(&error)).with_retryable(may_pass)
        })
    }

    /// Whether it may be the metadata server that refuses.
    fn may_be_of_metadata(&self) -> bool {
        !self.variables.are_given() && self.variables.get(FILE).is_none()
    }

    /// The credentials at hand, or new ones.
    fn found(&self) -> Result<Arc<AccessTokenCredentials>> {
        let mut found = self.lock();
        if let Some(found) = &*found {
            return Ok(Arc::clone(found));
        }
        Ok(Arc::clone(found.insert(Arc::new(self.find()?))))
    }

    /// Looks for credentials anew next time. The library asks nobody again after a refusal that it takes for final, and
    /// repeats that for ever; but what it was for (a role, a file, a pool) may be mended meanwhile. What somebody else found
    /// since stays.
    fn forget(&self, spent: &Arc<AccessTokenCredentials>) {
        self.lock().take_if(|found| Arc::ptr_eq(found, spent));
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<AccessTokenCredentials>>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What Google calls Application Default Credentials.
    fn find(&self) -> Result<AccessTokenCredentials> {
        let failed = |why: &str| {
            let what = "looking for credentials of Google Cloud";
            Error::new(ErrorKind::Configuration, what).with_source(self.with_advice(why))
        };
        let scopes = [self.want.scope];
        if !self.variables.are_given() {
            let builder = Builder::default().with_scopes(scopes);
            return builder.build_access_token_credentials().map_err(|e| failed(&chain(&e)));
        }
        // The library reads the process's variables alone: where others are given, we read the file.
        let path = self.variables.get(FILE).ok_or_else(|| failed(&format!("{FILE} is not set")))?;
        let text = std::fs::read_to_string(&path);
        let text = Secret::new(text.map_err(|e| failed(&format!("reading {path}: {e}")))?);
        // The parser's own words stay out: they may quote a key.
        let json: Value = serde_json::from_str(text.expose())
            .map_err(|_unreadable| failed(&format!("{path} is not JSON")))?;
        let built = match json.get("type").and_then(Value::as_str) {
            Some("service_account") => service_account::Builder::new(json)
                .with_access_specifier(service_account::AccessSpecifier::from_scopes(scopes))
                .build_access_token_credentials(),
            Some("external_account") => external_account::Builder::new(json)
                .with_scopes(scopes)
                .build_access_token_credentials(),
            _ => return Err(failed(&format!("{path} has credentials of another kind"))),
        };
        built.map_err(|e| failed(&chain(&e)))
    }

    fn no_token(&self, why: &str) -> Error {
        Error::new(ErrorKind::Unauthorized, WHAT).with_source(self.with_advice(why))
    }

    fn with_advice(&self, why: &str) -> String {
        match self.want.advice {
            "" => why.to_owned(),
            advice => format!("{why}: {advice}"),
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
fn innermost(error: &dyn StdError) -> String {
    let (mut causes, mut next) = (Vec::new(), Some(error));
    while let Some(error) = next {
        causes.push(error.to_string());
        next = error.source();
    }
    let innermost = causes.get(causes.len().saturating_sub(2)..).unwrap_or_default();
    line(&innermost.join(": "))
}

#[cfg(test)]
mod tests;
