//! Google Cloud Storage, over its JSON API: what Google's own client and every emulator speak.
//!
//! The requests, and what refusals mean, are in `api`.

mod api;

use std::path::PathBuf;

use chains_core::{Error, ErrorKind, Result};
use chains_http::google::{Tokens, Want};
use chains_http::{Variables, is_loopback};
use url::Url;

use crate::http::Client;
use crate::{BucketStore, Limits};

use api::Bucket;

/// Where emulators are, as Google's own clients read it: `HOST:PORT` or a URL.
const EMULATOR: &str = "STORAGE_EMULATOR_HOST";
/// Another address of the service, such as one of Private Service Connect, as the `gcloud` command reads it.
const OVERRIDE: &str = "CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE";
/// Another cloud that runs Google's services.
const UNIVERSE: &str = "GOOGLE_CLOUD_UNIVERSE_DOMAIN";

/// The least of the scopes that may create objects: <https://cloud.google.com/storage/docs/oauth-scopes>.
const SCOPE: &str = "https://www.googleapis.com/auth/devstorage.read_write";
const ADVICE: &str = "give the pod's service account access by workload identity, name a file of credentials in \
                      GOOGLE_APPLICATION_CREDENTIALS, or run `gcloud auth application-default login`";

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
    /// is asked, and shown none; `CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE` is another address of the service itself.
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
        let server = Server::of(&options.variables)?;
        let limit = options.limits.request_timeout;
        let want = Want { scope: SCOPE, advice: ADVICE, limit, may_be_final: true };
        let tokens = server.takes_credentials.then(|| Tokens::new(&options.variables, want));
        let bucket = Bucket::new(options.bucket, server, client, tokens);
        Ok(Self::new("gcs", "", Box::new(bucket)))
    }
}

/// Who is asked.
#[derive(Debug)]
struct Server {
    base: Url,
    takes_credentials: bool,
    /// Whether it is Google's own.
    holds_to_preconditions: bool,
}

impl Server {
    fn of(variables: &Variables) -> Result<Self> {
        if let Some(text) = variables.get(EMULATOR) {
            let base = address(EMULATOR, &text)?;
            return Ok(Self { base, takes_credentials: false, holds_to_preconditions: false });
        }
        if let Some(text) = variables.get(OVERRIDE) {
            let base = address(OVERRIDE, &text)?;
            if base.scheme() == "http" && !is_loopback(&base) {
                let why = "a token would go over plain HTTP: it must be an https URL";
                return Err(refused(OVERRIDE, why.to_owned()));
            }
            return Ok(Self { base, takes_credentials: true, holds_to_preconditions: false });
        }
        let universe = variables.get(UNIVERSE);
        let universe = universe.as_deref().unwrap_or("googleapis.com");
        let base = address(UNIVERSE, &format!("https://storage.{universe}"))?;
        Ok(Self { base, takes_credentials: true, holds_to_preconditions: true })
    }
}

/// Reads `HOST:PORT` or a URL.
fn address(variable: &str, text: &str) -> Result<Url> {
    let full = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let mut url = Url::parse(&full).map_err(|e| refused(variable, e.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(refused(variable, format!("{text:?} is neither HOST:PORT nor a URL")));
    }
    // Some have the path of the API in it.
    url.set_path("");
    url.set_query(None);
    Ok(url)
}

fn refused(variable: &str, why: String) -> Error {
    Error::new(ErrorKind::Configuration, format!("reading {variable}")).with_source(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emulators_are_hosts_or_urls() {
        let check = |text: &str, expect: &str| {
            let server = Server::of(&Variables::of([(EMULATOR, text)])).unwrap();
            assert_eq!(server.base.as_str(), expect, "{text}");
            assert!(!server.takes_credentials && !server.holds_to_preconditions);
        };
        check("127.0.0.1:4443", "http://127.0.0.1:4443/");
        check("localhost:4443/", "http://localhost:4443/");
        check("https://gcs.test:4443/storage/v1/", "https://gcs.test:4443/");
        for bad in ["ftp://a", "http://", "a b", "http://:80"] {
            let error = Server::of(&Variables::of([(EMULATOR, bad)])).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Configuration, "{bad}");
        }
    }

    #[test]
    fn tokens_go_over_tls() {
        let of = |text: &str| Server::of(&Variables::of([(OVERRIDE, text)]));
        let server = of("https://storage-a.p.example.com/storage/v1/").unwrap();
        assert_eq!(server.base.as_str(), "https://storage-a.p.example.com/");
        assert!(server.takes_credentials && !server.holds_to_preconditions);
        assert!(of("http://127.0.0.1:80").unwrap().takes_credentials);
        assert!(of("http://storage.example.com").unwrap_err().report().contains("plain HTTP"));
    }

    #[test]
    fn the_service_is_googles_or_the_one_of_the_universe() {
        let of = |variables| Server::of(&variables).unwrap();
        let googles = of(Variables::of::<&str, &str>([]));
        assert_eq!(googles.base.as_str(), "https://storage.googleapis.com/");
        assert!(googles.takes_credentials && googles.holds_to_preconditions);
        let other = of(Variables::of([(UNIVERSE, "apis.example.com")]));
        assert_eq!(other.base.as_str(), "https://storage.apis.example.com/");
    }
}
