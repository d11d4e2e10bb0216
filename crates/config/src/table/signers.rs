//! Rows about the signers and the transparency log.

use super::{LINE, PATH, SERVICE_URL, put, some};
use crate::keys::{Key, Values};
use crate::names::one_of;
use crate::values;
use crate::{Fulcio, FulcioProvider, RekorVersion, Transparency, TransparencyMode, X509};

pub(super) static TRANSPARENCY: &[Key] = &[
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
        "Address of the log. Where `sigstore.signing-config` is set and this is not, that one chooses the logs.",
    )
    .default(Transparency::PUBLIC),
    Key::new(
        "transparency.rekor-version",
        Values::OneOf(RekorVersion::NAMES),
        |draft, text| {
            let read = one_of(RekorVersion::ALL, RekorVersion::as_str, text);
            some(&mut draft.rekor_version, read)
        },
        "Which version of Rekor the log is. `auto`: the one that the signing config tells, else the one that \
         answers at the address.",
    )
    .default("auto")
    .ours(),
    Key::new(
        "transparency.tsa.url",
        Values::Text("a comma list of `http` or `https` URLs"),
        |draft, text| put(&mut draft.timestamp_urls, values::service_urls(text)),
        "Timestamp authorities (RFC 3161), by the whole address that requests go to. Each gives a timestamp to every \
         signature that is logged. Where there is none, those of the signing config are asked with logs of version 2, \
         which tell no time.",
    )
    .ours(),
    Key::new(
        "transparency.required",
        Values::Boolean,
        |draft, text| put(&mut draft.log_required, values::boolean(text)),
        "Whether nothing is stored before it is logged. `false`: what cannot be logged now is stored without an entry, and \
         logged by the attempts that follow, as `retry.*` has them; when these are used up, the run counts as signed all \
         the same, with the reason in `chains.tekton.dev/reason`. Not with `signers.x509.fulcio.enabled`: nobody could \
         verify such a signature.",
    )
    .default("true")
    .ours(),
];

pub(super) static SIGSTORE: &[Key] = &[
    Key::new(
        "sigstore.trusted-root",
        PATH,
        |draft, text| some(&mut draft.trusted_root, values::path(text)),
        "A file `trusted_root.json`, e.g. of a mounted ConfigMap: which certificate authorities, logs and timestamp \
         authorities are trusted, in place of what a TUF repository tells. Read again when it changes.",
    )
    .ours(),
    Key::new(
        "sigstore.signing-config",
        PATH,
        |draft, text| some(&mut draft.signing_config, values::path(text)),
        "A file `signing_config.json` (v0.2): which Fulcio, logs and timestamp authorities to use, where \
         `signers.x509.fulcio.address`, `transparency.url` and `transparency.tsa.url` do not say so.",
    )
    .ours(),
];

pub(super) static SIGNER_X509: &[Key] = &[
    Key::new(
        "signers.x509.key",
        Values::Text("an absolute path or `k8s://NAMESPACE/SECRET`"),
        |draft, text| some(&mut draft.x509_key, values::x509_key(text)),
        "Where the controller finds the private key: a folder, as Kubernetes mounts a Secret, or a Secret. \
         Either holds `x509.pem`, or `cosign.key` with `cosign.password`. Both are watched: a new key \
         signs within seconds of its appearance there, and one that cannot be read leaves the one before \
         in use. Where the key is taken away, signing waits until there is one again.",
    )
    .decided("the folder of the flag `--signing-secrets`, `/etc/signing-secrets`")
    .ours(),
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
    .default(Fulcio::PUBLIC),
    Key::new(
        "signers.x509.fulcio.issuer",
        SERVICE_URL,
        |draft, text| some(&mut draft.fulcio_issuer, values::service_url(text)),
        "The issuer that identity tokens are expected from.",
    )
    .default("https://oauth2.sigstore.dev/auth"),
    Key::new(
        "signers.x509.fulcio.audience",
        LINE,
        |draft, text| put(&mut draft.fulcio_audience, values::plain(text)),
        "The audience that identity tokens are asked for, and must have.",
    )
    .default("sigstore")
    .ours(),
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
    .default(X509::PUBLIC_MIRROR),
    Key::new(
        "signers.x509.tuf.root",
        PATH,
        |draft, text| some(&mut draft.tuf_root, values::path(text)),
        "The `root.json` to begin with at that repository.",
    )
    .decided("known of the public repository; of another one, fetched from there once")
    .ours(),
];

pub(super) static SIGNER_KMS: &[Key] = &[
    Key::new(
        "signers.kms.kmsref",
        Values::Text(
            "`gcpkms://projects/P/locations/L/keyRings/R/cryptoKeys/K[/versions/V]`, \
             `awskms://[ENDPOINT]/[ID/ALIAS/ARN]`, \
             `azurekms://VAULT.vault.azure.net/KEY[/VERSION]`, `hashivault://KEY`, `openbao://KEY`",
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
