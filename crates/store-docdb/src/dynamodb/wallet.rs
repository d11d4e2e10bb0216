//! Credentials, where AWS's own tools find them: variables, files of profiles, web identities (IRSA), containers (EKS
//! Pod Identity, ECS), machines (EC2).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_config::sts::AssumeRoleProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use chains_core::{Error, ErrorKind, Result, chain};
use chains_http::Variables;
use tokio::sync::Mutex;

use super::api::Used;
use super::connector::Connector;
use crate::Table;

/// Credentials are replaced so long before they expire, if that can be done.
const MARGIN: Duration = Duration::from_secs(120);
/// What expires so soon may do so on the way.
const TRANSIT: Duration = Duration::from_secs(2);

/// What the environment says about AWS.
pub(super) async fn load(connector: &Connector, variables: &Variables, table: &Table) -> SdkConfig {
    if !variables.are_given() {
        let mut loader =
            aws_config::defaults(BehaviorVersion::latest()).http_client(connector.clone());
        if let Some(region) = &table.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(profile) = &table.profile {
            loader = loader.profile_name(profile);
        }
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
    let mut builder = SdkConfig::builder()
        .region(get("AWS_REGION").map(Region::new))
        .credentials_provider(SharedCredentialsProvider::new(credentials));
    builder.set_endpoint_url(get("AWS_ENDPOINT_URL_DYNAMODB").or_else(|| get("AWS_ENDPOINT_URL")));
    builder.build()
}

/// The credentials at hand.
#[derive(Debug)]
pub(super) struct Wallet {
    provider: SharedCredentialsProvider,
    held: Mutex<Option<Used>>,
}

impl Wallet {
    /// # Errors
    /// Where there is no place to find credentials in.
    pub(super) async fn new(sdk: &SdkConfig, role: Option<&str>) -> Result<Self> {
        let provider = match role {
            Some(role) => {
                let assumed = AssumeRoleProvider::builder(role).configure(sdk);
                SharedCredentialsProvider::new(assumed.session_name("chains").build().await)
            }
            None => sdk.credentials_provider().ok_or_else(|| {
                Error::new(ErrorKind::Configuration, "looking for credentials of AWS")
                    .with_source("no place to look in is configured")
            })?,
        };
        Ok(Self { provider, held: Mutex::new(None) })
    }

    /// One fetches for all; what is good is used on where fetching fails.
    pub(super) async fn credentials(&self) -> Result<Used> {
        let mut held = self.held.lock().await;
        if let Some(good) = held.as_ref().filter(|it| lives(it, MARGIN)) {
            return Ok(Arc::clone(good));
        }
        match (self.provider.provide_credentials().await, held.as_ref()) {
            (Ok(fresh), _) => Ok(Arc::clone(held.insert(Arc::new(fresh)))),
            (Err(error), Some(old)) if lives(old, TRANSIT) => {
                let error = not_found(error);
                tracing::warn!(error = %error.report(), "the credentials at hand are used on");
                Ok(Arc::clone(old))
            }
            (Err(error), _) => Err(not_found(error)),
        }
    }

    /// Forgets credentials that were refused.
    pub(super) async fn forget(&self, refused: &Used) {
        self.held.lock().await.take_if(|held| Arc::ptr_eq(held, refused));
    }
}

fn lives(credentials: &Credentials, longer: Duration) -> bool {
    credentials.expiry().is_none_or(|expiry| expiry > SystemTime::now() + longer)
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
    // It lists the places that it looked in, each in a line.
    let why = chain(&error).lines().map(str::trim).collect::<Vec<_>>().join(" ");
    Error::new(kind, "looking for credentials of AWS").with_source(why).with_retryable(retryable)
}
