//! The one table of keys: the source for parsing, for defaults and for `docs/configuration.md`.
//!
//! Its rows are in three drawers: what is done for runs and images, the stores, and the signers.

mod artifacts;
mod signers;
mod stores;

use crate::keys::{Section, Values};
use crate::values::Read;

/// Every key there is.
pub(crate) static KEYS: &[Section] = &[
    Section { title: "TaskRuns", text: "", keys: artifacts::TASKRUN },
    Section { title: "PipelineRuns", text: "", keys: artifacts::PIPELINERUN },
    Section { title: "Images", text: "", keys: artifacts::OCI },
    Section { title: "Provenance", text: "", keys: artifacts::PROVENANCE },
    Section {
        title: "Which runs",
        text: "Runs whose `spec.managedBy` is unset, empty or `tekton.dev/pipeline` are always looked at.",
        keys: artifacts::FILTER,
    },
    Section {
        title: "Retries",
        text: "What the controller does with a run that failed for a reason that may pass, such as a registry \
               that is down. Each pause is four times the one before, give or take a fifth: by default \
               about half a minute, two minutes and seven and a half. A run that fails for good is \
               annotated `chains.tekton.dev/signed: failed`, with `chains.tekton.dev/reason`.",
        keys: artifacts::RETRY,
    },
    Section { title: "Store `oci`", text: "", keys: stores::STORAGE_OCI },
    Section { title: "Store `gcs`", text: "", keys: stores::STORAGE_GCS },
    Section {
        title: "Store `s3`",
        text: "Amazon S3 and what speaks its protocol, with the names of objects that `gcs` has. Credentials are those \
               that AWS's tools read: see `docs/stores.md`.",
        keys: stores::STORAGE_S3,
    },
    Section {
        title: "Store `azblob`",
        text: "Azure Blob Storage, with the names of objects that `gcs` has. Credentials are those that Azure's tools \
               read: see `docs/stores.md`.",
        keys: stores::STORAGE_AZBLOB,
    },
    Section {
        title: "Store `docdb`",
        text: "MongoDB's connection string comes from the first that is set of \
               `storage.docdb.mongo-server-url-path`, `storage.docdb.mongo-server-url-dir`, \
               `storage.docdb.mongo-server-url`, and the environment's `MONGO_SERVER_URL`. Of these, a \
               mounted Secret (`-path`, `-dir`) is watched, and keeps the password out of the ConfigMap.",
        keys: stores::STORAGE_DOCDB,
    },
    Section { title: "Store `grafeas`", text: "", keys: stores::STORAGE_GRAFEAS },
    Section {
        title: "Store `pubsub`",
        text: "The store has two names, `pubsub` and `kafka`; they mean the same.",
        keys: stores::STORAGE_PUBSUB,
    },
    Section { title: "Store `archivista`", text: "", keys: stores::STORAGE_ARCHIVISTA },
    Section {
        title: "Store `local`",
        text: "For the command line and for networks without a registry.",
        keys: stores::STORAGE_LOCAL,
    },
    Section { title: "Transparency log", text: "", keys: signers::TRANSPARENCY },
    Section {
        title: "Services of Sigstore",
        text: "For deployments with services of their own. Without these keys, the public instance of Sigstore is trusted \
               by what its TUF repository tells, wherever its Fulcio or its log is used. Where others are used and nothing \
               tells whom to trust, a log of version 1 and timestamp authorities are asked for their keys once, with a \
               warning.",
        keys: signers::SIGSTORE,
    },
    Section { title: "Signer `x509`", text: "", keys: signers::SIGNER_X509 },
    Section { title: "Signer `kms`", text: "", keys: signers::SIGNER_KMS },
];

/// Fills a place that every configuration fills.
pub(crate) fn put<T>(place: &mut T, read: Read<T>) -> Read<()> {
    *place = read?;
    Ok(())
}

/// Fills a place that may stay empty.
pub(crate) fn some<T>(place: &mut Option<T>, read: Read<T>) -> Read<()> {
    *place = Some(read?);
    Ok(())
}

pub(crate) const PATH: Values = Values::Text("a path");
pub(crate) const SERVICE_URL: Values = Values::Text("an `http` or `https` URL");
pub(crate) const LINE: Values = Values::Text("text in one line");
