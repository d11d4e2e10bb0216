//! Firestore, over its [REST API]: two calls.
//!
//! | room | what |
//! |---|---|
//! | `provider` | committing and getting a document |
//! | `value` | documents as Firestore has them, and their limit |
//! | `api` | one call of the service, and what its failures mean |
//! | `access` | its address and its tokens |
//!
//! [REST API]: https://firebase.google.com/docs/firestore/reference/rest

mod access;
mod api;
mod provider;
mod value;

pub(crate) use provider::Firestore;
