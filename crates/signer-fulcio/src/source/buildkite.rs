//! Tokens of Buildkite, from its agent API.
//!
//! [OpenID Connect in Buildkite](https://buildkite.com/docs/agent/v3/cli-oidc).

use async_trait::async_trait;
use chains_core::{Result, Secret};
use reqwest::Url;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};

use super::{IdentitySource, Variables, clients, refused, token_field};
use crate::connection::{Http, send};
use crate::{Connection, IdentityToken};

const NAME: &str = "buildkite";
const TOKEN: &str = "BUILDKITE_AGENT_ACCESS_TOKEN";
const ENDPOINT: &str = "BUILDKITE_AGENT_ENDPOINT";
const JOB: &str = "BUILDKITE_JOB_ID";
const DEFAULT_ENDPOINT: &str = "https://agent.buildkite.com/v3";

/// The agent API of a job of Buildkite.
#[derive(Debug)]
pub struct Buildkite {
    token: Option<Secret>,
    job: Option<String>,
    endpoint: String,
    http: Http,
}

impl Buildkite {
    /// The API that `BUILDKITE_AGENT_ACCESS_TOKEN`, `BUILDKITE_JOB_ID` and `BUILDKITE_AGENT_ENDPOINT` name.
    #[must_use]
    pub fn new(variables: &Variables, connection: &Connection) -> Self {
        Self {
            token: variables.get(TOKEN).map(Secret::new),
            job: variables.get(JOB).map(str::to_owned),
            endpoint: variables.get(ENDPOINT).unwrap_or(DEFAULT_ENDPOINT).to_owned(),
            http: clients(connection).0,
        }
    }

    fn url(&self, job: &str) -> Result<Url> {
        let odd = |why: String| refused(NAME, format!("{ENDPOINT} is not an address: {why}"));
        let mut url = Url::parse(&self.endpoint).map_err(|e| odd(e.to_string()))?;
        url.path_segments_mut()
            .map_err(|()| odd("it has no path".to_owned()))?
            .pop_if_empty()
            .extend(["jobs", job, "oidc", "tokens"]);
        Ok(url)
    }
}

#[async_trait]
impl IdentitySource for Buildkite {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn is_present(&self) -> bool {
        self.token.is_some()
    }

    async fn token(&self, audience: &str) -> Result<IdentityToken> {
        let (Some(token), Some(job)) = (&self.token, &self.job) else {
            return Err(refused(NAME, format!("the environment has no {TOKEN} and {JOB}")));
        };
        let what = "asking Buildkite for an identity token";
        let token = Secret::new(format!("Token {}", token.expose()));
        let body = serde_json::json!({ "audience": audience }).to_string();
        let request = self.http.client()?.post(self.url(job)?).header(ACCEPT, "application/json");
        let request = request.header(CONTENT_TYPE, "application/json").body(body);
        let answer = send(what, request.header(AUTHORIZATION, token.expose())).await?;
        if !answer.status.is_success() {
            return Err(answer.fault(what, "").into());
        }
        IdentityToken::parse(token_field(NAME, &answer.body, "token")?.expose())
    }
}
