//! Signers and logs that are in use, so that another engine made of the same inputs gets the same ones.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use chains_core::Result;

/// What engines share: a signer with its connections, logins and certificate, a log, a root of trust.
///
/// A change of the configuration makes another engine. What it says of a signer is often as before, and the
/// signer is then the same one: it need not log in again, nor ask for another certificate. What no engine uses
/// any more is gone.
#[derive(Clone, Default)]
#[cfg_attr(
    not(any(
        feature = "archivista",
        feature = "azblob",
        feature = "docdb",
        feature = "gcs",
        feature = "grafeas",
        feature = "kms",
        feature = "pubsub",
        feature = "s3",
        feature = "transparency"
    )),
    allow(dead_code, reason = "nothing that is kept is built in")
)]
pub struct Kept(Arc<Shelves>);

#[derive(Default)]
struct Shelves {
    #[cfg(feature = "archivista")]
    archivista: crate::stores::archivista::Archives,
    #[cfg(feature = "azblob")]
    azblob: crate::stores::azblob::Buckets,
    #[cfg(feature = "gcs")]
    gcs: crate::stores::gcs::Buckets,
    #[cfg(feature = "s3")]
    s3: crate::stores::s3::Buckets,
    #[cfg(feature = "docdb")]
    docdb: crate::stores::docdb::Databases,
    #[cfg(feature = "grafeas")]
    grafeas: crate::stores::grafeas::Projects,
    #[cfg(feature = "kms")]
    kms: Shelf<crate::signers::kms::Inputs, chains_signer_kms::KmsSigner>,
    #[cfg(feature = "pubsub")]
    pubsub: crate::stores::pubsub::Queues,
    #[cfg(feature = "transparency")]
    logs: Shelf<crate::sigstore::log::Inputs, chains_transparency::Transparency>,
    #[cfg(feature = "transparency")]
    roots: Shelf<crate::sigstore::trust::Inputs, crate::sigstore::trust::Roots>,
    #[cfg(feature = "keyless")]
    fulcio: Shelf<crate::signers::fulcio::Inputs, chains_signer_fulcio::FulcioSigner>,
}

impl Kept {
    #[cfg(feature = "archivista")]
    pub(crate) fn archivista(&self) -> &crate::stores::archivista::Archives {
        &self.0.archivista
    }

    #[cfg(feature = "azblob")]
    pub(crate) fn azblob(&self) -> &crate::stores::azblob::Buckets {
        &self.0.azblob
    }

    #[cfg(feature = "gcs")]
    pub(crate) fn gcs(&self) -> &crate::stores::gcs::Buckets {
        &self.0.gcs
    }

    #[cfg(feature = "s3")]
    pub(crate) fn s3(&self) -> &crate::stores::s3::Buckets {
        &self.0.s3
    }

    #[cfg(feature = "docdb")]
    pub(crate) fn docdb(&self) -> &crate::stores::docdb::Databases {
        &self.0.docdb
    }

    #[cfg(feature = "grafeas")]
    pub(crate) fn grafeas(&self) -> &crate::stores::grafeas::Projects {
        &self.0.grafeas
    }

    #[cfg(feature = "kms")]
    pub(crate) fn kms(&self) -> &Shelf<crate::signers::kms::Inputs, chains_signer_kms::KmsSigner> {
        &self.0.kms
    }

    #[cfg(feature = "pubsub")]
    pub(crate) fn pubsub(&self) -> &crate::stores::pubsub::Queues {
        &self.0.pubsub
    }

    #[cfg(feature = "transparency")]
    pub(crate) fn logs(
        &self,
    ) -> &Shelf<crate::sigstore::log::Inputs, chains_transparency::Transparency> {
        &self.0.logs
    }

    #[cfg(feature = "transparency")]
    pub(crate) fn roots(
        &self,
    ) -> &Shelf<crate::sigstore::trust::Inputs, crate::sigstore::trust::Roots> {
        &self.0.roots
    }

    #[cfg(feature = "keyless")]
    pub(crate) fn fulcio(
        &self,
    ) -> &Shelf<crate::signers::fulcio::Inputs, chains_signer_fulcio::FulcioSigner> {
        &self.0.fulcio
    }
}

/// The inputs may be secrets.
impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}

/// Things by what they are made of, for as long as somebody has them.
#[cfg_attr(
    not(any(
        feature = "archivista",
        feature = "azblob",
        feature = "docdb",
        feature = "gcs",
        feature = "grafeas",
        feature = "kms",
        feature = "pubsub",
        feature = "s3",
        feature = "transparency"
    )),
    allow(dead_code, reason = "nothing that is kept is built in")
)]
pub(crate) struct Shelf<K, T>(Mutex<Vec<(K, Weak<T>)>>);

impl<K, T> Default for Shelf<K, T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

#[cfg_attr(
    not(any(
        feature = "archivista",
        feature = "azblob",
        feature = "docdb",
        feature = "gcs",
        feature = "grafeas",
        feature = "kms",
        feature = "pubsub",
        feature = "s3",
        feature = "transparency"
    )),
    allow(dead_code, reason = "nothing that is kept is built in")
)]
impl<K: PartialEq, T> Shelf<K, T> {
    /// The one made of these inputs, or a new one.
    ///
    /// # Errors
    /// Those of `make`.
    pub(crate) fn get_or_make(
        &self,
        inputs: K,
        make: impl FnOnce(&K) -> Result<T>,
    ) -> Result<Arc<T>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(_, weak)| weak.strong_count() > 0);
        let found = kept.iter().find(|(known, _)| *known == inputs);
        if let Some(found) = found.and_then(|(_, weak)| weak.upgrade()) {
            return Ok(found);
        }
        let made = Arc::new(make(&inputs)?);
        kept.push((inputs, Arc::downgrade(&made)));
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_use_is_had_again() {
        let shelf: Shelf<u8, u8> = Shelf::default();
        let get = |inputs| shelf.get_or_make(inputs, |inputs| Ok(*inputs)).expect("made");
        let one = get(1);
        assert!(Arc::ptr_eq(&one, &get(1)));
        assert!(!Arc::ptr_eq(&one, &get(2)));
        let weak = Arc::downgrade(&one);
        drop(one);
        assert!(weak.upgrade().is_none(), "nobody uses it");
        assert_eq!(*get(1), 1);
    }
}
