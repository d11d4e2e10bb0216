//! The signers that are compiled in: one small file and one line each.

use std::sync::Arc;

use chains_config::Config;
use chains_core::{Result, Signer};

use crate::Environment;

#[cfg(feature = "keyless")]
pub(crate) mod fulcio;
#[cfg(feature = "kms")]
pub(crate) mod kms;
mod x509;

/// Makes a signer of its section; `None` leaves payloads unsigned.
pub type BuildSigner = fn(&Config, &Environment) -> Result<Option<Arc<dyn Signer>>>;

/// By the name in `artifacts.*.signer`.
pub const SIGNERS: &[(&str, BuildSigner)] = &[
    ("x509", x509::build),
    #[cfg(feature = "kms")]
    ("kms", kms::build),
    ("none", |_, _| Ok(None)),
];
