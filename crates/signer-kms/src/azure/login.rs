//! Asking Microsoft Entra for a token
//! (<https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>).

use std::path::PathBuf;
use std::time::Duration;

use chains_core::{Error, ErrorKind, Result, Secret};
use chains_http::{Answer, Refusal};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Url};
use serde::Deserialize;
use url::form_urlencoded::Serializer;

use super::certificate::Certificate;
use super::challenge::Challenge;
use super::wallet::Granted;
use crate::http;

const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// An application that is registered there.
#[derive(Debug)]
pub(super) struct Entra {
    pub(super) authority: Url,
    pub(super) tenant: String,
    pub(super) client_id: String,
    pub(super) proof: Proof,
}

/// How it proves who it is.
#[derive(Debug)]
pub(super) enum Proof {
    Password(Secret),
    Certificate(Certificate),
    /// A JWT of somebody whom the application trusts, read anew each time: Kubernetes replaces it.
    File(PathBuf),
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    expires_in: u64,
}

#[derive(Deserialize, Default)]
struct Failure {
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_description: String,
}

impl Entra {
    pub(super) async fn token(
        &self,
        what: &str,
        client: &Client,
        challenge: &Challenge,
    ) -> Result<Granted> {
        let configured = |why: String| Error::new(ErrorKind::Configuration, what).with_source(why);
        let url = self
            .authority
            .join(&format!("{}/oauth2/v2.0/token", self.tenant))
            .map_err(|e| configured(e.to_string()))?;
        let (name, proof) = self.proof(what, &url)?;
        let form = self.form(challenge, name, &proof);
        let request =
            client.post(url).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form);
        let answer = http::send(what, request).await?;
        if !answer.status.is_success() {
            return Err(refused(what, &answer, &proof));
        }
        let TokenAnswer { access_token, expires_in } = answer.json(what)?;
        let lifetime = Duration::from_secs(expires_in);
        Ok(Granted { token: Secret::new(access_token), lifetime })
    }

    fn form(&self, challenge: &Challenge, name: &str, proof: &Secret) -> String {
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials")
            .append_pair("client_id", &self.client_id)
            .append_pair("scope", &format!("{}/.default", challenge.resource))
            .append_pair(name, proof.expose());
        if name == "client_assertion" {
            form.append_pair("client_assertion_type", ASSERTION);
        }
        form.finish()
    }

    fn proof(&self, what: &str, url: &Url) -> Result<(&'static str, Secret)> {
        match &self.proof {
            Proof::Password(secret) => Ok(("client_secret", secret.clone())),
            Proof::Certificate(certificate) => {
                let assertion = certificate.assertion(&self.client_id, url.as_str());
                assertion.map(|jwt| ("client_assertion", jwt)).map_err(|e| e.context(what))
            }
            Proof::File(path) => {
                let read = std::fs::read_to_string(path).map_err(|e| {
                    let what = format!("{what}: reading {}", path.display());
                    Error::new(ErrorKind::Unauthorized, what).with_source(e)
                })?;
                Ok(("client_assertion", Secret::new(read.trim())))
            }
        }
    }
}

/// Its words have several lines, of which the first says it all; the others help Microsoft's support.
fn refused(what: &str, answer: &Answer, proof: &Secret) -> Error {
    let failure: Failure = serde_json::from_slice(&answer.body).unwrap_or_default();
    let kind = match http::kind(answer.status) {
        // Whatever it calls that: it is the application or its proof that it does not like.
        ErrorKind::Signing | ErrorKind::NotFound => ErrorKind::Unauthorized,
        kind => kind,
    };
    let message = failure.error_description.lines().next().unwrap_or_default().to_owned();
    answer.fault(what, kind, &Refusal { code: failure.error, message }, "", &[proof])
}
