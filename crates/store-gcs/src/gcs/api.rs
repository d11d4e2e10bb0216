//! The requests: <https://cloud.google.com/storage/docs/json_api/v1/objects>.

use async_trait::async_trait;
use bytes::Bytes;
use chains_core::{Error, ErrorKind, Result};
use chains_http::Answer;
use chains_http::google::Tokens;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Request, StatusCode};
use serde::Deserialize;
use url::Url;

use super::Server;
use crate::fault::{Refused, told};
use crate::http::Client;
use crate::objects::{Creation, MAX_LISTED, Objects};

/// How many pages of a listing are read: each has up to a thousand names.
const MAX_PAGES: usize = 1 + MAX_LISTED / 1000;

/// A bucket of Google Cloud Storage.
#[derive(Debug)]
pub(super) struct Bucket {
    name: String,
    server: Server,
    client: Client,
    /// `None` for emulators, which are shown no credentials.
    tokens: Option<Tokens>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listing {
    #[serde(default)]
    items: Vec<Listed>,
    #[serde(default)]
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
struct Listed {
    name: String,
}

impl Bucket {
    pub(super) const fn new(
        name: String,
        server: Server,
        client: Client,
        tokens: Option<Tokens>,
    ) -> Self {
        Self { name, server, client, tokens }
    }

    /// `BASE/PATH/b/BUCKET/o[/OBJECT]?QUERY`
    fn address(&self, path: &[&str], object: Option<&str>, query: &[(&str, &str)]) -> Result<Url> {
        let mut url = self.server.base.clone();
        match url.path_segments_mut() {
            Ok(mut segments) => {
                segments.clear().extend(path).extend(["b", &self.name, "o"]).extend(object);
            }
            Err(()) => {
                return Err(Error::new(ErrorKind::Configuration, self.server.base.as_str())
                    .with_source("not an address of a server"));
            }
        }
        url.query_pairs_mut().extend_pairs(query);
        Ok(url)
    }

    async fn send(&self, what: &str, mut request: Request) -> Result<Answer> {
        if let Some(tokens) = &self.tokens {
            let token = tokens.token().await.map_err(|e| e.context(what))?;
            let value = HeaderValue::from_str(&format!("Bearer {}", token.expose()));
            let mut value = value.map_err(|_| {
                let why = "the token of Google Cloud holds characters that no token has";
                Error::new(ErrorKind::Unauthorized, what).with_source(why)
            })?;
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        self.client.send(request).await.map_err(|e| e.context(what))
    }

    fn refused(&self, what: &str, answer: &Answer) -> Error {
        let refused = Refused::of(answer);
        let advice = self.advice(&refused);
        refused.error(what, advice)
    }

    fn advice(&self, refused: &Refused) -> Option<String> {
        let bucket = &self.name;
        match refused.status {
            StatusCode::NOT_FOUND => Some(format!(
                "create the bucket (`gcloud storage buckets create gs://{bucket}`), or correct \
                 `storage.gcs.bucket`"
            )),
            StatusCode::FORBIDDEN => Some(format!(
                "grant the roles `roles/storage.objectCreator` and `roles/storage.objectViewer` on gs://{bucket}: it \
                 takes `storage.objects.create`, `storage.objects.get` and `storage.objects.list`"
            )),
            StatusCode::UNAUTHORIZED => Some(
                "the credentials are not valid, or no longer: renew what GOOGLE_APPLICATION_CREDENTIALS names, or the \
                 workload identity of the pod's service account"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

#[async_trait]
impl Objects for Bucket {
    fn holds_to_preconditions(&self) -> bool {
        self.server.holds_to_preconditions
    }

    fn url(&self, name: &str) -> String {
        format!("gs://{}/{name}", self.name)
    }

    async fn get(&self, name: &str) -> Result<Option<Bytes>> {
        let what = format!("reading {}", self.url(name));
        let url = self.address(&["storage", "v1"], Some(name), &[("alt", "media")])?;
        let answer = self.send(&what, Request::new(Method::GET, url)).await?;
        match answer.status {
            status if status.is_success() => Ok(Some(answer.body)),
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(self.refused(&what, &answer)),
        }
    }

    /// One request, whose answer comes when the object is there: there is no closing that could fail unnoticed.
    async fn create(
        &self,
        name: &str,
        media_type: &'static str,
        content: Bytes,
    ) -> Result<Creation> {
        let what = format!("creating {}", self.url(name));
        // There is no generation 0: what is there already has another one.
        let query = [("uploadType", "media"), ("name", name), ("ifGenerationMatch", "0")];
        let url = self.address(&["upload", "storage", "v1"], None, &query)?;
        let mut request = Request::new(Method::POST, url);
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        *request.body_mut() = Some(content.into());
        let answer = self.send(&what, request).await?;
        match answer.status {
            status if status.is_success() => Ok(Creation::Created),
            StatusCode::PRECONDITION_FAILED => Ok(Creation::Exists),
            // Who may create and not delete is refused so where there is one: what is there tells.
            StatusCode::FORBIDDEN if matches!(self.get(name).await, Ok(Some(_))) => {
                Ok(Creation::Exists)
            }
            _ => Err(self.refused(&what, &answer)),
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let what = format!("listing {}*", self.url(prefix));
        let (mut names, mut page) = (Vec::new(), None::<String>);
        for _ in 0..MAX_PAGES {
            let mut query = vec![("prefix", prefix), ("fields", "items(name),nextPageToken")];
            query.extend(page.as_deref().map(|page| ("pageToken", page)));
            let url = self.address(&["storage", "v1"], None, &query)?;
            let answer = self.send(&what, Request::new(Method::GET, url)).await?;
            if !answer.status.is_success() {
                return Err(self.refused(&what, &answer));
            }
            let listing: Listing = serde_json::from_slice(&answer.body).map_err(|e| {
                let why =
                    format!("its answer is not what the API promises: {}", told(&e.to_string()));
                Error::new(ErrorKind::Protocol, &what).with_source(why)
            })?;
            names.extend(listing.items.into_iter().map(|listed| listed.name));
            page = listing.next_page_token.filter(|page| !page.is_empty());
            if page.is_none() {
                break;
            }
        }
        names.truncate(MAX_LISTED);
        Ok(names)
    }
}
