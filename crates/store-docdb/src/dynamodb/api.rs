//! One call of DynamoDB, in its JSON protocol:
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.LowLevelAPI.html>.

use std::sync::Arc;
use std::time::SystemTime;

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_types::service_config::ServiceConfigKey;
use chains_core::{Error, ErrorKind, Result};
use chains_http::{Answer, Tls, Variables, build, certificates};
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{RequestBuilder, Url};
use serde_json::Value;
use tokio::sync::OnceCell;

use super::connector::Connector;
use super::endpoint::{Choice, endpoint};
use super::fault;
use super::wallet::{self, Wallet};
use crate::http::{EXCHANGE, settings};
use crate::{DocDbOptions, Table};

const JSON: &str = "application/x-amz-json-1.0";
const TARGET: &str = "x-amz-target";
/// The name of the service in signatures.
const SERVICE: &str = "dynamodb";

/// The service, as the environment and the URL of the table name it.
#[derive(Debug)]
pub(super) struct Api {
    table: Table,
    variables: Variables,
    connector: Connector,
    found: OnceCell<Found>,
}

/// What is looked for when it is first needed: some of it may be behind a metadata service.
#[derive(Debug)]
pub(super) struct Found {
    url: Url,
    pub(super) region: String,
    wallet: Wallet,
}

/// What a call came to.
#[derive(Debug)]
pub(super) enum Replied {
    Done(Answer),
    /// The item is not as the call wants it.
    ConditionFailed,
}

impl Api {
    pub(super) fn new(table: &Table, options: &DocDbOptions) -> Result<Self> {
        let what = "setting up TLS for DynamoDB";
        let variables = options.variables.clone();
        let only = match variables.get("AWS_CA_BUNDLE") {
            Some(path) => certificates(path.as_ref())?,
            None => Vec::new(),
        };
        let settings = settings(options);
        let usual = build(what, settings.builder(Tls { only, ..Tls::default() })?)?;
        let direct = build(what, settings.builder(Tls::default())?.no_proxy())?;
        Ok(Self {
            table: table.clone(),
            variables,
            connector: Connector { usual, direct },
            found: OnceCell::new(),
        })
    }

    /// Calls an operation; once more with new credentials where those at hand have expired.
    ///
    /// # Errors
    /// Everything but what a condition asks for.
    pub(super) async fn call(&self, what: &str, operation: &str, body: &Value) -> Result<Replied> {
        let found = self.found.get_or_try_init(|| self.find()).await;
        let found = found.map_err(|e| e.context(what))?;
        let body = body.to_string();
        let mut is_first = true;
        loop {
            let credentials = found.wallet.credentials().await.map_err(|e| e.context(what))?;
            let request = self.request(what, found, &credentials, operation, &body)?;
            let answer = EXCHANGE.send(what, request).await?;
            if answer.status.is_success() {
                return Ok(Replied::Done(answer));
            }
            let refusal = fault::refusal(&answer);
            if refusal.code == fault::CONDITION_FAILED {
                return Ok(Replied::ConditionFailed);
            }
            if is_first && fault::is_expired(&refusal.code) {
                found.wallet.forget(&credentials).await;
                is_first = false;
                continue;
            }
            return Err(fault::told(what, &answer, refusal, &self.table, found, &credentials));
        }
    }

    async fn find(&self) -> Result<Found> {
        let sdk = wallet::load(&self.connector, &self.variables, &self.table).await;
        let of_sdk = || sdk.region().map(ToString::to_string);
        let region = self.table.region.clone().or_else(of_sdk).filter(|it| !it.is_empty());
        let region = region.ok_or_else(|| {
            let what = format!("looking for the region of the table {}", self.table.name);
            let why = "set AWS_REGION, or add `region=…` to `storage.docdb.url`";
            Error::new(ErrorKind::Configuration, what).with_source(why)
        })?;
        let of_service = of_service(&sdk);
        let url = self.table.endpoint.as_deref().or(of_service.as_deref()).or(sdk.endpoint_url());
        let url = endpoint(Choice {
            url,
            region: &region,
            fips: self.table.fips.or(sdk.use_fips()).unwrap_or_default(),
            dual_stack: self.table.dual_stack.or(sdk.use_dual_stack()).unwrap_or_default(),
        })?;
        tracing::debug!(table = self.table.name, %url, region, "found DynamoDB");
        Ok(Found { url, region, wallet: Wallet::new(&sdk, self.table.role.as_deref()).await? })
    }

    fn request(
        &self,
        what: &str,
        found: &Found,
        credentials: &Credentials,
        operation: &str,
        body: &str,
    ) -> Result<RequestBuilder> {
        let target = format!("DynamoDB_20120810.{operation}");
        let signed = signed_headers(found, credentials, &target, body)
            .map_err(|why| Error::new(ErrorKind::Internal, what).with_source(why))?;
        let mut request = self
            .connector
            .usual
            .post(found.url.clone())
            .header(CONTENT_TYPE, JSON)
            .header(TARGET, target);
        for (name, value) in signed {
            request = request.header(name, value);
        }
        Ok(request.body(body.to_owned()))
    }
}

type Boxed = Box<dyn std::error::Error + Send + Sync>;

/// Signature Version 4: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html>.
fn signed_headers(
    found: &Found,
    credentials: &Credentials,
    target: &str,
    body: &str,
) -> Result<Vec<(HeaderName, HeaderValue)>, Boxed> {
    let identity = credentials.clone().into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(&found.region)
        .name(SERVICE)
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()?
        .into();
    let headers = [(CONTENT_TYPE.as_str(), JSON), (TARGET, target)];
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

/// `AWS_ENDPOINT_URL_DYNAMODB`, or the same of a profile.
fn of_service(sdk: &SdkConfig) -> Option<String> {
    let key = ServiceConfigKey::builder()
        .service_id("DynamoDB")
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build()
        .ok()?;
    sdk.service_config()?.load_config(key)
}

/// Credentials that were used for a call.
pub(super) type Used = Arc<Credentials>;
