//! Amazon DynamoDB: two operations, asked for directly.
//!
//! What credentials, addresses and signatures take is in [`chains_http::aws`]; `docs/decisions` says why it is not the
//! generated client of the whole service.
//!
//! | room | what |
//! |---|---|
//! | `provider` | putting and getting an item |
//! | `item` | documents as items, and their limit |
//! | `api` | one call of the service |
//! | `fault` | what its failures mean |

mod api;
mod fault;
mod item;
mod provider;

pub(crate) use provider::DynamoDb;
