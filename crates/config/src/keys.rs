//! The one table of keys: the source for parsing, for defaults and for `docs/configuration.md`.

use crate::draft::{Draft, PubSubKind};
use crate::names::one_of;
use crate::values::{self, Read};
use crate::{
    BuildType, EncodingFormat, Fault, FormatName, FulcioProvider, SignerName, TransparencyMode,
};

/// A heading of the documentation with its keys.
pub(crate) struct Section {
    pub(crate) title: &'static str,
    /// What to know before the table; may be empty.
    pub(crate) text: &'static str,
    pub(crate) keys: &'static [Key],
}

/// A row of the table.
#[derive(Clone, Copy)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) values: Values,
    pub(crate) default: Default,
    pub(crate) meaning: &'static str,
    /// Reads the value and puts it where it belongs, or says why it is refused.
    pub(crate) set: fn(&mut Draft, &str) -> Read<()>,
    /// Not in the reference.
    pub(crate) ours: bool,
    /// The value must not be shown.
    pub(crate) secret: bool,
    /// An empty value has a meaning of its own.
    pub(crate) may_be_empty: bool,
}

/// What a key may hold, for the documentation; `set` is what decides.
#[derive(Clone, Copy)]
pub(crate) enum Values {
    /// One of these words.
    Formats(&'static [FormatName]),
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Names of stores.
    Storages,
    /// `true` or `false`.
    Boolean,
    /// In words.
    Text(&'static str),
}

/// What holds where no value is given.
#[derive(Clone, Copy)]
pub(crate) enum Default {
    /// This value.
    Value(&'static str),
    /// None.
    Unset,
    /// None, and whoever uses the setting decides: told in words.
    Decided(&'static str),
}

impl Default {
    pub(crate) const fn value(self) -> Option<&'static str> {
        match self {
            Self::Value(value) => Some(value),
            Self::Unset | Self::Decided(_) => None,
        }
    }
}

impl Key {
    const fn new(
        name: &'static str,
        values: Values,
        set: fn(&mut Draft, &str) -> Read<()>,
        meaning: &'static str,
    ) -> Self {
        let default = Default::Unset;
        Self {
            name,
            values,
            default,
            meaning,
            set,
            ours: false,
            secret: false,
            may_be_empty: false,
        }
    }

    const fn default(self, value: &'static str) -> Self {
        Self {
            default: Default::Value(value),
            ..self
        }
    }

    const fn decided(self, words: &'static str) -> Self {
        Self {
            default: Default::Decided(words),
            ..self
        }
    }

    const fn ours(self) -> Self {
        Self { ours: true, ..self }
    }

    const fn secret(self) -> Self {
        Self {
            secret: true,
            ..self
        }
    }

    const fn may_be_empty(self) -> Self {
        Self {
            may_be_empty: true,
            ..self
        }
    }
}

/// Fills a place that every configuration fills.
fn put<T>(place: &mut T, read: Read<T>) -> Read<()> {
    *place = read?;
    Ok(())
}

/// Fills a place that may stay empty.
fn some<T>(place: &mut Option<T>, read: Read<T>) -> Read<()> {
    *place = Some(read?);
    Ok(())
}

fn signer(text: &str) -> Read<SignerName> {
    one_of(SignerName::ALL, SignerName::as_str, text)
}

const PATH: Values = Values::Text("a path");
const SERVICE_URL: Values = Values::Text("an `http` or `https` URL");
const LINE: Values = Values::Text("text in one line");
const STORAGE_OF_RUNS: &str =
    "Where the statement is stored. An empty value turns this kind of run off.";
const SIGNER_OF_RUNS: &str = "What signs. `none` stores the statement unsigned, in stores that can hold that: \
     `tekton`, `gcs`, `docdb`, `local`.";
const FORMAT_OF_RUNS: &str = "How the statement is written. `in-toto` and `slsa/v1` are the same: SLSA v0.2. \
     `slsa/v2alpha3` and `slsa/v2alpha4` are SLSA v1.0. `tekton` is the run's `status` with a \
     detached signature, as releases before 0.8 wrote it.";

/// Every key there is.
pub(crate) static KEYS: &[Section] = &[
    Section {
        title: "TaskRuns",
        text: "",
        keys: TASKRUN,
    },
    Section {
        title: "PipelineRuns",
        text: "",
        keys: PIPELINERUN,
    },
    Section {
        title: "Images",
        text: "",
        keys: OCI,
    },
    Section {
        title: "Provenance",
        text: "",
        keys: PROVENANCE,
    },
    Section {
        title: "Which runs",
        text: "Runs whose `spec.managedBy` is unset, empty or `tekton.dev/pipeline` are always looked at.",
        keys: FILTER,
    },
    Section {
        title: "Store `oci`",
        text: "",
        keys: STORAGE_OCI,
    },
    Section {
        title: "Store `gcs`",
        text: "",
        keys: STORAGE_GCS,
    },
    Section {
        title: "Store `docdb`",
        text: "MongoDB's connection string comes from the first that is set of \
               `storage.docdb.mongo-server-url-path`, `storage.docdb.mongo-server-url-dir`, \
               `storage.docdb.mongo-server-url`, and the environment's `MONGO_SERVER_URL`. Of these, a \
               mounted Secret (`-path`, `-dir`) is watched, and keeps the password out of the ConfigMap.",
        keys: STORAGE_DOCDB,
    },
    Section {
        title: "Store `grafeas`",
        text: "",
        keys: STORAGE_GRAFEAS,
    },
    Section {
        title: "Store `pubsub`",
        text: "The store has two names, `pubsub` and `kafka`; they mean the same.",
        keys: STORAGE_PUBSUB,
    },
    Section {
        title: "Store `archivista`",
        text: "",
        keys: STORAGE_ARCHIVISTA,
    },
    Section {
        title: "Store `local`",
        text: "For the command line and for networks without a registry.",
        keys: STORAGE_LOCAL,
    },
    Section {
        title: "Transparency log",
        text: "",
        keys: TRANSPARENCY,
    },
    Section {
        title: "Signer `x509`",
        text: "",
        keys: SIGNER_X509,
    },
    Section {
        title: "Signer `kms`",
        text: "",
        keys: SIGNER_KMS,
    },
];

static TASKRUN: &[Key] = &[
    Key::new(
        "artifacts.taskrun.format",
        Values::Formats(FormatName::OF_RUNS),
        |draft, text| some(&mut draft.taskrun.format, values::run_format(text)),
        FORMAT_OF_RUNS,
    )
    .default("in-toto"),
    Key::new(
        "artifacts.taskrun.storage",
        Values::Storages,
        |draft, text| put(&mut draft.taskrun.storage, values::storages(text)),
        STORAGE_OF_RUNS,
    )
    .default("tekton")
    .may_be_empty(),
    Key::new(
        "artifacts.taskrun.signer",
        Values::OneOf(SignerName::NAMES),
        |draft, text| some(&mut draft.taskrun.signer, signer(text)),
        SIGNER_OF_RUNS,
    )
    .default("x509"),
];

static PIPELINERUN: &[Key] = &[
    Key::new(
        "artifacts.pipelinerun.format",
        Values::Formats(FormatName::OF_RUNS),
        |draft, text| some(&mut draft.pipelinerun.format, values::run_format(text)),
        FORMAT_OF_RUNS,
    )
    .default("in-toto"),
    Key::new(
        "artifacts.pipelinerun.storage",
        Values::Storages,
        |draft, text| put(&mut draft.pipelinerun.storage, values::storages(text)),
        STORAGE_OF_RUNS,
    )
    .default("tekton")
    .may_be_empty(),
    Key::new(
        "artifacts.pipelinerun.signer",
        Values::OneOf(SignerName::NAMES),
        |draft, text| some(&mut draft.pipelinerun.signer, signer(text)),
        SIGNER_OF_RUNS,
    )
    .default("x509"),
    Key::new(
        "artifacts.pipelinerun.enable-deep-inspection",
        Values::Boolean,
        |draft, text| put(&mut draft.deep_inspection, values::boolean(text)),
        "Whether inputs and outputs are also taken from the TaskRuns of a PipelineRun, not only \
         from its own results.",
    )
    .default("false"),
];

static OCI: &[Key] = &[
    Key::new(
        "artifacts.oci.format",
        Values::Formats(FormatName::OF_IMAGES),
        |draft, text| some(&mut draft.oci.format, values::image_format(text)),
        "How the payload of an image signature is written.",
    )
    .default("simplesigning"),
    Key::new(
        "artifacts.oci.storage",
        Values::Storages,
        |draft, text| put(&mut draft.oci.storage, values::storages(text)),
        "Where image signatures are stored; `archivista` cannot hold them. An empty value turns \
         image signatures off.",
    )
    .default("oci")
    .may_be_empty(),
    Key::new(
        "artifacts.oci.signer",
        Values::OneOf(SignerName::NAMES),
        |draft, text| some(&mut draft.oci.signer, signer(text)),
        "What signs images. `none` turns image signatures off; statements about runs are made all \
         the same.",
    )
    .default("x509"),
    Key::new(
        "artifacts.oci.from-pipelinerun-results",
        Values::Boolean,
        |draft, text| {
            put(
                &mut draft.images_from_pipelinerun_results,
                values::boolean(text),
            )
        },
        "Whether images that a PipelineRun's own results name are signed too, besides those of \
         TaskRuns.",
    )
    .default("false")
    .ours(),
];

static PROVENANCE: &[Key] = &[
    Key::new(
        "builder.id",
        LINE,
        |draft, text| put(&mut draft.builder_id, values::plain(text)),
        "Who built: the builder's id in the provenance.",
    )
    .default("https://tekton.dev/chains/v2"),
    Key::new(
        "builddefinition.buildtype",
        Values::OneOf(BuildType::NAMES),
        |draft, text| {
            some(
                &mut draft.build_type,
                one_of(BuildType::ALL, BuildType::as_str, text),
            )
        },
        "The build type of SLSA v1.0 provenance. `slsa-tekton` adds labels and annotations, and \
         each task of a pipeline to the resolved dependencies.",
    )
    .default("https://tekton.dev/chains/v2/slsa"),
];

static FILTER: &[Key] = &[Key::new(
    "filter.managed-by",
    Values::Text("a comma list of `spec.managedBy` values"),
    |draft, text| put(&mut draft.managed_by, values::strings(text)),
    "Runs that other controllers manage and that are looked at besides.",
)];

static STORAGE_OCI: &[Key] = &[
    Key::new(
        "storage.oci.repository",
        Values::Text("a repository, `[HOST[:PORT]/]PATH`"),
        |draft, text| some(&mut draft.oci_repository, values::repository(text)),
        "Where signatures and attestations go, in place of the image's own repository.",
    )
    .decided("beside the image"),
    Key::new(
        "storage.oci.repository.insecure",
        Values::Boolean,
        |draft, text| put(&mut draft.oci_insecure, values::boolean(text)),
        "Whether plain HTTP and certificates that do not verify are put up with. For trials only: \
         whoever is in between can change what is stored.",
    )
    .default("false"),
    Key::new(
        "storage.oci.encoding-format",
        Values::OneOf(EncodingFormat::NAMES),
        |draft, text| {
            let read = one_of(EncodingFormat::ALL, EncodingFormat::as_str, text);
            some(&mut draft.oci_encoding, read)
        },
        "How it is laid out: `dsse` in tags `.sig` and `.att`, `sigstore-bundle` as OCI 1.1 \
         referrers.",
    )
    .default("dsse"),
];

static STORAGE_GCS: &[Key] = &[Key::new(
    "storage.gcs.bucket",
    Values::Text("the name of a bucket, without `gs://`"),
    |draft, text| some(&mut draft.gcs_bucket, values::bucket(text)),
    "The bucket. Required where `gcs` is a store.",
)];

static STORAGE_DOCDB: &[Key] = &[
    Key::new(
        "storage.docdb.url",
        Values::Text(
            "`mongo://DB/COLLECTION?id_field=name`, \
             `firestore://projects/P/databases/(default)/documents/COLLECTION?name_field=name`, \
             `dynamodb://TABLE?partition_key=name`",
        ),
        |draft, text| some(&mut draft.docdb_url, values::docdb_url(text)),
        "The collection. Required where `docdb` is a store.",
    ),
    Key::new(
        "storage.docdb.mongo-server-url",
        Values::Text("`mongodb://…` or `mongodb+srv://…`"),
        |draft, text| some(&mut draft.mongo_url, values::mongo_server(text)),
        "MongoDB's connection string. Treated as a secret: it is never shown.",
    )
    .secret(),
    Key::new(
        "storage.docdb.mongo-server-url-dir",
        PATH,
        |draft, text| some(&mut draft.mongo_dir, values::path(text)),
        "A folder with a file `MONGO_SERVER_URL` that holds the connection string.",
    ),
    Key::new(
        "storage.docdb.mongo-server-url-path",
        PATH,
        |draft, text| some(&mut draft.mongo_path, values::path(text)),
        "A file that holds the connection string.",
    ),
];

static STORAGE_GRAFEAS: &[Key] = &[
    Key::new(
        "storage.grafeas.projectid",
        Values::Text("a project id"),
        |draft, text| some(&mut draft.grafeas_project, values::id(text)),
        "The project that keeps notes and occurrences. Required where `grafeas` is a store.",
    ),
    Key::new(
        "storage.grafeas.noteid",
        Values::Text("an id"),
        |draft, text| some(&mut draft.grafeas_note, values::id(text)),
        "First part of the notes' names; `-simplesigning`, `-taskrun-intoto` or \
         `-pipelinerun-intoto` follows.",
    )
    .decided("`tekton-<namespace>`, with the namespace of each run"),
    Key::new(
        "storage.grafeas.notehint",
        LINE,
        |draft, text| put(&mut draft.grafeas_hint, values::plain(text)),
        "The human readable name in attestation notes.",
    )
    .default("This attestation note was generated by Tekton Chains"),
];

static STORAGE_PUBSUB: &[Key] = &[
    Key::new(
        "storage.pubsub.provider",
        Values::OneOf(PubSubKind::NAMES),
        |draft, text| {
            some(
                &mut draft.pubsub_provider,
                one_of(PubSubKind::ALL, PubSubKind::as_str, text),
            )
        },
        "The kind of queue; `inmemory` is for trials. Required where `pubsub` is a store.",
    ),
    Key::new(
        "storage.pubsub.topic",
        Values::Text("the name of a topic"),
        |draft, text| some(&mut draft.pubsub_topic, values::topic(text)),
        "The topic. Required where `pubsub` is a store.",
    ),
    Key::new(
        "storage.pubsub.kafka.bootstrap.servers",
        Values::Text("a comma list of `HOST:PORT`"),
        |draft, text| put(&mut draft.kafka_servers, values::servers(text)),
        "The brokers to ask first. Required where the provider is `kafka`.",
    ),
];

static STORAGE_ARCHIVISTA: &[Key] = &[Key::new(
    "storage.archivista.url",
    SERVICE_URL,
    |draft, text| some(&mut draft.archivista_url, values::service_url(text)),
    "Address of the server. Required where `archivista` is a store.",
)];

static STORAGE_LOCAL: &[Key] = &[Key::new(
    "storage.local.path",
    PATH,
    |draft, text| put(&mut draft.local_path, values::path(text)),
    "The folder, relative to where the process runs.",
)
.default("chains-out")
.ours()];

static TRANSPARENCY: &[Key] = &[
    Key::new(
        "transparency.enabled",
        Values::OneOf(TransparencyMode::NAMES),
        |draft, text| some(&mut draft.transparency, values::transparency_mode(text)),
        "Whether signed payloads are logged. `manual`: those of runs annotated \
         `chains.tekton.dev/transparency-upload: \"true\"`.",
    )
    .default("false"),
    Key::new(
        "transparency.url",
        SERVICE_URL,
        |draft, text| some(&mut draft.transparency_url, values::service_url(text)),
        "Address of the log.",
    )
    .default("https://rekor.sigstore.dev"),
];

static SIGNER_X509: &[Key] = &[
    Key::new(
        "signers.x509.fulcio.enabled",
        Values::Boolean,
        |draft, text| put(&mut draft.fulcio_enabled, values::boolean(text)),
        "Whether to sign with short-lived certificates of Fulcio in place of a key at hand.",
    )
    .default("false"),
    Key::new(
        "signers.x509.fulcio.address",
        SERVICE_URL,
        |draft, text| some(&mut draft.fulcio_address, values::service_url(text)),
        "Address of Fulcio.",
    )
    .default("https://fulcio.sigstore.dev"),
    Key::new(
        "signers.x509.fulcio.issuer",
        SERVICE_URL,
        |draft, text| some(&mut draft.fulcio_issuer, values::service_url(text)),
        "The issuer that identity tokens are expected from.",
    )
    .default("https://oauth2.sigstore.dev/auth"),
    Key::new(
        "signers.x509.fulcio.provider",
        Values::OneOf(FulcioProvider::NAMES),
        |draft, text| {
            let read = one_of(FulcioProvider::ALL, FulcioProvider::as_str, text);
            some(&mut draft.fulcio_provider, read)
        },
        "Where identity tokens come from.",
    )
    .decided("each is tried"),
    Key::new(
        "signers.x509.identity.token.file",
        PATH,
        |draft, text| some(&mut draft.token_file, values::path(text)),
        "A file with the identity token.",
    ),
    Key::new(
        "signers.x509.tuf.mirror.url",
        SERVICE_URL,
        |draft, text| some(&mut draft.tuf_mirror, values::service_url(text)),
        "The TUF repository that tells whom to trust; `root.json` is expected there.",
    )
    .default("https://tuf-repo-cdn.sigstore.dev"),
];

static SIGNER_KMS: &[Key] = &[
    Key::new(
        "signers.kms.kmsref",
        Values::Text(
            "`gcpkms://projects/P/locations/L/keyRings/R/cryptoKeys/K[/versions/V]`, \
             `awskms://[ENDPOINT]/[ID/ALIAS/ARN]`, \
             `azurekms://VAULT.vault.azure.net/KEY[/VERSION]`, `hashivault://KEY`",
        ),
        |draft, text| some(&mut draft.kms_ref, values::kms_ref(text)),
        "The key. Required where a signer is `kms`.",
    ),
    Key::new(
        "signers.kms.auth.address",
        SERVICE_URL,
        |draft, text| some(&mut draft.kms_address, values::service_url(text)),
        "Address of the server, as in `VAULT_ADDR`.",
    ),
    Key::new(
        "signers.kms.auth.token",
        LINE,
        |draft, text| some(&mut draft.kms_token, values::plain(text).map(Into::into)),
        "A token, as in `VAULT_TOKEN`. Better kept in a Secret: see `signers.kms.auth.token-path`.",
    )
    .secret(),
    Key::new(
        "signers.kms.auth.token-path",
        PATH,
        |draft, text| some(&mut draft.kms_token_path, values::path(text)),
        "A file with a token, e.g. of a mounted Secret; wins over `signers.kms.auth.token`.",
    ),
    Key::new(
        "signers.kms.auth.oidc.path",
        LINE,
        |draft, text| some(&mut draft.oidc_path, values::plain(text)),
        "Where the server's JWT login is mounted, e.g. `jwt`.",
    ),
    Key::new(
        "signers.kms.auth.oidc.role",
        LINE,
        |draft, text| some(&mut draft.oidc_role, values::plain(text)),
        "The role to log in as.",
    ),
    Key::new(
        "signers.kms.auth.oidc.token-path",
        PATH,
        |draft, text| put(&mut draft.oidc_token_path, values::path(text)),
        "The file with the JWT to log in with.",
    )
    .default("/var/run/secrets/kubernetes.io/serviceaccount/token"),
    Key::new(
        "signers.kms.auth.spire.sock",
        Values::Text("`unix:///PATH` or `tcp://IP:PORT`"),
        |draft, text| some(&mut draft.spire_socket, values::spire_socket(text)),
        "The socket of the SPIFFE Workload API, to log in with a JWT from there.",
    ),
    Key::new(
        "signers.kms.auth.spire.audience",
        LINE,
        |draft, text| some(&mut draft.spire_audience, values::plain(text)),
        "The audience of that JWT. Required where a signer is `kms` and \
         `signers.kms.auth.spire.sock` is set.",
    ),
];

/// Keys of old releases of the reference, which its present release ignores, with what to use.
static RETIRED: &[(&str, Option<&str>)] = &[
    (
        "artifacts.taskrun.formats.enabled",
        Some("artifacts.taskrun.format"),
    ),
    (
        "artifacts.taskrun.storage.enabled",
        Some("artifacts.taskrun.storage"),
    ),
    ("formats.enabled-formats", Some("artifacts.taskrun.format")),
    ("signer.x509.kmsRef", Some("signers.kms.kmsref")),
    ("signers.kms.auth.path", Some("signers.kms.auth.oidc.path")),
    ("signers.kms.auth.role", Some("signers.kms.auth.oidc.role")),
    (
        "signers.kms.auth.token-dir",
        Some("signers.kms.auth.token-path"),
    ),
    (
        "signers.x509.fulcio.auth",
        Some("signers.x509.fulcio.provider"),
    ),
];

/// Where Knative keeps an example of the other keys; never read.
const EXAMPLE: &str = "_example";

/// All rows.
pub(crate) fn all() -> impl Iterator<Item = &'static Key> {
    KEYS.iter().flat_map(|section| section.keys)
}

/// The fault of a key that is not in the table.
pub(crate) fn unknown(name: &str) -> Option<Fault> {
    if name == EXAMPLE || all().any(|key| key.name == name) {
        return None;
    }
    let retired = RETIRED.iter().find(|(old, _)| *old == name);
    let mut fault = match retired {
        Some(_) => Fault::of(name, "a key of old releases that is no longer read"),
        None => Fault::of(name, "unknown key"),
    };
    fault.suggestion = retired
        .map_or_else(|| nearest(name), |(_, new)| *new)
        .map(str::to_owned);
    Some(fault)
}

/// The key with the fewest edits between, unless that would be more than half of it.
fn nearest(name: &str) -> Option<&'static str> {
    // Longer than any key by far: not a slip of the pen, and slow to compare.
    const LONGEST: usize = 128;
    if name.len() > LONGEST {
        return None;
    }
    let name = name.to_lowercase();
    all()
        .map(|key| (strsim::damerau_levenshtein(&name, key.name), key.name))
        .filter(|(edits, key)| edits * 2 <= key.len())
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, key)| key)
}
