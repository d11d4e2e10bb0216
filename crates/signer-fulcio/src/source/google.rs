//! Tokens of Google: of the metadata server, which on GKE is that of workload identity.
//!
//! [Identity tokens of instances](https://cloud.google.com/compute/docs/instances/verifying-instance-identity),
//! [acting as a service account](https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateIdToken).

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use chains_core::{Result, Secret};
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};

use super::{IdentitySource, Variables, clients, refused, token_field};
use crate::connection::{Http, send};
use crate::{Connection, IdentityToken};

const NAME: &str = "google";
const HOST: &str = "GCE_METADATA_HOST";
const ACT_AS: &str = "GOOGLE_SERVICE_ACCOUNT_NAME";
const DEFAULT_HOST: &str = "metadata.google.internal";
const CREDENTIALS: &str = "https://iamcredentials.googleapis.com";
/// Says on machines of Google that they are.
const PRODUCT_NAME: &str = "/sys/class/dmi/id/product_name";
/// Sent and answered, so that neither takes another server for this one.
const FLAVOR: (&str, &str) = ("Metadata-Flavor", "Google");

/// Google's metadata server; with `GOOGLE_SERVICE_ACCOUNT_NAME`, for the service account of that name, which the
/// machine's own must be allowed to act as.
#[derive(Debug)]
pub struct Google {
    host: Option<String>,
    act_as: Option<String>,
    product_name: PathBuf,
    credentials: String,
    direct: Http,
    http: Http,
}

impl Google {
    /// The metadata server at `GCE_METADATA_HOST`, or where it always is.
    #[must_use]
    pub fn new(variables: &Variables, connection: &Connection) -> Self {
        let (http, direct) = clients(connection);
        Self {
            host: variables.get(HOST).map(str::to_owned),
            act_as: variables.get(ACT_AS).map(str::to_owned),
            product_name: PRODUCT_NAME.into(),
            credentials: CREDENTIALS.to_owned(),
            direct,
            http,
        }
    }

    /// Looks elsewhere for what says that the machine is Google's, and asks another server to act as an account.
    #[doc(hidden)]
    #[must_use]
    pub fn with_places(mut self, product_name: &Path, credentials: &str) -> Self {
        product_name.clone_into(&mut self.product_name);
        credentials.clone_into(&mut self.credentials);
        self
    }

    async fn metadata(&self, path: &str, query: &[(&str, &str)]) -> Result<Vec<u8>> {
        let host = self.host.as_deref().unwrap_or(DEFAULT_HOST);
        let address =
            format!("http://{host}/computeMetadata/v1/instance/service-accounts/default/{path}");
        let mut url = Url::parse(&address)
            .map_err(|e| refused(NAME, format!("{HOST} is not a host: {e}")))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let what = format!("asking the metadata server {host}");
        let answer = send(&what, self.direct.client()?.get(url).header(FLAVOR.0, FLAVOR.1)).await?;
        if answer.headers.get(FLAVOR.0).is_none_or(|value| value != FLAVOR.1) {
            return Err(refused(NAME, format!("{host} is not a metadata server of Google")));
        }
        if !answer.status.is_success() {
            return Err(answer.fault(&what, "").into());
        }
        Ok(answer.body)
    }

    async fn acting_as(&self, account: &str, audience: &str) -> Result<Secret> {
        let access = token_field(NAME, &self.metadata("token", &[]).await?, "access_token")?;
        let odd = |why: String| refused(NAME, format!("{ACT_AS} is not an account: {why}"));
        let mut url = Url::parse(&self.credentials).map_err(|e| odd(e.to_string()))?;
        url.path_segments_mut()
            .map_err(|()| odd("it has no path".to_owned()))?
            .pop_if_empty()
            .extend(["v1", "projects", "-", "serviceAccounts"])
            .push(&format!("{account}:generateIdToken"));
        let what = format!("asking for an identity token of the service account {account:?}");
        let bearer = Secret::new(format!("Bearer {}", access.expose()));
        let body = serde_json::json!({ "audience": audience, "includeEmail": true }).to_string();
        let request = self.http.client()?.post(url).header(CONTENT_TYPE, "application/json");
        let request = request.header(AUTHORIZATION, bearer.expose()).body(body);
        let answer = send(&what, request).await?;
        if !answer.status.is_success() {
            return Err(answer.fault(&what, "").into());
        }
        token_field(NAME, &answer.body, "token")
    }
}

#[async_trait]
impl IdentitySource for Google {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn is_present(&self) -> bool {
        let product = || std::fs::read_to_string(&self.product_name);
        self.host.is_some()
            || product().is_ok_and(|name| matches!(name.trim(), "Google" | "Google Compute Engine"))
    }

    async fn token(&self, audience: &str) -> Result<IdentityToken> {
        if let Some(account) = &self.act_as {
            return IdentityToken::parse(self.acting_as(account, audience).await?.expose());
        }
        // The full format names the service account, which is the identity.
        let query = [("audience", audience), ("format", "full")];
        let body = self.metadata("identity", &query).await?;
        let text = String::from_utf8(body).map(Secret::new);
        let text = text.map_err(|_| refused(NAME, "the answer is not a text"))?;
        IdentityToken::parse(text.expose())
    }
}
