//! Azure Blob Storage. A store of our own.

use std::path::PathBuf;

use async_trait::async_trait;
use chains_core::Result;
use object_store::azure::{AzureConfigKey as Key, MicrosoftAzure, MicrosoftAzureBuilder};
use reqwest::StatusCode;

use super::bucket::{Bucket, Service};
use super::connector::Connector;
use super::{endpoint, no_retries, only_tls, only_tls_of, unusable};
use crate::fault::Refused;
use crate::http::Client;
use crate::{BucketStore, Limits, Variables};

const NAME: &str = "azblob";
const ENDPOINT: &str = "`storage.azblob.endpoint`";
/// Where credentials belong.
const INSTEAD: &str =
    "use AZURE_STORAGE_SAS_TOKEN for a shared access signature, AZURE_STORAGE_KEY for a key";
/// The account's key; it comes before all others.
const KEY: &[&str] = &["AZURE_STORAGE_KEY", "AZURE_STORAGE_ACCOUNT_KEY"];

/// Credentials, as Azure's tools read them.
const CREDENTIALS: &[(&[&str], Key)] = &[
    (KEY, Key::AccessKey),
    (&["AZURE_STORAGE_SAS_TOKEN"], Key::SasKey),
    (&["AZURE_CLIENT_ID"], Key::ClientId),
    (&["AZURE_CLIENT_SECRET"], Key::ClientSecret),
    (&["AZURE_TENANT_ID"], Key::AuthorityId),
    (&["AZURE_AUTHORITY_HOST"], Key::AuthorityHost),
    (&["AZURE_FEDERATED_TOKEN_FILE"], Key::FederatedTokenFile),
    (&["IDENTITY_ENDPOINT", "MSI_ENDPOINT"], Key::MsiEndpoint),
];

/// Options of [`BucketStore::azblob`].
#[derive(Debug, Clone)]
pub struct AzblobOptions {
    /// The storage account (`storage.azblob.account`).
    pub account: String,
    /// The container (`storage.azblob.container`).
    pub container: String,
    /// Another server than the account's own (`storage.azblob.endpoint`), with the account in its path where the server
    /// wants it there.
    pub endpoint: Option<String>,
    /// What all names begin with (`storage.azblob.prefix`), a folder.
    pub prefix: String,
    /// PEM files with certificate authorities to trust besides the system's.
    pub ca_files: Vec<PathBuf>,
    /// Bounds.
    pub limits: Limits,
    /// Where credentials are read from.
    pub variables: Variables,
}

impl AzblobOptions {
    /// The container, with everything else as the environment has it.
    #[must_use]
    pub fn new(account: impl Into<String>, container: impl Into<String>) -> Self {
        Self {
            account: account.into(),
            container: container.into(),
            endpoint: None,
            prefix: String::new(),
            ca_files: Vec::new(),
            limits: Limits::default(),
            variables: Variables::of_process(),
        }
    }
}

impl BucketStore {
    /// A store in a container of Azure Blob Storage. Nothing is asked of anybody before the first record.
    ///
    /// Credentials are the first of: `AZURE_STORAGE_KEY`, a workload identity (`AZURE_CLIENT_ID`, `AZURE_TENANT_ID`,
    /// `AZURE_FEDERATED_TOKEN_FILE`), an application (`AZURE_CLIENT_SECRET` with these two), `AZURE_STORAGE_SAS_TOKEN`,
    /// the managed identity of the machine.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`](chains_core::ErrorKind::Configuration) where an option cannot be used.
    ///
    /// ```
    /// use chains_core::Store as _;
    /// use chains_store_gcs::{AzblobOptions, BucketStore};
    /// let store = BucketStore::azblob(AzblobOptions::new("account", "provenance"))?;
    /// assert_eq!(store.name(), "azblob");
    /// # Ok::<(), chains_core::Error>(())
    /// ```
    pub fn azblob(options: AzblobOptions) -> Result<Self> {
        let client = Client::new(&options.limits, &options.ca_files)?;
        let mut builder = MicrosoftAzureBuilder::new()
            .with_account(&options.account)
            .with_container_name(&options.container)
            .with_retry(no_retries())
            .with_http_connector(Connector(client));
        let mut base = format!("https://{}.blob.core.windows.net", options.account);
        if let Some(text) = &options.endpoint {
            let url = endpoint(ENDPOINT, text, INSTEAD)?;
            // A key signs requests and stays here; everything else is shown.
            if options.variables.first(KEY).is_none() {
                only_tls(ENDPOINT, &url)?;
            }
            base = url.into();
            builder = builder.with_endpoint(base.clone());
        }
        only_tls_of(&options.variables, &["AZURE_AUTHORITY_HOST"])?;
        for (names, key) in CREDENTIALS {
            if let Some(value) = options.variables.first(names) {
                builder = builder.with_config(*key, value);
            }
        }
        let objects = builder.build().map_err(|e| unusable(NAME, &e))?;
        let base = base.trim_end_matches('/').to_owned();
        let service =
            Azblob { base, container: options.container.clone(), objects: objects.clone() };
        let bucket =
            Bucket { service, objects, holds_to_preconditions: options.endpoint.is_none() };
        Ok(Self::new(NAME, &options.prefix, Box::new(bucket)))
    }
}

/// What is particular to Azure.
struct Azblob {
    base: String,
    container: String,
    objects: MicrosoftAzure,
}

#[async_trait]
impl Service for Azblob {
    fn url(&self, name: &str) -> String {
        format!("{}/{}/{name}", self.base, self.container)
    }

    fn missing(&self) -> String {
        let container = &self.container;
        format!(
            "create the container (`az storage container create --name {container}`), or correct \
             `storage.azblob.container`"
        )
    }

    fn advice(&self, refused: &Refused) -> Option<String> {
        match (refused.code.as_str(), refused.status) {
            ("AuthorizationPermissionMismatch" | "AuthorizationFailure", _) => Some(format!(
                "assign the role `Storage Blob Data Contributor` on the container `{}`, or one with the data actions \
                 `…/containers/blobs/read` and `…/containers/blobs/add/action`; with a shared key or a SAS, correct \
                 that: a SAS takes the permissions `r`, `c` and `l`",
                self.container
            )),
            ("AuthenticationFailed" | "InvalidAuthenticationInfo" | "NoAuthenticationInformation", _)
            | (_, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => Some(
                "the credentials are not valid for this account, or no longer: correct AZURE_STORAGE_KEY, \
                 AZURE_STORAGE_SAS_TOKEN, or the workload identity of the pod's service account"
                    .to_owned(),
            ),
            _ => None,
        }
    }

    fn no_credentials(&self) -> String {
        "set AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN, or give the pod's service account a workload identity"
            .to_owned()
    }

    /// The metadata service of machines tells so to ask again: it knows a new machine's identity late.
    fn may_come(&self, refused: &Refused) -> bool {
        matches!(refused.status, StatusCode::NOT_FOUND | StatusCode::GONE)
    }

    async fn credentials(&self) -> object_store::Result<()> {
        self.objects.credentials().get_credential().await.map(drop)
    }
}
