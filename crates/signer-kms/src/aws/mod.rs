//! AWS KMS.
//!
//! Credentials are found by AWS's own library, `aws-config`, over our own HTTP client; the two operations that are
//! needed are asked for directly, signed by AWS's `aws-sigv4`: the generated client of the whole service would take
//! longer to compile than everything else in this crate. `docs/kms.md` has the numbers.
//!
//! | room | what |
//! |---|---|
//! | `key` | the provider: public keys and signatures |
//! | `api` | one call of the service, and what its failures mean |
//! | `endpoint` | which address a region has |
//! | `wallet` | credentials: found once, kept until shortly before they expire |
//! | `connector` | our HTTP client in the form that AWS's library wants |

mod api;
mod connector;
mod endpoint;
mod key;
mod wallet;

pub(crate) use key::AwsKms;
