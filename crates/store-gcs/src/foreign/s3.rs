//! Amazon S3, and what speaks its protocol. A store of our own.

use std::path::PathBuf;

use async_trait::async_trait;
use chains_core::Result;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey as Key};
use reqwest::StatusCode;
use url::Url;

use super::bucket::{Bucket, Service};
use super::connector::Connector;
use super::{endpoint, no_retries, only_tls_of, unusable};
use crate::fault::Refused;
use crate::http::Client;
use crate::{BucketStore, Limits, Variables};

const NAME: &str = "s3";
/// Where no region is set: what servers other than AWS's take as well.
const REGION: &str = "us-east-1";
/// Who is shown tokens: a role's, and those of containers. Instances have theirs on a network of their own.
const SHOWN_TOKENS: &[&str] = &["AWS_ENDPOINT_URL_STS", "AWS_CONTAINER_CREDENTIALS_FULL_URI"];
/// Where credentials belong.
const INSTEAD: &str = "use AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";

/// Credentials, as AWS's tools read them.
const CREDENTIALS: &[(&str, Key)] = &[
    ("AWS_ACCESS_KEY_ID", Key::AccessKeyId),
    ("AWS_SECRET_ACCESS_KEY", Key::SecretAccessKey),
    ("AWS_SESSION_TOKEN", Key::Token),
    ("AWS_WEB_IDENTITY_TOKEN_FILE", Key::WebIdentityTokenFile),
    ("AWS_ROLE_ARN", Key::RoleArn),
    ("AWS_ROLE_SESSION_NAME", Key::RoleSessionName),
    ("AWS_ENDPOINT_URL_STS", Key::StsEndpoint),
    ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", Key::ContainerCredentialsRelativeUri),
    ("AWS_CONTAINER_CREDENTIALS_FULL_URI", Key::ContainerCredentialsFullUri),
    ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", Key::ContainerAuthorizationTokenFile),
    ("AWS_EC2_METADATA_SERVICE_ENDPOINT", Key::MetadataEndpoint),
];

/// Options of [`BucketStore::s3`].
#[derive(Debug, Clone)]
pub struct S3Options {
    /// The bucket (`storage.s3.bucket`).
    pub bucket: String,
    /// Another server than AWS's (`storage.s3.endpoint`); else `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`.
    pub endpoint: Option<String>,
    /// The region (`storage.s3.region`); else `AWS_REGION`, `AWS_DEFAULT_REGION`.
    pub region: Option<String>,
    /// Whether the bucket is in the path of addresses, not in the host (`storage.s3.path-style`); unset: where there is
    /// an endpoint, and where the name of the bucket has a dot.
    pub path_style: Option<bool>,
    /// What all names begin with (`storage.s3.prefix`), a folder.
    pub prefix: String,
    /// PEM files with certificate authorities to trust besides the system's.
    pub ca_files: Vec<PathBuf>,
    /// Bounds.
    pub limits: Limits,
    /// Where credentials are read from.
    pub variables: Variables,
}

impl S3Options {
    /// The bucket, with everything else as the environment has it.
    #[must_use]
    pub fn new(bucket: impl Into<String>) -> Self {
        Self {
            bucket: bucket.into(),
            endpoint: None,
            region: None,
            path_style: None,
            prefix: String::new(),
            ca_files: Vec::new(),
            limits: Limits::default(),
            variables: Variables::of_process(),
        }
    }
}

impl BucketStore {
    /// A store in a bucket of Amazon S3, or of a server that speaks its protocol. Nothing is asked of anybody before
    /// the first record.
    ///
    /// Credentials are the first of: `AWS_ACCESS_KEY_ID` with `AWS_SECRET_ACCESS_KEY`, a web identity
    /// (`AWS_WEB_IDENTITY_TOKEN_FILE`, `AWS_ROLE_ARN`), those of a container or of EKS Pod Identity, those of the
    /// instance.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`](chains_core::ErrorKind::Configuration) where an option cannot be used.
    ///
    /// ```
    /// use chains_core::Store as _;
    /// use chains_store_gcs::{BucketStore, S3Options};
    /// let store = BucketStore::s3(S3Options::new("provenance"))?;
    /// assert_eq!(store.name(), "s3");
    /// # Ok::<(), chains_core::Error>(())
    /// ```
    pub fn s3(options: S3Options) -> Result<Self> {
        let variables = &options.variables;
        let client = Client::new(&options.limits, &options.ca_files)?;
        let asked = options.endpoint.clone();
        let asked = asked.or_else(|| variables.first(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]));
        let read = |text: String| endpoint("`storage.s3.endpoint`", &text, INSTEAD);
        let endpoint = asked.map(read).transpose()?;
        only_tls_of(variables, SHOWN_TOKENS)?;
        let region = options.region.clone();
        let region = region.or_else(|| variables.first(&["AWS_REGION", "AWS_DEFAULT_REGION"]));
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&options.bucket)
            .with_region(region.as_deref().unwrap_or(REGION))
            .with_retry(no_retries())
            .with_http_connector(Connector(client));
        for (name, key) in CREDENTIALS {
            if let Some(value) = variables.get(name) {
                builder = builder.with_config(*key, value);
            }
        }
        builder = addressed(builder, &options, endpoint.as_ref());
        let objects = builder.build().map_err(|e| unusable(NAME, &e))?;
        let service = S3 { bucket: options.bucket, objects: objects.clone() };
        let holds_to_preconditions = endpoint.is_none();
        let bucket = Bucket { service, objects, holds_to_preconditions };
        Ok(Self::new(NAME, &options.prefix, Box::new(bucket)))
    }
}

/// With the bucket in the path or in the host.
fn addressed(
    builder: AmazonS3Builder,
    options: &S3Options,
    endpoint: Option<&Url>,
) -> AmazonS3Builder {
    // Certificates for `*.s3.REGION.amazonaws.com` do not hold for names with a dot.
    let by_itself = endpoint.is_some() || options.bucket.contains('.');
    let in_host = !options.path_style.unwrap_or(by_itself);
    let builder = builder.with_virtual_hosted_style_request(in_host);
    let Some(endpoint) = endpoint else { return builder };
    let mut endpoint = endpoint.clone();
    if in_host && let Some(host) = endpoint.host_str().map(str::to_owned) {
        // A host that cannot take the bucket's name stays as it is, and answers that it does not know the path.
        let _ = endpoint.set_host(Some(&format!("{}.{host}", options.bucket)));
    }
    builder.with_endpoint(endpoint.as_str().trim_end_matches('/'))
}

/// What is particular to S3.
struct S3 {
    bucket: String,
    objects: AmazonS3,
}

#[async_trait]
impl Service for S3 {
    fn url(&self, name: &str) -> String {
        format!("s3://{}/{name}", self.bucket)
    }

    fn missing(&self) -> String {
        let bucket = &self.bucket;
        format!("create the bucket (`aws s3 mb s3://{bucket}`), or correct `storage.s3.bucket`")
    }

    fn advice(&self, refused: &Refused) -> Option<String> {
        let bucket = &self.bucket;
        let region = refused.region.as_deref().map(|region| format!(", which is `{region}`"));
        match (refused.code.as_str(), refused.status) {
            ("InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken" | "ExpiredToken", _)
            | (_, StatusCode::UNAUTHORIZED) => Some(
                "the credentials are not valid, or no longer: correct AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and \
                 AWS_SESSION_TOKEN, or the role of the pod's service account"
                    .to_owned(),
            ),
            ("RequestTimeTooSkewed", _) => Some("set the clock of this machine".to_owned()),
            (_, StatusCode::FORBIDDEN) => Some(format!(
                "allow `s3:PutObject` and `s3:GetObject` on arn:aws:s3:::{bucket}/*, and `s3:ListBucket` on \
                 arn:aws:s3:::{bucket}"
            )),
            ("AuthorizationHeaderMalformed" | "IllegalLocationConstraintException", _) => {
                Some(format!(
                    "set `storage.s3.region` to the bucket's region{}",
                    region.unwrap_or_default()
                ))
            }
            (_, status) if status.is_redirection() && status != StatusCode::NOT_MODIFIED => Some(format!(
                "set `storage.s3.region` to the bucket's region{}",
                region.unwrap_or_default()
            )),
            _ => None,
        }
    }

    fn no_credentials(&self) -> String {
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the pod's service account a role (IAM roles for \
         service accounts, EKS Pod Identity)"
            .to_owned()
    }

    async fn credentials(&self) -> object_store::Result<()> {
        self.objects.credentials().get_credential().await.map(drop)
    }
}
