//! Names of a record's annotations.

use chains_core::{Error, ErrorKind, RecordKey, Result, annotations::PREFIX};

/// How long the part of an annotation's name after the slash may be.
const LONGEST: usize = 63;

/// The four annotations of a record.
pub(crate) struct Names {
    pub(crate) payload: String,
    pub(crate) signature: String,
    pub(crate) certificate: String,
    pub(crate) chain: String,
}

impl Names {
    /// # Errors
    /// Where Kubernetes would refuse the names: a run from a file may have any UID.
    pub(crate) fn of(key: &RecordKey) -> Result<Self> {
        let short = &key.short;
        let alphanumeric_end = short.ends_with(|c: char| c.is_ascii_alphanumeric());
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let longest = "signature-".len() + short.len();
        if !alphanumeric_end || !short.chars().all(allowed) || longest > LONGEST {
            let why = format!(
                "{short:?} cannot be part of an annotation's name: Kubernetes allows {LONGEST} \
                 letters, digits, - _ . and a letter or digit at the end"
            );
            return Err(Error::new(ErrorKind::InvalidInput, why));
        }
        let name = |part: &str| format!("{PREFIX}{part}-{short}");
        Ok(Self {
            payload: name("payload"),
            signature: name("signature"),
            certificate: name("cert"),
            chain: name("chain"),
        })
    }
}
