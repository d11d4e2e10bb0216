//! The files of one record: what is in them, and writing them.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chains_core::bundle::Bundle;
use chains_core::{Error, ErrorKind, Record, Result, Signed, Target};

use crate::{json, names};

/// Indented statement, or the very bytes that a detached signature is over.
pub(crate) const PAYLOAD: &str = "json";
/// The envelope.
pub(crate) const ENVELOPE: &str = "dsse.json";
/// The bundle.
pub(crate) const BUNDLE: &str = "sigstore.json";
/// The detached signature in base64.
pub(crate) const SIGNATURE: &str = "sig";
/// The public key.
pub(crate) const PUBLIC_KEY: &str = "pub";
/// The leaf certificate.
pub(crate) const CERTIFICATE: &str = "crt";
/// The certificates above it.
pub(crate) const CHAIN: &str = "chain.crt";

/// Extensions of everything that a record may have.
pub(crate) const EXTENSIONS: [&str; 7] =
    [PAYLOAD, ENVELOPE, BUNDLE, SIGNATURE, PUBLIC_KEY, CERTIFICATE, CHAIN];

/// The files of one record.
pub(crate) struct RecordFiles {
    stem: String,
    /// By extension, in the order of writing; `None` is for files that must not be there.
    ///
    /// The payload comes last: a record is there when its payload is.
    files: [(&'static str, Option<Vec<u8>>); 7],
}

impl RecordFiles {
    /// # Errors
    /// Where the record makes no bundle, or its target no name.
    pub(crate) fn of(record: &Record) -> Result<Self> {
        let bundle = Bundle::from_record(record)
            .map_err(|error| error.context(format!("making the bundle of {}", record.key.full)))?;
        let (envelope, signature) = match &record.signed {
            Some(Signed::Dsse(envelope)) => (Some(envelope.to_json()), None),
            Some(Signed::Detached(bytes)) => (None, Some(STANDARD.encode(bytes))),
            None => (None, None),
        };
        let payload = &record.payload.bytes;
        // A detached signature is over the file as it is: cosign reads it.
        let payload = if signature.is_some() { payload.to_vec() } else { readable(payload) };
        let material = record.material.as_deref();
        let public_key = material.map(|m| m.public_key.to_pem()).transpose()?;
        let text = |text: Option<String>| text.map(String::into_bytes);
        Ok(Self {
            stem: stem(record)?,
            files: [
                (PUBLIC_KEY, text(public_key)),
                (CERTIFICATE, text(material.and_then(|m| m.certificate.clone()))),
                (CHAIN, text(material.and_then(|m| m.chain.clone()))),
                (ENVELOPE, text(envelope)),
                (SIGNATURE, text(signature)),
                (BUNDLE, bundle.map(|bundle| bundle.to_json().into_bytes())),
                (PAYLOAD, Some(payload)),
            ],
        })
    }

    /// Where a reader finds the payload.
    pub(crate) fn location(&self, dir: &Path) -> String {
        dir.join(format!("{}.{PAYLOAD}", self.stem)).display().to_string()
    }

    /// Writes what is not there yet, and tells whether that was anything.
    ///
    /// # Errors
    /// Names the file.
    pub(crate) fn write(self, dir: &Path) -> Result<bool> {
        fs::create_dir_all(dir)
            .map_err(|e| failed(&format!("making the folder {}", dir.display()), e))?;
        let mut changed = false;
        for (extension, content) in self.files {
            let path = dir.join(format!("{}.{extension}", self.stem));
            let there = match fs::read(&path) {
                Ok(bytes) => Some(bytes),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(failed(&format!("reading {}", path.display()), error)),
            };
            if there == content {
                continue;
            }
            changed = true;
            match content {
                Some(content) => replace(dir, &path, &content),
                None => fs::remove_file(&path),
            }
            .map_err(|e| failed(&format!("writing {}", path.display()), e))?;
        }
        Ok(changed)
    }
}

/// Indented where that can be undone, as it can for the compact JSON that formats write.
pub(crate) fn readable(payload: &[u8]) -> Vec<u8> {
    let indented = json::indented(payload);
    if json::compact(&indented) == payload { indented } else { payload.to_vec() }
}

fn stem(record: &Record) -> Result<String> {
    let wanted = match (&record.target, record.payload.predicate_type) {
        (Target::Run, None) => 1,
        _ => 0,
    };
    names::stems(&record.target, &record.key).into_iter().nth(wanted).ok_or_else(|| {
        Error::new(ErrorKind::Internal, format!("naming the files of {}", record.key.full))
    })
}

/// The new content takes the old one's place at once.
fn replace(dir: &Path, path: &Path, content: &[u8]) -> io::Result<()> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".chains-").suffix(".tmp");
    // Like any other file: readable for those whom the umask lets.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
    let mut file = builder.tempfile_in(dir)?;
    file.write_all(content)?;
    file.persist(path)?;
    Ok(())
}

pub(crate) fn failed(what: &str, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::PermissionDenied => ErrorKind::Unauthorized,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::Unavailable,
        _ => ErrorKind::InvalidInput,
    };
    Error::new(kind, what).with_source(error)
}
