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

use super::{Connector, Place, Service};
use crate::{Fresh, Kept, Variables};

/// Credentials are replaced so long before they expire, if that can be done.
const MARGIN: Duration = Duration::from_secs(120);

/// What the environment says about AWS.
pub(super) async fn load(
    service: &Service,
    place: &Place,
    connector: &Connector,
    variables: &Variables,
) -> SdkConfig {
    if !variables.are_given() {
        let mut loader =
            aws_config::defaults(BehaviorVersion::latest()).http_client(connector.clone());
        if let Some(region) = place.region.as_ref().filter(|_| place.credentials_there) {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(profile) = &place.profile {
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
    let of_service = format!("AWS_ENDPOINT_URL_{}", service.id.to_ascii_uppercase());
    builder.set_endpoint_url(variables.first(&[&of_service, "AWS_ENDPOINT_URL"]));
    builder.build()
}

/// The credentials at hand.
#[derive(Debug)]
pub(super) struct Wallet {
    provider: SharedCredentialsProvider,
    kept: Kept<Credentials>,
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
        Ok(Self { provider, kept: Kept::new() })
    }

    pub(super) async fn credentials(&self) -> Result<Arc<Credentials>> {
        let fetch = |_| async {
            let value = self.provider.provide_credentials().await.map_err(not_found)?;
            let left = |expiry: SystemTime| expiry.duration_since(SystemTime::now());
            let lifetime = value.expiry().map(|expiry| left(expiry).unwrap_or_default());
            Ok(Fresh { value, lifetime, margin: MARGIN })
        };
        self.kept.get(fetch).await
    }

    /// Forgets credentials that were refused.
    pub(super) fn forget(&self, refused: &Arc<Credentials>) {
        self.kept.forget(refused);
    }
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
