//! Our HTTP client in the form that AWS's library wants: it fetches credentials with it.

use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use chains_core::Result as OurResult;
use reqwest::{Certificate, Client, Method, Request, Url};

use crate::{Settings, Tls, Variables, build, certificates, is_beside_us};

/// Answers are a few kilobytes.
const LONGEST: usize = 1024 * 1024;

/// The clients for a service of AWS, and for what gives credentials for it.
#[derive(Debug, Clone)]
pub struct Connector {
    /// For services of the cloud.
    pub(super) usual: Client,
    /// For the endpoints beside the machine that give credentials: no proxy is between us and them.
    pub(super) direct: Client,
}

impl Connector {
    /// Clients that reach servers so; `tls` is for services of the cloud. `what` says what they are for.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`](chains_core::ErrorKind::Configuration) where TLS cannot be set up so.
    pub fn new(what: &str, settings: &Settings<'_>, tls: Tls) -> OurResult<Self> {
        let direct = settings.builder(Tls::default())?.no_proxy();
        Ok(Self { usual: build(what, settings.builder(tls)?)?, direct: build(what, direct)? })
    }
}

/// Authorities to trust in place of the system's, as AWS's tools read them (`AWS_CA_BUNDLE`); empty where none are named.
///
/// # Errors
/// [`ErrorKind::Configuration`](chains_core::ErrorKind::Configuration) where the file cannot be used.
pub fn authorities(variables: &Variables) -> OurResult<Vec<Certificate>> {
    match variables.get("AWS_CA_BUNDLE") {
        Some(path) => certificates(path.as_ref()),
        None => Ok(Vec::new()),
    }
}

impl HttpClient for Connector {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let timeouts = [settings.connect_timeout(), settings.read_timeout()];
        let timeout = timeouts.into_iter().flatten().reduce(|left, right| left + right);
        SharedHttpConnector::new(Timed { connector: self.clone(), timeout })
    }
}

/// The clients with a bound for each exchange.
#[derive(Debug)]
struct Timed {
    connector: Connector,
    timeout: Option<Duration>,
}

impl HttpConnector for Timed {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (connector, timeout) = (self.connector.clone(), self.timeout);
        HttpConnectorFuture::new(async move {
            let (client, request) = connector.prepare(request, timeout)?;
            exchange(&client, request).await
        })
    }
}

impl Connector {
    fn prepare(
        self,
        request: HttpRequest,
        timeout: Option<Duration>,
    ) -> Result<(Client, Request), ConnectorError> {
        let user = |e: &dyn std::error::Error| ConnectorError::user(e.to_string().into());
        let url = Url::parse(request.uri()).map_err(|e| user(&e))?;
        let method = Method::from_bytes(request.method().as_bytes()).map_err(|e| user(&e))?;
        let client = if is_near(&url) { self.direct } else { self.usual };
        let mut builder = client.request(method, url);
        for (name, value) in request.headers() {
            builder = builder.header(name, value);
        }
        if let Some(timeout) = timeout {
            builder = builder.timeout(timeout);
        }
        let body = request
            .body()
            .bytes()
            .ok_or_else(|| ConnectorError::user("the body of the request is not at hand".into()))?;
        let request = builder.body(body.to_vec()).build().map_err(|e| user(&e.without_url()))?;
        Ok((client, request))
    }
}

async fn exchange(client: &Client, request: Request) -> Result<HttpResponse, ConnectorError> {
    let mut response = client.execute(request).await.map_err(failed)?;
    let status = StatusCode::try_from(response.status().as_u16())
        .map_err(|e| ConnectorError::other(e.into(), None))?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > LONGEST {
            return Err(ConnectorError::other("the answer is too long".into(), None));
        }
        body.extend_from_slice(&chunk);
    }
    let mut answer = HttpResponse::new(status, SdkBody::from(body));
    for (name, value) in response.headers() {
        if let Ok(value) = value.to_str() {
            answer.headers_mut().append(name.as_str().to_owned(), value.to_owned());
        }
    }
    Ok(answer)
}

fn failed(error: reqwest::Error) -> ConnectorError {
    let (is_timeout, error) = (error.is_timeout(), error.without_url());
    if is_timeout {
        ConnectorError::timeout(error.into())
    } else {
        ConnectorError::io(error.into())
    }
}

/// The metadata service of machines, and those of containers, which may have been moved within the machine's network:
/// <https://docs.aws.amazon.com/sdkref/latest/guide/>.
fn is_near(url: &Url) -> bool {
    let is_local =
        matches!(url.host(), Some(url::Host::Ipv6(address)) if address.is_unique_local());
    is_local || is_beside_us(url)
}
