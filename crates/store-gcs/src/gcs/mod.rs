//! Google Cloud Storage, over its JSON API: what Google's own client and every emulator speak.
//!
//! | room | what |
//! |---|---|
//! | `api` | the requests, and what refusals mean |
//! | `tokens` | credentials as Google's tools find them |

mod api;
mod tokens;

use std::path::PathBuf;

use chains_core::{Error, ErrorKind, Result};
use url::Url;

use crate::http::Client;
use crate::{BucketStore, Limits, Variables};

use api::Bucket;
use tokens::Tokens;

/// Where emulators are, as Google's own clients read it: `HOST:PORT` or a URL.
const EMULATOR: &str = "STORAGE_EMULATOR_HOST";

/// Options of [`BucketStore::gcs`].
#[derive(Debug, Clone)]
pub struct GcsOptions {
    /// The bucket (`storage.gcs.bucket`).
    pub bucket: String,
    /// PEM files with certificate authorities to trust besides the system's.
    pub ca_files: Vec<PathBuf>,
    /// Bounds.
    pub limits: Limits,
    /// Where credentials and `STORAGE_EMULATOR_HOST` are read from.
    pub variables: Variables,
}

impl GcsOptions {
    /// The bucket, with everything else as the environment has it.
    #[must_use]
    pub fn new(bucket: impl Into<String>) -> Self {
        Self {
            bucket: bucket.into(),
            ca_files: Vec::new(),
            limits: Limits::default(),
            variables: Variables::of_process(),
        }
    }
}

impl BucketStore {
    /// A store in a bucket of Google Cloud Storage. Nothing is asked of anybody before the first record.
    ///
    /// Credentials are those that Google's tools find: the file that `GOOGLE_APPLICATION_CREDENTIALS` names (keys of
    /// service accounts, workload identity federation, impersonation, users), the one that `gcloud auth
    /// application-default login` leaves, the metadata server of Google Cloud. With `STORAGE_EMULATOR_HOST` that server
    /// is asked, and shown none.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] where an option cannot be used.
    ///
    /// ```
    /// use chains_core::Store as _;
    /// use chains_store_gcs::{BucketStore, GcsOptions};
    /// let store = BucketStore::gcs(GcsOptions::new("provenance"))?;
    /// assert_eq!(store.name(), "gcs");
    /// # Ok::<(), chains_core::Error>(())
    /// ```
    pub fn gcs(options: GcsOptions) -> Result<Self> {
        let client = Client::new(&options.limits, &options.ca_files)?;
        let emulator = options.variables.get(EMULATOR).map(|text| emulator(&text)).transpose()?;
        let is_emulated = emulator.is_some();
        let tokens = (!is_emulated).then(|| Tokens::new(&options));
        let base = emulator.map_or_else(|| service(&options.variables), Ok)?;
        let bucket = Bucket::new(options.bucket, base, client, tokens);
        Ok(Self::new("gcs", "", Box::new(bucket)))
    }
}

fn service(variables: &Variables) -> Result<Url> {
    let universe = variables.get("GOOGLE_CLOUD_UNIVERSE_DOMAIN");
    let universe = universe.as_deref().unwrap_or("googleapis.com");
    Url::parse(&format!("https://storage.{universe}")).map_err(|e| {
        Error::new(ErrorKind::Configuration, "reading GOOGLE_CLOUD_UNIVERSE_DOMAIN").with_source(e)
    })
}

fn emulator(text: &str) -> Result<Url> {
    let what = format!("reading {EMULATOR}");
    let failed = |why: String| Error::new(ErrorKind::Configuration, &what).with_source(why);
    let full = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let mut url = Url::parse(&full).map_err(|e| failed(e.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(failed(format!("{text:?} is neither HOST:PORT nor a URL")));
    }
    // Some have the path of the API in it.
    url.set_path("");
    url.set_query(None);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emulators_are_hosts_or_urls() {
        let check = |text: &str, expect: &str| {
            assert_eq!(emulator(text).unwrap().as_str(), expect, "{text}");
        };
        check("127.0.0.1:4443", "http://127.0.0.1:4443/");
        check("localhost:4443/", "http://localhost:4443/");
        check("https://gcs.test:4443/storage/v1/", "https://gcs.test:4443/");
        for bad in ["ftp://a", "http://", "a b", "http://:80"] {
            assert_eq!(emulator(bad).unwrap_err().kind(), ErrorKind::Configuration, "{bad}");
        }
    }

    #[test]
    fn the_service_is_googles_or_the_one_of_the_universe() {
        let of = |variables| service(&variables).map(String::from).unwrap();
        assert_eq!(of(Variables::of::<&str, &str>([])), "https://storage.googleapis.com/");
        let other = Variables::of([("GOOGLE_CLOUD_UNIVERSE_DOMAIN", "apis.example.com")]);
        assert_eq!(of(other), "https://storage.apis.example.com/");
    }
}
