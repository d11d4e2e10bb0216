//! One call of Firestore, and what its failures mean.

use chains_core::{Error, ErrorKind, Result};
use chains_http::{Answer, Refusal, Tls, build, google};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, RequestBuilder, StatusCode, Url};
use serde_json::Value;

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
    access: Access,
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
            access: Access::new(&options.variables, options.limits.request_timeout),
        })
    }

    /// # Errors
    /// Everything but success, and but that a document is there already.
    pub(super) async fn commit(&self, what: &str, body: &Value) -> Result<Replied> {
        let mut url = self.documents(what).await?;
        // The method is part of the last segment.
        url.set_path(&format!("{}:commit", url.path()));
        let request = self.client.post(url).header(CONTENT_TYPE, "application/json");
        self.call(what, request.body(body.to_string())).await
    }

    /// # Errors
    /// Everything but success, and but that there is no such document.
    pub(super) async fn get(&self, what: &str, id: &str) -> Result<Replied> {
        let mut url = self.documents(what).await?;
        if let Ok(mut path) = url.path_segments_mut() {
            path.extend(self.collection.path.split('/')).push(id);
        }
        url.query_pairs_mut().extend_pairs(READ.map(|name| ("mask.fieldPaths", name)));
        self.call(what, self.client.get(url)).await
    }

    async fn call(&self, what: &str, request: RequestBuilder) -> Result<Replied> {
        let shown = self.access.shown().await.map_err(|e| e.context(what))?;
        let secrets = [&shown.token];
        let answer = EXCHANGE.send(what, request.headers(shown.headers)).await?;
        if answer.status.is_success() {
            return Ok(Replied::Done(answer));
        }
        let refusal = google::refusal(&answer);
        if is_otherwise(&answer, &refusal) {
            return Ok(Replied::Otherwise);
        }
        let kind = kind(&refusal).unwrap_or_else(|| exchange::kind(answer.status));
        if kind == ErrorKind::TooLarge {
            return Err(too_large(&refusal.told(&secrets)).context(what));
        }
        Err(answer.fault(what, kind, &refusal, &self.advice(kind, &refusal), &secrets))
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

    async fn documents(&self, what: &str) -> Result<Url> {
        let base = self.access.base().await.map_err(|e| e.context(what))?;
        let mut url = base.clone();
        let path = format!("v1/{}/documents", self.collection.database);
        match url.path_segments_mut() {
            Ok(mut segments) => segments.pop_if_empty().extend(path.split('/')),
            Err(()) => {
                let why = format!("{base} is no address of a server");
                return Err(Error::new(ErrorKind::Configuration, what).with_source(why));
            }
        };
        Ok(url)
    }
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
    if refusal.code == "INVALID_ARGUMENT" && is_about_size(&refusal.message) {
        return Some(ErrorKind::TooLarge);
    }
    google::kind(&refusal.code)
}

fn is_about_size(message: &str) -> bool {
    ["maximum allowed size", "is longer than", "maximum entity size"]
        .iter()
        .any(|words| message.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

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
