//! AWS KMS.
//!
//! The two operations that are needed are asked for directly, with what [`chains_http::aws`] has of credentials,
//! addresses and signatures. `docs/kms.md` has the numbers that speak against the generated client of the whole service.
//!
//! | room | what |
//! |---|---|
//! | `key` | the provider: public keys and signatures |
//! | `api` | one call of the service, and what its failures mean |

mod api;
mod key;

pub(crate) use key::AwsKms;
