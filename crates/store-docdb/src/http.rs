//! HTTP towards services: what both of them have in common here.

use chains_core::{Error, ErrorKind, Result};
use chains_http::{Answer, Exchange, Settings};
use reqwest::StatusCode;
use serde::de::DeserializeOwned;

use crate::DocDbOptions;

/// Answers are as long as a document of the largest kind, with its bytes in base64.
pub(crate) const EXCHANGE: Exchange =
    Exchange { names_host: true, ..Exchange::up_to(4 * 1024 * 1024) };

/// How services are reached.
pub(crate) fn settings(options: &DocDbOptions) -> Settings<'_> {
    let limits = &options.limits;
    Settings {
        ca_files: &options.ca_files,
        connect_timeout: limits.connect_timeout,
        request_timeout: limits.request_timeout,
        most_idle: usize::try_from(limits.concurrency).unwrap_or(usize::MAX),
    }
}

/// Reads what was asked for.
///
/// # Errors
/// [`ErrorKind::Protocol`], in the parser's words: documents hold no secrets.
pub(crate) fn json<T: DeserializeOwned>(what: &str, answer: &Answer) -> Result<T> {
    serde_json::from_slice(&answer.body).map_err(|e| {
        let why = format!("its answer is not what the API promises: {e}");
        Error::new(ErrorKind::Protocol, what).with_source(why)
    })
}

/// What a status says, where the service's own code says no more.
pub(crate) fn kind(status: StatusCode) -> ErrorKind {
    chains_http::kind(status).unwrap_or_else(|| match status {
        StatusCode::CONFLICT => ErrorKind::Conflict,
        status if status.is_client_error() => ErrorKind::InvalidInput,
        _ => ErrorKind::Protocol,
    })
}
