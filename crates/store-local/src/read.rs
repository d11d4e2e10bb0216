//! Reading one record's files, which anyone may have changed since.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chains_core::bundle::{Bundle, Content};
use chains_core::dsse::Envelope;
use chains_core::{Error, ErrorKind, PublicKey, Result, Signed, Stored};

use crate::files::{
    BUNDLE, CERTIFICATE, CHAIN, ENVELOPE, PAYLOAD, PUBLIC_KEY, SIGNATURE, failed, readable,
};
use crate::json;
use crate::list::LocalRecord;

/// No file is read that is larger.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// `None` where there is no such record.
pub(crate) fn record(dir: &Path, stem: &str) -> Result<Option<LocalRecord>> {
    let folder = Folder { dir, stem };
    let Some(payload) = folder.bytes(PAYLOAD)? else {
        return Ok(None);
    };
    let signed = folder.signed()?;
    let payload = match &signed {
        Some(Signed::Detached(_)) => payload,
        Some(Signed::Dsse(envelope)) if readable(&envelope.payload) == payload => {
            envelope.payload.to_vec()
        }
        Some(Signed::Dsse(_)) | None => json::restored(payload),
    };
    let stored = Stored {
        location: folder.path(PAYLOAD),
        payload: payload.into(),
        signed,
        certificate: folder.text(CERTIFICATE)?,
        chain: folder.text(CHAIN)?,
    };
    let bundle = folder.bundle(stored.signed.as_ref())?;
    let public_key = folder.public_key()?;
    Ok(Some(LocalRecord { stored, bundle, public_key }))
}

struct Folder<'a> {
    dir: &'a Path,
    stem: &'a str,
}

impl Folder<'_> {
    fn path(&self, extension: &str) -> String {
        self.dir.join(format!("{}.{extension}", self.stem)).display().to_string()
    }

    /// `None` where there is no such file.
    fn bytes(&self, extension: &str) -> Result<Option<Vec<u8>>> {
        let path = self.dir.join(format!("{}.{extension}", self.stem));
        let what = || format!("reading {}", path.display());
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_file() => {}
            // A link leads out of the folder, and a pipe has no end.
            Ok(_) => {
                let why = format!("{} is no regular file", path.display());
                return Err(Error::new(ErrorKind::InvalidInput, why));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(&what(), error)),
        }
        let file = File::open(&path).map_err(|e| failed(&what(), e))?;
        let mut bytes = Vec::new();
        file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|e| failed(&what(), e))?;
        if bytes.len() as u64 > MAX_FILE {
            let why = format!("{} is over {MAX_FILE} bytes", path.display());
            return Err(Error::new(ErrorKind::TooLarge, why));
        }
        Ok(Some(bytes))
    }

    fn text(&self, extension: &str) -> Result<Option<String>> {
        let Some(bytes) = self.bytes(extension)? else {
            return Ok(None);
        };
        String::from_utf8(bytes)
            .map(Some)
            .map_err(|e| self.unreadable(extension).with_source(e.utf8_error()))
    }

    fn signed(&self) -> Result<Option<Signed>> {
        let envelope = self.bytes(ENVELOPE)?;
        let detached = self.text(SIGNATURE)?;
        match (envelope, detached) {
            (Some(json), None) => Envelope::from_json(&json)
                .map(|envelope| Some(Signed::Dsse(envelope)))
                .map_err(|error| error.context(format!("reading {}", self.path(ENVELOPE)))),
            (None, Some(base64)) => STANDARD
                .decode(base64.trim_ascii_end())
                .map(|bytes| Some(Signed::Detached(bytes.into())))
                .map_err(|e| self.unreadable(SIGNATURE).with_source(e)),
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err(self.unreadable(SIGNATURE).with_source(format!(
                "{} is there too, and one payload has one signature",
                self.path(ENVELOPE)
            ))),
        }
    }

    /// The bundle, which must be of the signature beside it: else one could pass for the other.
    fn bundle(&self, signed: Option<&Signed>) -> Result<Option<Bundle>> {
        let Some(json) = self.bytes(BUNDLE)? else {
            return Ok(None);
        };
        let path = self.path(BUNDLE);
        let bundle =
            Bundle::from_json(&json).map_err(|error| error.context(format!("reading {path}")))?;
        let same = match (&bundle.content, signed) {
            (Content::DsseEnvelope(ours), Some(Signed::Dsse(envelope))) => {
                let sigs = |envelope: &Envelope| -> Vec<Bytes> {
                    envelope.signatures.iter().map(|signature| signature.sig.clone()).collect()
                };
                ours.payload_type == envelope.payload_type
                    && ours.payload == envelope.payload
                    && sigs(ours) == sigs(envelope)
            }
            (Content::MessageSignature(ours), Some(Signed::Detached(signature))) => {
                ours.signature == signature
            }
            _ => false,
        };
        if same {
            return Ok(Some(bundle));
        }
        let why = format!("bundle: {path} is not of the payload and signature beside it");
        Err(Error::new(ErrorKind::Verification, why))
    }

    fn public_key(&self) -> Result<Option<PublicKey>> {
        let Some(pem) = self.text(PUBLIC_KEY)? else {
            return Ok(None);
        };
        PublicKey::from_pem(&pem)
            .map(Some)
            .map_err(|error| error.context(format!("reading {}", self.path(PUBLIC_KEY))))
    }

    fn unreadable(&self, extension: &str) -> Error {
        Error::new(ErrorKind::InvalidInput, format!("reading {}", self.path(extension)))
    }
}
