//! Credentials, where AWS's own tools find them: variables, files of profiles, web identities (IRSA), containers (EKS
//! Pod Identity, ECS), machines (EC2).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use chains_core::{Error, ErrorKind, Result, chain};

use super::connector::Connector;
use crate::Variables;

/// Credentials are replaced so long before they expire.
const MARGIN: Duration = Duration::from_secs(120);

/// What the environment says about AWS.
pub(super) async fn load(connector: &Connector, variables: &Variables) -> SdkConfig {
    let loader = aws_config::defaults(BehaviorVersion::latest()).http_client(connector.clone());
    if !variables.are_given() {
        return loader.load().await;
    }
    // No files and no metadata services where the variables are not those of the process.
    let get = |name: &str| variables.get(name);
    let credentials = Credentials::new(
        get("AWS_ACCESS_KEY_ID").unwrap_or_default(),
        get("AWS_SECRET_ACCESS_KEY").unwrap_or_default(),
        get("AWS_SESSION_TOKEN"),
        None,
        "given variables",
    );
    let region = get("AWS_REGION").map(aws_config::Region::new);
    let mut builder = SdkConfig::builder()
        .region(region)
        .credentials_provider(SharedCredentialsProvider::new(credentials));
    builder.set_endpoint_url(get("AWS_ENDPOINT_URL_KMS").or_else(|| get("AWS_ENDPOINT_URL")));
    builder.build()
}

/// The credentials at hand.
#[derive(Debug)]
pub(super) struct Wallet {
    provider: SharedCredentialsProvider,
    held: Mutex<Option<Arc<Credentials>>>,
    /// Held by the one who fetches.
    fetching: tokio::sync::Mutex<()>,
}

impl Wallet {
    /// # Errors
    /// Where there is no place to find credentials in.
    pub(super) fn new(sdk: &SdkConfig) -> Result<Self> {
        let provider = sdk.credentials_provider().ok_or_else(|| {
            Error::new(ErrorKind::Configuration, "looking for credentials of AWS")
                .with_source("no place to look in is configured")
        })?;
        let fetching = tokio::sync::Mutex::default();
        Ok(Self { provider, held: Mutex::default(), fetching })
    }

    pub(super) async fn credentials(&self) -> Result<Arc<Credentials>> {
        let held = self.held();
        if let Some(good) = held.clone().filter(|held| lasts(held, MARGIN)) {
            return Ok(good);
        }
        let _only_one = match self.fetching.try_lock() {
            Ok(only_one) => only_one,
            Err(_) => match held.clone().filter(|held| lasts(held, Duration::ZERO)) {
                // While another one replaces them, they still do.
                Some(good) => return Ok(good),
                None => self.fetching.lock().await,
            },
        };
        if let Some(good) = self.held().filter(|held| lasts(held, MARGIN)) {
            return Ok(good);
        }
        match self.provider.provide_credentials().await {
            Ok(fetched) => Ok(self.hold(fetched)),
            Err(error) => match held.filter(|held| lasts(held, Duration::ZERO)) {
                Some(good) => {
                    tracing::warn!(error = chain(&error), "the credentials at hand are used on");
                    Ok(good)
                }
                None => Err(not_found(error)),
            },
        }
    }

    /// Forgets credentials that were refused.
    pub(super) fn forget(&self, refused: &Arc<Credentials>) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.take_if(|held| Arc::ptr_eq(held, refused));
    }

    fn held(&self) -> Option<Arc<Credentials>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn hold(&self, fetched: Credentials) -> Arc<Credentials> {
        let fetched = Arc::new(fetched);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        *held = Some(Arc::clone(&fetched));
        fetched
    }
}

/// Whether they are good for so long.
fn lasts(credentials: &Credentials, margin: Duration) -> bool {
    credentials.expiry().is_none_or(|expiry| expiry > SystemTime::now() + margin)
}

fn not_found(error: CredentialsError) -> Error {
    let kind = match &error {
        CredentialsError::CredentialsNotLoaded(_) | CredentialsError::InvalidConfiguration(_) => {
            ErrorKind::Configuration
        }
        CredentialsError::ProviderTimedOut(_) => ErrorKind::Timeout,
        _ => ErrorKind::Unauthorized,
    };
    // A provider that failed may have been out of reach for a moment.
    let retryable = kind.is_retryable() || matches!(error, CredentialsError::ProviderError(_));
    Error::new(kind, "looking for credentials of AWS").with_source(error).with_retryable(retryable)
}
