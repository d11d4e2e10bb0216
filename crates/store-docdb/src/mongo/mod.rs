//! MongoDB, by its own driver: addresses, TLS, SRV records and authentication are as the connection string has them.
//!
//! | room | what |
//! |---|---|
//! | `provider` | three operations |
//! | `connection` | the client, replaced when the connection string changes |
//! | `source` | where the connection string is |
//! | `encoding` | documents in BSON, and their limit |
//! | `fault` | what failures mean |

mod connection;
mod encoding;
mod fault;
mod provider;
mod source;

pub(crate) use provider::Mongo;
