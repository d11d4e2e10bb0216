//! Putting and getting an item: [`PutItem`], [`GetItem`].
//!
//! [`PutItem`]: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_PutItem.html
//! [`GetItem`]: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_GetItem.html

use async_trait::async_trait;
use chains_core::Result;
use serde::Deserialize;
use serde_json::{Value, json};

use super::api::{Api, Replied};
use super::item;
use crate::document::{Document, Found, field};
use crate::http::json as read;
use crate::provider::Provider;
use crate::{DocDbOptions, Table};

/// A table.
#[derive(Debug)]
pub(crate) struct DynamoDb {
    table: Table,
    api: Api,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetAnswer {
    #[serde(default)]
    item: Option<Value>,
}

impl DynamoDb {
    pub(crate) fn new(table: &Table, options: &DocDbOptions) -> Result<Self> {
        Ok(Self { table: table.clone(), api: Api::new(table, options)? })
    }

    fn item(&self, what: &str, document: &Document) -> Result<Value> {
        item::encode(document, &self.table.partition_key).map_err(|e| e.context(what))
    }
}

#[async_trait]
impl Provider for DynamoDb {
    async fn create(&self, what: &str, document: &Document) -> Result<bool> {
        let body = json!({
            "TableName": self.table.name,
            "Item": self.item(what, document)?,
            "ConditionExpression": "attribute_not_exists(#key)",
            "ExpressionAttributeNames": { "#key": self.table.partition_key },
        });
        match self.api.call(what, "PutItem", &body).await? {
            Replied::Done(_) => Ok(true),
            Replied::ConditionFailed => Ok(false),
        }
    }

    async fn find(&self, what: &str, name: &str) -> Result<Option<Found>> {
        let body = json!({
            "TableName": self.table.name,
            "Key": { &self.table.partition_key: { "S": name } },
            "ConsistentRead": true,
            // Not `Object`: it follows from `Signed`, and takes many times its room on the wire.
            "ProjectionExpression": "#signed, #signature, #certificate, #chain",
            "ExpressionAttributeNames": {
                "#signed": field::SIGNED,
                "#signature": field::SIGNATURE,
                "#certificate": field::CERTIFICATE,
                "#chain": field::CHAIN,
            },
        });
        match self.api.call(what, "GetItem", &body).await? {
            Replied::Done(answer) => {
                let answer: GetAnswer = read(what, &answer)?;
                answer.item.map(|item| item::decode(what, &item)).transpose()
            }
            Replied::ConditionFailed => Ok(None),
        }
    }

    async fn replace(&self, what: &str, document: &Document) -> Result<()> {
        let body = json!({ "TableName": self.table.name, "Item": self.item(what, document)? });
        self.api.call(what, "PutItem", &body).await.map(drop)
    }
}
