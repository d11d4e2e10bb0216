//! Rows about the stores.

use super::{LINE, PATH, SERVICE_URL, put, some};
use crate::draft::PubSubKind;
use crate::keys::{Key, Values};
use crate::names::one_of;
use crate::values;
use crate::{EncodingFormat, KafkaCompression, KafkaSaslMechanism};

pub(super) static STORAGE_OCI: &[Key] = &[
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
        "Whether plain HTTP and certificates that do not verify are put up with: at the registry of \
         `storage.oci.repository`; where that is unset, at registries that are spoken to without a \
         credential. For trials only: whoever is in between can change what is stored.",
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

pub(super) static STORAGE_GCS: &[Key] = &[Key::new(
    "storage.gcs.bucket",
    Values::Text("the name of a bucket, without `gs://`"),
    |draft, text| some(&mut draft.gcs_bucket, values::bucket(text)),
    "The bucket. Required where `gcs` is a store.",
)];

pub(super) static STORAGE_S3: &[Key] = &[
    Key::new(
        "storage.s3.bucket",
        Values::Text("the name of a bucket, without `s3://`"),
        |draft, text| some(&mut draft.s3_bucket, values::s3_bucket(text)),
        "The bucket. Required where `s3` is a store.",
    )
    .ours(),
    Key::new(
        "storage.s3.endpoint",
        SERVICE_URL,
        |draft, text| some(&mut draft.s3_endpoint, values::bucket_url(text, "AWS_ACCESS_KEY_ID")),
        "Address of a server other than AWS's, without the bucket.",
    )
    .decided("`AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, else AWS")
    .without_query()
    .ours(),
    Key::new(
        "storage.s3.region",
        Values::Text("a region"),
        |draft, text| some(&mut draft.s3_region, values::id(text)),
        "The bucket's region.",
    )
    .decided("`AWS_REGION`, `AWS_DEFAULT_REGION`, else `us-east-1`")
    .ours(),
    Key::new(
        "storage.s3.path-style",
        Values::Boolean,
        |draft, text| some(&mut draft.s3_path_style, values::boolean(text)),
        "Whether the bucket is in the path of addresses (`https://HOST/BUCKET`), not in the host.",
    )
    .decided("`true` where `storage.s3.endpoint` is set")
    .ours(),
    Key::new(
        "storage.s3.prefix",
        Values::Text("a path without `.` and `..`"),
        |draft, text| some(&mut draft.s3_prefix, values::prefix(text)),
        "A folder in the bucket that everything goes into.",
    )
    .ours(),
];

pub(super) static STORAGE_AZBLOB: &[Key] = &[
    Key::new(
        "storage.azblob.account",
        Values::Text("the name of a storage account"),
        |draft, text| some(&mut draft.azblob_account, values::azure_account(text)),
        "The storage account. Required where `azblob` is a store.",
    )
    .ours(),
    Key::new(
        "storage.azblob.container",
        Values::Text("the name of a container"),
        |draft, text| some(&mut draft.azblob_container, values::azure_container(text)),
        "The container. Required where `azblob` is a store.",
    )
    .ours(),
    Key::new(
        "storage.azblob.endpoint",
        SERVICE_URL,
        |draft, text| {
            some(&mut draft.azblob_endpoint, values::bucket_url(text, "AZURE_STORAGE_SAS_TOKEN"))
        },
        "Address of the account where it is not in Azure's public cloud, without the container.",
    )
    .decided("`https://ACCOUNT.blob.core.windows.net`")
    .without_query()
    .ours(),
    Key::new(
        "storage.azblob.prefix",
        Values::Text("a path without `.` and `..`"),
        |draft, text| some(&mut draft.azblob_prefix, values::prefix(text)),
        "A folder in the container that everything goes into.",
    )
    .ours(),
];

pub(super) static STORAGE_DOCDB: &[Key] = &[
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

pub(super) static STORAGE_GRAFEAS: &[Key] = &[
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
    Key::new(
        "storage.grafeas.endpoint",
        SERVICE_URL,
        |draft, text| some(&mut draft.grafeas_endpoint, values::service_url(text)),
        "Address of another server of the Grafeas API v1 (REST). Tokens of Google go to hosts of Google only; others are \
         shown the user and password of the address, if it has them.",
    )
    .decided("Container Analysis, `https://containeranalysis.googleapis.com`")
    .ours(),
];

pub(super) static STORAGE_PUBSUB: &[Key] = &[
    Key::new(
        "storage.pubsub.provider",
        Values::OneOf(PubSubKind::NAMES),
        |draft, text| {
            some(&mut draft.pubsub_provider, one_of(PubSubKind::ALL, PubSubKind::as_str, text))
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
    Key::new(
        "storage.pubsub.kafka.compression",
        Values::OneOf(KafkaCompression::NAMES),
        |draft, text| {
            let read = one_of(KafkaCompression::ALL, KafkaCompression::as_str, text);
            some(&mut draft.kafka.compression, read)
        },
        "How messages are compressed: brokers take 1 MiB by default, of what is compressed.",
    )
    .default("none")
    .ours(),
    Key::new(
        "storage.pubsub.kafka.tls.enabled",
        Values::Boolean,
        |draft, text| put(&mut draft.kafka.tls, values::boolean(text)),
        "Whether brokers are spoken to over TLS.",
    )
    .default("false")
    .ours(),
    Key::new(
        "storage.pubsub.kafka.tls.ca-path",
        PATH,
        |draft, text| some(&mut draft.kafka.ca_path, values::path(text)),
        "A PEM file with the only authorities to trust, in place of the system's; read again when it changes.",
    )
    .ours(),
    Key::new(
        "storage.pubsub.kafka.sasl.mechanism",
        Values::OneOf(KafkaSaslMechanism::NAMES),
        |draft, text| {
            let read = one_of(KafkaSaslMechanism::ALL, KafkaSaslMechanism::as_str, text);
            some(&mut draft.kafka.mechanism, read)
        },
        "How to log in; unset, nobody logs in. `PLAIN` shows the password, and so wants TLS.",
    )
    .ours(),
    Key::new(
        "storage.pubsub.kafka.sasl.username",
        LINE,
        |draft, text| some(&mut draft.kafka.username, values::plain(text)),
        "The user. Required where there is a mechanism.",
    )
    .ours(),
    Key::new(
        "storage.pubsub.kafka.sasl.password-path",
        PATH,
        |draft, text| some(&mut draft.kafka.password_path, values::path(text)),
        "A file with the password, such as a mounted Secret; read again when it changes. Required where there is a mechanism.",
    )
    .ours(),
];

pub(super) static STORAGE_ARCHIVISTA: &[Key] = &[Key::new(
    "storage.archivista.url",
    SERVICE_URL,
    |draft, text| some(&mut draft.archivista_url, values::service_url(text)),
    "Address of the server. Required where `archivista` is a store.",
)];

pub(super) static STORAGE_LOCAL: &[Key] = &[Key::new(
    "storage.local.path",
    PATH,
    |draft, text| put(&mut draft.local_path, values::path(text)),
    "The folder, relative to where the process runs.",
)
.default("chains-out")
.ours()];
