//! The key behind `x509`: where it is looked for, and what was made of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use chains_core::{Digest, Error, ErrorKind};
use chains_signer_x509::{COSIGN_KEY, COSIGN_PASSWORD, COSIGN_PUBLIC_KEY, X509_KEY, X509Signer};
use zeroize::Zeroizing;

/// The names under which a key and what belongs to it are looked for.
pub(super) const NAMES: [&str; 4] = [X509_KEY, COSIGN_KEY, COSIGN_PASSWORD, COSIGN_PUBLIC_KEY];

/// What is at the place where the key is to be.
#[derive(Debug)]
pub(super) enum Found {
    /// A private key, perhaps with what belongs to it.
    Key(Entries),
    /// Nothing to sign with, and why that is known.
    Nothing(String),
    /// It could not be looked at.
    Unreadable(Error),
}

/// Bytes by the name of the file or the entry of a Secret. No `Debug`: they are secret.
pub(super) struct Entries(BTreeMap<&'static str, Zeroizing<Vec<u8>>>);

impl std::fmt::Debug for Entries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Found {
    /// Asks `read` for the bytes of each name.
    pub(super) fn collect(
        place: &str,
        mut read: impl FnMut(&'static str) -> chains_core::Result<Option<Vec<u8>>>,
    ) -> Self {
        let mut entries = BTreeMap::new();
        for name in NAMES {
            match read(name) {
                Ok(Some(bytes)) => drop(entries.insert(name, Zeroizing::new(bytes))),
                Ok(None) => {}
                Err(error) => return Self::Unreadable(error),
            }
        }
        if entries.contains_key(X509_KEY) || entries.contains_key(COSIGN_KEY) {
            return Self::Key(Entries(entries));
        }
        let elsewhere = if place.starts_with("k8s://") {
            ""
        } else {
            "; a Secret is read where `signers.x509.key` says k8s://NAMESPACE/NAME"
        };
        Self::Nothing(format!(
            "no private key in {place}: looked for {X509_KEY} and {COSIGN_KEY}{elsewhere}"
        ))
    }

    /// Reads the files of a folder.
    pub(super) fn in_folder(folder: &Path) -> Self {
        Self::collect(&folder.display().to_string(), |name| {
            let path = folder.join(name);
            match std::fs::read(&path) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(error) => {
                    let what = format!("reading {}", path.display());
                    Err(Error::new(ErrorKind::Key, what).with_source(error))
                }
            }
        })
    }
}

impl Entries {
    /// Differs where any byte does.
    fn digest(&self) -> Digest {
        let mut all = Zeroizing::new(Vec::new());
        for (name, bytes) in &self.0 {
            // With the length in front, no two sets of entries read the same.
            all.extend(bytes.len().to_le_bytes());
            all.extend(name.as_bytes());
            all.extend(bytes.iter());
        }
        Digest::sha256_of(&all)
    }

    fn signer(&self, place: &str) -> chains_core::Result<X509Signer> {
        X509Signer::from_entries(place, |name| {
            Ok(self.0.get(name).map(|bytes| bytes.as_slice().to_vec()))
        })
    }
}

/// What there is to sign with.
#[derive(Debug, Clone)]
pub(super) struct KeyState {
    /// The key, where there is one.
    pub(super) signer: Option<Arc<X509Signer>>,
    /// What is wrong with what is there now; with a `signer`, that is the one before.
    pub(super) fault: Option<KeyFault>,
}

/// What is wrong with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum KeyFault {
    /// There is none.
    Missing(String),
    /// There may be one, and it cannot be read.
    Unusable(String),
}

/// Makes signers of what is found, each once.
#[derive(Debug)]
pub(super) struct KeyReader {
    place: String,
    /// The key in use, and what it was made of.
    loaded: Option<(Digest, Arc<X509Signer>)>,
    /// What no key could be made of, and why.
    refused: Option<(Digest, String)>,
}

impl KeyReader {
    /// For what is found at `place`, which errors name.
    pub(super) const fn new(place: String) -> Self {
        Self { place, loaded: None, refused: None }
    }

    /// What follows from what is found.
    ///
    /// A key that is taken away is not used any longer, as whoever deletes a key wants it to sign no more. One that
    /// cannot be read leaves the one before in use.
    pub(super) async fn see(&mut self, found: Found) -> KeyState {
        let fault = match found {
            Found::Key(entries) => self.load(entries).await.err().map(KeyFault::Unusable),
            Found::Unreadable(error) => Some(KeyFault::Unusable(error.report())),
            Found::Nothing(why) => {
                (self.loaded, self.refused) = (None, None);
                Some(KeyFault::Missing(why))
            }
        };
        let signer = self.loaded.as_ref().map(|(_, signer)| Arc::clone(signer));
        KeyState { signer, fault }
    }

    async fn load(&mut self, entries: Entries) -> Result<(), String> {
        let digest = entries.digest();
        if self.loaded.as_ref().is_some_and(|(known, _)| *known == digest) {
            self.refused = None;
            return Ok(());
        }
        if let Some((known, why)) = &self.refused
            && *known == digest
        {
            return Err(why.clone());
        }
        let place = self.place.clone();
        // An encrypted key takes 64 MiB and some tenths of a second.
        let read = tokio::task::spawn_blocking(move || entries.signer(&place)).await;
        let why = match read {
            Ok(Ok(signer)) => {
                (self.loaded, self.refused) = (Some((digest, Arc::new(signer))), None);
                return Ok(());
            }
            Ok(Err(error)) => error.report(),
            Err(error) => format!("reading the key in {}: {error}", self.place),
        };
        self.refused = Some((digest, why.clone()));
        Err(why)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use chains_signer_x509::{KeyKind, KeyPair};

    use super::*;

    /// A new private key in PEM, and its public half.
    pub(in super::super) fn pem() -> (String, chains_core::PublicKey) {
        let pair = KeyPair::generate(KeyKind::P256).expect("a pair");
        (pair.private_pem().expect("PEM").expose().to_owned(), pair.public_key().clone())
    }

    pub(in super::super) fn found(entries: &[(&'static str, &str)]) -> Found {
        Found::collect("k8s://ci/keys", |name| {
            Ok(entries
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, text)| text.as_bytes().to_vec()))
        })
    }

    fn public(state: &KeyState) -> Option<&chains_core::PublicKey> {
        state.signer.as_ref().map(|signer| signer.public_key())
    }

    #[tokio::test]
    async fn a_rotated_key_takes_over_and_a_broken_one_does_not() {
        let mut reader = KeyReader::new("k8s://ci/keys".to_owned());
        let ((first, first_public), (second, second_public)) = (pem(), pem());
        let state = reader.see(found(&[(X509_KEY, &first)])).await;
        assert_eq!((public(&state), &state.fault), (Some(&first_public), &None));
        let half = second.get(..40).expect("longer");
        for _ in 0..2 {
            let state = reader.see(found(&[(X509_KEY, half)])).await;
            assert_eq!(public(&state), Some(&first_public));
            let Some(KeyFault::Unusable(why)) = state.fault else { panic!("{state:?}") };
            assert!(why.contains("x509.pem in k8s://ci/keys"), "{why}");
        }
        let state = reader.see(found(&[(X509_KEY, &second)])).await;
        assert_eq!((public(&state), &state.fault), (Some(&second_public), &None));
    }

    #[tokio::test]
    async fn the_same_bytes_are_read_once() {
        let mut reader = KeyReader::new("here".to_owned());
        let (pem, _) = pem();
        let first = reader.see(found(&[(X509_KEY, &pem)])).await.signer.expect("a key");
        let error = Error::new(ErrorKind::Unavailable, "reading here");
        let meanwhile = reader.see(Found::Unreadable(error)).await;
        assert_eq!(meanwhile.fault, Some(KeyFault::Unusable("reading here".to_owned())));
        assert!(Arc::ptr_eq(&first, &meanwhile.signer.expect("the same key")));
        let again = reader.see(found(&[(X509_KEY, &pem)])).await;
        assert!(Arc::ptr_eq(&first, &again.signer.expect("the same key")));
        assert_eq!(again.fault, None);
    }

    #[tokio::test]
    async fn a_key_that_is_taken_away_signs_no_more() {
        let mut reader = KeyReader::new("here".to_owned());
        let (pem, public_key) = pem();
        drop(reader.see(found(&[(X509_KEY, &pem)])).await);
        let state = reader.see(found(&[(COSIGN_PUBLIC_KEY, "x")])).await;
        let why = "no private key in k8s://ci/keys: looked for x509.pem and cosign.key";
        assert_eq!(state.fault, Some(KeyFault::Missing(why.to_owned())));
        assert!(state.signer.is_none());
        let state = reader.see(found(&[(X509_KEY, &pem)])).await;
        assert_eq!((public(&state), &state.fault), (Some(&public_key), &None));
    }

    #[tokio::test]
    async fn folders_are_read_as_secrets_are() {
        let folder = tempfile::tempdir().expect("a folder");
        let (pem, public_key) = pem();
        assert!(matches!(Found::in_folder(folder.path()), Found::Nothing(_)));
        assert!(matches!(Found::in_folder(Path::new("/no/such")), Found::Nothing(_)));
        std::fs::write(folder.path().join(X509_KEY), &pem).expect("written");
        let state = KeyReader::new("here".to_owned()).see(Found::in_folder(folder.path())).await;
        assert_eq!(public(&state), Some(&public_key));
        std::fs::create_dir(folder.path().join(COSIGN_KEY)).expect("a folder");
        assert!(matches!(Found::in_folder(folder.path()), Found::Unreadable(_)));
    }

    #[test]
    fn entries_that_differ_are_told_apart_and_never_shown() {
        let digest = |entries: &[(&'static str, &str)]| match found(entries) {
            Found::Key(entries) => entries.digest(),
            other => panic!("{other:?}"),
        };
        let same = digest(&[(COSIGN_KEY, "a"), (COSIGN_PASSWORD, "b")]);
        assert_eq!(same, digest(&[(COSIGN_PASSWORD, "b"), (COSIGN_KEY, "a")]));
        assert_ne!(same, digest(&[(COSIGN_KEY, "a"), (COSIGN_PASSWORD, "c")]));
        assert_ne!(same, digest(&[(COSIGN_KEY, "ab"), (COSIGN_PASSWORD, "")]));
        assert_ne!(same, digest(&[(COSIGN_KEY, "a")]));
        let shown = format!("{:?}", found(&[(COSIGN_KEY, "sesame"), (COSIGN_PASSWORD, "sesame")]));
        assert!(!shown.contains("sesame") && shown.contains(COSIGN_KEY), "{shown}");
    }
}
