//! What came back, and what a failure among it means.

use bytes::Bytes;
use chains_core::ErrorKind;
use oci_distribution::errors::{OciEnvelope, OciError, OciErrorCode};
use reqwest::header::HeaderMap;
use reqwest::{Response, StatusCode};

use super::http;
use crate::fault::{Fault, Result};

/// How much of an error's body is read.
const MAX_ERROR: u64 = 64 * 1024;
/// How much of it is told.
const MAX_TOLD: usize = 300;

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    /// Reads the body, which may have `limit` bytes.
    pub(super) async fn read(what: &str, response: Response, limit: u64) -> Result<Self> {
        let (status, headers) = (response.status(), response.headers().clone());
        let body = if status.is_success() {
            http::body(what, response, limit).await?
        } else {
            // What is wrong is said by the status; the body only adds to it.
            http::body(what, response, MAX_ERROR).await.unwrap_or_default()
        };
        Ok(Self { status, headers, body: body.into() })
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// What this answer means where it is not what was asked for.
    pub(super) fn fault(&self, what: &str) -> Fault {
        let kind = match self.status {
            // Some registries forget a blob for a moment while another writer uploads the same.
            status if status.is_client_error() && self.misses_blob() => ErrorKind::Conflict,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ErrorKind::Unauthorized,
            StatusCode::NOT_FOUND => ErrorKind::NotFound,
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => ErrorKind::Unsupported,
            StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => ErrorKind::Timeout,
            StatusCode::CONFLICT => ErrorKind::Conflict,
            StatusCode::PAYLOAD_TOO_LARGE => ErrorKind::TooLarge,
            StatusCode::TOO_MANY_REQUESTS => ErrorKind::Throttled,
            status if status.is_server_error() => ErrorKind::Unavailable,
            _ => ErrorKind::Protocol,
        };
        let told = self.told();
        let why = if told.is_empty() {
            format!("it answered {}", self.status)
        } else {
            format!("it answered {}: {told}", self.status)
        };
        Fault::new(kind, what, why)
    }

    /// Whether it says that there is no such blob.
    pub(super) fn misses_blob(&self) -> bool {
        let missing = |error: &OciError| {
            matches!(error.code, OciErrorCode::BlobUnknown | OciErrorCode::ManifestBlobUnknown)
        };
        serde_json::from_slice::<OciEnvelope>(&self.body)
            .is_ok_and(|envelope| envelope.errors.iter().any(missing))
    }

    /// The codes and messages of the specification's error. Nothing else is told: what answers may be another
    /// service than a registry, and those who read the error may have no business with what it says.
    fn told(&self) -> String {
        let Ok(envelope) = serde_json::from_slice::<OciEnvelope>(&self.body) else {
            return String::new();
        };
        let one = |e: &OciError| match code(&e.code) {
            code if e.message.is_empty() => code,
            code => format!("{code} ({})", e.message),
        };
        let text = envelope.errors.iter().map(one).collect::<Vec<_>>().join(", ");
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        line.chars().filter(|c| !c.is_control()).take(MAX_TOLD).collect()
    }
}

fn code(code: &OciErrorCode) -> String {
    match serde_json::to_value(code) {
        Ok(serde_json::Value::String(code)) => code,
        _ => "UNKNOWN".to_owned(),
    }
}
