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
use chains_http::{Variables, is_beside_us};
use object_store::RetryConfig;
use url::Url;

#[cfg(feature = "azblob")]
pub use azblob::AzblobOptions;
#[cfg(feature = "s3")]
pub use s3::S3Options;

use crate::fault::told;

/// None: retries are a wrapper's, which tells of them and bounds them.
fn no_retries() -> RetryConfig {
    RetryConfig { max_retries: 0, retry_timeout: Duration::ZERO, ..RetryConfig::default() }
}

/// Reads the address of a server. What it is made of shows wherever the server is named, so no credentials belong there;
/// `instead` tells where they do. Refusals never quote it.
fn endpoint(key: &str, text: &str, instead: &str) -> Result<Url> {
    let url = Url::parse(text).map_err(|e| unreadable(key, e.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(unreadable(key, "it is not an http or https URL".to_owned()));
    }
    let has_user = !url.username().is_empty() || url.password().is_some();
    if has_user || url.query().is_some() || url.fragment().is_some() {
        let why = format!("it must have no user, password, query and fragment: {instead}");
        return Err(unreadable(key, why));
    }
    Ok(url)
}

/// Refuses an address that credentials would go to in the clear.
fn only_tls(key: &str, url: &Url) -> Result<()> {
    if url.scheme() == "https" || is_beside_us(url) {
        return Ok(());
    }
    Err(unreadable(key, "credentials would go over plain HTTP: it must be an https URL".to_owned()))
}

/// Checks the variables that name who is shown credentials.
fn only_tls_of(variables: &Variables, names: &[&str]) -> Result<()> {
    for name in names {
        if let Some(text) = variables.get(name) {
            only_tls(name, &endpoint(name, &text, "it takes an address alone")?)?;
        }
    }
    Ok(())
}

fn unreadable(key: &str, why: String) -> Error {
    Error::new(ErrorKind::Configuration, format!("reading {key}")).with_source(why)
}

/// Options that the library cannot use.
fn unusable(store: &str, error: &object_store::Error) -> Error {
    Error::new(ErrorKind::Configuration, format!("preparing the store `{store}`"))
        .with_source(told(&chains_core::chain(error)))
}
