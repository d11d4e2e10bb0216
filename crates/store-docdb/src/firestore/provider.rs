//! Committing and getting a document: [`commit`], [`get`].
//!
//! [`commit`]: https://firebase.google.com/docs/firestore/reference/rest/v1/projects.databases.documents/commit
//! [`get`]: https://firebase.google.com/docs/firestore/reference/rest/v1/projects.databases.documents/get

use async_trait::async_trait;
use chains_core::Result;
use serde_json::{Value, json};

use super::api::{Api, Replied};
use super::value;
use crate::document::{Document, Found};
use crate::http::json as read;
use crate::provider::Provider;
use crate::{DocDbOptions, FirestoreCollection};

/// A collection of Firestore.
#[derive(Debug)]
pub(crate) struct Firestore {
    collection: FirestoreCollection,
    api: Api,
}

impl Firestore {
    pub(crate) fn new(collection: &FirestoreCollection, options: &DocDbOptions) -> Result<Self> {
        Ok(Self { collection: collection.clone(), api: Api::new(collection, options)? })
    }

    fn name(&self, id: &str) -> String {
        format!("{}/documents/{}/{id}", self.collection.database, self.collection.path)
    }

    async fn commit(&self, what: &str, document: &Document, condition: Value) -> Result<Replied> {
        let name = self.name(&document.name);
        let fields = value::encode(document, &self.collection).map_err(|e| e.context(what))?;
        let mut write = json!({ "update": { "name": name, "fields": fields } });
        if let (Value::Object(write), false) = (&mut write, condition.is_null()) {
            write.insert("currentDocument".to_owned(), condition);
        }
        self.api.commit(what, &json!({ "writes": [write] })).await
    }
}

#[async_trait]
impl Provider for Firestore {
    async fn create(&self, what: &str, document: &Document) -> Result<bool> {
        let replied = self.commit(what, document, json!({ "exists": false })).await?;
        Ok(matches!(replied, Replied::Done(_)))
    }

    async fn find(&self, what: &str, id: &str) -> Result<Option<Found>> {
        match self.api.get(what, id).await? {
            Replied::Done(answer) => {
                let document: Value = read(what, &answer)?;
                value::decode(what, &document).map(Some)
            }
            Replied::Otherwise => Ok(None),
        }
    }

    async fn replace(&self, what: &str, document: &Document) -> Result<()> {
        self.commit(what, document, Value::Null).await.map(drop)
    }
}
