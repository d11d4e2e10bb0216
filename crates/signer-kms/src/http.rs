//! HTTP towards services: what all of them have in common here.

use chains_core::{ErrorKind, Result};
use chains_http::{Answer, Exchange, Settings, Tls};
use reqwest::{ClientBuilder, RequestBuilder, StatusCode};

use crate::KmsOptions;

/// The answers of these services have a few kilobytes. Some ask to wait: a signature is worth it, within bounds.
pub(crate) const EXCHANGE: Exchange =
    Exchange { names_host: true, waits: true, ..Exchange::up_to(4 * 1024 * 1024) };

/// How services are reached. How many connections are kept is bounded by how many signatures are asked for at once.
pub(crate) fn settings(options: &KmsOptions) -> Settings<'_> {
    Settings {
        ca_files: &options.ca_files,
        connect_timeout: options.limits.connect_timeout,
        request_timeout: options.limits.request_timeout,
        most_idle: usize::MAX,
    }
}

/// A builder with everything that all services have in common.
///
/// # Errors
/// [`ErrorKind::Configuration`] where a file with authorities cannot be used.
pub(crate) fn client(options: &KmsOptions, tls: Tls) -> Result<ClientBuilder> {
    settings(options).builder(tls)
}

/// Sends a request, again where the other side asks to wait and says for how long.
///
/// # Errors
/// Where there is no answer. An answer of whatever status is none.
pub(crate) async fn send(what: &str, request: RequestBuilder) -> Result<Answer> {
    EXCHANGE.send(what, request).await
}

/// What a status says, where the service's own code says no more.
pub(crate) fn kind(status: StatusCode) -> ErrorKind {
    chains_http::kind(status).unwrap_or(if status.is_client_error() {
        ErrorKind::Signing
    } else {
        ErrorKind::Protocol
    })
}
