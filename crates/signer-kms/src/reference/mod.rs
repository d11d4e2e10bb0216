//! References to keys, in the forms that sigstore's Go library takes.
//!
//! They are read whatever services are compiled in, so that a wrong one is told as wrong everywhere.

mod aws;
mod azure;
mod gcp;
mod vault;

use std::fmt;
use std::str::FromStr;

use chains_core::{Error, ErrorKind};

pub use aws::AwsKey;
pub use azure::AzureKey;
pub use gcp::GcpKey;
pub use vault::VaultKey;

/// A reference to a key in a key management service.
///
/// ```
/// use chains_signer_kms::Reference;
/// let reference: Reference = "awskms:///alias/signing".parse()?;
/// assert_eq!(reference.to_string(), "awskms:///alias/signing");
///
/// let error = "gcpkms://projects/p".parse::<Reference>().unwrap_err();
/// assert!(error.report().contains("locations"), "{}", error.report());
/// # Ok::<(), chains_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reference {
    /// `gcpkms://…`
    Gcp(GcpKey),
    /// `awskms://…`
    Aws(AwsKey),
    /// `azurekms://…`
    Azure(AzureKey),
    /// `hashivault://…`, `openbao://…`
    Vault(VaultKey),
}

impl Reference {
    /// The schemes that are known.
    pub const SCHEMES: [&str; 5] = ["gcpkms", "awskms", "azurekms", "hashivault", "openbao"];

    /// The whole reference, as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Gcp(key) => &key.reference,
            Self::Aws(key) => &key.reference,
            Self::Azure(key) => &key.reference,
            Self::Vault(key) => &key.reference,
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Reference {
    type Err = Error;

    /// # Errors
    /// [`ErrorKind::Configuration`] telling which part is wrong, and how it should read.
    fn from_str(text: &str) -> Result<Self, Error> {
        read(text).map_err(|why| {
            Error::new(ErrorKind::Configuration, format!("reading the reference {}", quoted(text)))
                .with_source(why)
        })
    }
}

fn read(text: &str) -> Result<Reference, String> {
    let known = || Reference::SCHEMES.map(|scheme| format!("{scheme}://")).join(", ");
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(format!("it starts with none of {}", known()));
    };
    if let Some(odd) = text.chars().find(|c| c.is_control() || c.is_whitespace()) {
        return Err(format!("it holds the character {odd:?}"));
    }
    match scheme {
        "gcpkms" => gcp::read(text, rest).map(Reference::Gcp),
        "awskms" => aws::read(text, rest).map(Reference::Aws),
        "azurekms" => azure::read(text, rest).map(Reference::Azure),
        "hashivault" | "openbao" => vault::read(text, scheme, rest).map(Reference::Vault),
        _ => Err(format!("the scheme {} is not known: {} are", quoted(scheme), known())),
    }
}

/// A part of what somebody wrote, fit for an error message.
fn quoted(text: &str) -> String {
    const LONGEST: usize = 200;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests;
