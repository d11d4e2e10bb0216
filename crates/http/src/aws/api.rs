//! One call of a service.

use std::sync::Arc;
use std::time::SystemTime;

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_types::service_config::ServiceConfigKey;
use chains_core::{Error, ErrorKind, Result, Secret};
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{RequestBuilder, Url};
use serde_json::Value;
use tokio::sync::OnceCell;

use super::endpoint::{Choice, endpoint};
use super::fault;
use super::wallet::{self, Wallet};
use super::{Connector, Place, Service};
use crate::{Answer, Refusal, Variables};

const TARGET: &str = "x-amz-target";

/// A service, as the environment and whoever asks name it.
#[derive(Debug)]
pub struct Api {
    service: &'static Service,
    place: Place,
    variables: Variables,
    connector: Connector,
    found: OnceCell<Found>,
}

/// What is looked for when it is first needed: some of it may be behind a metadata service.
#[derive(Debug)]
struct Found {
    url: Url,
    region: String,
    wallet: Wallet,
}

/// What a call came to.
#[derive(Debug)]
pub enum Replied {
    /// It was done.
    Done(Answer),
    /// The service refused.
    Refused(Refused),
}

/// A refusal, and who got it.
#[derive(Debug)]
pub struct Refused {
    /// The answer that it was read from.
    pub answer: Answer,
    /// The service's code and words.
    pub refusal: Refusal,
    /// The region that was asked.
    pub region: String,
    credentials: Arc<Credentials>,
}

impl Refused {
    /// The error, with what to do about it (`advice`, which may be empty); the credentials are kept out of what the service
    /// says.
    #[must_use]
    pub fn error(&self, what: &str, kind: ErrorKind, advice: &str) -> Error {
        let secrets = [
            Secret::new(self.credentials.secret_access_key()),
            Secret::new(self.credentials.session_token().unwrap_or_default()),
        ];
        self.answer.fault(what, kind, &self.refusal, advice, &secrets.each_ref())
    }
}

impl Api {
    /// Speaks to nobody yet: that is for the first call.
    #[must_use]
    pub fn new(
        service: &'static Service,
        place: Place,
        variables: Variables,
        connector: Connector,
    ) -> Self {
        Self { service, place, variables, connector, found: OnceCell::new() }
    }

    /// Calls an operation; once more with new credentials where those at hand have expired. `what` says what is attempted
    /// on what.
    ///
    /// # Errors
    /// Where there is no answer, no region, no credentials.
    pub async fn call(&self, what: &str, operation: &str, body: &Value) -> Result<Replied> {
        let found = self.found.get_or_try_init(|| self.find()).await;
        let found = found.map_err(|e| e.context(what))?;
        let body = body.to_string();
        let mut is_first = true;
        loop {
            let credentials = found.wallet.credentials().await.map_err(|e| e.context(what))?;
            let request = self.request(what, found, &credentials, operation, &body)?;
            let answer = self.service.exchange.send(what, request).await?;
            if answer.status.is_success() {
                return Ok(Replied::Done(answer));
            }
            let refusal = fault::refusal(self.service.title, &answer);
            if is_first && fault::is_expired(&refusal.code) {
                found.wallet.forget(&credentials);
                is_first = false;
                continue;
            }
            let region = found.region.clone();
            return Ok(Replied::Refused(Refused { answer, refusal, region, credentials }));
        }
    }

    async fn find(&self) -> Result<Found> {
        let Self { service, place, .. } = self;
        let sdk = wallet::load(service, place, &self.connector, &self.variables).await;
        let of_sdk = || sdk.region().map(ToString::to_string);
        let region = place.region.clone().or_else(of_sdk).filter(|region| !region.is_empty());
        let region = region.ok_or_else(|| {
            let what = format!("looking for the region of {}", place.about);
            Error::new(ErrorKind::Configuration, what).with_source(place.no_region)
        })?;
        let of_service = of_service(service, &sdk);
        let choice = Choice {
            url: place.url.as_deref().or(of_service.as_deref()).or(sdk.endpoint_url()),
            region: &region,
            fips: place.fips.or(sdk.use_fips()).unwrap_or_default(),
            dual_stack: place.dual_stack.or(sdk.use_dual_stack()).unwrap_or_default(),
        };
        let url = endpoint(service, choice)?;
        tracing::debug!(about = place.about, %url, region, "found {}", service.title);
        Ok(Found { url, region, wallet: Wallet::new(&sdk, place.role.as_deref()).await? })
    }

    fn request(
        &self,
        what: &str,
        found: &Found,
        credentials: &Credentials,
        operation: &str,
        body: &str,
    ) -> Result<RequestBuilder> {
        let target = format!("{}.{operation}", self.service.target);
        let signed = self
            .signed_headers(found, credentials, &target, body)
            .map_err(|why| Error::new(ErrorKind::Internal, what).with_source(why))?;
        let mut request = self
            .connector
            .usual
            .post(found.url.clone())
            .header(CONTENT_TYPE, self.service.media_type)
            .header(TARGET, target);
        for (name, value) in signed {
            request = request.header(name, value);
        }
        Ok(request.body(body.to_owned()))
    }

    /// Signature Version 4: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html>.
    fn signed_headers(
        &self,
        found: &Found,
        credentials: &Credentials,
        target: &str,
        body: &str,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, Boxed> {
        let identity = credentials.clone().into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&found.region)
            .name(self.service.name)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()?
            .into();
        let headers = [(CONTENT_TYPE.as_str(), self.service.media_type), (TARGET, target)];
        let body = SignableBody::Bytes(body.as_bytes());
        let request = SignableRequest::new("POST", found.url.as_str(), headers.into_iter(), body)?;
        let (instructions, _) = sign(request, &parameters)?.into_parts();
        instructions
            .headers()
            .map(|(name, value)| {
                let mut value = HeaderValue::from_str(value)?;
                value.set_sensitive(true);
                Ok((HeaderName::from_bytes(name.as_bytes())?, value))
            })
            .collect()
    }
}

type Boxed = Box<dyn std::error::Error + Send + Sync>;

/// `AWS_ENDPOINT_URL_…`, or the same of a profile.
fn of_service(service: &Service, sdk: &SdkConfig) -> Option<String> {
    let key = ServiceConfigKey::builder()
        .service_id(service.id)
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build()
        .ok()?;
    sdk.service_config()?.load_config(key)
}
