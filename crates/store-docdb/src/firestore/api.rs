//! One call of Firestore, and what its failures mean.

use std::sync::Arc;

use chains_core::{Error, ErrorKind, Result, Secret};
use chains_http::{Answer, Refusal, Tls, Variables, build};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use reqwest::{Client, RequestBuilder, StatusCode, Url};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;

use super::access::Access;
use super::value::too_large;
use crate::document::field;
use crate::http::{self as exchange, EXCHANGE, settings};
use crate::{DocDbOptions, FirestoreCollection};

/// What is read of a document. `Object` is not: it follows from `Signed`, and takes many times its room on the wire.
const READ: [&str; 4] = [field::SIGNED, field::SIGNATURE, field::CERTIFICATE, field::CHAIN];

/// The service.
#[derive(Debug)]
pub(super) struct Api {
    collection: FirestoreCollection,
    client: Client,
    variables: Variables,
    /// Found when first needed: reading some credentials starts work in the background.
    access: Mutex<Option<Arc<Access>>>,
}

/// What a call came to.
#[derive(Debug)]
pub(super) enum Replied {
    Done(Answer),
    /// A document is there where none was to be, or is not where one was asked for.
    Otherwise,
}

impl Api {
    pub(super) fn new(collection: &FirestoreCollection, options: &DocDbOptions) -> Result<Self> {
        let builder = settings(options).builder(Tls::default())?;
        Ok(Self {
            collection: collection.clone(),
            client: build("setting up TLS for Firestore", builder)?,
            variables: options.variables.clone(),
            access: Mutex::default(),
        })
    }

    /// # Errors
    /// Everything but success, and but that a document is there already.
    pub(super) async fn commit(&self, what: &str, body: &Value) -> Result<Replied> {
        let access = self.access(what).await?;
        let mut url = self.documents(what, &access)?;
        // The method is part of the last segment.
        url.set_path(&format!("{}:commit", url.path()));
        let request = self.client.post(url).header(CONTENT_TYPE, "application/json");
        self.call(what, &access, request.body(body.to_string())).await
    }

    /// # Errors
    /// Everything but success, and but that there is no such document.
    pub(super) async fn get(&self, what: &str, id: &str) -> Result<Replied> {
        let access = self.access(what).await?;
        let mut url = self.documents(what, &access)?;
        if let Ok(mut path) = url.path_segments_mut() {
            path.extend(self.collection.path.split('/')).push(id);
        }
        url.query_pairs_mut().extend_pairs(READ.map(|name| ("mask.fieldPaths", name)));
        self.call(what, &access, self.client.get(url)).await
    }

    async fn call(
        &self,
        what: &str,
        access: &Arc<Access>,
        request: RequestBuilder,
    ) -> Result<Replied> {
        let headers = self.headers(what, access).await?;
        let token = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = Secret::new(token.unwrap_or_default().trim_start_matches("Bearer "));
        let answer = EXCHANGE.send(what, request.headers(headers)).await?;
        if answer.status.is_success() {
            return Ok(Replied::Done(answer));
        }
        let refusal = refusal(&answer);
        if is_otherwise(&answer, &refusal) {
            return Ok(Replied::Otherwise);
        }
        let kind = kind(&refusal).unwrap_or_else(|| exchange::kind(answer.status));
        if kind == ErrorKind::TooLarge {
            return Err(too_large(&refusal.told(&[&token])).context(what));
        }
        Err(answer.fault(what, kind, &refusal, &self.advice(kind, &refusal), &[&token]))
    }

    fn advice(&self, kind: ErrorKind, refusal: &Refusal) -> String {
        let database = &self.collection.database;
        match kind {
            ErrorKind::NotFound => {
                format!("create {database}, or mend `storage.docdb.url`")
            }
            ErrorKind::Unauthorized => {
                format!(
                    "check the credentials, and grant the role `roles/datastore.user` on {database}"
                )
            }
            ErrorKind::Configuration => {
                format!("{database} must be in native mode: mend `storage.docdb.url`")
            }
            ErrorKind::InvalidInput if refusal.message.contains("index entries") => {
                format!("exempt the field `Object` of {} from indexes", self.collection.path)
            }
            _ => String::new(),
        }
    }

    async fn access(&self, what: &str) -> Result<Arc<Access>> {
        let mut access = self.access.lock().await;
        if let Some(found) = &*access {
            return Ok(Arc::clone(found));
        }
        let found = Access::find(&self.variables).await.map_err(|e| e.context(what))?;
        Ok(Arc::clone(access.insert(Arc::new(found))))
    }

    async fn headers(&self, what: &str, access: &Arc<Access>) -> Result<HeaderMap> {
        let (error, is_final) = match access.headers().await {
            Ok(headers) => return Ok(headers),
            Err(failed) => failed,
        };
        if is_final {
            let mut found = self.access.lock().await;
            if found.as_ref().is_some_and(|found| Arc::ptr_eq(found, access)) {
                *found = None;
            }
        }
        Err(error.context(what))
    }

    fn documents(&self, what: &str, access: &Access) -> Result<Url> {
        let mut url = access.base.clone();
        let path = format!("v1/{}/documents", self.collection.database);
        match url.path_segments_mut() {
            Ok(mut segments) => segments.pop_if_empty().extend(path.split('/')),
            Err(()) => {
                let why = format!("{} is no address of a server", access.base);
                return Err(Error::new(ErrorKind::Configuration, what).with_source(why));
            }
        };
        Ok(url)
    }
}

/// <https://cloud.google.com/apis/design/errors>
#[derive(Deserialize, Default)]
struct Failure {
    #[serde(default)]
    error: Told,
}

#[derive(Deserialize, Default)]
struct Told {
    #[serde(default)]
    status: String,
    #[serde(default)]
    message: String,
}

fn refusal(answer: &Answer) -> Refusal {
    let failure: Failure = serde_json::from_slice(&answer.body).unwrap_or_default();
    Refusal { code: failure.error.status, message: failure.error.message }
}

/// A database that is not there is not found either, and says so in words alone.
fn is_otherwise(answer: &Answer, refusal: &Refusal) -> bool {
    match answer.status {
        StatusCode::CONFLICT => refusal.code == "ALREADY_EXISTS",
        StatusCode::NOT_FOUND => {
            refusal.code == "NOT_FOUND" && refusal.message.starts_with("Document ")
        }
        _ => false,
    }
}

fn kind(refusal: &Refusal) -> Option<ErrorKind> {
    Some(match refusal.code.as_str() {
        "UNAUTHENTICATED" | "PERMISSION_DENIED" => ErrorKind::Unauthorized,
        "NOT_FOUND" => ErrorKind::NotFound,
        "ABORTED" | "ALREADY_EXISTS" => ErrorKind::Conflict,
        "RESOURCE_EXHAUSTED" => ErrorKind::Throttled,
        "DEADLINE_EXCEEDED" | "CANCELLED" => ErrorKind::Timeout,
        "UNAVAILABLE" | "INTERNAL" | "UNKNOWN" => ErrorKind::Unavailable,
        "FAILED_PRECONDITION" => ErrorKind::Configuration,
        "INVALID_ARGUMENT" if is_about_size(&refusal.message) => ErrorKind::TooLarge,
        "INVALID_ARGUMENT" => ErrorKind::InvalidInput,
        _ => return None,
    })
}

fn is_about_size(message: &str) -> bool {
    ["maximum allowed size", "is longer than", "maximum entity size"]
        .iter()
        .any(|words| message.contains(words))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use google_cloud_auth::credentials::mds;

    use super::*;
    use crate::Collection;

    /// A metadata server that refuses once, with many words.
    async fn metadata() -> String {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let app = Router::new().fallback(move || {
            let first = asked.fetch_add(1, Ordering::Relaxed) == 0;
            async move {
                if first {
                    return (StatusCode::FORBIDDEN, "no rights ".repeat(900));
                }
                let token = r#"{"access_token":"good","expires_in":3600,"token_type":"Bearer"}"#;
                (StatusCode::OK, token.to_owned())
            }
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        address
    }

    #[tokio::test]
    async fn who_was_refused_asks_again() {
        let address = metadata().await;
        let found = || mds::Builder::default().with_endpoint(&address).build().unwrap();
        let make = || Arc::new(Access::of(found()));
        let url = "firestore://projects/p/databases/(default)/documents/signed?name_field=Name";
        let options = DocDbOptions::new(Collection::parse(url).unwrap());
        let Collection::Firestore(collection) = &options.collection else { panic!("{url}") };
        let api = Api::new(collection, &options).unwrap();
        let refused = make();
        *api.access.lock().await = Some(Arc::clone(&refused));
        let error = api.headers("keeping", &refused).await.unwrap_err();
        let report = error.report();
        assert!(error.kind() == ErrorKind::Unauthorized && error.is_retryable(), "{report}");
        assert!(report.len() < 1000, "{report}");
        assert!(api.access.lock().await.is_none(), "the library would never ask again");
        let next = make();
        *api.access.lock().await = Some(Arc::clone(&next));
        let headers = api.headers("keeping", &next).await.unwrap();
        assert_eq!(headers[AUTHORIZATION], "Bearer good");
        // Another one's failure is none of this one.
        api.headers("keeping", &refused).await.unwrap_err();
        assert!(Arc::ptr_eq(&next, &api.access("keeping").await.unwrap()));
    }

    #[test]
    fn a_document_that_is_not_there_is_told_from_a_database_that_is_not() {
        let check = |status, code: &str, message: &str, expect| {
            let (headers, body) = (Default::default(), Default::default());
            let answer = Answer { status, headers, body };
            let refusal = Refusal { code: code.to_owned(), message: message.to_owned() };
            assert_eq!(is_otherwise(&answer, &refusal), expect, "{message}");
        };
        let document = "Document \"projects/p/databases/(default)/documents/a/b\" not found.";
        check(StatusCode::NOT_FOUND, "NOT_FOUND", document, true);
        let database = "The database (default) does not exist for project p";
        check(StatusCode::NOT_FOUND, "NOT_FOUND", database, false);
        check(StatusCode::NOT_FOUND, "", "", false);
        check(StatusCode::CONFLICT, "ALREADY_EXISTS", "Document already exists: x", true);
        check(StatusCode::CONFLICT, "ABORTED", "contention", false);
    }

    #[test]
    fn statuses_say_what_it_is() {
        let check = |code: &str, message: &str, expect| {
            let refusal = Refusal { code: code.to_owned(), message: message.to_owned() };
            assert_eq!(kind(&refusal), expect, "{code} {message}");
        };
        check("PERMISSION_DENIED", "", Some(ErrorKind::Unauthorized));
        check("ABORTED", "", Some(ErrorKind::Conflict));
        check("UNAVAILABLE", "", Some(ErrorKind::Unavailable));
        check("", "", None);
        let long = "Document 'x' cannot be written because its size (1,100,000 bytes) exceeds the \
                    maximum allowed size of 1,048,576 bytes.";
        check("INVALID_ARGUMENT", long, Some(ErrorKind::TooLarge));
        check("INVALID_ARGUMENT", "Cannot convert an array value", Some(ErrorKind::InvalidInput));
    }
}
