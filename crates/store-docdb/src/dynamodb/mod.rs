//! Amazon DynamoDB: two operations, asked for directly.
//!
//! Credentials are found by AWS's own library, `aws-config`, over our own HTTP client, and requests are signed by AWS's
//! `aws-sigv4`: `docs/decisions` says why not by the generated client of the whole service.
//!
//! | room | what |
//! |---|---|
//! | `provider` | putting and getting an item |
//! | `item` | documents as items, and their limit |
//! | `api` | one call of the service |
//! | `fault` | what its failures mean |
//! | `endpoint` | which address a region has |
//! | `wallet` | credentials: found once, kept until shortly before they expire |
//! | `connector` | our HTTP client in the form that AWS's library wants |

mod api;
mod connector;
mod endpoint;
mod fault;
mod item;
mod provider;
mod wallet;

pub(crate) use provider::DynamoDb;
