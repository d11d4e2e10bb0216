//! Good and bad values for every key.

/// A key, values it takes (the first is not its default), values it refuses.
pub(super) type Row = (&'static str, &'static [&'static str], &'static [&'static str]);

const FORMATS: &[&str] = &["tekton", "in-toto", "slsa/v1", "slsa/v2alpha3", " slsa/v2alpha4\n"];
const SIGNERS: &[&str] = &["none", "x509", "kms"];
const NOT_SIGNERS: &[&str] = &["X509", "pgp", "x509,kms"];
const STORAGES: &[&str] = &["local", "", "tekton", "oci , local", "kafka,pubsub,local"];
const NOT_STORAGES: &[&str] = &["ftp", "tekton,", "tekton,,oci", "Oci", "tekton;oci"];
const BOOLEANS: &[&str] = &["true", "True", "TRUE", "false", "t", "f", "1", "0", ""];
const NOT_BOOLEANS: &[&str] = &["yes", "on", "tru", "2", "true false"];
const URLS: &[&str] = &["https://a.example.com/x/", "http://127.0.0.1:8080", "http://[::1]:80"];
const NOT_URLS: &[&str] = &[
    "example.com",
    "ftp://example.com",
    "https:example.com",
    "https://",
    "https://a b",
    "https://a:b",
];
const PATHS: &[&str] = &["/etc/x", "x", "a b"];
const NOT_PATHS: &[&str] = &["/etc/\0", "a\nb"];
const LINES: &[&str] = &["x", "a b", "https://example.com"];
const NOT_LINES: &[&str] = &["a\nb", "\u{7}bell"];

/// One for each row of the table.
pub(super) const ROWS: &[Row] = &[
    ("artifacts.taskrun.format", FORMATS, &["simplesigning", "slsa/v3", "In-Toto"]),
    ("artifacts.taskrun.storage", STORAGES, NOT_STORAGES),
    ("artifacts.taskrun.signer", SIGNERS, NOT_SIGNERS),
    ("artifacts.pipelinerun.format", FORMATS, &["simplesigning", "slsa/v2alpha1"]),
    ("artifacts.pipelinerun.storage", STORAGES, NOT_STORAGES),
    ("artifacts.pipelinerun.signer", SIGNERS, NOT_SIGNERS),
    ("artifacts.pipelinerun.enable-deep-inspection", BOOLEANS, NOT_BOOLEANS),
    ("artifacts.oci.format", &["simplesigning", ""], &["in-toto", "tekton"]),
    ("artifacts.oci.storage", STORAGES, NOT_STORAGES),
    ("artifacts.oci.signer", SIGNERS, NOT_SIGNERS),
    ("artifacts.oci.from-pipelinerun-results", BOOLEANS, NOT_BOOLEANS),
    ("builder.id", LINES, NOT_LINES),
    (
        "builddefinition.buildtype",
        &["https://tekton.dev/chains/v2/slsa-tekton", "https://tekton.dev/chains/v2/slsa"],
        &["slsa", "https://tekton.dev/chains/v2"],
    ),
    ("filter.managed-by", &["a.example.com/x, b", "x", ""], &["a,,b", ","]),
    ("retry.limit", &["0", "3", "100", ""], &["-1", "101", "three", "3.0", "99999999999"]),
    (
        "retry.total-time",
        &["90s", "10m", "1h", "1h30m", "24h", "1h0m1s"],
        &[
            "10",
            "0s",
            "25h",
            "10 m",
            "m",
            "1m1h",
            "1d",
            "1.5h",
            "99999999999999999999h",
            "1µs",
            "-1m",
        ],
    ),
    (
        "storage.oci.repository",
        &["registry.example.com:5000/a/b", "alpine", "localhost/ab"],
        &["https://registry.example.com/a", "UPPER/case", "a:tag", "a b"],
    ),
    ("storage.oci.repository.insecure", BOOLEANS, NOT_BOOLEANS),
    ("storage.oci.encoding-format", &["sigstore-bundle", "dsse"], &["bundle", "DSSE"]),
    ("storage.gcs.bucket", &["tekton_artifacts", "a.b-c"], &["gs://bucket", "ab", "Upper", "a/b"]),
    ("storage.s3.bucket", &["tekton-artifacts", "a.b-c"], &["s3://bucket", "ab", "Upper", "a_b"]),
    ("storage.s3.endpoint", URLS, NOT_URLS),
    ("storage.s3.region", &["eu-central-1"], &["eu central", "a/b"]),
    ("storage.s3.path-style", BOOLEANS, NOT_BOOLEANS),
    ("storage.s3.prefix", &["chains/prod", "/a/"], &["../a", "a//b", "a b", "/", "."]),
    ("storage.azblob.account", &["provenance1"], &["a-b", "ab", "Account"]),
    ("storage.azblob.container", &["tekton-artifacts"], &["a/b", "A", "a_b"]),
    ("storage.azblob.endpoint", URLS, NOT_URLS),
    ("storage.azblob.prefix", &["chains/prod"], &["a/../b", "a//b"]),
    (
        "storage.docdb.url",
        &[
            "mongo://db/runs?id_field=name",
            "firestore://projects/p/databases/(default)/documents/runs?name_field=name",
            "dynamodb://runs?partition_key=name",
        ],
        &["mongodb://db/runs", "mongo://", "dynamodb://?partition_key=name", "runs"],
    ),
    (
        "storage.docdb.mongo-server-url",
        &["mongodb://u:hunter2@h:27017/db", "mongodb+srv://h/db"],
        &["h:27017", "mongo://hunter2", "postgres://hunter2"],
    ),
    ("storage.docdb.mongo-server-url-dir", PATHS, NOT_PATHS),
    ("storage.docdb.mongo-server-url-path", PATHS, NOT_PATHS),
    ("storage.grafeas.projectid", &["my-project", "example.com:p"], &["projects/p", "a b"]),
    ("storage.grafeas.noteid", &["note_1", ""], &["a/b", "a b"]),
    ("storage.grafeas.notehint", LINES, NOT_LINES),
    ("storage.grafeas.endpoint", URLS, NOT_URLS),
    ("storage.pubsub.provider", &["kafka", "inmemory"], &["Kafka", "pubsub", "nats"]),
    ("storage.pubsub.topic", &["chains", "a.b_c-d"], &["a/b", "a b"]),
    (
        "storage.pubsub.kafka.bootstrap.servers",
        &["a:9092,b:9092", "kafka-0.kafka.svc:9092", "[::1]:9092"],
        &["a", "a:", ":9092", "a:99999", "a:1,,b:1", "https://a:1"],
    ),
    ("storage.pubsub.kafka.compression", &["gzip", "snappy", "lz4", "none"], &["zstd", "GZIP"]),
    ("storage.pubsub.kafka.tls.enabled", BOOLEANS, NOT_BOOLEANS),
    ("storage.pubsub.kafka.tls.ca-path", PATHS, NOT_PATHS),
    (
        "storage.pubsub.kafka.sasl.mechanism",
        &["SCRAM-SHA-512", "SCRAM-SHA-256"],
        &["plain", "SCRAM", "GSSAPI"],
    ),
    ("storage.pubsub.kafka.sasl.username", LINES, NOT_LINES),
    ("storage.pubsub.kafka.sasl.password-path", PATHS, NOT_PATHS),
    ("storage.archivista.url", URLS, NOT_URLS),
    ("storage.local.path", PATHS, NOT_PATHS),
    (
        "transparency.enabled",
        &["true", "True", "manual", "Manual", "false", "1", "0"],
        &["yes", "auto", "enabled"],
    ),
    ("transparency.url", URLS, NOT_URLS),
    ("transparency.rekor-version", &["2", "1", "auto"], &["3", "v2", "Auto"]),
    (
        "transparency.tsa.url",
        &["https://a.example.com/api/v1/timestamp, http://b:3000"],
        &["a.example.com", "https://a,,https://b", "ftp://a"],
    ),
    ("transparency.required", &["false", "0", "true"], NOT_BOOLEANS),
    ("sigstore.trusted-root", PATHS, NOT_PATHS),
    ("sigstore.signing-config", PATHS, NOT_PATHS),
    (
        "signers.x509.key",
        &["k8s://tekton-chains/signing-secrets", "k8s://a/b.c-d", "/etc/other keys"],
        &[
            "signing-secrets",
            "k8s://",
            "k8s://a",
            "k8s://a/",
            "k8s:///b",
            "k8s://a/b/c",
            "k8s://a.b/c",
            "k8s://A/b",
            "k8s://a/-b",
            "k8s://a/b..c",
            "gcpkms://a/b",
            "/etc/a\nb",
        ],
    ),
    ("signers.x509.fulcio.enabled", BOOLEANS, NOT_BOOLEANS),
    ("signers.x509.fulcio.address", URLS, NOT_URLS),
    ("signers.x509.fulcio.issuer", URLS, NOT_URLS),
    ("signers.x509.fulcio.audience", LINES, NOT_LINES),
    (
        "signers.x509.fulcio.provider",
        &["google", "spiffe", "github", "filesystem", "buildkite", "environment", ""],
        &["aws", "google,github"],
    ),
    ("signers.x509.identity.token.file", PATHS, NOT_PATHS),
    ("signers.x509.tuf.mirror.url", URLS, NOT_URLS),
    ("signers.x509.tuf.root", PATHS, NOT_PATHS),
    (
        "signers.kms.kmsref",
        &[
            "gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k/versions/1",
            "awskms:///arn:aws:kms:us-east-1:1:key/2",
            "awskms:///alias/a",
            "awskms://localhost:4566/id",
            "azurekms://v.vault.azure.net/k",
            "hashivault://k",
            "openbao://k",
        ],
        &["hashivault", "k8s://a/b", "gcpkms://", "hashivault://a b", "GCPKMS://a"],
    ),
    ("signers.kms.auth.address", URLS, NOT_URLS),
    ("signers.kms.auth.token", &["hunter2", "x y"], &["hunter2\n2", "\u{7}"]),
    ("signers.kms.auth.token-path", PATHS, NOT_PATHS),
    ("signers.kms.auth.oidc.path", LINES, NOT_LINES),
    ("signers.kms.auth.oidc.role", LINES, NOT_LINES),
    ("signers.kms.auth.oidc.token-path", PATHS, NOT_PATHS),
    (
        "signers.kms.auth.spire.sock",
        &["unix:///tmp/a.sock", "tcp://127.0.0.1:8081"],
        &["/tmp/a.sock", "unix://", "http://a"],
    ),
    ("signers.kms.auth.spire.audience", LINES, NOT_LINES),
];
