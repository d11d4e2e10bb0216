//! Keys in files, as Kubernetes mounts the `signing-secrets` Secret, or in the Secret itself.

use std::fs;
use std::io;
use std::path::Path;

use chains_core::{PublicKey, Result, Secret};
use zeroize::Zeroizing;

use crate::{X509Signer, key_error};

/// File name of a private key that is not encrypted; looked for first.
pub const X509_KEY: &str = "x509.pem";
/// File name of a private key of cosign.
pub const COSIGN_KEY: &str = "cosign.key";
/// File name of its password.
pub const COSIGN_PASSWORD: &str = "cosign.password";
/// File name of its public half, which is checked where it is there.
pub const COSIGN_PUBLIC_KEY: &str = "cosign.pub";

impl X509Signer {
    /// Reads a private key from a file.
    ///
    /// # Errors
    /// [`ErrorKind::Key`](chains_core::ErrorKind::Key), naming the file: as for [`X509Signer::from_pem`],
    /// or where the file cannot be read.
    pub fn from_file(path: &Path, password: Option<&Secret>) -> Result<Self> {
        let what = format!("the key file {}", path.display());
        let Some(bytes) = read(path)? else {
            return Err(key_error(format!("{what} is not there")));
        };
        Self::from_pem(text(&what, bytes)?.expose(), password).map_err(|error| error.context(what))
    }

    /// Reads the key from a folder: [`X509_KEY`], or else [`COSIGN_KEY`] with [`COSIGN_PASSWORD`].
    ///
    /// The password is the whole file, line breaks too, as cosign and Tekton Chains take it.
    ///
    /// # Errors
    /// As for [`X509Signer::from_file`]; where neither key is there; where [`COSIGN_PUBLIC_KEY`] is there
    /// and is of another key.
    pub fn from_dir(dir: &Path) -> Result<Self> {
        Self::from_entries(&dir.display().to_string(), |name| read(&dir.join(name)))
    }

    /// Reads the key as [`X509Signer::from_dir`] does, from bytes by the name that the file would have.
    ///
    /// `place` tells in errors where the bytes are from; `read` gives `None` where there are none by a name.
    ///
    /// ```
    /// # use chains_signer_x509::{KeyKind, KeyPair, X509_KEY, X509Signer};
    /// let pair = KeyPair::generate(KeyKind::P256)?;
    /// let pem = pair.private_pem()?;
    /// let data = [(X509_KEY, pem.expose().as_bytes())];
    /// let signer = X509Signer::from_entries("the Secret ci/keys", |name| {
    ///     Ok(data.iter().find(|(key, _)| *key == name).map(|(_, bytes)| bytes.to_vec()))
    /// })?;
    /// assert_eq!(signer.public_key(), pair.public_key());
    /// # Ok::<(), chains_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`X509Signer::from_dir`], and those of `read`.
    pub fn from_entries(
        place: &str,
        read: impl Fn(&str) -> Result<Option<Vec<u8>>>,
    ) -> Result<Self> {
        let entry = |name: &'static str| match read(name)? {
            Some(bytes) => text(&format!("{name} in {place}"), bytes).map(Some),
            None => Ok(None),
        };
        let (name, pem, password) = if let Some(pem) = entry(X509_KEY)? {
            (X509_KEY, pem, None)
        } else if let Some(pem) = entry(COSIGN_KEY)? {
            (COSIGN_KEY, pem, entry(COSIGN_PASSWORD)?)
        } else {
            return Err(key_error(format!(
                "no private key in {place}: looked for {X509_KEY} and {COSIGN_KEY}"
            )));
        };
        let signer = Self::from_pem(pem.expose(), password.as_ref())
            .map_err(|error| error.context(format!("the key {name} in {place}")))?;
        if name == COSIGN_KEY
            && let Some(pem) = entry(COSIGN_PUBLIC_KEY)?
        {
            signer.check_public_key(place, &pem)?;
        }
        Ok(signer)
    }

    /// A place with halves of two pairs would sign what nobody could verify.
    fn check_public_key(&self, place: &str, pem: &Secret) -> Result<()> {
        let what = format!("{COSIGN_PUBLIC_KEY} in {place}");
        let public =
            PublicKey::from_pem(pem.expose()).map_err(|error| error.context(what.clone()))?;
        if public == *self.public_key() {
            return Ok(());
        }
        Err(key_error(format!(
            "{what} is of another pair: it is {}, the private key's is {}",
            public.id(),
            self.public_key().id()
        )))
    }
}

/// `None` where there is no such file.
fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            Err(key_error(format!("reading {}", path.display())).with_source(error.to_string()))
        }
    }
}

/// The bytes as text; they are wiped either way.
fn text(what: &str, bytes: Vec<u8>) -> Result<Secret> {
    let bytes = Zeroizing::new(bytes);
    std::str::from_utf8(&bytes)
        .map(Secret::new)
        .map_err(|_| key_error(format!("reading {what}")).with_source("it is not text in UTF-8"))
}
