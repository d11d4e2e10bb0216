//! Keeps records in document databases: MongoDB, DynamoDB, Firestore.
//!
//! One record is one document, the one that Tekton Chains (Go) writes through go-cloud's `docstore`:
//!
//! | field | holds |
//! |---|---|
//! | `Name` | the short key, `taskrun-<uid>` or the first 12 hex digits of an image's digest: the document's id |
//! | `Signed` | the payload, as bytes |
//! | `Signature` | standard base64 of the envelope's JSON, or of the detached signature; left out without one |
//! | `Cert`, `Chain` | PEM of the leaf certificate and of those above it; empty where there are none |
//! | `Object` | the payload once more, as a document that queries can look into; all its numbers are floating point |
//!
//! | room | what is in it |
//! |---|---|
//! | `collection` | the URL of the collection |
//! | `document` | a record as fields, and back |
//! | `store` | the store over one of the databases |
//! | `mongo` | MongoDB, by its own driver, with a connection string that may change |
//! | `dynamodb` | two operations of DynamoDB |
//! | `firestore` | two calls of Firestore |
//! | `http` | what the latter two share |
//!
//! # Guarantees
//! - A document is there whole or not at all. Keeping the same record again changes nothing.
//! - Another signature for the same key replaces the first, as in Tekton Chains: `docs/stores.md` says why.
//! - What a database cannot hold is refused for good, by an error that names the run and the limit.
//! - A connection string in a file is read again when it changes; what is under way finishes by the old one.

#![cfg_attr(
    not(any(feature = "dynamodb", feature = "firestore", feature = "mongo")),
    allow(dead_code, unused_imports, reason = "no database is compiled in")
)]

mod collection;
mod document;
#[cfg(feature = "dynamodb")]
mod dynamodb;
#[cfg(feature = "firestore")]
mod firestore;
#[cfg(any(feature = "dynamodb", feature = "firestore"))]
mod http;
#[cfg(feature = "mongo")]
mod mongo;
mod options;
mod provider;
mod store;

pub use chains_http::Variables;
pub use collection::{Collection, FirestoreCollection, MongoCollection, Table};
pub use options::{DocDbOptions, Limits, MongoServer};
pub use store::DocDbStore;
