//! Services of Sigstore: whom to trust among them, the logs, and what verifies a keyless signature.

#[cfg(feature = "keyless")]
mod annotation;
#[cfg(feature = "keyless")]
pub(crate) mod keyless;
pub(crate) mod log;
pub(crate) mod trust;
