//! Tokens of GitHub Actions.
//!
//! [OpenID Connect reference](https://docs.github.com/en/actions/reference/security/oidc).

use async_trait::async_trait;
use chains_core::{Result, Secret};
use reqwest::Url;
use reqwest::header::{ACCEPT, AUTHORIZATION};

use super::{IdentitySource, Variables, clients, refused, token_field};
use crate::connection::{Http, send};
use crate::{Connection, IdentityToken};

const NAME: &str = "github";
const URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
const TOKEN: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";

/// The token service of a job of GitHub Actions that has the permission `id-token: write`.
#[derive(Debug)]
pub struct GitHub {
    endpoint: Option<(Secret, Secret)>,
    http: Http,
}

impl GitHub {
    /// The service that `ACTIONS_ID_TOKEN_REQUEST_URL` and `ACTIONS_ID_TOKEN_REQUEST_TOKEN` name.
    #[must_use]
    pub fn new(variables: &Variables, connection: &Connection) -> Self {
        let pair = variables.get(URL).zip(variables.get(TOKEN));
        let endpoint = pair.map(|(url, token)| (Secret::new(url), Secret::new(token)));
        Self { endpoint, http: clients(connection).0 }
    }
}

#[async_trait]
impl IdentitySource for GitHub {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn is_present(&self) -> bool {
        self.endpoint.is_some()
    }

    async fn token(&self, audience: &str) -> Result<IdentityToken> {
        let Some((url, bearer)) = &self.endpoint else {
            let why = format!(
                "the environment has no {URL} and {TOKEN}: the job needs the permission `id-token: write`"
            );
            return Err(refused(NAME, why));
        };
        let mut url = Url::parse(url.expose())
            .map_err(|e| refused(NAME, format!("{URL} is not an address: {e}")))?;
        url.query_pairs_mut().append_pair("audience", audience);
        let what = "asking GitHub for an identity token";
        let bearer = Secret::new(format!("bearer {}", bearer.expose()));
        let request = self.http.client()?.get(url).header(ACCEPT, "application/json");
        let answer = send(what, request.header(AUTHORIZATION, bearer.expose())).await?;
        if !answer.status.is_success() {
            return Err(answer.fault(what, "").into());
        }
        IdentityToken::parse(token_field(NAME, &answer.body, "value")?.expose())
    }
}
