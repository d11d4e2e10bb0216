//! One call of AWS KMS, in its JSON protocol, and what its failures mean.

use std::sync::Arc;
use std::time::SystemTime;

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_types::service_config::ServiceConfigKey;
use chains_core::{Error, ErrorKind, Result, Secret};
use chains_http::{Answer, Refusal, Tls, Variables, certificates};
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{RequestBuilder, Url};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::connector::Connector;
use super::endpoint::{Choice, endpoint};
use super::wallet::{self, Wallet};
use crate::http;
use crate::{AwsKey, KmsOptions};

const JSON: &str = "application/x-amz-json-1.1";
const TARGET: &str = "x-amz-target";
/// The name of the service in signatures.
const SERVICE: &str = "kms";

/// The service, as the environment and the reference name it.
#[derive(Debug)]
pub(super) struct Api {
    reference: String,
    host: Option<String>,
    region: Option<String>,
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

impl Api {
    pub(super) fn new(key: &AwsKey, options: &KmsOptions) -> Result<Self> {
        let built = |builder| chains_http::build("setting up TLS for AWS KMS", builder);
        let variables = options.variables.clone();
        let usual = built(http::client(options, tls(&variables)?)?)?;
        let direct = built(http::client(options, Tls::default())?.no_proxy())?;
        Ok(Self {
            reference: key.reference.clone(),
            host: key.endpoint.clone(),
            region: key.region.clone(),
            variables,
            connector: Connector { usual, direct },
            found: OnceCell::new(),
        })
    }

    /// Calls an operation; once more with new credentials where those at hand have expired.
    ///
    /// # Errors
    /// Everything but success.
    pub(super) async fn call(&self, what: &str, operation: &str, body: &Value) -> Result<Answer> {
        let found = self.found.get_or_try_init(|| self.find()).await;
        let found = found.map_err(|e| e.context(what))?;
        let body = body.to_string();
        let mut is_first = true;
        loop {
            let credentials = found.wallet.credentials().await.map_err(|e| e.context(what))?;
            let request = self.request(what, found, &credentials, operation, &body)?;
            let answer = http::send(what, request).await?;
            if answer.status.is_success() {
                return Ok(answer);
            }
            let refusal = refusal(&answer);
            if is_first && is_expired(&refusal.code) {
                found.wallet.forget(&credentials);
                is_first = false;
                continue;
            }
            return Err(refused(what, &answer, &refusal, &credentials));
        }
    }

    async fn find(&self) -> Result<Found> {
        let sdk = wallet::load(&self.connector, &self.variables).await;
        let region = self
            .region
            .clone()
            .or_else(|| sdk.region().map(ToString::to_string))
            .filter(|region| !region.is_empty());
        let region = region.ok_or_else(|| {
            let what = format!("looking for the region of {}", self.reference);
            let why = "set AWS_REGION, or name the key by its ARN";
            Error::new(ErrorKind::Configuration, what).with_source(why)
        })?;
        let of_service = of_service(&sdk);
        let url = endpoint(Choice {
            host: self.host.as_deref(),
            url: of_service.as_deref().or(sdk.endpoint_url()),
            region: &region,
            fips: sdk.use_fips().unwrap_or_default(),
            dual_stack: sdk.use_dual_stack().unwrap_or_default(),
        })?;
        tracing::debug!(reference = self.reference, %url, region, "found AWS KMS");
        Ok(Found { url, region, wallet: Wallet::new(&sdk)? })
    }

    fn request(
        &self,
        what: &str,
        found: &Found,
        credentials: &Credentials,
        operation: &str,
        body: &str,
    ) -> Result<RequestBuilder> {
        let target = format!("TrentService.{operation}");
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

/// `AWS_ENDPOINT_URL_KMS`, or the same of a profile.
fn of_service(sdk: &SdkConfig) -> Option<String> {
    let key = ServiceConfigKey::builder()
        .service_id("KMS")
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build()
        .ok()?;
    sdk.service_config()?.load_config(key)
}

fn tls(variables: &Variables) -> Result<Tls> {
    let only = match variables.get("AWS_CA_BUNDLE") {
        Some(path) => certificates(path.as_ref())?,
        None => Vec::new(),
    };
    // The variable is sigstore's.
    let accept_any = variables.get("AWS_TLS_INSECURE_SKIP_VERIFY").as_deref() == Some("1");
    Ok(Tls { only, identity: None, accept_any })
}

#[derive(Deserialize, Default)]
struct Failure {
    #[serde(default, rename = "__type")]
    code: String,
    #[serde(default, alias = "Message")]
    message: String,
}

/// The code is in the body, or in a header; a namespace may precede it, and an address follow.
fn refusal(answer: &Answer) -> Refusal {
    let failure: Failure = serde_json::from_slice(&answer.body).unwrap_or_default();
    let code = match failure.code.is_empty() {
        true => answer.header("x-amzn-errortype").unwrap_or_default().to_owned(),
        false => failure.code,
    };
    let code = code.split(':').next().unwrap_or_default();
    let code = code.rsplit('#').next().unwrap_or_default().to_owned();
    // For AWS's support; in the error, it would make each one another one.
    let request = answer.header("x-amzn-requestid").unwrap_or_default();
    tracing::debug!(request, code, "refused by AWS KMS");
    Refusal { code, message: failure.message }
}

fn refused(
    what: &str,
    answer: &Answer,
    refusal: &Refusal,
    credentials: &Arc<Credentials>,
) -> Error {
    let kind = kind(&refusal.code).unwrap_or_else(|| http::kind(answer.status));
    let secrets = [
        Secret::new(credentials.secret_access_key()),
        Secret::new(credentials.session_token().unwrap_or_default()),
    ];
    answer.fault(what, kind, refusal, "", &secrets.each_ref())
}

fn is_expired(code: &str) -> bool {
    matches!(code, "ExpiredTokenException" | "ExpiredToken" | "RequestExpired")
}

/// <https://docs.aws.amazon.com/kms/latest/APIReference/CommonErrors.html>, and those of both operations.
fn kind(code: &str) -> Option<ErrorKind> {
    Some(match code {
        "AccessDeniedException"
        | "AccessDenied"
        | "NotAuthorized"
        | "OptInRequired"
        | "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "RequestTimeTooSkewed" => ErrorKind::Unauthorized,
        _ if is_expired(code) => ErrorKind::Unauthorized,
        "NotFoundException" => ErrorKind::NotFound,
        "InvalidArnException" => ErrorKind::Configuration,
        "DisabledException"
        | "KMSInvalidStateException"
        | "InvalidKeyUsageException"
        | "UnsupportedOperationException" => ErrorKind::Key,
        "ThrottlingException"
        | "Throttling"
        | "LimitExceededException"
        | "RequestLimitExceeded"
        | "TooManyRequestsException" => ErrorKind::Throttled,
        "DependencyTimeoutException" => ErrorKind::Timeout,
        "KMSInternalException"
        | "KeyUnavailableException"
        | "InternalFailure"
        | "ServiceUnavailable"
        | "ServiceUnavailableException" => ErrorKind::Unavailable,
        _ => return None,
    })
}
