//! Google Cloud KMS, over its REST API; Google's own library finds the credentials.
//!
//! | room | what |
//! |---|---|
//! | `key` | the provider: public keys and signatures |
//! | `api` | one call of the service, and what its failures mean |
//! | `crc32c` | the checksums that requests and answers carry |

mod api;
mod crc32c;
mod key;

pub(crate) use key::CloudKms;
