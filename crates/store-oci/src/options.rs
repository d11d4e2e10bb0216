//! What can be set about the store.

use std::path::PathBuf;
use std::time::Duration;

use chains_core::ImageName;

/// How records are laid out in the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Encoding {
    /// Layers of the manifests tagged `sha256-<hex>.sig` and `sha256-<hex>.att`.
    #[default]
    Dsse,
    /// One OCI 1.1 referrer of the image for each Sigstore bundle, as `cosign` 3 has them.
    ///
    /// Bundles hold statements in envelopes: a signature of an image has to be one too, of the predicate type
    /// `https://sigstore.dev/cosign/sign/v1`. The image's manifest is read, also where the bundles go to another
    /// repository.
    SigstoreBundle,
}

/// Options of [`OciStore`](crate::OciStore).
///
/// ```
/// use chains_store_oci::OciOptions;
/// let options = OciOptions {
///     repository: Some("registry.example.com/signatures".parse()?),
///     ..OciOptions::default()
/// };
/// assert!(!options.insecure);
/// # Ok::<(), chains_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OciOptions {
    /// Where all records go, whatever image they are about (`storage.oci.repository`);
    /// unset: beside the image.
    pub repository: Option<ImageName>,
    /// Do without TLS, or with certificates that do not verify (`storage.oci.repository.insecure`): at the
    /// registry of `repository`, credentials included; where there is no `repository`, at every registry for which
    /// there is no credential.
    pub insecure: bool,
    /// Hosts, with their port if any, where plain HTTP and certificates that do not verify are fine,
    /// credentials included.
    pub insecure_hosts: Vec<String>,
    /// Speak plain HTTP, without credentials, to registries on this machine (`localhost`, 127.0.0.0/8, `::1`)
    /// that speak no TLS. Off by default: names of images come from whoever wrote the run, and
    /// on a server other programs listen there.
    pub allow_loopback_http: bool,
    /// The layout.
    pub encoding: Encoding,
    /// PEM files with certificate authorities to trust beside the system's.
    /// `SSL_CERT_FILE` and `SSL_CERT_DIR` replace the system's.
    pub ca_files: Vec<PathBuf>,
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// How long one request may take, from connecting to the last byte of the answer.
    pub request_timeout: Duration,
    /// How long at least to wait after a write before looking whether another writer undid it.
    pub settle: Duration,
}

impl Default for OciOptions {
    fn default() -> Self {
        Self {
            repository: None,
            insecure: false,
            insecure_hosts: Vec::new(),
            allow_loopback_http: false,
            encoding: Encoding::Dsse,
            ca_files: Vec::new(),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(60),
            settle: Duration::from_millis(250),
        }
    }
}
