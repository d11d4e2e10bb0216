//! The stores that are compiled in: one small file and one line each.

use std::sync::Arc;

use chains_config::Config;
use chains_core::{Result, Store};

use crate::Environment;

#[cfg(feature = "archivista")]
pub(crate) mod archivista;
#[cfg(feature = "azblob")]
pub(crate) mod azblob;
#[cfg(feature = "docdb")]
pub(crate) mod docdb;
#[cfg(feature = "gcs")]
pub(crate) mod gcs;
#[cfg(feature = "grafeas")]
pub(crate) mod grafeas;
mod local;
mod oci;
#[cfg(feature = "pubsub")]
pub(crate) mod pubsub;
#[cfg(feature = "s3")]
pub(crate) mod s3;
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

#[cfg(all(test, feature = "azblob", feature = "gcs", feature = "s3"))]
mod tests {
    use super::*;

    /// Who writes a record takes turns with others of the same store: another engine's store must be the same one.
    #[test]
    fn buckets_stay_the_same_while_their_section_does() {
        let environment = Environment::anonymous();
        for (build, section, other) in [
            (gcs::build as BuildStore, "storage.gcs.bucket=one", "storage.gcs.bucket=two"),
            (s3::build, "storage.s3.bucket=one", "storage.s3.bucket=one\nstorage.s3.prefix=two"),
            (
                azblob::build,
                "storage.azblob.account=one\nstorage.azblob.container=one",
                "storage.azblob.account=one\nstorage.azblob.container=two",
            ),
        ] {
            let made = |text: &str| build(&Config::read(text).unwrap(), &environment).unwrap();
            let one = made(section);
            let again = made(&format!("{section}\ntransparency.enabled=manual"));
            assert!(Arc::ptr_eq(&one, &again), "{section}");
            assert!(!Arc::ptr_eq(&one, &made(other)), "{other}");
        }
    }
}
