//! The HTTP of `object_store`, through our client.

use async_trait::async_trait;
use chains_core::ErrorKind;
use http::{Response, StatusCode};
use http_body_util::BodyExt as _;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use reqwest::Request;
use url::Url;

use crate::fault::Refused;
use crate::http::Client;

/// Hands out our client.
#[derive(Debug, Clone)]
pub(super) struct Connector(pub(super) Client);

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Connector {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let url = Url::parse(&parts.uri.to_string())
            .map_err(|e| HttpError::new(HttpErrorKind::Unknown, e))?;
        let mut request = Request::new(parts.method, url);
        *request.headers_mut() = parts.headers;
        // What is sent is in memory.
        *request.body_mut() = Some(body.collect().await?.to_bytes().into());
        let answer = self.0.send(request).await.map_err(unanswered)?;
        if is_refusal(answer.status) {
            return Err(HttpError::new(HttpErrorKind::Unknown, Refused::of(&answer)));
        }
        let mut response = Response::new(answer.body.into());
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        Ok(response)
    }
}

/// Whether the library would only turn it into text. The others mean something to it: there is none, there is one.
fn is_refusal(status: StatusCode) -> bool {
    let known = [
        StatusCode::NOT_MODIFIED,
        StatusCode::NOT_FOUND,
        StatusCode::CONFLICT,
        StatusCode::PRECONDITION_FAILED,
    ];
    !status.is_success() && !known.contains(&status)
}

fn unanswered(error: chains_core::Error) -> HttpError {
    let kind = match error.kind() {
        ErrorKind::Timeout => HttpErrorKind::Timeout,
        ErrorKind::Unavailable => HttpErrorKind::Connect,
        _ => HttpErrorKind::Unknown,
    };
    HttpError::new(kind, error)
}
