//! The exporter: OTLP as protobuf over HTTP, with the HTTP client that registries are spoken to with.

use async_trait::async_trait;
use bytes::Bytes;
use chains_core::{Error, ErrorKind};
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Handle;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::Layer;
use tracing_subscriber::registry::LookupSpan;

use crate::telemetry::logs::is_of_ours;

/// What the service is called where `OTEL_SERVICE_NAME` does not say.
const SERVICE: &str = "tekton-chains-controller";
/// How long an export may take, connecting included.
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);
/// A collector has nothing to say that is longer, in bytes.
const ANSWER_LIMIT: usize = 64 * 1024;

/// The export that is under way.
#[derive(Debug)]
pub(crate) struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// Endpoint, headers, timeouts of batches, sampler and resource are read from the environment by the library.
    pub(super) fn start() -> Result<Self, Error> {
        let what = "setting up the export of traces";
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|e| Error::new(ErrorKind::Configuration, what).with_source(e))?;
        let client = Client { client, runtime: Handle::current() };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .build()
            .map_err(|e| Error::new(ErrorKind::Configuration, what).with_source(e))?;
        let provider = SdkTracerProvider::builder()
            .with_resource(resource())
            .with_batch_exporter(exporter)
            .build();
        Ok(Self { provider })
    }

    /// Takes our spans, and what is logged within them.
    pub(in crate::telemetry) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer(SERVICE))
            .with_location(false)
            // Our own field of that name says what is signed.
            .with_target(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(is_of_ours).with_max_level_hint(LevelFilter::INFO))
    }

    /// Sends what is still here.
    pub(in crate::telemetry) async fn stop(self) {
        // The library waits for its thread, which waits for this runtime to send.
        let stopped = tokio::task::spawn_blocking(move || self.provider.shutdown()).await;
        match stopped {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the last traces could not be exported"),
            Err(error) => tracing::warn!(%error, "the last traces could not be exported"),
        }
    }
}

/// Who traces: named by the environment, else by us.
fn resource() -> Resource {
    let found = Resource::builder().build();
    let named = found.iter().any(|(key, value)| {
        key.as_str() == "service.name" && !value.as_str().starts_with("unknown_service")
    });
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let builder = Resource::builder().with_attribute(version);
    if named { builder.build() } else { builder.with_service_name(SERVICE).build() }
}

/// Sends requests on our runtime: the library calls from a thread of its own, which has none.
#[derive(Debug)]
struct Client {
    client: reqwest::Client,
    runtime: Handle,
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        self.runtime.spawn(async move { send(&client, request).await }).await?
    }
}

async fn send(
    client: &reqwest::Client,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, HttpError> {
    let mut answer = client.execute(request.try_into()?).await?;
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if body.len() + chunk.len() > ANSWER_LIMIT {
            return Err("the collector's answer is too long".into());
        }
        body.extend_from_slice(&chunk);
    }
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = answer.status();
    *response.headers_mut() = std::mem::take(answer.headers_mut());
    Ok(response)
}

#[cfg(test)]
mod tests;
