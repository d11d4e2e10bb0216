//! The types that a configuration is parsed into.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use chains_core::{ImageName, Secret};

use crate::layers::{Layers, Origin, Setting};
use crate::{
    BuildType, EncodingFormat, ExtraSection, Faults, FormatName, FulcioProvider, KafkaCompression,
    KafkaSaslMechanism, KmsRef, RekorVersion, ServiceUrl, SignerName, StorageName,
    TransparencyMode, X509Key,
};

/// A configuration that was checked as a whole.
///
/// [`Config::default`] is what holds where the ConfigMap says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// What is done for runs and images.
    pub artifacts: Artifacts,
    /// A section for each store.
    pub storage: Storage,
    /// A section for each signer.
    pub signers: Signers,
    /// `builder.id`: who built, in the words of SLSA.
    pub builder_id: String,
    /// `builddefinition.buildtype`.
    pub build_type: BuildType,
    /// The transparency log.
    pub transparency: Transparency,
    /// Whom to trust among the services of Sigstore, and which of them to use.
    pub sigstore: Sigstore,
    /// Which runs are looked at.
    pub filter: Filter,
    /// How often a run that failed is tried again.
    pub retry: Retry,
    pub(crate) settings: Vec<Setting>,
}

impl Config {
    /// Reads keys and values, as the `data` of the ConfigMap has them; of a key given twice, the
    /// last counts.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, Faults> {
        Layers::new().pairs(Origin::File, pairs).resolve()
    }

    /// Reads a ConfigMap manifest in YAML or JSON (alone or among other documents), a flat map of
    /// keys in YAML or JSON, or lines of `key=value`.
    ///
    /// # Errors
    /// Everything that is wrong with the text.
    ///
    /// ```
    /// let config = chains_config::Config::read("storage.gcs.bucket=provenance\nbuilder.id=https://ci.example.com")?;
    /// assert_eq!(config.builder_id, "https://ci.example.com");
    /// # Ok::<(), chains_config::Faults>(())
    /// ```
    pub fn read(text: &str) -> Result<Self, Faults> {
        Layers::new().text(text).resolve()
    }

    /// Every key with the value in effect and where that comes from, in the order of the table.
    #[must_use]
    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }

    /// The stores that an enabled artifact names.
    #[must_use]
    pub fn storages_in_use(&self) -> BTreeSet<StorageName> {
        self.artifacts.enabled().flat_map(|artifact| artifact.storage.iter().copied()).collect()
    }

    /// What is set of a store that the program brings along.
    #[must_use]
    pub fn extra(&self, store: &str) -> &ExtraSection {
        self.storage.extras.get(store).unwrap_or(ExtraSection::EMPTY)
    }

    /// The signers that an enabled artifact names.
    #[must_use]
    pub fn signers_in_use(&self) -> BTreeSet<SignerName> {
        self.artifacts.enabled().map(|artifact| artifact.signer).collect()
    }
}

impl Default for Config {
    fn default() -> Self {
        // The table's defaults have no faults: a test sees to it.
        Layers::new().resolve_with_faults().0
    }
}

/// What is done for each kind of target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifacts {
    /// TaskRuns themselves.
    pub taskrun: Artifact,
    /// PipelineRuns themselves.
    pub pipelinerun: Artifact,
    /// Images that runs built.
    pub oci: Artifact,
    /// `artifacts.pipelinerun.enable-deep-inspection`: provenance of a PipelineRun takes in what
    /// its TaskRuns say.
    pub deep_inspection: bool,
    /// `artifacts.oci.from-pipelinerun-results`: images that a PipelineRun's own results name are
    /// signed too.
    pub images_from_pipelinerun_results: bool,
}

impl Artifacts {
    fn enabled(&self) -> impl Iterator<Item = &Artifact> {
        [&self.taskrun, &self.pipelinerun, &self.oci].into_iter().filter(|one| one.is_enabled())
    }
}

/// How one kind of target is formatted, signed and stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// How the payload is written.
    pub format: FormatName,
    /// Where it is stored; empty disables this kind of target.
    pub storage: BTreeSet<StorageName>,
    /// What signs it.
    pub signer: SignerName,
}

impl Artifact {
    /// Whether anything is to be done for targets of this kind.
    ///
    /// Not where no store is named, and not for images with the signer `none`: an image signature
    /// without a signature says nothing. Statements about runs do, and are stored unsigned.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        let unsigned_image =
            self.signer == SignerName::None && FormatName::OF_IMAGES.contains(&self.format);
        !self.storage.is_empty() && !unsigned_image
    }
}

/// The stores' sections. A section is `Some` where its required keys are set: always where an
/// enabled artifact names the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    /// `storage.gcs.*`
    pub gcs: Option<Gcs>,
    /// `storage.s3.*`
    pub s3: Option<S3>,
    /// `storage.azblob.*`
    pub azblob: Option<AzBlob>,
    /// `storage.oci.*`
    pub oci: OciStorage,
    /// `storage.docdb.*`
    pub docdb: Option<DocDb>,
    /// `storage.grafeas.*`
    pub grafeas: Option<Grafeas>,
    /// `storage.pubsub.*`
    pub pubsub: Option<PubSub>,
    /// `storage.archivista.*`
    pub archivista: Option<Archivista>,
    /// `storage.local.*`
    pub local: LocalStorage,
    /// What is set of the stores that the program brings along, by their names.
    pub extras: BTreeMap<&'static str, ExtraSection>,
}

/// Google Cloud Storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gcs {
    /// Name of the bucket, without `gs://`.
    pub bucket: String,
}

/// Amazon S3, and what speaks its protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3 {
    /// Name of the bucket, without `s3://`.
    pub bucket: String,
    /// Another server than AWS's.
    pub endpoint: Option<ServiceUrl>,
    /// The bucket's region.
    pub region: Option<String>,
    /// Whether the bucket is in the path of addresses; `None` leaves it to the store.
    pub path_style: Option<bool>,
    /// The folder that everything goes into; `None` is the bucket itself.
    pub prefix: Option<String>,
}

/// Azure Blob Storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AzBlob {
    /// Name of the storage account.
    pub account: String,
    /// Name of the container.
    pub container: String,
    /// Another server than the account's own.
    pub endpoint: Option<ServiceUrl>,
    /// The folder that everything goes into; `None` is the container itself.
    pub prefix: Option<String>,
}

/// OCI registries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OciStorage {
    /// Where signatures and attestations go, in place of the image's own repository.
    pub repository: Option<ImageName>,
    /// Plain HTTP and unverified certificates are put up with.
    pub insecure: bool,
    /// How it is laid out.
    pub encoding: EncodingFormat,
}

/// Document databases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocDb {
    /// URL of the collection, as go-cloud's docstore writes it: `mongo`, `firestore` or `dynamodb`.
    pub url: String,
    /// Where MongoDB's connection string comes from.
    pub mongo: MongoServer,
}

/// Where MongoDB's connection string comes from: the first that is set of `path`, `dir`, `url`,
/// else the variable `MONGO_SERVER_URL` of the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MongoServer {
    /// A file that holds it.
    pub path: Option<PathBuf>,
    /// A folder with a file `MONGO_SERVER_URL` that holds it.
    pub dir: Option<PathBuf>,
    /// The connection string itself; it may hold a password.
    pub url: Option<Secret>,
}

/// Grafeas, as Container Analysis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grafeas {
    /// The project that keeps notes and occurrences.
    pub project_id: String,
    /// First part of the notes' names; `None` means `tekton-<namespace of the run>`.
    pub note_id: Option<String>,
    /// The human readable name in attestation notes.
    pub note_hint: String,
    /// Address of another server than Google's.
    pub endpoint: Option<ServiceUrl>,
}

/// Message queues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PubSub {
    /// Which queue.
    pub provider: PubSubProvider,
    /// The topic.
    pub topic: String,
}

/// The kinds of message queue.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PubSubProvider {
    /// A queue within the process; for trials.
    InMemory,
    /// Apache Kafka.
    Kafka(Kafka),
}

/// Apache Kafka.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kafka {
    /// Brokers to ask first, each `host:port`; at least one.
    pub bootstrap_servers: Vec<String>,
    /// How batches of messages are compressed.
    pub compression: KafkaCompression,
    /// Over TLS; `None` is plain text.
    pub tls: Option<KafkaTls>,
    /// Who we are; `None` is nobody.
    pub sasl: Option<KafkaSasl>,
}

/// TLS to Kafka.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaTls {
    /// PEM of the only authorities that are trusted; `None` means the system's.
    pub ca_path: Option<PathBuf>,
}

/// SASL to Kafka.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaSasl {
    /// How the password is shown.
    pub mechanism: KafkaSaslMechanism,
    /// The user.
    pub username: String,
    /// A file that holds the password.
    pub password_path: PathBuf,
}

/// Archivista.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archivista {
    /// Address of the server.
    pub url: ServiceUrl,
}

/// A folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalStorage {
    /// The folder; relative to where the process runs.
    pub path: PathBuf,
}

/// The signers' sections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signers {
    /// `signers.x509.*`
    pub x509: X509,
    /// `signers.kms.*`; `Some` where a key is named: always where an enabled artifact uses it.
    pub kms: Option<Kms>,
}

/// Keys at hand, or certificates of Fulcio.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct X509 {
    /// `signers.x509.key`: where the private key is; `None` leaves it to the program.
    pub key: Option<X509Key>,
    /// Keyless signing.
    pub fulcio: Fulcio,
    /// A file with the identity token.
    pub identity_token_file: Option<PathBuf>,
    /// The TUF repository that tells whom to trust.
    pub tuf_mirror_url: ServiceUrl,
    /// The `root.json` to begin with at that repository; `None`: at the public one it is known, at another one
    /// it is fetched.
    pub tuf_root: Option<PathBuf>,
}

/// Keyless signing with certificates of Fulcio.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fulcio {
    /// Whether certificates are asked for.
    pub enabled: bool,
    /// Address of the server.
    pub address: ServiceUrl,
    /// The issuer that identity tokens are expected from.
    pub issuer: ServiceUrl,
    /// The audience that identity tokens are asked for.
    pub audience: String,
    /// Where tokens come from; `None` tries each.
    pub provider: Option<FulcioProvider>,
}

/// A key in a key management service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kms {
    /// Which key.
    pub key: KmsRef,
    /// How to authenticate.
    pub auth: KmsAuth,
}

/// How to authenticate at a key management service; used by `hashivault`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KmsAuth {
    /// Address of the server.
    pub address: Option<ServiceUrl>,
    /// A token.
    pub token: Option<Secret>,
    /// A file with a token; wins over `token`.
    pub token_path: Option<PathBuf>,
    /// Login with a JWT.
    pub oidc: KmsOidc,
    /// A JWT from SPIRE; `None` where no socket is named.
    pub spire: Option<KmsSpire>,
}

/// Login with a JWT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KmsOidc {
    /// Where the login method is mounted.
    pub path: Option<String>,
    /// The role to log in as.
    pub role: Option<String>,
    /// The file with the JWT.
    pub token_path: PathBuf,
}

/// A JWT from the SPIFFE Workload API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KmsSpire {
    /// Address of the socket, `unix:…` or `tcp:…`.
    pub socket: String,
    /// The audience to ask for; set wherever a KMS signer is in use.
    pub audience: Option<String>,
}

/// The transparency log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transparency {
    /// Which payloads are logged.
    pub mode: TransparencyMode,
    /// Address of the log.
    pub url: ServiceUrl,
    /// Which version of Rekor it is.
    pub rekor_version: RekorVersion,
    /// Addresses of timestamp authorities.
    pub timestamp_urls: Vec<ServiceUrl>,
    /// Whether nothing is stored before it is logged.
    pub required: bool,
}

impl Transparency {
    /// The log of the public instance of Sigstore.
    pub const PUBLIC: &str = "https://rekor.sigstore.dev";
}

impl Fulcio {
    /// The server of the public instance of Sigstore.
    pub const PUBLIC: &str = "https://fulcio.sigstore.dev";
}

impl X509 {
    /// The TUF repository of the public instance of Sigstore.
    pub const PUBLIC_MIRROR: &str = "https://tuf-repo-cdn.sigstore.dev";
}

/// Whom to trust among the services of Sigstore, and which of them to use, where a deployment has its own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sigstore {
    /// `sigstore.trusted-root`: a file `trusted_root.json`, in place of what a TUF repository tells.
    pub trusted_root: Option<PathBuf>,
    /// `sigstore.signing-config`: a file `signing_config.json` (v0.2).
    pub signing_config: Option<PathBuf>,
}

/// Which runs are looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Values of `spec.managedBy` that are accepted besides Tekton's own.
    pub managed_by: BTreeSet<String>,
}

impl Filter {
    /// Tekton's own value of `spec.managedBy`.
    pub const TEKTON: &str = "tekton.dev/pipeline";

    /// Whether a run with this `spec.managedBy` is looked at: unset, empty, Tekton's own, or listed.
    #[must_use]
    pub fn accepts(&self, managed_by: Option<&str>) -> bool {
        managed_by.is_none_or(|value| {
            value.is_empty() || value == Self::TEKTON || self.managed_by.contains(value)
        })
    }
}

/// How often a run that failed is tried again, by the controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// `retry.limit`: attempts that follow the first one; 3 means 3.
    pub limit: u32,
    /// `retry.total-time`: the time that these attempts are spread over.
    pub total_time: Duration,
}
