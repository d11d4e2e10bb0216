//! `x509`: a key at hand, or certificates of Fulcio.

use std::sync::Arc;

use chains_config::Config;
use chains_core::{Error, ErrorKind, Result, Signer};

use crate::Environment;

pub(super) fn build(config: &Config, environment: &Environment) -> Result<Option<Arc<dyn Signer>>> {
    if config.signers.x509.fulcio.enabled {
        return keyless(config, environment).map(Some);
    }
    match &environment.x509 {
        Some(signer) => Ok(Some(Arc::clone(signer))),
        None => Err(Error::new(
            ErrorKind::Key,
            "the configuration signs with `x509` and no private key was given",
        )),
    }
}

#[cfg(feature = "keyless")]
fn keyless(config: &Config, environment: &Environment) -> Result<Arc<dyn Signer>> {
    super::fulcio::build(config, environment)
}

#[cfg(not(feature = "keyless"))]
fn keyless(_: &Config, _: &Environment) -> Result<Arc<dyn Signer>> {
    Err(Error::new(
        ErrorKind::Configuration,
        "`signers.x509.fulcio.enabled`: keyless signing is not built into this program",
    ))
}
