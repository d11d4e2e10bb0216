//! Amazon S3 and Azure Blob Storage, over the crate `object_store`.
//!
//! | room | what |
//! |---|---|
//! | `connector` | its HTTP goes through our client, with its bounds |
//! | `bucket` | its answers in our words |
//! | `s3`, `azblob` | options, credentials, and what refusals mean |

#[cfg(feature = "azblob")]
mod azblob;
mod bucket;
mod connector;
#[cfg(feature = "s3")]
mod s3;

use std::time::Duration;

use chains_core::{Error, ErrorKind, Result};
use object_store::RetryConfig;
use url::Url;

#[cfg(feature = "azblob")]
pub use azblob::AzblobOptions;
#[cfg(feature = "s3")]
pub use s3::S3Options;

/// None: retries are a wrapper's, which tells of them and bounds them.
fn no_retries() -> RetryConfig {
    RetryConfig { max_retries: 0, retry_timeout: Duration::ZERO, ..RetryConfig::default() }
}

/// Reads the address of a server.
fn endpoint(key: &str, text: &str) -> Result<Url> {
    let failed = |why: String| {
        Error::new(ErrorKind::Configuration, format!("reading {key}")).with_source(why)
    };
    let url = Url::parse(text).map_err(|e| failed(e.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(failed(format!("{text:?} is not an http or https URL")));
    }
    Ok(url)
}

/// Options that the library cannot use.
fn unusable(store: &str, error: &object_store::Error) -> Error {
    Error::new(ErrorKind::Configuration, format!("preparing the store `{store}`"))
        .with_source(chains_core::chain(error))
}
