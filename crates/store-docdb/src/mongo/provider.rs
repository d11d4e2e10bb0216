//! Three operations on a collection.

use std::future::Future;

use async_trait::async_trait;
use chains_core::{Error, ErrorKind, Result};
use mongodb::Client;
use mongodb::bson::{RawDocumentBuf, doc};
use mongodb::error::Result as Answer;
use mongodb::options::{ReadPreference, SelectionCriteria};

use super::connection::{Connection, Lease};
use super::{encoding, fault};
use crate::document::{Document, Found};
use crate::provider::Provider;
use crate::{DocDbOptions, Limits, MongoCollection};

const ID: &str = "_id";
/// How often a document is replaced where another one is there whenever it is to be created.
const REPLACEMENTS: usize = 3;

/// A collection of MongoDB.
#[derive(Debug)]
pub(crate) struct Mongo {
    collection: MongoCollection,
    connection: Connection,
    limits: Limits,
}

type Documents = mongodb::Collection<RawDocumentBuf>;

impl Mongo {
    pub(crate) fn new(collection: &MongoCollection, options: &DocDbOptions) -> Result<Self> {
        let connection = Connection::new(options)?;
        Ok(Self { collection: collection.clone(), connection, limits: options.limits })
    }

    fn documents(&self, client: &Client) -> Documents {
        client.database(&self.collection.database).collection(&self.collection.collection)
    }

    /// Does something with the collection; once more with a new client where the old one's credentials are refused and
    /// the connection string has changed. The client stays until the answer is there, whatever changes meanwhile.
    async fn with<T, F, A>(&self, what: &str, act: F) -> Result<Answer<T>>
    where
        F: Fn(Documents) -> A,
        A: Future<Output = Answer<T>>,
    {
        let lease = self.connection.lease(what).await?;
        let answer = self.timed(what, &lease, &act).await?;
        match &answer {
            Err(error) if fault::is_refused(error) => {
                match self.connection.renewed(what, &lease).await {
                    Some(renewed) => self.timed(what, &renewed, &act).await,
                    None => Ok(answer),
                }
            }
            _ => Ok(answer),
        }
    }

    async fn timed<T, F, A>(&self, what: &str, lease: &Lease, act: &F) -> Result<Answer<T>>
    where
        F: Fn(Documents) -> A,
        A: Future<Output = Answer<T>>,
    {
        let limit = self.limits.request_timeout;
        let timed = tokio::time::timeout(limit, act(self.documents(lease.client()))).await;
        timed.map_err(|_| {
            let why = format!("MongoDB did not answer within {limit:?}");
            Error::new(ErrorKind::Timeout, what).with_source(why)
        })
    }

    fn encoded(&self, what: &str, document: &Document) -> Result<RawDocumentBuf> {
        let has_name = self.collection.has_name;
        encoding::encode(document, has_name).map_err(|e| e.context(what))
    }

    fn fault(&self, what: &str, error: &mongodb::error::Error) -> Error {
        fault::told(what, error, &self.connection)
    }
}

#[async_trait]
impl Provider for Mongo {
    async fn create(&self, what: &str, document: &Document) -> Result<bool> {
        let encoded = self.encoded(what, document)?;
        let insert = |documents: Documents| {
            let encoded = encoded.clone();
            async move { documents.insert_one(encoded).await }
        };
        match self.with(what, insert).await? {
            Ok(_) => Ok(true),
            Err(error) if fault::is_duplicate(&error) => Ok(false),
            Err(error) => Err(self.fault(what, &error)),
        }
    }

    async fn find(&self, what: &str, name: &str) -> Result<Option<Found>> {
        // Others may be behind.
        let primary = SelectionCriteria::ReadPreference(ReadPreference::Primary);
        let find = |documents: Documents| {
            let (filter, primary) = (doc! { ID: name }, primary.clone());
            async move { documents.find_one(filter).selection_criteria(primary).await }
        };
        match self.with(what, find).await? {
            Ok(found) => found.map(|found| encoding::decode(what, &found)).transpose(),
            Err(error) => Err(self.fault(what, &error)),
        }
    }

    async fn replace(&self, what: &str, document: &Document) -> Result<()> {
        let encoded = self.encoded(what, document)?;
        let replace = |documents: Documents| {
            let (filter, encoded) = (doc! { ID: &document.name }, encoded.clone());
            async move { documents.replace_one(filter, encoded).upsert(true).await }
        };
        let mut left = REPLACEMENTS;
        loop {
            match self.with(what, replace).await? {
                Ok(_) => return Ok(()),
                // Two that replace what is not there both create it, and one of them loses.
                Err(error) if fault::is_duplicate(&error) && left > 0 => left -= 1,
                Err(error) => return Err(self.fault(what, &error)),
            }
        }
    }
}
