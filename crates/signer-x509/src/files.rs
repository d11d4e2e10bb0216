//! Keys in files, as Kubernetes mounts the `signing-secrets` Secret.

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
        match read(path)? {
            Some(text) => Self::from_text(path, &text, password),
            None => Err(key_error(format!("the key file {} is not there", path.display()))),
        }
    }

    fn from_text(path: &Path, text: &Secret, password: Option<&Secret>) -> Result<Self> {
        Self::from_pem(text.expose(), password)
            .map_err(|error| error.context(format!("the key file {}", path.display())))
    }

    /// Reads the key from a folder: [`X509_KEY`], or else [`COSIGN_KEY`] with [`COSIGN_PASSWORD`].
    ///
    /// The password is the whole file, line breaks too, as cosign and Tekton Chains take it.
    ///
    /// # Errors
    /// As for [`X509Signer::from_file`]; where neither key is there; where [`COSIGN_PUBLIC_KEY`] is there
    /// and is of another key.
    pub fn from_dir(dir: &Path) -> Result<Self> {
        let x509 = dir.join(X509_KEY);
        if let Some(text) = read(&x509)? {
            return Self::from_text(&x509, &text, None);
        }
        let cosign = dir.join(COSIGN_KEY);
        let Some(text) = read(&cosign)? else {
            return Err(key_error(format!(
                "no private key in {}: looked for {X509_KEY} and {COSIGN_KEY}",
                dir.display()
            )));
        };
        let password = read(&dir.join(COSIGN_PASSWORD))?;
        let signer = Self::from_text(&cosign, &text, password.as_ref())?;
        signer.check_public_key(&dir.join(COSIGN_PUBLIC_KEY))?;
        Ok(signer)
    }

    /// A folder with halves of two pairs would sign what nobody could verify.
    fn check_public_key(&self, path: &Path) -> Result<()> {
        let Some(pem) = read(path)? else {
            return Ok(());
        };
        let public = PublicKey::from_pem(pem.expose())
            .map_err(|error| error.context(path.display().to_string()))?;
        if public == *self.public_key() {
            return Ok(());
        }
        Err(key_error(format!(
            "{} is of another pair: it is {}, the private key's is {}",
            path.display(),
            public.id(),
            self.public_key().id()
        )))
    }
}

/// `None` where there is no such file.
fn read(path: &Path) -> Result<Option<Secret>> {
    let failed = |why: String| key_error(format!("reading {}", path.display())).with_source(why);
    match fs::read(path).map(Zeroizing::new) {
        Ok(bytes) => match std::str::from_utf8(&bytes) {
            Ok(text) => Ok(Some(Secret::new(text))),
            Err(_) => Err(failed("it is not text in UTF-8".to_owned())),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(error.to_string())),
    }
}
