//! The stores that are compiled in: one small file and one line each.

use std::sync::Arc;

use chains_config::Config;
use chains_core::{Result, Store};

use crate::Environment;

#[cfg(feature = "archivista")]
mod archivista;
#[cfg(feature = "azblob")]
mod azblob;
#[cfg(feature = "docdb")]
pub(crate) mod docdb;
#[cfg(feature = "gcs")]
mod gcs;
#[cfg(feature = "grafeas")]
mod grafeas;
mod local;
mod oci;
#[cfg(feature = "pubsub")]
pub(crate) mod pubsub;
#[cfg(feature = "s3")]
mod s3;
mod tekton;

/// Makes a store of its section.
pub type BuildStore = fn(&Config, &Environment) -> Result<Arc<dyn Store>>;

/// By the name in `artifacts.*.storage`.
pub const STORES: &[(&str, BuildStore)] = &[
    #[cfg(feature = "archivista")]
    ("archivista", archivista::build),
    #[cfg(feature = "azblob")]
    ("azblob", azblob::build),
    #[cfg(feature = "docdb")]
    ("docdb", docdb::build),
    #[cfg(feature = "gcs")]
    ("gcs", gcs::build),
    #[cfg(feature = "grafeas")]
    ("grafeas", grafeas::build),
    ("local", local::build),
    ("oci", oci::build),
    #[cfg(feature = "pubsub")]
    ("pubsub", pubsub::build),
    #[cfg(feature = "s3")]
    ("s3", s3::build),
    ("tekton", tekton::build),
];

/// What the configuration sees to before a store is built; who builds one of a section by hand may forget it.
#[cfg(any(
    feature = "archivista",
    feature = "azblob",
    feature = "gcs",
    feature = "grafeas",
    feature = "s3"
))]
fn unset(key: &str) -> chains_core::Error {
    use chains_core::{Error, ErrorKind};
    Error::new(ErrorKind::Configuration, format!("`{key}` is not set"))
}
