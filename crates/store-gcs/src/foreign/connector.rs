//! The HTTP of `object_store`, through our client.

use async_trait::async_trait;
use bytes::Bytes;
use chains_core::ErrorKind;
use http::{Method, Response, StatusCode};
use http_body_util::BodyExt as _;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use reqwest::Request;
use url::Url;

use crate::fault::Refused;
use crate::http::Client;
use crate::layout::Part;

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
        let passes = passes(&parts.method, &url);
        let mut request = Request::new(parts.method, url);
        *request.headers_mut() = parts.headers;
        // What is sent is in memory.
        *request.body_mut() = Some(body.collect().await?.to_bytes().into());
        let answer = self.0.send(request).await.map_err(unanswered)?;
        let is_success = answer.status.is_success();
        if !is_success && !passes.contains(&answer.status) {
            return Err(HttpError::new(HttpErrorKind::Unknown, Refused::of(&answer)));
        }
        // The library would quote all that comes with anything but success.
        let body = if is_success { answer.body } else { Bytes::new() };
        let mut response = Response::new(body.into());
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        Ok(response)
    }
}

/// What means something to the library: of an object that is read, there is none; of one that is created, there is one.
/// Everything else it would only turn into text, also where the same status answers a listing or who asks for a token.
fn passes(method: &Method, url: &Url) -> &'static [StatusCode] {
    if !Part::ALL.iter().any(|part| url.path().ends_with(part.extension())) {
        return &[];
    }
    match *method {
        Method::GET => &[StatusCode::NOT_FOUND],
        Method::PUT => &[StatusCode::CONFLICT, StatusCode::PRECONDITION_FAILED],
        _ => &[],
    }
}

fn unanswered(error: chains_core::Error) -> HttpError {
    let kind = match error.kind() {
        ErrorKind::Timeout => HttpErrorKind::Timeout,
        ErrorKind::Unavailable => HttpErrorKind::Connect,
        _ => HttpErrorKind::Unknown,
    };
    HttpError::new(kind, error)
}
